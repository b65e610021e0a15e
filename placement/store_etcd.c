/* SPDX-License-Identifier: Apache-2.0
 *
 * The store in etcd 3.4 and later (etcd.io/docs/v3.4/dev-guide). Its revisions,
 * leases and transactions are the store's own; all keys begin with the
 * configured prefix. Changes of long ago are forgotten by compaction, which
 * concerns the whole of an etcd: it should be ours alone.
 */
#include "placement/store_etcd.h"

#include <inttypes.h>
#include <string.h>
#include <sys/queue.h>

#include "common/clock.h"
#include "placement/etcd_message.h"

#define CHANGES_KEPT 4096 /* revisions */
#define PAGE 256	  /* entries of one answer */
#define LEVEL_OPS 64      /* see add_ops() */
#define OPS_MAX ((size_t)LEVEL_OPS * LEVEL_OPS)

struct store_watch {
	struct store_etcd *store;
	struct etcd_stream *stream; /* NULL: was lost */
	char prefix[ETCD_PREFIX_MAX + STORE_KEY_SIZE];
	uint64_t revision; /* told up to here */
	store_event_fn fn;
	void *userdata;
	LIST_ENTRY(store_watch) link;
};

struct store_etcd {
	struct store base;
	struct etcd *etcd;
	const struct etcd_config *config;
	uint64_t compacted; /* the last revision that we had forgotten; 0: not known */
	LIST_HEAD(, store_watch) watches;
};

static struct store_etcd *etcd_of(struct store *s)
{
	return (struct store_etcd *)s;
}

static int bad_key(const char *key, struct mg_error *err)
{
	return mg_error_set(err, -EINVAL, "'%.80s' is not a key of the store", key);
}

static int nonsense(const struct store_etcd *s, struct mg_error *err)
{
	return mg_error_set(err, -EUCLEAN, "etcd at %s: what is stored there under '%s' is not ours",
			    etcd_endpoint(s->etcd), s->config->prefix);
}

static int no_memory(struct mg_error *err)
{
	return mg_error_set(err, -ENOMEM, "out of memory");
}

static json_t *full_key(const struct store_etcd *s, const char *key)
{
	char full[ETCD_PREFIX_MAX + STORE_KEY_SIZE];

	snprintf(full, sizeof(full), "%s%s", s->config->prefix, key);
	return etcd_bytes(full, strlen(full));
}

/* ---- Reading ------------------------------------------------------------------- */

static int visit(const struct store_etcd *s, const json_t *kv, store_visit_fn fn, void *userdata,
		 char last_key[STORE_KEY_SIZE], struct mg_error *err)
{
	_cleanup_(etcd_entry_clear) struct etcd_entry e = { 0 };
	int r = etcd_entry_read(kv, s->config->prefix, &e);

	if (r < 0)
		return r == -ENOMEM ? no_memory(err) : nonsense(s, err);
	memcpy(last_key, e.key, sizeof(e.key));
	return fn(&(struct store_entry){ .key = e.key, .value = e.value, .len = e.len,
					 .create_revision = e.create_revision,
					 .mod_revision = e.mod_revision }, userdata);
}

static int etcd_get(struct store *base, const char *key, store_visit_fn fn, void *userdata,
		    struct mg_error *err)
{
	struct store_etcd *s = etcd_of(base);
	char last[STORE_KEY_SIZE];
	json_t *answer = NULL;
	const json_t *kv;
	int r;

	if (!store_key_is_valid(key))
		return bad_key(key, err);
	r = etcd_call(s->etcd, ETCD_READ, "/v3/kv/range", json_pack("{so}", "key", full_key(s, key)),
		      &answer, err);
	if (r < 0)
		return r;
	kv = json_array_get(json_object_get(answer, "kvs"), 0);
	r = kv ? visit(s, kv, fn, userdata, last, err) :
		 mg_error_set(err, -ENOENT, "the store has no '%s'", key);
	json_decref(answer);
	return r;
}

