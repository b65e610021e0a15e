/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/qmp.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/clock.h"
#include "common/log.h"

#define READ_SIZE 65536
#define INPUT_KEPT 65536 /* a larger input buffer is given back once it is empty */
#define CAPABILITIES_TIMEOUT_NS (30 * NS_PER_S)
#define ID_SIZE 24

enum phase {
	GREETING,    /* QEMU speaks first */
	NEGOTIATING, /* qmp_capabilities is on its way */
	READY,
	CLOSED,
};

struct command {
	struct qmp *q;
	char id[ID_SIZE];
	char name[48];
	sd_event_source *timer;
	qmp_reply_fn fn;
	void *userdata;
	TAILQ_ENTRY(command) link;
};

struct output {
	char *text;
	size_t len, at;
	int fd; /* goes with the first byte; -1: none */
	STAILQ_ENTRY(output) link;
};

struct qmp {
	sd_event *loop;
	sd_event_source *io;
	int fd;
	enum phase phase;
	struct qmp_handlers handlers;
	void *userdata;
	uint64_t last_id;
	char version[32];
	char *input;
	size_t input_len, input_room;
	size_t scanned; /* bytes of the input that are known to hold no line end */
	TAILQ_HEAD(, command) commands;
	STAILQ_HEAD(, output) outputs;
	unsigned callbacks; /* how many of the owner's functions are on the stack */
	bool freed;         /* by one of them: the memory goes when they have returned */
};

static void command_free(struct command *c)
{
	TAILQ_REMOVE(&c->q->commands, c, link);
	sd_event_source_disable_unref(c->timer);
	free(c);
}

static void output_free(struct output *o)
{
	if (o->fd >= 0)
		close(o->fd);
	free(o->text);
	free(o);
}

/* All but the struct itself and the commands. */
static void disconnect(struct qmp *q)
{
	struct output *o;

	q->io = sd_event_source_disable_unref(q->io);
	if (q->fd >= 0)
		close(q->fd);
	q->fd = -1;
	while ((o = STAILQ_FIRST(&q->outputs))) {
		STAILQ_REMOVE_HEAD(&q->outputs, link);
		output_free(o);
	}
	free(q->input);
	q->input = NULL;
	q->input_len = q->input_room = q->scanned = 0;
	q->phase = CLOSED;
}

void qmp_free(struct qmp *q)
{
	struct command *c;

	if (!q || q->freed)
		return;
	disconnect(q);
	while ((c = TAILQ_FIRST(&q->commands)))
		command_free(c);
	q->loop = sd_event_unref(q->loop);
	if (q->callbacks > 0)
		q->freed = true;
	else
		free(q);
}

static void enter_callback(struct qmp *q)
{
	q->callbacks++;
}

/* Returns whether the client is still there. */
static bool leave_callback(struct qmp *q)
{
	bool alive = !q->freed;

	if (--q->callbacks == 0 && !alive)
		free(q);
	return alive;
}

/* Takes the command off the list and answers it. */
static void answer(struct command *c, int r, json_t *result, const struct mg_error *err)
{
	struct qmp *q = c->q;
	qmp_reply_fn fn = c->fn;
	void *userdata = c->userdata;

	command_free(c);
	if (fn)
		fn(q, r, result, err, userdata);
}

static void answer_failure(struct command *c, int code, const char *why)
{
	struct mg_error err = { 0 };

	mg_error_set(&err, code, "QEMU, %s: %s", c->name, why);
	answer(c, code, NULL, &err);
}

/* The connection broke. Inside enter_callback(). */
static void fail(struct qmp *q, int error)
{
	struct command *c;

	disconnect(q);
	while (!q->freed && (c = TAILQ_FIRST(&q->commands)))
		answer_failure(c, -ECONNRESET, "the monitor's connection is gone");
	if (!q->freed && q->handlers.on_closed)
		q->handlers.on_closed(q, error, q->userdata);
}

/* ---- Sending ---------------------------------------------------------------- */

static ssize_t send_some(int fd, const char *data, size_t len, int passed_fd)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)data, .iov_len = len };
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (passed_fd >= 0) {
		struct cmsghdr *h;

		m.msg_control = control.bytes;
		m.msg_controllen = sizeof(control.bytes);
		h = CMSG_FIRSTHDR(&m);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(h), &passed_fd, sizeof(int));
	}
	return sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Writes what the socket takes. Errors show themselves when we read. */
static void flush(struct qmp *q)
{
	struct output *o;

	while ((o = STAILQ_FIRST(&q->outputs))) {
		ssize_t n = send_some(q->fd, o->text + o->at, o->len - o->at, o->fd);

		if (n < 0)
			break;
		if (o->fd >= 0)
			close(TAKE_FD(o->fd));
		o->at += (size_t)n;
		if (o->at < o->len)
			break;
		STAILQ_REMOVE_HEAD(&q->outputs, link);
		output_free(o);
	}
	sd_event_source_set_io_events(q->io, EPOLLIN | (o ? EPOLLOUT : 0));
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct command *c = userdata;
	struct qmp *q = c->q;

	(void)source;
	(void)usec;
	enter_callback(q);
	answer_failure(c, -ETIMEDOUT, "no answer in time");
	leave_callback(q);
	return 0;
}

