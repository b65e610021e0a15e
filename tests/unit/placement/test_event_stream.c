/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "placement/event_stream.h"

#define TEXT_MAX ((size_t)64 << 20)
#define BIG ((size_t)16 << 10) /* bytes of an event that fills sockets */

struct world {
	sd_event *loop;
	struct http_server *server;
	struct event_stream *events;
};

/* One who listens, and all that it has read. */
struct client {
	struct world *world;
	int fd;
	char *text;
	size_t len;
	bool ended;
};

static void on_events(const struct http_request *request, struct http_reply *reply, void *userdata)
{
	const char *name = http_request_argument(request, "type");
	struct world *w = userdata;
	enum event_type type;

	cr_assert(!name || event_type_parse(name, &type) == 0);
	event_stream_open(w->events, reply, http_request_header(request, "Last-Event-ID"),
			  name ? &type : NULL);
}

static const struct http_route routes[] = { { "GET", "/events", on_events }, { 0 } };

static void world_start(struct world *w, unsigned timeout_s)
{
	struct http_config config = { .routes = routes, .timeout_s = timeout_s, .userdata = w };
	struct mg_error err = { 0 };

	*w = (struct world){ 0 };
	cr_assert_eq(address_parse("127.0.0.1:0", 0, &config.listen), 0);
	cr_assert_geq(sd_event_new(&w->loop), 0);
	cr_assert_eq(event_stream_new(w->loop, &w->events, &err), 0, "%s", err.text);
	cr_assert_eq(http_server_new(w->loop, &config, &w->server, &err), 0, "%s", err.text);
}

static void world_end(struct world *w)
{
	http_server_free(w->server);
	event_stream_free(w->events);
	sd_event_unref(w->loop);
}

/* By HTTP/1.0, whose bodies come as they are. The receive buffer of who is `slow` is small. */
static void listen_from(struct client *c, struct world *w, bool slow, const char *query,
			const char *last_id)
{
	const struct address *a = http_server_local(w->server);
	const int few = 4096;
	char request[256];
	int n;

	*c = (struct client){ .world = w, .text = malloc(TEXT_MAX) };
	cr_assert_not_null(c->text);
	c->text[0] = '\0';
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (slow)
		cr_assert_eq(setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &few, sizeof(few)), 0);
	cr_assert_eq(connect(c->fd, &a->any, address_len(a)), 0);
	n = snprintf(request, sizeof(request), "GET /events%s HTTP/1.0\r\nHost: h\r\n%s%s%s\r\n",
		     query, last_id ? "Last-Event-ID: " : "", last_id ? last_id : "",
		     last_id ? "\r\n" : "");
	cr_assert_eq(send(c->fd, request, (size_t)n, 0), n);
}

static void client_close(struct client *c)
{
	close(c->fd);
	free(c->text);
}

static void turn(struct world *w, uint64_t us)
{
	cr_assert_geq(sd_event_run(w->loop, us), 0);
}

/* What is there; false: nothing, just now. */
static bool take(struct client *c)
{
	ssize_t n = recv(c->fd, c->text + c->len, TEXT_MAX - 1 - c->len, MSG_DONTWAIT);

	if (n > 0)
		c->len += (size_t)n;
	else if (n == 0 || errno == ECONNRESET)
		c->ended = true;
	c->text[c->len] = '\0';
	return n > 0;
}

static const char *body_of(const struct client *c)
{
	const char *head_end = strstr(c->text, "\r\n\r\n");

	return head_end ? head_end + 4 : "";
}

/* Reads until it has this; the test's own timeout is the end of patience. */
static void read_until(struct client *c, const char *text)
{
	while (!strstr(body_of(c), text)) {
		if (!take(c))
			turn(c->world, 1000);
		cr_assert(!c->ended, "it ends without '%s': %.300s", text, body_of(c));
	}
}

static void read_to_end(struct client *c)
{
	while (!c->ended)
		if (!take(c))
			turn(c->world, 1000);
}

/* That of the event whose data is this. */
static const char *id_of(const struct client *c, const char *data)
{
	static char id[64];
	char line[64], *at;

	snprintf(line, sizeof(line), "data: %s\n", data);
	at = strstr(body_of(c), line);
	cr_assert_not_null(at, "no event '%s'", data);
	while (strncmp(at, "id: ", 4) != 0)
		at--;
	snprintf(id, sizeof(id), "%.*s", (int)strcspn(at + 4, "\n"), at + 4);
	return id;
}

#define BEGINNING "retry: 2000\n\n"
#define RESET "event: reset\ndata: {}\n\n"

static void add_numbers(struct world *w, unsigned from, unsigned to)
{
	char data[16];

	for (unsigned i = from; i < to; i++) {
		snprintf(data, sizeof(data), "n%u", i);
		event_stream_add(w->events, EVENT_MOVE, data);
	}
}

/* A new client with this id gets exactly this data after the beginning, "n1 end0 ", and none that
 * was there before. The last of it is the event that is added here. */
