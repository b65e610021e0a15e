/* SPDX-License-Identifier: Apache-2.0 */
#include "placement/daemon.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#include "common/bus.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/philox.h"
#include "placement/controller.h"
#include "placement/gateway.h"
#include "placement/leadership.h"
#include "placement/record_log.h"
#include "placement/store_etcd.h"
#include "placement/store_timed.h"
#include "placement/takeover.h"

#define TIMERS 8
#define REQUESTS 4096 /* of ours whose answers are told apart */
#define TIMER_ACCURACY_US 1000

typedef Tagalong__Placement__Start Start;
typedef Tagalong__Placement__NodeKey NodeKey;

struct timer {
	struct placement_daemon *daemon;
	uint64_t id;
	sd_event_source *source;
};

struct placement_daemon {
	const struct placement_config *config;
	sd_event *loop;
	struct allow_list *allow;
	struct bus *bus;
	struct bus_socket *router, *reports;
	struct store *store;
	struct record_writer *record; /* NULL: not recorded, or no longer */
	int decisions;
	struct environment env;
	struct controller *controller; /* NULL: another one leads, or nobody yet */
	struct leadership *leadership; /* NULL: there is nobody else */
	sd_event_source *tick; /* of the leadership */
	struct mg_error problem; /* why we cannot even become the leader */
	struct gateway gateway;
	struct timer timers[TIMERS];
	struct {
		uint64_t seq, request;
	} requests[REQUESTS]; /* a ring by seq */
	uint64_t seed, epoch;
	Start *settings; /* as last loaded, without what a time in office adds */
};

/* ---- The environment ------------------------------------------------------------- */

static uint64_t env_now_mono(void *userdata)
{
	(void)userdata;
	return clock_mono_ns();
}

static uint64_t env_now_utc(void *userdata)
{
	(void)userdata;
	return clock_utc_ns();
}

static uint64_t env_random(void *userdata, uint64_t stream, uint64_t counter)
{
	const struct placement_daemon *d = userdata;

	return philox_u64(d->seed, stream, counter);
}

static void step_down(struct placement_daemon *d, const struct mg_error *why);

/* What a controller cannot go on after ends it. Alone, it ends the program too;
 * started again it finds all in the store. */
static int input(struct placement_daemon *d, enum exporter_input kind, PlacementRecord *record,
		 struct mg_error *err)
{
	uint64_t begun = clock_mono_ns();
	int r = controller_input(d->controller, record, err);

	exporter_note_input(&d->gateway.exporter, kind, clock_mono_ns() - begun);
	if (r == -EPROTO || r == -EINVAL) {
		log_warning("controller", "input ignored: %s", err->text);
	} else if (r < 0 && d->leadership) {
		step_down(d, err);
	} else if (r < 0) {
		log_error("controller", "stops: %s", err->text);
		sd_event_exit(d->loop, r);
	}
	return r;
}

/* Whether it is our part to act: we may have slept past the lease's end. */
static bool leads(struct placement_daemon *d)
{
	struct mg_error err = { 0 };
	uint64_t now = clock_mono_ns();

	if (!d->controller || !d->leadership || leadership_is_certain(d->leadership, now))
		return d->controller;
	if (leadership_keep(d->leadership, now, &err) == 0)
		return true;
	step_down(d, &err);
	return false;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct timer *t = userdata;
	Tagalong__Placement__Timer timer = TAGALONG__PLACEMENT__TIMER__INIT;
	PlacementRecord record = TAGALONG__PLACEMENT__RECORD__INIT;
	struct mg_error err = { 0 };

	(void)source, (void)usec;
	if (!leads(t->daemon))
		return 0;
	timer.id = t->id;
	record.input_case = TAGALONG__PLACEMENT__RECORD__INPUT_TIMER;
	record.timer = &timer;
	(void)input(t->daemon,
		    t->id == CONTROLLER_PLAN_TIMER ? EXPORTER_PLAN : EXPORTER_TIMER, &record, &err);
	return 0;
}

