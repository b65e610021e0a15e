/* SPDX-License-Identifier: Apache-2.0
 *
 * A real etcd-server for a test: one member on 127.0.0.1, with its data in a
 * folder of its own. It dies with the test.
 */
#ifndef TESTS_PLACEMENT_ETCD_SERVER_H
#define TESTS_PLACEMENT_ETCD_SERVER_H

#include <sys/types.h>

#include "placement/store_etcd.h"

struct etcd_server {
	pid_t pid; /* 0: does not run */
	char dir[64], client_url[64], peer_url[64];
	const char *quota; /* in bytes; NULL: etcd's default */

	/* For store_etcd_open(). */
	struct etcd_config config;
	const char *endpoints[1];
};

/* Chooses folder and ports, and starts. Skips the test where there is no etcd. */
void etcd_server_make(struct etcd_server *s);
void etcd_server_start(struct etcd_server *s); /* again, with the same data */
void etcd_server_signal(struct etcd_server *s, int signal); /* SIGKILL and SIGSTOP are waited for */
void etcd_server_remove(struct etcd_server *s);

#endif
