/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/placement/harness.h"

#define BODY(name) TAGALONG__ENVELOPE__BODY_##name
#define STATE(name) TAGALONG__MOVE_STATE__MOVE_##name

static const struct uuid phone = { { 1 } }, tablet = { { 2 } };

static void say_hello(struct harness *h)
{
	node_hello(h, "tower-a", 8 * GIB, "web");
	node_hello(h, "tower-b", 8 * GIB, "mail");
	node_hello(h, "tower-c", 8 * GIB, NULL);
	harness_forget(h);
}

static void setup(struct harness *h)
{
	harness_open(h);
	h->limits.node_timeout_ns = 24 * 3600 * SECOND; /* they are there, and have no news */
	harness_start(h);
	say_hello(h);
}

static const Envelope *set(struct harness *h, const struct uuid *device, const char *name,
			   const char *vm, bool foreground, bool follows)
{
	Tagalong__PairSet set = TAGALONG__PAIR_SET__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	set.device = (ProtobufCBinaryData){ UUID_SIZE, (uint8_t *)device->bytes };
	set.device_name = (char *)name;
	set.vm = (char *)vm;
	set.foreground = foreground;
	set.has_follows = set.follows = follows;
	e.body_case = BODY(PAIR_SET);
	e.pair_set = &set;
	return ask(h, &e);
}

static const Envelope *pair(struct harness *h, const struct uuid *device, const char *name,
			    const char *vm, bool foreground)
{
	return set(h, device, name, vm, foreground, false);
}

static const Envelope *unpair(struct harness *h, const char *name, const char *vm)
{
	Tagalong__PairRemove remove = TAGALONG__PAIR_REMOVE__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	remove.device_name = (char *)name;
	remove.vm = (char *)vm;
	e.body_case = BODY(PAIR_REMOVE);
	e.pair_remove = &remove;
	return ask(h, &e);
}

/* "phone/web* tablet/mail": the foreground has a star, what follows it a plus. */
static const char *pairs(struct harness *h)
{
	static char text[256];
	Tagalong__PairQuery query = TAGALONG__PAIR_QUERY__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	const Tagalong__PairList *list;

	text[0] = 0;
	e.body_case = BODY(PAIR_QUERY);
	e.pair_query = &query;
	list = ask(h, &e)->pair_list;
	for (size_t i = 0; i < list->n_pairs; i++)
		sprintf(text + strlen(text), "%s%s/%s%s", i ? " " : "",
			list->pairs[i]->device_name, list->pairs[i]->vm,
			list->pairs[i]->foreground ? "*" : list->pairs[i]->follows ? "+" : "");
	return text;
}

static const Envelope *front(struct harness *h, const char *name, const char *vm)
{
	Tagalong__PairFront front = TAGALONG__PAIR_FRONT__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	front.device_name = (char *)name;
	front.vm = (char *)vm;
	e.body_case = BODY(PAIR_FRONT);
	e.pair_front = &front;
	return ask(h, &e);
}

static const Envelope *replace(struct harness *h, const char *name, const struct uuid *device)
{
	Tagalong__PairReplace replace = TAGALONG__PAIR_REPLACE__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	replace.device_name = (char *)name;
	replace.device = (ProtobufCBinaryData){ UUID_SIZE, (uint8_t *)device->bytes };
	e.body_case = BODY(PAIR_REPLACE);
	e.pair_replace = &replace;
	return ask(h, &e);
}

/* The device is there for a while, with these round-trip times. */
static void stand(struct harness *h, const struct uuid *device, double to_a, double to_b,
		  double to_c, unsigned seconds)
{
	for (unsigned i = 0; i < 5 * seconds; i++) {
		node_rtt(h, "tower-a", device, to_a);
		node_rtt(h, "tower-b", device, to_b);
		node_rtt(h, "tower-c", device, to_c);
		harness_run(h, 200 * MS);
	}
}

/* The next order that any node got, taken; NULL: there is none. */
static const Tagalong__MoveOrder *next_order(struct harness *h)
{
	const struct sent *s = harness_next(h, NULL, BODY(MOVE_ORDER));

	if (s)
		answer_done(h, s);
	return s ? s->e->move_order : NULL;
}

