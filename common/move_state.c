/* SPDX-License-Identifier: Apache-2.0 */
#include "common/move_state.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>

#include "common/cleanup.h"

#define S(name) TAGALONG__MOVE_STATE__MOVE_##name
#define BIT(name) (1u << S(name))

enum {
	FINAL = 1,      /* nothing follows */
	CANCELLABLE = 2, /* the decision has not been taken */
};

/* ABORTED can follow everything before COMMITTED. IN_DOUBT is where a daemon
 * finds a move after a restart and cannot reach the peer that knows more. */
static const struct {
	const char *name;
	unsigned flags;
	uint32_t next;
} states[] = {
	[S(QUEUED)] = { "queued", CANCELLABLE, BIT(CHECKING) | BIT(ABORTED) },
	[S(CHECKING)] = { "checking", CANCELLABLE, BIT(PREPARED) | BIT(ABORTED) },
	[S(PREPARED)] = { "prepared", CANCELLABLE, BIT(COPYING) | BIT(ABORTED) | BIT(IN_DOUBT) },
	[S(COPYING)] = { "copying", CANCELLABLE, BIT(STOPPED) | BIT(ABORTED) | BIT(IN_DOUBT) },
	/* The guest may run again at the source when the stop is undone: another attempt is due. */
	[S(STOPPED)] = { "stopped", CANCELLABLE,
			 BIT(READY) | BIT(QUEUED) | BIT(ABORTED) | BIT(IN_DOUBT) },
	[S(READY)] = { "ready", CANCELLABLE,
		       BIT(COMMITTED) | BIT(QUEUED) | BIT(ABORTED) | BIT(IN_DOUBT) },
	[S(COMMITTED)] = { "committed", 0, BIT(DONE) | BIT(REVOKED) | BIT(IN_DOUBT) },
	[S(DONE)] = { "done", FINAL, 0 },
	[S(ABORTED)] = { "aborted", FINAL, 0 },
	[S(REVOKED)] = { "revoked", FINAL, 0 },
	[S(IN_DOUBT)] = { "in doubt", 0,
			  BIT(COMMITTED) | BIT(DONE) | BIT(ABORTED) | BIT(REVOKED) },
};

static bool is_known(MoveState state)
{
	return (unsigned)state < ARRAY_SIZE(states) && states[state].name;
}

const char *move_state_name(MoveState state)
{
	return is_known(state) ? states[state].name : "unknown";
}

bool move_state_is_final(MoveState state)
{
	return is_known(state) && (states[state].flags & FINAL);
}

bool move_state_may_cancel(MoveState state)
{
	return is_known(state) && (states[state].flags & CANCELLABLE);
}

bool move_state_may_follow(MoveState from, MoveState to)
{
	return is_known(from) && is_known(to) && (states[from].next & (1u << to));
}

int move_state_set(MoveState *state, MoveState to)
{
	bool legal = move_state_may_follow(*state, to);

	assert(legal);
	if (!legal)
		return -EPROTO;
	*state = to;
	return 0;
}
