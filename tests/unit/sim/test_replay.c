/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/replay.h"

#include <criterion/criterion.h>
#include <string.h>

#include "common/philox.h"
#include "tests/unit/placement/harness.h"

#define BODY(name) TAGALONG__ENVELOPE__BODY_##name
#define STATE(name) TAGALONG__MOVE_STATE__MOVE_##name

static const char *const nodes[] = { "tower-a", "tower-b", "tower-c" };
static const char *const vms[] = { "web", "mail", "game" };
static const char *const names[] = { "x", "y", "z" };
static const struct uuid devices[] = { { { 1 } }, { { 2 } }, { { 3 } } };

struct chaos {
	struct harness h;
	uint64_t seed, drawn;
};

static unsigned draw(struct chaos *c, unsigned n)
{
	return (unsigned)(philox_u64(c->seed, 99, c->drawn++) % n);
}

/* What a node does with what it was sent: answers, refuses, or neither. */
static void react(struct chaos *c, const struct sent *s)
{
	struct harness *h = &c->h;
	unsigned luck = draw(c, 10);

	if (luck == 0 || !s->request)
		return;
	if (s->e->body_case == BODY(MOVE_ORDER) && luck < 3) {
		answer_failure(h, s, ENOSPC, "no\nspace");
	} else if (s->e->body_case == BODY(MOVE_ORDER)) {
		const Tagalong__MoveOrder *order = s->e->move_order;

		answer_done(h, s);
		move_progress(h, s->to.name, order, STATE(COPYING));
		if (luck < 7)
			move_result(h, s->to.name, order, luck < 6 ? STATE(DONE) : STATE(ABORTED));
	} else if (s->e->body_case == BODY(MOVE_CANCEL)) {
		answer_failure(h, s, luck < 5 ? ENOENT : EBUSY, "no");
	} else {
		answer_done(h, s);
	}
}

static void react_to_all(struct chaos *c)
{
	while (c->h.seen < c->h.n_sent)
		react(c, c->h.sent[c->h.seen++]);
}

static void ask_for_a_move(struct chaos *c)
{
	Tagalong__MoveOrder order = TAGALONG__MOVE_ORDER__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	uint8_t id[UUID_SIZE] = { (uint8_t)draw(c, 4), 7 };

	order.move = (ProtobufCBinaryData){ UUID_SIZE, id };
	order.vm = (char *)vms[draw(c, 3)];
	order.target = (char *)nodes[draw(c, 3)];
	e.body_case = BODY(MOVE_ORDER);
	e.move_order = &order;
	cr_assert_not_null(ask(&c->h, &e));
}

static void try_to_pair(struct chaos *c)
{
	Tagalong__PairSet set = TAGALONG__PAIR_SET__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	unsigned device = draw(c, 3);

	set.device = (ProtobufCBinaryData){ UUID_SIZE, (uint8_t *)devices[device].bytes };
	set.device_name = (char *)names[device];
	set.vm = (char *)vms[draw(c, 3)];
	set.foreground = draw(c, 2);
	e.body_case = BODY(PAIR_SET);
	e.pair_set = &set;
	cr_assert_not_null(ask(&c->h, &e));
}

static void step(struct chaos *c)
{
	struct harness *h = &c->h;
	const char *node = nodes[draw(c, 3)];

	switch (draw(c, 40)) {
	case 0:
		node_hello(h, node, (1 + draw(c, 3)) * GIB, draw(c, 2) ? vms[draw(c, 3)] : NULL);
		break;
	case 1:
	case 2:
		node_status(h, node, draw(c, 3) ? vms[draw(c, 3)] : NULL,
			    (Tagalong__VmState)(1 + draw(c, 6)));
		break;
	case 3:
		/* Refused more often than not. */
		try_to_pair(c);
		break;
	case 4:
		ask_for_a_move(c);
		break;
	case 5:
		if (draw(c, 4) == 0) {
			harness_kill(h);
			harness_start(h);
		}
		break;
	case 6:
	case 7:
	case 8:
		harness_run(h, draw(c, 3000) * MS);
		break;
	default:
		node_rtt(h, node, &devices[draw(c, 3)], draw(c, 60));
		harness_run(h, draw(c, 200) * MS);
	}
	react_to_all(c);
}

struct lines {
	char *text;
	size_t len;
	FILE *file;
};

static void on_line(const char *line, void *userdata)
{
	fprintf(((struct lines *)userdata)->file, "%s\n", line);
}

