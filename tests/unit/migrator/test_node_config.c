/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "migrator/node_config.h"

#define BASE                                                                        \
	"name: a\nlisten: tcp://127.0.0.1:7300\ndata_listen: 127.0.0.1:7301\n"      \
	"state_dir: /var/lib/x\nram_dir: /dev/shm/x\nvcpus: 4\n"
#define KEYS "key: /k\nallow: /a\n"

static int parse(const char *text, struct node_config **ret, struct mg_error *err)
{
	return node_config_parse("t.yaml", text, strlen(text), ret, err);
}

Test(node_config, takes_what_is_right)
{
	_cleanup_(node_config_free_p) struct node_config *c = NULL;
	struct mg_error err = { 0 };

	cr_assert_eq(parse(BASE KEYS "memory: 8G\ncontroller:\n  endpoint: tcp://x:1\n  key: k\n", &c,
			   &err),
		     0, "%s", err.text);
	cr_assert_str_eq(c->name, "a");
	cr_assert_eq(c->memory_bytes, UINT64_C(8) << 30);
	cr_assert_eq(c->image_budget_bytes, UINT64_C(4) << 30);
	cr_assert_eq(c->image_max_age_ns, UINT64_C(24) * 3600 * 1000000000);
	cr_assert_eq(c->shadow_bytes, UINT64_C(64) << 20);
	cr_assert_eq(c->connections, 1);
	cr_assert_eq(c->vcpus, 4);
	cr_assert_str_eq(c->controllers[0].endpoint, "tcp://x:1");
	cr_assert(!c->plain_text_bus && !c->plain_text_data);
	cr_assert_str_eq(c->qemu, "qemu-system-x86_64");
	cr_assert_null(c->qemu_user);
}

Test(node_config, shadows_may_be_none)
{
	_cleanup_(node_config_free_p) struct node_config *c = NULL;

	cr_assert_eq(parse(BASE KEYS "memory: 8G\nshadow_memory: 0\n", &c, NULL), 0);
	cr_assert_eq(c->shadow_bytes, 0);
}

Test(node_config, several_data_connections)
{
	_cleanup_(node_config_free_p) struct node_config *c = NULL;

	cr_assert_eq(parse(BASE KEYS "memory: 8G\ndata_connections: 3\n", &c, NULL), 0);
	cr_assert_eq(c->connections, 3);
}

Test(node_config, says_what_is_wrong)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ BASE "memory: 8G\n", "allow" },
		{ BASE KEYS "memory: 0\n", "memory" },
		{ BASE KEYS "memory: much\n", "memory" },
		{ BASE KEYS "memory: 8G\nshadow_memory: some\n", "shadow_memory" },
		{ BASE KEYS "memory: 8G\ndata_connections: 0\n", "data_connections" },
		{ BASE KEYS "memory: 8G\ndata_connections: 9\n", "data_connections" },
		{ BASE KEYS "memory: 8G\ndata_connections: few\n", "data_connections" },
		{ BASE KEYS "memory: 8G\ncolour: red\n", "colour" },
		{ BASE KEYS, "memory" },
		{ BASE KEYS "memory: 8G\nrelay_dir: relays\n", "relay_dir" },
		{ BASE KEYS "memory: 8G\nrelay_dir: /a/path/that/leaves/too/little/of/the/108/"
		  "bytes/for/the/name/of/a/VM\n", "relay_dir" },
		{ BASE KEYS "memory: 8G\nimage_budget: some\n", "image_budget" },
		{ BASE KEYS "memory: 8G\nimage_max_age: 7\n", "image_max_age" },
		{ BASE KEYS "memory: 8G\ncontroller:\n  endpoint: tcp://x:1\n", "controller" },
		{ BASE KEYS "memory: 8G\ndata_advertise: host\n", "data_advertise" },
		{ BASE KEYS "memory: 8G\nmetrics: everywhere\n", "metrics" },
		{ BASE "memory: 8G\nplain_text_bus: true\n", "plain_text_data" },
		{ "name: a b\n" KEYS "listen: tcp://1.1.1.1:1\ndata_listen: 1.1.1.1:2\nstate_dir: /s\n"
		  "ram_dir: /r\nvcpus: 1\nmemory: 1G\n", "name" },
		{ "name: a\n" KEYS "listen: 1.1.1.1:1\ndata_listen: 1.1.1.1:2\nstate_dir: /s\n"
		  "ram_dir: /r\nvcpus: 1\nmemory: 1G\n", "listen" },
		{ "name: a\n" KEYS "listen: tcp://1.1.1.1:1\ndata_listen: there\nstate_dir: /s\n"
		  "ram_dir: /r\nvcpus: 1\nmemory: 1G\n", "data_listen" },
		{ "name: a\n" KEYS "listen: tcp://1.1.1.1:1\ndata_listen: 1.1.1.1:2\nstate_dir: /s\n"
		  "ram_dir: /r\nvcpus: 0\nmemory: 1G\n", "vcpus" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct node_config *c = NULL;
		struct mg_error err = { 0 };

		cr_assert_eq(parse(cases[i].text, &c, &err), -EINVAL, "case %zu", i);
		cr_assert_not_null(strstr(err.text, cases[i].says), "case %zu: %s", i, err.text);
		cr_assert_not_null(strstr(err.text, "t.yaml"), "case %zu: %s", i, err.text);
	}
}