/* The part of a range that is not read yet: [first, end), all of one revision. */
struct walk {
	const struct store_range *range;
	uint64_t revision;
	char last[STORE_KEY_SIZE];
	bool begun, more;
	size_t left; /* 0: no limit */
};

static json_t *page_request(const struct store_etcd *s, const struct walk *w)
{
	json_t *request = json_pack("{si}", "limit",
				    w->left && w->left < PAGE ? (int)w->left : PAGE);
	char text[ETCD_PREFIX_MAX + STORE_KEY_SIZE + 1];
	int n;

	if (!request)
		return NULL;
	n = snprintf(text, sizeof(text), "%s%s", s->config->prefix, w->range->prefix);
	if (etcd_add_prefix(request, text) < 0)
		goto fail;
	if (w->range->descending && json_object_update_new(request, json_pack(
			"{ssss}", "sort_order", "DESCEND", "sort_target", "KEY")) < 0)
		goto fail;
	if (!w->begun)
		return request;
	/* The next key after one is the same with a zero byte. */
	n = snprintf(text, sizeof(text), "%s%s", s->config->prefix, w->last);
	if (json_object_set_new(request, w->range->descending ? "range_end" : "key",
				etcd_bytes(text, (size_t)n + !w->range->descending)) == 0 &&
	    json_object_set_new(request, "revision", etcd_number(w->revision)) == 0)
		return request;
fail:
	json_decref(request);
	return NULL;
}

static int walk_page(struct store_etcd *s, struct walk *w, store_visit_fn fn, void *userdata,
		     struct mg_error *err)
{
	json_t *answer = NULL;
	const json_t *kvs, *kv;
	size_t i;
	int r;

	r = etcd_call(s->etcd, ETCD_READ, "/v3/kv/range", page_request(s, w), &answer, err);
	if (r < 0)
		return r;
	if (!w->begun && etcd_revision_read(answer, &w->revision) < 0)
		r = nonsense(s, err);
	w->begun = true;
	kvs = json_object_get(answer, "kvs");
	w->more = json_is_true(json_object_get(answer, "more")) && json_array_size(kvs) > 0;
	json_array_foreach(kvs, i, kv) {
		if (r != 0)
			break;
		r = visit(s, kv, fn, userdata, w->last, err);
	}
	if (w->left && (w->left -= i) == 0)
		w->more = false;
	json_decref(answer);
	return r;
}

static int etcd_range(struct store *base, const struct store_range *range, store_visit_fn fn,
		      void *userdata, uint64_t *ret_revision, struct mg_error *err)
{
	struct walk w = { .range = range, .left = range->limit };
	int r;

	if (range->prefix[0] && !store_key_is_valid(range->prefix))
		return bad_key(range->prefix, err);
	do
		r = walk_page(etcd_of(base), &w, fn, userdata, err);
	while (r == 0 && w.more);
	if (r == 0 && ret_revision)
		*ret_revision = w.revision;
	return r;
}

/* ---- Writing ------------------------------------------------------------------- */

static json_t *op_request(const struct store_etcd *s, const struct store_op *op)
{
	json_t *key = full_key(s, op->key);

	if (op->kind == STORE_DELETE)
		return json_pack("{s{so}}", "request_delete_range", "key", key);
	return json_pack("{s{sososo}}", "request_put", "key", key, "value",
			 etcd_bytes(op->value, op->len), "lease", etcd_number(op->lease));
}

static int add_flat(const struct store_etcd *s, const struct store_op *ops, size_t n, json_t *list)
{
	for (size_t i = 0; i < n; i++)
		if (json_array_append_new(list, op_request(s, &ops[i])) < 0)
			return -ENOMEM;
	return 0;
}

/* etcd takes 128 operations at one level of a transaction (--max-txn-ops), and
 * within one of them, as a transaction of its own, as many as are left of the
 * 128: 64 with 64 each are one atomic transaction of 4096. */
