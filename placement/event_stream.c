/* SPDX-License-Identifier: Apache-2.0 */
#include "placement/event_stream.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#include "common/clock.h"

#define GREETING "retry: 2000\n\n"
#define RESET "event: reset\ndata: {}\n\n"
#define ALIVE ":\n\n"
#define ACCURACY_US 100000

struct event {
	char *text; /* as it is sent; NULL: lost */
	size_t len;
	enum event_type type;
};

struct event_stream {
	sd_event_source *timer;
	uint64_t run;  /* ids of another run are not ours */
	uint64_t next; /* number of the next event; from 0 */
	struct event ring[EVENT_STREAM_KEPT];
	struct listener *listeners;
};

struct listener {
	struct event_stream *stream;
	struct http_stream *http;
	struct listener *next;
	const char *words; /* to be said before any event, or NULL */
	uint64_t at;       /* number of the event that is read next, */
	size_t offset;     /* and how much of it was */
	bool all, closed;
	enum event_type type; /* unless all */
};

static const char *const names[] = { [EVENT_MOVE] = "move", [EVENT_RTT] = "rtt" };

int event_type_parse(const char *text, enum event_type *ret)
{
	for (size_t i = 0; i < EVENT_TYPES; i++)
		if (strcmp(text, names[i]) == 0) {
			*ret = (enum event_type)i;
			return 0;
		}
	return -EINVAL;
}

const char *event_type_name(enum event_type type)
{
	return names[type];
}

static uint64_t oldest(const struct event_stream *s)
{
	return s->next > EVENT_STREAM_KEPT ? s->next - EVENT_STREAM_KEPT : 0;
}

/* ---- Listeners ------------------------------------------------------------------ */

/* As much of a text as there is room for; true when that was all of it. */
static bool put(struct listener *l, const char *text, size_t len, char *buffer, size_t max,
		size_t *n)
{
	size_t part = len - l->offset;

	if (part > max - *n)
		part = max - *n;
	memcpy(buffer + *n, text + l->offset, part);
	*n += part;
	l->offset += part;
	if (l->offset < len)
		return false;
	l->offset = 0;
	return true;
}

static ssize_t on_read(void *userdata, char *buffer, size_t max)
{
	struct listener *l = userdata;
	struct event_stream *s = l->stream;
	size_t n = 0;

	if (l->closed || l->at < oldest(s))
		return -1;
	if (l->words) {
		if (!put(l, l->words, strlen(l->words), buffer, max, &n))
			return (ssize_t)n;
		l->words = NULL;
	}
	while (l->at < s->next && n < max) {
		const struct event *e = &s->ring[l->at % EVENT_STREAM_KEPT];

		if (!e->text)
			return -1;
		if ((l->all || e->type == l->type) && !put(l, e->text, e->len, buffer, max, &n))
			break;
		l->at++;
	}
	return (ssize_t)n;
}

static void on_end(void *userdata)
{
	struct listener *l = userdata, **at;

	for (at = &l->stream->listeners; *at != l; at = &(*at)->next)
		;
	*at = l->next;
	free(l);
}

/* Where to begin; false when what comes after that event is gone. */
static bool find_place(const struct event_stream *s, const char *last_id, uint64_t *ret)
{
	uint64_t run, number;
	int end = 0;

	*ret = s->next;
	if (!last_id || !*last_id)
		return true;
	if (strlen(last_id) > 40 ||
	    sscanf(last_id, "%16" SCNx64 "-%18" SCNu64 "%n", &run, &number, &end) != 2 ||
	    last_id[end] || run != s->run || number >= s->next || number + 1 < oldest(s))
		return false;
	*ret = number + 1;
	return true;
}

void event_stream_open(struct event_stream *s, struct http_reply *reply, const char *last_id,
		       const enum event_type *type)
{
	static const struct http_stream_ops ops = { on_read, on_end };
	struct listener *l = calloc(1, sizeof(*l));
	struct http_stream *http;

	if (!l)
		return;
	l->stream = s;
	l->all = !type;
	l->type = type ? *type : EVENT_MOVE;
	l->words = find_place(s, last_id, &l->at) ? GREETING : GREETING RESET;
	l->next = s->listeners;
	s->listeners = l;
	http = http_reply_stream(reply, 200, "text/event-stream", &ops, l);
	if (!http)
		return; /* and there is no listener any more */
	l->http = http;
	http_reply_header(reply, "Cache-Control", "no-store");
}

static void wake_all(struct event_stream *s)
{
	for (struct listener *l = s->listeners; l; l = l->next)
		http_stream_wake(l->http);
}

void event_stream_close(struct event_stream *s)
{
	for (struct listener *l = s->listeners; l; l = l->next)
		l->closed = true;
	wake_all(s);
	randombytes_buf(&s->run, sizeof(s->run)); /* another leads, and has events that we have not */
}

/* Who has gone is noticed when something is sent. */
static int on_timer(sd_event_source *source, uint64_t due_us, void *userdata)
{
	struct event_stream *s = userdata;

	(void)due_us;
	for (struct listener *l = s->listeners; l; l = l->next)
		if (!l->words && l->offset == 0)
			l->words = ALIVE;
	wake_all(s);
	sd_event_source_set_time_relative(source, EVENT_STREAM_ALIVE_S * NS_PER_S / NS_PER_US);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* ---- Events --------------------------------------------------------------------- */

void event_stream_add(struct event_stream *s, enum event_type type, const char *data)
{
	struct event *e = &s->ring[s->next % EVENT_STREAM_KEPT];
	int n;

	free(e->text);
	n = asprintf(&e->text, "id: %016" PRIx64 "-%" PRIu64 "\nevent: %s\ndata: %s\n\n", s->run,
		     s->next, names[type], data);
	if (n < 0)
		e->text = NULL;
	e->len = e->text ? (size_t)n : 0;
	e->type = type;
	s->next++;
	wake_all(s);
}

int event_stream_new(sd_event *loop, struct event_stream **ret, struct mg_error *err)
{
	_cleanup_(event_stream_free_p) struct event_stream *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return mg_error_set(err, -ENOMEM, "out of memory");
	randombytes_buf(&s->run, sizeof(s->run));
	r = sd_event_add_time_relative(loop, &s->timer, CLOCK_MONOTONIC,
				       EVENT_STREAM_ALIVE_S * NS_PER_S / NS_PER_US, ACCURACY_US,
				       on_timer, s);
	if (r < 0)
		return mg_error_set(err, r, "event loop: %s", strerror(-r));
	*ret = TAKE_PTR(s);
	return 0;
}

void event_stream_free(struct event_stream *s)
{
	if (!s)
		return;
	sd_event_source_disable_unref(s->timer);
	for (size_t i = 0; i < EVENT_STREAM_KEPT; i++)
		free(s->ring[i].text);
	free(s);
}
