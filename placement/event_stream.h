/* SPDX-License-Identifier: Apache-2.0
 *
 * Events for HTTP clients as they happen (server-sent events, WHATWG HTML section
 * 9.2). The last ones are kept, so that a client whose connection broke goes on
 * where it was (Last-Event-ID). Nothing is kept for one client: who reads so slowly
 * that the events it has not read are no longer kept is cut off.
 */
#ifndef PLACEMENT_EVENT_STREAM_H
#define PLACEMENT_EVENT_STREAM_H

#include "common/http.h"

#define EVENT_STREAM_KEPT 1024
#define EVENT_STREAM_ALIVE_S 5 /* between two signs of life */

enum event_type { EVENT_MOVE, EVENT_RTT, EVENT_TYPES };

struct event_stream;

int event_stream_new(sd_event *loop, struct event_stream **ret, struct mg_error *err);

/* After the HTTP server. */
void event_stream_free(struct event_stream *s);
DEFINE_CLEANUP(struct event_stream, event_stream_free)

/* "move", "rtt"; -EINVAL: none of them. */
int event_type_parse(const char *text, enum event_type *ret);
const char *event_type_name(enum event_type type);

/* `data` is one line; copied. Without memory clients miss it, and are told so. */
void event_stream_add(struct event_stream *s, enum event_type type, const char *data);

/* Answers with a stream of all events, or those of one type (NULL: all). `last_id`
 * (may be NULL) is that of the last event that the client has. When the ones after it
 * are not there any more the stream begins with an event "reset". */
void event_stream_open(struct event_stream *s, struct http_reply *reply, const char *last_id,
		       const enum event_type *type);

/* Ends all streams: another one has the events from now on. */
void event_stream_close(struct event_stream *s);

#endif
