/* SPDX-License-Identifier: Apache-2.0
 *
 * The real `migrator` against a server that a test plays: what is asked, what
 * is printed, how it ends.
 */
#include <criterion/criterion.h>
#include <jansson.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/move_state.h"
#include "fake_server.h"
#include "migrator/cli/cli.h"

#define assert_has(text, part) \
	cr_assert_not_null(strstr(text, part), "'%s' is not in: %s", part, text)
#define assert_lacks(text, part) cr_assert_null(strstr(text, part), "'%s' is in: %s", part, text)
#define assert_exit(f, code) \
	cr_assert_eq((f).exit_code, code, "exit %d, not %d: %s", (f).exit_code, code, (f).err)

TestSuite(cli, .fini = fake_fini);

static const uint8_t ID_A[UUID_SIZE] = { 0x3f, 0x2a, 0x11, 0x99, 0x5c, 0, 0x40, 1, 0x80, 2 };
static const uint8_t ID_B[UUID_SIZE] = { 0x3f, 0x2a, 0x11, 0x98, 0x5c, 0, 0x40, 1, 0x80, 2 };

static ProtobufCBinaryData id_of(const uint8_t *id)
{
	return (ProtobufCBinaryData){ .len = UUID_SIZE, .data = (uint8_t *)id };
}

/* ---- Things to answer with ---------------------------------------------------- */

struct sample_vm {
	Tagalong__VmSpec spec;
	Tagalong__VmInfo info;
};

static Tagalong__VmInfo *sample_vm(struct sample_vm *s, const char *name, const char *node)
{
	tagalong__vm_spec__init(&s->spec);
	tagalong__vm_info__init(&s->info);
	s->spec.name = (char *)name;
	s->spec.memory_bytes = 192 << 20;
	s->spec.vcpus = 2;
	s->spec.machine = (char *)"pc-q35-7.2";
	s->spec.cpu = (char *)"qemu64";
	s->spec.accelerator = (char *)"tcg";
	s->info.spec = &s->spec;
	s->info.state = TAGALONG__VM_STATE__VM_RUNNING;
	s->info.incarnation = id_of(ID_A);
	s->info.node = (char *)node;
	return &s->info;
}

static void answer_vms(struct fake *f, const Envelope *request, const char *name)
{
	struct sample_vm a, b;
	Tagalong__VmInfo *vms[] = { sample_vm(&a, "web", "tower-a"), sample_vm(&b, "desk", NULL) };
	Tagalong__VmList list = TAGALONG__VM_LIST__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	list.vms = vms;
	list.n_vms = name ? strcmp(name, "web") == 0 : 2;
	e.body_case = TAGALONG__ENVELOPE__BODY_VM_LIST;
	e.vm_list = &list;
	fake_reply(f, request, &e);
}

struct sample_move {
	Tagalong__MoveFigures figures;
	Tagalong__MoveInfo info;
};

static Tagalong__MoveInfo *sample_move(struct sample_move *s, const uint8_t *id, MoveState state,
				       const char *failure)
{
	tagalong__move_figures__init(&s->figures);
	tagalong__move_info__init(&s->info);
	s->figures.has_round = s->figures.has_wire_bytes = s->figures.has_blackout_ns = true;
	s->figures.has_guest_bytes = s->figures.has_remaining_bytes = true;
	s->figures.round = 3;
	s->figures.wire_bytes = 50 << 20;
	s->figures.guest_bytes = 150 << 20;
	s->figures.remaining_bytes = 50 << 20;
	s->figures.blackout_ns = 18200000;
	s->info.move = id_of(id);
	s->info.vm = (char *)"web";
	s->info.source = (char *)"tower-a";
	s->info.target = (char *)"tower-b";
	s->info.state = state;
	s->info.failure = (char *)failure;
	s->info.figures = &s->figures;
	s->info.has_begun_utc_ns = true;
	s->info.begun_utc_ns = 1000 * NS_PER_S + id[3] * NS_PER_S;
	return &s->info;
}

static void answer_moves(struct fake *f, const Envelope *request, MoveState state)
{
	struct sample_move a, b;
	/* The older one first: to be newest first is the command's doing. */
	Tagalong__MoveInfo *moves[] = { sample_move(&b, ID_B, state, NULL),
					sample_move(&a, ID_A, state, NULL) };
	Tagalong__MoveList list = TAGALONG__MOVE_LIST__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	list.moves = moves;
	list.n_moves = 2;
	e.body_case = TAGALONG__ENVELOPE__BODY_MOVE_LIST;
	e.move_list = &list;
	fake_reply(f, request, &e);
}

