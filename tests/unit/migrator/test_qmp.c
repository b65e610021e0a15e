/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/clock.h"
#include "migrator/qmp.h"

#define GREETING                                                                               \
	"{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}, "         \
	"\"package\": \"Debian\"}, \"capabilities\": [\"oob\"]}}\r\n"
#define SECOND (1 * NS_PER_S)

/* The client under test on one end of a socketpair, QEMU's part on the other. */
struct fixture {
	sd_event *loop;
	struct qmp *q;
	int peer;
	unsigned ready, closed, events, replies;
	int closed_with;
	char version[32], event[64];
	uint64_t event_utc_ns;
	json_int_t event_value;
	bool free_on_event, free_on_closed;
};

struct reply {
	struct fixture *f;
	bool come, free_client;
	unsigned order;
	int r;
	json_int_t value;
	char text[256];
};

static void on_ready(struct qmp *q, const char *version, void *userdata)
{
	struct fixture *f = userdata;

	(void)q;
	f->ready++;
	snprintf(f->version, sizeof(f->version), "%s", version);
}

static void on_event(struct qmp *q, const char *event, json_t *data, uint64_t utc_ns,
		     void *userdata)
{
	struct fixture *f = userdata;

	f->events++;
	snprintf(f->event, sizeof(f->event), "%s", event);
	f->event_utc_ns = utc_ns;
	f->event_value = json_integer_value(json_object_get(data, "value"));
	if (f->free_on_event) {
		qmp_free(q);
		f->q = NULL;
	}
}

static void on_closed(struct qmp *q, int error, void *userdata)
{
	struct fixture *f = userdata;

	f->closed++;
	f->closed_with = error;
	if (f->free_on_closed) {
		qmp_free(q);
		f->q = NULL;
	}
}

static void on_reply(struct qmp *q, int r, json_t *result, const struct mg_error *err,
		     void *userdata)
{
	struct reply *reply = userdata;

	cr_assert_not(reply->come);
	reply->come = true;
	reply->order = ++reply->f->replies;
	reply->r = r;
	reply->value = json_integer_value(json_object_get(result, "value"));
	snprintf(reply->text, sizeof(reply->text), "%s", err ? err->text : "");
	if (reply->free_client) {
		qmp_free(q);
		reply->f->q = NULL;
	}
}

static const struct qmp_handlers handlers = { on_ready, on_event, on_closed };

static bool run_until(struct fixture *f, const unsigned *counter, unsigned n)
{
	uint64_t end = clock_mono_ns() + 5 * NS_PER_S;

	while (*counter < n && clock_mono_ns() < end)
		sd_event_run(f->loop, 10000);
	return *counter >= n;
}

static void run_dry(struct fixture *f)
{
	while (sd_event_run(f->loop, 1000) > 0)
		;
}

