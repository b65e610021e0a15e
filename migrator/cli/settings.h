/* SPDX-License-Identifier: Apache-2.0
 *
 * migrator.yaml: who we are, where placementd is, and the nodes that may be
 * spoken to directly.
 */
#ifndef MIGRATOR_CLI_SETTINGS_H
#define MIGRATOR_CLI_SETTINGS_H

#include <stdbool.h>

#include "common/cleanup.h"
#include "common/error.h"

/* A program that we connect to. */
struct server_settings {
	char *name; /* NULL for placementd */
	char *endpoint;
	char *key; /* public, Z85; NULL in plain text */
};

struct settings {
	char *name; /* ours, as the allow lists have it */
	char *key;  /* our secret key file */
	struct server_settings *controller; /* as written; what counts is the list */
	struct server_settings *controllers;
	unsigned n_controllers; /* of which one leads; 0: none */
	struct server_settings *nodes;
	unsigned n_nodes;
	bool plain_text_bus;
	char *path; /* the file that all this is from */
};

/* Loads `path`, or when NULL the file that the environment says (see
 * migrator(1)). A key file without '/' at its front lies beside the file. */
int settings_load(const char *path, struct settings **ret, struct mg_error *err);

/* The same for text; `path` stands for where it lies. */
int settings_parse(const char *path, const char *text, size_t len, struct settings **ret,
		   struct mg_error *err);
void settings_free(struct settings *s);
DEFINE_CLEANUP(struct settings, settings_free)

/* The node of that name or at that endpoint. Fills a server that borrows from
 * `s` and `node`. -ENOENT says what to add. */
int settings_find_node(const struct settings *s, const char *node, struct server_settings *ret,
		       struct mg_error *err);

#endif
