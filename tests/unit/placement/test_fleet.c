/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "common/clock.h"
#include "placement/fleet.h"

#define GIB (UINT64_C(1) << 30)

struct fixture {
	struct fleet fleet;
	struct node *a, *b;
	uint64_t utc;
};

static void setup(struct fixture *f)
{
	fleet_init(&f->fleet);
	cr_assert_eq(fleet_add_node(&f->fleet, "b", &f->b), 0);
	cr_assert_eq(fleet_add_node(&f->fleet, "a", &f->a), 0);
	f->utc = 1000 * NS_PER_S;
}

/* What a node says of its only VM; NULL: that it has none. */
static void report(struct fixture *f, struct node *node, const char *vm, Tagalong__VmState state)
{
	Tagalong__VmSpec spec = TAGALONG__VM_SPEC__INIT;
	Tagalong__VmInfo info = TAGALONG__VM_INFO__INIT, *infos[] = { &info, &info };
	Tagalong__NodeStatus status = TAGALONG__NODE_STATUS__INIT;
	uint8_t id[UUID_SIZE] = { 0 };

	spec.name = (char *)vm;
	spec.machine = spec.cpu = spec.accelerator = (char *)"x";
	spec.memory_bytes = GIB;
	spec.vcpus = 2;
	info.spec = &spec;
	info.state = state;
	info.incarnation = (ProtobufCBinaryData){ UUID_SIZE, id };
	status.vms = infos;
	status.n_vms = vm ? 2 : 0; /* one of two equals counts */
	f->utc += NS_PER_S;
	cr_assert_eq(fleet_status(&f->fleet, node, &status, f->utc), 0);
}
#define REPORT(f, node, vm, state) report(f, node, vm, TAGALONG__VM_STATE__VM_##state)

Test(fleet, a_vm_is_where_nodes_say)
{
	struct fixture f;
	struct vm *vm;

	setup(&f);
	REPORT(&f, f.a, "web", RUNNING);
	vm = fleet_vm(&f.fleet, "web");
	cr_assert_not_null(vm);
	cr_assert_eq(vm->node, f.a);
	cr_assert_eq(vm->visits[0].since_utc_ns, 0, "when it came there nobody knows");
	cr_assert_eq(f.a->load.memory, GIB);
	cr_assert_eq(f.a->load.vcpus, 2);
	cr_assert_not_null(fleet_vm_info(vm, f.a));
	REPORT(&f, f.a, NULL, RUNNING);
	cr_assert_null(vm->node);
	cr_assert_eq(f.a->load.memory, 0);
	cr_assert_null(fleet_vm_info(vm, f.a));
	REPORT(&f, f.a, "no/name", RUNNING);
	cr_assert_eq(f.fleet.vms.n, 1);
	fleet_clear(&f.fleet);
}

Test(fleet, while_it_moves_the_livelier_copy_counts)
{
	struct fixture f;
	struct vm *vm;

	setup(&f);
	REPORT(&f, f.b, "web", MOVING);
	vm = fleet_vm(&f.fleet, "web");
	REPORT(&f, f.a, "web", INCOMING);
	cr_assert_eq(vm->node, f.b);
	cr_assert_eq(f.a->load.memory, GIB, "its place is taken");
	REPORT(&f, f.b, "web", STOPPED);
	cr_assert_eq(vm->node, f.b);
	REPORT(&f, f.a, "web", RUNNING);
	cr_assert_eq(vm->node, f.a);
	REPORT(&f, f.b, NULL, RUNNING);
	cr_assert_eq(vm->node, f.a);
	cr_assert_eq(vm->n_visits, 2);
	cr_assert_eq(vm->visits[0].node, f.a);
	cr_assert_eq(vm->visits[0].since_utc_ns, f.utc - NS_PER_S);
	cr_assert_eq(vm->visits[1].node, f.b);
	/* Its QEMU died there: it is nowhere, and takes no place. */
	REPORT(&f, f.a, "web", GONE);
	cr_assert_null(vm->node);
	cr_assert_eq(f.a->load.memory, 0);
	fleet_clear(&f.fleet);
}

Test(fleet, a_tie_is_not_a_move)
{
	struct fixture f;
	struct vm *vm;

	setup(&f);
	REPORT(&f, f.b, "web", RUNNING);
	vm = fleet_vm(&f.fleet, "web");
	REPORT(&f, f.a, "web", RUNNING);
	cr_assert_eq(vm->node, f.b);
	cr_assert_eq(vm->n_visits, 1);
	fleet_clear(&f.fleet);
}