static int add_ops(const struct store_etcd *s, const struct store_op *ops, size_t n, json_t *list)
{
	if (n <= LEVEL_OPS)
		return add_flat(s, ops, n, list);
	for (size_t i = 0; i < n; i += LEVEL_OPS) {
		json_t *inner = json_array();
		int r = add_flat(s, ops + i, n - i < LEVEL_OPS ? n - i : LEVEL_OPS, inner);

		if (json_array_append_new(list, json_pack("{s{so}}", "request_txn", "success",
							  inner)) < 0 || r < 0)
			return -ENOMEM;
	}
	return 0;
}

static int add_compares(const struct store_etcd *s, const struct store_compare *compares,
			size_t n, json_t *list)
{
	for (size_t i = 0; i < n; i++)
		if (json_array_append_new(list, json_pack("{ssssso so}", "target", "MOD", "result",
							  "EQUAL", "key",
							  full_key(s, compares[i].key),
							  "mod_revision",
							  etcd_number(compares[i].mod_revision))))
			return -ENOMEM;
	return 0;
}

static int compare_ops(const void *a, const void *b)
{
	const struct store_op *const *x = a, *const *y = b;
	int r = strcmp((*x)->key, (*y)->key);

	return r ? r : (*x > *y) - (*x < *y);
}

/* etcd takes a key only once: of several operations the last counts. */
static int last_of_each_key(const struct store_op *ops, size_t n, struct store_op **ret,
			    size_t *ret_n, struct mg_error *err)
{
	_cleanup_free_ const struct store_op **sorted = calloc(n + 1, sizeof(ops));
	_cleanup_free_ struct store_op *last = calloc(n + 1, sizeof(*ops));
	size_t kept = 0;

	if (!sorted || !last)
		return no_memory(err);
	for (size_t i = 0; i < n; i++) {
		if (!store_key_is_valid(ops[i].key))
			return bad_key(ops[i].key, err);
		sorted[i] = &ops[i];
	}
	qsort(sorted, n, sizeof(*sorted), compare_ops);
	for (size_t i = 0; i < n; i++)
		if (i + 1 == n || strcmp(sorted[i]->key, sorted[i + 1]->key) != 0)
			last[kept++] = *sorted[i];
	*ret = TAKE_PTR(last);
	*ret_n = kept;
	return 0;
}

/* A failure matters to nobody: the next one tries again, or another store did. */
static void forget(struct store_etcd *s, uint64_t revision)
{
	struct mg_error ignored;
	json_t *answer = NULL;

	if (s->compacted == 0)
		s->compacted = revision;
	if (revision < s->compacted + 2 * CHANGES_KEPT)
		return;
	s->compacted = revision - CHANGES_KEPT;
	if (etcd_call(s->etcd, ETCD_WRITE, "/v3/kv/compaction",
		      json_pack("{so}", "revision", etcd_number(s->compacted)), &answer,
		      &ignored) == 0)
		json_decref(answer);
}

static int etcd_txn(struct store *base, const struct store_compare *compares, size_t n_compares,
		    const struct store_op *given, size_t n_given, uint64_t *ret_revision,
		    struct mg_error *err)
{
	struct store_etcd *s = etcd_of(base);
	_cleanup_free_ struct store_op *ops = NULL;
	json_t *request = json_pack("{s[]s[]}", "compare", "success"), *answer = NULL;
	uint64_t revision = 0;
	size_t n = 0;
	int r;

	r = request ? last_of_each_key(given, n_given, &ops, &n, err) : no_memory(err);
	if (r == 0 && n > OPS_MAX)
		r = mg_error_set(err, -E2BIG, "%zu changes at once: etcd takes %zu", n, OPS_MAX);
	if (r == 0 &&
	    (add_compares(s, compares, n_compares, json_object_get(request, "compare")) < 0 ||
	     add_ops(s, ops, n, json_object_get(request, "success")) < 0))
		r = no_memory(err);
	if (r < 0) {
		json_decref(request);
		return r;
	}
	r = etcd_call(s->etcd, ETCD_WRITE, "/v3/kv/txn", request, &answer, err);
	if (r < 0)
		return r;
	if (!json_is_true(json_object_get(answer, "succeeded")))
		r = mg_error_set(err, -ESTALE, "the store was changed by another");
	else if (etcd_revision_read(answer, &revision) < 0)
		r = nonsense(s, err);
	json_decref(answer);
	if (r < 0)
		return r;
	if (ret_revision)
		*ret_revision = revision;
	forget(s, revision);
	return 0;
}

