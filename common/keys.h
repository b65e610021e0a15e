/* SPDX-License-Identifier: Apache-2.0
 *
 * CURVE key pairs (Curve25519, as in CurveZMQ, rfc.zeromq.org/spec/26) and the
 * list of keys that may speak to us. Keys are written in Z85: 40 characters.
 *
 * A key file holds one secret key and is readable by its owner alone; its
 * public half is derived, and `migrator keys` prints it. An allow list has one
 * line a key, '#' starts a comment:
 *
 *     # role      name      public key
 *     controller  main      rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7
 *     node        tower-a   ...
 *     operator    alice     ...
 */
#ifndef COMMON_KEYS_H
#define COMMON_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/cleanup.h"
#include "common/error.h"

#define KEY_TEXT_SIZE 41 /* Z85 of 32 bytes and a NUL */

struct keypair {
	char public_key[KEY_TEXT_SIZE];
	char secret_key[KEY_TEXT_SIZE];
};

enum peer_role {
	PEER_ROLE_NONE, /* unknown: only in plain text */
	PEER_ROLE_CONTROLLER,
	PEER_ROLE_NODE,
	PEER_ROLE_OPERATOR,
};

#define PEER_NAME_SIZE 64 /* letters, digits, '-', '_', '.'; with the NUL */

bool peer_name_is_valid(const char *name);

/* "controller", "node", "operator", "none". */
const char *peer_role_name(enum peer_role role);
int peer_role_parse(const char *text, enum peer_role *ret);

int keypair_generate(struct keypair *ret);

/* Reads a secret key file; refuses one that others may read. */
int keypair_load(const char *path, struct keypair *ret, struct mg_error *err);

/* Writes the secret key, mode 0600; refuses to replace a file (-EEXIST). */
int keypair_save(const char *path, const struct keypair *keys, struct mg_error *err);

struct allow_list;

/* An empty or missing list admits nobody; a malformed line is an error that
 * names it, and nothing is taken from the file. */
int allow_list_load(const char *path, struct allow_list **ret, struct mg_error *err);
int allow_list_parse(const char *text, size_t len, struct allow_list **ret, struct mg_error *err);
void allow_list_free(struct allow_list *list);
DEFINE_CLEANUP(struct allow_list, allow_list_free)

/* Finds a key. Returns false for one that is not on the list. The name lives
 * as long as the list. */
bool allow_list_find(const struct allow_list *list, const char *public_key,
		     enum peer_role *ret_role, const char **ret_name);

/* The key of a named peer, or NULL. */
const char *allow_list_key_of(const struct allow_list *list, enum peer_role role,
			      const char *name);

/* The i-th line of the list; false past its end. */
bool allow_list_get(const struct allow_list *list, size_t i, enum peer_role *ret_role,
		    const char **ret_name, const char **ret_key);

#endif
