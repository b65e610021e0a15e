/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/qemu_state.h"

#include <string.h>

#include "common/clock.h"

#define ANSWER_TIMEOUT_NS (5 * NS_PER_S)

static void answer(struct qemu_question *question, enum commit_qemu state)
{
	question->open = false;
	question->fn(state, question->userdata);
}

static const char *status_of(json_t *result)
{
	return json_string_value(json_object_get(result, "status"));
}

static void on_migrate(struct qmp *q, int r, json_t *result, const struct mg_error *err,
		       void *userdata)
{
	struct qemu_question *question = userdata;

	(void)q;
	(void)err;
	answer(question, r < 0 ? COMMIT_QEMU_UNKNOWN
			       : commit_qemu_state(question->run_state, status_of(result)));
}

static void on_status(struct qmp *q, int r, json_t *result, const struct mg_error *err,
		      void *userdata)
{
	struct qemu_question *question = userdata;
	const char *status = r < 0 ? NULL : status_of(result);
	enum commit_qemu state = commit_qemu_state(status, NULL);

	(void)err;
	snprintf(question->run_state, sizeof(question->run_state), "%s", status ? status : "");
	/* "postmigrate" leaves nothing open, and every microsecond is then the guest's. */
	if (state == COMMIT_QEMU_UNKNOWN || state == COMMIT_QEMU_POSTMIGRATE)
		answer(question, state);
	else if (qmp_command(q, "query-migrate", NULL, ANSWER_TIMEOUT_NS, on_migrate, question) < 0)
		answer(question, COMMIT_QEMU_UNKNOWN);
}

int qemu_state_ask(struct qemu_question *question, struct qmp *q, qemu_state_fn fn,
		   void *userdata)
{
	int r;

	if (!q)
		return -ENOTCONN;
	if (question->open)
		return -EALREADY;
	question->fn = fn;
	question->userdata = userdata;
	r = qmp_command(q, "query-status", NULL, ANSWER_TIMEOUT_NS, on_status, question);
	question->open = r >= 0;
	return r < 0 ? r : 0;
}