static void resumes(struct world *w, const char *last_id, bool reset, const char *data)
{
	static unsigned ends;
	const char *beginning = reset ? BEGINNING RESET : BEGINNING, *at;
	char found[256] = "", end[32], mark[48];
	struct client c;

	listen_from(&c, w, false, "", last_id);
	read_until(&c, beginning);
	snprintf(end, sizeof(end), "end%u", ends++);
	event_stream_add(w->events, EVENT_MOVE, end);
	snprintf(mark, sizeof(mark), "data: %s\n\n", end);
	read_until(&c, mark);
	at = body_of(&c);
	cr_assert_eq(strncmp(at, beginning, strlen(beginning)), 0, "%s: %.200s", last_id, at);
	at += strlen(beginning);
	cr_assert_null(strstr(at, "event: reset"));
	while ((at = strstr(at, "data: "))) {
		at += strlen("data: ");
		snprintf(found + strlen(found), sizeof(found) - strlen(found), "%.*s ",
			 (int)strcspn(at, "\n"), at);
		cr_assert_lt(strlen(found), sizeof(found) - 1, "%s", last_id);
	}
	cr_assert_str_eq(found, data, "%s: %s", last_id, found);
	client_close(&c);
}

Test(event_stream, who_listens_gets_what_happens_from_then_on, .timeout = 120)
{
	struct client all, moves;
	struct world w;
	char wanted[512], id[64];

	world_start(&w, 0);
	event_stream_add(w.events, EVENT_MOVE, "before");
	listen_from(&all, &w, false, "", NULL);
	listen_from(&moves, &w, false, "?type=move", NULL);
	read_until(&all, BEGINNING);
	read_until(&moves, BEGINNING);
	event_stream_add(w.events, EVENT_RTT, "{\"rtt\":1}");
	event_stream_add(w.events, EVENT_MOVE, "{\"move\":2}");
	read_until(&all, "data: {\"move\":2}\n\n");
	read_until(&moves, "data: {\"move\":2}\n\n");
	cr_assert(strstr(all.text, "HTTP/1.1 200 ") || strstr(all.text, "HTTP/1.0 200 "));
	cr_assert_not_null(strstr(all.text, "Content-Type: text/event-stream\r\n"));
	cr_assert_not_null(strstr(all.text, "Cache-Control: no-store\r\n"));
	strcpy(id, id_of(&all, "{\"rtt\":1}"));
	snprintf(wanted, sizeof(wanted),
		 BEGINNING "id: %s\nevent: rtt\ndata: {\"rtt\":1}\n\nid: %s\nevent: move\n"
			   "data: {\"move\":2}\n\n",
		 id, id_of(&all, "{\"move\":2}"));
	cr_assert_str_eq(body_of(&all), wanted);
	cr_assert_str_neq(id, id_of(&all, "{\"move\":2}"));
	cr_assert_null(strstr(body_of(&moves), "event: rtt"));
	cr_assert_null(strstr(body_of(&moves), "before"));
	client_close(&all);
	client_close(&moves);
	world_end(&w);
}

Test(event_stream, who_comes_back_goes_on_where_it_was, .timeout = 120)
{
	struct client first;
	struct world w;
	char id[64], odd[96];

	world_start(&w, 0);
	listen_from(&first, &w, false, "", NULL);
	read_until(&first, BEGINNING);
	add_numbers(&w, 0, 3);
	read_until(&first, "data: n2\n");
	resumes(&w, id_of(&first, "n0"), false, "n1 n2 end0 ");
	resumes(&w, id_of(&first, "n1"), false, "n2 end0 end1 ");
		/* Ids that are none of ours: of another run, of what is to come, and no ids. */
	strcpy(id, id_of(&first, "n2"));
	snprintf(odd, sizeof(odd), "%.17s99", id);
	resumes(&w, odd, true, "end2 ");
	snprintf(odd, sizeof(odd), "%sx", id);
	resumes(&w, odd, true, "end3 ");
	snprintf(odd, sizeof(odd), "%c%s", id[0] == '0' ? '1' : '0', id + 1);
	resumes(&w, odd, true, "end4 ");
	resumes(&w, "x", true, "end5 ");
	resumes(&w, "0000000000000000000000000000000000000000000", true, "end6 ");
	resumes(&w, "", false, "end7 ");
	client_close(&first);
	world_end(&w);
}

/* As fast as the client takes it, though it is many writes. */
Test(event_stream, what_was_missed_comes_at_once, .timeout = 120)
{
	struct client first, again;
	struct world w;
	char data[4096];
	uint64_t since;

	world_start(&w, 0);
	listen_from(&first, &w, false, "", NULL);
	read_until(&first, BEGINNING);
	add_numbers(&w, 0, 1);
	read_until(&first, "data: n0\n");
	memset(data, 'x', sizeof(data) - 1);
	data[sizeof(data) - 1] = '\0';
	for (unsigned i = 0; i < EVENT_STREAM_KEPT - 1; i++)
		event_stream_add(w.events, EVENT_MOVE, data);
	event_stream_add(w.events, EVENT_MOVE, "the last");
	since = clock_mono_ns();
	listen_from(&again, &w, false, "", id_of(&first, "n0"));
	while (again.len < strlen("the last\n\n") ||
	       strcmp(again.text + again.len - strlen("the last\n\n"), "the last\n\n") != 0)
		if (!take(&again))
			turn(&w, NS_PER_S / NS_PER_US);
	cr_assert_lt(clock_mono_ns() - since, 5 * NS_PER_S);
	client_close(&first);
	client_close(&again);
	world_end(&w);
}

