/* SPDX-License-Identifier: Apache-2.0
 *
 * Packing and checking of Envelope (common/proto/tagalong.proto), the one
 * thing that travels on our ZeroMQ sockets.
 */
#ifndef COMMON_ENVELOPE_H
#define COMMON_ENVELOPE_H

#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/proto/tagalong.pb-c.h"

#define ENVELOPE_VERSION 1
#define ENVELOPE_VERSION_OLDEST 1 /* N-1, once there is one */
#define ENVELOPE_MAX ((size_t)1 << 20)

typedef Tagalong__Envelope Envelope;

/* Unpacks one message. Checks its size, version, the lengths of its UUIDs and
 * keys and that every string is UTF-8 without control characters, so that
 * what passes can be printed, logged and stored as it is.
 * Returns the message, to be freed with envelope_free(), or NULL with -EMSGSIZE,
 * -EPROTO (not an Envelope, or a field out of its bounds) or -EPROTONOSUPPORT
 * (version) in *err. */
Envelope *envelope_unpack(const void *data, size_t len, struct mg_error *err);

/* The checks of envelope_unpack() on one that was unpacked as a part of
 * something else. Returns 0, -EPROTO or -EPROTONOSUPPORT. */
int envelope_check(const Envelope *e, struct mg_error *err);

/* The checks of the fields alone, for any message of the schema. 0 or -EPROTO. */
int message_check(const ProtobufCMessage *m, struct mg_error *err);

/* Packs into fresh memory that the caller frees. Returns 0, -EMSGSIZE or
 * -ENOMEM. */
int envelope_pack(const Envelope *e, uint8_t **ret_data, size_t *ret_len);

void envelope_free(Envelope *e);
DEFINE_CLEANUP(Envelope, envelope_free)
#define _cleanup_envelope_ _cleanup_(envelope_free_p)

/* The name of the body for logs: "move_order". Never NULL. */
const char *envelope_body_name(const Envelope *e);

#endif
