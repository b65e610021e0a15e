/* SPDX-License-Identifier: Apache-2.0
 *
 * Base images: the memory of one VM, kept under a name, for others that were booted from the
 * same disk. A VM whose description names one may take pages out of it on any move
 * between two nodes that have it. They are made from a VM that runs here, or fetched
 * from another node piece by piece.
 */
#ifndef MIGRATOR_BASE_IMAGE_H
#define MIGRATOR_BASE_IMAGE_H

#include "migrator/node.h"

/* ImageAdd; answered once the image is there. */
void base_image_add_for(struct node *n, struct bus_socket *s, const struct bus_peer *from,
			const Envelope *e);

/* PeerBaseQuery of a node that fetches one from here. */
void base_image_answer(struct node *n, struct bus_socket *s, const struct bus_peer *from,
		       const Envelope *e);

/* Gives up what is under way. */
void base_image_stop(struct node *n);

#endif
