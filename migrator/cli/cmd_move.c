/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "common/converge.h"
#include "common/move_state.h"
#include "common/uuid.h"
#include "migrator/cli/commands.h"
#include "migrator/cli/follow.h"
#include "migrator/cli/output.h"
#include "migrator/cli/view.h"

/* ---- move ----------------------------------------------------------------------- */

static enum cli_exit limits_set(Tagalong__MoveLimits *limits, const struct options *o,
				struct mg_error *err)
{
	limits->has_blackout_ns = o->blackout_ns > 0;
	limits->blackout_ns = o->blackout_ns;
	limits->has_blackout_max_ns = o->blackout_max_ns > 0;
	limits->blackout_max_ns = o->blackout_max_ns;
	limits->has_bandwidth_bps = o->bandwidth_bps > 0;
	limits->bandwidth_bps = o->bandwidth_bps;
	limits->has_timeout_ns = o->move_timeout_ns > 0;
	limits->timeout_ns = o->move_timeout_ns;
	limits->has_connections = o->connections > 0;
	limits->connections = (uint32_t)o->connections;
	limits->has_patience_ns = o->patience_ns > 0;
	limits->patience_ns = o->patience_ns;
	limits->has_stall_timeout_ns = o->stall_timeout_ns > 0;
	limits->stall_timeout_ns = o->stall_timeout_ns;
	limits->has_attempts = o->attempts > 0;
	limits->attempts = (uint32_t)o->attempts;
	limits->has_if_not_converging = o->if_not_converging != NULL;
	if (o->if_not_converging &&
	    converge_parse(o->if_not_converging, &limits->if_not_converging) < 0)
		return cli_fail(err, CLI_USAGE, "--if-not-converging: '%.40s' is none of "
				CONVERGE_CHOICES, o->if_not_converging);
	return CLI_OK;
}

/* Sends the order and waits until it is accepted. Through placementd only the
 * target's name is given; a migratord must be told where that is. */
static enum cli_exit send_order(const struct cli *cli, struct session *s, struct uuid *id,
				struct mg_error *err)
{
	Tagalong__MoveLimits limits = TAGALONG__MOVE_LIMITS__INIT;
	Tagalong__MoveReason reason = TAGALONG__MOVE_REASON__INIT;
	Tagalong__MoveOrder order = TAGALONG__MOVE_ORDER__INIT;
	Envelope request = TAGALONG__ENVELOPE__INIT;
	struct server_settings target = { 0 };
	char why[128];

	snprintf(why, sizeof(why), "ordered by %.64s", s->settings->name);
	/* The latter two end as aborted, which they are meant to: so the history says what they were. */
	reason.code = (char *)(cli->options.dry_run ? "dry-run"
			       : cli->options.warm  ? "warm"
						    : "operator");
	reason.text = why;
	if (limits_set(&limits, &cli->options, err) != CLI_OK)
		return CLI_USAGE;
	if (cli->options.priority &&
	    priority_parse(cli->options.priority, &order.priority, err) != CLI_OK)
		return CLI_USAGE;
	order.has_priority = cli->options.priority != NULL;
	if (s->direct && settings_find_node(s->settings, cli->operands[1], &target, err) < 0)
		return CLI_USAGE;
	order.move = (ProtobufCBinaryData){ .len = UUID_SIZE, .data = id->bytes };
	order.vm = cli->operands[0];
	order.target = s->direct ? target.name : cli->operands[1];
	order.target_endpoint = target.endpoint;
	order.target_public_key = target.key;
	order.limits = &limits;
	order.reason = &reason;
	order.has_force = order.force = cli->options.force;
	order.has_dry_run = order.dry_run = cli->options.dry_run;
	order.has_copy_bases = order.copy_bases = cli->options.copy_bases;
	order.has_warm = order.warm = cli->options.warm;
	request.body_case = TAGALONG__ENVELOPE__BODY_MOVE_ORDER;
	request.move_order = &order;
	return client_call(s->client, REQUEST_REPEATABLE, &request, TAGALONG__ENVELOPE__BODY_DONE,
			   CLI_TIMEOUT_NS, NULL, err);
}

/* Whatever comes of it: not to be found out later. */
static void warn_of_post_copy(const struct cli *cli)
{
	IfNotConverging choice;

	if (cli->options.if_not_converging &&
	    converge_parse(cli->options.if_not_converging, &choice) == 0 &&
	    choice == TAGALONG__IF_NOT_CONVERGING__CONVERGE_POST_COPY)
		fprintf(stderr, "migrator: should it come to post-copy: from then on, and until all of %s "
			"is on %s, losing either host loses the VM\n", cli->operands[0],
			cli->operands[1]);
}

static void report_order(const struct cli *cli, const char *id)
{
	cli_report(cli, json_pack("{s:s, s:s, s:s, s:s}", "move", id, "vm", cli->operands[0],
				  "target", cli->operands[1], "result", "ordered"),
		   "ordered move %s", id);
}

enum cli_exit cmd_move(const struct cli *cli, struct mg_error *err)
{
	_cleanup_session_ struct session s = { 0 };
	_cleanup_(follower_free_p) struct follower *follower = NULL;
	struct uuid id = uuid_random();
	char id_text[UUID_TEXT_SIZE];
	enum cli_exit code;

