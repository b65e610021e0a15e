/* SPDX-License-Identifier: Apache-2.0
 *
 * A node and a reflector over loopback, with the test as their controller.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include "common/bus.h"
#include "common/clock.h"
#include "common/log.h"
#include "telemetry/datagram.h"
#include "telemetry/node.h"
#include "telemetry/reflector.h"
#include "telemetry/stamp.h"

#define DEVICE "10000000-0000-4000-8000-00000000000a"
#define KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define REFRESH (50 * NS_PER_MS)
#define SELDOM (20 * NS_PER_S) /* a device that no stall of the machine makes us forget */
#define TIMEOUT (500 * NS_PER_MS)

/* What the controller has heard. */
struct heard {
	unsigned hellos, seen, gone, reports;
	bool asleep;
	char address[ADDRESS_TEXT_SIZE];
	uint64_t srtt_ns, sent, lost;
	unsigned confidence, answers, failures;
};

struct world {
	sd_event *loop;
	struct keypair controller_keys, node_keys;
	struct allow_list *allow;
	struct bus *bus;
	struct bus_socket *router, *sub;
	char router_at[256], sub_at[256];
	struct bus_peer node_peer;
	int refuse_seen; /* errno to refuse ClientSeen with; 0: accept */
	struct heard heard;
	char devices[64];
	bool authenticated;
	const char *loopback; /* of node and device */
	struct address also_listen; /* of the node */
	uint64_t start_utc_ns;
	struct node *node;
	struct reflector *reflector;
	struct reflector_config reflector_config;
};

/* ---- The controller ------------------------------------------------------------- */

static void on_seen(struct world *w, struct bus_socket *s, const struct bus_peer *from,
		    const Envelope *e)
{
	struct mg_error err;

	if (w->refuse_seen) {
		mg_error_set(&err, -w->refuse_seen, "who are you?");
		bus_reply_failure(s, from, e, &err);
		w->refuse_seen = 0;
		return;
	}
	snprintf(w->heard.address, sizeof(w->heard.address), "%s", e->client_seen->address);
	w->heard.asleep = e->client_seen->has_asleep && e->client_seen->asleep;
	w->heard.seen += e->client_seen->attached;
	w->heard.gone += !e->client_seen->attached;
	bus_reply_done(s, from, e);
}

static void on_request(struct bus_socket *s, const struct bus_peer *from, const Envelope *e,
		       void *userdata)
{
	struct world *w = userdata;

	cr_assert_eq(from->role, PEER_ROLE_NODE);
	w->node_peer = *from;
	switch (e->body_case) {
	case TAGALONG__ENVELOPE__BODY_NODE_HELLO:
		cr_assert_eq(e->node_hello->role, TAGALONG__NODE_ROLE__NODE_TELEMETRY);
		w->heard.hellos++;
		bus_reply_done(s, from, e);
		break;
	case TAGALONG__ENVELOPE__BODY_CLIENT_SEEN:
		on_seen(w, s, from, e);
		break;
	case TAGALONG__ENVELOPE__BODY_DONE:
	case TAGALONG__ENVELOPE__BODY_FAILURE:
		w->heard.failures += e->body_case == TAGALONG__ENVELOPE__BODY_FAILURE;
		w->heard.answers++;
		break;
	default:
		cr_assert_fail("%s", envelope_body_name(e));
	}
}

static void on_report(struct bus_socket *s, const struct bus_peer *from, const Envelope *e,
		      void *userdata)
{
	struct world *w = userdata;

	(void)s, (void)from;
	cr_assert_eq(e->body_case, TAGALONG__ENVELOPE__BODY_RTT_REPORT);
	cr_assert_gt(e->rtt_report->n_samples, 0);
	cr_assert_gt(e->rtt_report->number, 0);
	for (size_t i = 0; i < e->rtt_report->n_samples; i++) {
		const Tagalong__RttSample *sample = e->rtt_report->samples[i];
		uint64_t now = clock_utc_ns();

		cr_assert_eq(sample->method, TAGALONG__RTT_METHOD__RTT_STAMP);
		cr_assert(sample->last_sample_utc_ns <= now &&
			  sample->last_sample_utc_ns >= w->start_utc_ns);
		w->heard.reports++;
		w->heard.srtt_ns = sample->srtt_ns;
		w->heard.sent = sample->sent;
		w->heard.lost = sample->lost;
		w->heard.confidence = sample->confidence;
	}
}

