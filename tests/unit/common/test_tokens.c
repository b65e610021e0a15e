/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <sodium.h>
#include <string.h>

#include "common/clock.h"
#include "common/tokens.h"

static struct tokens *parse(const char *text)
{
	struct mg_error err = { 0 };
	struct tokens *tokens;

	cr_assert_eq(tokens_parse(text, strlen(text), &tokens, &err), 0, "%s", err.text);
	return tokens;
}

static void refused(const char *text, const char *why)
{
	struct mg_error err = { 0 };
	struct tokens *tokens;

	cr_assert_eq(tokens_parse(text, strlen(text), &tokens, &err), -EINVAL, "'%s'", text);
	cr_assert_not_null(strstr(err.text, why), "'%s': %s", text, err.text);
}

Test(tokens, what_is_made_is_found)
{
	char token[TOKEN_TEXT_SIZE], other[TOKEN_TEXT_SIZE], line[TOKEN_LINE_SIZE];
	_cleanup_(tokens_free_p) struct tokens *tokens = NULL;
	enum token_role role;
	const char *name;

	cr_assert_geq(sodium_init(), 0);
	cr_assert_eq(token_make(TOKEN_ROLE_OPERATE, "robot", 0, token, line, NULL), 0);
	cr_assert_null(strstr(line, token), "the list has the token itself");
	tokens = parse(line);
	cr_assert_eq(tokens_find(tokens, token, clock_utc_ns(), &role, &name), 0);
	cr_assert_eq(role, TOKEN_ROLE_OPERATE);
	cr_assert_str_eq(name, "robot");
	cr_assert_eq(token_make(TOKEN_ROLE_READ, "robot", 0, other, line, NULL), 0);
	cr_assert_str_neq(other, token);
	cr_assert_eq(tokens_find(tokens, other, clock_utc_ns(), &role, &name), -ENOENT);
	cr_assert_eq(tokens_find(tokens, "", clock_utc_ns(), &role, &name), -ENOENT);
	token[strlen(token) - 1] ^= 1;
	cr_assert_eq(tokens_find(tokens, token, clock_utc_ns(), &role, &name), -ENOENT);
	cr_assert_eq(token_make(TOKEN_ROLE_READ, "no blanks", 0, token, line, NULL), -EINVAL);
}

Test(tokens, one_ends)
{
	char token[TOKEN_TEXT_SIZE], line[TOKEN_LINE_SIZE];
	_cleanup_(tokens_free_p) struct tokens *tokens = NULL;
	const uint64_t until = UINT64_C(1800000000) * NS_PER_S;
	enum token_role role;
	const char *name;

	cr_assert_geq(sodium_init(), 0);
	cr_assert_eq(token_make(TOKEN_ROLE_READ, "robot", until, token, line, NULL), 0);
	cr_assert_not_null(strstr(line, " 2027-01-15T08:00:00Z"), "%s", line);
	tokens = parse(line);
	cr_assert_eq(tokens_find(tokens, token, until - 1, &role, &name), 0);
	cr_assert_eq(tokens_find(tokens, token, until, &role, &name), -EKEYEXPIRED);
}

/* Of "secret": so sha256sum(1) makes lines, too. */
#define HASH "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"

Test(tokens, a_list_is_as_people_write_it)
{
	_cleanup_(tokens_free_p) struct tokens *tokens =
		parse("# who may ask\n\nread\tmonitor  " HASH "   # Prometheus\r\n");
	enum token_role role;
	const char *name;

	cr_assert_eq(tokens_find(tokens, "secret", 1, &role, &name), 0);
	cr_assert_eq(role, TOKEN_ROLE_READ);
	cr_assert_str_eq(name, "monitor");
}

Test(tokens, what_is_malformed_is_refused)
{
	refused("\nread monitor\n", "line 2: expected");
	refused("read monitor " HASH " 2027-01-15T08:00:00Z more", "line 1: expected");
	refused("write monitor " HASH, "role 'write'");
	refused("read mon/itor " HASH, "a name has");
	refused("read monitor 2bb8", "not a SHA-256");
	refused("read monitor " HASH "00", "not a SHA-256");
	refused("read monitor " HASH " tomorrow", "'tomorrow' is not an instant");
	refused("read a " HASH "\noperate b " HASH, "line 2: this token is on the list already");
}
