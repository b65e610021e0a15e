/* SPDX-License-Identifier: Apache-2.0
 *
 * Plays placementd or a migratord on the real bus, and runs the real `migrator`
 * against it.
 */
#ifndef TESTS_FAKE_SERVER_H
#define TESTS_FAKE_SERVER_H

#include "common/bus.h"

struct fake;

/* Answers one request, with fake_reply() and its like, or not at all. */
typedef void fake_answer_fn(struct fake *f, const Envelope *request);

struct fake {
	fake_answer_fn *answer;
	void *userdata;
	char folder[64]; /* holds migrator.yaml, keys, output */

	/* The last request, and how many there were. */
	Envelope *request;
	unsigned requests;
	unsigned dones; /* that the command sent us */

	/* The command's input and output are a terminal, 100 columns wide, on which
	 * this is typed; NULL: /dev/null and a file. */
	const char *typed;

	/* What the last fake_run() gave. */
	int exit_code;
	char out[16384], err[4096];

	sd_event *loop;
	struct keypair server_keys, operator_keys;
	struct allow_list *allow;
	struct bus *bus;
	struct bus_socket *router;
	struct bus_peer peer; /* who asked last */
	char endpoint[256];
	int child;
	int terminal; /* our side of it; -1 when there is none */
	size_t shown;
};

/* Starts a server and writes a configuration in which it is the controller and
 * the node "tower-a"; there is also "tower-b", which nothing listens for. */
void fake_start(struct fake *f, fake_answer_fn *answer);
void fake_stop(struct fake *f);

/* Removes the folder of the last server, also after a test that failed: the
 * suite's .fini. */
void fake_fini(void);

/* The server goes away, and comes back at the same endpoint. */
void fake_down(struct fake *f);
void fake_up(struct fake *f);

/* Runs `migrator ARGUMENT...` (the last one NULL) while the server serves;
 * `fake_run(f, "status", NULL)`. Fails the test when it takes too long. */
void fake_run(struct fake *f, ...) __attribute__((sentinel));

void fake_reply(struct fake *f, const Envelope *request, Envelope *e);
void fake_reply_done(struct fake *f, const Envelope *request);
void fake_reply_failure(struct fake *f, const Envelope *request, const char *text);

/* Sends a message that every reader refuses. */
void fake_send_garbage(struct fake *f);

/* A path in the test's folder; good for a few calls of this or of fake_run(). */
const char *fake_path(const struct fake *f, const char *name);
void fake_write(const struct fake *f, const char *name, const char *text);

#endif
