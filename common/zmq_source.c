/* SPDX-License-Identifier: Apache-2.0 */
#include "common/zmq_source.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <zmq.h>

#include "common/cleanup.h"

struct zmq_source {
	void *socket;
	zmq_ready_fn fn;
	void *userdata;
	sd_event_source *io;    /* wakes the loop */
	sd_event_source *defer; /* runs fn while the socket stays readable */
};

static bool is_readable(void *socket)
{
	int events = 0;
	size_t size = sizeof(events);

	return zmq_getsockopt(socket, ZMQ_EVENTS, &events, &size) == 0 && (events & ZMQ_POLLIN);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct zmq_source *s = userdata;

	(void)source, (void)fd, (void)revents;
	if (is_readable(s->socket))
		sd_event_source_set_enabled(s->defer, SD_EVENT_ON);
	return 0;
}

static int on_prepare(sd_event_source *source, void *userdata)
{
	return on_io(source, -1, 0, userdata);
}

static int on_defer(sd_event_source *source, void *userdata)
{
	struct zmq_source *s = userdata;

	/* Before fn, which may free us. */
	sd_event_source_set_enabled(source, is_readable(s->socket) ? SD_EVENT_ON : SD_EVENT_OFF);
	if (is_readable(s->socket))
		s->fn(s->socket, s->userdata);
	return 0;
}

int zmq_source_new(sd_event *loop, void *zmq_socket, zmq_ready_fn fn, void *userdata,
		   struct zmq_source **ret)
{
	struct zmq_source *s = calloc(1, sizeof(*s));
	size_t size = sizeof(int);
	int fd, r;

	if (!s)
		return -ENOMEM;
	*s = (struct zmq_source){ .socket = zmq_socket, .fn = fn, .userdata = userdata };
	if (zmq_getsockopt(zmq_socket, ZMQ_FD, &fd, &size) < 0) {
		r = -zmq_errno();
		goto out;
	}
	r = sd_event_add_io(loop, &s->io, fd, EPOLLIN, on_io, s);
	if (r < 0)
		goto out;
	r = sd_event_source_set_prepare(s->io, on_prepare);
	if (r < 0)
		goto out;
	r = sd_event_add_defer(loop, &s->defer, on_defer, s);
	if (r < 0)
		goto out;
	*ret = s;
	return 0;
out:
	zmq_source_free(s);
	return r;
}

void zmq_source_free(struct zmq_source *s)
{
	if (!s)
		return;
	sd_event_source_disable_unref(s->io);
	sd_event_source_disable_unref(s->defer);
	free(s);
}
