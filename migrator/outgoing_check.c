/* SPDX-License-Identifier: Apache-2.0
 *
 * The source's part of the checks before a move: asks its QEMU what preflight.c
 * judges. The target judges its own host when it is asked to prepare.
 */
#include "migrator/node_config.h"
#include "migrator/outgoing_internal.h"
#include "migrator/preflight.h"

#define CHECK_TIMEOUT_NS (10 * NS_PER_S)

static const struct {
	const char *command;
	size_t offset; /* of its answer in struct outgoing */
} questions[] = {
	{ "query-block", offsetof(struct outgoing, block) },
	{ "query-migrate", offsetof(struct outgoing, migrate) },
	{ "query-migrate-capabilities", offsetof(struct outgoing, capabilities) },
};

static void judge(struct outgoing *o)
{
	const struct preflight_facts facts = {
		.spec = guest_spec(o->vm->guest), .source = o->m.node->config->name,
		.target = o->m.row.peer, .running = true,
		.source_qemu = guest_qemu_version(o->vm->guest), .block = o->block,
		.migrate = o->migrate, .capabilities = o->capabilities,
		.post_copy = outgoing_may_post_copy(o), .connections = o->connections,
		.huge_pages = o->m.node->config->huge_page_dir != NULL,
	};
	struct preflight found;
	struct mg_error err = { 0 };

	preflight_check(&facts, &found);
	if (preflight_verdict(&found, o->force, &err) < 0)
		outgoing_give_up(o, "%s", err.text);
	else
		outgoing_prepare(o);
}

static void ask_next(struct outgoing *o);

static void on_answer(struct qmp *q, int r, json_t *result, const struct mg_error *err,
		      void *userdata)
{
	struct outgoing *o = userdata;

	(void)q;
	o->pending--;
	if (r < 0)
		outgoing_give_up(o, "%s", err->text);
	if (o->live) {
		*(json_t **)((char *)o + questions[o->checked++].offset) = json_incref(result);
		ask_next(o);
	}
	outgoing_reconcile(o);
}

static void ask_next(struct outgoing *o)
{
	if (o->checked == ARRAY_SIZE(questions))
		judge(o);
	else if (outgoing_command(o, questions[o->checked].command, NULL, CHECK_TIMEOUT_NS,
				  on_answer) < 0)
		outgoing_give_up(o, "QEMU's monitor does not answer");
}

void check_begin(struct outgoing *o)
{
	ask_next(o);
}

void check_end(struct outgoing *o)
{
	json_decref(TAKE_PTR(o->block));
	json_decref(TAKE_PTR(o->migrate));
	json_decref(TAKE_PTR(o->capabilities));
	o->checked = 0;
}
