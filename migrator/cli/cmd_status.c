/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "common/move_state.h"
#include "migrator/cli/commands.h"
#include "migrator/cli/output.h"
#include "migrator/cli/view.h"

enum cli_exit cmd_node_list(const struct cli *cli, struct mg_error *err)
{
	_cleanup_session_ struct session s = { 0 };
	_cleanup_envelope_ Envelope *answer = NULL;
	Tagalong__NodeQuery query = TAGALONG__NODE_QUERY__INIT;
	Envelope request = TAGALONG__ENVELOPE__INIT;
	enum cli_exit code = session_open(cli, &s, err);

	if (code != CLI_OK)
		return code;
	request.body_case = TAGALONG__ENVELOPE__BODY_NODE_QUERY;
	request.node_query = &query;
	code = client_call(s.client, REQUEST_REPEATABLE, &request,
			   TAGALONG__ENVELOPE__BODY_NODE_LIST, cli_timeout(cli, CLI_TIMEOUT_NS),
			   &answer, err);
	if (code == CLI_OK)
		output_document(cli->options.json, document_node_list(answer->node_list), "nodes",
				view_node_columns, "no node has spoken to placementd yet");
	return code;
}

/* What does not answer is a row too. */
static json_t *view_controller(const struct settings *settings, const struct server_settings *server)
{
	_cleanup_envelope_ Envelope *answer = NULL;
	struct mg_error why = { 0 };

	if (ask_leader(settings, server, NULL, &answer, &why) != CLI_OK)
		return document_leader(server->endpoint, NULL, why.text);
	return document_leader(server->endpoint, answer->leader, NULL);
}

enum cli_exit cmd_controllers(const struct cli *cli, struct mg_error *err)
{
	struct settings *settings;
	json_t *rows;

	if (settings_load(cli->options.config, &settings, err) < 0)
		return CLI_USAGE;
	rows = json_array();
	for (unsigned i = 0; i < settings->n_controllers; i++)
		json_array_append_new(rows, view_controller(settings, &settings->controllers[i]));
	settings_free(settings);
	output_document(cli->options.json, json_pack("{so}", "controllers", rows), "controllers",
			view_leader_columns, "no controllers are configured");
	return CLI_OK;
}

static enum cli_exit ask_controller(const struct cli *cli, struct session *s, json_t **ret,
				    struct mg_error *err)
{
	_cleanup_envelope_ Envelope *answer = NULL;
	Tagalong__StatusQuery query = TAGALONG__STATUS_QUERY__INIT;
	Envelope request = TAGALONG__ENVELOPE__INIT;
	enum cli_exit code;

	request.body_case = TAGALONG__ENVELOPE__BODY_STATUS_QUERY;
	request.status_query = &query;
	code = client_call(s->client, REQUEST_REPEATABLE, &request,
			   TAGALONG__ENVELOPE__BODY_STATUS, cli_timeout(cli, CLI_TIMEOUT_NS),
			   &answer, err);
	if (code == CLI_OK)
		*ret = document_status(answer->status);
	return code;
}

/* A migratord tells its VMs and moves; the unsettled ones belong here. */
static enum cli_exit ask_node(const struct cli *cli, struct session *s, json_t **ret,
			      struct mg_error *err)
{
	_cleanup_envelope_ Envelope *vms = NULL, *moves = NULL;
	enum cli_exit code = ask_vms(cli, s, NULL, &vms, err);
	json_t *open;

	if (code == CLI_OK)
		code = ask_moves(cli, s, NULL, 0, &moves, err);
	if (code != CLI_OK)
		return code;
	open = json_array();
	for (size_t i = 0; i < moves->move_list->n_moves; i++)
		if (!move_state_is_final(moves->move_list->moves[i]->state))
			json_array_append_new(open, document_move(moves->move_list->moves[i]));
	*ret = document_vm_list(vms->vm_list);
	json_object_set_new(*ret, "moves", open);
	return CLI_OK;
}

/* All RTTs of all pairs as rows of one table. */
static json_t *rtts_of(const json_t *pairs)
{
	json_t *rows = json_array();
	json_t *pair, *rtt;
	size_t i, j;

	json_array_foreach(pairs, i, pair)
		json_array_foreach(json_object_get(pair, "rtts"), j, rtt) {
			json_t *row = json_copy(rtt);

			json_object_set(row, "device", json_object_get(pair, "device"));
			json_array_append_new(rows, row);
		}
	return rows;
}

static void print_status(const json_t *status)
{
	const json_t *nodes = json_object_get(status, "nodes");
	const json_t *pairs = json_object_get(status, "pairs");

	if (nodes) {
		output_table(stdout, nodes, view_node_columns, "no nodes");
		putchar('\n');
	}
	output_table(stdout, json_object_get(status, "vms"), view_vm_columns, "no VMs");
	if (pairs) {
		json_t *rtts = rtts_of(pairs);

		putchar('\n');
		output_table(stdout, pairs, view_pair_columns, "no pairs");
		if (json_array_size(rtts)) {
			putchar('\n');
			output_table(stdout, rtts, view_rtt_columns, "");
		}
		json_decref(rtts);
	}
	putchar('\n');
	output_table(stdout, json_object_get(status, "moves"), view_open_move_columns,
		     "no moves going on");
}

enum cli_exit cmd_status(const struct cli *cli, struct mg_error *err)
{
	_cleanup_session_ struct session s = { 0 };
	json_t *status = NULL;
	enum cli_exit code = session_open(cli, &s, err);

	if (code == CLI_OK)
		code = s.direct ? ask_node(cli, &s, &status, err) :
				  ask_controller(cli, &s, &status, err);
	if (code != CLI_OK)
		return code;
	if (cli->options.json)
		output_json(stdout, status, false);
	else
		print_status(status);
	json_decref(status);
	return CLI_OK;
}

static int by_begin_newest_first(const void *a, const void *b)
{
	const Tagalong__MoveInfo *x = *(Tagalong__MoveInfo *const *)a;
	const Tagalong__MoveInfo *y = *(Tagalong__MoveInfo *const *)b;

	return (x->begun_utc_ns < y->begun_utc_ns) - (x->begun_utc_ns > y->begun_utc_ns);
}

enum cli_exit cmd_history(const struct cli *cli, struct mg_error *err)
{
	_cleanup_session_ struct session s = { 0 };
	_cleanup_envelope_ Envelope *answer = NULL;
	enum cli_exit code = session_open(cli, &s, err);

	if (code == CLI_OK)
		code = ask_moves(cli, &s, cli->options.vm, cli->options.limit, &answer, err);
	if (code != CLI_OK)
		return code;
	if (answer->move_list->n_moves)
		qsort(answer->move_list->moves, answer->move_list->n_moves,
		      sizeof(answer->move_list->moves[0]), by_begin_newest_first);
	output_document(cli->options.json, document_move_list(answer->move_list), "moves",
			view_move_columns, "no moves yet");
	return CLI_OK;
}
