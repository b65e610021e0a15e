/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "migrator/cli/commands.h"
#include "migrator/cli/output.h"
#include "migrator/cli/view.h"
#include "migrator/vm_spec.h"

enum cli_exit cmd_vm_list(const struct cli *cli, struct mg_error *err)
{
	_cleanup_session_ struct session s = { 0 };
	_cleanup_envelope_ Envelope *answer = NULL;
	enum cli_exit code = session_open(cli, &s, err);

	if (code == CLI_OK)
		code = ask_vms(cli, &s, NULL, &answer, err);
	if (code == CLI_OK)
		output_document(cli->options.json, document_vm_list(answer->vm_list), "vms",
				view_vm_columns, "no VMs");
	return code;
}

enum cli_exit cmd_vm_show(const struct cli *cli, struct mg_error *err)
{
	_cleanup_session_ struct session s = { 0 };
	_cleanup_envelope_ Envelope *answer = NULL;
	const char *name = cli->operands[0];
	enum cli_exit code = session_open(cli, &s, err);
	json_t *vm;

	if (code == CLI_OK)
		code = ask_vms(cli, &s, name, &answer, err);
	if (code != CLI_OK)
		return code;
	if (answer->vm_list->n_vms == 0)
		return cli_fail(err, CLI_FAILED, "no VM '%.64s'; 'migrator vm list' shows those there are",
				name);
	vm = document_vm(answer->vm_list->vms[0]);
	if (cli->options.json)
		output_json(stdout, vm, false);
	else
		output_fields(stdout, vm, view_vm_fields);
	json_decref(vm);
	return CLI_OK;
}

enum cli_exit cmd_vm_start(const struct cli *cli, struct mg_error *err)
{
	_cleanup_session_ struct session s = { 0 };
	_cleanup_(vm_spec_free_p) VmSpec *spec = NULL;
	Tagalong__VmStart start = TAGALONG__VM_START__INIT;
	Envelope request = TAGALONG__ENVELOPE__INIT;
	enum cli_exit code;

	if (vm_spec_load(cli->operands[0], &spec, err) < 0)
		return CLI_FAILED;
	code = session_open(cli, &s, err);
	if (code != CLI_OK)
		return code;
	start.spec = spec;
	start.has_dry_run = start.dry_run = cli->options.dry_run;
	start.has_force = start.force = cli->options.force;
	start.node = s.direct ? NULL : (char *)cli->options.on;
	request.body_case = TAGALONG__ENVELOPE__BODY_VM_START;
	request.vm_start = &start;
	code = client_call(s.client, REQUEST_ONCE, &request, TAGALONG__ENVELOPE__BODY_DONE,
			   cli_timeout(cli, CLI_TIMEOUT_SLOW_NS), NULL, err);
	if (code == CLI_OK)
		cli_report_change(cli,
				  json_pack("{s:s, s:s}", "vm", spec->name, "result", "started"),
				  "started: %s", spec->name);
	return code;
}

enum cli_exit cmd_vm_stop(const struct cli *cli, struct mg_error *err)
{
	_cleanup_session_ struct session s = { 0 };
	Tagalong__VmStop stop = TAGALONG__VM_STOP__INIT;
	Envelope request = TAGALONG__ENVELOPE__INIT;
	enum cli_exit code = session_open(cli, &s, err);

	if (code != CLI_OK)
		return code;
	stop.name = cli->operands[0];
	stop.has_dry_run = stop.dry_run = cli->options.dry_run;
	stop.has_force = stop.force = cli->options.force;
	request.body_case = TAGALONG__ENVELOPE__BODY_VM_STOP;
	request.vm_stop = &stop;
	code = client_call(s.client, REQUEST_ONCE, &request, TAGALONG__ENVELOPE__BODY_DONE,
			   cli_timeout(cli, CLI_TIMEOUT_SLOW_NS), NULL, err);
	if (code == CLI_OK)
		cli_report_change(cli,
				  json_pack("{s:s, s:s}", "vm", stop.name, "result", "stopped"),
				  "stopped: %s", stop.name);
	return code;
}
