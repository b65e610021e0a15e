/* SPDX-License-Identifier: Apache-2.0
 *
 * One connection to placementd or to a migratord, with requests that wait for
 * their answer.
 *
 * Until the bus has a connection a request is offered again and again, and
 * one that may be repeated is repeated each second until it is answered:
 * messages are lost when a server restarts. What takes too long ends with
 * CLI_UNREACHABLE and a text that says what to check.
 */
#ifndef MIGRATOR_CLI_CLIENT_H
#define MIGRATOR_CLI_CLIENT_H

#include "common/envelope.h"
#include "migrator/cli/cli.h"
#include "migrator/cli/settings.h"

struct client;

/* Borrows `settings` and `server` while it lives. No I/O yet. */
enum cli_exit client_new(const struct settings *settings, const struct server_settings *server,
			 struct client **ret, struct mg_error *err);
void client_free(struct client *c);
DEFINE_CLEANUP(struct client, client_free)

/* "placementd at tcp://…", "tower-a at tcp://…": for texts. */
const char *client_server(const struct client *c);

enum request_kind {
	REQUEST_ONCE,       /* sent once: doing it twice would be an error */
	REQUEST_REPEATABLE, /* idempotent */
};

/* Sends `request` (its body set) and waits for the answer to it. A Failure
 * ends with CLI_FAILED and its text, and so does an answer that is not
 * `expected`. *ret (when not NULL) is freed with envelope_free(). */
enum cli_exit client_call(struct client *c, enum request_kind kind, Envelope *request,
			  Tagalong__Envelope__BodyCase expected, uint64_t timeout_ns,
			  Envelope **ret, struct mg_error *err);

/* What arrives unasked. Not called with answers of client_call(). */
typedef void (*client_event_fn)(const Envelope *e, void *userdata);
void client_on_event(struct client *c, client_event_fn fn, void *userdata);

/* Sends without waiting. False when there is no connection just now. */
bool client_send(struct client *c, Envelope *e);
void client_answer_done(struct client *c, const Envelope *to);

/* Runs the loop until something arrived, or `timeout_ns` passed. Returns false
 * when SIGINT or SIGTERM arrived; client_catch_signals() has them caught. */
bool client_wait(struct client *c, uint64_t timeout_ns);
enum cli_exit client_catch_signals(struct client *c, struct mg_error *err);

#endif