Test(fleet, a_moves_result_comes_before_the_reports)
{
	struct fixture f;
	struct vm *vm;

	setup(&f);
	REPORT(&f, f.a, "web", STOPPED);
	vm = fleet_vm(&f.fleet, "web");
	cr_assert_eq(fleet_take_changed(&f.fleet), vm);
	cr_assert_null(fleet_take_changed(&f.fleet));
	cr_assert_eq(fleet_vm_arrived(&f.fleet, vm, f.a, f.b, f.utc), 0);
	cr_assert_eq(vm->node, f.b);
	cr_assert_eq(f.a->load.memory, 0);
	cr_assert_eq(f.b->load.memory, GIB);
	cr_assert_eq(fleet_take_changed(&f.fleet), vm);
	/* It went back since: the same result, late, changes nothing. */
	REPORT(&f, f.b, NULL, RUNNING);
	REPORT(&f, f.a, "web", RUNNING);
	cr_assert_eq(vm->node, f.a);
	cr_assert_eq(fleet_vm_arrived(&f.fleet, vm, f.b, f.b, f.utc), 0);
	cr_assert_eq(vm->node, f.a);
	fleet_clear(&f.fleet);
}

Test(fleet, a_vm_that_was_lost_on_its_way_is_nowhere)
{
	struct fixture f;
	struct vm *vm;

	setup(&f);
	REPORT(&f, f.a, "web", STOPPED);
	REPORT(&f, f.b, "web", RUNNING);
	vm = fleet_vm(&f.fleet, "web");
	fleet_vm_lost(&f.fleet, vm, f.a, f.b, f.utc);
	cr_assert_null(vm->node);
	cr_assert_eq(f.a->load.memory + f.b->load.memory, 0);
	REPORT(&f, f.a, "web", RUNNING); /* somebody has started it anew */
	cr_assert_eq(vm->node, f.a);
	fleet_clear(&f.fleet);
}

Test(fleet, silence_takes_a_node_down)
{
	struct fixture f;
	Tagalong__NodeHello hello = TAGALONG__NODE_HELLO__INIT;
	struct bus_peer peer = { .route = "x", .route_len = 1 };

	setup(&f);
	cr_assert_not(node_is_up(f.a));
	hello.role = TAGALONG__NODE_ROLE__NODE_MIGRATOR;
	cr_assert_eq(fleet_hello(&f.fleet, f.a, &hello, &peer, 100, 100), 0);
	cr_assert(node_is_up(f.a));
	cr_assert_not(f.a->programs[PROGRAM_TELEMETRY].up);
	cr_assert_eq(f.a->programs[PROGRAM_MIGRATOR].peer.route_len, 1);
	cr_assert_not(fleet_expire(f.a, PROGRAM_MIGRATOR, 110, 10));
	fleet_heard(f.a, PROGRAM_MIGRATOR, 105, 105);
	cr_assert_not(fleet_expire(f.a, PROGRAM_MIGRATOR, 115, 10));
	cr_assert(fleet_expire(f.a, PROGRAM_MIGRATOR, 116, 10));
	cr_assert_not(fleet_expire(f.a, PROGRAM_MIGRATOR, 117, 10), "once");
	cr_assert_not(node_is_up(f.a));
	fleet_clear(&f.fleet);
}

Test(fleet, pairs)
{
	struct fixture f;
	struct uuid one = { { 1 } }, two = { { 2 } };
	struct device *phone, *tablet;
	struct vm *web, *mail;

	setup(&f);
	cr_assert_eq(fleet_add_device(&f.fleet, &two, "tablet", &tablet), 0);
	cr_assert_eq(fleet_add_device(&f.fleet, &one, "phone", &phone), 0);
	cr_assert_eq(fleet_add_vm(&f.fleet, "web", &web), 0);
	cr_assert_eq(fleet_add_vm(&f.fleet, "mail", &mail), 0);
	cr_assert_eq(fleet_device(&f.fleet, &one), phone);
	cr_assert_eq(fleet_device_named(&f.fleet, "tablet"), tablet);
	cr_assert_null(fleet_device_named(&f.fleet, "watch"));
	cr_assert_eq(fleet_pair(phone, web, true), 0);
	cr_assert_eq(fleet_pair(tablet, web, true), -EEXIST);
	cr_assert_eq(fleet_pair(phone, mail, false), 0);
	cr_assert_eq(device_foreground(phone), web);
	cr_assert_eq(phone->vms[0], mail, "in order of names");
	cr_assert_eq(fleet_pair(phone, mail, true), 0);
	cr_assert_eq(device_foreground(phone), mail);
	cr_assert_eq(phone->n_vms, 2);
	fleet_unpair(phone, mail);
	cr_assert_null(device_foreground(phone));
	cr_assert_null(mail->device);
	cr_assert_eq(fleet_pair(tablet, mail, true), 0);
	fleet_clear(&f.fleet);
}

static bool all_can(const struct node *node, const struct vm *vm, void *userdata)
{
	(void)node, (void)vm, (void)userdata;
	return true;
}

static int seen(struct device *d, struct node *node, const char *address, bool attached,
		bool asleep)
{
	Tagalong__ClientSeen seen = TAGALONG__CLIENT_SEEN__INIT;

	seen.address = (char *)address;
	seen.attached = attached;
	seen.has_asleep = seen.asleep = asleep;
	return fleet_client_seen(d, node, &seen);
}

