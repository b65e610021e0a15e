/* SPDX-License-Identifier: Apache-2.0 */
#include "common/http.h"

#include <microhttpd.h>
#include <stdarg.h>
#include <string.h>
#include <sys/epoll.h>

#include "common/clock.h"

#define BACKLOG 64
/* For one connection: its headers must fit. */
#define MEMORY_EACH ((size_t)32 << 10)

struct http_server {
	struct MHD_Daemon *daemon;
	sd_event_source *io, *timer;
	struct http_config config;
	struct address local;
};

struct http_request {
	struct MHD_Connection *connection;
	const char *method, *path, *rest;
	char *body; /* with a NUL behind it; NULL when there is none */
	size_t len;
	bool too_long, failed;
};

struct http_reply {
	unsigned status;
	struct MHD_Response *response; /* NULL: none yet */
};

/* ---- Requests ------------------------------------------------------------------------ */

const char *http_request_method(const struct http_request *r)
{
	return r->method;
}

const char *http_request_path(const struct http_request *r)
{
	return r->path;
}

const char *http_request_rest(const struct http_request *r)
{
	return r->rest;
}

const char *http_request_argument(const struct http_request *r, const char *name)
{
	const char *value = NULL;

	if (MHD_lookup_connection_value_n(r->connection, MHD_GET_ARGUMENT_KIND, name, strlen(name),
					  &value, NULL) != MHD_YES)
		return NULL;
	return value ? value : "";
}

const char *http_request_header(const struct http_request *r, const char *name)
{
	return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

const char *http_request_body(const struct http_request *r, size_t *ret_len)
{
	*ret_len = r->len;
	return r->body ? r->body : "";
}

static void append_body(struct http_request *r, const char *data, size_t len, size_t max)
{
	char *longer;

	if (len > max - r->len) {
		r->too_long = true;
		return;
	}
	longer = realloc(r->body, r->len + len + 1);
	if (!longer) {
		r->failed = true;
		return;
	}
	memcpy(longer + r->len, data, len);
	r->body = longer;
	r->len += len;
	r->body[r->len] = '\0';
}

/* ---- Replies ------------------------------------------------------------------------- */

void http_reply_take(struct http_reply *reply, unsigned status, const char *type, char *body,
		     size_t len)
{
	struct MHD_Response *response =
		body ? MHD_create_response_from_buffer(len, body, MHD_RESPMEM_MUST_FREE) : NULL;

	if (!response) {
		free(body);
		return;
	}
	if (reply->response)
		MHD_destroy_response(reply->response);
	*reply = (struct http_reply){ status, response };
	http_reply_header(reply, MHD_HTTP_HEADER_CONTENT_TYPE, type);
}

void http_reply_text(struct http_reply *reply, unsigned status, const char *type, const char *text)
{
	http_reply_take(reply, status, type, strdup(text), strlen(text));
}

void http_reply_error(struct http_reply *reply, unsigned status, const char *fmt, ...)
{
	char line[512];
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(line, sizeof(line) - 1, fmt, args);
	va_end(args);
	if (n < 0)
		return;
	strcat(line, "\n");
	http_reply_text(reply, status, "text/plain; charset=utf-8", line);
}

void http_reply_header(struct http_reply *reply, const char *name, const char *value)
{
	if (reply->response)
		(void)MHD_add_response_header(reply->response, name, value);
}

/* ---- Routes -------------------------------------------------------------------------- */

static bool path_fits(const struct http_route *route, const char *path, const char **ret_rest)
{
	size_t n = strcspn(route->path, "*");

	if (route->path[n] ? strncmp(path, route->path, n) != 0 : strcmp(path, route->path) != 0)
		return false;
	*ret_rest = path + n;
	return true;
}

static bool method_fits(const struct http_route *route, const char *method)
{
	return strcmp(route->method, method) == 0 ||
	       (strcmp(route->method, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

static void answer_without_handler(const struct http_route *routes, const char *path,
				   struct http_reply *reply)
{
	char allow[128] = "";
	const char *rest;

	for (const struct http_route *r = routes; r->method; r++) {
		size_t n = strlen(allow);

		if (path_fits(r, path, &rest))
			snprintf(allow + n, sizeof(allow) - n, "%s%s", n ? ", " : "", r->method);
	}
	if (!allow[0]) {
		http_reply_error(reply, MHD_HTTP_NOT_FOUND, "there is no such page");
		return;
	}
	http_reply_error(reply, MHD_HTTP_METHOD_NOT_ALLOWED, "this page takes %s", allow);
	http_reply_header(reply, MHD_HTTP_HEADER_ALLOW, allow);
}

static void answer(const struct http_server *s, struct http_request *request,
		   struct http_reply *reply)
{
	if (request->failed)
		return;
	if (request->too_long) {
		http_reply_error(reply, MHD_HTTP_CONTENT_TOO_LARGE, "at most %zu bytes are taken",
				 s->config.body_max);
		return;
	}
	for (const struct http_route *r = s->config.routes; r->method; r++)
		if (method_fits(r, request->method) &&
		    path_fits(r, request->path, &request->rest)) {
			r->fn(request, reply, s->config.userdata);
			return;
		}
	answer_without_handler(s->config.routes, request->path, reply);
}

/* ---- libmicrohttpd ------------------------------------------------------------------- */

static enum MHD_Result send_reply(struct http_server *s, struct http_request *request)
{
	struct http_reply reply = { 0 };
	enum MHD_Result r;

	answer(s, request, &reply);
	if (!reply.response)
		http_reply_error(&reply, MHD_HTTP_INTERNAL_SERVER_ERROR, "there is no answer");
	if (!reply.response)
		return MHD_NO;
	r = MHD_queue_response(request->connection, reply.status, reply.response);
	MHD_destroy_response(reply.response);
	return r;
}

/* Called first without a body, then with each part of it, then once without
 * again. */
static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *path,
				  const char *method, const char *version, const char *data,
				  size_t *len, void **state)
{
	struct http_server *s = cls;
	struct http_request *request = *state;

	(void)version;
	if (!request) {
		request = calloc(1, sizeof(*request));
		*state = request;
		return request ? MHD_YES : MHD_NO;
	}
	if (*len) {
		if (!request->too_long && !request->failed)
			append_body(request, data, *len, s->config.body_max);
		*len = 0;
		return MHD_YES;
	}
	request->connection = connection;
	request->method = method;
	request->path = path;
	request->rest = "";
	return send_reply(s, request);
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **state,
			 enum MHD_RequestTerminationCode how)
{
	struct http_request *request = *state;

	(void)cls, (void)connection, (void)how;
	if (request)
		free(request->body);
	free(request);
	*state = NULL;
}

/* ---- The loop ------------------------------------------------------------------------ */

static int on_wake(struct http_server *s)
{
	MHD_UNSIGNED_LONG_LONG wait_ms;

	MHD_run(s->daemon);
	if (MHD_get_timeout(s->daemon, &wait_ms) != MHD_YES)
		return sd_event_source_set_enabled(s->timer, SD_EVENT_OFF);
	(void)sd_event_source_set_time(s->timer,
				       (clock_mono_ns() + wait_ms * NS_PER_MS) / NS_PER_US);
	return sd_event_source_set_enabled(s->timer, SD_EVENT_ONESHOT);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	(void)source, (void)fd, (void)revents;
	return on_wake(userdata);
}

static int on_timer(sd_event_source *source, uint64_t due_us, void *userdata)
{
	(void)source, (void)due_us;
	return on_wake(userdata);
}

/* ---- Life ---------------------------------------------------------------------------- */

static int listen_at(const struct address *address, struct address *ret_local, int *ret)
{
	_cleanup_close_ int fd =
		socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(*ret_local);
	const int one = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0)
		return -errno;
	if (address->any.sa_family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) < 0)
		return -errno;
	if (bind(fd, &address->any, address_len(address)) < 0 || listen(fd, BACKLOG) < 0 ||
	    getsockname(fd, &ret_local->any, &len) < 0)
		return -errno;
	*ret = TAKE_FD(fd);
	return 0;
}

static int start_daemon(struct http_server *s, int fd)
{
	s->daemon = MHD_start_daemon(
		MHD_USE_EPOLL, 0, NULL, NULL, on_request, s, MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, s, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned)HTTP_CONNECTIONS_MAX, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
		(unsigned)HTTP_CONNECTIONS_EACH_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
		(unsigned)HTTP_TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, MEMORY_EACH,
		MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
	return s->daemon ? 0 : -EIO;
}

static int add_sources(struct http_server *s, sd_event *loop)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	int r;

	if (!info)
		return -EIO;
	r = sd_event_add_io(loop, &s->io, info->epoll_fd, EPOLLIN, on_io, s);
	if (r >= 0)
		r = sd_event_add_time(loop, &s->timer, CLOCK_MONOTONIC, 0, 0, on_timer, s);
	/* Who is asked for figures does its own work first. */
	if (r >= 0)
		r = sd_event_source_set_priority(s->io, SD_EVENT_PRIORITY_IDLE);
	if (r >= 0)
		r = sd_event_source_set_priority(s->timer, SD_EVENT_PRIORITY_IDLE);
	return r;
}

