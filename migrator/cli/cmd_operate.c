/* SPDX-License-Identifier: Apache-2.0
 *
 * What an operator wants of a controller: nodes empty, VMs left alone.
 */
#include "migrator/cli/commands.h"
#include "migrator/cli/output.h"
#include "migrator/cli/view.h"

static enum cli_exit drain(const struct cli *cli, bool drained, struct mg_error *err)
{
	_cleanup_session_ struct session s = { 0 };
	_cleanup_envelope_ Envelope *answer = NULL;
	Tagalong__NodeDrain request = TAGALONG__NODE_DRAIN__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	enum cli_exit code = session_open(cli, &s, err);

	if (code != CLI_OK)
		return code;
	request.node = cli->operands[0];
	request.drained = drained;
	request.has_dry_run = request.dry_run = cli->options.dry_run;
	e.body_case = TAGALONG__ENVELOPE__BODY_NODE_DRAIN;
	e.node_drain = &request;
	code = client_call(s.client, REQUEST_REPEATABLE, &e, TAGALONG__ENVELOPE__BODY_DRAIN_PLAN,
			   cli_timeout(cli, CLI_TIMEOUT_NS), &answer, err);
	if (code != CLI_OK)
		return code;
	if (drained)
		output_document(cli->options.json,
				view_drain_plan(request.node, request.dry_run, answer->drain_plan),
				"steps", view_drain_columns, "no VM has to leave");
	else
		cli_report(cli, json_pack("{s:s, s:s}", "node", request.node, "result", "undrained"),
			   "undrained: VMs may come to %s again", request.node);
	return CLI_OK;
}

enum cli_exit cmd_node_drain(const struct cli *cli, struct mg_error *err)
{
	return drain(cli, true, err);
}

enum cli_exit cmd_node_undrain(const struct cli *cli, struct mg_error *err)
{
	return drain(cli, false, err);
}

static enum cli_exit freeze(const struct cli *cli, bool frozen, struct mg_error *err)
{
	_cleanup_session_ struct session s = { 0 };
	Tagalong__VmFreeze request = TAGALONG__VM_FREEZE__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	enum cli_exit code = session_open(cli, &s, err);

	if (code != CLI_OK)
		return code;
	request.vm = cli->operands[0];
	request.frozen = frozen;
	e.body_case = TAGALONG__ENVELOPE__BODY_VM_FREEZE;
	e.vm_freeze = &request;
	code = client_call(s.client, REQUEST_REPEATABLE, &e, TAGALONG__ENVELOPE__BODY_DONE,
			   cli_timeout(cli, CLI_TIMEOUT_NS), NULL, err);
	if (code == CLI_OK)
		cli_report(cli, json_pack("{s:s, s:s}", "vm", request.vm, "result",
					  frozen ? "frozen" : "thawed"),
			   frozen ? "frozen: %s stays where it is" : "thawed: %s may be moved again",
			   request.vm);
	return code;
}

enum cli_exit cmd_vm_freeze(const struct cli *cli, struct mg_error *err)
{
	return freeze(cli, true, err);
}

enum cli_exit cmd_vm_thaw(const struct cli *cli, struct mg_error *err)
{
	return freeze(cli, false, err);
}
