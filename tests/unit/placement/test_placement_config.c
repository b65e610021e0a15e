/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "placement/placement_config.h"

#define MS UINT64_C(1000000)

/* All that must be there. */
#define BASE                                                                              \
	"name: main\nkey: k\nallow: a\nlisten: tcp://*:1\nlisten_reports: tcp://*:2\nstore: s\n"
#define BASE_OF_ETCD "name: main\nkey: k\nallow: a\nlisten: tcp://*:1\nlisten_reports: tcp://*:2\n"
#define LIST "{nodes: [a, b]}, "
#define LISTS4 LIST LIST LIST LIST
#define POLICY "policy: {threshold: 20ms, hold: 2s, margin: 5ms}\n"

static int parse(const char *text, struct placement_config **ret, struct mg_error *err)
{
	return placement_config_parse("test.yaml", text, strlen(text), ret, err);
}

Test(placement_config, defaults)
{
	struct placement_config *c = NULL;
	struct mg_error err = { 0 };

	cr_assert_eq(parse(BASE POLICY, &c, &err), 0, "%s", err.text);
	cr_assert_str_eq(c->name, "main");
	cr_assert_str_eq(c->policy, "threshold");
	cr_assert_eq(c->parameters.threshold_ns, 20 * MS);
	cr_assert_eq(c->parameters.hold_ns, 2000 * MS);
	cr_assert_eq(c->parameters.margin_ns, 5 * MS);
	cr_assert_eq(c->parameters.return_guard_ns, 4 * c->parameters.min_stay_ns);
	cr_assert_eq(c->interval_ns, 2 * MS);
	cr_assert_eq(c->limits.moves, 8);
	cr_assert_null(c->limits.move);
	cr_assert_null(c->record);
	placement_config_free(c);
	cr_assert_eq(parse(BASE "policy: {name: rent-or-buy, threshold: 20ms, hold: 2s, "
				"margin: 5ms}\n", &c, &err), 0, "%s", err.text);
	cr_assert_str_eq(c->policy, "rent-or-buy");
	cr_assert_eq(c->parameters.order, 2);
	placement_config_free(c);
	cr_assert_eq(parse(BASE "policy: {name: markov, threshold: 20ms, hold: 2s, margin: 5ms, "
				"horizon: 60s, order: 1}\n", &c, &err), 0, "%s", err.text);
	cr_assert_eq(c->parameters.horizon_ns, 60000 * MS);
	cr_assert_eq(c->parameters.order, 1);
	placement_config_free(c);
}

Test(placement_config, everything)
{
	struct placement_config *c = NULL;
	struct mg_error err = { 0 };

	cr_assert_eq(parse(BASE "record: r\ndecisions: d\nplain_text_bus: true\n"
			   "policy: {name: threshold, threshold: 20ms, hold: 0s, margin: 0ms, "
			   "min_stay: 1s, interval: 0s, return_guard: 3s, max_age: 1s, "
			   "min_confidence: 0}\n"
			   "limits: {moves: 1, moves_per_node: 2, moves_per_link: 3, warmings: 4, history: 0, backoff: 1s, "
			   "backoff_max: 2s, order_timeout: 3s, node_timeout: 4s, blackout: 5ms, "
			   "blackout_max: 6ms, bandwidth: 7Mbit, timeout: 8s}\n", &c, &err), 0,
		     "%s", err.text);
	cr_assert(c->plain_text_bus);
	cr_assert_eq(c->parameters.min_confidence, 0);
	cr_assert_eq(c->limits.history, 0);
	cr_assert_eq(c->limits.moves_per_link, 3);
	cr_assert_eq(c->limits.warmings, 4);
	cr_assert_eq(c->n_neighbourhoods, 0);
	cr_assert_eq(c->limits.node_timeout_ns, 4000 * MS);
	cr_assert_eq(c->limits.move, &c->move_limits);
	cr_assert_eq(c->move_limits.bandwidth_bps, 7000000);
	cr_assert_eq(c->move_limits.timeout_ns, 8000 * MS);
	placement_config_free(c);
}

