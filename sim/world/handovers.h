/* SPDX-License-Identifier: Apache-2.0
 *
 * When a recorded device changes towers, looking around at each of its points.
 */
#ifndef SIM_WORLD_HANDOVERS_H
#define SIM_WORLD_HANDOVERS_H

#include "sim/world/attachment.h"

struct handover {
	const char *device;
	uint64_t t_ns; /* on the trace's clock */
	struct point at;
	uint32_t from, to;
};

typedef void (*handover_fn)(const struct handover *h, void *userdata);

/* `delay_ns` passes from the look to the handover. All of a device, then the next.
 * Where a device begins, and where it comes back from an absence, is none. */
void handovers_find(const struct trace *trace, const struct towers *towers,
		    const struct attachment_parameters *p, uint64_t delay_ns, handover_fn fn,
		    void *userdata);

#endif
