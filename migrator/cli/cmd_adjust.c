/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "common/uuid.h"
#include "migrator/cli/commands.h"
#include "migrator/cli/output.h"

/* Sends the change of the move that the first operand means. */
static enum cli_exit adjust(const struct cli *cli, Tagalong__MoveAdjust *change, const char *result,
			    struct mg_error *err)
{
	_cleanup_session_ struct session s = { 0 };
	Envelope request = TAGALONG__ENVELOPE__INIT;
	char id_text[UUID_TEXT_SIZE];
	struct uuid id;
	enum cli_exit code = session_open(cli, &s, err);

	if (code == CLI_OK)
		code = find_move(cli, &s, cli->operands[0], &id, err);
	if (code != CLI_OK)
		return code;
	change->has_dry_run = change->dry_run = cli->options.dry_run;
	change->move = (ProtobufCBinaryData){ .len = UUID_SIZE, .data = id.bytes };
	request.body_case = TAGALONG__ENVELOPE__BODY_MOVE_ADJUST;
	request.move_adjust = change;
	code = client_call(s.client, REQUEST_REPEATABLE, &request, TAGALONG__ENVELOPE__BODY_DONE,
			   cli_timeout(cli, CLI_TIMEOUT_NS), NULL, err);
	if (code == CLI_OK)
		cli_report_change(cli,
				  json_pack("{s:s, s:s}", "move", uuid_format(&id, id_text),
					    "result", result),
				  "%s: move %s", result, uuid_format(&id, id_text));
	return code;
}

enum cli_exit priority_parse(const char *text, Tagalong__MovePriority *ret, struct mg_error *err)
{
	static const char *const names[] = { "low", "normal", "high" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(text, names[i]) != 0)
			continue;
		*ret = (Tagalong__MovePriority)(TAGALONG__MOVE_PRIORITY__PRIORITY_LOW + i);
		return CLI_OK;
	}
	return cli_fail(err, CLI_USAGE, "priority: '%.40s' is none: say high, normal or low", text);
}

enum cli_exit cmd_priority(const struct cli *cli, struct mg_error *err)
{
	Tagalong__MoveAdjust change = TAGALONG__MOVE_ADJUST__INIT;
	char result[32];

	if (priority_parse(cli->operands[1], &change.priority, err) != CLI_OK)
		return CLI_USAGE;
	change.has_priority = true;
	snprintf(result, sizeof(result), "%s priority", cli->operands[1]);
	return adjust(cli, &change, result, err);
}

static enum cli_exit pause_or_resume(const struct cli *cli, bool paused, struct mg_error *err)
{
	Tagalong__MoveAdjust change = TAGALONG__MOVE_ADJUST__INIT;

	change.has_paused = true;
	change.paused = paused;
	return adjust(cli, &change, paused ? "paused" : "resumed", err);
}

enum cli_exit cmd_pause(const struct cli *cli, struct mg_error *err)
{
	return pause_or_resume(cli, true, err);
}

enum cli_exit cmd_resume(const struct cli *cli, struct mg_error *err)
{
	return pause_or_resume(cli, false, err);
}
