/* SPDX-License-Identifier: Apache-2.0
 *
 * What only etcd can do to us: die, sleep, be full, refuse.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

#include "common/clock.h"
#include "tests/unit/placement/etcd_server.h"

static struct mg_error err;

static void open_store(struct etcd_server *s, struct store **ret)
{
	etcd_server_make(s);
	cr_assert_eq(store_etcd_open(&s->config, ret, &err), 0, "%s", err.text);
}

static int put(struct store *store, const char *key, const void *value, size_t len)
{
	const struct store_op op = { STORE_PUT, key, value, len, 0 };

	return store_txn(store, NULL, 0, &op, 1, NULL, &err);
}

static int count(const struct store_entry *e, void *userdata)
{
	(void)e;
	++*(size_t *)userdata;
	return 0;
}

static size_t entries(struct store *store)
{
	size_t n = 0;

	cr_assert_eq(store_range(store, &(struct store_range){ "", 0, false }, count, &n, NULL, &err),
		     0, "%s", err.text);
	return n;
}

static void assert_said(const char *text)
{
	cr_assert_not_null(strstr(err.text, text), "%s", err.text);
}

Test(store_etcd, what_was_acknowledged_survives_kill_9)
{
	struct etcd_server s = { 0 };
	struct store *store;
	char key[16];

	open_store(&s, &store);
	for (int i = 0; i < 100; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		cr_assert_eq(put(store, key, "v", 1), 0, "%s", err.text);
	}
	etcd_server_signal(&s, SIGKILL);
	cr_assert_eq(put(store, "k", "v", 1), -EIO);
	assert_said(s.client_url);
	etcd_server_start(&s);
	cr_assert_eq(entries(store), 100);
	cr_assert_eq(put(store, "k", "v", 1), 0, "%s", err.text);
	store_free(store);
	etcd_server_remove(&s);
}

Test(store_etcd, one_that_sleeps_is_given_up)
{
	struct etcd_server s = { 0 };
	struct store *store;

	open_store(&s, &store);
	s.config.timeout_ns = NS_PER_S / 2;
	etcd_server_signal(&s, SIGSTOP);
	cr_assert_eq(put(store, "k", "v", 1), -EIO);
	assert_said("timed out");
	etcd_server_signal(&s, SIGCONT);
	s.config.timeout_ns = 30 * NS_PER_S;
	cr_assert_eq(put(store, "k", "w", 1), 0, "%s", err.text);
	cr_assert_eq(entries(store), 1);
	store_free(store);
	etcd_server_remove(&s);
}

Test(store_etcd, one_that_is_full_says_so)
{
	struct etcd_server s = { .quota = "2000000" };
	static char value[100000];
	struct store *store;
	int r = 0, put_ones = 0;
	int kept;
	char key[16];

	open_store(&s, &store);
	for (; r == 0 && put_ones < 1000; put_ones++) {
		snprintf(key, sizeof(key), "k%d", put_ones);
		r = put(store, key, value, sizeof(value));
	}
	cr_assert_eq(r, -ENOSPC, "%s", err.text);
	assert_said("--quota-backend-bytes");
	kept = entries(store); /* what is refused first may have been carried out */
	cr_assert(kept == put_ones - 1 || kept == put_ones, "%d of %d", kept, put_ones);
	cr_assert_eq(put(store, "after", "v", 1), -ENOSPC);
	cr_assert_eq(entries(store), kept);
	store_free(store);
	etcd_server_remove(&s);
}

Test(store_etcd, what_is_too_large_is_refused_as_a_whole)
{
	struct etcd_server s = { 0 };
	const size_t size = 4 << 20;
	char *value = calloc(1, size);
	const struct store_op ops[] = { { STORE_PUT, "a", "v", 1, 0 },
					{ STORE_PUT, "b", value, size, 0 } };
	static struct store_op many[5000];
	static char keys[ARRAY_SIZE(many)][8];
	struct store *store;

	open_store(&s, &store);
	cr_assert_eq(store_txn(store, NULL, 0, ops, 2, NULL, &err), -E2BIG, "%s", err.text);
	assert_said("--max-request-bytes");
	for (size_t i = 0; i < ARRAY_SIZE(many); i++) {
		snprintf(keys[i], sizeof(keys[i]), "k%zu", i);
		many[i] = (struct store_op){ STORE_PUT, keys[i], "v", 1, 0 };
	}
	cr_assert_eq(store_txn(store, NULL, 0, many, ARRAY_SIZE(many), NULL, &err), -E2BIG);
	cr_assert_eq(entries(store), 0);
	store_free(store);
	free(value);
	etcd_server_remove(&s);
}

Test(store_etcd, the_next_endpoint_is_asked_when_one_is_dead)
{
	struct etcd_server s = { 0 };
	const char *endpoints[2] = { "http://127.0.0.1:1" };
	struct etcd_config config;
	struct store *store, *both;

	open_store(&s, &store);
	endpoints[1] = s.client_url;
	config = s.config;
	config.endpoints = endpoints;
	config.n_endpoints = 2;
	cr_assert_eq(store_etcd_open(&config, &both, &err), 0);
	cr_assert_eq(put(both, "k", "v", 1), 0, "%s", err.text);
	cr_assert_eq(entries(store), 1);
	store_free(both);
	store_free(store);
	etcd_server_remove(&s);
}

Test(store_etcd, prefixes_are_apart)
{
	struct etcd_server s = { 0 };
	struct etcd_config config;
	struct store *store, *other;

	open_store(&s, &store);
	config = s.config;
	config.prefix = "tagalong/other/";
	cr_assert_eq(store_etcd_open(&config, &other, &err), 0);
	cr_assert_eq(put(store, "k", "v", 1), 0, "%s", err.text);
	cr_assert_eq(entries(other), 0);
	store_free(other);
	store_free(store);
	etcd_server_remove(&s);
}
