/* SPDX-License-Identifier: Apache-2.0
 *
 * The commands, each as the table in cli.c names it. They have been given the
 * number of operands that the table allows.
 */
#ifndef MIGRATOR_CLI_COMMANDS_H
#define MIGRATOR_CLI_COMMANDS_H

#include "common/uuid.h"
#include "migrator/cli/cli.h"
#include "migrator/cli/client.h"
#include "migrator/cli/settings.h"

typedef enum cli_exit command_fn(const struct cli *cli, struct mg_error *err);

command_fn cmd_node_list, cmd_node_drain, cmd_node_undrain, cmd_node_evacuate;
command_fn cmd_node_quarantine, cmd_node_release, cmd_node_maintain, cmd_node_unmaintain;
command_fn cmd_vm_start, cmd_vm_list, cmd_vm_show, cmd_vm_stop, cmd_vm_freeze, cmd_vm_thaw;
command_fn cmd_vm_adopt, cmd_vm_receive, cmd_relay;
command_fn cmd_pair_set, cmd_pair_front, cmd_pair_replace, cmd_pair_remove, cmd_pair_list;
command_fn cmd_affinity_set, cmd_affinity_remove, cmd_affinity_list;
command_fn cmd_move, cmd_warm, cmd_cancel, cmd_resolve;
command_fn cmd_priority, cmd_pause, cmd_resume;
command_fn cmd_image_add, cmd_image_list, cmd_image_remove;
command_fn cmd_controllers, cmd_status, cmd_history, cmd_why, cmd_summary, cmd_rtt;
command_fn cmd_keys_make, cmd_keys_show, cmd_keys_allow, cmd_keys_device, cmd_keys_token;

/* What a command that speaks to a server starts from. */
struct session {
	struct settings *settings;
	struct server_settings server;
	struct client *client;
	bool direct; /* to a migratord */
};

/* Loads the settings and prepares the connection that --node asks for. */
enum cli_exit session_open(const struct cli *cli, struct session *ret, struct mg_error *err);
void session_close(struct session *s);
#define _cleanup_session_ _cleanup_(session_close)

/* The questions that several commands ask. */
enum cli_exit ask_leader(const struct settings *settings, const struct server_settings *controller,
			 struct client **ret_client, Envelope **ret, struct mg_error *err);
enum cli_exit ask_vms(const struct cli *cli, struct session *s, const char *name, Envelope **ret,
		      struct mg_error *err);
enum cli_exit ask_moves(const struct cli *cli, struct session *s, const char *vm, uint64_t limit,
			Envelope **ret, struct mg_error *err);

#define ID_PREFIX_MIN 4 /* characters of an id that may stand for it */

/* The move that `text` means: a whole id, the beginning of one, or a VM that
 * has an unsettled move. */
enum cli_exit find_move(const struct cli *cli, struct session *s, const char *text,
			struct uuid *ret, struct mg_error *err);

/* "high", "normal" or "low". */
enum cli_exit priority_parse(const char *text, Tagalong__MovePriority *ret, struct mg_error *err);

#endif
