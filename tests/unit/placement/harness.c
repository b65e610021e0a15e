/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/placement/harness.h"

#include <criterion/criterion.h>
#include <string.h>

#include "common/philox.h"
#include "placement/takeover.h"

#define BODY(name) TAGALONG__ENVELOPE__BODY_##name

/* ---- The environment ------------------------------------------------------------- */

static uint64_t now_mono(void *userdata)
{
	return ((struct harness *)userdata)->mono_ns;
}

static uint64_t now_utc(void *userdata)
{
	return ((struct harness *)userdata)->utc_ns;
}

static uint64_t random_number(void *userdata, uint64_t stream, uint64_t counter)
{
	return philox_u64(((struct harness *)userdata)->seed, stream, counter);
}

static void timer_set(void *userdata, uint64_t id, uint64_t deadline_ns)
{
	struct harness *h = userdata;

	cr_assert_lt(id, ARRAY_SIZE(h->timers));
	h->timers[id] = deadline_ns;
}

static void timer_cancel(void *userdata, uint64_t id)
{
	((struct harness *)userdata)->timers[id] = 0;
}

static void on_send(void *userdata, const struct bus_peer *to, uint64_t request, Envelope *e)
{
	struct harness *h = userdata;
	_cleanup_free_ uint8_t *data = NULL;
	size_t len;

	e->version = ENVELOPE_VERSION;
	e->sender = (char *)"main";
	e->boot_id = (ProtobufCBinaryData){ UUID_SIZE, (uint8_t[UUID_SIZE]){ 0 } };
	e->seq = ++h->seq;
	cr_assert_eq(envelope_pack(e, &data, &len), 0);
	h->sent = reallocarray(h->sent, h->n_sent + 1, sizeof(*h->sent));
	h->sent[h->n_sent] = malloc(sizeof(struct sent));
	*h->sent[h->n_sent] = (struct sent){ *to, request, envelope_unpack(data, len, &h->err) };
	cr_assert_not_null(h->sent[h->n_sent]->e, "%s", h->err.text);
	h->n_sent++;
}

static void on_record(void *userdata, const PlacementRecord *record)
{
	struct harness *h = userdata;

	cr_assert_eq(record_writer_add(h->record, record, &h->err), 0, "%s", h->err.text);
}

static void on_decision(void *userdata, const char *line)
{
	struct harness *h = userdata;

	fprintf(h->decisions_file, "%s\n", line);
	fflush(h->decisions_file);
}

/* ---- Life ------------------------------------------------------------------------- */

void harness_open(struct harness *h)
{
	*h = (struct harness){ .mono_ns = 1000 * SECOND, .utc_ns = UINT64_C(1763700000) * SECOND };
	h->env = (struct environment){ h, now_mono, now_utc, random_number, timer_set, timer_cancel,
				       on_send, on_record, on_decision };
	strcpy(h->dir, "/tmp/test-placement-XXXXXX");
	cr_assert_not_null(mkdtemp(h->dir));
	snprintf(h->store_path, sizeof(h->store_path), "%s/store", h->dir);
	snprintf(h->record_path, sizeof(h->record_path), "%s/record", h->dir);
	h->decisions_file = open_memstream(&h->decisions, &h->decisions_len);
	h->policy = "threshold";
	tagalong__placement__policy_parameters__init(&h->parameters);
	h->parameters.threshold_ns = 20 * MS;
	h->parameters.hold_ns = 2 * SECOND;
	h->parameters.margin_ns = 5 * MS;
	h->parameters.min_stay_ns = 5 * SECOND;
	h->parameters.return_guard_ns = 20 * SECOND;
	h->parameters.max_age_ns = 3 * SECOND;
	h->parameters.min_confidence = 50;
	tagalong__placement__limits__init(&h->limits);
	h->limits.moves = 8;
	h->limits.moves_per_node = 4;
	h->limits.backoff_ns = 10 * SECOND;
	h->limits.backoff_max_ns = 60 * SECOND;
	h->limits.order_timeout_ns = 10 * SECOND;
	h->limits.node_timeout_ns = 15 * SECOND;
	h->limits.history = 100;
}