Test(placement_config, several_controllers)
{
	struct placement_config *c = NULL;
	struct mg_error err = { 0 };

	cr_assert_eq(parse(BASE_OF_ETCD POLICY "advertise: tcp://h:1\nepoch_min: 7\n"
			   "etcd: {endpoints: ['http://a:1', 'https://b:2'], prefix: city/, cacert: ca, "
			   "cert: c, key: k, user: u, password_file: p, timeout: 1s}\n", &c, &err), 0,
		     "%s", err.text);
	cr_assert_null(c->store);
	cr_assert_str_eq(c->advertise, "tcp://h:1");
	cr_assert_eq(c->epoch_min, 7);
	cr_assert_eq(c->etcd.n_endpoints, 2);
	cr_assert_str_eq(c->etcd.endpoints[1], "https://b:2");
	cr_assert_str_eq(c->etcd.prefix, "city/");
	cr_assert_str_eq(c->etcd.password_file, "p");
	cr_assert_eq(c->etcd.timeout_ns, 1000 * MS);
	placement_config_free(c);
	cr_assert_eq(parse(BASE_OF_ETCD POLICY "etcd: {endpoints: ['http://a:1']}\n", &c, &err), 0,
		     "%s", err.text);
	cr_assert_str_eq(c->advertise, "tcp://*:1");
	cr_assert_str_eq(c->etcd.prefix, "tagalong/");
	cr_assert_null(c->etcd.user);
	placement_config_free(c);
}

Test(placement_config, groups_take_what_they_do_not_say_from_the_policy)
{
	struct placement_config *c = NULL;
	struct mg_error err = { 0 };

	cr_assert_eq(parse(BASE "policy: {threshold: 20ms, hold: 2s, margin: 5ms, min_stay: 7s, "
			   "mode: recommend}\n"
			   "groups:\n"
			   "  - {name: cars, devices: ['car-*', van], policy: {hold: 1s}}\n"
			   "  - {name: slow, devices: [x], policy: {min_stay: 1s, mode: act}}\n",
			   &c, &err), 0, "%s", err.text);
	cr_assert(c->recommend);
	cr_assert_eq(c->n_groups, 2);
	cr_assert_str_eq(c->groups[0].message.devices[1], "van");
	cr_assert_eq(c->groups[0].parameters.hold_ns, 1000 * MS);
	cr_assert_eq(c->groups[0].parameters.threshold_ns, 20 * MS);
	cr_assert_eq(c->groups[0].parameters.return_guard_ns, 28000 * MS);
	cr_assert(c->groups[0].message.recommend);
	cr_assert_eq(c->groups[1].parameters.return_guard_ns, 4000 * MS);
	cr_assert_not(c->groups[1].message.recommend);
	placement_config_free(c);
}

Test(placement_config, limits_of_zero_are_none)
{
	struct placement_config *c = NULL;
	struct mg_error err = { 0 };

	cr_assert_eq(parse(BASE POLICY "limits: {blackout: 5ms, blackout_max: 0ns, "
			   "bandwidth: 0bit, timeout: 0ns}\n", &c, &err), 0, "%s", err.text);
	cr_assert(c->limits.move->has_blackout_ns);
	cr_assert_not(c->limits.move->has_blackout_max_ns);
	cr_assert_not(c->limits.move->has_bandwidth_bps);
	cr_assert_not(c->limits.move->has_timeout_ns);
	placement_config_free(c);
}

