/* SPDX-License-Identifier: Apache-2.0
 *
 * What the controller knows, asked as an operator would: RTTs, where the VM is
 * and its moves, several times a second.
 */
#ifndef SIM_TESTBED_OBSERVER_H
#define SIM_TESTBED_OBSERVER_H

#include <systemd/sd-event.h>

#include "common/bus.h"

struct observer;

struct observer_handlers {
	void (*on_status)(const Tagalong__Status *status, void *userdata);
	void (*on_moves)(const Tagalong__MoveList *moves, void *userdata);
};

/* `handlers` is copied; the keys are, too. */
int observer_new(sd_event *loop, const char *name, const struct keypair *keys,
		 const char *endpoint, const char *server_key, uint64_t interval_ns,
		 const struct observer_handlers *handlers, void *userdata, struct observer **ret,
		 struct mg_error *err);
void observer_free(struct observer *o);
DEFINE_CLEANUP(struct observer, observer_free)

#endif
