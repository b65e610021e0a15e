/* SPDX-License-Identifier: Apache-2.0
 *
 * What a run would have cost with all of the future known: the yardstick of policies.
 *
 * The cost of a device is the round trip from its tower to its VM's host, times the time that
 * it is there, and a price for each move. Each time that the device appears its VM starts, free,
 * where that is best. Moves take no time, so no policy costs less, whatever it knows.
 *
 * Where hosts hold everybody this is the least cost itself. Where they are full, it is the highest
 * bound below it that can be found in a fixed amount of work; what that costs beyond the bound,
 * nobody knows. VMs of devices that are away take no room here.
 */
#ifndef SIM_ENGINE_OPTIMUM_H
#define SIM_ENGINE_OPTIMUM_H

#include <stddef.h>
#include <stdint.h>

#include "sim/world/backhaul.h"

#define STAY_ABSENT UINT32_MAX

/* A phone's tower, or STAY_ABSENT, from a time on. */
struct stay {
	uint32_t phone, tower;
	uint64_t since_ns;
};

/* In any order of phones, each phone's in the order of time, the last being an absence. A
 * zeroed one is empty. */
struct stays {
	struct stay *all;
	size_t n, room;
};

/* -ENOMEM. */
int stays_add(struct stays *s, struct stay stay);
void stays_clear(struct stays *s);

/* The least cost of all phones, in ns of round-trip time times s; `price` is in the same
 * unit. A host holds `capacity` VMs, or with 0 all. Sorts the stays. Dynamic programming over
 * hosts, phone by phone. -ENOMEM. */
int optimum_find(const struct backhaul *backhaul, struct stays *s, double price, uint32_t capacity,
		 double *ret);

#endif