/* A controller that knows two VMs, two moves, one node and one pair. */
static void answer_all(struct fake *f, const Envelope *request)
{
	struct sample_vm vm;
	struct sample_move move;
	Tagalong__NodeInfo node = TAGALONG__NODE_INFO__INIT, *nodes[] = { &node };
	Tagalong__RttSample sample = TAGALONG__RTT_SAMPLE__INIT;
	Tagalong__NodeRtt rtt = TAGALONG__NODE_RTT__INIT, *rtts[] = { &rtt };
	Tagalong__Pair pair = TAGALONG__PAIR__INIT, *pairs[] = { &pair };
	Tagalong__NodeList node_list = TAGALONG__NODE_LIST__INIT;
	Tagalong__PairList pair_list = TAGALONG__PAIR_LIST__INIT;
	Tagalong__Status status = TAGALONG__STATUS__INIT;
	Tagalong__VmInfo *vms[] = { sample_vm(&vm, "web", "tower-a") };
	Tagalong__MoveInfo *moves[] = {
		sample_move(&move, ID_A, TAGALONG__MOVE_STATE__MOVE_COPYING, NULL)
	};
	Envelope e = TAGALONG__ENVELOPE__INIT;

	node.name = (char *)"tower-a";
	node.migrator_up = node.has_vms = true;
	node.vms = 1;
	sample.device = id_of(ID_B);
	sample.srtt_ns = 12300000;
	rtt.node = (char *)"tower-a";
	rtt.sample = &sample;
	pair.device = id_of(ID_B);
	pair.device_name = (char *)"phone";
	pair.vm = (char *)"web";
	pair.vm_node = (char *)"tower-a";
	pair.foreground = true;
	pair.rtts = rtts;
	pair.n_rtts = 1;
	node_list.nodes = status.nodes = nodes;
	node_list.n_nodes = status.n_nodes = 1;
	pair_list.pairs = status.pairs = pairs;
	pair_list.n_pairs = status.n_pairs = 1;
	status.vms = vms;
	status.moves = moves;
	status.n_vms = status.n_moves = 1;
	status.epoch = 7;
	switch (request->body_case) {
	case TAGALONG__ENVELOPE__BODY_NODE_QUERY:
		e.body_case = TAGALONG__ENVELOPE__BODY_NODE_LIST;
		e.node_list = &node_list;
		break;
	case TAGALONG__ENVELOPE__BODY_PAIR_QUERY:
		e.body_case = TAGALONG__ENVELOPE__BODY_PAIR_LIST;
		e.pair_list = &pair_list;
		break;
	case TAGALONG__ENVELOPE__BODY_STATUS_QUERY:
		e.body_case = TAGALONG__ENVELOPE__BODY_STATUS;
		e.status = &status;
		break;
	case TAGALONG__ENVELOPE__BODY_VM_QUERY:
		answer_vms(f, request, request->vm_query->name);
		return;
	case TAGALONG__ENVELOPE__BODY_MOVE_QUERY:
		answer_moves(f, request, TAGALONG__MOVE_STATE__MOVE_COPYING);
		return;
	default:
		fake_reply_done(f, request);
		return;
	}
	fake_reply(f, request, &e);
}

static json_t *json_of(const char *text)
{
	json_error_t e;
	json_t *v = json_loads(text, 0, &e);

	cr_assert_not_null(v, "%s in: %s", e.text, text);
	return v;
}

/* ---- Lists ---------------------------------------------------------------------- */

Test(cli, tables_are_aligned)
{
	struct fake f;

	fake_start(&f, answer_all);
	fake_run(&f, "vm", "list", NULL);
	assert_exit(f, CLI_OK);
	cr_assert_str_eq(f.out, "VM    STATE    NODE      MEMORY  VCPUS  ACCEL  MOVE\n"
				"web   running  tower-a  192 MiB      2  tcg    -\n"
				"desk  running  -        192 MiB      2  tcg    -\n");
	cr_assert_str_eq(f.err, "");
	fake_run(&f, "vm", NULL); /* a group alone lists */
	assert_has(f.out, "desk");
	fake_stop(&f);
}

Test(cli, json_of_every_list)
{
	static const struct {
		const char *command, *word, *path;
	} cases[] = {
		{ "node", "list", "nodes" }, { "vm", "list", "vms" },  { "pair", "list", "pairs" },
		{ "history", "--json", "moves" }, { "status", "--json", "moves" },
	};
	struct fake f;

	fake_start(&f, answer_all);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_t *v;

		fake_run(&f, "--json", cases[i].command, cases[i].word, NULL);
		assert_exit(f, CLI_OK);
		v = json_of(f.out);
		cr_assert_gt(json_array_size(json_object_get(v, cases[i].path)), 0, "%s", f.out);
		json_decref(v);
	}
	fake_stop(&f);
}

