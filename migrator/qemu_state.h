/* SPDX-License-Identifier: Apache-2.0
 *
 * Asks a QEMU how it stands: query-status and, where that leaves it open,
 * query-migrate.
 */
#ifndef MIGRATOR_QEMU_STATE_H
#define MIGRATOR_QEMU_STATE_H

#include <stdbool.h>

#include "migrator/commit.h"
#include "migrator/qmp.h"

/* COMMIT_QEMU_UNKNOWN when the monitor did not answer in time. Never called
 * with COMMIT_QEMU_DEAD: that is for the guest's on_exit to say. */
typedef void (*qemu_state_fn)(enum commit_qemu state, void *userdata);

/* One question at a time; owned by the asker and zeroed at first. */
struct qemu_question {
	bool open;
	qemu_state_fn fn;
	void *userdata;
	char run_state[32];
};

/* Calls fn once, unless it returns an error or `q` is freed meanwhile; then the
 * question is zeroed by its owner. `q` may be NULL (-ENOTCONN). -EALREADY while
 * the last question is open. */
int qemu_state_ask(struct qemu_question *question, struct qmp *q, qemu_state_fn fn,
		   void *userdata);

#endif
