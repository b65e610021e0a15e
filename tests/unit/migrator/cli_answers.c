/* SPDX-License-Identifier: Apache-2.0 */
#include "cli_answers.h"

#include <criterion/criterion.h>
#include <string.h>

#include "common/clock.h"

const uint8_t ID_A[UUID_SIZE] = { 0x3f, 0x2a, 0x11, 0x99, 0x5c, 0, 0x40, 1, 0x80, 2 };
const uint8_t ID_B[UUID_SIZE] = { 0x3f, 0x2a, 0x11, 0x98, 0x5c, 0, 0x40, 1, 0x80, 2 };

static ProtobufCBinaryData id_of(const uint8_t *id)
{
	return (ProtobufCBinaryData){ .len = UUID_SIZE, .data = (uint8_t *)id };
}

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

Tagalong__MoveInfo *sample_move(struct sample_move *s, const uint8_t *id, MoveState state,
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

void answer_all(struct fake *f, const Envelope *request)
{
	struct sample_vm vm;
	struct sample_move move;
	Tagalong__NodeInfo node = TAGALONG__NODE_INFO__INIT, *nodes[] = { &node };
	Tagalong__NodeHello hello = TAGALONG__NODE_HELLO__INIT;
	Tagalong__ImageInfo image = TAGALONG__IMAGE_INFO__INIT, *images[] = { &image };
	Tagalong__RttSample sample = TAGALONG__RTT_SAMPLE__INIT;
	Tagalong__ToldTlvs tlvs = TAGALONG__TOLD_TLVS__INIT;
	Tagalong__NodeRtt rtt = TAGALONG__NODE_RTT__INIT, *rtts[] = { &rtt };
	Tagalong__Pair pair = TAGALONG__PAIR__INIT, *pairs[] = { &pair };
	Tagalong__NodeList node_list = TAGALONG__NODE_LIST__INIT;
	Tagalong__PairList pair_list = TAGALONG__PAIR_LIST__INIT;
	Tagalong__Status status = TAGALONG__STATUS__INIT;
	Tagalong__DrainStep step = TAGALONG__DRAIN_STEP__INIT, *steps[] = { &step };
	Tagalong__NamedNumber threshold = TAGALONG__NAMED_NUMBER__INIT, *parameters[] = { &threshold };
	Tagalong__MoveAlternative alternative = TAGALONG__MOVE_ALTERNATIVE__INIT;
	Tagalong__MoveAlternative *alternatives[] = { &alternative };
	Tagalong__MoveWhy why = TAGALONG__MOVE_WHY__INIT;
	Tagalong__DrainPlan plan = TAGALONG__DRAIN_PLAN__INIT;
	Tagalong__VmInfo *vms[] = { sample_vm(&vm, "web", "tower-a") };
	Tagalong__MoveInfo *moves[] = {
		sample_move(&move, ID_A, TAGALONG__MOVE_STATE__MOVE_COPYING, NULL)
	};
	Envelope e = TAGALONG__ENVELOPE__INIT;

	node.name = (char *)"tower-a";
	node.migrator_up = node.has_vms = true;
	node.vms = 1;
	node.hello = &hello;
	hello.role = TAGALONG__NODE_ROLE__NODE_MIGRATOR;
	hello.images = images;
	hello.n_images = 1;
	image.image = id_of(ID_A);
	image.vm = (char *)"desk";
	sample.device = id_of(ID_B);
	sample.srtt_ns = 12300000;
	sample.tlvs = &tlvs;
	tlvs.understood = tlvs.has_dscp_there = tlvs.has_clock_in = tlvs.has_method_in = true;
	tlvs.dscp_there = 46;
	tlvs.clock_in = 4;
	tlvs.method_in = 99;
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
	threshold.name = (char *)"threshold_ns";
	threshold.value = 20000000;
	alternative.node = (char *)"tower-b";
	alternative.available = alternative.has_benefit_ns = true;
	alternative.benefit_ns = 36000000;
	why.info = moves[0];
	why.policy = (char *)"threshold";
	why.parameters = parameters;
	why.alternatives = alternatives;
	why.n_parameters = why.n_alternatives = 1;
	step.vm = (char *)"web";
	step.target = (char *)"tower-b";
	plan.steps = steps;
	plan.n_steps = 1;
	static char *tied[] = { (char *)"mail", (char *)"web" };
	Tagalong__Affinity group = TAGALONG__AFFINITY__INIT, *groups = &group;
	Tagalong__AffinityList affinity_list = TAGALONG__AFFINITY_LIST__INIT;
	Tagalong__SummaryRow row = TAGALONG__SUMMARY_ROW__INIT, *summary_rows = &row;
	Tagalong__Summary summary = TAGALONG__SUMMARY__INIT;

	group.group = (char *)"spread";
	group.apart = true;
	group.vms = tied;
	group.n_vms = 2;
	affinity_list.groups = &groups;
	affinity_list.n_groups = 1;
	row.code = (char *)"threshold";
	row.done = 3;
	row.failed = 1;
	row.has_before_ns = row.has_saved_ns = true;
	row.before_ns = 40000000;
	row.saved_ns = -5;
	summary.rows = &summary_rows;
	summary.n_rows = 1;
	switch (request->body_case) {
	case TAGALONG__ENVELOPE__BODY_AFFINITY_QUERY:
		e.body_case = TAGALONG__ENVELOPE__BODY_AFFINITY_LIST;
		e.affinity_list = &affinity_list;
		break;
	case TAGALONG__ENVELOPE__BODY_SUMMARY_QUERY:
		e.body_case = TAGALONG__ENVELOPE__BODY_SUMMARY;
		e.summary = &summary;
		break;
	case TAGALONG__ENVELOPE__BODY_NODE_QUERY:
		e.body_case = TAGALONG__ENVELOPE__BODY_NODE_LIST;
		e.node_list = &node_list;
		break;
	case TAGALONG__ENVELOPE__BODY_WHY_QUERY:
		e.body_case = TAGALONG__ENVELOPE__BODY_MOVE_WHY;
		e.move_why = &why;
		break;
	case TAGALONG__ENVELOPE__BODY_NODE_DRAIN:
		e.body_case = TAGALONG__ENVELOPE__BODY_DRAIN_PLAN;
		e.drain_plan = &plan;
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

json_t *json_of(const char *text)
{
	json_error_t e;
	json_t *v = json_loads(text, 0, &e);

	cr_assert_not_null(v, "%s in: %s", e.text, text);
	return v;
}