Test(cli, status_of_all_and_of_one_node)
{
	struct fake f;
	json_t *v;

	fake_start(&f, answer_all);
	fake_run(&f, "status", NULL);
	assert_exit(f, CLI_OK);
	assert_has(f.out, "12.3 ms");
	assert_has(f.out, "3f2a1199");
	assert_has(f.out, "copying");
	fake_run(&f, "status", "--json", NULL);
	v = json_of(f.out);
	cr_assert_eq(json_integer_value(json_object_get(v, "epoch")), 7);
	cr_assert_eq(json_integer_value(json_object_get(
			     json_array_get(json_object_get(v, "pairs"), 0), "rtt_ns")), 12300000);
	json_decref(v);
	fake_run(&f, "status", "--node", "tower-a", NULL);
	assert_exit(f, CLI_OK);
	assert_has(f.out, "desk");
	assert_lacks(f.out, "DEVICE");
	fake_stop(&f);
}

Test(cli, vm_show)
{
	struct fake f;
	json_t *v;

	fake_start(&f, answer_all);
	fake_run(&f, "vm", "show", "web", NULL);
	assert_exit(f, CLI_OK);
	assert_has(f.out, "Machine      pc-q35-7.2\n");
	assert_lacks(f.out, "Kernel"); /* what there is not is not shown */
	fake_run(&f, "vm", "show", "web", "--json", NULL);
	v = json_of(f.out);
	cr_assert_eq(json_integer_value(json_object_get(v, "memory_bytes")), 192 << 20);
	cr_assert_str_eq(json_string_value(json_object_get(v, "incarnation")),
			 "3f2a1199-5c00-4001-8002-000000000000");
	json_decref(v);
	fake_run(&f, "vm", "show", "nothing", NULL);
	assert_exit(f, CLI_FAILED);
	cr_assert_str_eq(f.err, "migrator: no VM 'nothing'; 'migrator vm list' shows those there are\n");
	fake_stop(&f);
}

Test(cli, history_is_newest_first)
{
	struct fake f;
	json_t *v;

	fake_start(&f, answer_all);
	fake_run(&f, "history", "--json", "--vm", "web", "--limit", "12", NULL);
	assert_exit(f, CLI_OK);
	cr_assert_str_eq(f.request->move_query->vm, "web");
	cr_assert_eq(f.request->move_query->limit, 12);
	v = json_of(f.out);
	cr_assert_str_eq(json_string_value(json_object_get(
				 json_array_get(json_object_get(v, "moves"), 0), "move")),
			 "3f2a1199-5c00-4001-8002-000000000000");
	json_decref(v);
	fake_stop(&f);
}

/* ---- Orders ---------------------------------------------------------------------- */

Test(cli, vm_start_sends_the_description)
{
	struct fake f;

	fake_start(&f, answer_all);
	fake_write(&f, "vm.yaml", "name: web\nmemory: 192M\nvcpus: 2\nkernel: vmlinuz\n");
	fake_run(&f, "vm", "start", fake_path(&f, "vm.yaml"), "--on", "tower-a", NULL);
	assert_exit(f, CLI_OK);
	cr_assert_str_eq(f.out, "started web\n");
	cr_assert_str_eq(f.request->vm_start->spec->name, "web");
	cr_assert_str_eq(f.request->vm_start->spec->kernel, fake_path(&f, "vmlinuz"));
	cr_assert_str_eq(f.request->vm_start->node, "tower-a");
	fake_write(&f, "vm.yaml", "name: web\nmemory: plenty\n");
	fake_run(&f, "vm", "start", fake_path(&f, "vm.yaml"), NULL);
	assert_exit(f, CLI_FAILED);
	assert_has(f.err, "vm.yaml");
	cr_assert_eq(f.requests, 1);
	fake_stop(&f);
}

Test(cli, vm_stop_may_be_forced)
{
	struct fake f;

	fake_start(&f, answer_all);
	fake_run(&f, "vm", "stop", "web", NULL);
	assert_exit(f, CLI_OK);
	cr_assert_not(f.request->vm_stop->force);
	fake_run(&f, "vm", "stop", "web", "--force", "--node", "tower-a", "--json", NULL);
	assert_exit(f, CLI_OK);
	cr_assert(f.request->vm_stop->force);
	assert_has(f.out, "\"result\": \"stopped\"");
	fake_stop(&f);
}

Test(cli, pairs)
{
	struct fake f;
	static const char id[] = "3f2a1199-5c00-4001-8002-000000000000";

	fake_start(&f, answer_all);
	fake_run(&f, "pair", "set", "phone", "web", "--id", id, NULL);
	assert_exit(f, CLI_OK);
	cr_assert_str_eq(f.out, "paired: web follows phone\n");
	cr_assert(f.request->pair_set->foreground);
	cr_assert_eq(memcmp(f.request->pair_set->device.data, ID_A, UUID_SIZE), 0);
	fake_run(&f, "pair", "set", "phone", "web", "--background", "--id", id, NULL);
	cr_assert_not(f.request->pair_set->foreground);
	fake_run(&f, "pair", "remove", "phone", "web", NULL);
	assert_exit(f, CLI_OK);
	cr_assert_str_eq(f.request->pair_remove->vm, "web");
	fake_run(&f, "pair", "set", "phone", "web", NULL);
	assert_exit(f, CLI_USAGE);
	fake_run(&f, "pair", "set", "phone", "web", "--id", "phone", NULL);
	assert_exit(f, CLI_USAGE);
	fake_stop(&f);
}