Test(fleet, a_device_that_sleeps_is_not_lost)
{
	const struct uuid id = { { 1 } };
	struct fixture f;
	struct device *d;

	setup(&f);
	cr_assert_eq(fleet_add_device(&f.fleet, &id, "phone", &d), 0);
	cr_assert_eq(seen(d, f.a, "10.0.0.1:1", true, true), 0);
	cr_assert(d->asleep);
	cr_assert_eq(d->attached, f.a);
	cr_assert_eq(seen(d, f.b, "10.0.0.2:1", false, false), 0);
	cr_assert(d->asleep, "a node that it has left does not know");
	cr_assert_eq(seen(d, f.b, "10.0.0.2:1", true, false), 0);
	cr_assert(!d->asleep);
	cr_assert_eq(seen(d, f.b, "10.0.0.2:1", true, true), 0);
	cr_assert_eq(seen(d, f.b, "10.0.0.2:1", false, true), 0);
	cr_assert(!d->asleep, "it does not come back from sleep");
	fleet_clear(&f.fleet);
}

Test(fleet, a_device_that_roams_is_not_called_back)
{
	const struct uuid id = { { 1 } };
	struct fixture f;
	struct device *d;

	setup(&f);
	cr_assert_eq(fleet_add_device(&f.fleet, &id, "phone", &d), 0);
	cr_assert_eq(seen(d, f.a, "10.0.0.1:1", true, false), 0);
	cr_assert_eq(seen(d, f.b, "10.0.0.2:1", true, false), 0);
	cr_assert_eq(seen(d, f.a, "10.0.0.1:1", false, false), 0);
	cr_assert_eq(d->attached, f.b);
	cr_assert_str_eq(d->address, "10.0.0.2:1");
	cr_assert_eq(seen(d, f.b, "10.0.0.2:1", false, false), 0);
	cr_assert_null(d->attached);
	cr_assert_str_eq(d->address, "10.0.0.2:1", "it may still be there");
	fleet_clear(&f.fleet);
}

Test(fleet, what_tlvs_tell_is_kept_until_nothing_is_told)
{
	struct fixture f;
	struct uuid id = { { 1 } };
	Tagalong__RttSample sample = TAGALONG__RTT_SAMPLE__INIT;
	Tagalong__ToldTlvs told = TAGALONG__TOLD_TLVS__INIT;
	ProtobufCMessageUnknownField later = { 0 };
	struct device *phone;

	setup(&f);
	cr_assert_eq(fleet_add_device(&f.fleet, &id, "phone", &phone), 0);
	sample.tlvs = &told;
	told.understood = told.has_wait_ns = true;
	told.wait_ns = 77;
	told.base.n_unknown_fields = 1;
	told.base.unknown_fields = &later;
	cr_assert_eq(fleet_sample(phone, f.b, &sample, 1000), 0);
	told.wait_ns = 0;
	cr_assert_eq(phone->rtts[0].tlvs->wait_ns, 77);
	cr_assert_eq(phone->rtts[0].tlvs->base.n_unknown_fields, 0, "they are the sample's");
	sample.tlvs = NULL;
	cr_assert_eq(fleet_sample(phone, f.b, &sample, 2000), 0);
	cr_assert_null(phone->rtts[0].tlvs);
	fleet_clear(&f.fleet);
}

Test(fleet, samples_age_until_there_is_a_new_one)
{
	struct fixture f;
	struct uuid id = { { 1 } };
	struct policy_candidate candidates[2];
	struct policy_view view;
	Tagalong__RttSample sample = TAGALONG__RTT_SAMPLE__INIT;
	struct device *phone;

	setup(&f);
	REPORT(&f, f.b, "web", RUNNING);
	cr_assert_eq(fleet_add_device(&f.fleet, &id, "phone", &phone), 0);
	sample.last_sample_utc_ns = 500;
	sample.srtt_ns = 7;
	sample.confidence = 90;
	cr_assert_eq(fleet_sample(phone, f.b, &sample, 1000), 0);
	sample.confidence = 30;
	cr_assert_eq(fleet_sample(phone, f.b, &sample, 2000), 0);
	/* A node whose clock is far behind. */
	sample.last_sample_utc_ns = 3;
	cr_assert_eq(fleet_sample(phone, f.a, &sample, 2500), 0);
	fleet_view(phone, fleet_vm(&f.fleet, "web"), 3000, f.utc, all_can, NULL, candidates, &view);
	cr_assert_eq(view.n_candidates, 2);
	cr_assert_eq(candidates[0].node, f.a->number, "in order of names");
	cr_assert_eq(candidates[0].age_ns, 500);
	cr_assert_eq(candidates[1].node, f.b->number);
	cr_assert_eq(candidates[1].age_ns, 2000);
	cr_assert_eq(candidates[1].confidence, 30);
	cr_assert_eq(view.n_visits, 1);
	cr_assert_eq(view.visits[0].node, f.b->number);
	cr_assert_eq(view.visits[0].ago_ns, UINT64_MAX);
	fleet_clear(&f.fleet);
}
