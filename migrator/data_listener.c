/* SPDX-License-Identifier: Apache-2.0
 *
 * Where data connections arrive. Anybody can connect; a HELLO has to come soon,
 * and names a move that is being waited for.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/address.h"
#include "common/clock.h"
#include "common/log.h"
#include "migrator/daemon_internal.h"
#include "migrator/incoming.h"
#include "migrator/node_config.h"
#include "migrator/relay.h"

#define GREETING_TIMEOUT_NS (5 * NS_PER_S)
#define GREETING_MAX 64 /* connections that have not said HELLO */

struct greeting {
	struct data_listener *listener;
	LIST_ENTRY(greeting) link;
	int fd;
	struct link_hello hello;
	sd_event_source *io, *timer;
};

struct data_listener {
	struct node *node;
	int fd;
	sd_event_source *io;
	LIST_HEAD(, greeting) greetings;
	unsigned n_greetings;
};

static void greeting_free(struct greeting *g)
{
	LIST_REMOVE(g, link);
	g->listener->n_greetings--;
	sd_event_source_disable_unref(g->io);
	sd_event_source_disable_unref(g->timer);
	if (g->fd >= 0)
		close(g->fd);
	free(g);
}

static int on_late(sd_event_source *source, uint64_t now, void *userdata)
{
	(void)source;
	(void)now;
	greeting_free(userdata);
	return 0;
}

static int on_hello(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct greeting *g = userdata;
	struct mg_error err = { 0 };
	struct incoming *in;
	int r;

	(void)source;
	(void)events;
	r = link_read_hello(fd, &g->hello, &err);
	if (r == -EAGAIN)
		return 0;
	in = r == 0 ? incoming_find(g->listener->node, &g->hello.move) : NULL;
	g->io = sd_event_source_disable_unref(g->io); /* others will wait for the socket */
	if (in)
		incoming_data(in, TAKE_FD(g->fd), &g->hello);
	else if (r == 0 && relay_target_data(g->listener->node, g->fd, &g->hello))
		g->fd = -1;
	else
		log_info("data", "connection closed: %s", r < 0 ? err.text : "no such move here");
	greeting_free(g);
	return 0;
}

static int on_accept(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct data_listener *l = userdata;
	struct greeting *g;
	int on = 1, conn = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)source;
	(void)events;
	if (conn < 0)
		return 0;
	g = l->n_greetings < GREETING_MAX ? calloc(1, sizeof(*g)) : NULL;
	if (!g) {
		close(conn);
		return 0;
	}
	setsockopt(conn, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(conn, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	g->listener = l;
	g->fd = conn;
	LIST_INSERT_HEAD(&l->greetings, g, link);
	l->n_greetings++;
	if (sd_event_add_io(l->node->loop, &g->io, conn, EPOLLIN, on_hello, g) < 0 ||
	    sd_event_add_time_relative(l->node->loop, &g->timer, CLOCK_MONOTONIC,
				       GREETING_TIMEOUT_NS / NS_PER_US, 0, on_late, g) < 0)
		greeting_free(g);
	return 0;
}

static int listen_on(const struct address *a)
{
	int on = 1, fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, &a->any, address_len(a)) < 0 || listen(fd, SOMAXCONN) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

/* What peers are told: the configured address, else the one that we got. */
static void advertise(struct data_listener *l)
{
	const struct node_config *c = l->node->config;
	struct address a = { 0 };
	socklen_t len = sizeof(a);
	char text[ADDRESS_TEXT_SIZE];

	getsockname(l->fd, &a.any, &len);
	snprintf(l->node->data_endpoint, sizeof(l->node->data_endpoint), "%s",
		 c->data_advertise ? c->data_advertise : address_format(&a, text));
}

/* As bus_listen() does it, and for the same reason. */
static int listen_patiently(const struct address *a)
{
	uint64_t end = clock_mono_ns() + BUS_BIND_PATIENCE_NS;
	int fd;

	while ((fd = listen_on(a)) == -EADDRINUSE && clock_mono_ns() < end)
		usleep(50000);
	return fd;
}

int data_listener_new(struct node *n, struct data_listener **ret, struct mg_error *err)
{
	struct data_listener *l = calloc(1, sizeof(*l));
	struct address a;

	if (!l)
		return mg_error_set(err, -ENOMEM, "out of memory");
	l->node = n;
	LIST_INIT(&l->greetings);
	l->fd = address_parse(n->config->data_listen, 0, &a) < 0 ? -EINVAL : listen_patiently(&a);
	if (l->fd < 0) {
		int r = mg_error_set(err, l->fd, "cannot listen on %s: %s", n->config->data_listen,
				     strerror(-l->fd));

		data_listener_free(l);
		return r;
	}
	advertise(l);
	sd_event_add_io(n->loop, &l->io, l->fd, EPOLLIN, on_accept, l);
	*ret = l;
	return 0;
}

void data_listener_free(struct data_listener *l)
{
	if (!l)
		return;
	while (!LIST_EMPTY(&l->greetings))
		greeting_free(LIST_FIRST(&l->greetings));
	sd_event_source_disable_unref(l->io);
	if (l->fd >= 0)
		close(l->fd);
	free(l);
}