Test(event_stream, what_is_no_longer_kept_is_a_reset, .timeout = 120)
{
	struct client first, again;
	char kept[64], lost[64];
	struct world w;

	world_start(&w, 0);
	listen_from(&first, &w, false, "", NULL);
	read_until(&first, BEGINNING);
	add_numbers(&w, 0, 2);
	read_until(&first, "data: n1\n");
	strcpy(lost, id_of(&first, "n0"));
	strcpy(kept, id_of(&first, "n1"));
	/* Behind n1 there are as many as are kept. */
	add_numbers(&w, 2, 2 + EVENT_STREAM_KEPT);
	listen_from(&again, &w, false, "", kept);
	read_until(&again, "data: n1025\n");
	cr_assert_null(strstr(body_of(&again), "event: reset"));
	cr_assert_not_null(strstr(body_of(&again), "data: n2\n"));
	resumes(&w, lost, true, "end0 ");
	client_close(&first);
	client_close(&again);
	world_end(&w);
}

/* It has fallen behind by more than is kept; the one beside it has all. */
Test(event_stream, who_reads_too_slowly_is_cut_off_and_holds_up_nobody, .timeout = 120)
{
	struct client slow, quick;
	struct world w;
	char *data = malloc(BIG);
	unsigned n = 2 * EVENT_STREAM_KEPT;
	char mark[32];

	world_start(&w, 60);
	listen_from(&slow, &w, true, "", NULL);
	listen_from(&quick, &w, false, "", NULL);
	read_until(&slow, BEGINNING);
	read_until(&quick, BEGINNING);
	memset(data, 'x', BIG - 1);
	data[BIG - 1] = '\0';
	for (unsigned i = 0; i < n; i++) {
		event_stream_add(w.events, EVENT_MOVE, data);
		snprintf(mark, sizeof(mark), "-%u\n", i);
		while (!strstr(quick.text + (quick.len > 2 * BIG ? quick.len - 2 * BIG : 0), mark))
			if (!take(&quick))
				turn(&w, 1000);
	}
	cr_assert_gt(quick.len, n * BIG);
	cr_assert(!quick.ended);
	read_to_end(&slow);
	cr_assert_lt(slow.len, n * BIG / 2);
	event_stream_add(w.events, EVENT_MOVE, "still here");
	read_until(&quick, "data: still here\n");
	free(data);
	client_close(&slow);
	client_close(&quick);
	world_end(&w);
}

/* It takes nothing at all: that is noticed by the clock, whatever is kept. */
Test(event_stream, who_takes_nothing_is_cut_off, .timeout = 120)
{
	struct client stuck;
	struct world w;
	char *data = malloc(BIG);
	unsigned n = EVENT_STREAM_KEPT * 3 / 4;
	uint64_t since;

	world_start(&w, 1);
	listen_from(&stuck, &w, true, "", NULL);
	read_until(&stuck, BEGINNING);
	memset(data, 'x', BIG - 1);
	data[BIG - 1] = '\0';
	for (unsigned i = 0; i < n; i++)
		event_stream_add(w.events, EVENT_MOVE, data);
	since = clock_mono_ns();
	while (clock_mono_ns() - since < 3 * NS_PER_S)
		turn(&w, 100000);
	read_to_end(&stuck);
	cr_assert_lt(stuck.len, n * BIG);
	free(data);
	client_close(&stuck);
	world_end(&w);
}

Test(event_stream, ends_cleanly, .timeout = 120)
{
	struct client gone, told, late;
	struct world w;

	world_start(&w, 0);
	listen_from(&gone, &w, false, "", NULL);
	listen_from(&told, &w, false, "", NULL);
	read_until(&gone, BEGINNING);
	read_until(&told, BEGINNING);
	client_close(&gone);
	add_numbers(&w, 0, 3);
	read_until(&told, "data: n2\n");
	/* Another controller leads: whoever listens is to go there, and may come back. */
	event_stream_close(w.events);
	read_to_end(&told);
	listen_from(&late, &w, false, "", NULL);
	read_until(&late, BEGINNING);
	add_numbers(&w, 3, 4);
	read_until(&late, "data: n3\n");
	cr_assert_null(strstr(body_of(&told), "data: n3\n"));
	/* With one that still listens. */
	world_end(&w);
	client_close(&told);
	client_close(&late);
}

Test(event_stream, types_have_names)
{
	enum event_type type;

	cr_assert_eq(event_type_parse("rtt", &type), 0);
	cr_assert_eq(type, EVENT_RTT);
	cr_assert_str_eq(event_type_name(EVENT_MOVE), "move");
	cr_assert_eq(event_type_parse("moves", &type), -EINVAL);
}