void harness_start(struct harness *h)
{
	Tagalong__Placement__Start start = TAGALONG__PLACEMENT__START__INIT;
	Tagalong__Placement__NodeKey keys[3], *pointers[3];
	PlacementRecord record = TAGALONG__PLACEMENT__RECORD__INIT;
	uint64_t revision;

	cr_assert_eq(store_sqlite_open(h->store_path, now_utc, h, &h->store, &h->err), 0, "%s",
		     h->err.text);
	cr_assert_eq(record_writer_open(h->record_path, &h->record, &h->err), 0, "%s", h->err.text);
	cr_assert_eq(takeover(h->store, NULL, &start, &revision, &h->err), 0, "%s", h->err.text);
	cr_assert_eq(controller_new(&h->env, h->store, revision, &h->controller, &h->err), 0);
	for (int i = 0; i < 3; i++) {
		tagalong__placement__node_key__init(&keys[i]);
		keys[i].name = (char *[]){ "tower-a", "tower-b", "tower-c" }[i];
		keys[i].public_key = (char *[]){ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
						 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
						 "cccccccccccccccccccccccccccccccccccccccc" }[i];
		pointers[i] = &keys[i];
	}
	start.seed = h->seed = 42 + start.epoch;
	start.policy = (char *)h->policy;
	start.parameters = &h->parameters;
	start.limits = &h->limits;
	start.interval_ns = 100 * MS;
	start.node_keys = pointers;
	start.n_node_keys = 3;
	start.cells = h->cells;
	start.n_cells = h->n_cells;
	start.neighbourhoods = h->neighbourhoods;
	start.n_neighbourhoods = h->n_neighbourhoods;
	record.input_case = TAGALONG__PLACEMENT__RECORD__INPUT_START;
	record.start = &start;
	cr_assert_eq(harness_input(h, &record), 0, "%s", h->err.text);
	takeover_clear(&start);
}

void harness_kill(struct harness *h)
{
	controller_free(h->controller);
	h->controller = NULL;
	record_writer_free(h->record);
	h->record = NULL;
	store_free(h->store);
	h->store = NULL;
	memset(h->timers, 0, sizeof(h->timers));
	harness_forget(h);
}

void harness_close(struct harness *h)
{
	char command[128];

	harness_kill(h);
	for (size_t i = 0; i < h->n_sent; i++) {
		envelope_free(h->sent[i]->e);
		free(h->sent[i]);
	}
	free(h->sent);
	fclose(h->decisions_file);
	free(h->decisions);
	snprintf(command, sizeof(command), "rm -rf %s", h->dir);
	cr_assert_eq(system(command), 0);
}

static void record_nothing(void *userdata, const PlacementRecord *record)
{
	(void)userdata, (void)record;
}

static void replay_record(struct harness *again, PlacementRecord *record)
{
	again->mono_ns = record->mono_ns;
	again->utc_ns = record->utc_ns;
	if (record->input_case == TAGALONG__PLACEMENT__RECORD__INPUT_START) {
		again->seed = record->start->seed;
		controller_free(again->controller);
		cr_assert_eq(controller_new(&again->env, NULL, 0, &again->controller, &again->err), 0);
	}
	cr_assert_eq(harness_input(again, record), 0, "%s", again->err.text);
}

void harness_replay(struct harness *h)
{
	struct harness again;
	struct record_reader reader;
	PlacementRecord *record;
	struct mapping m;

	harness_open(&again);
	again.env.record = record_nothing;
	cr_assert_eq(mapping_open(h->record_path, &m, &h->err), 0, "%s", h->err.text);
	cr_assert_eq(record_reader_init(&reader, m.data, m.len, &h->err), 0, "%s", h->err.text);
	while (record_reader_next(&reader, &record, &h->err) > 0) {
		replay_record(&again, record);
		record_free(record);
	}
	fflush(h->decisions_file);
	fflush(again.decisions_file);
	cr_assert_gt(again.decisions_len, 0);
	cr_assert_str_eq(again.decisions, h->decisions);
	mapping_close(&m);
	harness_close(&again);
}

