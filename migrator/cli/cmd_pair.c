/* SPDX-License-Identifier: Apache-2.0 */
#include "common/uuid.h"
#include "migrator/cli/commands.h"
#include "migrator/cli/output.h"
#include "migrator/cli/view.h"

enum cli_exit cmd_pair_list(const struct cli *cli, struct mg_error *err)
{
	_cleanup_session_ struct session s = { 0 };
	_cleanup_envelope_ Envelope *answer = NULL;
	Tagalong__PairQuery query = TAGALONG__PAIR_QUERY__INIT;
	Envelope request = TAGALONG__ENVELOPE__INIT;
	enum cli_exit code = session_open(cli, &s, err);

	if (code != CLI_OK)
		return code;
	request.body_case = TAGALONG__ENVELOPE__BODY_PAIR_QUERY;
	request.pair_query = &query;
	code = client_call(s.client, REQUEST_REPEATABLE, &request,
			   TAGALONG__ENVELOPE__BODY_PAIR_LIST, cli_timeout(cli, CLI_TIMEOUT_NS),
			   &answer, err);
	if (code == CLI_OK)
		output_document(cli->options.json, document_pair_list(answer->pair_list), "pairs",
				view_pair_columns, "no pairs");
	return code;
}

/* The identity that --id gives. */
static enum cli_exit device_id(const struct cli *cli, const char *command, struct uuid *ret,
			       struct mg_error *err)
{
	if (!cli->options.id)
		return cli_fail(err, CLI_USAGE, "pair %s: --id UUID is needed: the device's identity, "
				"as the telemetryd of its nodes has it in its list of devices",
				command);
	if (uuid_parse(cli->options.id, ret) < 0)
		return cli_fail(err, CLI_USAGE, "--id: '%.40s' is not a UUID", cli->options.id);
	return CLI_OK;
}

enum cli_exit cmd_pair_set(const struct cli *cli, struct mg_error *err)
{
	_cleanup_session_ struct session s = { 0 };
	Tagalong__PairSet set = TAGALONG__PAIR_SET__INIT;
	Envelope request = TAGALONG__ENVELOPE__INIT;
	struct uuid device;
	enum cli_exit code = device_id(cli, "set", &device, err);

	if (code == CLI_OK && cli->options.follow && !cli->options.background)
		return cli_fail(err, CLI_USAGE, "--follow is for VMs in the background: one in the "
				"foreground follows anyhow");
	if (code == CLI_OK)
		code = session_open(cli, &s, err);
	if (code != CLI_OK)
		return code;
	set.device_name = cli->operands[0];
	set.vm = cli->operands[1];
	set.device = (ProtobufCBinaryData){ .len = UUID_SIZE, .data = device.bytes };
	set.foreground = !cli->options.background;
	set.has_follows = set.follows = cli->options.follow;
	set.has_dry_run = set.dry_run = cli->options.dry_run;
	request.body_case = TAGALONG__ENVELOPE__BODY_PAIR_SET;
	request.pair_set = &set;
	code = client_call(s.client, REQUEST_REPEATABLE, &request, TAGALONG__ENVELOPE__BODY_DONE,
			   cli_timeout(cli, CLI_TIMEOUT_NS), NULL, err);
	if (code == CLI_OK)
		cli_report_change(cli,
				  json_pack("{s:s, s:s, s:s}", "device", set.device_name, "vm",
					    set.vm, "result", "paired"),
				  "paired: %s %s %s", set.vm,
				  set.foreground || set.follows ? "follows" : "belongs to",
				  set.device_name);
	return code;
}

enum cli_exit cmd_pair_front(const struct cli *cli, struct mg_error *err)
{
	_cleanup_session_ struct session s = { 0 };
	Tagalong__PairFront front = TAGALONG__PAIR_FRONT__INIT;
	Envelope request = TAGALONG__ENVELOPE__INIT;
	enum cli_exit code = session_open(cli, &s, err);

	if (code != CLI_OK)
		return code;
	front.device_name = cli->operands[0];
	front.vm = cli->operands[1];
	front.has_dry_run = front.dry_run = cli->options.dry_run;
	request.body_case = TAGALONG__ENVELOPE__BODY_PAIR_FRONT;
	request.pair_front = &front;
	code = client_call(s.client, REQUEST_REPEATABLE, &request, TAGALONG__ENVELOPE__BODY_DONE,
			   cli_timeout(cli, CLI_TIMEOUT_NS), NULL, err);
	if (code == CLI_OK)
		cli_report_change(cli,
				  json_pack("{s:s, s:s, s:s}", "device", front.device_name, "vm",
					    front.vm, "result", "front"),
				  "in front: %s comes to %s", front.vm, front.device_name);
	return code;
}

enum cli_exit cmd_pair_replace(const struct cli *cli, struct mg_error *err)
{
	_cleanup_session_ struct session s = { 0 };
	Tagalong__PairReplace replace = TAGALONG__PAIR_REPLACE__INIT;
	Envelope request = TAGALONG__ENVELOPE__INIT;
	struct uuid device;
	enum cli_exit code = device_id(cli, "replace", &device, err);

	if (code == CLI_OK)
		code = session_open(cli, &s, err);
	if (code != CLI_OK)
		return code;
	replace.device_name = cli->operands[0];
	replace.device = (ProtobufCBinaryData){ .len = UUID_SIZE, .data = device.bytes };
	replace.has_dry_run = replace.dry_run = cli->options.dry_run;
	request.body_case = TAGALONG__ENVELOPE__BODY_PAIR_REPLACE;
	request.pair_replace = &replace;
	code = client_call(s.client, REQUEST_REPEATABLE, &request, TAGALONG__ENVELOPE__BODY_DONE,
			   cli_timeout(cli, CLI_TIMEOUT_NS), NULL, err);
	if (code == CLI_OK)
		cli_report_change(cli,
				  json_pack("{s:s, s:s, s:s}", "device", replace.device_name,
					    "device_id", cli->options.id, "result", "replaced"),
				  "replaced: the VMs of %s go with %s", replace.device_name,
				  cli->options.id);
	return code;
}

enum cli_exit cmd_pair_remove(const struct cli *cli, struct mg_error *err)
{
	_cleanup_session_ struct session s = { 0 };
	Tagalong__PairRemove removal = TAGALONG__PAIR_REMOVE__INIT;
	Envelope request = TAGALONG__ENVELOPE__INIT;
	enum cli_exit code = session_open(cli, &s, err);

	if (code != CLI_OK)
		return code;
	removal.device_name = cli->operands[0];
	removal.vm = cli->operands[1];
	removal.has_dry_run = removal.dry_run = cli->options.dry_run;
	request.body_case = TAGALONG__ENVELOPE__BODY_PAIR_REMOVE;
	request.pair_remove = &removal;
	code = client_call(s.client, REQUEST_ONCE, &request, TAGALONG__ENVELOPE__BODY_DONE,
			   cli_timeout(cli, CLI_TIMEOUT_NS), NULL, err);
	if (code == CLI_OK)
		cli_report_change(cli,
				  json_pack("{s:s, s:s, s:s}", "device", removal.device_name, "vm",
					    removal.vm, "result", "removed"),
				  "removed: %s follows %s no more", removal.vm,
				  removal.device_name);
	return code;
}
