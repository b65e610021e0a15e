/* SPDX-License-Identifier: Apache-2.0
 *
 * The states of a move and which may follow which: one table, used by the
 * migration engine, the controller and the simulator. Its vocabulary is
 * MoveState in common/proto/tagalong.proto.
 */
#ifndef COMMON_MOVE_STATE_H
#define COMMON_MOVE_STATE_H

#include <stdbool.h>

#include "common/proto/tagalong.pb-c.h"

typedef Tagalong__MoveState MoveState;

/* "copying"; for people, logs and JSON. Never NULL. */
const char *move_state_name(MoveState state);

/* Whether nothing more can happen to the move. */
bool move_state_is_final(MoveState state);

/* Whether the move may still be cancelled: before the commit. */
bool move_state_may_cancel(MoveState state);

/* Whether `to` may follow `from`. */
bool move_state_may_follow(MoveState from, MoveState to);

/* Sets *state. An illegal step is a bug: it asserts in a debug build (unless
 * NDEBUG) and returns -EPROTO in production, with *state unchanged. */
int move_state_set(MoveState *state, MoveState to);

#endif