int harness_input(struct harness *h, PlacementRecord *record)
{
	return controller_input(h->controller, record, &h->err);
}

uint64_t harness_receive(struct harness *h, enum peer_role role, const char *name,
			 uint64_t request, Envelope *e)
{
	static const Tagalong__Placement__PeerRole roles[] = {
		TAGALONG__PLACEMENT__PEER_ROLE__ROLE_NONE,
		TAGALONG__PLACEMENT__PEER_ROLE__ROLE_CONTROLLER,
		TAGALONG__PLACEMENT__PEER_ROLE__ROLE_NODE,
		TAGALONG__PLACEMENT__PEER_ROLE__ROLE_OPERATOR,
	};
	Tagalong__Placement__Received received = TAGALONG__PLACEMENT__RECEIVED__INIT;
	PlacementRecord record = TAGALONG__PLACEMENT__RECORD__INIT;
	uint8_t boot_id[UUID_SIZE] = { 1 };

	e->version = ENVELOPE_VERSION;
	e->sender = (char *)name;
	e->boot_id = (ProtobufCBinaryData){ UUID_SIZE, boot_id };
	e->seq = ++h->seq;
	received.role = roles[role];
	received.name = (char *)name;
	received.route = (ProtobufCBinaryData){ strlen(name), (uint8_t *)name };
	received.has_request = request > 0;
	received.request = request;
	received.envelope = e;
	record.input_case = TAGALONG__PLACEMENT__RECORD__INPUT_RECEIVED;
	record.received = &received;
	cr_assert_eq(harness_input(h, &record), 0, "%s", h->err.text);
	return e->seq;
}

/* ---- Time --------------------------------------------------------------------------- */

static uint64_t *next_timer(struct harness *h, uint64_t until)
{
	uint64_t *next = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(h->timers); i++)
		if (h->timers[i] && h->timers[i] <= until && (!next || h->timers[i] < *next))
			next = &h->timers[i];
	return next;
}

static void move_time(struct harness *h, uint64_t mono_ns)
{
	if (mono_ns <= h->mono_ns)
		return;
	h->utc_ns += mono_ns - h->mono_ns;
	h->mono_ns = mono_ns;
}

void harness_run(struct harness *h, uint64_t ns)
{
	uint64_t until = h->mono_ns + ns, *t;

	while ((t = next_timer(h, until))) {
		Tagalong__Placement__Timer timer = TAGALONG__PLACEMENT__TIMER__INIT;
		PlacementRecord record = TAGALONG__PLACEMENT__RECORD__INIT;

		move_time(h, *t);
		*t = 0;
		timer.id = (uint64_t)(t - h->timers);
		record.input_case = TAGALONG__PLACEMENT__RECORD__INPUT_TIMER;
		record.timer = &timer;
		cr_assert_eq(harness_input(h, &record), 0, "%s", h->err.text);
	}
	move_time(h, until);
}

/* ---- What was sent ------------------------------------------------------------------ */

const struct sent *harness_next(struct harness *h, const char *peer,
				Tagalong__Envelope__BodyCase body)
{
	while (h->seen < h->n_sent) {
		const struct sent *s = h->sent[h->seen++];

		if ((!peer || strcmp(s->to.name, peer) == 0) && s->e->body_case == body)
			return s;
	}
	return NULL;
}

void harness_forget(struct harness *h)
{
	h->seen = h->n_sent;
}

unsigned harness_decided(struct harness *h, const char *text)
{
	unsigned n = 0;

	for (const char *at = h->decisions; (at = strstr(at, text)); at++)
		n++;
	return n;
}

