/* SPDX-License-Identifier: Apache-2.0
 *
 * Who watches whom: the whole list once, in parts that fit into a message, and then what changes of it.
 */
#include <criterion/criterion.h>

#include "tests/unit/placement/harness.h"

#define BODY(name) TAGALONG__ENVELOPE__BODY_##name

static struct uuid device(unsigned i)
{
	struct uuid id = { { 1 } };

	memcpy(&id.bytes[4], &i, sizeof(i));
	return id;
}

static void pair(struct harness *h, unsigned i)
{
	struct uuid id = device(i);
	char name[32], vm[32];

	snprintf(name, sizeof(name), "phone%u", i);
	snprintf(vm, sizeof(vm), "vm%u", i);
	set_pair(h, &id, name, vm);
}

static void hello(struct harness *h, const char *node, bool takes_changes)
{
	Tagalong__NodeHello hello = TAGALONG__NODE_HELLO__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	hello.role = TAGALONG__NODE_ROLE__NODE_TELEMETRY;
	hello.has_takes_watch_changes = hello.takes_watch_changes = takes_changes;
	e.body_case = BODY(NODE_HELLO);
	e.node_hello = &hello;
	harness_receive(h, PEER_ROLE_NODE, node, 0, &e);
}

static void setup(struct harness *h, unsigned devices)
{
	harness_open(h);
	harness_start(h);
	for (unsigned i = 0; i < devices; i++)
		pair(h, i);
	harness_forget(h);
}

static const struct sent *next(struct harness *h)
{
	return harness_next(h, "tower-a", BODY(WATCH_LIST));
}

Test(watch, the_list_and_then_what_changes_of_it)
{
	const Tagalong__WatchList *list;
	const struct sent *s;
	struct harness h;
	uint64_t number;

	setup(&h, 3);
	hello(&h, "tower-a", true);
	s = next(&h);
	list = s->e->watch_list;
	cr_assert(!list->has_after && !list->more);
	cr_assert_eq(list->n_clients, 3);
	number = list->number;
	answer_done(&h, s);
	hello(&h, "tower-a", true);
	harness_run(&h, 10 * SECOND);
	cr_assert_null(next(&h), "nothing has changed");
	pair(&h, 3);
	s = next(&h);
	list = s->e->watch_list;
	cr_assert_eq(list->after, number);
	cr_assert_eq(list->n_clients, 1);
	cr_assert_str_eq(list->clients[0]->name, "phone3");
	/* Before that is answered, another one. */
	pair(&h, 4);
	cr_assert_eq(next(&h)->e->watch_list->after, list->number);
	harness_close(&h);
}

Test(watch, who_is_paired_no_more_is_gone)
{
	Tagalong__PairRemove remove = TAGALONG__PAIR_REMOVE__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	const Tagalong__WatchList *list;
	struct harness h;

	setup(&h, 2);
	hello(&h, "tower-a", true);
	answer_done(&h, next(&h));
	remove.device_name = (char *)"phone1";
	remove.vm = (char *)"vm1";
	e.body_case = BODY(PAIR_REMOVE);
	e.pair_remove = &remove;
	cr_assert_eq(ask(&h, &e)->body_case, BODY(DONE));
	list = next(&h)->e->watch_list;
	cr_assert_eq(list->n_clients, 1);
	cr_assert(list->clients[0]->gone);
	/* A node that begins now hears nothing of it, but of all others, also of those from before a restart. */
	harness_kill(&h);
	harness_start(&h);
	pair(&h, 2);
	hello(&h, "tower-a", true);
	list = next(&h)->e->watch_list;
	cr_assert_eq(list->n_clients, 2);
	cr_assert_eq(list->threshold_ns, 20 * MS);
	harness_close(&h);
}

Test(watch, a_long_list_goes_in_parts_that_fit)
{
	enum { DEVICES = 4500 };
	size_t n = 0, parts = 0, size;
	const Tagalong__WatchList *list;
	const struct sent *s, *last = NULL;
	uint64_t number = 0;
	uint8_t *data;
	struct harness h;

	setup(&h, DEVICES);
	hello(&h, "tower-a", true);
	while ((s = next(&h))) {
		list = s->e->watch_list;
		cr_assert_eq(list->has_after, parts > 0);
		cr_assert(!parts || list->after == number);
		cr_assert_eq(envelope_pack(s->e, &data, &size), 0);
		free(data);
		number = list->number;
		n += list->n_clients;
		parts++;
		last = s;
	}
	cr_assert_eq(parts, 2);
	cr_assert_eq(n, DEVICES);
	cr_assert(!last->e->watch_list->more);
	answer_done(&h, last);
	harness_run(&h, 10 * SECOND);
	cr_assert_null(next(&h), "the last part is answered for all");
	harness_close(&h);
}

