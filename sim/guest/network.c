/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/guest/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/cleanup.h"

#define CONNECTIONS_MAX 512
#define BUFFER_SIZE 16384
#define DATAGRAM_MAX 2048

/* What an epoll event is about: every source begins with its handler. */
struct source {
	void (*handle)(struct source *s, uint32_t events);
	struct network *network;
	int epoll_fd;
	int fd;
};

struct connection {
	struct source source;
	size_t begin, end; /* of what is still to be sent back */
	uint8_t buffer[BUFFER_SIZE];
};

static int watch(struct source *s, int operation, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = s };

	return epoll_ctl(s->epoll_fd, operation, s->fd, &e) < 0 ? -errno : 0;
}

static void connection_close(struct connection *c)
{
	close(c->source.fd);
	c->source.network->counts.connections--;
	free(c);
}

/* Sends what is due; reading waits meanwhile, so the peer's window closes. */
static int connection_flush(struct connection *c)
{
	while (c->begin < c->end) {
		ssize_t n = send(c->source.fd, c->buffer + c->begin, c->end - c->begin, MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN ? watch(&c->source, EPOLL_CTL_MOD, EPOLLOUT) : -errno;
		c->begin += (size_t)n;
		c->source.network->counts.tcp_bytes += (uint64_t)n;
	}
	return 0;
}

static void connection_handle(struct source *s, uint32_t events)
{
	struct connection *c = (struct connection *)s;
	ssize_t n;

	if (c->begin < c->end) {
		if (connection_flush(c) < 0 ||
		    (c->begin == c->end && watch(s, EPOLL_CTL_MOD, EPOLLIN) < 0))
			connection_close(c);
		return;
	}
	n = recv(s->fd, c->buffer, sizeof(c->buffer), 0);
	if (n < 0 && errno == EAGAIN && !(events & (EPOLLERR | EPOLLHUP)))
		return;
	c->begin = 0;
	c->end = n > 0 ? (size_t)n : 0;
	if (n <= 0 || connection_flush(c) < 0)
		connection_close(c);
}

static void listener_handle(struct source *s, uint32_t events)
{
	int one = 1, fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct connection *c;

	(void)events;
	if (fd < 0)
		return;
	c = s->network->counts.connections < CONNECTIONS_MAX ? malloc(sizeof(*c)) : NULL;
	if (!c) {
		close(fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	c->source = (struct source){ .handle = connection_handle, .network = s->network,
				     .epoll_fd = s->epoll_fd, .fd = fd };
	c->begin = c->end = 0;
	s->network->counts.connections++;
	if (watch(&c->source, EPOLL_CTL_ADD, EPOLLIN) < 0)
		connection_close(c);
}

static void echo_handle(struct source *s, uint32_t events)
{
	uint8_t datagram[DATAGRAM_MAX];
	struct sockaddr_storage from;
	socklen_t len;
	ssize_t n;

	(void)events;
	for (;;) {
		len = sizeof(from);
		n = recvfrom(s->fd, datagram, sizeof(datagram), 0, (struct sockaddr *)&from, &len);
		if (n < 0)
			return;
		if (sendto(s->fd, datagram, (size_t)n, 0, (struct sockaddr *)&from, len) == n)
			s->network->counts.udp++;
	}
}

static void control_handle(struct source *s, uint32_t events)
{
	char command[256], answer[1024];
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	size_t size;
	ssize_t n;

	(void)events;
	n = recvfrom(s->fd, command, sizeof(command) - 1, 0, (struct sockaddr *)&from, &len);
	if (n < 0)
		return;
	command[n] = '\0';
	size = s->network->on_command(command, answer, sizeof(answer), s->network->userdata);
	/* An answer that does not leave is asked for again. */
	(void)!sendto(s->fd, answer, size, 0, (struct sockaddr *)&from, len);
}

static int open_socket(struct source *s, int type, uint16_t port)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(port) };
	int one = 1;

	s->fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return -errno;
	setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(s->fd, (struct sockaddr *)&any, sizeof(any)) < 0)
		return -errno;
	if (type == SOCK_STREAM && listen(s->fd, 64) < 0)
		return -errno;
	return watch(s, EPOLL_CTL_ADD, EPOLLIN);
}

int network_serve(struct network *n, uint16_t echo_port, uint16_t control_port)
{
	_cleanup_close_ int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	struct source udp = { .handle = echo_handle }, tcp = { .handle = listener_handle };
	struct source control = { .handle = control_handle };
	struct epoll_event event;
	int r;

	if (epoll_fd < 0)
		return -errno;
	udp.network = tcp.network = control.network = n;
	udp.epoll_fd = tcp.epoll_fd = control.epoll_fd = epoll_fd;
	if ((r = open_socket(&udp, SOCK_DGRAM, echo_port)) < 0 ||
	    (r = open_socket(&tcp, SOCK_STREAM, echo_port)) < 0 ||
	    (r = open_socket(&control, SOCK_DGRAM, control_port)) < 0)
		return r;
	/* One event at a time: a handler may free what a later event is about. */
	for (;;) {
		struct source *s;

		if (epoll_wait(epoll_fd, &event, 1, -1) < 1)
			continue;
		s = event.data.ptr;
		s->handle(s, event.events);
	}
}