int http_server_new(sd_event *loop, const struct http_config *config, struct http_server **ret,
		    struct mg_error *err)
{
	_cleanup_(http_server_free_p) struct http_server *s = calloc(1, sizeof(*s));
	char text[ADDRESS_TEXT_SIZE];
	int fd = -1, r;

	if (!s)
		return mg_error_set(err, -ENOMEM, "out of memory");
	s->config = *config;
	if (!s->config.body_max)
		s->config.body_max = HTTP_BODY_MAX;
	r = listen_at(&config->listen, &s->local, &fd);
	if (r < 0)
		return mg_error_set(err, r, "cannot listen at %s: %s",
				    address_format(&config->listen, text), strerror(-r));
	r = start_daemon(s, fd);
	if (r < 0) {
		close(fd);
		return mg_error_set(err, r, "cannot start the HTTP server at %s",
				    address_format(&s->local, text));
	}
	r = add_sources(s, loop);
	if (r < 0)
		return mg_error_set(err, r, "event loop: %s", strerror(-r));
	*ret = TAKE_PTR(s);
	return 0;
}

void http_server_free(struct http_server *s)
{
	if (!s)
		return;
	sd_event_source_disable_unref(s->io);
	sd_event_source_disable_unref(s->timer);
	if (s->daemon)
		MHD_stop_daemon(s->daemon); /* closes the listening socket, too */
	free(s);
}

const struct address *http_server_local(const struct http_server *s)
{
	return &s->local;
}