Test(placement_config, mistakes_are_named)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ BASE, "policy" },
		{ POLICY, "name" },
		{ BASE POLICY "colour: red\n", "colour" },
		{ BASE POLICY "neighbours: [{nodes: [a]}]\n", "Insufficient" },
		{ BASE POLICY "mec: {cells: [{cell: 001-01-A, node: a}, {cell: 001-02-A, node: a},"
			      "{cell: 001-01-A, node: b}]}\n", "'001-01-A' is there twice" },
		{ BASE POLICY "mec: {cells: [{cell: 1-01-A, node: a}]}\n", "mec.cells.cell: '1-01-A'" },
		{ BASE POLICY "mec: {cells: [{cell: 001-01-, node: a}]}\n", "mec.cells.cell" },
		{ BASE POLICY "neighbours: [{nodes: [a, b/c]}]\n", "neighbours.nodes: 'b/c'" },
		{ BASE POLICY "neighbours: [{nodes: [b, a, b]}]\n", "'b' is twice in one list" },
		{ BASE POLICY "neighbours: [" LISTS4 LISTS4 LISTS4 LISTS4 LIST "]\n",
		  "'a' is in more than 16 lists" },
		{ BASE "policy: {threshold: 20ms, hold: 2s, margin: 5ms, mode: dream}\n",
		  "policy.mode: 'dream'" },
		{ BASE POLICY "groups: [{name: a, devices: [x], policy: {margin: 20ms}}]\n",
		  "group a" },
		{ BASE POLICY "groups: [{name: a/b, devices: [x], policy: {}}]\n", "groups.name" },
		{ BASE POLICY "groups: [{name: a, devices: [], policy: {}}]\n", "Insufficient" },
		{ BASE "policy: {threshold: 20, hold: 2s, margin: 5ms}\n", "policy.threshold: '20'" },
		{ BASE "policy: {threshold: 20ms, hold: soon, margin: 5ms}\n", "policy.hold: 'soon'" },
		{ BASE "policy: {threshold: 20ms, hold: 1s, margin: 20ms}\n", "margin" },
		{ BASE "policy: {threshold: 0ms, hold: 1s, margin: 0ms}\n", "threshold" },
		{ BASE "policy: {name: oracle, threshold: 9ms, hold: 1s, margin: 1ms}\n", "oracle" },
		{ BASE "policy: {threshold: 9ms, hold: 1s, margin: 1ms, min_confidence: 101}\n",
		  "policy.min_confidence: 101" },
		{ BASE "policy: {threshold: 9ms, hold: 1s, margin: 1ms, order: 3}\n",
		  "policy.order: 3 is not between 1 and 2" },
		{ BASE "policy: {name: markov, threshold: 9ms, hold: 1s, margin: 1ms, horizon: 0s}\n",
		  "policy: horizon" },
		{ BASE POLICY "limits: {moves: 0}\n", "limits.moves: 0 is not between 1" },
		{ BASE POLICY "limits: {moves: -1}\n", "moves" },
		{ BASE POLICY "limits: {node_timeout: 0s}\n", "limits.node_timeout" },
		{ BASE POLICY "limits: {bandwidth: fast}\n", "limits.bandwidth: 'fast'" },
		{ BASE POLICY "limits: {blackout: 9ms, blackout_max: 8ms}\n", "blackout_max" },
		{ BASE POLICY "record: r\n", "go together" },
		{ "name: a b\nkey: k\nallow: a\nlisten: l\nlisten_reports: l\nstore: s\n" POLICY,
		  "name: 'a b'" },
		{ "name: a\nlisten: l\nlisten_reports: l\nstore: s\n" POLICY, "plain_text_bus" },
		{ BASE POLICY "etcd: {endpoints: ['http://h:1']}\n", "either 'store'" },
		{ BASE_OF_ETCD POLICY, "either 'store'" },
		{ BASE_OF_ETCD POLICY "etcd: {endpoints: []}\n", "Insufficient entries" },
		{ BASE_OF_ETCD POLICY "etcd: {endpoints: ['h:1']}\n", "etcd.endpoints: 'h:1'" },
		{ BASE_OF_ETCD POLICY "etcd: {endpoints: ['http://h:1'], prefix: 'a b'}\n",
		  "etcd.prefix: 'a b'" },
		{ BASE_OF_ETCD POLICY "etcd: {endpoints: ['http://h:1'], user: u}\n",
		  "'password_file' go together" },
		{ BASE_OF_ETCD POLICY "etcd: {endpoints: ['http://h:1'], cert: c}\n",
		  "'key' go together" },
		{ BASE_OF_ETCD POLICY "etcd: {endpoints: ['http://h:1'], timeout: 0s}\n",
		  "etcd.timeout" },
		{ BASE POLICY "http: {listen: '127.0.0.1:1'}\n", "tokens" },
		{ BASE POLICY "http: {listen: here, tokens: t}\n", "http.listen: 'here'" },
		{ BASE POLICY "http: {listen: '10.0.0.1:1', tokens: t}\n", "clear_text" },
		{ BASE POLICY "http: {listen: '[::]:1', tokens: t}\n", "clear_text" },
		{ BASE POLICY "http: {listen: '127.0.0.1:1', tokens: t, key: k}\n", "go together" },
		{ BASE POLICY "http: {listen: '10.0.0.1:1', tokens: t, key: k, certificate: c, "
			      "clear_text: true}\n", "exclude each other" },
		{ BASE POLICY "http: {listen: '127.0.0.1:1', tokens: t, timeout: 9ms}\n",
		  "http.timeout: '9ms'" },
		{ BASE POLICY "http: {listen: '127.0.0.1:1', tokens: t, body_max: 1G}\n",
		  "http.body_max: '1G'" },
		{ BASE POLICY "http: {listen: '127.0.0.1:1', tokens: t, connections: 0}\n",
		  "http.connections: 0" },
		{ BASE POLICY "webhooks: [{url: 'ftp://h', secret_file: s}]\n", "webhooks.url" },
		{ BASE POLICY "webhooks: [{url: 'http://h'}]\n", "secret_file" },
		{ BASE POLICY "mec: {cells: [{cell: 001-01-A, node: 'a b'}]}\n", "mec.cells.node" },
		{ BASE POLICY "mec: {cells: [{cell: 001-01-A}]}\n", "node" },
		{ "", "empty" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct placement_config *c = NULL;
		struct mg_error err = { 0 };

		cr_assert_eq(parse(cases[i].text, &c, &err), -EINVAL, "case %zu", i);
		cr_assert_not_null(strstr(err.text, cases[i].says), "case %zu: %s", i, err.text);
		cr_assert_not_null(strstr(err.text, "test.yaml"), "case %zu: %s", i, err.text);
	}
}

