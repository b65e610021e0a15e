/* SPDX-License-Identifier: Apache-2.0
 *
 * The images that hosts keep of VMs that have left them, as migratord does
 * (migrator/image_store.h): within a budget the latest departures, up to an age. A move to a
 * host that has one sends what the VM has written since.
 */
#ifndef SIM_ENGINE_IMAGES_H
#define SIM_ENGINE_IMAGES_H

#include <stdbool.h>
#include <stdint.h>

struct image {
	uint32_t vm; /* any number that tells VMs apart */
	uint64_t bytes, left_ns;
};

struct images {
	uint64_t budget, max_age_ns; /* bytes, of each host */
	uint32_t n_hosts;
	struct shelf {
		struct image *images; /* in the order of their departures */
		uint32_t n, room;
		uint64_t bytes;
	} * shelves; /* NULL: nothing is kept */
};

/* A budget of 0 keeps nothing. -ENOMEM. */
int images_init(struct images *images, uint32_t hosts, uint64_t budget, uint64_t max_age_ns);
void images_clear(struct images *images);

/* The VM leaves the host. One that is larger than the budget is not kept. -ENOMEM. */
int images_keep(struct images *images, uint32_t host, struct image image);

/* Whether the host has an image of the VM, and since when. */
bool images_has(const struct images *images, uint32_t host, uint32_t vm, uint64_t now_ns,
		uint64_t *ret_left_ns);

/* The same, and if there is one it is used up. */
bool images_take(struct images *images, uint32_t host, uint32_t vm, uint64_t now_ns,
		 uint64_t *ret_left_ns);

/* The VM is no more: no host keeps anything of it. */
void images_forget(struct images *images, uint32_t vm);

#endif