/* Whether the log of `h` replays to its decisions; returns the replay's result. */
static struct replay_result check_replay(struct harness *h)
{
	struct replay_result result = { 0 };
	struct lines lines = { 0 };
	struct mapping log;
	struct mg_error err;

	lines.file = open_memstream(&lines.text, &lines.len);
	cr_assert_eq(mapping_open(h->record_path, &log, &err), 0);
	cr_assert_eq(replay_run(log.data, log.len, on_line, &lines, &result, &err), 0, "%s",
		     err.text);
	fclose(lines.file);
	cr_assert_str_eq(lines.text, h->decisions);
	free(lines.text);
	mapping_close(&log);
	return result;
}

static void play_at_random(const char *policy)
{
	unsigned moves = 0, runs = 0;

	for (uint64_t seed = 1; seed <= 8; seed++) {
		struct chaos c = { .seed = seed };

		harness_open(&c.h);
		c.h.policy = policy;
		c.h.parameters.hold_ns = 300 * MS;
		c.h.parameters.min_stay_ns = SECOND;
		harness_start(&c.h);
		for (int i = 0; i < 3; i++) {
			node_hello(&c.h, nodes[i], 4 * GIB, vms[i]);
			set_pair(&c.h, &devices[i], names[i], vms[i]);
		}
		for (int i = 0; i < 1500; i++)
			step(&c);
		runs += (unsigned)check_replay(&c.h).runs;
		moves += harness_decided(&c.h, "state=done");
		harness_close(&c.h);
	}
	/* Or the test would show nothing. */
	cr_assert_gt(moves, 15, "%u", moves);
	cr_assert_gt(runs, 16, "%u", runs);
}

Test(replay, random_inputs_replay_to_the_same_decisions)
{
	play_at_random("threshold");
	play_at_random("rent-or-buy");
	play_at_random("markov");
}

Test(replay, a_torn_end_is_ignored_and_nonsense_is_named)
{
	struct replay_result result;
	struct lines lines = { 0 };
	struct mapping log;
	struct mg_error err;
	struct harness h;
	uint8_t *copy;

	harness_open(&h);
	harness_start(&h);
	node_hello(&h, "tower-a", GIB, "web");
	cr_assert_eq(mapping_open(h.record_path, &log, &err), 0);
	copy = malloc(log.len);
	memcpy(copy, log.data, log.len);
	lines.file = open_memstream(&lines.text, &lines.len);
	for (size_t len = 0; len < log.len; len++) {
		cr_assert_eq(replay_run(copy, len, on_line, &lines, &result, &err), 0, "%zu: %s",
			     len, err.text);
		cr_assert_leq(result.good, len);
		cr_assert_eq(result.truncated, result.good != len);
	}
	cr_assert_eq(replay_run("garbage!", 8, on_line, &lines, &result, &err), -EUCLEAN);
	cr_assert_eq(replay_run("g", 1, on_line, &lines, &result, &err), -EUCLEAN);
	/* The length of the first record, then its content. */
	copy[8] = 0xff;
	cr_assert_eq(replay_run(copy, log.len, on_line, &lines, &result, &err), -EBADMSG);
	cr_assert_not_null(strstr(err.text, "offset 8:"), "%s", err.text);
	copy[8] = 0;
	copy[12] = 0xff;
	cr_assert_eq(replay_run(copy, log.len, on_line, &lines, &result, &err), -EBADMSG);
	cr_assert_not_null(strstr(err.text, "offset 8:"), "%s", err.text);
	fclose(lines.file);
	free(lines.text);
	free(copy);
	mapping_close(&log);
	harness_close(&h);
}

Test(replay, a_log_without_a_start)
{
	Tagalong__Placement__Timer timer = TAGALONG__PLACEMENT__TIMER__INIT;
	PlacementRecord record = TAGALONG__PLACEMENT__RECORD__INIT;
	struct replay_result result;
	struct mapping log;
	struct mg_error err;
	struct harness h;

	harness_open(&h);
	cr_assert_eq(record_writer_open(h.record_path, &h.record, &err), 0);
	timer.id = 1;
	record.input_case = TAGALONG__PLACEMENT__RECORD__INPUT_TIMER;
	record.timer = &timer;
	cr_assert_eq(record_writer_add(h.record, &record, &err), 0);
	cr_assert_eq(mapping_open(h.record_path, &log, &err), 0);
	cr_assert_eq(replay_run(log.data, log.len, on_line, NULL, &result, &err), -EBADMSG);
	cr_assert_str_eq(err.text, "offset 8: no start came before");
	mapping_close(&log);
	harness_close(&h);
}
