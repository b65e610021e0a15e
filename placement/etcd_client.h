/* SPDX-License-Identifier: Apache-2.0
 *
 * Speaks to etcd's gRPC gateway by HTTP and JSON. A call blocks, for the
 * configured time at most. Which endpoint is spoken to is decided by who
 * answers; only what cannot have been carried out is asked of another one.
 */
#ifndef PLACEMENT_ETCD_CLIENT_H
#define PLACEMENT_ETCD_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"

#define ETCD_PREFIX_MAX 200

/* All of it is borrowed while the client lives. */
struct etcd_config {
	const char *const *endpoints; /* "http://127.0.0.1:2379"; "https://…" with cacert */
	size_t n_endpoints;
	const char *prefix; /* of all keys; printable ASCII, not empty */
	const char *cacert, *cert, *key; /* files in PEM; NULL: none */
	const char *user; /* NULL: etcd asks for none */
	const char *password_file; /* its first line is the user's password */
	uint64_t timeout_ns; /* of a call */
};

struct etcd;

int etcd_new(const struct etcd_config *config, struct etcd **ret, struct mg_error *err);
void etcd_free(struct etcd *e);
DEFINE_CLEANUP(struct etcd, etcd_free)

/* Where it spoke to last: for texts. */
const char *etcd_endpoint(const struct etcd *e);

enum etcd_call_kind {
	ETCD_READ,  /* changes nothing: asked of all endpoints until one answers */
	ETCD_WRITE, /* asked once: after -EIO nobody knows whether it was carried out */
};

/* Posts `request` (stolen, NULL counts as -ENOMEM) to e.g. "/v3/kv/range"; the
 * answer is the caller's, and an object. */
int etcd_call(struct etcd *e, enum etcd_call_kind kind, const char *path, json_t *request,
	      json_t **ret, struct mg_error *err);

/* ---- Streams ------------------------------------------------------------------- */

/* Each answer of an endless call. An error ends etcd_stream_read(). */
typedef int (*etcd_answer_fn)(const json_t *answer, void *userdata, struct mg_error *err);

struct etcd_stream;

int etcd_stream_new(struct etcd *e, const char *path, json_t *request, struct etcd_stream **ret,
		    struct mg_error *err);
void etcd_stream_free(struct etcd_stream *s);

/* Hands over what has arrived, without waiting. Any error but those of fn means
 * that the stream is over. */
int etcd_stream_read(struct etcd_stream *s, etcd_answer_fn fn, void *userdata,
		     struct mg_error *err);

#endif
