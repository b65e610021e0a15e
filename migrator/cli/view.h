/* SPDX-License-Identifier: Apache-2.0
 *
 * How the documents that messages are made into (common/document.h) are laid out
 * for people.
 */
#ifndef MIGRATOR_CLI_VIEW_H
#define MIGRATOR_CLI_VIEW_H

#include "common/document.h"
#include "migrator/cli/output.h"

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

#endif
