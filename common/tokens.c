/* SPDX-License-Identifier: Apache-2.0 */
#include "common/tokens.h"

#include <sodium.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/keys.h"

#define LIST_MAX ((size_t)4 << 20)
#define HASH_SIZE crypto_hash_sha256_BYTES
#define INSTANT_FORMAT "%Y-%m-%dT%H:%M:%SZ"

struct token {
	enum token_role role;
	char name[PEER_NAME_SIZE];
	uint8_t hash[HASH_SIZE];
	uint64_t until_utc_ns; /* 0: for ever */
};

struct tokens {
	struct token *items;
	size_t n;
};

static const char *const role_names[] = {
	[TOKEN_ROLE_READ] = "read",
	[TOKEN_ROLE_OPERATE] = "operate",
};

int token_role_parse(const char *text, enum token_role *ret)
{
	for (size_t i = TOKEN_ROLE_READ; i < ARRAY_SIZE(role_names); i++)
		if (strcmp(text, role_names[i]) == 0) {
			*ret = (enum token_role)i;
			return 0;
		}
	return -EINVAL;
}

/* ---- Reading -------------------------------------------------------------------- */

static int hash_parse(const char *text, uint8_t ret[HASH_SIZE])
{
	size_t len;

	if (sodium_hex2bin(ret, HASH_SIZE, text, strlen(text), NULL, &len, NULL) < 0)
		return -EINVAL;
	return len == HASH_SIZE && strlen(text) == 2 * HASH_SIZE ? 0 : -EINVAL;
}

static int instant_parse(const char *text, uint64_t *ret_utc_ns)
{
	struct tm tm = { 0 };
	const char *end = strptime(text, INSTANT_FORMAT, &tm);
	time_t seconds = end && !*end ? timegm(&tm) : -1;

	if (seconds <= 0)
		return -EINVAL;
	*ret_utc_ns = (uint64_t)seconds * NS_PER_S;
	return 0;
}

static bool has_hash(const struct tokens *tokens, const uint8_t hash[HASH_SIZE])
{
	for (size_t i = 0; i < tokens->n; i++)
		if (memcmp(tokens->items[i].hash, hash, HASH_SIZE) == 0)
			return true;
	return false;
}

static int token_parse(char *line, unsigned number, struct token *ret, struct mg_error *err)
{
	char *save = NULL, *words[5] = { 0 };

	words[0] = strtok_r(line, " \t\r", &save);
	for (size_t i = 1; i < ARRAY_SIZE(words) && words[i - 1]; i++)
		words[i] = strtok_r(NULL, " \t\r", &save);
	if (!words[0])
		return 0;
	if (!words[2] || words[4])
		return mg_error_set(err, -EINVAL, "line %u: expected 'ROLE NAME HASH [UNTIL]'",
				    number);
	if (token_role_parse(words[0], &ret->role) < 0)
		return mg_error_set(err, -EINVAL, "line %u: role '%.32s' is none of read, operate",
				    number, words[0]);
	if (!peer_name_is_valid(words[1]))
		return mg_error_set(err, -EINVAL,
				    "line %u: a name has 1 to %d letters, digits, '-', '_' or '.'",
				    number, PEER_NAME_SIZE - 1);
	if (hash_parse(words[2], ret->hash) < 0)
		return mg_error_set(err, -EINVAL, "line %u: not a SHA-256 of %d hexadecimal digits",
				    number, 2 * (int)HASH_SIZE);
	if (words[3] && instant_parse(words[3], &ret->until_utc_ns) < 0)
		return mg_error_set(err, -EINVAL,
				    "line %u: '%.40s' is not an instant such as "
				    "2027-01-31T00:00:00Z",
				    number, words[3]);
	strcpy(ret->name, words[1]);
	return 1;
}