static bool goes(const Tagalong__MoveOrder *order, const char *vm, const char *target,
		 const char *code)
{
	return order && strcmp(order->vm, vm) == 0 && strcmp(order->target, target) == 0 &&
	       strcmp(order->reason->code, code) == 0;
}

static bool refused(const Envelope *e, int code, const char *says)
{
	return e && e->body_case == BODY(FAILURE) && e->failure->code == code &&
	       strstr(e->failure->text, says);
}

Test(pairs, pairs_are_kept)
{
	struct harness h;

	setup(&h);
	cr_assert_str_eq(pairs(&h), "");
	cr_assert_eq(pair(&h, &phone, "phone", "web", true)->body_case, BODY(DONE));
	cr_assert_eq(pair(&h, &phone, "phone", "mail", true)->body_case, BODY(DONE));
	cr_assert_eq(pair(&h, &tablet, "tablet", "game", false)->body_case, BODY(DONE));
	cr_assert_str_eq(pairs(&h), "phone/mail* phone/web tablet/game");
	harness_kill(&h);
	harness_start(&h);
	cr_assert_str_eq(pairs(&h), "phone/mail* phone/web tablet/game");
	cr_assert_eq(unpair(&h, "phone", "mail")->body_case, BODY(DONE));
	cr_assert(refused(unpair(&h, "phone", "mail"), ENOENT, "no pair"));
	harness_kill(&h);
	harness_start(&h);
	cr_assert_str_eq(pairs(&h), "phone/web tablet/game");
	harness_close(&h);
}

Test(pairs, pairs_that_cannot_be)
{
	struct harness h;

	setup(&h);
	cr_assert_eq(pair(&h, &phone, "phone", "web", true)->body_case, BODY(DONE));
	cr_assert(refused(pair(&h, &tablet, "tablet", "web", true), EEXIST, "paired with 'phone'"));
	cr_assert(refused(pair(&h, &tablet, "phone", "mail", true), EEXIST, "named 'phone'"));
	cr_assert(refused(pair(&h, &tablet, "a/b", "mail", true), EINVAL, "letters"));
	cr_assert(refused(pair(&h, &tablet, "tablet", "", true), EINVAL, "letters"));
	cr_assert_str_eq(pairs(&h), "phone/web*");
	/* A new name for the same device. */
	cr_assert_eq(pair(&h, &phone, "handset", "web", true)->body_case, BODY(DONE));
	cr_assert_str_eq(pairs(&h), "handset/web*");
	harness_close(&h);
}

Test(pairs, what_is_brought_to_the_front_moves_at_once_and_first)
{
	const Tagalong__MoveOrder *order;
	struct harness h;

	setup(&h);
	cr_assert_eq(pair(&h, &phone, "phone", "web", true)->body_case, BODY(DONE));
	cr_assert_eq(set(&h, &phone, "phone", "mail", false, false)->body_case, BODY(DONE));
	stand(&h, &phone, 4, 30, 30, 20);
	cr_assert_null(next_order(&h), "what is in the background stays");
	cr_assert_eq(front(&h, "phone", "mail")->body_case, BODY(DONE));
	cr_assert_str_eq(pairs(&h), "phone/mail* phone/web");
	order = next_order(&h);
	cr_assert(goes(order, "mail", "tower-a", "front"), "%s", h.decisions);
	cr_assert_str_eq(order->reason->text, "brought to the front; RTT 4.00 ms at tower-a");
	move_result(&h, "tower-b", order, STATE(DONE));
	/* From now on it is a VM as any other: hold, margin and stay. */
	stand(&h, &phone, 30, 30, 4, 1);
	cr_assert_null(next_order(&h));
	stand(&h, &phone, 30, 30, 4, 10);
	cr_assert(goes(next_order(&h), "mail", "tower-c", "threshold"), "%s", h.decisions);
	harness_close(&h);
}

