/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/http.h"

#define ANSWER_MAX 65536

struct world {
	sd_event *loop;
	struct http_server *server;
	unsigned calls;
	struct http_later *later;
};

static void on_hello(const struct http_request *request, struct http_reply *reply, void *userdata)
{
	const char *who = http_request_argument(request, "who");
	const char *header = http_request_header(request, "x-extra");
	char text[256];

	((struct world *)userdata)->calls++;
	snprintf(text, sizeof(text), "%s %s %s %s", http_request_method(request),
		 http_request_path(request), who ? who : "(nobody)", header ? header : "(none)");
	http_reply_text(reply, 200, "text/plain", text);
	http_reply_header(reply, "X-More", "yes");
}

static void on_echo(const struct http_request *request, struct http_reply *reply, void *userdata)
{
	size_t len;
	const char *body = http_request_body(request, &len);
	char *copy = malloc(len + 1);

	((struct world *)userdata)->calls++;
	memcpy(copy, body, len + 1);
	cr_assert_eq(copy[len], '\0');
	http_reply_take(reply, 201, "application/json", copy, len);
}

static void on_rest(const struct http_request *request, struct http_reply *reply, void *userdata)
{
	(void)userdata;
	http_reply_error(reply, 404, "no '%s'", http_request_rest(request));
}

static void on_nothing(const struct http_request *request, struct http_reply *reply, void *userdata)
{
	(void)request, (void)reply, (void)userdata;
}

static void on_later(const struct http_request *request, struct http_reply *reply, void *userdata)
{
	(void)request;
	((struct world *)userdata)->later = http_reply_later(reply);
}

static void on_argument(const char *name, const char *value, void *userdata)
{
	char *text = userdata;

	strcat(strcat(strcat(strcat(text, name), "="), value), ";");
}

static void on_arguments(const struct http_request *request, struct http_reply *reply,
			 void *userdata)
{
	char text[256] = "";

	(void)userdata;
	http_request_arguments(request, on_argument, text);
	http_reply_text(reply, 200, "text/plain", text);
}

static const struct http_route routes[] = {
	{ "GET", "/hello", on_hello },
	{ "POST", "/hello", on_echo },
	{ "GET", "/things/*", on_rest },
	{ "GET", "/nothing", on_nothing },
	{ "GET", "/later", on_later },
	{ "GET", "/arguments", on_arguments },
	{ 0 },
};

static void world_start(struct world *w, const char *listen)
{
	struct http_config config = { .routes = routes, .body_max = 1000, .userdata = w };
	struct mg_error err = { 0 };

	*w = (struct world){ 0 };
	cr_assert_eq(address_parse(listen, 0, &config.listen), 0);
	cr_assert_geq(sd_event_new(&w->loop), 0);
	cr_assert_eq(http_server_new(w->loop, &config, &w->server, &err), 0, "%s", err.text);
	cr_assert_neq(address_port(http_server_local(w->server)), 0);
}

static void world_end(struct world *w)
{
	http_server_free(w->server);
	sd_event_unref(w->loop);
}

static int connect_to(const struct world *w)
{
	const struct address *a = http_server_local(w->server);
	int fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_geq(fd, 0);
	cr_assert_eq(connect(fd, &a->any, address_len(a)), 0);
	return fd;
}

/* Runs the loop until the server closes; returns all that it said. */
static const char *read_all(struct world *w, int fd)
{
	static char answer[ANSWER_MAX];
	size_t len = 0;

	for (;;) {
		ssize_t n = recv(fd, answer + len, sizeof(answer) - 1 - len, MSG_DONTWAIT);

		if (n == 0 || (n < 0 && errno == ECONNRESET))
			break;
		if (n > 0)
			len += (size_t)n;
		else
			cr_assert_geq(sd_event_run(w->loop, 1000), 0);
	}
	answer[len] = '\0';
	return answer;
}

static const char *ask(struct world *w, const char *request)
{
	_cleanup_close_ int fd = connect_to(w);

	cr_assert_eq(send(fd, request, strlen(request), 0), (ssize_t)strlen(request));
	return read_all(w, fd);
}

static const char *body_of(const char *answer)
{
	const char *end = strstr(answer, "\r\n\r\n");

	cr_assert_not_null(end, "%s", answer);
	return end + 4;
}

#define TAIL " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
#define cr_assert_begins(text, with) cr_assert_eq(strncmp(text, with, strlen(with)), 0, "%s", text)
#define cr_assert_has(text, part) cr_assert_not_null(strstr(text, part), "%s", text)

