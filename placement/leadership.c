/* SPDX-License-Identifier: Apache-2.0 */
#include "placement/leadership.h"

#include <string.h>

#include "placement/proto/placement.pb-c.h"

#define KEY "leader"

typedef Tagalong__Placement__LeaderEntry LeaderEntry;

struct leadership {
	struct store *store;
	struct leader self, leader;
	uint64_t lease; /* 0: we do not lead */
	uint64_t revision; /* of our entry */
	uint64_t kept_ns; /* the lease lives at least as long from here */
};

int leadership_new(struct store *store, const char *name, const char *endpoint, const char *url,
		   struct leadership **ret, struct mg_error *err)
{
	struct leadership *l = calloc(1, sizeof(*l));

	if (!l)
		return mg_error_set(err, -ENOMEM, "out of memory");
	l->store = store;
	snprintf(l->self.name, sizeof(l->self.name), "%s", name);
	snprintf(l->self.endpoint, sizeof(l->self.endpoint), "%s", endpoint);
	snprintf(l->self.url, sizeof(l->self.url), "%s", url ? url : "");
	*ret = l;
	return 0;
}

void leadership_free(struct leadership *l)
{
	if (!l)
		return;
	leadership_resign(l);
	free(l);
}

static int on_entry(const struct store_entry *e, void *userdata)
{
	struct leader *leader = userdata;
	LeaderEntry *entry =
		tagalong__placement__leader_entry__unpack(NULL, e->len, e->value);

	if (!entry)
		return -EUCLEAN;
	snprintf(leader->name, sizeof(leader->name), "%s", entry->name);
	snprintf(leader->endpoint, sizeof(leader->endpoint), "%s", entry->endpoint);
	snprintf(leader->url, sizeof(leader->url), "%s", entry->url ? entry->url : "");
	leader->since_utc_ns = entry->since_utc_ns;
	tagalong__placement__leader_entry__free_unpacked(entry, NULL);
	return 0;
}

/* Puts our name there under the lease, if the place is vacant. */
static int take(struct leadership *l, uint64_t lease, struct mg_error *err)
{
	const struct store_compare vacant = { KEY, 0 };
	LeaderEntry entry = TAGALONG__PLACEMENT__LEADER_ENTRY__INIT;
	uint8_t data[PEER_NAME_SIZE + 2 * LEADER_ENDPOINT_SIZE + 32];
	struct store_op op = { .kind = STORE_PUT, .key = KEY, .value = data, .lease = lease };

	entry.name = l->self.name;
	entry.endpoint = l->self.endpoint;
	entry.url = l->self.url[0] ? l->self.url : NULL;
	entry.since_utc_ns = l->self.since_utc_ns;
	op.len = tagalong__placement__leader_entry__pack(&entry, data);
	return store_txn(l->store, &vacant, 1, &op, 1, &l->revision, err);
}

int leadership_campaign(struct leadership *l, uint64_t now_ns, uint64_t now_utc_ns,
			struct mg_error *err)
{
	struct leader leader = { 0 };
	uint64_t lease;
	int r;

	r = store_get(l->store, KEY, on_entry, &leader, err);
	if (r == -EUCLEAN)
		return mg_error_set(err, r, "the store's '%s' makes no sense", KEY);
	if (r == 0 || r == -ENOENT)
		l->leader = leader;
	if (r != -ENOENT)
		return r;
	r = store_lease_grant(l->store, LEADERSHIP_LEASE_NS, &lease, err);
	if (r < 0)
		return r;
	l->self.since_utc_ns = now_utc_ns;
	r = take(l, lease, err);
	if (r < 0) {
		(void)store_lease_revoke(l->store, lease, NULL);
		/* -ESTALE: another was faster; the next campaign tells who. */
		return r == -ESTALE ? 0 : r;
	}
	l->lease = lease;
	l->kept_ns = now_ns;
	l->leader = l->self;
	return 1;
}

bool leadership_is_certain(const struct leadership *l, uint64_t now_ns)
{
	return l->lease && now_ns < l->kept_ns + LEADERSHIP_LEASE_NS;
}

int leadership_keep(struct leadership *l, uint64_t now_ns, struct mg_error *err)
{
	int r = store_lease_keep(l->store, l->lease, err);

	if (r == 0)
		l->kept_ns = now_ns;
	return r == -ENOENT || !leadership_is_certain(l, now_ns) ? r : 0;
}

void leadership_lose(struct leadership *l)
{
	l->lease = 0;
	l->leader = (struct leader){ 0 };
}

void leadership_resign(struct leadership *l)
{
	if (l->lease)
		(void)store_lease_revoke(l->store, l->lease, NULL);
	leadership_lose(l);
}

struct store_compare leadership_compare(const struct leadership *l)
{
	return (struct store_compare){ KEY, l->revision };
}

const struct leader *leadership_leader(const struct leadership *l)
{
	return &l->leader;
}