/* Listens where it did before, if it did. */
static void start_controller(struct world *w)
{
	struct mg_error err = { 0 };
	const struct bus_config config = { "main", &w->controller_keys, w->allow };

	cr_assert_eq(bus_new(w->loop, &config, &w->bus, &err), 0, "%s", err.text);
	cr_assert_eq(bus_listen(w->bus, BUS_ROUTER,
				w->router_at[0] ? w->router_at : "tcp://127.0.0.1:*", on_request, w,
				&w->router, &err),
		     0, "%s", err.text);
	cr_assert_eq(bus_listen(w->bus, BUS_SUB, w->sub_at[0] ? w->sub_at : "tcp://127.0.0.1:*",
				on_report, w, &w->sub, &err),
		     0, "%s", err.text);
	snprintf(w->router_at, sizeof(w->router_at), "%s", bus_endpoint(w->router));
	snprintf(w->sub_at, sizeof(w->sub_at), "%s", bus_endpoint(w->sub));
}

/* ---- The node and the device ------------------------------------------------------- */

static void write_devices(struct world *w)
{
	static const char text[] = DEVICE " phone " KEY "\n";
	_cleanup_close_ int fd = -1;

	strcpy(w->devices, "/tmp/test_node.XXXXXX");
	fd = mkstemp(w->devices);
	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, text, sizeof(text) - 1), (ssize_t)sizeof(text) - 1);
}

static void start_node(struct world *w)
{
	struct mg_error err = { 0 };
	const struct telemetry_controller controller = { w->router_at,
							 w->controller_keys.public_key,
							 w->sub_at };
	struct node_config config = {
		.name = "tower-a",
		.keys = &w->node_keys,
		.controllers = &controller,
		.n_controllers = 1,
		.devices = w->devices,
		.authenticated = w->authenticated,
		.interval_ns = 20 * NS_PER_MS,
		.timeout_ns = TIMEOUT,
		.window_ns = NS_PER_S,
		.report_interval_ns = 50 * NS_PER_MS,
	};

	config.also_listen = w->also_listen;
	cr_assert_eq(address_parse(w->loopback, 0, &config.listen), 0);
	if (w->node)
		config.listen = *node_local(w->node);
	node_free(w->node);
	cr_assert_eq(node_start(&config, w->loop, &w->node, &err), 0, "%s", err.text);
}

static void start_reflector_at(struct world *w, const struct address *node)
{
	struct reflector_config *config = &w->reflector_config;
	struct mg_error err = { 0 };

	cr_assert_eq(address_parse(w->loopback, 0, &config->listen), 0);
	cr_assert_eq(uuid_parse(DEVICE, &config->device), 0);
	cr_assert_eq(device_key_parse(KEY, config->key), 0);
	config->node = *node;
	if (config->interval_ns == 0)
		config->interval_ns = REFRESH;
	cr_assert_eq(reflector_start(config, w->loop, &w->reflector, &err), 0, "%s", err.text);
}

static void start_reflector(struct world *w)
{
	start_reflector_at(w, node_local(w->node));
}

static void stop_reflector(struct world *w)
{
	reflector_free(w->reflector);
	w->reflector = NULL;
}

static void setup_with(struct world *w, const char *loopback, bool authenticated)
{
	struct mg_error err = { 0 };
	char list[256];

	*w = (struct world){ .start_utc_ns = clock_utc_ns(),
			     .loopback = loopback,
			     .authenticated = authenticated };
	w->reflector_config.stamp.authenticated = authenticated;
	log_init("test_node", LOG_LEVEL_ERROR);
	cr_assert_eq(sd_event_new(&w->loop), 0);
	cr_assert_eq(keypair_generate(&w->controller_keys), 0);
	cr_assert_eq(keypair_generate(&w->node_keys), 0);
	snprintf(list, sizeof(list), "node tower-a %s", w->node_keys.public_key);
	cr_assert_eq(allow_list_parse(list, strlen(list), &w->allow, &err), 0);
	write_devices(w);
	start_controller(w);
	start_node(w);
}

static void setup(struct world *w)
{
	setup_with(w, "127.0.0.1:0", false);
}

