/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/node.h"

#include <string.h>

#include "common/bus.h"
#include "common/clock.h"
#include "common/log.h"
#include "telemetry/bridge_watch.h"
#include "telemetry/confine.h"
#include "telemetry/datagram.h"
#include "telemetry/exporter.h"
#include "telemetry/probe_loop.h"
#include "telemetry/registry.h"
#include "telemetry/reporter.h"
#include "telemetry/tcp_watch.h"
#include "telemetry/uplink.h"

#define EXPIRY_NS (250 * NS_PER_MS) /* between two looks for expired registrations */
#define STATISTICS_NS (60 * NS_PER_S)
/* The controller is told again what it was told before, as another node's word may have come
 * between: at each look a part, and all within 10 s. */
#define RETELL_PARTS 40

struct node {
	struct probe_loop_socket sockets[PROBER_CHANNELS];
	struct address local;
	struct registry *registry;
	struct probe_loop *probes;
	struct prober *prober; /* theirs */
	bool needs_keys; /* to probe */
	struct bus *bus;
	struct uplink *uplinks[TELEMETRY_CONTROLLERS_MAX];
	size_t n_uplinks;
	uint64_t epoch; /* the highest that a controller has told */
	struct reporter *reporter;
	struct tcp_watch *sessions; /* NULL: they are not looked at */
	struct bridge_watch *passing; /* NULL: nor are those that only pass */
	struct exporter *exporter; /* NULL: no metrics are served */
	sd_event_source *expiry_timer;
	uint64_t statistics_ns; /* when they are logged next */
	unsigned retold; /* parts of the registrations that were told again in this round */
};

/* Rounded up: too early a call would find nothing to do. */
static uint64_t in_us(uint64_t ns)
{
	return (ns + NS_PER_US - 1) / NS_PER_US;
}

/* ---- What follows from a registration ------------------------------------------------ */

static void set_registered(const struct device *device, void *userdata)
{
	struct node *n = userdata;

	prober_set_registered(n->prober, clock_mono_ns(), &device->id, &device->address,
			      device->asleep);
}

/* ---- The UDP port ------------------------------------------------------------------ */

static void client_seen(struct node *n, const struct device *device, bool attached)
{
	for (size_t i = 0; i < n->n_uplinks; i++)
		uplink_client_seen(n->uplinks[i], device, attached);
}

static void on_registration(struct node *n, int fd, const struct datagram *d)
{
	uint8_t answer[REGISTRATION_SIZE];
	char text[ADDRESS_TEXT_SIZE];
	const struct device *device;
	enum registry_verdict verdict = registry_receive(n->registry, clock_mono_ns(), &d->from,
							 d->data, d->len, answer, &device);

	if (verdict == REGISTRY_IGNORED)
		return;
	(void)datagram_send(fd, &d->to, &d->from, answer, sizeof(answer));
	if (verdict != REGISTRY_CHANGED)
		return;
	log_info("registry", "device=%s address=%s registered%s", device->name,
		 address_format(&device->address, text), device->asleep ? ", asleep" : "");
	set_registered(device, n);
	client_seen(n, device, true);
	probe_loop_wake(n->probes);
}

static bool take_registration(int fd, const struct datagram *d, void *userdata)
{
	if (!registration_is(d->data, d->len))
		return false;
	on_registration(userdata, fd, d);
	return true;
}

/* ---- Registrations ------------------------------------------------------------------ */

static void on_expired(const struct device *device, void *userdata)
{
	struct node *n = userdata;
	char text[ADDRESS_TEXT_SIZE];

	log_info("registry", "device=%s address=%s gone", device->name,
		 address_format(&device->address, text));
	prober_set_registered(n->prober, clock_mono_ns(), &device->id, NULL, false);
	if (!device->agentless)
		client_seen(n, device, false);
}

