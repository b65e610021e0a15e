/* SPDX-License-Identifier: Apache-2.0
 *
 * A client of the HTTP server that says anything. Whatever it is, the server
 * goes on, a handler sees whole requests only, and no body beyond the limit.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BODY_MAX 256

static void on_any(const struct http_request *request, struct http_reply *reply, void *userdata)
{
	const char *argument = http_request_argument(request, "a");
	size_t len;
	const char *body = http_request_body(request, &len);

	(void)userdata;
	if (len > BODY_MAX || body[len] != '\0' ||
	    strncmp(http_request_path(request), "/any/", 5) != 0 ||
	    strcmp(http_request_rest(request), http_request_path(request) + 5) != 0)
		abort();
	http_reply_text(reply, 200, "text/plain", argument ? argument : "none");
}

static const struct http_route routes[] = {
	{ "GET", "/any/*", on_any },
	{ "POST", "/any/*", on_any },
	{ 0 },
};

static struct http_server *start(sd_event **ret_loop)
{
	struct http_config config = { .routes = routes, .body_max = BODY_MAX };
	struct http_server *server;

	if (address_parse("127.0.0.1:0", 0, &config.listen) < 0 || sd_event_new(ret_loop) < 0 ||
	    http_server_new(*ret_loop, &config, &server, NULL) < 0)
		abort();
	return server;
}

/* Until the server has nothing more to do. */
static void serve(sd_event *loop)
{
	int r;

	while ((r = sd_event_run(loop, 0)) > 0)
		;
	if (r < 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* No port stays behind in TIME_WAIT. */
	const struct linger hard = { .l_onoff = 1 };
	static struct http_server *server;
	static sd_event *loop;
	const struct address *a;
	char answer[512];
	int fd;

	if (!server)
		server = start(&loop);
	a = http_server_local(server);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, &a->any, address_len(a)) < 0)
		abort();
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	(void)!send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	serve(loop);
	while (recv(fd, answer, sizeof(answer), MSG_DONTWAIT) > 0)
		serve(loop);
	close(fd);
	serve(loop);
	return 0;
}
