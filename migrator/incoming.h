/* SPDX-License-Identifier: Apache-2.0
 *
 * The target's end of a move: a QEMU that waits, pages into its memory, and the
 * rules of commit.h on whether it ever runs. incoming_prepare.c judges and begins,
 * incoming_copy.c lets the pages in, incoming_message.c speaks with the source, and
 * incoming.c asks the rules what to do and does it.
 */
#ifndef MIGRATOR_INCOMING_H
#define MIGRATOR_INCOMING_H

#include "migrator/link.h"
#include "migrator/move.h"

struct incoming;

/* PeerPrepare, PeerCommit, PeerAbort, PeerQuery from a source; answered with
 * PeerPrepared, PeerState or Failure. */
void incoming_message(struct node *n, struct bus_socket *s, const struct bus_peer *from,
		      const Envelope *e);

/* Takes up a move that an earlier run left open. Takes the row over. */
int incoming_restore(struct node *n, struct journal_move *row);

/* By the name that the two nodes have for it. */
struct incoming *incoming_find(struct node *n, const struct uuid *id);

/* The latest attempt at what was ordered. */
struct incoming *incoming_find_order(struct node *n, const struct uuid *order);

/* A data connection with its HELLO read. Takes the socket over. */
void incoming_data(struct incoming *in, int fd, const struct link_hello *hello);

/* An operator's word on a move in doubt. */
int incoming_resolve(struct incoming *in, const Tagalong__MoveResolve *resolve, const char *who,
		     struct mg_error *err);

const MoveInfo *incoming_info(const struct incoming *in);

/* As outgoing_infos(). */
size_t incoming_infos(struct node *n, MoveInfo **infos);

void incoming_free(struct incoming *in);

#endif