static void log_statistics(struct node *n)
{
	const struct prober_counters *p = prober_counters(n->prober);
	const struct registry_counters *r = registry_counters(n->registry);

	log_info("statistics",
		 "clients=%zu sent=%lu not_sent=%lu accepted=%lu wrong_length=%lu stranger=%lu "
		 "duplicate=%lu late=%lu forged=%lu implausible=%lu registrations=%lu repeat=%lu "
		 "registrations_malformed=%lu registrations_unknown=%lu registrations_forged=%lu",
		 prober_clients(n->prober), p->sent, p->not_sent, p->accepted, p->wrong_length,
		 p->stranger, p->duplicate, p->late, p->forged, p->implausible, r->accepted,
		 r->repeat, r->malformed, r->unknown_device, r->forged);
}

static void tell_controllers(const struct device *device, void *userdata)
{
	struct node *n = userdata;

	/* That it answers to ping says nothing of where it is. */
	if (!device->agentless)
		client_seen(n, device, true);
}

static int on_expiry_timer(sd_event_source *source, uint64_t due_us, void *userdata)
{
	struct node *n = userdata;
	uint64_t now = clock_mono_ns();

	(void)due_us;
	registry_expire(n->registry, now, on_expired, n);
	registry_for_part(n->registry, n->retold, RETELL_PARTS, tell_controllers, n);
	n->retold = (n->retold + 1) % RETELL_PARTS;
	if (now >= n->statistics_ns) {
		n->statistics_ns = now + STATISTICS_NS;
		log_statistics(n);
	}
	return sd_event_source_set_time(source, in_us(now + EXPIRY_NS));
}

/* ---- The controller ------------------------------------------------------------------- */

static const uint8_t *key_of(const struct uuid *device, void *userdata)
{
	const struct node *n = userdata;

	return registry_key(n->registry, device);
}

static void warn_of_keys(const struct node *n, const struct prober_watch *list, size_t count)
{
	size_t missing = 0;

	for (size_t i = 0; i < count; i++)
		missing += !list[i].gone && !registry_key(n->registry, &list[i].device) &&
			   !registry_is_agentless(n->registry, &list[i].device);
	if (missing)
		log_warning("uplink", "clients=%zu are not probed: their keys are not known here",
			    missing);
}

static bool on_watch_list(const struct uplink_watch *w, void *userdata)
{
	struct node *n = userdata;

	if (w->epoch < n->epoch)
		return false;
	n->epoch = w->epoch;
	prober_set_threshold(n->prober, w->threshold_ns);
	if (prober_watch(n->prober, clock_mono_ns(), w->list, w->n, w->begins, w->ends) < 0)
		log_error("uplink", "clients=%zu not all are watched: out of memory", w->n);
	if (n->needs_keys)
		warn_of_keys(n, w->list, w->n);
	registry_for_each(n->registry, set_registered, n);
	probe_loop_wake(n->probes);
	return true;
}

static void on_new_controller(uint64_t epoch, void *userdata)
{
	struct node *n = userdata;

	if (epoch > n->epoch)
		n->epoch = epoch;
	registry_for_each(n->registry, tell_controllers, n);
}

/* ---- Life ------------------------------------------------------------------------------ */

static int open_udp(struct node *n, const struct address *listen, struct mg_error *err)
{
	bool v6 = listen->any.sa_family == AF_INET6;
	int *fd = &n->sockets[v6 ? PROBER_STAMP_V6 : PROBER_STAMP_V4].fd;
	int r = datagram_open(listen, fd, err);

	if (r == 0 && datagram_room(*fd) < DATAGRAM_ROOM)
		log_warning("main", "there is room for %zu KiB of answers that wait, not %zu: of many "
			    "clients some will be lost; net.core.rmem_max allows no more",
			    datagram_room(*fd) >> 10, DATAGRAM_ROOM >> 10);
	return r;
}

/* All probes leave in the class of service that they ask for, so that it costs them nothing. */
static int set_class_of_service(const struct node *n, uint8_t dscp, struct mg_error *err)
{
	static const enum prober_channel channels[] = { PROBER_STAMP_V4, PROBER_STAMP_V6 };
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(channels) && r == 0; i++) {
		int fd = n->sockets[channels[i]].fd;

		if (fd >= 0)
			r = datagram_want_tos(fd);
		if (fd >= 0 && r == 0)
			r = datagram_set_tos(fd, (uint8_t)(dscp << 2));
	}
	return r < 0 ? mg_error_set(err, r, "class_of_service: %s", strerror(-r)) : 0;
}

