/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "common/move_state.h"

#define S(name) TAGALONG__MOVE_STATE__MOVE_##name

Test(move_state, the_way_of_a_move)
{
	static const MoveState way[] = { S(CHECKING), S(PREPARED), S(COPYING), S(STOPPED),
					 S(READY),    S(COMMITTED), S(DONE) };
	MoveState state = S(QUEUED);

	for (size_t i = 0; i < sizeof(way) / sizeof(way[0]); i++)
		cr_assert_eq(move_state_set(&state, way[i]), 0);
	cr_assert(move_state_is_final(state));
}

Test(move_state, after_the_decision_there_is_no_abort)
{
	cr_assert_not(move_state_may_follow(S(COMMITTED), S(ABORTED)));
	cr_assert_not(move_state_may_cancel(S(COMMITTED)));
	for (int s = S(QUEUED); s < (int)S(COMMITTED); s++) {
		cr_assert(move_state_may_follow((MoveState)s, S(ABORTED)));
		cr_assert(move_state_may_cancel((MoveState)s));
	}
}

Test(move_state, nothing_follows_a_final_state)
{
	for (int from = 0; from < 32; from++)
		for (int to = 0; to < 32; to++)
			if (move_state_is_final((MoveState)from))
				cr_assert_not(move_state_may_follow((MoveState)from, (MoveState)to));
}