Test(placement_config, http_and_webhooks)
{
	struct placement_config *c = NULL;
	struct mg_error err = { 0 };
	char text[ADDRESS_TEXT_SIZE];

	cr_assert_eq(parse(BASE POLICY
			   "http: {listen: '[::1]:7280', tokens: t, body_max: 8K, timeout: 5s, "
			   "connections: 9}\n"
			   "webhooks:\n  - {url: 'https://h/a', secret_file: s, cacert: c}\n"
			   "  - {url: 'http://h/b', secret_file: s}\n",
			   &c, &err),
		     0, "%s", err.text);
	cr_assert(c->has_http);
	cr_assert_str_eq(address_format(&c->http.listen, text), "[::1]:7280");
	cr_assert_eq(c->http.body_max, 8192);
	cr_assert_eq(c->http.timeout_s, 5);
	cr_assert_eq(c->http.connections, 9);
	cr_assert_eq(c->http.connections_each, HTTP_CONNECTIONS_EACH_MAX);
	cr_assert_eq(c->n_webhooks, 2);
	cr_assert_str_eq(c->webhooks[0].cacert, "c");
	cr_assert_str_eq(c->webhooks[1].url, "http://h/b");
	placement_config_free(c);
}

Test(placement_config, application_mobility)
{
	struct placement_config *c = NULL;
	struct mg_error err = { 0 };

	cr_assert_eq(parse(BASE POLICY "mec: {cacert: ca, cells: [{cell: 001-01-A, node: a}, "
				       "{cell: 001-01-B, node: b}]}\n",
			   &c, &err),
		     0, "%s", err.text);
	cr_assert_str_eq(c->mec_cacert, "ca");
	cr_assert_eq(c->n_cells, 2);
	cr_assert_str_eq(c->cell_pointers[1]->cell, "001-01-B");
	cr_assert_str_eq(c->cell_pointers[1]->node, "b");
	placement_config_free(c);
}

Test(placement_config, the_example_is_right)
{
	struct placement_config *c = NULL;
	struct mg_error err = { 0 };
	char path[4096];

	snprintf(path, sizeof(path), "%s/dist/examples/placementd.yaml", getenv("top_srcdir"));
	cr_assert_eq(placement_config_load(path, &c, &err), 0, "%s", err.text);
	placement_config_free(c);
}