static void warn_of_agentless(const struct device *device, void *userdata)
{
	const struct node *n = userdata;
	bool v6 = device->address.any.sa_family == AF_INET6;

	if (device->agentless && n->sockets[v6 ? PROBER_ECHO_V6 : PROBER_ECHO_V4].fd < 0)
		log_warning("main", "device=%s cannot be probed: no permission for ICMP echo "
			    "(net.ipv4.ping_group_range, CAP_NET_RAW)", device->name);
}

/* Devices without an agent may also come with a reload, so it is tried whether or not there
 * are any. */
static void open_echo(struct node *n)
{
	struct probe_loop_socket *v4 = &n->sockets[PROBER_ECHO_V4];
	struct probe_loop_socket *v6 = &n->sockets[PROBER_ECHO_V6];

	(void)datagram_open_echo(AF_INET, &v4->fd, &v4->raw);
	(void)datagram_open_echo(AF_INET6, &v6->fd, &v6->raw);
	registry_for_each(n->registry, warn_of_agentless, n);
}

static int open_sockets(struct node *n, const struct node_config *c, struct mg_error *err)
{
	int r = open_udp(n, &c->listen, err);

	if (r == 0 && !address_is_none(&c->also_listen))
		r = open_udp(n, &c->also_listen, err);
	if (r == 0 && c->tlvs.class_of_service)
		r = set_class_of_service(n, c->tlvs.dscp, err);
	if (r == 0)
		open_echo(n);
	return r;
}

static int make_probes(struct node *n, const struct node_config *c, sd_event *loop)
{
	bool v6 = c->listen.any.sa_family == AF_INET6;
	struct probe_loop_config probes = {
		.prober = {
			.interval_ns = c->interval_ns,
			.calm_interval_ns = c->calm_interval_ns,
			.budget = c->budget,
			.timeout_ns = c->timeout_ns,
			.window_ns = c->window_ns,
			.tlvs = c->tlvs,
			.authenticated = c->authenticated,
			.error_estimate = stamp_error_of_clock(STAMP_NTP),
		},
		.filter = take_registration,
		.key_of = n->needs_keys ? key_of : NULL,
		.userdata = n,
	};
	int r;

	memcpy(probes.sockets, n->sockets, sizeof(probes.sockets));
	r = datagram_local(n->sockets[v6 ? PROBER_STAMP_V6 : PROBER_STAMP_V4].fd, &n->local);
	if (r >= 0)
		r = probe_loop_new(loop, &probes, &n->probes);
	if (r >= 0)
		n->prober = probe_loop_prober(n->probes);
	return r;
}

static int make_parts(struct node *n, const struct node_config *c, sd_event *loop,
		      struct mg_error *err)
{
	int r = registry_load(c->devices, &n->registry, err);

	if (r == 0)
		r = open_sockets(n, c, err);
	if (r < 0)
		return r;
	r = make_probes(n, c, loop);
	return r < 0 ? mg_error_set(err, r, "cannot start: %s", strerror(-r)) : 0;
}

static int watch_sessions(struct node *n, const struct node_config *c, sd_event *loop,
			  struct mg_error *err)
{
	int r = 0;

	if (c->session_interval_ns)
		r = tcp_watch_new(loop, n->prober, c->session_interval_ns, &n->sessions);
	if (r < 0)
		return mg_error_set(err, r, "cannot look at TCP sessions: %s", strerror(-r));
	if (c->n_session_interfaces)
		r = bridge_watch_new(loop, n->prober, c->session_interfaces,
				     c->n_session_interfaces, &n->passing);
	return r < 0 ? mg_error_set(err, r, "session_interfaces: cannot look at what passes "
				    "(CAP_NET_RAW): %s", strerror(-r))
		     : 0;
}

static int make_sources(struct node *n, const struct node_config *c, sd_event *loop,
			struct mg_error *err)
{
	int r = watch_sessions(n, c, loop, err);

