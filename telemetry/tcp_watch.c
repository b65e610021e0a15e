/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/tcp_watch.h"

#include <errno.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/log.h"
#include "telemetry/tcp_diag.h"

#define BUFFER_SIZE 65536 /* more than the kernel puts into one */

struct tcp_watch {
	struct prober *prober;
	uint64_t interval_ns;
	int fd;
	uint32_t sequence; /* of the last dump */
	int sessions;      /* of the present sweep */
	sd_event_source *timer;
	uint8_t buffer[BUFFER_SIZE];
};

static void on_session(const struct tcp_session *s, void *userdata)
{
	struct tcp_watch *w = userdata;

	w->sessions++;
	if (s->sent_ns_ago <= w->interval_ns && s->acknowledged_ns_ago <= w->interval_ns)
		prober_add_session(w->prober, &s->peer, s->rtt_ns);
}

/* The kernel makes a dump while it is received, so there is nothing to wait for. */
static int dump(struct tcp_watch *w)
{
	uint8_t request[TCP_DIAG_REQUEST_SIZE];
	int r = 0;

	tcp_diag_request(++w->sequence, request);
	if (send(w->fd, request, sizeof(request), 0) < 0)
		return -errno;
	while (r == 0) {
		ssize_t len = recv(w->fd, w->buffer, sizeof(w->buffer), MSG_DONTWAIT | MSG_TRUNC);

		if (len < 0)
			return -errno;
		if ((size_t)len > sizeof(w->buffer))
			return -EMSGSIZE;
		r = tcp_diag_read(w->buffer, (size_t)len, w->sequence, on_session, w);
	}
	return r < 0 ? r : 0;
}

int tcp_watch_sweep(struct tcp_watch *w)
{
	int r;

	w->sessions = 0;
	r = dump(w);
	/* The next sweep is one interval away, and may be late. */
	prober_take_sessions(w->prober, clock_mono_ns(), clock_utc_ns(), 2 * w->interval_ns);
	return r < 0 ? r : w->sessions;
}

static int on_timer(sd_event_source *source, uint64_t due_us, void *userdata)
{
	struct tcp_watch *w = userdata;
	int r = tcp_watch_sweep(w);

	(void)due_us;
	if (r < 0)
		log_debug("sessions", "the kernel does not tell all: %s", strerror(-r));
	return sd_event_source_set_time(source, (clock_mono_ns() + w->interval_ns) / NS_PER_US);
}

int tcp_watch_new(sd_event *loop, struct prober *prober, uint64_t interval_ns,
		  struct tcp_watch **ret)
{
	_cleanup_(tcp_watch_free_p) struct tcp_watch *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	w->prober = prober;
	w->interval_ns = interval_ns;
	w->fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	if (w->fd < 0)
		return -errno;
	r = sd_event_add_time(loop, &w->timer, CLOCK_MONOTONIC, 0, NS_PER_MS / NS_PER_US, on_timer,
			      w);
	if (r >= 0)
		r = sd_event_source_set_enabled(w->timer, SD_EVENT_ON);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(w);
	return 0;
}

void tcp_watch_free(struct tcp_watch *w)
{
	if (!w)
		return;
	sd_event_source_disable_unref(w->timer);
	if (w->fd >= 0)
		close(w->fd);
	free(w);
}