static void teardown(struct world *w)
{
	stop_reflector(w);
	node_free(w->node);
	bus_free(w->bus);
	allow_list_free(w->allow);
	sd_event_unref(w->loop);
	unlink(w->devices);
}

/* Runs the loop while `condition` does not hold, for at most as long as a busy
 * machine may need. */
#define RUN_UNTIL(w, condition)                                                                    \
	do {                                                                                       \
		uint64_t end_ = clock_mono_ns() + 30 * NS_PER_S;                                   \
		while (!(condition) && clock_mono_ns() < end_)                                     \
			sd_event_run((w)->loop, 10000);                                            \
		cr_assert(condition);                                                              \
	} while (0)

static void run_for(struct world *w, uint64_t ns)
{
	uint64_t end = clock_mono_ns() + ns;

	while (clock_mono_ns() < end)
		sd_event_run(w->loop, 10000);
}

static void send_watch_list(struct world *w, const char *address)
{
	Tagalong__WatchList list = TAGALONG__WATCH_LIST__INIT;
	Tagalong__WatchEntry entry = TAGALONG__WATCH_ENTRY__INIT, *entries[] = { &entry };
	Envelope e = TAGALONG__ENVELOPE__INIT;
	struct uuid device;
	unsigned answers = w->heard.answers;

	cr_assert_eq(uuid_parse(DEVICE, &device), 0);
	entry.device = (ProtobufCBinaryData){ UUID_SIZE, device.bytes };
	entry.name = (char *)"phone";
	entry.address = (char *)address;
	list.n_clients = 1;
	list.clients = entries;
	e.body_case = TAGALONG__ENVELOPE__BODY_WATCH_LIST;
	e.watch_list = &list;
	cr_assert_gt(bus_send(w->router, &w->node_peer, &e), 0);
	RUN_UNTIL(w, w->heard.answers > answers);
}

/* As a change that goes on from a message that was never there. */
static void send_void_change(struct world *w)
{
	Tagalong__WatchList list = TAGALONG__WATCH_LIST__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	unsigned failures = w->heard.failures;

	list.has_number = list.has_after = true;
	list.number = 8;
	list.after = 7;
	e.body_case = TAGALONG__ENVELOPE__BODY_WATCH_LIST;
	e.watch_list = &list;
	cr_assert_gt(bus_send(w->router, &w->node_peer, &e), 0);
	RUN_UNTIL(w, w->heard.failures > failures);
}

static void expect_local_address(struct world *w)
{
	char text[ADDRESS_TEXT_SIZE];

	cr_assert_str_eq(w->heard.address, address_format(reflector_local(w->reflector), text));
}

/* ---- Tests ------------------------------------------------------------------------------ */

Test(node, a_registered_device_is_told_watched_and_measured)
{
	struct world w;

	setup(&w);
	RUN_UNTIL(&w, w.heard.hellos);
	start_reflector(&w);
	RUN_UNTIL(&w, w.heard.seen);
	expect_local_address(&w);
	RUN_UNTIL(&w, address_equal(reflector_registered_with(w.reflector), node_local(w.node)));
	run_for(&w, 100 * NS_PER_MS);
	cr_assert_eq(w.heard.reports, 0);
	send_void_change(&w);
	send_watch_list(&w, NULL);
	RUN_UNTIL(&w, w.heard.reports >= 5);
	/* Loopback under load, but never nothing at all. */
	cr_assert(w.heard.srtt_ns > 100 && w.heard.srtt_ns <= TIMEOUT, "%lu", w.heard.srtt_ns);
	RUN_UNTIL(&w, w.heard.confidence >= 90 && w.heard.sent >= 5);
	teardown(&w);
}

