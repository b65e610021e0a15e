/* SPDX-License-Identifier: Apache-2.0
 *
 * A small HTTP/1.1 server on the daemon's own event loop: no threads, so that a
 * handler may look at the daemon's state as it is. libmicrohttpd reads and
 * writes HTTP; here are the routes, the limits and the loop.
 *
 *     static void on_metrics(const struct http_request *request, struct http_reply *reply,
 *                            void *userdata)
 *     {
 *             http_reply_text(reply, 200, "text/plain", "up 1\n");
 *     }
 *
 *     static const struct http_route routes[] = {
 *             { "GET", "/metrics", on_metrics },
 *             { 0 },
 *     };
 *
 * What the server answers on its own: 404 (no such path), 405 with Allow (a path,
 * but not with that method), 413 (a body larger than the limit), 500 (a handler
 * that answered nothing, or no memory), and what libmicrohttpd says of requests
 * that are no HTTP. HEAD is answered where GET is.
 *
 * An answer may come later, or bit by bit for as long as the client listens
 * (http_reply_later(), http_reply_stream()); the others are served meanwhile.
 */
#ifndef COMMON_HTTP_H
#define COMMON_HTTP_H

#include <stddef.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "common/address.h"
#include "common/cleanup.h"
#include "common/error.h"

#define HTTP_BODY_MAX ((size_t)64 << 10) /* unless the configuration says otherwise */
#define HTTP_CONNECTIONS_MAX 64
#define HTTP_CONNECTIONS_EACH_MAX 16 /* from one address */
#define HTTP_TIMEOUT_S 10            /* of silence, then a connection is closed */
#define HTTP_REQUEST_MAX_S 30        /* for a body to arrive, however busily it drips */

struct http_request;
struct http_reply;
struct http_server;
struct http_later;
struct http_stream;

/* Answers with one call of http_reply_…(). */
typedef void (*http_handler_fn)(const struct http_request *request, struct http_reply *reply,
				void *userdata);

struct http_route {
	const char *method; /* "GET"; NULL ends a table */
	const char *path;   /* "/metrics"; "/vms/" followed by '*' takes all that begins so */
	http_handler_fn fn;
};

struct http_config {
	struct address listen;           /* port 0: any */
	const struct http_route *routes; /* the first that fits; must outlive the server */
	size_t body_max;                 /* bytes; 0: HTTP_BODY_MAX */
	unsigned connections, connections_each; /* 0: the limits above */
	unsigned timeout_s;              /* 0: HTTP_TIMEOUT_S */
	/* In PEM, for TLS 1.2 and later; both NULL: in the clear. Borrowed. */
	const char *certificate, *key;
	/* How the server's own errors are put; NULL: a line of plain text. */
	void (*on_error)(struct http_reply *reply, unsigned status, const char *text);
	void *userdata;                  /* for the handlers */
};

/* Fails with -EADDRINUSE and the like; the text names the address. */
int http_server_new(sd_event *loop, const struct http_config *config, struct http_server **ret,
		    struct mg_error *err);

/* Closes every connection. Not to be called by a handler. */
void http_server_free(struct http_server *s);
DEFINE_CLEANUP(struct http_server, http_server_free)

/* Where it listens. */
const struct address *http_server_local(const struct http_server *s);

/* ---- What was asked; all of it lives as long as the handler runs ------------------ */

const char *http_request_method(const struct http_request *r);
const char *http_request_path(const struct http_request *r);

/* What the '*' of the route stands for; "" without one. Its bytes are the
 * client's: anything but NUL. */
const char *http_request_rest(const struct http_request *r);

/* An argument of the query ("?name=value"), decoded; NULL when it is not there,
 * "" when it has no value. */
const char *http_request_argument(const struct http_request *r, const char *name);

/* All of them, in their order. */
typedef void (*http_argument_fn)(const char *name, const char *value, void *userdata);
void http_request_arguments(const struct http_request *r, http_argument_fn fn, void *userdata);

/* A header by its name, in whatever case; NULL when it is not there. */
const char *http_request_header(const struct http_request *r, const char *name);

/* The whole body, with a NUL behind it. */
const char *http_request_body(const struct http_request *r, size_t *ret_len);

/* ---- What is answered ---------------------------------------------------------------- */

/* Takes ownership of `body`, which was allocated by malloc(3), also on failure. */
void http_reply_take(struct http_reply *reply, unsigned status, const char *type, char *body,
		     size_t len);

/* The same with a copy of a text. */
void http_reply_text(struct http_reply *reply, unsigned status, const char *type, const char *text);

/* One line of plain text. */
void http_reply_error(struct http_reply *reply, unsigned status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* A header besides; after http_reply_…(), and ignored when that failed. */
void http_reply_header(struct http_reply *reply, const char *name, const char *value);

/* ---- What is answered later ------------------------------------------------------------ */

/* The client waits from now on, until http_later_send(), which must be called
 * once, before the server is freed. NULL: no memory. */
struct http_later *http_reply_later(struct http_reply *reply);

/* Where the answer is put. */
struct http_reply *http_later_reply(struct http_later *later);

/* Sends it, and ends `later`. */
void http_later_send(struct http_later *later);

/* ---- What is answered bit by bit --------------------------------------------------------- */

struct http_stream_ops {
	/* Writes at most `max` bytes, as soon as the client has taken what came before.
	 * Returns how many; 0: there is nothing now, see http_stream_wake(); negative:
	 * the connection is to be closed. */
	ssize_t (*read)(void *userdata, char *buffer, size_t max);
	void (*end)(void *userdata); /* the client has gone, or the server ends */
};

/* Calls end() too when it fails, which it tells by NULL. The stream lives until then. */
struct http_stream *http_reply_stream(struct http_reply *reply, unsigned status, const char *type,
				      const struct http_stream_ops *ops, void *userdata);

/* There is something to read, or to notice that the client has gone. */
void http_stream_wake(struct http_stream *stream);

#endif