static void serves(const char *listen)
{
	struct world w;
	const char *a;

	world_start(&w, listen);
	a = ask(&w, "GET /hello?who=a%20b&x" TAIL "X-Extra: more\r\n\r\n");
	cr_assert_begins(a, "HTTP/1.1 200 ");
	cr_assert_has(a, "Content-Type: text/plain\r\n");
	cr_assert_has(a, "X-More: yes\r\n");
	cr_assert_str_eq(body_of(a), "GET /hello a b more");
	a = ask(&w, "GET /hello" TAIL "\r\n");
	cr_assert_str_eq(body_of(a), "GET /hello (nobody) (none)");
	cr_assert_eq(w.calls, 2);
	world_end(&w);
}

Test(http, a_route_is_served)
{
	serves("127.0.0.1:0");
}

Test(http, ipv6_is_served)
{
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	struct sockaddr_in6 here = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };

	if (fd < 0 || bind(fd, (struct sockaddr *)&here, sizeof(here)) < 0)
		cr_skip_test("no IPv6 here");
	close(fd);
	serves("[::1]:0");
}

Test(http, head_has_the_length_and_no_body)
{
	struct world w;
	const char *a;

	world_start(&w, "127.0.0.1:0");
	a = ask(&w, "HEAD /hello" TAIL "\r\n");
	cr_assert_begins(a, "HTTP/1.1 200 ");
	cr_assert_has(a, "Content-Length: 27\r\n");
	cr_assert_str_eq(body_of(a), "");
	world_end(&w);
}

Test(http, a_body_comes_whole_and_within_its_limit)
{
	char request[3000], body[1002];
	struct world w;
	const char *a;

	world_start(&w, "127.0.0.1:0");
	memset(body, 'b', sizeof(body));
	body[1000] = '\0';
	snprintf(request, sizeof(request), "POST /hello" TAIL "Content-Length: 1000\r\n\r\n%s",
		 body);
	a = ask(&w, request);
	cr_assert_begins(a, "HTTP/1.1 201 ");
	cr_assert_str_eq(body_of(a), body);
	snprintf(request, sizeof(request),
		 "POST /hello" TAIL
		 "Transfer-Encoding: chunked\r\n\r\n5\r\nahoy,\r\n6\r\n there\r\n0\r\n\r\n");
	cr_assert_str_eq(body_of(ask(&w, request)), "ahoy, there");
	cr_assert_eq(w.calls, 2);
	body[1000] = 'b';
	body[1001] = '\0';
	snprintf(request, sizeof(request), "POST /hello" TAIL "Content-Length: 1001\r\n\r\n%s",
		 body);
	a = ask(&w, request);
	cr_assert_begins(a, "HTTP/1.1 413 ");
	cr_assert_has(a, "1000 bytes");
	cr_assert_eq(w.calls, 2);
	world_end(&w);
}

Test(http, what_fits_no_route_gets_a_clear_answer)
{
	struct world w;
	const char *a;

	world_start(&w, "127.0.0.1:0");
	cr_assert_begins(ask(&w, "GET /hell" TAIL "\r\n"), "HTTP/1.1 404 ");
	cr_assert_begins(ask(&w, "GET /hello/" TAIL "\r\n"), "HTTP/1.1 404 ");
	cr_assert_str_eq(body_of(ask(&w, "GET /things/a/b" TAIL "\r\n")), "no 'a/b'\n");
	a = ask(&w, "DELETE /hello" TAIL "\r\n");
	cr_assert_begins(a, "HTTP/1.1 405 ");
	cr_assert_has(a, "Allow: GET, POST\r\n");
	cr_assert_begins(ask(&w, "GET /nothing" TAIL "\r\n"), "HTTP/1.1 500 ");
	ask(&w, "nonsense\r\n\r\n");
	cr_assert_eq(w.calls, 0);
	world_end(&w);
}