/* ---- Leases -------------------------------------------------------------------- */

static int etcd_lease_grant(struct store *base, uint64_t ttl_ns, uint64_t *ret_lease,
			    struct mg_error *err)
{
	struct store_etcd *s = etcd_of(base);
	uint64_t seconds = (ttl_ns + NS_PER_S - 1) / NS_PER_S;
	json_t *answer = NULL;
	int r;

	r = etcd_call(s->etcd, ETCD_WRITE, "/v3/lease/grant",
		      json_pack("{so}", "TTL", etcd_number(seconds)), &answer, err);
	if (r < 0)
		return r;
	r = etcd_number_read(answer, "ID", ret_lease);
	json_decref(answer);
	return r < 0 ? nonsense(s, err) : 0;
}

static int etcd_lease_keep(struct store *base, uint64_t lease, struct mg_error *err)
{
	struct store_etcd *s = etcd_of(base);
	json_t *answer = NULL;
	uint64_t ttl;
	int r;

	r = etcd_call(s->etcd, ETCD_READ, "/v3/lease/keepalive",
		      json_pack("{so}", "ID", etcd_number(lease)), &answer, err);
	if (r < 0)
		return r;
	r = etcd_number_read(json_object_get(answer, "result"), "TTL", &ttl);
	json_decref(answer);
	if (r < 0)
		return nonsense(s, err);
	return ttl ? 0 : mg_error_set(err, -ENOENT, "lease %" PRIu64 " is over", lease);
}

static int etcd_lease_revoke(struct store *base, uint64_t lease, struct mg_error *err)
{
	struct store_etcd *s = etcd_of(base);
	json_t *answer = NULL;
	int r;

	r = etcd_call(s->etcd, ETCD_WRITE, "/v3/lease/revoke",
		      json_pack("{so}", "ID", etcd_number(lease)), &answer, err);
	if (r == -ENOENT) /* it is over already */
		return 0;
	if (r == 0)
		json_decref(answer);
	return r;
}

/* ---- Watching ------------------------------------------------------------------ */

static int forgotten_error(struct mg_error *err)
{
	return mg_error_set(err, -ESTALE, "the store has forgotten changes as old as these");
}

static int tell(struct store_watch *w, const json_t *event, struct mg_error *err)
{
	_cleanup_(etcd_entry_clear) struct etcd_entry e = { 0 };
	const char *type = json_string_value(json_object_get(event, "type"));
	bool deleted = type && strcmp(type, "DELETE") == 0;

	if (etcd_entry_read(json_object_get(event, "kv"), w->store->config->prefix, &e) < 0)
		return nonsense(w->store, err);
	w->fn(&(struct store_event){ .kind = deleted ? STORE_DELETE : STORE_PUT, .key = e.key,
				     .value = deleted ? NULL : e.value, .len = e.len,
				     .revision = e.mod_revision }, w->userdata);
	w->revision = e.mod_revision;
	return 0;
}

static int on_watched(const json_t *answer, void *userdata, struct mg_error *err)
{
	struct store_watch *w = userdata;
	const json_t *events = json_object_get(answer, "events"), *event;
	size_t i;
	int r = 0;

	if (json_object_get(answer, "compact_revision"))
		return forgotten_error(err);
	if (json_is_true(json_object_get(answer, "canceled")))
		return mg_error_set(err, -EIO, "etcd at %s has ended a watch",
				    etcd_endpoint(w->store->etcd));
	json_array_foreach(events, i, event) {
		if (r < 0)
			break;
		r = tell(w, event, err);
	}
	return r;
}