static void env_timer_set(void *userdata, uint64_t id, uint64_t deadline_ns)
{
	struct placement_daemon *d = userdata;
	struct timer *t = &d->timers[id % TIMERS];
	/* Not before the deadline. */
	uint64_t usec = (deadline_ns + NS_PER_US - 1) / NS_PER_US;
	int r;

	*t = (struct timer){ d, id, t->source };
	if (t->source) {
		r = sd_event_source_set_time(t->source, usec);
		if (r >= 0)
			r = sd_event_source_set_enabled(t->source, SD_EVENT_ONESHOT);
	} else {
		r = sd_event_add_time(d->loop, &t->source, CLOCK_MONOTONIC, usec,
				      TIMER_ACCURACY_US, on_timer, t);
	}
	if (r < 0) {
		log_error("controller", "stops: cannot set a timer: %s", strerror(-r));
		sd_event_exit(d->loop, r);
	}
}

static void env_timer_cancel(void *userdata, uint64_t id)
{
	struct placement_daemon *d = userdata;

	if (d->timers[id % TIMERS].source)
		sd_event_source_set_enabled(d->timers[id % TIMERS].source, SD_EVENT_OFF);
}

static void env_send(void *userdata, const struct bus_peer *to, uint64_t request, Envelope *e)
{
	struct placement_daemon *d = userdata;
	int64_t seq;

	if (d->gateway.rest && rest_answer(d->gateway.rest, to, e))
		return;
	seq = bus_send(d->router, to, e);
	if (seq == -EMSGSIZE) {
		struct mg_error err;

		mg_error_set(&err, -EMSGSIZE, "the answer is larger than a message may be");
		log_warning("controller", "peer=%s %s not sent: too large", to->name,
			    envelope_body_name(e));
		if (e->has_reply_to)
			bus_reply_failure(d->router, to, &(Envelope){ .seq = e->reply_to }, &err);
	} else if (seq < 0) {
		log_debug("controller", "peer=%s %s not sent: %s", to->name, envelope_body_name(e),
			  strerror((int)-seq));
	} else if (request) {
		d->requests[seq % REQUESTS].seq = (uint64_t)seq;
		d->requests[seq % REQUESTS].request = request;
	}
}

/* A log with a hole would replay as something that never happened: it ends
 * here, and the next start begins it anew. */
static void stop_recording(struct placement_daemon *d, const char *why)
{
	log_error("controller", "recording ends until the next start: %s", why);
	record_writer_free(d->record);
	d->record = NULL;
	if (d->decisions >= 0)
		close(d->decisions);
	d->decisions = -1;
}

static void env_record(void *userdata, const PlacementRecord *record)
{
	struct placement_daemon *d = userdata;
	struct mg_error err;

	if (d->record && record_writer_add(d->record, record, &err) < 0)
		stop_recording(d, err.text);
}

static void env_decision(void *userdata, const char *line)
{
	struct placement_daemon *d = userdata;
	int n;

	log_info("decision", "%s", line);
	if (d->decisions < 0)
		return;
	n = dprintf(d->decisions, "%s\n", line);
	if (n != (int)strlen(line) + 1)
		stop_recording(d, "the decision log cannot be written");
}

static void env_event(void *userdata, const PlacementEvent *event)
{
	gateway_event(&((struct placement_daemon *)userdata)->gateway, event);
}

/* ---- Messages --------------------------------------------------------------------- */

static Tagalong__Placement__PeerRole role_of(enum peer_role role)
{
	switch (role) {
	case PEER_ROLE_CONTROLLER:
		return TAGALONG__PLACEMENT__PEER_ROLE__ROLE_CONTROLLER;
	case PEER_ROLE_NODE:
		return TAGALONG__PLACEMENT__PEER_ROLE__ROLE_NODE;
	case PEER_ROLE_OPERATOR:
		return TAGALONG__PLACEMENT__PEER_ROLE__ROLE_OPERATOR;
	default:
		return TAGALONG__PLACEMENT__PEER_ROLE__ROLE_NONE;
	}
}

static void describe_leader(void *userdata, Tagalong__Leader *ret)
{
	struct placement_daemon *d = userdata;
	const struct leader *l = d->leadership ? leadership_leader(d->leadership) : NULL;

	ret->leads = d->controller != NULL;
	if (ret->leads) {
		ret->name = (char *)d->config->name;
		ret->endpoint = (char *)d->config->advertise;
		ret->url = (char *)d->config->http_advertise;
		ret->has_epoch = true;
		ret->epoch = d->epoch;
	} else if (l && l->name[0]) {
		ret->name = (char *)l->name;
		ret->endpoint = (char *)l->endpoint;
		ret->url = l->url[0] ? (char *)l->url : NULL;
	}
	if (l && l->name[0]) {
		ret->has_since_utc_ns = true;
		ret->since_utc_ns = l->since_utc_ns;
	}
	if (!ret->leads && d->problem.code < 0)
		ret->problem = d->problem.text;
}

