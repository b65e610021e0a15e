/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/bridge_watch.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/epoll.h>

#include "common/clock.h"
#include "common/log.h"
#include "telemetry/packet_ring.h"
#include "telemetry/tcp_filter.h"
#include "telemetry/tcp_match.h"

/* How soon an interface that came is looked at, and a new client's sessions. */
#define LOOK_NS NS_PER_S
/* Blocks in one go: probes have to leave in time. */
#define BLOCKS_MAX 4
#define PRIORITY (SD_EVENT_PRIORITY_NORMAL + 10)

struct interface {
	struct bridge_watch *watch;
	char name[IF_NAMESIZE];
	struct packet_ring *ring;
	sd_event_source *io;
	int found; /* what packet_ring_attach() said last */
};

struct bridge_watch {
	struct prober *prober;
	struct tcp_match *match;
	struct interface interfaces[BRIDGE_WATCH_INTERFACES_MAX];
	size_t n;
	sd_event_source *timer;
	uint32_t keys[TCP_FILTER_HOSTS]; /* of the filter in force */
	size_t n_keys;                   /* SIZE_MAX: any host */
	struct bridge_watch_counters counters;
};

/* ---- Segments ----------------------------------------------------------------------- */

static bool is_clients(const struct bridge_watch *w, const struct address *a)
{
	struct address host = *a;

	address_set_port(&host, 0);
	return prober_has_host(w->prober, &host);
}

static void take_segment(struct bridge_watch *w, const struct tcp_segment *s, uint64_t utc_ns)
{
	bool to_client = is_clients(w, &s->to), from_client = is_clients(w, &s->from);
	struct address host = s->from;
	uint64_t rtt_ns;

	if (!to_client && !from_client) {
		w->counters.stranger++;
		return;
	}
	w->counters.taken++;
	if (to_client && !tcp_match_towards(w->match, s, utc_ns))
		w->counters.crowded++;
	if (!from_client || !tcp_match_from(w->match, s, utc_ns, &rtt_ns))
		return;
	w->counters.samples++;
	address_set_port(&host, 0);
	prober_add_session(w->prober, &host, rtt_ns);
}

static void on_frame(const void *frame, size_t len, uint64_t utc_ns, void *userdata)
{
	struct interface *i = userdata;
	struct tcp_segment s;
	int r = tcp_segment_read(frame, len, packet_ring_interface(i->ring), &s);

	if (r == 0)
		take_segment(i->watch, &s, utc_ns);
	else if (r == -EBADMSG)
		i->watch->counters.malformed++;
}

static void attach(struct interface *i)
{
	int found = packet_ring_attach(i->ring, i->name);

	if (found == 1)
		log_info("sessions", "interface=%s is looked at", i->name);
	else if (found < 0 && found != i->found)
		log_warning("sessions", "interface=%s cannot be looked at: %s", i->name,
			    found == -EPROTONOSUPPORT ? "it is no Ethernet" : strerror(-found));
	i->found = found;
}

static int on_ring(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct interface *i = userdata;
	int blocks = 0;

	(void)source, (void)fd;
	while (blocks < BLOCKS_MAX && packet_ring_take(i->ring, on_frame, i))
		blocks++;
	if (revents & EPOLLERR)
		attach(i);
	return 0;
}

/* ---- Who is looked at --------------------------------------------------------------- */

static int set_filter(struct bridge_watch *w, const struct sock_filter *code, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < w->n && r == 0; i++)
		r = packet_ring_set_filter(w->interfaces[i].ring, code, n);
	return r;
}

static int open_filter(struct bridge_watch *w)
{
	struct sock_filter code[TCP_FILTER_SIZE];

	w->n_keys = SIZE_MAX;
	return set_filter(w, code, tcp_filter_make_open(code));
}

/* As clients come, go and move. */
static void update_filter(struct bridge_watch *w)
{
	struct address hosts[TCP_FILTER_HOSTS];
	uint32_t keys[TCP_FILTER_HOSTS];
	struct sock_filter code[TCP_FILTER_SIZE];
	size_t n = prober_hosts(w->prober, hosts, TCP_FILTER_HOSTS);

	if (n > TCP_FILTER_HOSTS) {
		if (w->n_keys != SIZE_MAX)
			(void)open_filter(w);
		return;
	}
	for (size_t i = 0; i < n; i++)
		keys[i] = tcp_filter_key(&hosts[i]);
	n = tcp_filter_sort(keys, n);
	if (n == w->n_keys && memcmp(keys, w->keys, n * sizeof(*keys)) == 0)
		return;
	memcpy(w->keys, keys, n * sizeof(*keys));
	w->n_keys = n;
	if (set_filter(w, code, tcp_filter_make(keys, n, code)) < 0)
		(void)open_filter(w);
}

static int on_timer(sd_event_source *source, uint64_t due_us, void *userdata)
{
	struct bridge_watch *w = userdata;

	(void)due_us;
	update_filter(w);
	for (size_t i = 0; i < w->n; i++) {
		attach(&w->interfaces[i]);
		w->counters.dropped += packet_ring_dropped(w->interfaces[i].ring);
	}
	return sd_event_source_set_time(source, (clock_mono_ns() + LOOK_NS) / NS_PER_US);
}

/* ---- Life --------------------------------------------------------------------------- */

static int add_interface(struct bridge_watch *w, sd_event *loop, const char *name)
{
	struct interface *i = &w->interfaces[w->n];
	int r;

	i->watch = w;
	strncpy(i->name, name, sizeof(i->name) - 1);
	r = packet_ring_new(&i->ring);
	if (r < 0)
		return r;
	w->n++;
	r = sd_event_add_io(loop, &i->io, packet_ring_fd(i->ring), EPOLLIN, on_ring, i);
	return r < 0 ? r : sd_event_source_set_priority(i->io, PRIORITY);
}

int bridge_watch_new(sd_event *loop, struct prober *prober, const char *const *interfaces, size_t n,
		     struct bridge_watch **ret)
{
	_cleanup_(bridge_watch_free_p) struct bridge_watch *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	w->prober = prober;
	r = tcp_match_new(&w->match);
	for (size_t i = 0; i < n && r >= 0; i++)
		r = add_interface(w, loop, interfaces[i]);
	if (r >= 0)
		r = open_filter(w);
	if (r >= 0)
		r = sd_event_add_time(loop, &w->timer, CLOCK_MONOTONIC, 0, 0, on_timer, w);
	if (r >= 0)
		r = sd_event_source_set_enabled(w->timer, SD_EVENT_ON);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(w);
	return 0;
}

void bridge_watch_free(struct bridge_watch *w)
{
	if (!w)
		return;
	sd_event_source_disable_unref(w->timer);
	for (size_t i = 0; i < w->n; i++) {
		sd_event_source_disable_unref(w->interfaces[i].io);
		packet_ring_free(w->interfaces[i].ring);
	}
	tcp_match_free(w->match);
	free(w);
}

const struct bridge_watch_counters *bridge_watch_counters(const struct bridge_watch *w)
{
	return &w->counters;
}
