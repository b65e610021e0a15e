/* SPDX-License-Identifier: Apache-2.0 */
#include "common/clock.h"
#include "common/units.h"
#include "migrator/cli/commands.h"
#include "migrator/cli/output.h"
#include "migrator/cli/view.h"

static void print_why(const json_t *why)
{
	const json_t *alternatives = json_object_get(why, "alternatives");

	output_fields(stdout, why, view_why_fields);
	if (json_array_size(alternatives) > 0) {
		putchar('\n');
		output_table(stdout, alternatives, view_alternative_columns, "");
	}
}

enum cli_exit cmd_why(const struct cli *cli, struct mg_error *err)
{
	_cleanup_session_ struct session s = { 0 };
	_cleanup_envelope_ Envelope *answer = NULL;
	Tagalong__WhyQuery query = TAGALONG__WHY_QUERY__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	struct uuid id;
	json_t *why;
	enum cli_exit code = session_open(cli, &s, err);

	if (code == CLI_OK)
		code = find_move(cli, &s, cli->operands[0], &id, err);
	if (code != CLI_OK)
		return code;
	query.move = (ProtobufCBinaryData){ .len = UUID_SIZE, .data = id.bytes };
	e.body_case = TAGALONG__ENVELOPE__BODY_WHY_QUERY;
	e.why_query = &query;
	code = client_call(s.client, REQUEST_REPEATABLE, &e, TAGALONG__ENVELOPE__BODY_MOVE_WHY,
			   cli_timeout(cli, CLI_TIMEOUT_NS), &answer, err);
	if (code != CLI_OK)
		return code;
	why = document_why(answer->move_why);
	if (cli->options.json)
		output_json(stdout, why, false);
	else
		print_why(why);
	json_decref(why);
	return CLI_OK;
}

enum cli_exit cmd_summary(const struct cli *cli, struct mg_error *err)
{
	_cleanup_session_ struct session s = { 0 };
	_cleanup_envelope_ Envelope *answer = NULL;
	Tagalong__SummaryQuery query = TAGALONG__SUMMARY_QUERY__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	uint64_t now = clock_utc_ns(), period;
	enum cli_exit code;

	if (duration_parse(cli->operands[0], &period) < 0 || period == 0 || period > now)
		return cli_fail(err, CLI_USAGE, "'%.40s' is not a duration above 0, such as 24h",
				cli->operands[0]);
	code = session_open(cli, &s, err);
	if (code != CLI_OK)
		return code;
	query.since_utc_ns = now - period;
	e.body_case = TAGALONG__ENVELOPE__BODY_SUMMARY_QUERY;
	e.summary_query = &query;
	code = client_call(s.client, REQUEST_REPEATABLE, &e, TAGALONG__ENVELOPE__BODY_SUMMARY,
			   cli_timeout(cli, CLI_TIMEOUT_NS), &answer, err);
	if (code == CLI_OK)
		output_document(cli->options.json,
				document_summary(query.since_utc_ns, answer->summary), "rows",
				view_summary_columns, "no moves in that time");
	return code;
}
