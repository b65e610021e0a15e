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
#define STREAM_BLOCK ((size_t)16 << 10)
#define TLS_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

struct http_server {
	struct MHD_Daemon *daemon;
	sd_event_source *io, *timer;
	struct http_config config;
	struct address local;
	struct http_later *laters;
	struct http_stream *streams;
	bool resumed; /* a connection, since libmicrohttpd ran last */
};

struct http_reply {
	unsigned status;
	struct MHD_Response *response; /* NULL: none yet */
	const struct http_request *request;
	struct http_later *later; /* NULL: it is answered at once */
};

struct http_request {
	struct http_server *server;
	struct MHD_Connection *connection;
	const char *method, *path, *rest;
	char *body; /* with a NUL behind it; NULL when there is none */
	size_t len;
	uint64_t begun_ns;
	bool too_long, failed;
	struct http_later *later; /* it has been handled, and waits for this */
};

/* Belongs to its request when it was sent, and to who answers until then. */
struct http_later {
	struct http_server *server;
	struct MHD_Connection *connection;
	struct http_reply reply;
	struct http_later *next;
	bool sent;
};

struct http_stream {
	struct http_server *server;
	struct MHD_Connection *connection;
	const struct http_stream_ops *ops;
	void *userdata;
	struct http_stream *next;
	bool sleeps; /* until it is woken */
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

struct visit {
	http_argument_fn fn;
	void *userdata;
};

static enum MHD_Result on_argument(void *cls, enum MHD_ValueKind kind, const char *name,
				   const char *value)
{
	const struct visit *visit = cls;

	(void)kind;
	visit->fn(name, value ? value : "", visit->userdata);
	return MHD_YES;
}

void http_request_arguments(const struct http_request *r, http_argument_fn fn, void *userdata)
{
	struct visit visit = { fn, userdata };

	(void)MHD_get_connection_values(r->connection, MHD_GET_ARGUMENT_KIND, on_argument, &visit);
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

static void set_response(struct http_reply *reply, unsigned status, const char *type,
			 struct MHD_Response *response)
{
	if (reply->response)
		MHD_destroy_response(reply->response);
	reply->status = status;
	reply->response = response;
	http_reply_header(reply, MHD_HTTP_HEADER_CONTENT_TYPE, type);
}

void http_reply_take(struct http_reply *reply, unsigned status, const char *type, char *body,
		     size_t len)
{
	struct MHD_Response *response =
		body ? MHD_create_response_from_buffer(len, body, MHD_RESPMEM_MUST_FREE) : NULL;

	if (!response) {
		free(body);
		return;
	}
	set_response(reply, status, type, response);
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

/* libmicrohttpd notices it when it runs, and its epoll does not tell us to run it. */
static void resume(struct http_server *s, struct MHD_Connection *connection)
{
	MHD_resume_connection(connection);
	s->resumed = true;
	(void)sd_event_source_set_time(s->timer, 0);
	(void)sd_event_source_set_enabled(s->timer, SD_EVENT_ONESHOT);
}

/* ---- Later ------------------------------------------------------------------------------ */

struct http_later *http_reply_later(struct http_reply *reply)
{
	const struct http_request *request = reply->request;
	struct http_later *later = calloc(1, sizeof(*later));

	if (!later)
		return NULL;
	*later = (struct http_later){
		.server = request->server,
		.connection = request->connection,
		.reply = { .request = request },
		.next = request->server->laters,
	};
	request->server->laters = later;
	return reply->later = later;
}

struct http_reply *http_later_reply(struct http_later *later)
{
	return &later->reply;
}

void http_later_send(struct http_later *later)
{
	later->sent = true;
	resume(later->server, later->connection);
}

static void later_free(struct http_later *later)
{
	struct http_later **at;

	if (!later)
		return;
	for (at = &later->server->laters; *at != later; at = &(*at)->next)
		;
	*at = later->next;
	if (later->reply.response)
		MHD_destroy_response(later->reply.response);
	free(later);
}

/* ---- Streams ----------------------------------------------------------------------------- */

static ssize_t on_stream_read(void *cls, uint64_t position, char *buffer, size_t max)
{
	struct http_stream *stream = cls;
	ssize_t n = stream->ops->read(stream->userdata, buffer, max);

	(void)position;
	if (n < 0)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (n == 0) {
		stream->sleeps = true;
		MHD_suspend_connection(stream->connection);
	}
	return n;
}

static void on_stream_end(void *cls)
{
	struct http_stream *stream = cls, **at;

	for (at = &stream->server->streams; *at != stream; at = &(*at)->next)
		;
	*at = stream->next;
	stream->ops->end(stream->userdata);
	free(stream);
}

struct http_stream *http_reply_stream(struct http_reply *reply, unsigned status, const char *type,
				      const struct http_stream_ops *ops, void *userdata)
{
	const struct http_request *request = reply->request;
	struct http_stream *stream = calloc(1, sizeof(*stream));
	struct MHD_Response *response;

	response = stream ? MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK,
							      on_stream_read, stream,
							      on_stream_end) :
			    NULL;
	if (!response) {
		ops->end(userdata);
		free(stream);
		return NULL;
	}
	*stream = (struct http_stream){
		.server = request->server,
		.connection = request->connection,
		.ops = ops,
		.userdata = userdata,
		.next = request->server->streams,
	};
	request->server->streams = stream;
	set_response(reply, status, type, response);
	return stream;
}

void http_stream_wake(struct http_stream *stream)
{
	if (!stream->sleeps)
		return;
	stream->sleeps = false;
	resume(stream->server, stream->connection);
}

/* ---- Routes -------------------------------------------------------------------------- */

/* In the form that the configuration wants. */
static void answer_error(const struct http_server *s, struct http_reply *reply, unsigned status,
			 const char *fmt, ...) __attribute__((format(printf, 4, 5)));
static void answer_error(const struct http_server *s, struct http_reply *reply, unsigned status,
			 const char *fmt, ...)
{
	char text[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (s->config.on_error)
		s->config.on_error(reply, status, text);
	else
		http_reply_error(reply, status, "%s", text);
}

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

static void answer_without_handler(const struct http_server *s, const char *path,
				   struct http_reply *reply)
{
	char allow[128] = "";
	const char *rest;

	for (const struct http_route *r = s->config.routes; r->method; r++) {
		size_t n = strlen(allow);

		if (path_fits(r, path, &rest))
			snprintf(allow + n, sizeof(allow) - n, "%s%s", n ? ", " : "", r->method);
	}
	if (!allow[0]) {
		answer_error(s, reply, MHD_HTTP_NOT_FOUND, "there is no such page");
		return;
	}
	answer_error(s, reply, MHD_HTTP_METHOD_NOT_ALLOWED, "this page takes %s", allow);
	http_reply_header(reply, MHD_HTTP_HEADER_ALLOW, allow);
}

static void answer(const struct http_server *s, struct http_request *request,
		   struct http_reply *reply)
{
	if (request->failed)
		return;
	if (request->too_long) {
		answer_error(s, reply, MHD_HTTP_CONTENT_TOO_LARGE, "at most %zu bytes are taken",
			     s->config.body_max);
		return;
	}
	for (const struct http_route *r = s->config.routes; r->method; r++)
		if (method_fits(r, request->method) &&
		    path_fits(r, request->path, &request->rest)) {
			r->fn(request, reply, s->config.userdata);
			return;
		}
	answer_without_handler(s, request->path, reply);
}

/* ---- libmicrohttpd ------------------------------------------------------------------- */

static enum MHD_Result queue_reply(struct http_request *request, struct http_reply *reply)
{
	enum MHD_Result r;

	if (!reply->response)
		answer_error(request->server, reply, MHD_HTTP_INTERNAL_SERVER_ERROR,
			     "there is no answer");
	if (!reply->response)
		return MHD_NO;
	r = MHD_queue_response(request->connection, reply->status, reply->response);
	MHD_destroy_response(reply->response);
	reply->response = NULL;
	return r;
}

static enum MHD_Result send_reply(struct http_request *request)
{
	struct http_reply reply = { .request = request };

	answer(request->server, request, &reply);
	if (!reply.later)
		return queue_reply(request, &reply);
	request->later = reply.later;
	MHD_suspend_connection(request->connection);
	return MHD_YES;
}

/* What a client says that it will send; 0 when it does not say. */
static uint64_t announced_length(const struct http_request *request)
{
	const char *text = http_request_header(request, MHD_HTTP_HEADER_CONTENT_LENGTH);

	return text ? strtoull(text, NULL, 10) : 0;
}

/* Once the headers are there. What would be too long is refused before it is sent. */
static enum MHD_Result begin(struct http_server *s, struct MHD_Connection *connection,
			     void **state)
{
	struct http_request *request = calloc(1, sizeof(*request));
	struct http_reply reply = { .request = request };

	*state = request;
	if (!request)
		return MHD_NO;
	request->server = s;
	request->connection = connection;
	request->begun_ns = clock_mono_ns();
	if (announced_length(request) <= s->config.body_max)
		return MHD_YES;
	request->too_long = true;
	answer(s, request, &reply);
	return queue_reply(request, &reply);
}

static enum MHD_Result take_body(struct http_request *request, const char *data, size_t *len)
{
	if (clock_mono_ns() - request->begun_ns > HTTP_REQUEST_MAX_S * NS_PER_S)
		return MHD_NO;
	if (!request->too_long && !request->failed)
		append_body(request, data, *len, request->server->config.body_max);
	*len = 0;
	return MHD_YES;
}

/* Called first without a body, then with each part of it, then once without
 * again. */
static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *path,
				  const char *method, const char *version, const char *data,
				  size_t *len, void **state)
{
	struct http_request *request = *state;

	(void)version;
	if (!request)
		return begin(cls, connection, state);
	if (*len)
		return take_body(request, data, len);
	if (request->later)
		return request->later->sent ? queue_reply(request, &request->later->reply) :
					      MHD_YES;
	request->method = method;
	request->path = path;
	request->rest = "";
	return send_reply(request);
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **state,
			 enum MHD_RequestTerminationCode how)
{
	struct http_request *request = *state;

	(void)cls, (void)connection, (void)how;
	if (request) {
		later_free(request->later);
		free(request->body);
	}
	free(request);
	*state = NULL;
}

/* ---- The loop ------------------------------------------------------------------------ */

static int on_wake(struct http_server *s)
{
	MHD_UNSIGNED_LONG_LONG wait_ms;

	s->resumed = false;
	MHD_run(s->daemon);
	if (s->resumed) /* by what ran: the timer is set */
		return 0;
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

static unsigned or_else(unsigned value, unsigned otherwise)
{
	return value ? value : otherwise;
}

static int start_daemon(struct http_server *s, int fd)
{
	const struct http_config *c = &s->config;
	const struct MHD_OptionItem tls[] = {
		{ MHD_OPTION_HTTPS_MEM_CERT, 0, (char *)c->certificate },
		{ MHD_OPTION_HTTPS_MEM_KEY, 0, (char *)c->key },
		{ MHD_OPTION_HTTPS_PRIORITIES, 0, (char *)TLS_PRIORITIES },
		{ MHD_OPTION_END, 0, NULL },
	};
	const struct MHD_OptionItem none[] = { { MHD_OPTION_END, 0, NULL } };

	s->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | (c->certificate ? MHD_USE_TLS : 0), 0,
		NULL, NULL, on_request, s, MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, s, MHD_OPTION_CONNECTION_LIMIT,
		or_else(c->connections, HTTP_CONNECTIONS_MAX), MHD_OPTION_PER_IP_CONNECTION_LIMIT,
		or_else(c->connections_each, HTTP_CONNECTIONS_EACH_MAX),
		MHD_OPTION_CONNECTION_TIMEOUT, or_else(c->timeout_s, HTTP_TIMEOUT_S),
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, MEMORY_EACH, MHD_OPTION_STRICT_FOR_CLIENT, 1,
		MHD_OPTION_ARRAY, c->certificate ? tls : none, MHD_OPTION_END);
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
		r = sd_event_add_time(loop, &s->timer, CLOCK_MONOTONIC, 0, 1, on_timer, s);
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
	/* libmicrohttpd does not stop while connections sleep. */
	for (struct http_stream *stream = s->streams; stream; stream = stream->next)
		http_stream_wake(stream);
	if (s->daemon)
		MHD_stop_daemon(s->daemon); /* closes the listening socket, too */
	sd_event_source_disable_unref(s->timer);
	free(s);
}

const struct address *http_server_local(const struct http_server *s)
{
	return &s->local;
}