Test(node, it_registers_tells_and_measures_over_ipv6)
{
	struct world w;
	char before[ADDRESS_TEXT_SIZE];
	uint64_t sent;

	setup_with(&w, "[::1]:0", false);
	w.reflector_config.interval_ns = SELDOM;
	start_reflector(&w);
	RUN_UNTIL(&w, w.heard.seen);
	expect_local_address(&w);
	send_watch_list(&w, NULL);
	RUN_UNTIL(&w, w.heard.reports >= 5);
	cr_assert(w.heard.srtt_ns > 100 && w.heard.srtt_ns <= TIMEOUT, "%lu", w.heard.srtt_ns);
	/* And at another address it is the same client: its probes are counted on. */
	sent = w.heard.sent;
	strcpy(before, w.heard.address);
	stop_reflector(&w);
	start_reflector(&w);
	RUN_UNTIL(&w, strcmp(before, w.heard.address) != 0);
	expect_local_address(&w);
	w.heard.reports = 0;
	RUN_UNTIL(&w, w.heard.reports >= 2 && w.heard.confidence > 80);
	cr_assert_gt(w.heard.sent, sent);
	cr_assert_eq(w.heard.gone, 0);
	teardown(&w);
}

static struct address free_port(const char *loopback)
{
	struct mg_error err = { 0 };
	struct address a;
	int fd;

	cr_assert_eq(address_parse(loopback, 0, &a), 0);
	cr_assert_eq(datagram_open(&a, &fd, &err), 0, "%s", err.text);
	cr_assert_eq(datagram_local(fd, &a), 0);
	close(fd);
	return a;
}

Test(node, a_device_that_comes_back_over_ipv6_is_the_same)
{
	char before[ADDRESS_TEXT_SIZE];
	struct world w;
	uint64_t sent;

	setup(&w);
	w.reflector_config.interval_ns = SELDOM;
	RUN_UNTIL(&w, w.heard.hellos);
	w.also_listen = free_port("[::1]:0");
	w.heard.hellos = 0;
	start_node(&w);
	RUN_UNTIL(&w, w.heard.hellos);
	start_reflector(&w);
	RUN_UNTIL(&w, w.heard.seen);
	send_watch_list(&w, NULL);
	RUN_UNTIL(&w, w.heard.reports >= 5);
	sent = w.heard.sent;
	strcpy(before, w.heard.address);
	stop_reflector(&w);
	w.loopback = "[::1]:0";
	start_reflector_at(&w, &w.also_listen);
	RUN_UNTIL(&w, strcmp(before, w.heard.address) != 0);
	expect_local_address(&w);
	w.heard.reports = 0;
	RUN_UNTIL(&w, w.heard.reports >= 2 && w.heard.confidence > 80);
	cr_assert_gt(w.heard.sent, sent, "its probes are counted on");
	cr_assert_eq(w.heard.gone, 0);
	teardown(&w);
}

Test(node, where_the_controller_says_may_be_an_ipv6_address)
{
	char text[ADDRESS_TEXT_SIZE];
	struct world w;

	setup_with(&w, "[::1]:0", false);
	RUN_UNTIL(&w, w.heard.hellos);
	w.reflector_config.interval_ns = SELDOM;
	start_reflector(&w);
	RUN_UNTIL(&w, w.heard.seen);
	/* The node forgets, and has only the list. */
	stop_reflector(&w);
	start_node(&w);
	w.reflector_config.key[0] ^= 1;
	{
		struct mg_error err = { 0 };

		cr_assert_eq(reflector_start(&w.reflector_config, w.loop, &w.reflector, &err), 0);
	}
	RUN_UNTIL(&w, w.heard.hellos >= 2);
	send_watch_list(&w, address_format(reflector_local(w.reflector), text));
	RUN_UNTIL(&w, w.heard.reports >= 2);
	teardown(&w);
}

Test(node, it_measures_in_the_authenticated_mode)
{
	struct world w;

	setup_with(&w, "127.0.0.1:0", true);
	start_reflector(&w);
	RUN_UNTIL(&w, w.heard.seen);
	send_watch_list(&w, NULL);
	RUN_UNTIL(&w, w.heard.reports >= 5);
	cr_assert(w.heard.srtt_ns > 100 && w.heard.srtt_ns <= TIMEOUT, "%lu", w.heard.srtt_ns);
	teardown(&w);
}

Test(node, a_device_that_stops_answering_is_lost_and_then_gone)
{
	struct world w;

	setup(&w);
	start_reflector(&w);
	RUN_UNTIL(&w, w.heard.seen);
	send_watch_list(&w, NULL);
	RUN_UNTIL(&w, w.heard.reports >= 2);
	stop_reflector(&w);
	RUN_UNTIL(&w, w.heard.lost >= 5);
	RUN_UNTIL(&w, w.heard.confidence == 0);
	RUN_UNTIL(&w, w.heard.gone);
	teardown(&w);
}

