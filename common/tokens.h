/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may ask over HTTP: a list of tokens, one a line,
 *
 *     ROLE NAME HASH [UNTIL]
 *
 * ROLE is `read` or `operate`, NAME says who holds the token, HASH is the SHA-256
 * of its text in hexadecimal, and UNTIL, when it ends, is an instant such as
 * 2027-01-31T00:00:00Z. '#' begins a comment. The file does not have the tokens
 * themselves; they are 256 random bits, which no list of words has, and so a plain hash
 * of them tells nothing.
 */
#ifndef COMMON_TOKENS_H
#define COMMON_TOKENS_H

#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"

#define TOKEN_PREFIX "tagalong_"
#define TOKEN_TEXT_SIZE 64 /* with the NUL */
#define TOKEN_LINE_SIZE 256

/* Each may do what the one before may. */
enum token_role {
	TOKEN_ROLE_NONE, /* whoever comes */
	TOKEN_ROLE_READ,
	TOKEN_ROLE_OPERATE,
};

int token_role_parse(const char *text, enum token_role *ret); /* "read", "operate" */

struct tokens;

/* An empty list admits nobody; a malformed line is an error that names it, and
 * nothing is taken from the file. */
int tokens_load(const char *path, struct tokens **ret, struct mg_error *err);
int tokens_parse(const char *text, size_t len, struct tokens **ret, struct mg_error *err);
void tokens_free(struct tokens *tokens);
DEFINE_CLEANUP(struct tokens, tokens_free)

/* Whose token it is. 0, -ENOENT (nobody's) or -EKEYEXPIRED. The name lives as
 * long as the list. */
int tokens_find(const struct tokens *tokens, const char *token, uint64_t now_utc_ns,
		enum token_role *ret_role, const char **ret_name);

/* Makes a token and its line of the list. `until_utc_ns` 0: for ever. sodium_init()
 * comes before. -EINVAL: no such name is allowed. */
int token_make(enum token_role role, const char *name, uint64_t until_utc_ns,
	       char ret_token[TOKEN_TEXT_SIZE], char ret_line[TOKEN_LINE_SIZE],
	       struct mg_error *err);

#endif