/* ---- Moves ------------------------------------------------------------------------ */

static void send_move(struct fake *f, bool result, const uint8_t *id, MoveState state,
		      const char *failure)
{
	struct sample_move s;
	Tagalong__MoveProgress p = TAGALONG__MOVE_PROGRESS__INIT;
	Tagalong__MoveResult r = TAGALONG__MOVE_RESULT__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	p.info = r.info = sample_move(&s, id, state, failure);
	e.body_case = result ? TAGALONG__ENVELOPE__BODY_MOVE_RESULT :
			       TAGALONG__ENVELOPE__BODY_MOVE_PROGRESS;
	if (result)
		e.move_result = &r;
	else
		e.move_progress = &p;
	fake_reply(f, NULL, &e);
}

struct script {
	MoveState end;
	const char *failure;
	unsigned orders, queries;
	uint8_t id[UUID_SIZE];
	bool silent;      /* accepts the order and says no more */
	bool forgetful;   /* and has forgotten it when asked */
	bool restarts;    /* goes away when it has accepted */
	int signal;       /* to the command, once it watches */
};

/* Tells of progress of this move and of another, then of the end. */
static void play_move(struct fake *f, const Envelope *request)
{
	struct script *s = f->userdata;

	/* An order whose answer is lost is repeated; it stays the same order. */
	if (s->restarts && s->orders)
		cr_assert_eq(memcmp(s->id, request->move_order->move.data, UUID_SIZE), 0);
	memcpy(s->id, request->move_order->move.data, UUID_SIZE);
	s->orders++;
	fake_reply_done(f, request);
	if (s->restarts && s->orders == 1) {
		/* Long enough for the answer to leave. */
		sd_event_run(f->loop, 100000);
		fake_down(f);
		fake_up(f);
	}
	if (s->silent || s->restarts)
		return;
	send_move(f, false, s->id, TAGALONG__MOVE_STATE__MOVE_PREPARED, NULL);
	send_move(f, false, ID_A, TAGALONG__MOVE_STATE__MOVE_ABORTED, "of another move");
	send_move(f, false, s->id, TAGALONG__MOVE_STATE__MOVE_COPYING, NULL);
	if (s->signal)
		kill(f->child, s->signal);
	else
		send_move(f, true, s->id, s->end, s->failure);
}

static void answer_query(struct fake *f, const Envelope *request)
{
	struct script *s = f->userdata;
	struct sample_move sample;
	Tagalong__MoveInfo *moves[] = { sample_move(&sample, s->id, s->end, s->failure) };
	Tagalong__MoveList list = TAGALONG__MOVE_LIST__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	s->queries++;
	list.moves = moves;
	list.n_moves = s->forgetful ? 0 : 1;
	e.body_case = TAGALONG__ENVELOPE__BODY_MOVE_LIST;
	e.move_list = &list;
	fake_reply(f, request, &e);
}

static void answer_script(struct fake *f, const Envelope *request)
{
	if (request->body_case == TAGALONG__ENVELOPE__BODY_MOVE_ORDER)
		play_move(f, request);
	else if (request->body_case == TAGALONG__ENVELOPE__BODY_MOVE_QUERY)
		answer_query(f, request);
	else
		cr_assert_fail("asked %s", envelope_body_name(request));
}

static void start_script(struct fake *f, struct script *s)
{
	fake_start(f, answer_script);
	f->userdata = s;
	if (!s->end)
		s->end = TAGALONG__MOVE_STATE__MOVE_DONE;
}

Test(cli, a_move_ends_well)
{
	struct script s = { 0 };
	struct fake f;

	start_script(&f, &s);
	fake_run(&f, "move", "web", "tower-b", NULL);
	assert_exit(f, CLI_OK);
	assert_has(f.out, "prepared: round 3, 50.0 MiB sent, 50.0 MiB to go\n");
	assert_has(f.out, "copying: ");
	assert_has(f.out, "moved web from tower-a to tower-b\n");
	assert_has(f.out, "  blackout    18.2 ms\n");
	assert_lacks(f.out, "another");
	cr_assert_eq(f.dones, 1, "the result must be answered");
	fake_stop(&f);
}

Test(cli, a_terminal_gets_a_bar)
{
	struct script s = { 0 };
	struct fake f;
	char *bar;

	start_script(&f, &s);
	f.typed = "";
	fake_run(&f, "move", "web", "tower-b", NULL);
	assert_exit(f, CLI_OK);
	bar = strstr(f.out, "copying   [");
	cr_assert_not_null(bar, "%s", f.out);
	bar[strcspn(bar, "\r\n")] = '\0';
	assert_has(bar, "=>");
	assert_has(bar, "]  75 %  round 3, 50.0 MiB sent");
	cr_assert_lt(strlen(bar), 100, "it must not wrap");
	assert_has(bar + strlen(bar) + 1, "moved web from tower-a to tower-b\r\n");
	fake_stop(&f);
}

