/* SPDX-License-Identifier: Apache-2.0 */
#include "placement/store_timed.h"

#include <stdlib.h>

#include "common/clock.h"

struct store_timed {
	struct store base;
	struct store_ops ops;
	struct store *inner;
	struct metrics_histogram histograms[STORE_TIMINGS];
};

static const double bounds[] = { 1e-4,   2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2,
				 2.5e-2, 5e-2,   0.1,  0.25, 0.5,    1,    2.5 };

const char *store_timing_name(enum store_timing timing)
{
	static const char *const names[] = { "get", "range", "txn", "lease" };

	return names[timing];
}

static int note(struct store_timed *t, enum store_timing timing, uint64_t begun_ns, int r)
{
	metrics_histogram_add(&t->histograms[timing],
			      (double)(clock_mono_ns() - begun_ns) / NS_PER_S);
	return r;
}

static void timed_free(struct store *s)
{
	struct store_timed *t = (struct store_timed *)s;

	store_free(t->inner);
	free(t);
}

static int timed_get(struct store *s, const char *key, store_visit_fn fn, void *userdata,
		     struct mg_error *err)
{
	struct store_timed *t = (struct store_timed *)s;
	uint64_t begun = clock_mono_ns();

	return note(t, STORE_GET, begun, store_get(t->inner, key, fn, userdata, err));
}

static int timed_range(struct store *s, const struct store_range *range, store_visit_fn fn,
		       void *userdata, uint64_t *ret_revision, struct mg_error *err)
{
	struct store_timed *t = (struct store_timed *)s;
	uint64_t begun = clock_mono_ns();

	return note(t, STORE_RANGE, begun,
		    store_range(t->inner, range, fn, userdata, ret_revision, err));
}

static int timed_txn(struct store *s, const struct store_compare *compares, size_t n_compares,
		     const struct store_op *ops, size_t n_ops, uint64_t *ret_revision,
		     struct mg_error *err)
{
	struct store_timed *t = (struct store_timed *)s;
	uint64_t begun = clock_mono_ns();

	return note(t, STORE_TXN, begun,
		    store_txn(t->inner, compares, n_compares, ops, n_ops, ret_revision, err));
}

static int timed_watch(struct store *s, const char *prefix, uint64_t revision, store_event_fn fn,
		       void *userdata, struct store_watch **ret, struct mg_error *err)
{
	return store_watch(((struct store_timed *)s)->inner, prefix, revision, fn, userdata, ret,
			   err);
}

static int timed_dispatch(struct store *s, struct mg_error *err)
{
	return store_dispatch(((struct store_timed *)s)->inner, err);
}

static int timed_lease_grant(struct store *s, uint64_t ttl_ns, uint64_t *ret_lease,
			     struct mg_error *err)
{
	struct store_timed *t = (struct store_timed *)s;
	uint64_t begun = clock_mono_ns();

	return note(t, STORE_LEASE, begun, store_lease_grant(t->inner, ttl_ns, ret_lease, err));
}

static int timed_lease_keep(struct store *s, uint64_t lease, struct mg_error *err)
{
	struct store_timed *t = (struct store_timed *)s;
	uint64_t begun = clock_mono_ns();

	return note(t, STORE_LEASE, begun, store_lease_keep(t->inner, lease, err));
}

static int timed_lease_revoke(struct store *s, uint64_t lease, struct mg_error *err)
{
	struct store_timed *t = (struct store_timed *)s;
	uint64_t begun = clock_mono_ns();

	return note(t, STORE_LEASE, begun, store_lease_revoke(t->inner, lease, err));
}

struct store *store_timed_new(struct store *inner)
{
	struct store_timed *t = calloc(1, sizeof(*t));

	if (!t) {
		store_free(inner);
		return NULL;
	}
	t->inner = inner;
	t->ops = (struct store_ops){
		.free = timed_free,
		.get = timed_get,
		.range = timed_range,
		.txn = timed_txn,
		.watch = timed_watch,
		.watch_free = inner->ops->watch_free,
		.dispatch = timed_dispatch,
		.lease_grant = timed_lease_grant,
		.lease_keep = timed_lease_keep,
		.lease_revoke = timed_lease_revoke,
	};
	t->base.ops = &t->ops;
	for (size_t i = 0; i < STORE_TIMINGS; i++) {
		t->histograms[i].bounds = bounds;
		t->histograms[i].n_bounds = ARRAY_SIZE(bounds);
	}
	return &t->base;
}

const struct metrics_histogram *store_timed_get(const struct store *s, enum store_timing timing)
{
	return &((const struct store_timed *)s)->histograms[timing];
}