	uuid_format(&id, id_text);
	code = session_open(cli, &s, err);
	if (code == CLI_OK)
		code = follower_new(cli, &s, &id, &follower, err);
	if (code == CLI_OK)
		code = send_order(cli, &s, &id, err);
	if (code == CLI_OK)
		warn_of_post_copy(cli);
	if (code == CLI_OK && cli->options.detach) {
		report_order(cli, id_text);
		return CLI_OK;
	}
	if (code == CLI_OK)
		code = follower_run(follower, err);
	if (code == CLI_DETACHED)
		cli_fail(err, code, "detached; the move goes on: 'migrator cancel %s%s%s' calls it off",
			 id_text, s.direct ? " --node " : "", s.direct ? cli->options.node : "");
	return code;
}

/* A controller decides on moves, and would take this for one. */
enum cli_exit cmd_warm(const struct cli *cli, struct mg_error *err)
{
	struct cli warm = *cli;

	warm.options.warm = true;
	return cmd_move(&warm, err);
}

/* ---- cancel ---------------------------------------------------------------------- */

enum cli_exit cmd_cancel(const struct cli *cli, struct mg_error *err)
{
	_cleanup_session_ struct session s = { 0 };
	Tagalong__MoveCancel cancel = TAGALONG__MOVE_CANCEL__INIT;
	Envelope request = TAGALONG__ENVELOPE__INIT;
	struct uuid id;
	char id_text[UUID_TEXT_SIZE];
	enum cli_exit code = session_open(cli, &s, err);

	if (code == CLI_OK)
		code = find_move(cli, &s, cli->operands[0], &id, err);
	if (code != CLI_OK)
		return code;
	cancel.move = (ProtobufCBinaryData){ .len = UUID_SIZE, .data = id.bytes };
	cancel.has_dry_run = cancel.dry_run = cli->options.dry_run;
	request.body_case = TAGALONG__ENVELOPE__BODY_MOVE_CANCEL;
	request.move_cancel = &cancel;
	code = client_call(s.client, REQUEST_ONCE, &request, TAGALONG__ENVELOPE__BODY_DONE,
			   cli_timeout(cli, CLI_TIMEOUT_NS), NULL, err);
	if (code == CLI_OK)
		cli_report_change(cli,
				  json_pack("{s:s, s:s}", "move", uuid_format(&id, id_text),
					    "result", "cancelled"),
				  "called off: move %s", uuid_format(&id, id_text));
	return code;
}

/* ---- resolve ---------------------------------------------------------------------- */

static bool confirm(const struct cli *cli, const char *id, const char *node)
{
	char line[16];

	if (cli->options.run_here)
		fprintf(stderr, "Run the VM of move %s on %s? That is right only if the other node's "
			"copy is gone for good:\ntwo running copies ruin its disk and its "
			"connections. [y/N] ", id, node);
	else
		fprintf(stderr, "Discard the copy of move %s that %s holds? That is right only if "
			"the VM runs on\nthe other node: this copy cannot be had back. [y/N] ", id,
			node);
	return fgets(line, sizeof(line), stdin) && (line[0] == 'y' || line[0] == 'Y');
}

static enum cli_exit check_resolve(const struct cli *cli, struct mg_error *err)
{
	const struct options *o = &cli->options;

	if (o->run_here == o->discard)
		return cli_fail(err, CLI_USAGE, "resolve: say --run-here or --discard");
	if (!o->node && !o->on)
		return cli_fail(err, CLI_USAGE, "resolve: say which node's copy is meant: --on NODE "
				"(through placementd) or --node NODE (directly)");
	if (!o->yes && !o->dry_run && !isatty(STDIN_FILENO))
		return cli_fail(err, CLI_USAGE, "resolve: nobody is there to confirm it; say --yes");
	return CLI_OK;
}

enum cli_exit cmd_resolve(const struct cli *cli, struct mg_error *err)
{
	_cleanup_session_ struct session s = { 0 };
	Tagalong__MoveResolve resolve = TAGALONG__MOVE_RESOLVE__INIT;
	Envelope request = TAGALONG__ENVELOPE__INIT;
	const char *node = cli->options.node ? cli->options.node : cli->options.on;
	struct uuid id;
	char id_text[UUID_TEXT_SIZE];
	enum cli_exit code = check_resolve(cli, err);

	if (code == CLI_OK)
		code = session_open(cli, &s, err);
	if (code == CLI_OK)
		code = find_move(cli, &s, cli->operands[0], &id, err);
	if (code != CLI_OK)
		return code;
	uuid_format(&id, id_text);
	if (!cli->options.yes && !cli->options.dry_run && !confirm(cli, id_text, node))
		return cli_fail(err, CLI_FAILED, "nothing was done");
	resolve.move = (ProtobufCBinaryData){ .len = UUID_SIZE, .data = id.bytes };
	resolve.verdict = cli->options.run_here ? TAGALONG__MOVE_RESOLVE__VERDICT__RUN_HERE :
						  TAGALONG__MOVE_RESOLVE__VERDICT__DISCARD;
	resolve.has_dry_run = resolve.dry_run = cli->options.dry_run;
	resolve.node = s.direct ? NULL : (char *)cli->options.on;
	request.body_case = TAGALONG__ENVELOPE__BODY_MOVE_RESOLVE;
	request.move_resolve = &resolve;
	code = client_call(s.client, REQUEST_ONCE, &request, TAGALONG__ENVELOPE__BODY_DONE,
			   cli_timeout(cli, CLI_TIMEOUT_SLOW_NS), NULL, err);
	if (code == CLI_OK)
		cli_report_change(cli,
				  json_pack("{s:s, s:s, s:s}", "move", id_text, "node", node,
					    "result",
					    cli->options.run_here ? "runs here" : "discarded"),
				  "settled: move %s, %s %s", id_text, node,
				  cli->options.run_here ? "runs the VM" : "discards its copy");
	return code;
}