Test(node, a_device_that_sleeps_is_left_alone_until_it_wakes)
{
	uint64_t reflected, refreshes;
	struct world w;

	setup(&w);
	w.reflector_config.sleep_interval_ns = SELDOM;
	start_reflector(&w);
	RUN_UNTIL(&w, w.heard.seen);
	send_watch_list(&w, NULL);
	RUN_UNTIL(&w, w.heard.reports >= 2);
	reflector_set_asleep(w.reflector, true);
	RUN_UNTIL(&w, w.heard.asleep);
	run_for(&w, REFRESH); /* what is on its way */
	reflected = reflector_counters(w.reflector)->reflected;
	refreshes = reflector_counters(w.reflector)->refreshes;
	RUN_UNTIL(&w, w.heard.confidence == 0);
	run_for(&w, 2 * NS_PER_S); /* longer than a registration lives without announcement */
	cr_assert_eq(reflector_counters(w.reflector)->reflected, reflected);
	cr_assert_eq(reflector_counters(w.reflector)->refreshes, refreshes);
	cr_assert_eq(w.heard.gone, 0);
	reflector_set_asleep(w.reflector, false);
	RUN_UNTIL(&w, !w.heard.asleep && w.heard.confidence > 50);
	cr_assert_gt(reflector_counters(w.reflector)->reflected, reflected);
	teardown(&w);
}

Test(node, a_device_is_found_again_at_another_address)
{
	struct world w;
	char before[ADDRESS_TEXT_SIZE];

	setup(&w);
	w.reflector_config.interval_ns = SELDOM;
	start_reflector(&w);
	RUN_UNTIL(&w, w.heard.seen);
	strcpy(before, w.heard.address);
	send_watch_list(&w, NULL);
	RUN_UNTIL(&w, w.heard.reports >= 2);
	/* It comes back from another port, as after a NAT's restart, with a counter
	 * that starts anew from its clock. */
	stop_reflector(&w);
	start_reflector(&w);
	RUN_UNTIL(&w, strcmp(before, w.heard.address) != 0);
	expect_local_address(&w);
	w.heard.reports = 0;
	RUN_UNTIL(&w, w.heard.reports >= 2 && w.heard.confidence > 80);
	cr_assert_eq(w.heard.gone, 0);
	teardown(&w);
}

Test(node, a_device_that_registered_elsewhere_is_probed_where_the_controller_says)
{
	struct world w;
	char text[ADDRESS_TEXT_SIZE];

	setup(&w);
	RUN_UNTIL(&w, w.heard.hellos);
	start_reflector(&w);
	/* It talks to a node that never answers; this one has only the list. */
	stop_reflector(&w);
	w.reflector_config.key[0] ^= 1;
	{
		struct mg_error err = { 0 };

		cr_assert_eq(reflector_start(&w.reflector_config, w.loop, &w.reflector, &err), 0);
	}
	send_watch_list(&w, address_format(reflector_local(w.reflector), text));
	RUN_UNTIL(&w, w.heard.reports >= 2);
	cr_assert_eq(w.heard.seen, 0);
	cr_assert(address_is_none(reflector_registered_with(w.reflector)));
	cr_assert_gt(reflector_counters(w.reflector)->refreshes, 0);
	teardown(&w);
}

Test(node, a_device_registers_again_with_a_node_that_was_restarted)
{
	struct world w;
	uint64_t accepted;

	setup(&w);
	start_reflector(&w);
	RUN_UNTIL(&w, w.heard.seen);
	start_node(&w);
	w.heard.seen = 0;
	accepted = reflector_counters(w.reflector)->accepted;
	RUN_UNTIL(&w, w.heard.seen);
	RUN_UNTIL(&w, reflector_counters(w.reflector)->accepted > accepted);
	teardown(&w);
}

Test(node, a_new_controller_is_told_everything)
{
	struct world w;

	setup(&w);
	start_reflector(&w);
	RUN_UNTIL(&w, w.heard.seen);
	send_watch_list(&w, NULL);
	RUN_UNTIL(&w, w.heard.reports >= 2);
	bus_free(w.bus);
	w.heard.seen = 0;
	start_controller(&w);
	RUN_UNTIL(&w, w.heard.seen);
	/* And the old list is kept until there is another. */
	w.heard.reports = 0;
	RUN_UNTIL(&w, w.heard.reports >= 2);
	teardown(&w);
}

