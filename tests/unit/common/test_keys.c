/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/stat.h>

#include "common/keys.h"

static struct allow_list *parse(const char *text, struct mg_error *err)
{
	struct allow_list *list = NULL;

	(void)allow_list_parse(text, strlen(text), &list, err);
	return list;
}

Test(keys, allow_list_finds_role_and_name)
{
	struct keypair a, b;
	struct mg_error err = { 0 };
	char text[512];
	enum peer_role role;
	const char *name;
	_cleanup_(allow_list_free_p) struct allow_list *list = NULL;

	cr_assert_eq(keypair_generate(&a), 0);
	cr_assert_eq(keypair_generate(&b), 0);
	snprintf(text, sizeof(text), "# comment\n\nnode tower-a %s # here\noperator alice %s\n",
		 a.public_key, b.public_key);
	list = parse(text, &err);
	cr_assert_not_null(list, "%s", err.text);
	cr_assert(allow_list_find(list, b.public_key, &role, &name));
	cr_assert_eq(role, PEER_ROLE_OPERATOR);
	cr_assert_str_eq(name, "alice");
	cr_assert_not(allow_list_find(list, a.secret_key, &role, &name));
	cr_assert_str_eq(allow_list_key_of(list, PEER_ROLE_NODE, "tower-a"), a.public_key);
	cr_assert_null(allow_list_key_of(list, PEER_ROLE_OPERATOR, "tower-a"));
}

Test(keys, malformed_lines_are_named)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "\nnode tower-a\n", "line 2: expected 'ROLE NAME KEY'" },
		{ "king tower-a x\n", "line 1: role 'king' is none of controller, node, operator" },
		{ "node tower-a tooshort\n", "line 1: not a public key of 40 Z85 characters" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct mg_error err = { 0 };

		cr_assert_null(parse(cases[i].text, &err));
		cr_assert_str_eq(err.text, cases[i].says);
	}
}

Test(keys, secret_key_file)
{
	char dir[] = "/tmp/test-keys-XXXXXX", path[64];
	struct keypair made, loaded;
	struct mg_error err = { 0 };

	cr_assert_not_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/k", dir);
	cr_assert_eq(keypair_generate(&made), 0);
	cr_assert_eq(keypair_save(path, &made, &err), 0);
	cr_assert_eq(keypair_save(path, &made, &err), -EEXIST, "never replaced");
	cr_assert_eq(keypair_load(path, &loaded, &err), 0, "%s", err.text);
	cr_assert_str_eq(made.public_key, loaded.public_key);
	cr_assert_eq(chmod(path, 0644), 0);
	cr_assert_eq(keypair_load(path, &loaded, &err), -EPERM);
	unlink(path);
	rmdir(dir);
}
