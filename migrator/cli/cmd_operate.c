/* SPDX-License-Identifier: Apache-2.0
 *
 * What an operator wants of a controller: nodes empty, VMs left alone.
 */
#include "common/units.h"
#include "migrator/cli/commands.h"
#include "migrator/cli/output.h"
#include "migrator/cli/view.h"

/* Sends what changes one thing, named by the first operand, and reports the result; `means`
 * says what follows from it. */
static enum cli_exit change(const struct cli *cli, Envelope *e, const char *kind,
			    const char *result, const char *means, struct mg_error *err)
{
	_cleanup_session_ struct session s = { 0 };
	const char *name = cli->operands[0];
	enum cli_exit code = session_open(cli, &s, err);

	if (code == CLI_OK)
		code = client_call(s.client, REQUEST_REPEATABLE, e, TAGALONG__ENVELOPE__BODY_DONE,
				   cli_timeout(cli, CLI_TIMEOUT_NS), NULL, err);
	if (code == CLI_OK)
		cli_report_change(cli, json_pack("{s:s, s:s}", kind, name, "result", result),
				  "%s: %s %s", result, name, means);
	return code;
}

static enum cli_exit drain(const struct cli *cli, bool drained, bool evacuate,
			   struct mg_error *err)
{
	_cleanup_session_ struct session s = { 0 };
	_cleanup_envelope_ Envelope *answer = NULL;
	Tagalong__NodeDrain request = TAGALONG__NODE_DRAIN__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	bool dry = cli->options.dry_run;
	enum cli_exit code = session_open(cli, &s, err);

	if (code != CLI_OK)
		return code;
	request.node = cli->operands[0];
	request.drained = drained;
	request.has_evacuate = request.evacuate = evacuate;
	request.has_dry_run = request.dry_run = dry;
	e.body_case = TAGALONG__ENVELOPE__BODY_NODE_DRAIN;
	e.node_drain = &request;
	code = client_call(s.client, REQUEST_REPEATABLE, &e, TAGALONG__ENVELOPE__BODY_DRAIN_PLAN,
			   cli_timeout(cli, CLI_TIMEOUT_NS), &answer, err);
	if (code != CLI_OK)
		return code;
	if (drained)
		output_document(cli->options.json, document_drain_plan(request.node, dry, answer->drain_plan),
				"steps", view_drain_columns, "no VM has to leave");
	else
		cli_report_change(
			cli, json_pack("{s:s, s:s}", "node", request.node, "result", "undrained"),
			"undrained: VMs may come to %s again", request.node);
	return CLI_OK;
}

enum cli_exit cmd_node_drain(const struct cli *cli, struct mg_error *err)
{
	return drain(cli, true, false, err);
}

enum cli_exit cmd_node_evacuate(const struct cli *cli, struct mg_error *err)
{
	return drain(cli, true, true, err);
}

enum cli_exit cmd_node_undrain(const struct cli *cli, struct mg_error *err)
{
	return drain(cli, false, false, err);
}

static enum cli_exit quarantine(const struct cli *cli, bool quarantined, struct mg_error *err)
{
	Tagalong__NodeQuarantine request = TAGALONG__NODE_QUARANTINE__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	request.node = cli->operands[0];
	request.quarantined = quarantined;
	request.has_dry_run = request.dry_run = cli->options.dry_run;
	e.body_case = TAGALONG__ENVELOPE__BODY_NODE_QUARANTINE;
	e.node_quarantine = &request;
	return quarantined ? change(cli, &e, "node", "quarantined", "gets no more VMs", err) :
			     change(cli, &e, "node", "released", "may get VMs again", err);
}

enum cli_exit cmd_node_quarantine(const struct cli *cli, struct mg_error *err)
{
	return quarantine(cli, true, err);
}

enum cli_exit cmd_node_release(const struct cli *cli, struct mg_error *err)
{
	return quarantine(cli, false, err);
}

static enum cli_exit maintain(const struct cli *cli, Tagalong__MaintenanceWindow *window,
			      struct mg_error *err)
{
	Tagalong__NodeMaintain request = TAGALONG__NODE_MAINTAIN__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	request.node = cli->operands[0];
	request.window = window;
	request.has_dry_run = request.dry_run = cli->options.dry_run;
	e.body_case = TAGALONG__ENVELOPE__BODY_NODE_MAINTAIN;
	e.node_maintain = &request;
	return window ? change(cli, &e, "node", "planned", "is empty in that time", err) :
			change(cli, &e, "node", "unplanned", "has no maintenance windows", err);
}

enum cli_exit cmd_node_maintain(const struct cli *cli, struct mg_error *err)
{
	Tagalong__MaintenanceWindow window = TAGALONG__MAINTENANCE_WINDOW__INIT;
	uint64_t *const instants[] = { &window.start_utc_ns, &window.end_utc_ns };

	for (int i = 0; i < 2; i++)
		if (instant_parse(cli->operands[1 + i], instants[i]) < 0)
			return cli_fail(err, CLI_USAGE,
					"'%.40s' is not an instant such as 2026-12-01T02:00Z",
					cli->operands[1 + i]);
	return maintain(cli, &window, err);
}

enum cli_exit cmd_node_unmaintain(const struct cli *cli, struct mg_error *err)
{
	return maintain(cli, NULL, err);
}

static enum cli_exit freeze(const struct cli *cli, bool frozen, struct mg_error *err)
{
	Tagalong__VmFreeze request = TAGALONG__VM_FREEZE__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	request.vm = cli->operands[0];
	request.frozen = frozen;
	request.has_dry_run = request.dry_run = cli->options.dry_run;
	e.body_case = TAGALONG__ENVELOPE__BODY_VM_FREEZE;
	e.vm_freeze = &request;
	return frozen ? change(cli, &e, "vm", "frozen", "stays where it is", err) :
			change(cli, &e, "vm", "thawed", "may be moved again", err);
}

enum cli_exit cmd_vm_freeze(const struct cli *cli, struct mg_error *err)
{
	return freeze(cli, true, err);
}

enum cli_exit cmd_vm_thaw(const struct cli *cli, struct mg_error *err)
{
	return freeze(cli, false, err);
}