static void say(struct fixture *f, const char *text)
{
	size_t len = strlen(text);

	cr_assert_eq(send(f->peer, text, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* One command as QEMU gets it; *ret_fd is the descriptor that came along. */
static json_t *hear_with_fd(struct fixture *f, int *ret_fd)
{
	char line[1 << 16], control[CMSG_SPACE(sizeof(int))];
	size_t len = 0;

	*ret_fd = -1;
	while (len == 0 || line[len - 1] != '\n') {
		struct iovec iov = { line + len, 1 };
		struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
				    .msg_controllen = sizeof(control) };
		struct cmsghdr *h;

		if (recvmsg(f->peer, &m, MSG_DONTWAIT) != 1) {
			cr_assert_geq(sd_event_run(f->loop, 1000000), 0);
			continue;
		}
		h = CMSG_FIRSTHDR(&m);
		if (h && h->cmsg_type == SCM_RIGHTS) {
			cr_assert_eq(len, 0, "the descriptor comes with the first byte");
			memcpy(ret_fd, CMSG_DATA(h), sizeof(int));
		}
		cr_assert_lt(++len, sizeof(line));
	}
	return json_loadb(line, len, 0, NULL);
}

static json_t *hear(struct fixture *f)
{
	int fd;
	json_t *message = hear_with_fd(f, &fd);

	cr_assert_eq(fd, -1);
	return message;
}

static const char *execute_of(json_t *message)
{
	return json_string_value(json_object_get(message, "execute"));
}

static void say_return(struct fixture *f, json_t *command, int value)
{
	char text[256];

	snprintf(text, sizeof(text), "{\"return\": {\"value\": %d}, \"id\": \"%s\"}\r\n", value,
		 json_string_value(json_object_get(command, "id")));
	say(f, text);
}

static void attach(struct fixture *f)
{
	int fds[2], small = 4096;

	*f = (struct fixture){ 0 };
	cr_assert_eq(sd_event_new(&f->loop), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	cr_assert_eq(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	f->peer = fds[1];
	cr_assert_eq(qmp_attach(f->loop, fds[0], &handlers, f, &f->q), 0);
}

static void setup(struct fixture *f)
{
	attach(f);
	say(f, GREETING);
	json_auto_t *capabilities = hear(f);
	cr_assert_str_eq(execute_of(capabilities), "qmp_capabilities");
	say_return(f, capabilities, 0);
	cr_assert(run_until(f, &f->ready, 1));
}

static void teardown(struct fixture *f)
{
	qmp_free(f->q);
	close(f->peer);
	sd_event_unref(f->loop);
}

static void ask(struct fixture *f, const char *name, json_t *arguments, struct reply *reply)
{
	*reply = (struct reply){ .f = f };
	cr_assert_eq(qmp_command(f->q, name, arguments, 5 * SECOND, on_reply, reply), 0);
}

Test(qmp, greeting_and_capabilities)
{
	struct fixture f;

	attach(&f);
	cr_assert_eq(qmp_command(f.q, "query-status", NULL, SECOND, NULL, NULL), -ENOTCONN);
	teardown(&f);
	setup(&f);
	cr_assert_str_eq(f.version, "7.2.22");
	teardown(&f);
}

Test(qmp, capabilities_refused_closes)
{
	struct fixture f;

	attach(&f);
	say(&f, GREETING);
	json_auto_t *command = hear(&f);
	char text[256];
	snprintf(text, sizeof(text), "{\"id\": \"%s\", \"error\": {\"class\": \"X\", \"desc\": \"no\"}}\n",
		 json_string_value(json_object_get(command, "id")));
	say(&f, text);
	cr_assert(run_until(&f, &f.closed, 1));
	cr_assert_eq(f.closed_with, -EPROTO);
	cr_assert_eq(f.ready, 0);
	teardown(&f);
}

Test(qmp, arguments_and_replies_out_of_order)
{
	struct fixture f;
	struct reply a, b, c;

	setup(&f);
	ask(&f, "migrate", json_pack("{s:s}", "uri", "fd:out \"x\"\n"), &a);
	ask(&f, "b", NULL, &b);
	ask(&f, "c", NULL, &c);
	json_auto_t *first = hear(&f), *second = hear(&f), *third = hear(&f);
	cr_assert_str_eq(execute_of(first), "migrate");
	cr_assert_str_eq(json_string_value(json_object_get(json_object_get(first, "arguments"), "uri")),
			 "fd:out \"x\"\n");
	cr_assert_null(json_object_get(second, "arguments"));
	say_return(&f, third, 33);
	say_return(&f, first, 11);
	say_return(&f, second, 22);
	cr_assert(run_until(&f, &f.replies, 3));
	cr_assert(a.r == 0 && b.r == 0 && c.r == 0);
	cr_assert(a.value == 11 && b.value == 22 && c.value == 33);
	cr_assert(c.order == 1 && a.order == 2 && b.order == 3);
	teardown(&f);
}

Test(qmp, errors_carry_qemus_words)
{
	struct fixture f;
	struct reply a;
	char text[256];

	setup(&f);
	ask(&f, "cont", NULL, &a);
	json_auto_t *command = hear(&f);
	snprintf(text, sizeof(text),
		 "{\"id\": \"%s\", \"error\": {\"class\": \"GenericError\", \"desc\": \"Resetting the "
		 "Virtual Machine is required\"}}\r\n",
		 json_string_value(json_object_get(command, "id")));
	say(&f, text);
	cr_assert(run_until(&f, &f.replies, 1));
	cr_assert_eq(a.r, -EREMOTEIO);
	cr_assert_str_eq(a.text, "QEMU, cont: Resetting the Virtual Machine is required");
	teardown(&f);
}

Test(qmp, events_with_time_and_data)
{
	struct fixture f;

	setup(&f);
	say(&f, "{\"timestamp\": {\"seconds\": 1700000000, \"microseconds\": 250000}, "
		"\"event\": \"MIGRATION\", \"data\": {\"value\": 5}}\r\n");
	cr_assert(run_until(&f, &f.events, 1));
	cr_assert_str_eq(f.event, "MIGRATION");
	cr_assert_eq(f.event_value, 5);
	cr_assert_eq(f.event_utc_ns, UINT64_C(1700000000250000000));
	say(&f, "{\"timestamp\": {\"seconds\": -1, \"microseconds\": -1}, \"event\": \"STOP\"}\r\n");
	cr_assert(run_until(&f, &f.events, 2));
	cr_assert_str_eq(f.event, "STOP");
	cr_assert_eq(f.event_utc_ns, 0);
	teardown(&f);
}

Test(qmp, numbers_beyond_63_bits_do_not_break_it)
{
	struct fixture f;
	struct reply a;
	char text[256];

	setup(&f);
	ask(&f, "x", NULL, &a);
	json_auto_t *command = hear(&f);
	snprintf(text, sizeof(text), "{\"return\": {\"huge\": 18446744073709551615}, \"id\": \"%s\"}\n",
		 json_string_value(json_object_get(command, "id")));
	say(&f, text);
	cr_assert(run_until(&f, &f.replies, 1));
	cr_assert_eq(a.r, 0);
	teardown(&f);
}

Test(qmp, a_timeout_answers_and_a_late_reply_is_dropped)
{
	struct fixture f;
	struct reply a = { .f = &f }, b;

	setup(&f);
	cr_assert_eq(qmp_command(f.q, "slow", NULL, 20 * NS_PER_MS, on_reply, &a), 0);
	json_auto_t *slow = hear(&f);
	cr_assert(run_until(&f, &f.replies, 1));
	cr_assert_eq(a.r, -ETIMEDOUT);
	cr_assert_str_eq(a.text, "QEMU, slow: no answer in time");
	say_return(&f, slow, 1);
	ask(&f, "next", NULL, &b);
	json_auto_t *next = hear(&f);
	say_return(&f, next, 7);
	cr_assert(run_until(&f, &f.replies, 2));
	cr_assert(b.r == 0 && b.value == 7);
	cr_assert_eq(f.closed, 0);
	teardown(&f);
}

Test(qmp, passes_a_descriptor_with_its_command_only)
{
	struct fixture f;
	struct reply a, b = { .f = &f };
	int pipe_fds[2], got;
	char byte = 0, filler[30000];

	setup(&f);
	memset(filler, 'x', sizeof(filler) - 1);
	filler[sizeof(filler) - 1] = '\0';
	cr_assert_eq(pipe2(pipe_fds, O_CLOEXEC), 0);
	/* The first does not fit into the socket, so the second waits in our queue. */
	ask(&f, "large", json_pack("{s:s}", "filler", filler), &a);
	cr_assert_eq(qmp_command_with_fd(f.q, "getfd", json_pack("{s:s}", "fdname", "out"),
					 pipe_fds[1], SECOND, on_reply, &b), 0);
	close(pipe_fds[1]);
	json_auto_t *large = hear_with_fd(&f, &got);
	cr_assert_eq(got, -1);
	json_auto_t *getfd = hear_with_fd(&f, &got);
	cr_assert_str_eq(execute_of(large), "large");
	cr_assert_str_eq(execute_of(getfd), "getfd");
	cr_assert_geq(got, 0);
	cr_assert_eq(write(got, "!", 1), 1);
	cr_assert_eq(read(pipe_fds[0], &byte, 1), 1);
	cr_assert_eq(byte, '!');
	close(got);
	/* We kept no copy: the pipe is at its end. */
	cr_assert_eq(read(pipe_fds[0], &byte, 1), 0);
	close(pipe_fds[0]);
	teardown(&f);
}

Test(qmp, lines_in_pieces_and_many_at_once)
{
	struct fixture f;
	const char *event = "{\"event\": \"A\"}\n{\"event\": \"B\"}\r\n\r\n{\"event\": \"C\"}\n";

	setup(&f);
	for (const char *p = event; *p; p++) {
		cr_assert_eq(send(f.peer, p, 1, 0), 1);
		run_dry(&f);
	}
	cr_assert_eq(f.events, 3);
	say(&f, event);
	cr_assert(run_until(&f, &f.events, 6));
	cr_assert_str_eq(f.event, "C");
	teardown(&f);
}

Test(qmp, unknown_messages_are_ignored)
{
	struct fixture f;

	setup(&f);
	say(&f, "{}\n{\"news\": 1}\n{\"event\": 5}\n{\"return\": {}}\n{\"return\": {}, \"id\": 4}\n"
		"{\"error\": {}, \"id\": \"t999\"}\n{\"event\": \"E\", \"data\": [1], "
		"\"timestamp\": 5}\n");
	cr_assert(run_until(&f, &f.events, 1));
	cr_assert_eq(f.events, 1);
	cr_assert_eq(f.closed, 0);
	teardown(&f);
}

/* Each closes the connection, and the open command is answered. */
static void expect_closed(const char *bytes, size_t len, int error)
{
	struct fixture f;
	struct reply a;
	size_t at = 0;

	setup(&f);
	ask(&f, "query-status", NULL, &a);
	while (at < len && f.closed == 0) {
		ssize_t n = send(f.peer, bytes + at, len - at, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0)
			at += (size_t)n;
		sd_event_run(f.loop, 1000);
	}
	cr_assert(run_until(&f, &f.closed, 1));
	cr_assert_eq(f.closed_with, error, "%s", strerror(-f.closed_with));
	cr_assert_eq(a.r, -ECONNRESET);
	cr_assert_eq(f.closed, 1);
	cr_assert_eq(qmp_command(f.q, "x", NULL, SECOND, NULL, NULL), -ENOTCONN);
	teardown(&f);
}

Test(qmp, garbage_closes)
{
	static const char *const lines[] = {
		"garbage\n", "[]\n", "5\n", "\"text\"\n", "{\"event\": \n", "{\"event\": \"\xff\"}\n",
		"{\"event\": \"A\"} {\"event\": \"B\"}\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		expect_closed(lines[i], strlen(lines[i]), -EPROTO);
	expect_closed("{\"a\0\": 1}\n", 10, -EPROTO);
}

Test(qmp, deep_nesting_closes)
{
	size_t len = 1 << 20;
	_cleanup_free_ char *deep = malloc(len);

	memset(deep, '[', len);
	memcpy(deep, "{\"return\":", 10);
	deep[len - 1] = '\n';
	expect_closed(deep, len, -EPROTO);
}

Test(qmp, an_endless_line_closes)
{
	size_t len = QMP_LINE_MAX + 1;
	_cleanup_free_ char *endless = malloc(len);

	memset(endless, ' ', len);
	expect_closed(endless, len, -EMSGSIZE);
}

Test(qmp, a_greeting_that_is_none_closes)
{
	struct fixture f;

	attach(&f);
	say(&f, "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": \"22\"}}}}\n");
	cr_assert(run_until(&f, &f.closed, 1));
	cr_assert_eq(f.closed_with, -EPROTO);
	teardown(&f);
}

Test(qmp, a_dropped_connection_fails_what_is_open_once)
{
	struct fixture f;
	struct reply a, b;

	setup(&f);
	ask(&f, "a", NULL, &a);
	ask(&f, "b", NULL, &b);
	say(&f, "{\"event\": \"SHUTDOWN\"}\n");
	shutdown(f.peer, SHUT_RDWR);
	cr_assert(run_until(&f, &f.closed, 1));
	run_dry(&f);
	cr_assert_str_eq(f.event, "SHUTDOWN");
	cr_assert_eq(f.closed, 1);
	cr_assert_eq(f.closed_with, -ECONNRESET);
	cr_assert(a.r == -ECONNRESET && b.r == -ECONNRESET && f.replies == 2);
	teardown(&f);
}

Test(qmp, what_ends_in_the_midst_of_a_line_was_not_heard_out)
{
	struct fixture f;

	setup(&f);
	say(&f, "{\"event\": \"SHUTDOWN\"}\n{\"event\": \"half");
	shutdown(f.peer, SHUT_RDWR);
	cr_assert(run_until(&f, &f.closed, 1));
	cr_assert_str_eq(f.event, "SHUTDOWN");
	cr_assert_eq(f.closed_with, -EPROTO);
	teardown(&f);
}

Test(qmp, freeing_inside_callbacks)
{
	struct fixture f;
	struct reply a, b;

	setup(&f);
	f.free_on_event = true;
	say(&f, "{\"event\": \"A\"}\n{\"event\": \"B\"}\n");
	cr_assert(run_until(&f, &f.events, 1));
	run_dry(&f);
	cr_assert_eq(f.events, 1);
	teardown(&f);

	setup(&f);
	ask(&f, "a", NULL, &a);
	ask(&f, "b", NULL, &b);
	a.free_client = true;
	json_auto_t *command = hear(&f);
	say_return(&f, command, 1);
	cr_assert(run_until(&f, &f.replies, 1));
	run_dry(&f);
	cr_assert_eq(f.replies, 1, "the other command is forgotten");
	cr_assert_eq(f.closed, 0);
	teardown(&f);

	setup(&f);
	ask(&f, "a", NULL, &a);
	f.free_on_closed = true;
	shutdown(f.peer, SHUT_RDWR);
	cr_assert(run_until(&f, &f.closed, 1));
	cr_assert_eq(f.replies, 1);
	teardown(&f);
}

Test(qmp, connects_to_a_path)
{
	struct fixture f = { 0 };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char dir[] = "/tmp/test_qmp.XXXXXX", long_path[200];
	int listener;

	cr_assert_not_null(mkdtemp(dir));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/qmp.sock", dir);
	memset(long_path, 'x', sizeof(long_path));
	long_path[sizeof(long_path) - 1] = '\0';
	cr_assert_eq(sd_event_new(&f.loop), 0);
	cr_assert_eq(qmp_connect(f.loop, address.sun_path, &handlers, &f, &f.q), -ENOENT);
	cr_assert_eq(qmp_connect(f.loop, long_path, &handlers, &f, &f.q), -ENAMETOOLONG);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_eq(qmp_connect(f.loop, address.sun_path, &handlers, &f, &f.q), -ECONNREFUSED);
	cr_assert_eq(listen(listener, 1), 0);
	cr_assert_eq(qmp_connect(f.loop, address.sun_path, &handlers, &f, &f.q), 0);
	f.peer = accept(listener, NULL, NULL);
	say(&f, GREETING);
	json_auto_t *capabilities = hear(&f);
	say_return(&f, capabilities, 0);
	cr_assert(run_until(&f, &f.ready, 1));
	close(listener);
	unlink(address.sun_path);
	rmdir(dir);
	teardown(&f);
}
