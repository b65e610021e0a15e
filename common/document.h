/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages as JSON documents: the field names that scripts rely on, listed in
 * migrator(1) for its --json and in placement/openapi.yaml for HTTP. Members that
 * a message does not carry are left out. Every function returns a new reference.
 */
#ifndef COMMON_DOCUMENT_H
#define COMMON_DOCUMENT_H

#include <jansson.h>
#include <stdbool.h>

#include "common/proto/tagalong.pb-c.h"

/* "running", "moving"; never NULL. */
const char *document_vm_state_name(Tagalong__VmState state);

json_t *document_vm(const Tagalong__VmInfo *vm);
json_t *document_node(const Tagalong__NodeInfo *node);
json_t *document_rtt(const Tagalong__NodeRtt *rtt);
json_t *document_pair(const Tagalong__Pair *pair);
json_t *document_move(const Tagalong__MoveInfo *move);

/* {"vms": [...]}, {"nodes": [...]} and so on. */
json_t *document_vm_list(const Tagalong__VmList *list);
json_t *document_node_list(const Tagalong__NodeList *list);
json_t *document_pair_list(const Tagalong__PairList *list);
json_t *document_move_list(const Tagalong__MoveList *list);
json_t *document_image_list(const Tagalong__ImageList *list);
json_t *document_drain_plan(const char *node, bool dry_run, const Tagalong__DrainPlan *plan);
json_t *document_affinity_list(const Tagalong__AffinityList *list);
json_t *document_why(const Tagalong__MoveWhy *why);
json_t *document_summary(uint64_t since_utc_ns, const Tagalong__Summary *summary);
/* `leader` NULL: it does not answer, for `problem`. */
json_t *document_leader(const char *endpoint, const Tagalong__Leader *leader, const char *problem);
json_t *document_status(const Tagalong__Status *status);

#endif