/* Answered by every controller, whether it leads or not. */
static void tell_leader(struct placement_daemon *d, const struct bus_peer *from, const Envelope *e)
{
	Tagalong__Leader leader = TAGALONG__LEADER__INIT;
	Envelope answer = TAGALONG__ENVELOPE__INIT;

	describe_leader(d, &leader);
	answer.body_case = TAGALONG__ENVELOPE__BODY_LEADER;
	answer.leader = &leader;
	bus_reply(d->router, from, e, &answer);
}

/* A request that is not for a controller that does not lead. */
static void refuse(struct placement_daemon *d, const struct bus_peer *from, const Envelope *e)
{
	const struct leader *l = leadership_leader(d->leadership);
	struct mg_error err;

	if (e->has_reply_to)
		return;
	if (d->problem.code < 0)
		mg_error_set(&err, -ESTALE, "%s does not lead: %.180s", d->config->name,
			     d->problem.text);
	else if (l->name[0])
		mg_error_set(&err, -ESTALE, "%s is a standby: %s leads, at %.100s; speak to that one",
			     d->config->name, l->name, l->endpoint);
	else
		mg_error_set(&err, -ESTALE, "%s is a standby, and nobody leads just now: try again",
			     d->config->name);
	bus_reply_failure(d->router, from, e, &err);
}

static int receive(struct placement_daemon *d, const struct bus_peer *from, bool may_answer,
		   const Envelope *e, struct mg_error *err)
{
	Tagalong__Placement__Received received = TAGALONG__PLACEMENT__RECEIVED__INIT;
	PlacementRecord record = TAGALONG__PLACEMENT__RECORD__INIT;
	size_t slot = e->reply_to % REQUESTS;

	received.role = role_of(from->role);
	received.name = (char *)from->name;
	if (may_answer)
		received.route = (ProtobufCBinaryData){ from->route_len, (uint8_t *)from->route };
	received.envelope = (Envelope *)e;
	if (e->has_reply_to && d->requests[slot].seq == e->reply_to) {
		received.has_request = true;
		received.request = d->requests[slot].request;
	}
	record.input_case = TAGALONG__PLACEMENT__RECORD__INPUT_RECEIVED;
	record.received = &received;
	return input(d, EXPORTER_MESSAGE, &record, err);
}

static void on_message(struct bus_socket *s, const struct bus_peer *from, const Envelope *e,
		       void *userdata)
{
	struct placement_daemon *d = userdata;
	struct mg_error err = { 0 };
	bool active = leads(d);

	if (s == d->router && e->body_case == TAGALONG__ENVELOPE__BODY_LEADER_QUERY) {
		tell_leader(d, from, e);
		return;
	}
	if (!active) {
		if (s == d->router)
			refuse(d, from, e);
		return;
	}
	if (e->body_case == TAGALONG__ENVELOPE__BODY_RTT_REPORT)
		d->gateway.exporter.samples += e->rtt_report->n_samples;
	(void)receive(d, from, s == d->router, e, &err);
}

/* ---- HTTP -------------------------------------------------------------------------- */

static int on_http(void *userdata, const struct bus_peer *from, Envelope *e, struct mg_error *err)
{
	struct placement_daemon *d = userdata;
	int r = leads(d) ? receive(d, from, true, e, err) : -ESTALE;

	/* What is final for a controller has ended it. */
	return r == -EPROTO || r == -EINVAL || r == 0 ? r : -ESTALE;
}

static void measure(void *userdata, struct metrics *m)
{
	const struct placement_daemon *d = userdata;

	gateway_measure(&d->gateway, d->controller, d->store, m);
}

/* A notice that another controller has taken over by now is that one's. */
static void on_told(void *userdata, uint64_t notice)
{
	struct placement_daemon *d = userdata;
	Tagalong__Placement__Told told = TAGALONG__PLACEMENT__TOLD__INIT;
	PlacementRecord record = TAGALONG__PLACEMENT__RECORD__INIT;
	struct mg_error err = { 0 };

	if (!leads(d))
		return;
	told.notice = notice;
	record.input_case = TAGALONG__PLACEMENT__RECORD__INPUT_TOLD;
	record.told = &told;
	(void)input(d, EXPORTER_MESSAGE, &record, &err);
}

