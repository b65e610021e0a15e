/* SPDX-License-Identifier: Apache-2.0
 *
 * The JSON of etcd's gRPC gateway (etcd.io/docs/v3.4, "gRPC gateway"), by the
 * rules of proto3's JSON mapping: bytes are base64, 64-bit numbers are text,
 * and what has its default value is absent. Pure: no I/O.
 */
#ifndef PLACEMENT_ETCD_MESSAGE_H
#define PLACEMENT_ETCD_MESSAGE_H

#include <jansson.h>
#include <stdint.h>

#include "placement/store.h"

/* An entry as etcd tells it, without the prefix that all keys of ours have. */
struct etcd_entry {
	char key[STORE_KEY_SIZE];
	uint8_t *value; /* owned */
	size_t len;
	uint64_t create_revision, mod_revision;
};

void etcd_entry_clear(struct etcd_entry *entry);

/* -EUCLEAN: it is none, or not under the prefix. */
int etcd_entry_read(const json_t *kv, const char *prefix, struct etcd_entry *ret);

/* 0 when it is absent. -EUCLEAN: it is no number. */
int etcd_number_read(const json_t *object, const char *name, uint64_t *ret);
json_t *etcd_number(uint64_t number);
json_t *etcd_bytes(const void *data, size_t len);

/* The revision that an answer's header tells. */
int etcd_revision_read(const json_t *answer, uint64_t *ret);

/* What etcd's refusal means; `body` may be anything. Always negative. */
int etcd_refusal_read(const json_t *body, long http_status, struct mg_error *err);

/* Adds "key" and "range_end" for all keys that begin with the text. */
int etcd_add_prefix(json_t *request, const char *text);

#endif