Test(cli, an_order_carries_its_limits)
{
	struct script s = { 0 };
	const Tagalong__MoveOrder *order;
	struct fake f;

	start_script(&f, &s);
	fake_run(&f, "move", "web", "tower-b", "--node", "tower-a", "--blackout", "20ms",
		 "--blackout-max", "1s", "--bandwidth", "200Mbit", "--timeout", "1m", "--force",
		 "--detach", NULL);
	assert_exit(f, CLI_OK);
	assert_has(f.out, "ordered move ");
	order = f.request->move_order;
	cr_assert_str_eq(order->target, "tower-b");
	cr_assert_str_eq(order->target_endpoint, "tcp://127.0.0.1:1");
	cr_assert_str_eq(order->target_public_key, f.server_keys.public_key);
	cr_assert_eq(order->limits->blackout_ns, 20 * NS_PER_MS);
	cr_assert_eq(order->limits->blackout_max_ns, NS_PER_S);
	cr_assert_eq(order->limits->bandwidth_bps, 200000000);
	cr_assert_eq(order->limits->timeout_ns, 60 * NS_PER_S);
	cr_assert(order->force);
	cr_assert_not(order->dry_run);
	cr_assert_str_eq(order->reason->code, "operator");
	fake_run(&f, "move", "web", "tower-b", "--detach", NULL);
	order = f.request->move_order;
	cr_assert_null(order->target_endpoint, "the controller knows it");
	cr_assert_null(order->target_public_key);
	cr_assert_not(order->limits->has_blackout_ns);
	fake_run(&f, "move", "web", "tower-c", "--node", "tower-a", NULL);
	assert_exit(f, CLI_USAGE);
	assert_has(f.err, "no node 'tower-c' under nodes: in");
	fake_stop(&f);
}