	if (r < 0)
		return r;
	r = sd_event_add_time(loop, &n->expiry_timer, CLOCK_MONOTONIC, 0, 0, on_expiry_timer, n);
	if (r >= 0)
		r = sd_event_source_set_enabled(n->expiry_timer, SD_EVENT_ON);
	return r < 0 ? mg_error_set(err, r, "event loop: %s", strerror(-r)) : 0;
}

static int make_uplinks(struct node *n, const struct node_config *c, sd_event *loop,
			struct mg_error *err)
{
	const struct uplink_events events = { on_watch_list, on_new_controller, n };
	const struct bus_config bus = {
		.name = c->name,
		.keys = c->keys,
		.plain_text = c->plain_text_bus,
	};
	int r;

	if (c->plain_text_bus)
		log_warning("main",
			    "plain_text_bus: messages are neither encrypted nor authenticated");
	r = bus_new(loop, &bus, &n->bus, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < c->n_controllers && r == 0; i++) {
		r = uplink_new(loop, n->bus, c->controllers[i].endpoint, c->controllers[i].key,
			       &events, &n->uplinks[i], err);
		if (r == 0)
			n->n_uplinks++;
	}
	if (r < 0)
		return r;
	return reporter_new(loop, n->bus, c->controllers, c->n_controllers, n->prober,
			    c->report_interval_ns, &n->reporter, err);
}

int node_start(const struct node_config *config, sd_event *loop, struct node **ret,
	       struct mg_error *err)
{
	_cleanup_(node_free_p) struct node *n = calloc(1, sizeof(*n));
	int r;

	if (!n)
		return mg_error_set(err, -ENOMEM, "out of memory");
	for (unsigned i = 0; i < PROBER_CHANNELS; i++)
		n->sockets[i].fd = -1;
	n->needs_keys = config->authenticated || config->protect_tlvs;
	n->statistics_ns = clock_mono_ns() + STATISTICS_NS;
	r = make_parts(n, config, loop, err);
	if (r == 0)
		r = make_sources(n, config, loop, err);
	if (r == 0 && !address_is_none(&config->metrics))
		r = exporter_new(loop, &config->metrics,
				 &(struct exporter_sources){ n->prober, n->registry, n->passing },
				 &n->exporter, err);
	/* No socket after these needs any, and the bus is about to make threads. */
	if (r == 0)
		r = confine_drop_privileges(err);
	if (r == 0)
		r = make_uplinks(n, config, loop, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(n);
	return 0;
}

int node_reload(struct node *n, const struct node_config *config, struct mg_error *err)
{
	const struct prober_timing timing = {
		.interval_ns = config->interval_ns,
		.calm_interval_ns = config->calm_interval_ns,
		.timeout_ns = config->timeout_ns,
		.budget = config->budget,
	};
	int r = registry_reload(n->registry, config->devices, on_expired, n, err);

	if (r < 0)
		return r;
	registry_for_each(n->registry, set_registered, n);
	registry_for_each(n->registry, warn_of_agentless, n);
	prober_set_timing(n->prober, clock_mono_ns(), &timing);
	reporter_set_interval(n->reporter, config->report_interval_ns);
	probe_loop_wake(n->probes);
	return 0;
}

void node_free(struct node *n)
{
	if (!n)
		return;
	sd_event_source_disable_unref(n->expiry_timer);
	exporter_free(n->exporter);
	tcp_watch_free(n->sessions);
	bridge_watch_free(n->passing);
	reporter_free(n->reporter);
	for (size_t i = 0; i < n->n_uplinks; i++)
		uplink_free(n->uplinks[i]);
	bus_free(n->bus);
	probe_loop_free(n->probes);
	registry_free(n->registry);
	for (unsigned i = 0; i < PROBER_CHANNELS; i++)
		if (n->sockets[i].fd >= 0)
			close(n->sockets[i].fd);
	free(n);
}

const struct address *node_local(const struct node *n)
{
	return &n->local;
}

const struct address *node_metrics_local(const struct node *n)
{
	return n->exporter ? exporter_local(n->exporter) : NULL;
}
