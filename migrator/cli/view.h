/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages as JSON documents: the field names that scripts rely on (listed in
 * migrator(1)) and that the tables are laid out from. Members that a message
 * does not carry are left out. Every function returns a new reference.
 */
#ifndef MIGRATOR_CLI_VIEW_H
#define MIGRATOR_CLI_VIEW_H

#include <jansson.h>

#include "common/proto/tagalong.pb-c.h"
#include "migrator/cli/output.h"

/* How each is laid out for people. */
extern const struct column view_node_columns[];
extern const struct column view_leader_columns[]; /* of controllers */
extern const struct column view_vm_columns[];
extern const struct column view_vm_fields[]; /* all of one VM */
extern const struct column view_pair_columns[];
extern const struct column view_rtt_columns[];
extern const struct column view_open_move_columns[]; /* going on, or in doubt */
extern const struct column view_move_columns[];      /* as history has them */
extern const struct column view_move_fields[];       /* how one ended */
extern const struct column view_image_columns[];
extern const struct column view_drain_columns[];
extern const struct column view_affinity_columns[];
extern const struct column view_why_fields[];
extern const struct column view_summary_columns[];
extern const struct column view_alternative_columns[];
extern const struct column view_forecast_fields[];   /* what a dry run predicts */

/* "running", "moving"; never NULL. */
const char *view_vm_state_name(Tagalong__VmState state);

json_t *view_vm(const Tagalong__VmInfo *vm);
json_t *view_node(const Tagalong__NodeInfo *node);
json_t *view_pair(const Tagalong__Pair *pair);
json_t *view_move(const Tagalong__MoveInfo *move);

/* {"vms": [...]}, {"nodes": [...]} and so on. */
json_t *view_vm_list(const Tagalong__VmList *list);
json_t *view_node_list(const Tagalong__NodeList *list);
json_t *view_pair_list(const Tagalong__PairList *list);
json_t *view_move_list(const Tagalong__MoveList *list);
json_t *view_image_list(const Tagalong__ImageList *list);
json_t *view_drain_plan(const char *node, bool dry_run, const Tagalong__DrainPlan *plan);
json_t *view_affinity_list(const Tagalong__AffinityList *list);
json_t *view_why(const Tagalong__MoveWhy *why);
json_t *view_summary(uint64_t since_utc_ns, const Tagalong__Summary *summary);
/* `leader` NULL: it does not answer, for `problem`. */
json_t *view_leader(const char *endpoint, const Tagalong__Leader *leader, const char *problem);
json_t *view_status(const Tagalong__Status *status);

#endif