/* ---- Nodes ----------------------------------------------------------------------------- */

static void fill_vm(Tagalong__VmInfo *info, Tagalong__VmSpec *spec, const char *vm,
		    Tagalong__VmState state)
{
	static uint8_t incarnation[UUID_SIZE];

	tagalong__vm_spec__init(spec);
	spec->name = (char *)vm;
	spec->machine = spec->cpu = spec->accelerator = (char *)"x";
	spec->memory_bytes = GIB;
	spec->vcpus = 1;
	tagalong__vm_info__init(info);
	info->spec = spec;
	info->state = state;
	info->incarnation = (ProtobufCBinaryData){ UUID_SIZE, incarnation };
}

void migrator_hello(struct harness *h, const char *node, uint64_t memory, const char *vm,
		    Tagalong__VmState state, Tagalong__MoveInfo **moves, size_t n_moves)
{
	Tagalong__NodeHello hello = TAGALONG__NODE_HELLO__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	Tagalong__VmInfo info, *infos[] = { &info };
	Tagalong__VmSpec spec;
	char key[41] = "";

	memset(key, node[strlen(node) - 1], 40);
	fill_vm(&info, &spec, vm, state);
	hello.role = TAGALONG__NODE_ROLE__NODE_MIGRATOR;
	hello.control_endpoint = (char *)"tcp://10.0.0.1:7000";
	hello.public_key = key;
	hello.has_memory_bytes = true;
	hello.memory_bytes = memory;
	hello.vms = infos;
	hello.n_vms = vm != NULL;
	hello.moves = moves;
	hello.n_moves = n_moves;
	hello.has_makes_way = hello.makes_way = true;
	e.body_case = BODY(NODE_HELLO);
	e.node_hello = &hello;
	harness_receive(h, PEER_ROLE_NODE, node, 0, &e);
}

void node_hello(struct harness *h, const char *node, uint64_t memory, const char *vm)
{
	Tagalong__NodeHello hello = TAGALONG__NODE_HELLO__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	hello.role = TAGALONG__NODE_ROLE__NODE_TELEMETRY;
	e.body_case = BODY(NODE_HELLO);
	e.node_hello = &hello;
	harness_receive(h, PEER_ROLE_NODE, node, 0, &e);
	migrator_hello(h, node, memory, vm, TAGALONG__VM_STATE__VM_RUNNING, NULL, 0);
}

void node_status(struct harness *h, const char *node, const char *vm, Tagalong__VmState state)
{
	Tagalong__NodeStatus status = TAGALONG__NODE_STATUS__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	Tagalong__VmInfo info, *infos[] = { &info };
	Tagalong__VmSpec spec;

	fill_vm(&info, &spec, vm, state);
	status.vms = infos;
	status.n_vms = vm != NULL;
	e.body_case = BODY(NODE_STATUS);
	e.node_status = &status;
	harness_receive(h, PEER_ROLE_NODE, node, 0, &e);
}

void node_rtt(struct harness *h, const char *node, const struct uuid *device, double ms)
{
	Tagalong__RttSample sample = TAGALONG__RTT_SAMPLE__INIT, *samples[] = { &sample };
	Tagalong__RttReport report = TAGALONG__RTT_REPORT__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	sample.device = (ProtobufCBinaryData){ UUID_SIZE, (uint8_t *)device->bytes };
	sample.method = TAGALONG__RTT_METHOD__RTT_STAMP;
	sample.last_sample_utc_ns = h->utc_ns;
	sample.srtt_ns = sample.min_ns = (uint64_t)(ms * (double)MS);
	sample.sent = 100;
	sample.confidence = 100;
	report.samples = samples;
	report.n_samples = 1;
	e.body_case = BODY(RTT_REPORT);
	e.rtt_report = &report;
	harness_receive(h, PEER_ROLE_NODE, node, 0, &e);
}

