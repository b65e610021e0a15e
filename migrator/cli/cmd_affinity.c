/* SPDX-License-Identifier: Apache-2.0
 *
 * Groups of VMs that are kept together, or apart.
 */
#include "migrator/cli/commands.h"
#include "migrator/cli/output.h"
#include "migrator/cli/view.h"

static enum cli_exit report(const struct cli *cli, Envelope *e, const char *result,
			    struct mg_error *err)
{
	_cleanup_session_ struct session s = { 0 };
	const char *group = cli->operands[0], *vm = cli->operands[1];
	enum cli_exit code = session_open(cli, &s, err);

	if (code == CLI_OK)
		code = client_call(s.client, REQUEST_REPEATABLE, e, TAGALONG__ENVELOPE__BODY_DONE,
				   cli_timeout(cli, CLI_TIMEOUT_NS), NULL, err);
	if (code == CLI_OK)
		cli_report_change(
			cli,
			json_pack("{s:s, s:s, s:s}", "group", group, "vm", vm, "result", result),
			"%s: %s with group %s", result, vm, group);
	return code;
}

enum cli_exit cmd_affinity_set(const struct cli *cli, struct mg_error *err)
{
	Tagalong__AffinitySet set = TAGALONG__AFFINITY_SET__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	set.group = cli->operands[0];
	set.vm = cli->operands[1];
	set.apart = cli->options.apart;
	set.has_dry_run = set.dry_run = cli->options.dry_run;
	e.body_case = TAGALONG__ENVELOPE__BODY_AFFINITY_SET;
	e.affinity_set = &set;
	return report(cli, &e, set.apart ? "kept apart" : "kept together", err);
}

enum cli_exit cmd_affinity_remove(const struct cli *cli, struct mg_error *err)
{
	Tagalong__AffinityRemove remove = TAGALONG__AFFINITY_REMOVE__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	remove.group = cli->operands[0];
	remove.vm = cli->operands[1];
	remove.has_dry_run = remove.dry_run = cli->options.dry_run;
	e.body_case = TAGALONG__ENVELOPE__BODY_AFFINITY_REMOVE;
	e.affinity_remove = &remove;
	return report(cli, &e, "no longer tied", err);
}

enum cli_exit cmd_affinity_list(const struct cli *cli, struct mg_error *err)
{
	_cleanup_session_ struct session s = { 0 };
	_cleanup_envelope_ Envelope *answer = NULL;
	Tagalong__AffinityQuery query = TAGALONG__AFFINITY_QUERY__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	enum cli_exit code = session_open(cli, &s, err);

	if (code != CLI_OK)
		return code;
	e.body_case = TAGALONG__ENVELOPE__BODY_AFFINITY_QUERY;
	e.affinity_query = &query;
	code = client_call(s.client, REQUEST_REPEATABLE, &e, TAGALONG__ENVELOPE__BODY_AFFINITY_LIST,
			   cli_timeout(cli, CLI_TIMEOUT_NS), &answer, err);
	if (code == CLI_OK)
		output_document(cli->options.json, document_affinity_list(answer->affinity_list),
				"groups", view_affinity_columns, "no VMs are kept together or apart");
	return code;
}
