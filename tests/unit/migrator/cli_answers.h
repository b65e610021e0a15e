/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of `migrator`'s commands answer it with, and how they look at
 * what it printed.
 */
#ifndef TESTS_UNIT_MIGRATOR_CLI_ANSWERS_H
#define TESTS_UNIT_MIGRATOR_CLI_ANSWERS_H

#include <jansson.h>

#include "common/move_state.h"
#include "fake_server.h"

#define assert_has(text, part) \
	cr_assert_not_null(strstr(text, part), "'%s' is not in: %s", part, text)
#define assert_lacks(text, part) cr_assert_null(strstr(text, part), "'%s' is in: %s", part, text)
#define assert_exit(f, code) \
	cr_assert_eq((f).exit_code, code, "exit %d, not %d: %s", (f).exit_code, code, (f).err)

/* Two moves whose ids differ in the fourth byte; A is the younger one. */
extern const uint8_t ID_A[UUID_SIZE], ID_B[UUID_SIZE];

struct sample_move {
	Tagalong__MoveFigures figures;
	Tagalong__MoveInfo info;
};

/* A move of 'web' from tower-a to tower-b; what it returns points into `s`. */
Tagalong__MoveInfo *sample_move(struct sample_move *s, const uint8_t *id, MoveState state,
				const char *failure);

/* A controller that knows two VMs, two moves, one node and one pair. */
void answer_all(struct fake *f, const Envelope *request);

/* What was printed, which has to be JSON. */
json_t *json_of(const char *text);

#endif
