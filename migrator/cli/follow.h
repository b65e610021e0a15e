/* SPDX-License-Identifier: Apache-2.0
 *
 * Watching a move from its order to its end, on a terminal with a bar.
 */
#ifndef MIGRATOR_CLI_FOLLOW_H
#define MIGRATOR_CLI_FOLLOW_H

#include "common/uuid.h"
#include "migrator/cli/commands.h"

struct follower;

/* From now on keeps what the server says about that move: to be made before
 * the order is sent. Borrows all of its arguments while it lives. */
enum cli_exit follower_new(const struct cli *cli, struct session *s, const struct uuid *move,
			   struct follower **ret, struct mg_error *err);
void follower_free(struct follower *f);
DEFINE_CLEANUP(struct follower, follower_free)

/* Shows progress until the end, and the end. Asks when it hears nothing, so
 * that a lost connection or a restarted server does no harm. CLI_DETACHED
 * when the user has seen enough; the move then goes on. */
enum cli_exit follower_run(struct follower *f, struct mg_error *err);

#endif