Test(http, half_a_request_holds_nobody_up)
{
	struct world w;
	int slow;

	world_start(&w, "127.0.0.1:0");
	slow = connect_to(&w);
	cr_assert_eq(send(slow, "GET /he", 7, 0), 7);
	cr_assert_begins(ask(&w, "GET /hello" TAIL "\r\n"), "HTTP/1.1 200 ");
	cr_assert_eq(send(slow, "llo" TAIL "\r\n", strlen("llo" TAIL "\r\n"), 0),
		     (ssize_t)strlen("llo" TAIL "\r\n"));
	cr_assert_begins(read_all(&w, slow), "HTTP/1.1 200 ");
	close(slow);
	/* One that is there when the server goes. */
	slow = connect_to(&w);
	cr_assert_eq(
		send(slow, "POST /hello HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab", 54, 0),
		54);
	for (int i = 0; i < 5; i++)
		cr_assert_geq(sd_event_run(w.loop, 10000), 0);
	world_end(&w);
	close(slow);
}

Test(http, one_address_cannot_take_every_connection)
{
	int fds[HTTP_CONNECTIONS_EACH_MAX];
	struct world w;

	world_start(&w, "127.0.0.1:0");
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = connect_to(&w);
	/* Refused, with or without word; and served again once there is room. */
	cr_assert_str_empty(ask(&w, "GET /hello" TAIL "\r\n"));
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	for (int i = 0; i < 5; i++)
		cr_assert_geq(sd_event_run(w.loop, 10000), 0);
	cr_assert_begins(ask(&w, "GET /hello" TAIL "\r\n"), "HTTP/1.1 200 ");
	world_end(&w);
}

Test(http, an_address_in_use_is_named)
{
	struct http_config config = { .routes = routes };
	struct http_server *second = NULL;
	struct mg_error err = { 0 };
	struct world w;

	world_start(&w, "127.0.0.1:0");
	config.listen = *http_server_local(w.server);
	cr_assert_eq(http_server_new(w.loop, &config, &second, &err), -EADDRINUSE);
	cr_assert_has(err.text, "127.0.0.1:");
	cr_assert_null(second);
	world_end(&w);
}

Test(http, all_arguments_are_told_in_their_order)
{
	struct world w;

	world_start(&w, "127.0.0.1:0");
	cr_assert_str_eq(body_of(ask(&w, "GET /arguments?b=1&a=%26&b=2&c" TAIL "\r\n")),
			 "b=1;a=&;b=2;c=;");
	world_end(&w);
}

static int send_to(const struct world *w, const char *request)
{
	int fd = connect_to(w);

	cr_assert_eq(send(fd, request, strlen(request), 0), (ssize_t)strlen(request));
	return fd;
}

Test(http, an_answer_may_come_later)
{
	struct world w;
	const char *a;
	int fd;

	world_start(&w, "127.0.0.1:0");
	fd = send_to(&w, "GET /later" TAIL "\r\n");
	while (!w.later)
		cr_assert_geq(sd_event_run(w.loop, 10000), 0);
	cr_assert_begins(ask(&w, "GET /hello" TAIL "\r\n"), "HTTP/1.1 200 ");
	http_reply_text(http_later_reply(w.later), 202, "text/plain", "at last");
	http_later_send(w.later);
	a = read_all(&w, fd);
	cr_assert_begins(a, "HTTP/1.1 202 ");
	cr_assert_str_eq(body_of(a), "at last");
	close(fd);
	/* One that is answered as the server goes. */
	w.later = NULL;
	fd = send_to(&w, "GET /later" TAIL "\r\n");
	while (!w.later)
		cr_assert_geq(sd_event_run(w.loop, 10000), 0);
	http_later_send(w.later);
	world_end(&w);
	close(fd);
}

static void as_json(struct http_reply *reply, unsigned status, const char *text)
{
	char json[300];

	snprintf(json, sizeof(json), "{\"%s\"}", text);
	http_reply_text(reply, status, "application/json", json);
}

Test(http, errors_have_the_form_that_is_wanted_and_what_is_too_long_is_not_awaited)
{
	struct http_config config = { .routes = routes, .body_max = 10, .on_error = as_json };
	struct world w = { 0 };
	const char *a;

	config.userdata = &w;
	cr_assert_eq(address_parse("127.0.0.1:0", 0, &config.listen), 0);
	cr_assert_geq(sd_event_new(&w.loop), 0);
	cr_assert_eq(http_server_new(w.loop, &config, &w.server, NULL), 0);
	cr_assert_str_eq(body_of(ask(&w, "GET /none" TAIL "\r\n")), "{\"there is no such page\"}");
	/* Not one byte of the body is there. */
	a = ask(&w, "POST /hello" TAIL "Content-Length: 99999999\r\n\r\n");
	cr_assert_begins(a, "HTTP/1.1 413 ");
	cr_assert_has(a, "at most 10 bytes");
	world_end(&w);
}
