/* SPDX-License-Identifier: Apache-2.0
 *
 * What QEMU says on its monitor. An input that begins with '+' is what follows
 * greeting and capabilities, with a command (t2) open; any other is all of it.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "migrator/qmp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char hello[] =
	"{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}}, "
	"\"capabilities\": []}}\n{\"return\": {}, \"id\": \"t1\"}\n";

struct state {
	unsigned answers, closed;
};

static void on_reply(struct qmp *q, int r, json_t *result, const struct mg_error *err,
		     void *userdata)
{
	struct state *s = userdata;

	(void)q;
	if (s->answers++ > 0 || (r == 0) != (result != NULL) || (r < 0) != (err != NULL))
		abort();
}

static void on_ready(struct qmp *q, const char *version, void *userdata)
{
	if (!version[0])
		abort();
	(void)qmp_command(q, "query-status", NULL, 60 * NS_PER_S, on_reply, userdata);
}

static void on_event(struct qmp *q, const char *event, json_t *event_data, uint64_t utc_ns,
		     void *userdata)
{
	(void)q;
	(void)utc_ns;
	(void)userdata;
	if (!event || (event_data && !json_is_object(event_data)))
		abort();
}

static void on_closed(struct qmp *q, int error, void *userdata)
{
	struct state *s = userdata;

	(void)q;
	if (s->closed++ > 0 || error >= 0)
		abort();
}

/* Lets the client read along, since the socket does not hold it all. */
static void say(sd_event *loop, int fd, const struct state *s, const void *data, size_t len)
{
	const char *at = data;

	while (len > 0 && !s->closed) {
		ssize_t n = send(fd, at, len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0) {
			at += n;
			len -= (size_t)n;
		}
		sd_event_run(loop, 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct qmp_handlers handlers = { on_ready, on_event, on_closed };
	struct state s = { 0 };
	sd_event *loop;
	struct qmp *q;
	int fds[2];

	if (sd_event_new(&loop) < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0 ||
	    qmp_attach(loop, fds[0], &handlers, &s, &q) < 0)
		abort();
	if (size > 0 && data[0] == '+') {
		say(loop, fds[1], &s, hello, strlen(hello));
		data++;
		size--;
	}
	say(loop, fds[1], &s, data, size);
	shutdown(fds[1], SHUT_WR);
	while (!s.closed)
		sd_event_run(loop, 1000);
	qmp_free(q);
	close(fds[1]);
	sd_event_unref(loop);
	return 0;
}