void answer_done(struct harness *h, const struct sent *to)
{
	Tagalong__Done done = TAGALONG__DONE__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	e.body_case = BODY(DONE);
	e.done = &done;
	e.has_reply_to = true;
	e.reply_to = to->e->seq;
	harness_receive(h, PEER_ROLE_NODE, to->to.name, to->request, &e);
}

void answer_failure(struct harness *h, const struct sent *to, int code, const char *text)
{
	Tagalong__Failure failure = TAGALONG__FAILURE__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	failure.code = code;
	failure.text = (char *)text;
	e.body_case = BODY(FAILURE);
	e.failure = &failure;
	e.has_reply_to = true;
	e.reply_to = to->e->seq;
	harness_receive(h, PEER_ROLE_NODE, to->to.name, to->request, &e);
}

void move_info(Tagalong__MoveInfo *info, const char *node, const Tagalong__MoveOrder *order,
	       MoveState state)
{
	tagalong__move_info__init(info);
	info->move = order->move;
	info->vm = order->vm;
	info->source = (char *)node;
	info->target = order->target;
	info->state = state;
	if (state == TAGALONG__MOVE_STATE__MOVE_ABORTED)
		info->failure = (char *)"the link was cut";
}

void move_progress(struct harness *h, const char *node, const Tagalong__MoveOrder *order,
		   MoveState state)
{
	Tagalong__MoveProgress progress = TAGALONG__MOVE_PROGRESS__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	Tagalong__MoveInfo info;

	move_info(&info, node, order, state);
	progress.info = &info;
	e.body_case = BODY(MOVE_PROGRESS);
	e.move_progress = &progress;
	harness_receive(h, PEER_ROLE_NODE, node, 0, &e);
}

static void tell_result(struct harness *h, const char *node, const Tagalong__MoveOrder *order,
			MoveState state, bool lost)
{
	Tagalong__MoveFigures figures = TAGALONG__MOVE_FIGURES__INIT;
	Tagalong__MoveResult result = TAGALONG__MOVE_RESULT__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	Tagalong__MoveInfo info;

	move_info(&info, node, order, state);
	figures.has_blackout_ns = true;
	figures.blackout_ns = 17 * MS;
	info.figures = &figures;
	info.has_lost = info.lost = lost;
	if (lost)
		info.failure = (char *)"it is lost, post-copy broke off";
	result.info = &info;
	e.body_case = BODY(MOVE_RESULT);
	e.move_result = &result;
	harness_receive(h, PEER_ROLE_NODE, node, 0, &e);
}

void move_result(struct harness *h, const char *node, const Tagalong__MoveOrder *order,
		 MoveState state)
{
	tell_result(h, node, order, state, false);
}

void move_lost(struct harness *h, const char *node, const Tagalong__MoveOrder *order)
{
	tell_result(h, node, order, TAGALONG__MOVE_STATE__MOVE_DONE, true);
}

/* ---- Operators ------------------------------------------------------------------------- */

const Envelope *ask(struct harness *h, Envelope *e)
{
	uint64_t seq = harness_receive(h, PEER_ROLE_OPERATOR, "alice", 0, e);
	const Envelope *answer = NULL;

	for (size_t i = 0; i < h->n_sent; i++)
		if (h->sent[i]->e->has_reply_to && h->sent[i]->e->reply_to == seq &&
		    strcmp(h->sent[i]->to.name, "alice") == 0)
			answer = h->sent[i]->e;
	return answer;
}

void set_pair(struct harness *h, const struct uuid *device, const char *name, const char *vm)
{
	Tagalong__PairSet set = TAGALONG__PAIR_SET__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	set.device = (ProtobufCBinaryData){ UUID_SIZE, (uint8_t *)device->bytes };
	set.device_name = (char *)name;
	set.vm = (char *)vm;
	set.foreground = true;
	e.body_case = BODY(PAIR_SET);
	e.pair_set = &set;
	cr_assert_eq(ask(h, &e)->body_case, BODY(DONE));
}