static int start_gateway(struct placement_daemon *d, struct mg_error *err)
{
	const struct rest_host host = { d, d->config->name, on_http, describe_leader,
					on_told, measure };

	return gateway_start(&d->gateway, d->loop, d->config, &host, err);
}

/* ---- The start ---------------------------------------------------------------------- */

/* The keys of nodes on the allow list, which `keys` has room for. */
static size_t list_keys(const struct allow_list *allow, NodeKey *keys, NodeKey **pointers)
{
	const char *name, *key;
	enum peer_role role;
	size_t n = 0;

	for (size_t i = 0; allow && allow_list_get(allow, i, &role, &name, &key); i++) {
		if (role != PEER_ROLE_NODE)
			continue;
		tagalong__placement__node_key__init(&keys[n]);
		keys[n].name = (char *)name;
		keys[n].public_key = (char *)key;
		pointers[n] = &keys[n];
		n++;
	}
	return n;
}

static size_t count_keys(const struct allow_list *allow)
{
	const char *name, *key;
	enum peer_role role;
	size_t n = 0;

	while (allow && allow_list_get(allow, n, &role, &name, &key))
		n++;
	return n;
}

static Start *copy_start(const Start *start)
{
	size_t len = tagalong__placement__start__get_packed_size(start);
	_cleanup_free_ uint8_t *data = malloc(len ? len : 1);

	if (!data)
		return NULL;
	tagalong__placement__start__pack(start, data);
	return tagalong__placement__start__unpack(NULL, len, data);
}

/* What a configuration and an allow list mean to a controller; NULL: out of memory. */
static Start *make_settings(const struct placement_config *config, const struct allow_list *allow)
{
	Start start = TAGALONG__PLACEMENT__START__INIT;
	size_t n_keys = count_keys(allow);
	_cleanup_free_ NodeKey *keys = calloc(n_keys + 1, sizeof(*keys));
	_cleanup_free_ NodeKey **key_pointers = calloc(n_keys + 1, sizeof(*key_pointers));
	_cleanup_free_ Tagalong__Placement__DeviceGroup **groups =
		calloc(config->n_groups + 1, sizeof(Tagalong__Placement__DeviceGroup *));

	if (!keys || !key_pointers || !groups)
		return NULL;
	for (size_t i = 0; i < config->n_groups; i++)
		groups[i] = &config->groups[i].message;
	start.policy = (char *)config->policy;
	start.parameters = (Tagalong__Placement__PolicyParameters *)&config->parameters;
	start.interval_ns = config->interval_ns;
	start.limits = (Tagalong__Placement__Limits *)&config->limits;
	start.plain_text = config->plain_text_bus;
	start.node_keys = key_pointers;
	start.n_node_keys = list_keys(allow, keys, key_pointers);
	start.groups = groups;
	start.n_groups = config->n_groups;
	start.cells = config->cell_pointers;
	start.n_cells = config->n_cells;
	start.neighbourhoods = config->neighbourhood_pointers;
	start.n_neighbourhoods = config->n_neighbourhoods;
	start.has_recommend = start.recommend = config->recommend;
	return copy_start(&start);
}

static int start_controller(struct placement_daemon *d, struct mg_error *err)
{
	_cleanup_(takeover_clear) Start start = *d->settings;
	PlacementRecord record = TAGALONG__PLACEMENT__RECORD__INIT;
	struct store_compare leads;
	uint64_t revision;
	int r;

	if (d->leadership)
		leads = leadership_compare(d->leadership);
	start.epoch = d->config->epoch_min;
	r = takeover(d->store, d->leadership ? &leads : NULL, &start, &revision, err);
	if (r == 0)
		r = controller_new(&d->env, d->store, revision, &d->controller, err);
	if (r < 0)
		return r;
	d->epoch = start.epoch;
	randombytes_buf(&d->seed, sizeof(d->seed));
	start.seed = d->seed;
	record.input_case = TAGALONG__PLACEMENT__RECORD__INPUT_START;
	record.start = &start;
	return controller_input(d->controller, &record, err);
}

