/* SPDX-License-Identifier: Apache-2.0
 *
 * The real `migrator` orders, watches, calls off and resolves moves, with a
 * server that a test plays.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

#include "cli_answers.h"
#include "common/clock.h"
#include "migrator/cli/cli.h"

TestSuite(cli_moves, .fini = fake_fini);

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

Test(cli_moves, a_move_ends_well)
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

Test(cli_moves, a_terminal_gets_a_bar)
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

Test(cli_moves, an_order_carries_its_limits)
{
	struct script s = { 0 };
	const Tagalong__MoveOrder *order;
	struct fake f;

	start_script(&f, &s);
	fake_run(&f, "move", "web", "tower-b", "--node", "tower-a", "--blackout", "20ms",
		 "--blackout-max", "1s", "--bandwidth", "200Mbit", "--timeout", "1m", "--force",
		 "--priority", "high", "--detach", NULL);
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
	cr_assert_eq(order->priority, TAGALONG__MOVE_PRIORITY__PRIORITY_HIGH);
	cr_assert_not(order->dry_run);
	cr_assert_str_eq(order->reason->code, "operator");
	fake_run(&f, "move", "web", "tower-b", "--detach", NULL);
	order = f.request->move_order;
	cr_assert_null(order->target_endpoint, "the controller knows it");
	cr_assert_null(order->target_public_key);
	cr_assert_not(order->limits->has_blackout_ns);
	cr_assert_not(order->has_priority, "the controller chooses");
	fake_run(&f, "move", "web", "tower-b", "--priority", "highest", NULL);
	assert_exit(f, CLI_USAGE);
	assert_has(f.err, "high, normal or low");
	fake_run(&f, "move", "web", "tower-c", "--node", "tower-a", NULL);
	assert_exit(f, CLI_USAGE);
	assert_has(f.err, "no node 'tower-c' under nodes: in");
	fake_stop(&f);
}

Test(cli_moves, a_move_as_json_lines)
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

Test(cli_moves, other_ends_have_their_exit_codes)
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

Test(cli_moves, a_dry_run_tells_what_blocks)
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

Test(cli_moves, a_move_is_asked_after_when_all_is_silent)
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

Test(cli_moves, a_move_is_watched_past_a_restart)
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

Test(cli_moves, a_move_that_was_forgotten_is_aborted)
{
	struct script s = { .silent = true, .forgetful = true };
	struct fake f;

	start_script(&f, &s);
	fake_run(&f, "move", "web", "tower-b", NULL);
	assert_exit(f, CLI_ABORTED);
	assert_has(f.err, "knows nothing of the move any more");
	fake_stop(&f);
}

Test(cli_moves, an_interrupt_detaches_from_a_move)
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

Test(cli_moves, cancel_takes_ids_their_beginnings_and_vms)
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

Test(cli_moves, resolve_needs_a_verdict_a_node_and_a_yes)
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

Test(cli_moves, resolve_asks_on_a_terminal)
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