Test(pairs, what_is_well_where_it_is_is_not_moved_by_being_brought_to_the_front)
{
	struct harness h;

	setup(&h);
	pair(&h, &phone, "phone", "web", true);
	pair(&h, &phone, "phone", "mail", false);
	stand(&h, &phone, 6, 4, 30, 2);
	/* As pair set does it. */
	cr_assert_eq(pair(&h, &phone, "phone", "mail", true)->body_case, BODY(DONE));
	cr_assert_eq(front(&h, "phone", "mail")->body_case, BODY(DONE));
	stand(&h, &phone, 6, 4, 30, 2);
	cr_assert_null(next_order(&h));
	/* That was all: now the hold counts again. */
	stand(&h, &phone, 4, 30, 30, 1);
	cr_assert_null(next_order(&h));
	cr_assert(refused(front(&h, "phone", "game"), ENOENT, "no pair"));
	cr_assert(refused(front(&h, "tablet", "web"), ENOENT, "no pair"));
	harness_close(&h);
}

Test(pairs, a_vm_without_a_reachable_device_stays_until_it_is_back)
{
	struct harness h;

	setup(&h);
	pair(&h, &phone, "phone", "web", true);
	stand(&h, &phone, 4, 30, 30, 1);
	/* It sleeps. */
	harness_run(&h, 5 * SECOND);
	set(&h, &phone, "phone", "mail", false, true);
	harness_run(&h, 3600 * SECOND);
	say_hello(&h);
	cr_assert_null(next_order(&h));
	cr_assert_eq(front(&h, "phone", "mail")->body_case, BODY(DONE));
	cr_assert_null(next_order(&h));
	cr_assert_str_eq(pairs(&h), "phone/mail* phone/web");
	/* Also a controller that starts in the meantime knows what is to be done. */
	harness_kill(&h);
	harness_start(&h);
	say_hello(&h);
	cr_assert_null(next_order(&h));
	stand(&h, &phone, 4, 30, 30, 1);
	cr_assert(goes(next_order(&h), "mail", "tower-a", "front"), "%s", h.decisions);
	harness_close(&h);
}

Test(pairs, a_frozen_vm_is_not_moved_by_being_brought_to_the_front)
{
	Tagalong__VmFreeze request = TAGALONG__VM_FREEZE__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	struct harness h;

	setup(&h);
	pair(&h, &phone, "phone", "web", true);
	pair(&h, &phone, "phone", "mail", false);
	request.vm = (char *)"mail";
	request.frozen = true;
	e.body_case = BODY(VM_FREEZE);
	e.vm_freeze = &request;
	cr_assert_eq(ask(&h, &e)->body_case, BODY(DONE));
	front(&h, "phone", "mail");
	stand(&h, &phone, 4, 30, 30, 2);
	cr_assert_null(next_order(&h));
	request.frozen = false;
	cr_assert_eq(ask(&h, &e)->body_case, BODY(DONE));
	stand(&h, &phone, 4, 30, 30, 1);
	cr_assert(goes(next_order(&h), "mail", "tower-a", "front"), "%s", h.decisions);
	harness_close(&h);
}

Test(pairs, a_follower_goes_where_the_foreground_has_settled)
{
	const Tagalong__MoveOrder *order;
	struct harness h;

	setup(&h);
	pair(&h, &phone, "phone", "web", true);
	cr_assert_eq(set(&h, &phone, "phone", "mail", false, true)->body_case, BODY(DONE));
	cr_assert_str_eq(pairs(&h), "phone/mail+ phone/web*");
	stand(&h, &phone, 30, 30, 4, 3);
	order = next_order(&h);
	cr_assert(goes(order, "web", "tower-c", "threshold"), "%s", h.decisions);
	cr_assert_eq(harness_decided(&h, " order "), 1, "the foreground first");
	harness_forget(&h);
	move_result(&h, "tower-a", order, STATE(DONE));
	stand(&h, &phone, 30, 30, 4, 4);
	cr_assert_null(next_order(&h), "it has to settle");
	stand(&h, &phone, 30, 30, 4, 2);
	order = next_order(&h);
	cr_assert(goes(order, "mail", "tower-c", "follow"), "%s", h.decisions);
	cr_assert_str_eq(order->reason->text, "follows web");
	move_result(&h, "tower-b", order, STATE(DONE));
	stand(&h, &phone, 30, 30, 4, 20);
	cr_assert_eq(harness_decided(&h, " order "), 2, "they are together");
	/* It is kept that it follows. */
	harness_kill(&h);
	harness_start(&h);
	cr_assert_str_eq(pairs(&h), "phone/mail+ phone/web*");
	harness_close(&h);
}

