/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/cli/client.h"

#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "common/bus.h"
#include "common/clock.h"
#include "common/units.h"

#define OFFER_INTERVAL_NS (20 * NS_PER_MS)  /* while there is no connection */
#define REPEAT_INTERVAL_NS NS_PER_S
#define PROBE_TIMEOUT_MS 1000

struct client {
	sd_event *loop;
	struct bus *bus;
	struct bus_socket *socket;
	const struct settings *settings;
	const struct server_settings *server;
	char title[320];

	/* The request that is waited for. */
	int64_t first_seq, last_seq; /* 0: nothing was sent yet */
	Envelope *answer;
	struct mg_error garbage; /* why what the server sent was no message */

	client_event_fn on_event;
	void *on_event_data;
	bool arrived; /* anything since the last client_wait() */
	bool interrupted;
};

/* ---- What arrives ------------------------------------------------------------ */

static Envelope *copy_of(const Envelope *e)
{
	_cleanup_free_ uint8_t *data = NULL;
	size_t len;

	return envelope_pack(e, &data, &len) < 0 ? NULL : envelope_unpack(data, len, NULL);
}

/* A server that could not read the request answers with a Failure that does
 * not say to what. */
static bool is_answer(const struct client *c, const Envelope *e)
{
	if (c->first_seq == 0 || c->answer)
		return false;
	if (!e->has_reply_to)
		return e->body_case == TAGALONG__ENVELOPE__BODY_FAILURE;
	return e->reply_to >= (uint64_t)c->first_seq && e->reply_to <= (uint64_t)c->last_seq;
}

static void on_receive(struct bus_socket *s, const struct bus_peer *from, const Envelope *e,
		       void *userdata)
{
	struct client *c = userdata;

	(void)s;
	(void)from;
	c->arrived = true;
	if (is_answer(c, e))
		c->answer = copy_of(e);
	else if (c->on_event)
		c->on_event(e, c->on_event_data);
}

static void on_garbage(const struct mg_error *why, void *userdata)
{
	struct client *c = userdata;

	c->arrived = true;
	c->garbage = *why;
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	struct client *c = userdata;

	(void)source;
	(void)info;
	c->interrupted = true;
	return 0;
}

/* ---- The connection ------------------------------------------------------------ */

static int connect_bus(struct client *c, struct mg_error *err)
{
	struct keypair keys = { 0 };
	struct bus_config config = {
		.name = c->settings->name,
		.keys = c->settings->plain_text_bus ? NULL : &keys,
		.plain_text = c->settings->plain_text_bus,
		.on_garbage = on_garbage,
		.on_garbage_data = c,
	};
	int r = 0;

	if (!c->settings->plain_text_bus)
		r = keypair_load(c->settings->key, &keys, err);
	if (r == 0)
		r = bus_new(c->loop, &config, &c->bus, err);
	explicit_bzero(&keys, sizeof(keys));
	if (r == 0)
		r = bus_connect(c->bus, BUS_DEALER, c->server->endpoint, c->server->key, on_receive,
				c, &c->socket, err);
	return r;
}

enum cli_exit client_new(const struct settings *settings, const struct server_settings *server,
			 struct client **ret, struct mg_error *err)
{
	_cleanup_(client_free_p) struct client *c = calloc(1, sizeof(*c));

	if (!c || sd_event_new(&c->loop) < 0)
		return cli_fail(err, CLI_FAILED, "out of memory");
	c->settings = settings;
	c->server = server;
	snprintf(c->title, sizeof(c->title), "%s at %s",
		 server->name ? server->name : "placementd", server->endpoint);
	if (settings->plain_text_bus)
		fprintf(stderr, "migrator: warning: plain_text_bus: messages are neither encrypted "
			"nor authenticated\n");
	if (connect_bus(c, err) < 0)
		return CLI_USAGE;
	*ret = TAKE_PTR(c);
	return CLI_OK;
}

void client_free(struct client *c)
{
	if (!c)
		return;
	envelope_free(c->answer);
	bus_free(c->bus);
	sd_event_unref(c->loop);
	free(c);
}

const char *client_server(const struct client *c)
{
	return c->title;
}

void client_on_event(struct client *c, client_event_fn fn, void *userdata)
{
	c->on_event = fn;
	c->on_event_data = userdata;
}

bool client_send(struct client *c, Envelope *e)
{
	return bus_send(c->socket, NULL, e) > 0;
}

void client_answer_done(struct client *c, const Envelope *to)
{
	(void)bus_reply_done(c->socket, NULL, to); /* unheard, it is asked for again */
}

bool client_wait(struct client *c, uint64_t timeout_ns)
{
	uint64_t end = clock_mono_ns() + timeout_ns;

	c->arrived = false;
	for (;;) {
		uint64_t now = clock_mono_ns();

		if (c->arrived || c->interrupted || now >= end)
			return !c->interrupted;
		if (sd_event_run(c->loop, (end - now) / NS_PER_US + 1) < 0)
			return false;
	}
}

enum cli_exit client_catch_signals(struct client *c, struct mg_error *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 ||
	    sd_event_add_signal(c->loop, NULL, SIGINT, on_signal, c) < 0 ||
	    sd_event_add_signal(c->loop, NULL, SIGTERM, on_signal, c) < 0)
		return cli_fail(err, CLI_FAILED, "cannot catch signals");
	return CLI_OK;
}

