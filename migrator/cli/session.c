/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "common/clock.h"
#include "common/move_state.h"
#include "common/uuid.h"
#include "migrator/cli/commands.h"

#define LEADERLESS_NS (10 * NS_PER_S)
#define LEADER_TIMEOUT_NS NS_PER_S
#define LEADER_PAUSE_US 200000

enum cli_exit ask_leader(const struct settings *settings, const struct server_settings *controller,
			 struct client **ret_client, Envelope **ret, struct mg_error *err)
{
	_cleanup_(client_free_p) struct client *c = NULL;
	Tagalong__LeaderQuery query = TAGALONG__LEADER_QUERY__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	enum cli_exit code = client_new(settings, controller, &c, err);

	if (code != CLI_OK)
		return code;
	e.body_case = TAGALONG__ENVELOPE__BODY_LEADER_QUERY;
	e.leader_query = &query;
	code = client_call(c, REQUEST_REPEATABLE, &e, TAGALONG__ENVELOPE__BODY_LEADER,
			   LEADER_TIMEOUT_NS, ret, err);
	if (code == CLI_OK && ret_client)
		*ret_client = TAKE_PTR(c);
	return code;
}

/* Of several controllers the one that leads; while one dies and another takes
 * over there is none for some seconds. */
static enum cli_exit find_leader(const struct cli *cli, struct session *s, struct mg_error *err)
{
	uint64_t end = clock_mono_ns() + cli_timeout(cli, LEADERLESS_NS);
	struct mg_error why = { 0 };
	enum cli_exit code;

	do {
		for (unsigned i = 0; i < s->settings->n_controllers; i++) {
			_cleanup_envelope_ Envelope *answer = NULL;
			_cleanup_(client_free_p) struct client *c = NULL;

			s->server = s->settings->controllers[i];
			code = ask_leader(s->settings, &s->settings->controllers[i], &c, &answer,
					  &why);
			if (code == CLI_USAGE) {
				*err = why;
				return code;
			}
			if (code == CLI_OK && answer->leader->leads) {
				s->client = TAKE_PTR(c);
				return CLI_OK;
			}
			if (code == CLI_OK && answer->leader->problem)
				mg_error_set(&why, -ESTALE, "%s", answer->leader->problem);
		}
		usleep(LEADER_PAUSE_US);
	} while (clock_mono_ns() < end);
	return cli_fail(err, CLI_UNREACHABLE, "no controller leads ('migrator controllers' shows "
			"them)%s%.150s", why.text[0] ? ": " : "", why.text);
}

enum cli_exit session_open(const struct cli *cli, struct session *s, struct mg_error *err)
{
	const char *node = cli->options.node;

	if (settings_load(cli->options.config, &s->settings, err) < 0)
		return CLI_USAGE;
	s->direct = node != NULL;
	if (node) {
		if (settings_find_node(s->settings, node, &s->server, err) < 0)
			return CLI_USAGE;
	} else {
		if (!s->settings->n_controllers)
			return cli_fail(err, CLI_USAGE, "%.160s has no 'controller:'; add placementd's "
					"endpoint and key, or speak to a node with --node",
					s->settings->path);
		if (s->settings->n_controllers > 1)
			return find_leader(cli, s, err);
		s->server = s->settings->controllers[0];
	}
	return client_new(s->settings, &s->server, &s->client, err);
}

void session_close(struct session *s)
{
	client_free(s->client);
	settings_free(s->settings);
}

enum cli_exit ask_vms(const struct cli *cli, struct session *s, const char *name, Envelope **ret,
		      struct mg_error *err)
{
	Tagalong__VmQuery query = TAGALONG__VM_QUERY__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	query.name = (char *)name;
	e.body_case = TAGALONG__ENVELOPE__BODY_VM_QUERY;
	e.vm_query = &query;
	return client_call(s->client, REQUEST_REPEATABLE, &e, TAGALONG__ENVELOPE__BODY_VM_LIST,
			   cli_timeout(cli, CLI_TIMEOUT_NS), ret, err);
}

enum cli_exit ask_moves(const struct cli *cli, struct session *s, const char *vm, uint64_t limit,
			Envelope **ret, struct mg_error *err)
{
	Tagalong__MoveQuery query = TAGALONG__MOVE_QUERY__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	query.vm = (char *)vm;
	query.has_limit = limit > 0;
	query.limit = (uint32_t)limit;
	e.body_case = TAGALONG__ENVELOPE__BODY_MOVE_QUERY;
	e.move_query = &query;
	return client_call(s->client, REQUEST_REPEATABLE, &e, TAGALONG__ENVELOPE__BODY_MOVE_LIST,
			   cli_timeout(cli, CLI_TIMEOUT_NS), ret, err);
}

static bool is_meant(const Tagalong__MoveInfo *move, const char *text)
{
	size_t n = strlen(text);
	struct uuid id;
	char id_text[UUID_TEXT_SIZE];

	if (!move_state_is_final(move->state) && strcmp(move->vm, text) == 0)
		return true;
	memcpy(id.bytes, move->move.data, UUID_SIZE);
	return n >= ID_PREFIX_MIN && strncasecmp(uuid_format(&id, id_text), text, n) == 0;
}

enum cli_exit find_move(const struct cli *cli, struct session *s, const char *text,
			struct uuid *ret, struct mg_error *err)
{
	_cleanup_envelope_ Envelope *answer = NULL;
	const Tagalong__MoveInfo *found = NULL;
	enum cli_exit code;

	if (uuid_parse(text, ret) == 0)
		return CLI_OK;
	code = ask_moves(cli, s, NULL, 0, &answer, err);
	if (code != CLI_OK)
		return code;
	for (size_t i = 0; i < answer->move_list->n_moves; i++) {
		const Tagalong__MoveInfo *move = answer->move_list->moves[i];

		if (!is_meant(move, text))
			continue;
		/* Of one move, source and target may both tell. */
		if (found && memcmp(found->move.data, move->move.data, UUID_SIZE) != 0)
			return cli_fail(err, CLI_FAILED, "'%.64s' may mean more than one move; "
					"give its whole id ('migrator history --json')", text);
		found = move;
	}
	if (!found)
		return cli_fail(err, CLI_FAILED, "no move '%.64s': it takes an id, the first %d or more "
				"characters of one, or a VM that is moving; see 'migrator history'",
				text, ID_PREFIX_MIN);
	memcpy(ret->bytes, found->move.data, UUID_SIZE);
	return CLI_OK;
}