Test(watch, what_is_not_answered_or_not_taken_is_told_anew_as_a_whole)
{
	const Tagalong__WatchList *list;
	const struct sent *s;
	struct harness h;

	setup(&h, 3);
	hello(&h, "tower-a", true);
	answer_done(&h, next(&h));
	for (int i = 0; i < 2; i++) {
		pair(&h, 3 + (unsigned)i);
		s = next(&h);
		cr_assert(s->e->watch_list->has_after);
		if (i)
			answer_failure(&h, s, EAGAIN, "what it goes on from is not here");
		for (int k = 0; k < 3; k++) {
			harness_run(&h, SECOND);
			hello(&h, "tower-a", true);
		}
		s = next(&h);
		cr_assert_not_null(s);
		list = s->e->watch_list;
		cr_assert_not(list->has_after);
		cr_assert_eq(list->n_clients, 4 + (size_t)i);
		answer_done(&h, s);
		while (next(&h))
			;
	}
	harness_close(&h);
}

Test(watch, a_node_of_an_earlier_release_gets_whole_lists)
{
	struct harness h;

	setup(&h, 2);
	hello(&h, "tower-a", false);
	answer_done(&h, next(&h));
	pair(&h, 2);
	cr_assert_not(next(&h)->e->watch_list->has_after);
	harness_close(&h);
}

/* ---- Neighbours --------------------------------------------------------------------------- */

static void attach(struct harness *h, const char *node, unsigned i)
{
	Tagalong__ClientSeen seen = TAGALONG__CLIENT_SEEN__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	struct uuid id = device(i);

	seen.device = (ProtobufCBinaryData){ UUID_SIZE, id.bytes };
	seen.address = (char *)"10.0.0.5:862";
	seen.attached = true;
	e.body_case = BODY(CLIENT_SEEN);
	e.client_seen = &seen;
	harness_receive(h, PEER_ROLE_NODE, node, 0, &e);
}

/* What the node was told last: '+' it watches the device, '-' not any more, '0' a list without it,
 * ' ' nothing. */
static char told(struct harness *h, size_t from, const char *node)
{
	const struct sent *s;
	char last = ' ';

	h->seen = from;
	while ((s = harness_next(h, node, BODY(WATCH_LIST)))) {
		const Tagalong__WatchList *list = s->e->watch_list;

		if (list->n_clients > 0)
			last = list->clients[0]->gone ? '-' : '+';
		else if (!list->has_after)
			last = '0';
		answer_done(h, s);
	}
	return last;
}

static const char *all(struct harness *h)
{
	static char text[4];
	size_t from = h->seen;

	for (int i = 0; i < 3; i++)
		text[i] = told(h, from, (const char *[]){ "tower-a", "tower-b", "tower-c" }[i]);
	harness_forget(h);
	return text;
}

static void reload(struct harness *h, size_t n_neighbourhoods)
{
	Tagalong__Placement__Start start = TAGALONG__PLACEMENT__START__INIT;
	PlacementRecord record = TAGALONG__PLACEMENT__RECORD__INIT;

	start.policy = (char *)h->policy;
	start.parameters = &h->parameters;
	start.limits = &h->limits;
	start.neighbourhoods = h->neighbourhoods;
	start.n_neighbourhoods = n_neighbourhoods;
	record.input_case = TAGALONG__PLACEMENT__RECORD__INPUT_RELOAD;
	record.reload = &start;
	cr_assert_eq(harness_input(h, &record), 0, "%s", h->err.text);
}

/* A row of three. */
Test(watch, neighbours_watch_and_others_do_not)
{
	char *west[] = { (char *)"tower-a", (char *)"tower-b" };
	char *east[] = { (char *)"tower-b", (char *)"tower-c" };
	Tagalong__Placement__Neighbourhood lists[2], *pointers[] = { &lists[0], &lists[1] };
	struct harness h;

	for (int i = 0; i < 2; i++) {
		tagalong__placement__neighbourhood__init(&lists[i]);
		lists[i].nodes = i ? east : west;
		lists[i].n_nodes = 2;
	}
	harness_open(&h);
	h.neighbourhoods = pointers;
	h.n_neighbourhoods = 2;
	harness_start(&h);
	hello(&h, "tower-a", true);
	hello(&h, "tower-b", true);
	hello(&h, "tower-c", true);
	cr_assert_str_eq(all(&h), "000");
	pair(&h, 0);
	cr_assert_str_eq(all(&h), "+++", "nobody knows where it is");
	attach(&h, "tower-a", 0);
	cr_assert_str_eq(all(&h), "++-");
	attach(&h, "tower-b", 0);
	cr_assert_str_eq(all(&h), "+++");
	attach(&h, "tower-c", 0);
	cr_assert_str_eq(all(&h), "-++");
	/* Its VM is there, until it has gone. */
	migrator_hello(&h, "tower-a", 8 * GIB, "vm0", TAGALONG__VM_STATE__VM_RUNNING, NULL, 0);
	harness_run(&h, 2 * SECOND);
	cr_assert_str_eq(all(&h), "+++");
	node_status(&h, "tower-a", NULL, TAGALONG__VM_STATE__VM_RUNNING);
	migrator_hello(&h, "tower-b", 8 * GIB, "vm0", TAGALONG__VM_STATE__VM_RUNNING, NULL, 0);
	harness_run(&h, 2 * SECOND);
	cr_assert_str_eq(all(&h), "-++");
	/* Other neighbours. */
	reload(&h, 0);
	cr_assert_str_eq(all(&h), "+++");
	reload(&h, 2);
	cr_assert_str_eq(all(&h), "0++");
	harness_replay(&h);
	harness_close(&h);
}