Test(node, a_controller_that_has_forgotten_us_hears_hello_again)
{
	struct world w;
	unsigned hellos;

	setup(&w);
	RUN_UNTIL(&w, w.heard.hellos);
	hellos = w.heard.hellos;
	w.refuse_seen = ESTALE;
	start_reflector(&w);
	RUN_UNTIL(&w, w.heard.seen);
	cr_assert_gt(w.heard.hellos, hellos);
	teardown(&w);
}

Test(node, messages_that_are_not_for_it_are_refused)
{
	struct world w;
	Tagalong__NodeQuery query = TAGALONG__NODE_QUERY__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	setup(&w);
	RUN_UNTIL(&w, w.heard.hellos);
	e.body_case = TAGALONG__ENVELOPE__BODY_NODE_QUERY;
	e.node_query = &query;
	cr_assert_gt(bus_send(w.router, &w.node_peer, &e), 0);
	RUN_UNTIL(&w, w.heard.answers == 1);
	teardown(&w);
}

/* A NAT between the device (inside) and the node (outside), with one mapping. */
struct nat {
	int inside, outside;
	struct address gateway; /* what the device takes for its node */
	struct address device, node;
	sd_event_source *sources[2];
};

static int on_nat(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct nat *nat = userdata;
	struct datagram d;

	(void)source, (void)revents;
	while (datagram_receive(fd, &d) == 0)
		if (fd == nat->inside) {
			nat->device = d.from;
			(void)datagram_send(nat->outside, NULL, &nat->node, d.data, d.len);
		} else if (!address_is_none(&nat->device)) {
			(void)datagram_send(nat->inside, NULL, &nat->device, d.data, d.len);
		}
	return 0;
}

/* Forgets the mapping that it had, and makes another. */
static void nat_map(struct world *w, struct nat *nat)
{
	struct address any;

	cr_assert_eq(address_parse("127.0.0.1:0", 0, &any), 0);
	sd_event_source_disable_unref(nat->sources[1]);
	if (nat->outside >= 0)
		close(nat->outside);
	cr_assert_eq(datagram_open(&any, &nat->outside, NULL), 0);
	cr_assert_geq(
		sd_event_add_io(w->loop, &nat->sources[1], nat->outside, EPOLLIN, on_nat, nat), 0);
}

static void nat_start(struct world *w, struct nat *nat)
{
	struct address any;

	*nat = (struct nat){ .outside = -1, .node = *node_local(w->node) };
	cr_assert_eq(address_parse("127.0.0.1:0", 0, &any), 0);
	cr_assert_eq(datagram_open(&any, &nat->inside, NULL), 0);
	cr_assert_eq(datagram_local(nat->inside, &nat->gateway), 0);
	cr_assert_geq(sd_event_add_io(w->loop, &nat->sources[0], nat->inside, EPOLLIN, on_nat, nat),
		      0);
	nat_map(w, nat);
}

static void nat_stop(struct nat *nat)
{
	sd_event_source_disable_unref(nat->sources[0]);
	sd_event_source_disable_unref(nat->sources[1]);
	close(nat->inside);
	close(nat->outside);
}

static bool nats_address_is_known(const struct world *w, const struct nat *nat)
{
	char text[ADDRESS_TEXT_SIZE];
	struct address mapped;

	cr_assert_eq(datagram_local(nat->outside, &mapped), 0);
	return strcmp(w->heard.address, address_format(&mapped, text)) == 0;
}

Test(node, a_device_behind_a_nat_is_found_also_when_that_forgets_it)
{
	struct world w;
	struct nat nat;

	setup(&w);
	nat_start(&w, &nat);
	start_reflector_at(&w, &nat.gateway);
	RUN_UNTIL(&w, nats_address_is_known(&w, &nat));
	send_watch_list(&w, NULL);
	RUN_UNTIL(&w, w.heard.reports >= 3);
	nat_map(&w, &nat);
	RUN_UNTIL(&w, nats_address_is_known(&w, &nat));
	w.heard.reports = 0;
	RUN_UNTIL(&w, w.heard.reports >= 3 && w.heard.confidence >= 80);
	nat_stop(&nat);
	teardown(&w);
}

