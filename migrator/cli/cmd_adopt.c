/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <string.h>

#include "migrator/cli/commands.h"
#include "migrator/vm_spec.h"

static enum cli_exit open_node(const struct cli *cli, struct session *s, struct mg_error *err)
{
	if (!cli->options.qmp || cli->options.qmp[0] != '/')
		return cli_fail(err, CLI_USAGE, "which QEMU? Give its monitor's socket with --qmp and an "
				"absolute path");
	return session_open(cli, s, err);
}

enum cli_exit cmd_vm_adopt(const struct cli *cli, struct mg_error *err)
{
	_cleanup_session_ struct session s = { 0 };
	_cleanup_(vm_spec_free_p) VmSpec *spec = NULL;
	Tagalong__VmAdopt adopt = TAGALONG__VM_ADOPT__INIT;
	Envelope request = TAGALONG__ENVELOPE__INIT;
	enum cli_exit code;

	if (vm_spec_load(cli->operands[0], &spec, err) < 0)
		return CLI_FAILED;
	code = open_node(cli, &s, err);
	if (code != CLI_OK)
		return code;
	spec->monitor = strdup(cli->options.qmp);
	if (!spec->monitor)
		return cli_fail(err, CLI_FAILED, "out of memory");
	adopt.spec = spec;
	adopt.has_dry_run = adopt.dry_run = cli->options.dry_run;
	adopt.has_force = adopt.force = cli->options.force;
	request.body_case = TAGALONG__ENVELOPE__BODY_VM_ADOPT;
	request.vm_adopt = &adopt;
	code = client_call(s.client, REQUEST_ONCE, &request, TAGALONG__ENVELOPE__BODY_DONE,
			   cli_timeout(cli, CLI_TIMEOUT_SLOW_NS), NULL, err);
	if (code == CLI_OK)
		cli_report_change(cli,
				  json_pack("{s:s, s:s}", "vm", spec->name, "result", "adopted"),
				  "adopted: %s", spec->name);
	return code;
}

enum cli_exit cmd_vm_receive(const struct cli *cli, struct mg_error *err)
{
	_cleanup_session_ struct session s = { 0 };
	Tagalong__VmReceive receive = TAGALONG__VM_RECEIVE__INIT;
	Envelope request = TAGALONG__ENVELOPE__INIT;
	enum cli_exit code = open_node(cli, &s, err);

	if (code != CLI_OK)
		return code;
	receive.name = cli->operands[0];
	receive.monitor = (char *)cli->options.qmp;
	receive.has_dry_run = receive.dry_run = cli->options.dry_run;
	receive.listens = (char *)cli->options.incoming;
	request.body_case = TAGALONG__ENVELOPE__BODY_VM_RECEIVE;
	request.vm_receive = &receive;
	code = client_call(s.client, REQUEST_REPEATABLE, &request, TAGALONG__ENVELOPE__BODY_DONE,
			   cli_timeout(cli, CLI_TIMEOUT_NS), NULL, err);
	if (code == CLI_OK)
		cli_report_change(cli,
				  json_pack("{s:s, s:s}", "vm", receive.name, "result", "awaited"),
				  "awaited: %s", receive.name);
	return code;
}