Test(cli, a_move_as_json_lines)
{
	struct script s = { 0 };
	struct fake f;
	char *line, *save = NULL;
	unsigned progress = 0, results = 0;

	start_script(&f, &s);
	fake_run(&f, "move", "web", "tower-b", "--json", NULL);
	assert_exit(f, CLI_OK);
	for (line = strtok_r(f.out, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		json_t *v = json_of(line);
		const char *event = json_string_value(json_object_get(v, "event"));

		cr_assert_eq(results, 0, "the result comes last");
		progress += strcmp(event, "progress") == 0;
		results += strcmp(event, "result") == 0;
		cr_assert_eq(json_integer_value(json_object_get(v, "round")), 3);
		json_decref(v);
	}
	cr_assert_eq(progress, 2);
	cr_assert_eq(results, 1);
	fake_stop(&f);
}

Test(cli, other_ends_have_their_exit_codes)
{
	static const struct {
		MoveState end;
		int code; /* enum cli_exit */
		const char *says;
	} cases[] = {
		{ TAGALONG__MOVE_STATE__MOVE_ABORTED, CLI_ABORTED, "web stays on tower-a: no space\n" },
		{ TAGALONG__MOVE_STATE__MOVE_REVOKED, CLI_ABORTED, "web stays on tower-a: no space\n" },
		{ TAGALONG__MOVE_STATE__MOVE_IN_DOUBT, CLI_IN_DOUBT, "migrator resolve" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct script s = { .end = cases[i].end, .failure = "no space" };
		struct fake f;

		start_script(&f, &s);
		fake_run(&f, "move", "web", "tower-b", NULL);
		assert_exit(f, cases[i].code);
		assert_has(f.err, cases[i].says);
		fake_stop(&f);
	}
}

Test(cli, a_dry_run_tells_what_blocks)
{
	struct script s = { 0 };
	struct fake f;

	start_script(&f, &s);
	fake_run(&f, "move", "web", "tower-b", "--dry-run", NULL);
	assert_exit(f, CLI_OK);
	cr_assert(f.request->move_order->dry_run);
	assert_has(f.out, "nothing blocks the move of web to tower-b\n");
	assert_has(f.out, "  would send     50.0 MiB\n");
	s.end = TAGALONG__MOVE_STATE__MOVE_ABORTED;
	s.failure = "the target has 64 MiB left";
	fake_run(&f, "move", "web", "tower-b", "--dry-run", NULL);
	assert_exit(f, CLI_FAILED);
	assert_has(f.err, "it would be refused: the target has 64 MiB left\n");
	fake_stop(&f);
}

Test(cli, a_move_is_asked_after_when_all_is_silent)
{
	struct script s = { .silent = true };
	struct fake f;

	start_script(&f, &s);
	fake_run(&f, "move", "web", "tower-b", NULL);
	assert_exit(f, CLI_OK);
	assert_has(f.out, "moved web from tower-a to tower-b\n");
	cr_assert_geq(s.queries, 1);
	fake_stop(&f);
}

Test(cli, a_move_is_watched_past_a_restart)
{
	struct script s = { .restarts = true };
	struct fake f;

	start_script(&f, &s);
	fake_run(&f, "move", "web", "tower-b", NULL);
	assert_exit(f, CLI_OK);
	assert_has(f.out, "moved web from tower-a to tower-b\n");
	cr_assert_geq(s.orders, 1);
	fake_stop(&f);
}

Test(cli, a_move_that_was_forgotten_is_aborted)
{
	struct script s = { .silent = true, .forgetful = true };
	struct fake f;

	start_script(&f, &s);
	fake_run(&f, "move", "web", "tower-b", NULL);
	assert_exit(f, CLI_ABORTED);
	assert_has(f.err, "knows nothing of the move any more");
	fake_stop(&f);
}

Test(cli, an_interrupt_detaches_from_a_move)
{
	struct script s = { .signal = SIGINT };
	struct fake f;

	start_script(&f, &s);
	fake_run(&f, "move", "web", "tower-b", "--node", "tower-a", NULL);
	assert_exit(f, CLI_DETACHED);
	assert_has(f.err, "the move goes on: 'migrator cancel ");
	assert_has(f.err, " --node tower-a' calls it off\n");
	cr_assert_eq(f.request->body_case, TAGALONG__ENVELOPE__BODY_MOVE_ORDER);
	fake_stop(&f);
}

Test(cli, cancel_takes_ids_their_beginnings_and_vms)
{
	struct fake f;

	fake_start(&f, answer_all);
	fake_run(&f, "cancel", "3f2a1199-5c00-4001-8002-000000000000", NULL);
	assert_exit(f, CLI_OK);
	cr_assert_eq(f.requests, 1);
	fake_run(&f, "cancel", "3F2A1198", NULL);
	assert_exit(f, CLI_OK);
	cr_assert_eq(memcmp(f.request->move_cancel->move.data, ID_B, UUID_SIZE), 0);
	fake_run(&f, "cancel", "3f2a11", NULL);
	assert_exit(f, CLI_FAILED);
	assert_has(f.err, "more than one move");
	fake_run(&f, "cancel", "web", NULL);
	assert_exit(f, CLI_FAILED);
	assert_has(f.err, "more than one move");
	fake_run(&f, "cancel", "77777777", NULL);
	assert_exit(f, CLI_FAILED);
	assert_has(f.err, "no move '77777777'");
	fake_stop(&f);
}

Test(cli, resolve_needs_a_verdict_a_node_and_a_yes)
{
	static const char id[] = "3f2a1199-5c00-4001-8002-000000000000";
	struct fake f;

	fake_start(&f, answer_all);
	fake_run(&f, "resolve", id, "--on", "tower-a", "--yes", NULL);
	assert_exit(f, CLI_USAGE);
	fake_run(&f, "resolve", id, "--run-here", "--discard", "--on", "tower-a", "--yes", NULL);
	assert_exit(f, CLI_USAGE);
	fake_run(&f, "resolve", id, "--run-here", "--yes", NULL);
	assert_exit(f, CLI_USAGE);
	fake_run(&f, "resolve", id, "--run-here", "--on", "tower-a", NULL);
	assert_exit(f, CLI_USAGE);
	assert_has(f.err, "say --yes");
	cr_assert_eq(f.requests, 0);
	fake_run(&f, "resolve", id, "--run-here", "--on", "tower-a", "--yes", NULL);
	assert_exit(f, CLI_OK);
	cr_assert_eq(f.request->move_resolve->verdict,
		     TAGALONG__MOVE_RESOLVE__VERDICT__RUN_HERE);
	cr_assert_str_eq(f.request->move_resolve->node, "tower-a");
	fake_run(&f, "resolve", id, "--discard", "--node", "tower-a", "--yes", NULL);
	assert_exit(f, CLI_OK);
	cr_assert_eq(f.request->move_resolve->verdict, TAGALONG__MOVE_RESOLVE__VERDICT__DISCARD);
	cr_assert_null(f.request->move_resolve->node);
	fake_stop(&f);
}

Test(cli, resolve_asks_on_a_terminal)
{
	static const char id[] = "3f2a1199-5c00-4001-8002-000000000000";
	struct fake f;

	fake_start(&f, answer_all);
	f.typed = "n\n";
	fake_run(&f, "resolve", id, "--run-here", "--on", "tower-a", NULL);
	assert_exit(f, CLI_FAILED);
	assert_has(f.err, "Run the VM of move 3f2a1199-5c00-4001-8002-000000000000 on tower-a?");
	assert_has(f.err, "nothing was done");
	cr_assert_eq(f.requests, 0);
	f.typed = "y\n";
	fake_run(&f, "resolve", id, "--discard", "--on", "tower-a", NULL);
	assert_exit(f, CLI_OK);
	assert_has(f.err, "Discard the copy of move");
	cr_assert_eq(f.requests, 1);
	fake_stop(&f);
}

/* ---- What goes wrong ---------------------------------------------------------------- */

static void answer_failure(struct fake *f, const Envelope *request)
{
	fake_reply_failure(f, request, "no VM named 'web' on this node\nor elsewhere");
}

static void answer_nothing(struct fake *f, const Envelope *request)
{
	(void)f;
	(void)request;
}

static void answer_garbage(struct fake *f, const Envelope *request)
{
	(void)request;
	fake_send_garbage(f);
}

Test(cli, a_refusal_is_one_line)
{
	struct fake f;

	fake_start(&f, answer_failure);
	fake_run(&f, "vm", "stop", "web", NULL);
	assert_exit(f, CLI_FAILED);
	cr_assert_str_eq(f.err, "migrator: no VM named 'web' on this node or elsewhere\n");
	cr_assert_str_eq(f.out, "");
	fake_stop(&f);
}

Test(cli, silence_is_told_from_absence)
{
	struct fake f;

	fake_start(&f, answer_nothing);
	fake_run(&f, "vm", "list", "--timeout", "1500ms", NULL);
	assert_exit(f, CLI_UNREACHABLE);
	assert_has(f.err, "did not answer within 1.50 s");
	fake_run(&f, "vm", "list", "--node", "tower-b", "--timeout", "300ms", NULL);
	assert_exit(f, CLI_UNREACHABLE);
	assert_has(f.err, "cannot reach tower-b at tcp://127.0.0.1:1: Connection refused");
	fake_stop(&f);
}

Test(cli, a_question_is_repeated_and_an_order_to_start_is_not)
{
	struct fake f;

	fake_start(&f, answer_nothing);
	fake_run(&f, "vm", "list", "--timeout", "3500ms", NULL);
	cr_assert(f.requests >= 2 && f.requests <= 4, "%u", f.requests);
	f.requests = 0;
	fake_write(&f, "vm.yaml", "name: web\nmemory: 192M\nvcpus: 2\nkernel: vmlinuz\n");
	fake_run(&f, "vm", "start", fake_path(&f, "vm.yaml"), "--timeout", "2500ms", NULL);
	assert_exit(f, CLI_UNREACHABLE);
	cr_assert_eq(f.requests, 1);
	fake_stop(&f);
}

Test(cli, an_unknown_key_is_named)
{
	struct keypair stranger;
	struct fake f;

	fake_start(&f, answer_all);
	cr_assert_eq(keypair_generate(&stranger), 0);
	unlink(fake_path(&f, "alice.key"));
	cr_assert_eq(keypair_save(fake_path(&f, "alice.key"), &stranger, NULL), 0);
	fake_run(&f, "vm", "list", "--timeout", "500ms", NULL);
	assert_exit(f, CLI_UNREACHABLE);
	assert_has(f.err, "does not speak to us within");
	assert_has(f.err, stranger.public_key);
	cr_assert_eq(f.requests, 0);
	fake_stop(&f);
}

Test(cli, garbage_and_wrong_answers_are_failures)
{
	struct fake f;

	fake_start(&f, answer_garbage);
	fake_run(&f, "vm", "list", NULL);
	assert_exit(f, CLI_FAILED);
	assert_has(f.err, "does not speak our language");
	f.answer = fake_reply_done; /* which is no list */
	fake_run(&f, "vm", "list", NULL);
	assert_exit(f, CLI_FAILED);
	assert_has(f.err, "answered with 'done'");
	fake_stop(&f);
}

Test(cli, wrong_configurations)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "name: alice\nkey: alice.key\n", "has no 'controller:'" },
		{ "name: alice\n", "'key' is missing" },
		{ "name: alice\nkey: other.key\ncontroller: {endpoint: 'tcp://127.0.0.1:1', "
		  "key: 'rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7'}\n", "migrator keys make" },
		{ "name: alice\nkey: alice.key\ncontroller: {endpoint: 'tcp://127.0.0.1:1'}\n",
		  "placementd's public key" },
		{ "name: alice\nkey: alice.key\nnodes: [{name: n, endpoint: 'tcp://127.0.0.1:1'}]\n",
		  "node 'n': 'key' is missing" },
		{ "name: alice\ncolour: red\n", "colour" },
	};
	struct fake f;

	fake_start(&f, answer_all);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		fake_write(&f, "migrator.yaml", cases[i].text);
		fake_run(&f, "vm", "list", NULL);
		assert_exit(f, CLI_USAGE);
		assert_has(f.err, cases[i].says);
	}
	fake_run(&f, "vm", "list", "--config", fake_path(&f, "nothing.yaml"), NULL);
	assert_exit(f, CLI_USAGE);
	assert_has(f.err, "no configuration at");
	fake_stop(&f);
}

