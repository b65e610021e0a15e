/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by the daemon's files only.
 */
#ifndef MIGRATOR_DAEMON_INTERNAL_H
#define MIGRATOR_DAEMON_INTERNAL_H

#include "migrator/node.h"

struct controller_link;
struct data_listener;

struct daemon {
	struct node node; /* first: node_changed() finds the daemon by it */
	struct controller_link *link;
	struct data_listener *data;
};

/* ---- daemon_orders.c ---- */

/* What arrives on the router: from operators, peers, or a controller. */
void daemon_on_router(struct bus_socket *s, const struct bus_peer *from, const Envelope *e,
		      void *userdata);

/* An order; `from` is NULL when it came from the controller that we connected to. */
void daemon_on_order(struct daemon *d, struct bus_socket *s, const struct bus_peer *from,
		     const Envelope *e);

/* Unsettled moves of both directions; the array alone is to be freed. */
int daemon_open_moves(struct node *n, MoveInfo ***ret, size_t *ret_n);

/* ---- daemon_images.c ---- */
void daemon_on_image_query(struct node *n, struct bus_socket *s, const struct bus_peer *from,
			   const Envelope *e);
void daemon_on_image_remove(struct node *n, struct bus_socket *s, const struct bus_peer *from,
			    const Envelope *e);

/* The newest images, `max` at most: how many. What `infos` point to is the store's. */
size_t daemon_images(const struct node *n, Tagalong__ImageInfo *infos, Tagalong__ImageInfo **list,
		     size_t max);

/* Orders of an earlier epoch than this are void from now on. */
int daemon_see_epoch(struct node *n, uint64_t epoch, struct mg_error *err);

/* ---- daemon_controller.c ---- */
int controller_link_new(struct daemon *d, struct controller_link **ret, struct mg_error *err);
void controller_link_free(struct controller_link *l);
void controller_link_changed(struct controller_link *l);

/* ---- data_listener.c ---- */
int data_listener_new(struct node *n, struct data_listener **ret, struct mg_error *err);
void data_listener_free(struct data_listener *l);

#endif
