/* SPDX-License-Identifier: Apache-2.0
 *
 * The link emulator: one thread that pumps frames between ports. A port is a
 * descriptor that keeps frame boundaries (a tap; in tests a SEQPACKET socket);
 * a link joins two ports by one shaper for each direction. All of it can change
 * while frames flow: a link's parameters, and which port is its far end, which
 * is how a phone changes towers. Frames that are under way keep their time and
 * their end.
 *
 * netem would do the same inside the kernel, where a kernel has it.
 */
#ifndef SIM_TESTBED_LINKEM_H
#define SIM_TESTBED_LINKEM_H

#include "common/cleanup.h"
#include "sim/testbed/shaper.h"

struct linkem;

int linkem_new(struct linkem **ret);

/* Ends the thread and closes the ports' descriptors. */
void linkem_free(struct linkem *l);
DEFINE_CLEANUP(struct linkem, linkem_free)

/* Takes over a descriptor; returns the port's number or a negative errno (the
 * descriptor then remains the caller's). What comes from a port without a link
 * is dropped. */
int linkem_add_port(struct linkem *l, int fd);

/* Joins two ports that have no link; returns the link's number or a negative
 * errno: -EBUSY, -EINVAL. */
int linkem_add_link(struct linkem *l, int near_port, int far_port,
		    const struct link_params *params);

/* Sets both directions. */
void linkem_set(struct linkem *l, int link, const struct link_params *params);

/* Moves the far end to another port, which must have no link: -EBUSY. */
int linkem_attach(struct linkem *l, int link, int far_port);

struct link_report {
	struct link_counts out, back; /* near to far, far to near */
	uint64_t late_max_ns;         /* by how much a frame left later than due */
	uint64_t late_mean_ns;
};

void linkem_report(struct linkem *l, int link, struct link_report *ret);

#endif