Test(cli, wrong_command_lines)
{
	static const struct {
		const char *words[4];
		const char *says;
	} cases[] = {
		{ { NULL }, "a command is needed" },
		{ { "mvoe" }, "did you mean 'move'?" },
		{ { "vm", "strat", "x" }, "did you mean 'vm start'?" },
		{ { "vm", "show" }, "usage: migrator vm show [OPTION]... VM" },
		{ { "move", "web" }, "usage: migrator move [OPTION]... VM TARGET" },
		{ { "status", "--limit", "3" }, "status: unknown option --limit" },
		{ { "history", "--limit", "0" }, "--limit: '0' is not a number from 1" },
		{ { "history", "--limit" }, "--limit needs an argument" },
		{ { "vm", "list", "--timeout", "5" }, "is not a duration" },
		{ { "--wrong" }, "unknown option --wrong" },
	};
	struct fake f;

	fake_start(&f, answer_all);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *const *w = cases[i].words;

		fake_run(&f, w[0], w[1], w[2], w[3], NULL);
		assert_exit(f, CLI_USAGE);
		assert_has(f.err, cases[i].says);
		assert_has(f.err, "migrator: ");
		cr_assert_eq(strchr(f.err, '\n'), f.err + strlen(f.err) - 1, "one line: %s", f.err);
	}
	cr_assert_eq(f.requests, 0);
	fake_stop(&f);
}