static int open_logs(struct placement_daemon *d, struct mg_error *err)
{
	const struct placement_config *config = d->config;
	int r;

	if (!config->record)
		return 0;
	r = record_writer_open(config->record, &d->record, err);
	if (r < 0)
		return r;
	d->decisions = open(config->decisions, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (d->decisions < 0)
		return mg_error_set(err, -errno, "%s: %s", config->decisions, strerror(errno));
	return 0;
}

static int open_bus(struct placement_daemon *d, struct mg_error *err)
{
	const struct placement_config *config = d->config;
	struct bus_config bus = { .name = config->name, .plain_text = config->plain_text_bus };
	struct keypair keys = { 0 };
	int r = 0;

	if (config->plain_text_bus) {
		log_warning("bus", "plain_text_bus: anybody who reaches this controller may give "
				   "orders");
	} else {
		r = keypair_load(config->key, &keys, err);
		if (r == 0)
			r = allow_list_load(config->allow, &d->allow, err);
		bus.keys = &keys;
		bus.allow = d->allow;
	}
	if (r == 0)
		r = bus_new(d->loop, &bus, &d->bus, err);
	explicit_bzero(&keys, sizeof(keys));
	return r;
}

static int listen_on(struct placement_daemon *d, struct mg_error *err)
{
	int r;

	r = bus_listen(d->bus, BUS_ROUTER, d->config->listen, on_message, d, &d->router, err);
	return r < 0 ? r :
		       bus_listen(d->bus, BUS_SUB, d->config->listen_reports, on_message, d,
				  &d->reports, err);
}

/* ---- Leading and not leading ----------------------------------------------------------- */

/* All that belongs to one time in office. */
static void end_controller(struct placement_daemon *d)
{
	for (size_t i = 0; i < TIMERS; i++)
		env_timer_cancel(d, i);
	memset(d->requests, 0, sizeof(d->requests));
	controller_free(d->controller);
	d->controller = NULL;
	gateway_step_down(&d->gateway);
	record_writer_free(d->record);
	d->record = NULL;
	if (d->decisions >= 0)
		close(d->decisions);
	d->decisions = -1;
}

/* Said once, however often it is tried. */
static void set_problem(struct placement_daemon *d, const struct mg_error *problem)
{
	if (problem->code < 0 && strcmp(problem->text, d->problem.text) != 0)
		log_error("controller", "cannot lead: %s", problem->text);
	d->problem = *problem;
}

static void step_down(struct placement_daemon *d, const struct mg_error *why)
{
	log_warning("controller", "name=%s leads no longer: %s", d->config->name, why->text);
	leadership_lose(d->leadership);
	end_controller(d);
}

static int lead(struct placement_daemon *d, struct mg_error *err)
{
	int r = open_logs(d, err);

	if (r == 0)
		r = start_controller(d, err);
	if (r < 0)
		end_controller(d);
	else
		d->gateway.exporter.terms++;
	if (r == 0)
		log_info("controller", "name=%s leads, epoch=%" PRIu64, d->config->name, d->epoch);
	return r;
}

static void campaign(struct placement_daemon *d)
{
	struct mg_error err = { 0 };
	int r = leadership_campaign(d->leadership, clock_mono_ns(), clock_utc_ns(), &err);

	if (r == 1) {
		r = lead(d, &err);
		if (r < 0)
			leadership_resign(d->leadership);
	}
	if (r >= 0)
		err = (struct mg_error){ 0 };
	set_problem(d, &err);
}

static int on_tick(sd_event_source *source, uint64_t due_us, void *userdata)
{
	struct placement_daemon *d = userdata;
	struct mg_error err = { 0 };

	(void)due_us;
	if (!d->controller)
		campaign(d);
	else if (leadership_keep(d->leadership, clock_mono_ns(), &err) < 0)
		step_down(d, &err);
	sd_event_source_set_time_relative(source, LEADERSHIP_TICK_NS / NS_PER_US);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int join(struct placement_daemon *d, struct mg_error *err)
{
	int r = leadership_new(d->store, d->config->name, d->config->advertise,
			       d->config->http_advertise, &d->leadership, err);

	if (r < 0)
		return r;
	/* Ahead of messages, of which there may always be more. */
	r = sd_event_add_time_relative(d->loop, &d->tick, CLOCK_MONOTONIC, 0, TIMER_ACCURACY_US,
				       on_tick, d);
	if (r >= 0)
		r = sd_event_source_set_priority(d->tick, SD_EVENT_PRIORITY_IMPORTANT);
	return r < 0 ? mg_error_set(err, r, "event loop: %s", strerror(-r)) : 0;
}

static uint64_t store_clock(void *userdata)
{
	return env_now_utc(userdata);
}

static int open_store(struct placement_daemon *d, struct mg_error *err)
{
	struct store *store;
	int r;

	if (d->config->store)
		r = store_sqlite_open(d->config->store, store_clock, d, &store, err);
	else
		r = store_etcd_open(&d->config->etcd, &store, err);
	if (r < 0)
		return r;
	d->store = store_timed_new(store);
	return d->store ? 0 : mg_error_set(err, -ENOMEM, "out of memory");
}

int placement_daemon_start(const struct placement_config *config, sd_event *loop,
			   struct placement_daemon **ret, struct mg_error *err)
{
	_cleanup_(placement_daemon_stop_p) struct placement_daemon *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return mg_error_set(err, -ENOMEM, "out of memory");
	if (sodium_init() < 0)
		return mg_error_set(err, -EIO, "libsodium does not work here");
	d->config = config;
	d->loop = sd_event_ref(loop);
	d->decisions = -1;
	d->env = (struct environment){
		.userdata = d,
		.now_mono = env_now_mono,
		.now_utc = env_now_utc,
		.random = env_random,
		.timer_set = env_timer_set,
		.timer_cancel = env_timer_cancel,
		.send = env_send,
		.record = env_record,
		.decision = env_decision,
		.event = gateway_listens(config) ? env_event : NULL,
	};
	/* The sockets come before the epoch: an instance that cannot serve must
	 * not depose one that does. Nothing is read before the loop runs. */
	r = open_bus(d, err);
	if (r == 0 && !(d->settings = make_settings(config, d->allow)))
		r = mg_error_set(err, -ENOMEM, "out of memory");
	if (r == 0)
		r = listen_on(d, err);
	if (r == 0)
		r = start_gateway(d, err);
	if (r == 0)
		r = open_store(d, err);
	if (r == 0)
		r = config->store ? lead(d, err) : join(d, err);
	if (r < 0)
		return r;
	log_info("controller", "listen=%s reports=%s serving", bus_endpoint(d->router),
		 bus_endpoint(d->reports));
	*ret = TAKE_PTR(d);
	return 0;
}

/* What a controller refuses, a configuration was checked for. */
static int tell_controller(struct placement_daemon *d, struct mg_error *err)
{
	PlacementRecord record = TAGALONG__PLACEMENT__RECORD__INIT;
	int r;

	if (!leads(d))
		return 0;
	record.input_case = TAGALONG__PLACEMENT__RECORD__INPUT_RELOAD;
	record.reload = d->settings;
	r = controller_input(d->controller, &record, err);
	if (r < 0 && r != -EINVAL && d->leadership) {
		step_down(d, err);
	} else if (r < 0) {
		log_error("controller", "stops: %s", err->text);
		sd_event_exit(d->loop, r);
	}
	return r;
}

int placement_daemon_reload(struct placement_daemon *d, const struct placement_config *config,
			    struct mg_error *err)
{
	_cleanup_(allow_list_free_p) struct allow_list *allow = NULL;
	Start *settings;
	int r = 0;

	if (d->config->plain_text_bus != config->plain_text_bus)
		return mg_error_set(err, -EINVAL, "plain_text_bus changes with a restart only");
	if (!config->plain_text_bus)
		r = allow_list_load(config->allow, &allow, err);
	if (r < 0)
		return r;
	settings = make_settings(config, allow);
	if (!settings)
		return mg_error_set(err, -ENOMEM, "out of memory");
	tagalong__placement__start__free_unpacked(d->settings, NULL);
	d->settings = settings;
	bus_set_allow(d->bus, allow);
	allow_list_free(d->allow);
	d->allow = TAKE_PTR(allow);
	return tell_controller(d, err);
}

void placement_daemon_stop(struct placement_daemon *d)
{
	if (!d)
		return;
	end_controller(d);
	gateway_stop(&d->gateway);
	for (size_t i = 0; i < TIMERS; i++)
		sd_event_source_disable_unref(d->timers[i].source);
	sd_event_source_disable_unref(d->tick);
	bus_free(d->bus);
	allow_list_free(d->allow);
	if (d->settings)
		tagalong__placement__start__free_unpacked(d->settings, NULL);
	leadership_free(d->leadership);
	store_free(d->store);
	sd_event_unref(d->loop);
	free(d);
}

const char *placement_daemon_endpoint(const struct placement_daemon *d)
{
	return bus_endpoint(d->router);
}

const char *placement_daemon_reports_endpoint(const struct placement_daemon *d)
{
	return bus_endpoint(d->reports);
}
