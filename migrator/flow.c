/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/flow.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "migrator/thread.h"

static void signal_fd(int fd)
{
	uint64_t one = 1;

	while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void drain_fd(int fd)
{
	uint64_t count;

	while (read(fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
}

/* One event a call, and nothing of the flow is used after it: it may be freed
 * there. The others bring the loop back. */
static int on_notify(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct flow *flow = userdata;
	unsigned events, event;

	(void)source, (void)revents;
	drain_fd(fd);
	events = atomic_load(&flow->events);
	if (!events)
		return 0;
	event = (unsigned)ffs((int)events) - 1;
	atomic_fetch_and(&flow->events, ~(1u << event));
	if (events & ~(1u << event))
		signal_fd(fd);
	flow->on_event(flow, event);
	return 0;
}

int flow_init(struct flow *flow, sd_event *loop, flow_run_fn run, flow_event_fn on_event,
	      struct mg_error *err)
{
	int r;

	flow->run = run;
	flow->on_event = on_event;
	flow->notify_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	flow->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (flow->notify_fd < 0 || flow->wake_fd < 0)
		return mg_error_set(err, -errno, "eventfd: %s", strerror(errno));
	r = sd_event_add_io(loop, &flow->source, flow->notify_fd, EPOLLIN, on_notify, flow);
	if (r < 0)
		return mg_error_set(err, r, "event loop: %s", strerror(-r));
	return ring_init(&flow->ring, err);
}

static void *thread_main(void *userdata)
{
	struct flow *flow = userdata;

	flow->run(flow);
	ring_exit(&flow->ring);
	return NULL;
}

int flow_start(struct flow *flow, struct mg_error *err)
{
	int r = thread_start(&flow->thread, thread_main, flow, err);

	flow->running = r == 0;
	return r;
}

void flow_stop(struct flow *flow)
{
	if (!flow->running)
		return;
	atomic_store(&flow->stopping, true);
	flow_wake(flow);
	pthread_join(flow->thread, NULL);
	flow->running = false;
}

void flow_exit(struct flow *flow)
{
	flow_stop(flow);
	ring_exit(&flow->ring);
	sd_event_source_disable_unref(flow->source);
	if (flow->notify_fd > 0)
		close(flow->notify_fd);
	if (flow->wake_fd > 0)
		close(flow->wake_fd);
}

static void on_wake(struct ring_op *op, int res)
{
	struct flow *flow = ring_container(op, struct flow, wake_op);

	drain_fd(flow->wake_fd);
	if (res >= 0)
		flow_watch_wake(flow);
}

void flow_watch_wake(struct flow *flow)
{
	flow->wake_op.done = on_wake;
	ring_poll(&flow->ring, &flow->wake_op, flow->wake_fd, POLLIN);
}

void flow_post(struct flow *flow, unsigned event)
{
	atomic_fetch_or(&flow->events, 1u << event);
	signal_fd(flow->notify_fd);
}

void flow_wake(struct flow *flow)
{
	signal_fd(flow->wake_fd);
}
