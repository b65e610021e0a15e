/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <stdio.h>

#include "migrator/cli/commands.h"
#include "migrator/cli/follow.h"

/* Answered once the node listens. */
static enum cli_exit send_order(const struct cli *cli, struct session *s, struct uuid *id,
				Envelope **ret, struct mg_error *err)
{
	Tagalong__VmRelay order = TAGALONG__VM_RELAY__INIT;
	Tagalong__MoveLimits limits = TAGALONG__MOVE_LIMITS__INIT;
	Envelope request = TAGALONG__ENVELOPE__INIT;
	struct server_settings target = { 0 };

	if (settings_find_node(s->settings, cli->operands[1], &target, err) < 0)
		return CLI_USAGE;
	limits.has_bandwidth_bps = cli->options.bandwidth_bps > 0;
	limits.bandwidth_bps = cli->options.bandwidth_bps;
	limits.has_patience_ns = cli->options.patience_ns > 0;
	limits.patience_ns = cli->options.patience_ns;
	order.move = (ProtobufCBinaryData){ .len = UUID_SIZE, .data = id->bytes };
	order.vm = cli->operands[0];
	order.target = target.name;
	order.target_endpoint = target.endpoint;
	order.target_public_key = target.key;
	order.limits = &limits;
	order.has_dry_run = order.dry_run = cli->options.dry_run;
	request.body_case = TAGALONG__ENVELOPE__BODY_VM_RELAY;
	request.vm_relay = &order;
	return client_call(s->client, REQUEST_REPEATABLE, &request,
			   TAGALONG__ENVELOPE__BODY_RELAY_WAITS, CLI_TIMEOUT_NS, ret, err);
}

static void report_waiting(const struct cli *cli, const char *id, const char *path)
{
	cli_report(cli, json_pack("{s:s, s:s, s:s, s:s, s:s}", "event", "waits", "move", id, "vm",
				  cli->operands[0], "target", cli->operands[1], "path", path),
		   "%s: let QEMU migrate to unix:%s (virsh migrate --migrateuri unix://%s)",
		   id, path, path);
	fflush(stdout);
}

static void report_plan(const struct cli *cli, const char *path)
{
	cli_report_change(cli,
			  json_pack("{s:s, s:s, s:s, s:s}", "vm", cli->operands[0], "target",
				    cli->operands[1], "path", path, "result", "carried"),
			  "carried: what QEMU sends to unix:%s, to %s", path, cli->operands[1]);
}

enum cli_exit cmd_relay(const struct cli *cli, struct mg_error *err)
{
	_cleanup_session_ struct session s = { 0 };
	_cleanup_(follower_free_p) struct follower *follower = NULL;
	_cleanup_envelope_ Envelope *answer = NULL;
	struct uuid id = uuid_random();
	char id_text[UUID_TEXT_SIZE];
	enum cli_exit code;

	code = session_open(cli, &s, err);
	if (code == CLI_OK)
		code = follower_new(cli, &s, &id, &follower, err);
	if (code == CLI_OK)
		code = send_order(cli, &s, &id, &answer, err);
	if (code != CLI_OK)
		return code;
	if (cli->options.dry_run) {
		report_plan(cli, answer->relay_waits->path);
		return CLI_OK;
	}
	report_waiting(cli, uuid_format(&id, id_text), answer->relay_waits->path);
	if (cli->options.detach)
		return CLI_OK;
	code = follower_run(follower, err);
	if (code == CLI_DETACHED)
		cli_fail(err, code, "detached; it goes on: 'migrator cancel %s --node %s' calls it off",
			 id_text, cli->options.node);
	return code;
}
