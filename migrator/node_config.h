/* SPDX-License-Identifier: Apache-2.0
 *
 * migratord.yaml. docs/man/migratord.8.scd describes it.
 */
#ifndef MIGRATOR_NODE_CONFIG_H
#define MIGRATOR_NODE_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"

struct controller_config {
	char *endpoint;
	char *key; /* public, Z85; NULL only with plain_text_bus */
};

struct node_config {
	char *name;
	char *key;   /* file with our secret key */
	char *allow; /* file with the keys that may speak to us */
	char *listen;
	char *advertise;      /* what peers use instead of listen; NULL: the same */
	char *data_listen;
	char *data_advertise; /* NULL: the same */
	char *metrics; /* IP:PORT, HTTP; NULL: not served */
	struct controller_config *controller; /* as written; what counts is the list */
	struct controller_config *controllers;
	unsigned n_controllers; /* of which one leads; 0: none */
	char *state_dir;
	char *ram_dir;
	char *huge_page_dir; /* NULL: none */
	char *memory; /* as written; memory_bytes is what it means */
	char *shadow_memory; /* NULL: the default; shadow_bytes is what it means */
	uint32_t *data_connections; /* of a move that leaves; as written: connections is what it means */
	uint32_t vcpus;
	uint32_t moves_out; /* that leave at a time; 0: as many as are ordered */
	uint32_t moves_in;  /* that arrive at a time; 0: as many as are asked for */
	char *qemu;
	char *qemu_user; /* NULL: as ourselves */
	char *cgroup;    /* NULL: none */
	char *relay_dir; /* where relays have their sockets; NULL: there are none */
	char *image_dir;     /* NULL: "images" in state_dir */
	char *image_budget;  /* as written; image_budget_bytes is what it means */
	char *image_max_age; /* as written; image_max_age_ns is what it means */
	bool plain_text_bus;
	bool plain_text_data;
	uint64_t memory_bytes;
	uint64_t image_budget_bytes;
	uint64_t image_max_age_ns;
	uint64_t shadow_bytes;
	uint32_t connections;
};

int node_config_load(const char *path, struct node_config **ret, struct mg_error *err);
int node_config_parse(const char *name, const char *text, size_t len, struct node_config **ret,
		      struct mg_error *err);
void node_config_free(struct node_config *c);
DEFINE_CLEANUP(struct node_config, node_config_free)

#endif
