/* SPDX-License-Identifier: Apache-2.0
 *
 * A link that tests can delay and cut: a TCP relay on the loopback.
 *
 *     relay DELAY_MS LISTEN_PORT:TARGET_PORT...
 *
 * Each byte arrives DELAY_MS later, in both directions. SIGKILL cuts the link
 * (both ends see a reset), SIGSTOP makes it fall silent, SIGUSR1 cuts the newest
 * connection alone.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"

#define PORTS_MAX 8
#define PAIRS_MAX 64
#define CHUNK 65536
#define QUEUED_MAX (4u << 20) /* bytes on the way, each direction */

struct chunk {
	STAILQ_ENTRY(chunk) link;
	uint64_t due_ns;
	size_t len, sent;
	char data[];
};

struct way {
	int from, to;
	bool ended;
	size_t queued;
	STAILQ_HEAD(, chunk) chunks;
};

static struct {
	int fd;
	uint16_t target;
} ports[PORTS_MAX];
static unsigned n_ports;
static struct way ways[2 * PAIRS_MAX]; /* two a connection; from < 0: free */
static struct way *newest; /* NULL: none yet */
static volatile sig_atomic_t cut_newest;
static uint64_t delay_ns;

static void on_signal(int number)
{
	(void)number;
	cut_newest = 1;
}

static int tcp_socket(void)
{
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

static struct sockaddr_in loopback(uint16_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static void add_port(const char *text)
{
	unsigned listen_port, target_port;
	struct sockaddr_in a;

	if (n_ports == PORTS_MAX || sscanf(text, "%u:%u", &listen_port, &target_port) != 2) {
		fprintf(stderr, "relay: '%s' is not LISTEN_PORT:TARGET_PORT\n", text);
		exit(2);
	}
	a = loopback((uint16_t)listen_port);
	ports[n_ports].fd = tcp_socket();
	ports[n_ports].target = (uint16_t)target_port;
	if (bind(ports[n_ports].fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    listen(ports[n_ports].fd, 16) < 0) {
		perror("relay");
		exit(1);
	}
	n_ports++;
}

static void way_open(struct way *w, int from, int to)
{
	*w = (struct way){ .from = from, .to = to };
	STAILQ_INIT(&w->chunks);
}

static void way_clear(struct way *w)
{
	struct chunk *c;

	while ((c = STAILQ_FIRST(&w->chunks))) {
		STAILQ_REMOVE_HEAD(&w->chunks, link);
		free(c);
	}
	w->from = -1;
}

static void close_pair(struct way *w)
{
	struct way *first = &ways[(w - ways) & ~1];

	close(first[0].from);
	close(first[1].from);
	way_clear(&first[0]);
	way_clear(&first[1]);
}

static void accept_one(int listener, uint16_t target)
{
	struct sockaddr_in a = loopback(target);
	int on = 1, there, here = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (here < 0)
		return;
	setsockopt(here, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	there = tcp_socket();
	for (unsigned i = 0; i < 2 * PAIRS_MAX; i += 2) {
		if (ways[i].from >= 0)
			continue;
		if (connect(there, (struct sockaddr *)&a, sizeof(a)) < 0)
			break;
		fcntl(here, F_SETFL, O_NONBLOCK);
		fcntl(there, F_SETFL, O_NONBLOCK);
		way_open(&ways[i], here, there);
		way_open(&ways[i + 1], there, here);
		newest = &ways[i];
		return;
	}
	close(here);
	close(there);
}

/* False when the connection is no more. */
static bool way_read(struct way *w)
{
	struct chunk *c = malloc(sizeof(*c) + CHUNK);
	ssize_t n = c ? read(w->from, c->data, CHUNK) : -1;

	if (n <= 0) {
		free(c);
		w->ended = n == 0 || (errno != EAGAIN && errno != EINTR);
		return n == 0 || !w->ended;
	}
	c->len = (size_t)n;
	c->sent = 0;
	c->due_ns = clock_mono_ns() + delay_ns;
	w->queued += c->len;
	STAILQ_INSERT_TAIL(&w->chunks, c, link);
	return true;
}

static bool way_write(struct way *w)
{
	struct chunk *c;

	while ((c = STAILQ_FIRST(&w->chunks)) && c->due_ns <= clock_mono_ns()) {
		ssize_t n = send(w->to, c->data + c->sent, c->len - c->sent, MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN;
		c->sent += (size_t)n;
		w->queued -= (size_t)n;
		if (c->sent < c->len)
			return true;
		STAILQ_REMOVE_HEAD(&w->chunks, link);
		free(c);
	}
	return !(w->ended && STAILQ_EMPTY(&w->chunks));
}

static unsigned gather(struct pollfd *p, struct way **whose, int *timeout_ms)
{
	uint64_t now = clock_mono_ns();
	unsigned n = 0;

	for (unsigned i = 0; i < n_ports; i++)
		p[n++] = (struct pollfd){ .fd = ports[i].fd, .events = POLLIN };
	for (unsigned i = 0; i < 2 * PAIRS_MAX; i++) {
		struct way *w = &ways[i];
		struct chunk *c;

		if (w->from < 0)
			continue;
		if (!w->ended && w->queued < QUEUED_MAX) {
			whose[n] = w;
			p[n++] = (struct pollfd){ .fd = w->from, .events = POLLIN };
		}
		c = STAILQ_FIRST(&w->chunks);
		if (c && c->due_ns > now) {
			int ms = (int)((c->due_ns - now) / NS_PER_MS) + 1;

			*timeout_ms = *timeout_ms < 0 || ms < *timeout_ms ? ms : *timeout_ms;
		} else if (c) {
			whose[n] = w;
			p[n++] = (struct pollfd){ .fd = w->to, .events = POLLOUT };
		}
	}
	return n;
}

static void turn(void)
{
	struct pollfd p[PORTS_MAX + 4 * PAIRS_MAX];
	struct way *whose[PORTS_MAX + 4 * PAIRS_MAX];
	int timeout_ms = -1;
	unsigned n = gather(p, whose, &timeout_ms);

	if (poll(p, n, timeout_ms) < 0)
		return;
	if (cut_newest && newest && newest->from >= 0) {
		cut_newest = 0;
		close_pair(newest);
		return;
	}
	for (unsigned i = n_ports; i < n; i++)
		if (p[i].revents && p[i].events == POLLIN && whose[i]->from >= 0 &&
		    !way_read(whose[i]))
			close_pair(whose[i]);
	for (unsigned i = 0; i < 2 * PAIRS_MAX; i++)
		if (ways[i].from >= 0 && !way_write(&ways[i]))
			close_pair(&ways[i]);
	for (unsigned i = 0; i < n_ports; i++)
		if (p[i].revents)
			accept_one(ports[i].fd, ports[i].target);
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "usage: relay DELAY_MS LISTEN_PORT:TARGET_PORT...\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGUSR1, on_signal);
	delay_ns = strtoul(argv[1], NULL, 10) * NS_PER_MS;
	for (unsigned i = 0; i < 2 * PAIRS_MAX; i++)
		ways[i].from = -1;
	for (int i = 2; i < argc; i++)
		add_port(argv[i]);
	for (;;)
		turn();
}