Test(pairs, another_device_takes_the_place_of_a_lost_one)
{
	const Tagalong__MoveOrder *order;
	struct harness h;

	setup(&h);
	pair(&h, &phone, "phone", "web", true);
	set(&h, &phone, "phone", "mail", false, true);
	cr_assert(refused(replace(&h, "handset", &tablet), ENOENT, "no device"));
	cr_assert_eq(replace(&h, "phone", &tablet)->body_case, BODY(DONE));
	cr_assert_str_eq(pairs(&h), "phone/mail+ phone/web*");
	cr_assert_eq(replace(&h, "phone", &tablet)->body_case, BODY(DONE), "as often as you like");
	cr_assert_eq(harness_decided(&h, " replace "), 1);
	harness_kill(&h);
	harness_start(&h);
	say_hello(&h);
	cr_assert_str_eq(pairs(&h), "phone/mail+ phone/web*");
	/* Who has the lost one has nothing; its VMs go with the new one. */
	stand(&h, &phone, 30, 30, 4, 5);
	cr_assert_null(next_order(&h));
	stand(&h, &tablet, 30, 30, 4, 3);
	order = next_order(&h);
	cr_assert(goes(order, "web", "tower-c", "threshold"), "%s", h.decisions);
	cr_assert_eq(memcmp(order->device.data, tablet.bytes, UUID_SIZE), 0);
	harness_close(&h);
}

Test(pairs, a_device_with_vms_takes_nobodys_place)
{
	struct harness h;

	setup(&h);
	pair(&h, &phone, "phone", "web", true);
	pair(&h, &tablet, "tablet", "mail", true);
	cr_assert(refused(replace(&h, "phone", &tablet), EEXIST, "VMs of its own"));
	cr_assert_str_eq(pairs(&h), "phone/web* tablet/mail*");
	unpair(&h, "tablet", "mail");
	/* It is known, and free. */
	cr_assert_eq(replace(&h, "phone", &tablet)->body_case, BODY(DONE));
	cr_assert_str_eq(pairs(&h), "phone/web*");
	cr_assert(refused(replace(&h, "tablet", &phone), ENOENT, "no device"));
	harness_close(&h);
}

Test(pairs, a_dry_run_changes_nothing)
{
	Tagalong__PairSet set = TAGALONG__PAIR_SET__INIT;
	Tagalong__PairRemove removal = TAGALONG__PAIR_REMOVE__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	struct harness h;

	harness_open(&h);
	harness_start(&h);
	set.device_name = (char *)"phone";
	set.vm = (char *)"web";
	set.device = (ProtobufCBinaryData){ UUID_SIZE, (uint8_t[UUID_SIZE]){ 1 } };
	set.foreground = true;
	set.has_dry_run = set.dry_run = true;
	e.body_case = TAGALONG__ENVELOPE__BODY_PAIR_SET;
	e.pair_set = &set;
	cr_assert_eq(ask(&h, &e)->body_case, TAGALONG__ENVELOPE__BODY_DONE);
	cr_assert_eq(harness_decided(&h, " pair "), 0);
	removal.device_name = set.device_name;
	removal.vm = set.vm;
	removal.has_dry_run = removal.dry_run = true;
	e.body_case = TAGALONG__ENVELOPE__BODY_PAIR_REMOVE;
	e.pair_remove = &removal;
	cr_assert_eq(ask(&h, &e)->body_case, TAGALONG__ENVELOPE__BODY_FAILURE, "it is no pair");
	set.dry_run = false;
	e.body_case = TAGALONG__ENVELOPE__BODY_PAIR_SET;
	e.pair_set = &set;
	ask(&h, &e);
	e.body_case = TAGALONG__ENVELOPE__BODY_PAIR_REMOVE;
	e.pair_remove = &removal;
	cr_assert_eq(ask(&h, &e)->body_case, TAGALONG__ENVELOPE__BODY_DONE);
	cr_assert_eq(harness_decided(&h, " unpair "), 0);
	harness_close(&h);
}