static int open_stream(struct store_watch *w, struct mg_error *err)
{
	json_t *create = json_pack("{so}", "start_revision", etcd_number(w->revision + 1));

	if (!create || etcd_add_prefix(create, w->prefix) < 0) {
		json_decref(create);
		return no_memory(err);
	}
	return etcd_stream_new(w->store->etcd, "/v3/watch", json_pack("{so}", "create_request",
								      create),
			       &w->stream, err);
}

/* Whether a revision is still known: what reads at it is answered. */
static int check_revision(struct store_etcd *s, uint64_t revision, struct mg_error *err)
{
	json_t *answer = NULL;
	int r;

	r = etcd_call(s->etcd, ETCD_READ, "/v3/kv/range",
		      json_pack("{sosbso}", "key", full_key(s, "-"), "count_only", 1, "revision",
				etcd_number(revision ? revision : 1)),
		      &answer, err);
	if (r == 0)
		json_decref(answer);
	return r == -ESTALE ? forgotten_error(err) : r;
}

static void etcd_watch_free(struct store_watch *w)
{
	LIST_REMOVE(w, link);
	etcd_stream_free(w->stream);
	free(w);
}

static int etcd_watch(struct store *base, const char *prefix, uint64_t revision,
		      store_event_fn fn, void *userdata, struct store_watch **ret,
		      struct mg_error *err)
{
	struct store_etcd *s = etcd_of(base);
	struct store_watch *w;
	int r;

	if (prefix[0] && !store_key_is_valid(prefix))
		return bad_key(prefix, err);
	r = check_revision(s, revision, err);
	if (r < 0)
		return r;
	w = calloc(1, sizeof(*w));
	if (!w)
		return no_memory(err);
	*w = (struct store_watch){ .store = s, .revision = revision, .fn = fn,
				   .userdata = userdata };
	snprintf(w->prefix, sizeof(w->prefix), "%s%s", s->config->prefix, prefix);
	LIST_INSERT_HEAD(&s->watches, w, link);
	r = open_stream(w, err);
	if (r < 0)
		etcd_watch_free(w);
	else
		*ret = w;
	return r;
}

/* A stream that is lost is opened anew by the next dispatch, where it was. */
static int etcd_dispatch(struct store *base, struct mg_error *err)
{
	struct store_etcd *s = etcd_of(base);
	struct store_watch *w;
	int r = 0;

	LIST_FOREACH(w, &s->watches, link) {
		if (!w->stream)
			r = open_stream(w, err);
		if (r == 0)
			r = etcd_stream_read(w->stream, on_watched, w, err);
		if (r == 0)
			continue;
		etcd_stream_free(w->stream);
		w->stream = NULL;
		return r;
	}
	return 0;
}

/* ---- Opening ------------------------------------------------------------------- */

static void etcd_store_free(struct store *base)
{
	struct store_etcd *s = etcd_of(base);

	while (!LIST_EMPTY(&s->watches))
		etcd_watch_free(LIST_FIRST(&s->watches));
	etcd_free(s->etcd);
	free(s);
}

static const struct store_ops etcd_ops = {
	.free = etcd_store_free,
	.get = etcd_get,
	.range = etcd_range,
	.txn = etcd_txn,
	.watch = etcd_watch,
	.watch_free = etcd_watch_free,
	.dispatch = etcd_dispatch,
	.lease_grant = etcd_lease_grant,
	.lease_keep = etcd_lease_keep,
	.lease_revoke = etcd_lease_revoke,
};

int store_etcd_open(const struct etcd_config *config, struct store **ret, struct mg_error *err)
{
	struct store_etcd *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return no_memory(err);
	s->base.ops = &etcd_ops;
	s->config = config;
	LIST_INIT(&s->watches);
	r = etcd_new(config, &s->etcd, err);
	if (r < 0) {
		free(s);
		return r;
	}
	*ret = &s->base;
	return 0;
}