static int add_line(struct tokens *tokens, char *line, unsigned number, struct mg_error *err)
{
	struct token token = { 0 }, *items;
	int r;

	line[strcspn(line, "#")] = '\0';
	r = token_parse(line, number, &token, err);
	if (r <= 0)
		return r;
	if (has_hash(tokens, token.hash))
		return mg_error_set(err, -EINVAL, "line %u: this token is on the list already",
				    number);
	items = reallocarray(tokens->items, tokens->n + 1, sizeof(*items));
	if (!items)
		return mg_error_set(err, -ENOMEM, "out of memory");
	tokens->items = items;
	tokens->items[tokens->n++] = token;
	return 0;
}

int tokens_parse(const char *text, size_t len, struct tokens **ret, struct mg_error *err)
{
	_cleanup_(tokens_free_p) struct tokens *tokens = calloc(1, sizeof(*tokens));
	_cleanup_free_ char *copy = strndup(text, len);
	char *line = copy, *next;

	if (!tokens || !copy)
		return mg_error_set(err, -ENOMEM, "out of memory");
	for (unsigned number = 1; line; number++, line = next) {
		int r;

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		r = add_line(tokens, line, number, err);
		if (r < 0)
			return r;
	}
	*ret = TAKE_PTR(tokens);
	return 0;
}

int tokens_load(const char *path, struct tokens **ret, struct mg_error *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	r = file_read(path, LIST_MAX, &text, &len, err);
	if (r < 0)
		return r;
	r = tokens_parse(text, len, ret, err);
	if (r < 0)
		mg_error_prefix(err, "%s", path);
	return r;
}

void tokens_free(struct tokens *tokens)
{
	if (!tokens)
		return;
	free(tokens->items);
	free(tokens);
}

/* ---- Use ------------------------------------------------------------------------ */

static void hash_of(const char *token, uint8_t ret[HASH_SIZE])
{
	crypto_hash_sha256(ret, (const uint8_t *)token, strlen(token));
}

int tokens_find(const struct tokens *tokens, const char *token, uint64_t now_utc_ns,
		enum token_role *ret_role, const char **ret_name)
{
	const struct token *found = NULL;
	uint8_t hash[HASH_SIZE];

	hash_of(token, hash);
	/* In the same time whichever it is. */
	for (size_t i = 0; i < tokens->n; i++)
		if (sodium_memcmp(tokens->items[i].hash, hash, HASH_SIZE) == 0)
			found = &tokens->items[i];
	if (!found)
		return -ENOENT;
	if (found->until_utc_ns && now_utc_ns >= found->until_utc_ns)
		return -EKEYEXPIRED;
	*ret_role = found->role;
	*ret_name = found->name;
	return 0;
}

/* ---- Making --------------------------------------------------------------------- */

int token_make(enum token_role role, const char *name, uint64_t until_utc_ns,
	       char ret_token[TOKEN_TEXT_SIZE], char ret_line[TOKEN_LINE_SIZE],
	       struct mg_error *err)
{
	uint8_t secret[32], hash[HASH_SIZE];
	char hash_text[2 * HASH_SIZE + 1], until[32] = "";
	time_t seconds = (time_t)(until_utc_ns / NS_PER_S);
	struct tm tm;

	if (!peer_name_is_valid(name))
		return mg_error_set(err, -EINVAL,
				    "a name has 1 to %d letters, digits, '-', '_' or '.'",
				    PEER_NAME_SIZE - 1);
	randombytes_buf(secret, sizeof(secret));
	strcpy(ret_token, TOKEN_PREFIX);
	sodium_bin2base64(ret_token + strlen(TOKEN_PREFIX), TOKEN_TEXT_SIZE - strlen(TOKEN_PREFIX),
			  secret, sizeof(secret), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	sodium_memzero(secret, sizeof(secret));
	hash_of(ret_token, hash);
	sodium_bin2hex(hash_text, sizeof(hash_text), hash, sizeof(hash));
	if (until_utc_ns)
		strftime(until, sizeof(until), " " INSTANT_FORMAT, gmtime_r(&seconds, &tm));
	snprintf(ret_line, TOKEN_LINE_SIZE, "%-8s %-20s %s%s", role_names[role], name, hash_text,
		 until);
	return 0;
}