/* ---- Why nobody answers --------------------------------------------------------- */

static int connect_within(const struct addrinfo *a, int timeout_ms)
{
	_cleanup_close_ int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	socklen_t len = sizeof(int);
	int problem = 0;

	if (fd < 0)
		return -errno;
	if (connect(fd, a->ai_addr, a->ai_addrlen) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return -errno;
	if (poll(&p, 1, timeout_ms) <= 0)
		return -ETIMEDOUT;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &len) < 0)
		return -errno;
	return -problem;
}

/* Tells a host that is away or a port where nobody listens from one that
 * listens but does not take our key: ZeroMQ is silent about all of them. */
static int probe(const char *endpoint)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found = NULL;
	char host[256], *port, *start = host;
	int r;

	if (strncmp(endpoint, "tcp://", 6) != 0)
		return 0;
	snprintf(host, sizeof(host), "%s", endpoint + 6);
	port = strrchr(host, ':');
	if (!port)
		return -EINVAL;
	*port++ = '\0';
	if (host[0] == '[' && port[-2] == ']') {
		port[-2] = '\0';
		start++;
	}
	if (getaddrinfo(start, port, &hints, &found) != 0)
		return -ENXIO;
	r = connect_within(found, PROBE_TIMEOUT_MS);
	freeaddrinfo(found);
	return r;
}

static enum cli_exit explain_silence(const struct client *c, uint64_t timeout_ns,
				     struct mg_error *err)
{
	char limit[UNITS_TEXT_SIZE];
	int r;

	duration_format(timeout_ns, limit);
	if (c->first_seq)
		return cli_fail(err, CLI_UNREACHABLE, "%s did not answer within %s; it may be busy "
				"(--timeout waits longer) or stuck (see its log)", c->title, limit);
	r = probe(c->server->endpoint);
	if (r == -ENXIO)
		return cli_fail(err, CLI_UNREACHABLE, "cannot reach %s: unknown host", c->title);
	if (r < 0)
		return cli_fail(err, CLI_UNREACHABLE, "cannot reach %s: %s; check that it runs and "
				"listens there", c->title, strerror(-r));
	if (c->settings->plain_text_bus)
		return cli_fail(err, CLI_UNREACHABLE, "%s does not speak to us within %s: does it "
				"say plain_text_bus: true, as we do?", c->title, limit);
	return cli_fail(err, CLI_UNREACHABLE, "%s does not speak to us within %s: is its key right "
			"in our configuration, and ours on its allow list ('operator %.40s %s')?",
			c->title, limit, c->settings->name, bus_public_key(c->bus));
}

/* ---- Requests --------------------------------------------------------------------- */

/* Sends when it is time to; returns how long to sleep. */
static uint64_t offer(struct client *c, enum request_kind kind, Envelope *request, uint64_t *next)
{
	uint64_t now = clock_mono_ns();
	int64_t seq;

	if (now < *next)
		return *next - now;
	seq = bus_send(c->socket, NULL, request);
	if (seq <= 0) {
		*next = now + OFFER_INTERVAL_NS;
		return OFFER_INTERVAL_NS;
	}
	if (c->first_seq == 0)
		c->first_seq = seq;
	c->last_seq = seq;
	*next = kind == REQUEST_REPEATABLE ? now + REPEAT_INTERVAL_NS : UINT64_MAX;
	return *next - now;
}

static enum cli_exit judge(struct client *c, Tagalong__Envelope__BodyCase expected, Envelope **ret,
			   struct mg_error *err)
{
	_cleanup_envelope_ Envelope *answer = TAKE_PTR(c->answer);

	if (answer->body_case == TAGALONG__ENVELOPE__BODY_FAILURE)
		return cli_fail(err, CLI_FAILED, "%s", answer->failure->text);
	if (answer->body_case != expected)
		return cli_fail(err, CLI_FAILED, "%s answered with '%s', which is no answer to this; "
				"is it of the same version?", c->title, envelope_body_name(answer));
	if (ret)
		*ret = TAKE_PTR(answer);
	return CLI_OK;
}

enum cli_exit client_call(struct client *c, enum request_kind kind, Envelope *request,
			  Tagalong__Envelope__BodyCase expected, uint64_t timeout_ns,
			  Envelope **ret, struct mg_error *err)
{
	uint64_t end = clock_mono_ns() + timeout_ns, next = 0;

	c->first_seq = 0;
	c->garbage.code = 0;
	envelope_free(c->answer); /* a late one */
	c->answer = NULL;
	while (!c->answer) {
		uint64_t now = clock_mono_ns(), sleep;

		if (now >= end)
			return explain_silence(c, timeout_ns, err);
		sleep = offer(c, kind, request, &next);
		if (!client_wait(c, sleep < end - now ? sleep : end - now))
			return cli_fail(err, CLI_DETACHED, "interrupted");
		if (c->garbage.code < 0)
			return cli_fail(err, CLI_FAILED, "%s does not speak our language: it sent %s",
					c->title, c->garbage.text);
	}
	return judge(c, expected, ret, err);
}