/* One line of JSON; returns its length, 0 when out of memory. */
static size_t command_text(const char *id, const char *name, json_t *arguments, char **ret)
{
	json_auto_t *message = json_pack("{s:s, s:s}", "execute", name, "id", id);
	char *text;
	size_t len;

	if (!message || (arguments && json_object_set(message, "arguments", arguments) < 0))
		return 0;
	len = json_dumpb(message, NULL, 0, JSON_COMPACT);
	text = len ? malloc(len + 1) : NULL;
	if (!text)
		return 0;
	json_dumpb(message, text, len, JSON_COMPACT);
	text[len] = '\n';
	*ret = text;
	return len + 1;
}

static int output_new(const char *id, const char *name, json_t *arguments, int fd,
		      struct output **ret)
{
	struct output *o = calloc(1, sizeof(*o));

	if (!o)
		return -ENOMEM;
	o->fd = -1;
	o->len = command_text(id, name, arguments, &o->text);
	if (o->len == 0) {
		output_free(o);
		return -ENOMEM;
	}
	if (fd >= 0)
		o->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (fd >= 0 && o->fd < 0) {
		int r = -errno;

		output_free(o);
		return r;
	}
	*ret = o;
	return 0;
}

/* In any phase. */
static int send_command(struct qmp *q, const char *name, json_t *arguments, int fd,
			uint64_t timeout_ns, qmp_reply_fn fn, void *userdata)
{
	struct command *c = calloc(1, sizeof(*c));
	struct output *o = NULL;
	int r;

	if (!c)
		return -ENOMEM;
	*c = (struct command){ .q = q, .fn = fn, .userdata = userdata };
	snprintf(c->id, sizeof(c->id), "t%llu", (unsigned long long)++q->last_id);
	snprintf(c->name, sizeof(c->name), "%s", name);
	TAILQ_INSERT_TAIL(&q->commands, c, link);
	r = sd_event_add_time_relative(q->loop, &c->timer, CLOCK_MONOTONIC,
				       timeout_ns / NS_PER_US, 1000, on_timeout, c);
	if (r >= 0)
		r = output_new(c->id, name, arguments, fd, &o);
	if (r < 0) {
		command_free(c);
		return r;
	}
	STAILQ_INSERT_TAIL(&q->outputs, o, link);
	flush(q);
	return 0;
}

int qmp_command_with_fd(struct qmp *q, const char *name, json_t *arguments, int fd,
			uint64_t timeout_ns, qmp_reply_fn fn, void *userdata)
{
	json_auto_t *stolen = arguments;

	if (q->phase != READY)
		return -ENOTCONN;
	return send_command(q, name, stolen, fd, timeout_ns, fn, userdata);
}

int qmp_command(struct qmp *q, const char *name, json_t *arguments, uint64_t timeout_ns,
		qmp_reply_fn fn, void *userdata)
{
	return qmp_command_with_fd(q, name, arguments, -1, timeout_ns, fn, userdata);
}

/* ---- Receiving ---------------------------------------------------------------- */

static void on_capabilities(struct qmp *q, int r, json_t *result, const struct mg_error *err,
			    void *userdata)
{
	(void)result;
	(void)err;
	(void)userdata;
	if (r < 0) {
		if (q->phase != CLOSED)
			fail(q, -EPROTO);
		return;
	}
	q->phase = READY;
	if (q->handlers.on_ready)
		q->handlers.on_ready(q, q->version, q->userdata);
}

static int on_greeting(struct qmp *q, json_t *message)
{
	int major, minor, micro;

	if (json_unpack(message, "{s:{s:{s:{s:i, s:i, s:i}}}}", "QMP", "version", "qemu", "major",
			&major, "minor", &minor, "micro", &micro) < 0)
		return -EPROTO;
	snprintf(q->version, sizeof(q->version), "%d.%d.%d", major, minor, micro);
	q->phase = NEGOTIATING;
	return send_command(q, "qmp_capabilities", NULL, -1, CAPABILITIES_TIMEOUT_NS,
			    on_capabilities, NULL);
}

static void on_event(struct qmp *q, const char *event, json_t *message)
{
	json_t *data = json_object_get(message, "data");
	json_int_t seconds = 0, microseconds = 0;
	uint64_t utc_ns = 0;

	/* QEMU says -1 when it could not read its clock. */
	json_unpack(message, "{s:{s:I, s:I}}", "timestamp", "seconds", &seconds, "microseconds",
		    &microseconds);
	if (seconds > 0 && (uint64_t)seconds < UINT64_MAX / NS_PER_S && microseconds >= 0 &&
	    microseconds < 1000000)
		utc_ns = (uint64_t)seconds * NS_PER_S + (uint64_t)microseconds * NS_PER_US;
	if (q->handlers.on_event)
		q->handlers.on_event(q, event, json_is_object(data) ? data : NULL, utc_ns,
				     q->userdata);
}