/* ---- Keys ------------------------------------------------------------------------- */

Test(cli, keys_are_made_shown_and_allowed)
{
	struct fake f;
	struct stat st;
	char key[KEY_TEXT_SIZE + 1];

	fake_start(&f, answer_nothing);
	fake_run(&f, "keys", "make", fake_path(&f, "new.key"), NULL);
	assert_exit(f, CLI_OK);
	cr_assert_eq(strlen(f.out), KEY_TEXT_SIZE); /* and a newline */
	snprintf(key, sizeof(key), "%.40s", f.out);
	cr_assert_eq(stat(fake_path(&f, "new.key"), &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0600);
	fake_run(&f, "keys", "make", fake_path(&f, "new.key"), NULL);
	assert_exit(f, CLI_FAILED);
	fake_run(&f, "keys", "show", fake_path(&f, "new.key"), NULL);
	cr_assert_eq(strncmp(f.out, key, KEY_TEXT_SIZE - 1), 0);
	fake_write(&f, "allow", "# a list without a newline at its end");
	fake_run(&f, "keys", "allow", "node", "tower-c", key, "--to", fake_path(&f, "allow"), NULL);
	assert_exit(f, CLI_OK);
	{
		_cleanup_(allow_list_free_p) struct allow_list *list = NULL;

		cr_assert_eq(allow_list_load(fake_path(&f, "allow"), &list, NULL), 0);
		cr_assert_str_eq(allow_list_key_of(list, PEER_ROLE_NODE, "tower-c"), key);
	}
	fake_run(&f, "keys", "allow", "node", "tower-d", key, "--to", fake_path(&f, "allow"), NULL);
	assert_exit(f, CLI_FAILED);
	assert_has(f.err, "on the list already");
	fake_run(&f, "keys", "allow", "king", "tower-d", key, "--to", fake_path(&f, "allow"), NULL);
	assert_exit(f, CLI_FAILED);
	fake_run(&f, "keys", "allow", "node", "tower-d", key, NULL);
	assert_exit(f, CLI_USAGE);
	fake_stop(&f);
}

Test(cli, device_keys)
{
	struct fake f;
	struct stat st;
	char id[40];

	fake_start(&f, answer_nothing);
	fake_run(&f, "keys", "device", "phone", fake_path(&f, "phone.key"), "--to",
		 fake_path(&f, "devices"), NULL);
	assert_exit(f, CLI_OK);
	snprintf(id, sizeof(id), "%.36s", f.out);
	cr_assert_eq(uuid_parse(id, &(struct uuid){ 0 }), 0);
	cr_assert_eq(stat(fake_path(&f, "devices"), &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0600);
	cr_assert_eq(st.st_size, 36 + 1 + 5 + 1 + 64 + 1);
	cr_assert_eq(stat(fake_path(&f, "phone.key"), &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0600);
	cr_assert_eq(st.st_size, 64 + 1);
	fake_run(&f, "keys", "device", "phone", fake_path(&f, "phone.key"), "--to",
		 fake_path(&f, "devices"), NULL);
	assert_exit(f, CLI_FAILED);
	assert_has(f.err, "File exists");
	fake_run(&f, "keys", "device", "a b", "x", "--to", fake_path(&f, "devices"), NULL);
	assert_exit(f, CLI_USAGE);
	cr_assert_eq(stat(fake_path(&f, "devices"), &st), 0);
	cr_assert_eq(st.st_size, 36 + 1 + 5 + 1 + 64 + 1, "refused, and nothing was added");
	fake_stop(&f);
}