/* Garbage on the node's and on the reflector's port while the device is
 * measured: from strangers, of every length, and registrations that are replayed. */
Test(node, noise_on_both_ports_changes_nothing)
{
	struct address any, node, device;
	_cleanup_close_ int fd = -1;
	uint8_t noise[DATAGRAM_MAX];
	unsigned state = 1;
	struct world w;

	setup(&w);
	w.reflector_config.interval_ns = SELDOM;
	start_reflector(&w);
	RUN_UNTIL(&w, w.heard.seen);
	send_watch_list(&w, NULL);
	RUN_UNTIL(&w, w.heard.reports >= 2);
	node = *node_local(w.node);
	device = *reflector_local(w.reflector);
	cr_assert_eq(address_parse("127.0.0.1:0", 0, &any), 0);
	cr_assert_eq(datagram_open(&any, &fd, NULL), 0);
	for (unsigned i = 0; i < 2000; i++) {
		size_t len = i % 200;

		for (size_t k = 0; k < len; k++)
			noise[k] = (uint8_t)((state = state * 1103515245u + 12345u) >> 16);
		if (i % 3 == 0)
			memcpy(noise, "TGRG\1\1\0\0", 8);
		(void)datagram_send(fd, NULL, i % 2 ? &node : &device, noise, len);
		if (i % 20 == 0)
			sd_event_run(w.loop, 1000);
	}
	w.heard.reports = 0;
	RUN_UNTIL(&w, w.heard.reports >= 10 && w.heard.confidence >= 80);
	expect_local_address(&w);
	cr_assert_eq(w.heard.gone, 0);
	cr_assert_gt(reflector_counters(w.reflector)->malformed, 0);
	teardown(&w);
}

/* ---- The reflector alone ------------------------------------------------------------------ */

static uint64_t probes_seen(const struct world *w)
{
	const struct reflector_counters *c = reflector_counters(w->reflector);

	return c->reflected + c->malformed + c->limited;
}

Test(reflector, answers_are_as_long_as_requests)
{
	struct address any;
	_cleanup_close_ int fd = -1;
	uint8_t request[DATAGRAM_MAX] = { 0 };
	struct datagram d;
	unsigned answers = 0;
	struct world w;

	setup(&w);
	start_reflector(&w);
	cr_assert_eq(address_parse("127.0.0.1:0", 0, &any), 0);
	cr_assert_eq(datagram_open(&any, &fd, NULL), 0);
	for (size_t len = 0; len <= 100; len++) {
		cr_assert_eq(datagram_send(fd, NULL, reflector_local(w.reflector), request, len),
			     0);
		RUN_UNTIL(&w, probes_seen(&w) == len + 1);
		run_for(&w, NS_PER_S / REFLECTOR_RATE);
		if (datagram_receive(fd, &d) == 0) {
			cr_assert_eq(d.len, len);
			cr_assert_geq(len, 44);
			answers++;
		} else {
			cr_assert_lt(len, 44);
		}
	}
	cr_assert_eq(answers, 57);
	teardown(&w);
}

Test(reflector, who_floods_it_is_limited_and_spoils_nothing)
{
	struct address flooder;
	_cleanup_close_ int fd = -1;
	uint8_t request[STAMP_SIZE] = { 0 };
	struct world w;

	setup(&w);
	w.reflector_config.interval_ns = SELDOM;
	start_reflector(&w);
	RUN_UNTIL(&w, w.heard.seen);
	send_watch_list(&w, NULL);
	RUN_UNTIL(&w, w.heard.reports >= 2);
	cr_assert_eq(address_parse("127.0.0.2:0", 0, &flooder), 0);
	cr_assert_eq(datagram_open(&flooder, &fd, NULL), 0);
	w.heard.reports = 0;
	while (w.heard.reports < 10 || reflector_counters(w.reflector)->limited <= 100) {
		for (unsigned i = 0; i < 20; i++)
			(void)datagram_send(fd, NULL, reflector_local(w.reflector), request,
					    sizeof(request));
		sd_event_run(w.loop, 1000);
	}
	RUN_UNTIL(&w, w.heard.confidence >= 80);
	teardown(&w);
}
