/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the controller keeps what must survive it: an ordered map from keys to
 * values with revisions, after etcd's model, so that etcd can stand behind it
 * as well as SQLite. What a backend must do is what tests/unit/placement/
 * test_store.c demands of it.
 *
 * Keys are 1 to 255 printable ASCII characters without blanks, in byte order;
 * values are bytes (packed messages of placement/proto/). Every transaction
 * that changes something takes the next revision of the whole store. An entry
 * knows the revision that created it and that which changed it last.
 *
 * Errors: -EINVAL (a key that is none), -ENOENT, -ESTALE, and those of the
 * backend: -ENOSPC, -EROFS, -EBUSY, -EACCES, -E2BIG, -EUCLEAN, -EIO, -ENOMEM. After
 * -EIO, -EBUSY and -ENOSPC of store_txn() nobody knows whether it was carried out:
 * etcd applies the first transaction that exceeds its quota, and refuses it with
 * the same words as those it does not (server/etcdserver/apply/quota.go).
 */
#ifndef PLACEMENT_STORE_H
#define PLACEMENT_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"

#define STORE_KEY_SIZE 256 /* with the NUL */

struct store;
struct store_watch;

struct store_entry {
	const char *key;
	const uint8_t *value;
	size_t len;
	uint64_t create_revision;
	uint64_t mod_revision;
};

/* What it is given lives until it returns. A result other than 0 ends the
 * walk and becomes the result of store_range(). */
typedef int (*store_visit_fn)(const struct store_entry *entry, void *userdata);

struct store_range {
	const char *prefix; /* "": everything */
	size_t limit;       /* 0: none */
	bool descending;
};

struct store_compare {
	const char *key;
	uint64_t mod_revision; /* 0: the key must not exist */
};

enum store_op_kind {
	STORE_PUT,
	STORE_DELETE, /* a key that is not there is fine */
};

struct store_op {
	enum store_op_kind kind;
	const char *key;
	const void *value;
	size_t len;
	uint64_t lease; /* 0: none; else the entry goes when the lease does */
};

struct store_event {
	enum store_op_kind kind;
	const char *key;
	const uint8_t *value; /* NULL for STORE_DELETE */
	size_t len;
	uint64_t revision;
};

typedef void (*store_event_fn)(const struct store_event *event, void *userdata);

/* Nanoseconds UTC; what leases run on. */
typedef uint64_t (*store_clock_fn)(void *userdata);

struct store_ops {
	void (*free)(struct store *s);
	int (*get)(struct store *s, const char *key, store_visit_fn fn, void *userdata,
		   struct mg_error *err);
	int (*range)(struct store *s, const struct store_range *range, store_visit_fn fn,
		     void *userdata, uint64_t *ret_revision, struct mg_error *err);
	int (*txn)(struct store *s, const struct store_compare *compares, size_t n_compares,
		   const struct store_op *ops, size_t n_ops, uint64_t *ret_revision,
		   struct mg_error *err);
	int (*watch)(struct store *s, const char *prefix, uint64_t revision, store_event_fn fn,
		     void *userdata, struct store_watch **ret, struct mg_error *err);
	void (*watch_free)(struct store_watch *w);
	int (*dispatch)(struct store *s, struct mg_error *err);
	int (*lease_grant)(struct store *s, uint64_t ttl_ns, uint64_t *ret_lease,
			   struct mg_error *err);
	int (*lease_keep)(struct store *s, uint64_t lease, struct mg_error *err);
	int (*lease_revoke)(struct store *s, uint64_t lease, struct mg_error *err);
};

/* A backend's own struct begins with this. */
struct store {
	const struct store_ops *ops;
};

bool store_key_is_valid(const char *key);

static inline void store_free(struct store *s)
{
	if (s)
		s->ops->free(s);
}
DEFINE_CLEANUP(struct store, store_free)

/* Calls fn with the entry and returns its result, or -ENOENT. */
static inline int store_get(struct store *s, const char *key, store_visit_fn fn, void *userdata,
			    struct mg_error *err)
{
	return s->ops->get(s, key, fn, userdata, err);
}

/* Visits the entries whose keys begin with the prefix, all of one revision,
 * which is returned; fn must not call the store. ret_revision may be NULL. */
static inline int store_range(struct store *s, const struct store_range *range, store_visit_fn fn,
			      void *userdata, uint64_t *ret_revision, struct mg_error *err)
{
	return s->ops->range(s, range, fn, userdata, ret_revision, err);
}

/* Carries out all operations as one, or none: -ESTALE when a comparison does
 * not hold. What it returned 0 for survives kill -9. ret_revision may be NULL. */
static inline int store_txn(struct store *s, const struct store_compare *compares,
			    size_t n_compares, const struct store_op *ops, size_t n_ops,
			    uint64_t *ret_revision, struct mg_error *err)
{
	return s->ops->txn(s, compares, n_compares, ops, n_ops, ret_revision, err);
}

/* Has fn told of every change after `revision` under the prefix, in order, by
 * store_dispatch(). Changes of long ago are forgotten: -ESTALE, here or there,
 * means that the caller must read all anew. */
static inline int store_watch(struct store *s, const char *prefix, uint64_t revision,
			      store_event_fn fn, void *userdata, struct store_watch **ret,
			      struct mg_error *err)
{
	return s->ops->watch(s, prefix, revision, fn, userdata, ret, err);
}

/* Before store_free(), and not inside its own fn. */
static inline void store_watch_free(struct store *s, struct store_watch *w)
{
	if (w)
		s->ops->watch_free(w);
}

/* Removes what expired leases held and tells the watches what is new, as far as
 * it is known here by now. */
static inline int store_dispatch(struct store *s, struct mg_error *err)
{
	return s->ops->dispatch(s, err);
}

/* A lease lives for its time and as long again from each store_lease_keep();
 * -ENOENT tells its holder that it is over. */
static inline int store_lease_grant(struct store *s, uint64_t ttl_ns, uint64_t *ret_lease,
				    struct mg_error *err)
{
	return s->ops->lease_grant(s, ttl_ns, ret_lease, err);
}

static inline int store_lease_keep(struct store *s, uint64_t lease, struct mg_error *err)
{
	return s->ops->lease_keep(s, lease, err);
}

static inline int store_lease_revoke(struct store *s, uint64_t lease, struct mg_error *err)
{
	return s->ops->lease_revoke(s, lease, err);
}

/* ---- Backends ---------------------------------------------------------------- */

/* One file; several processes of one machine may share it. `path` ":memory:"
 * keeps nothing. */
int store_sqlite_open(const char *path, store_clock_fn clock, void *clock_userdata,
		      struct store **ret, struct mg_error *err);

#endif