static struct command *find_command(struct qmp *q, json_t *message)
{
	const char *id = json_string_value(json_object_get(message, "id"));
	struct command *c;

	TAILQ_FOREACH(c, &q->commands, link) {
		if (id && strcmp(c->id, id) == 0)
			return c;
	}
	return NULL;
}

static void on_reply(struct qmp *q, json_t *message)
{
	struct command *c = find_command(q, message);
	json_t *result = json_object_get(message, "return");
	const char *desc = NULL;

	if (!c) {
		log_debug("qmp", "an answer to no open command (too late?)");
		return;
	}
	if (result) {
		answer(c, 0, result, NULL);
		return;
	}
	json_unpack(message, "{s:{s:s}}", "error", "desc", &desc);
	answer_failure(c, -EREMOTEIO, desc ? desc : "an error without words");
}

static json_t *parse_line(const char *line, size_t len)
{
	json_error_t error;
	json_t *message = json_loadb(line, len, 0, &error);

	/* QEMU has unsigned 64-bit numbers, jansson signed ones. */
	if (!message && json_error_code(&error) == json_error_numeric_overflow)
		message = json_loadb(line, len, JSON_DECODE_INT_AS_REAL, &error);
	return message;
}

/* What is JSON but of no kind that we know is from a newer QEMU, and ignored. */
static int on_line(struct qmp *q, const char *line, size_t len)
{
	json_auto_t *message = NULL;
	const char *event;

	if (len > 0 && line[len - 1] == '\r')
		len--;
	if (len == 0)
		return 0;
	message = parse_line(line, len);
	if (!json_is_object(message))
		return -EPROTO;
	if (q->phase == GREETING)
		return on_greeting(q, message);
	event = json_string_value(json_object_get(message, "event"));
	if (event)
		on_event(q, event, message);
	else if (json_object_get(message, "return") || json_object_get(message, "error"))
		on_reply(q, message);
	return 0;
}

/* Handles the complete lines of the input. The callbacks may close or free. */
static int handle_lines(struct qmp *q)
{
	size_t done = 0;
	char *end;

	while ((end = memchr(q->input + q->scanned, '\n', q->input_len - q->scanned))) {
		size_t at = (size_t)(end - q->input);
		int r = on_line(q, q->input + done, at - done);

		if (q->freed || q->phase == CLOSED)
			return 0;
		if (r < 0)
			return r;
		done = q->scanned = at + 1;
	}
	q->input_len -= done;
	memmove(q->input, q->input + done, q->input_len);
	q->scanned = q->input_len;
	if (q->input_len >= QMP_LINE_MAX)
		return -EMSGSIZE;
	if (q->input_len == 0 && q->input_room > INPUT_KEPT) {
		free(q->input);
		q->input = NULL;
		q->input_room = 0;
	}
	return 0;
}

static int receive(struct qmp *q)
{
	ssize_t n;

	if (q->input_room - q->input_len < READ_SIZE) {
		size_t room = q->input_room * 2 + READ_SIZE;
		char *bigger = realloc(q->input, room);

		if (!bigger)
			return -ENOMEM;
		q->input = bigger;
		q->input_room = room;
	}
	n = recv(q->fd, q->input + q->input_len, READ_SIZE, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return q->input_len ? -EPROTO : -ECONNRESET; /* in the midst of a line */
	q->input_len += (size_t)n;
	return handle_lines(q);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct qmp *q = userdata;
	int r = 0;

	(void)source;
	(void)fd;
	enter_callback(q);
	if (revents & EPOLLOUT)
		flush(q);
	if (revents & ~(uint32_t)EPOLLOUT)
		r = receive(q);
	if (r < 0)
		fail(q, r);
	leave_callback(q);
	return 0;
}

/* ---- Connecting ---------------------------------------------------------------- */

int qmp_attach(sd_event *loop, int fd, const struct qmp_handlers *handlers, void *userdata,
	       struct qmp **ret)
{
	struct qmp *q = calloc(1, sizeof(*q));
	int r;

	if (!q)
		return -ENOMEM;
	*q = (struct qmp){ .fd = -1, .handlers = *handlers, .userdata = userdata };
	q->loop = sd_event_ref(loop);
	TAILQ_INIT(&q->commands);
	STAILQ_INIT(&q->outputs);
	r = sd_event_add_io(loop, &q->io, fd, EPOLLIN, on_io, q);
	if (r < 0) {
		qmp_free(q);
		return r;
	}
	q->fd = fd;
	*ret = q;
	return 0;
}

int qmp_connect(sd_event *loop, const char *path, const struct qmp_handlers *handlers,
		void *userdata, struct qmp **ret)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int r;

	if (fd < 0)
		return -errno;
	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	r = qmp_attach(loop, fd, handlers, userdata, ret);
	if (r == 0)
		fd = -1;
	return r;
}
