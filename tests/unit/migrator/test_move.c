/* SPDX-License-Identifier: Apache-2.0
 *
 * What is noted of a move, under both of its names, and found again after a restart.
 */
#include "migrator/move.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <unistd.h>

static char dir[] = "/tmp/test-move-XXXXXX";
static struct node node;

static void open_node(void)
{
	struct mg_error err = { 0 };
	char path[64];

	cr_assert_not_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/journal.db", dir);
	cr_assert_eq(journal_open(path, &node.journal, &err), 0, "%s", err.text);
}

static void close_node(void)
{
	char command[80];

	journal_close(node.journal);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	cr_assert_eq(system(command), 0);
}

TestSuite(move, .init = open_node, .fini = close_node);

static const struct uuid attempt = { { 1 } }, order = { { 2 } };

static void make(struct move *m)
{
	VmSpec spec = TAGALONG__VM_SPEC__INIT;
	struct uuid incarnation = { { 3 } };
	char name[] = "web";

	spec.name = spec.machine = spec.cpu = spec.accelerator = name;
	cr_assert_eq(move_init(m, &node, &attempt, true, &spec, &incarnation), 0);
	cr_assert_eq(move_set_nodes(m, "a", "b", NULL, NULL), 0);
}

static void write_down(struct move *m)
{
	struct mg_error err = { 0 };

	m->row.stage = JOURNAL_DONE;
	m->row.settled = true;
	cr_assert_eq(journal_write(node.journal, &m->row, &err), 0, "%s", err.text);
}

Test(move, has_the_name_of_its_order_for_people)
{
	struct journal_move row;
	struct uuid shown, known;
	char text[UUID_TEXT_SIZE];
	struct move m, again;

	make(&m);
	cr_assert_eq(move_set_order(&m, &order), 0);
	write_down(&m);
	cr_assert_eq(journal_find(node.journal, &attempt, &row), 0, "the peer's name for it");
	move_restore(&again, &node, &row);
	shown = uuid_of(&again.row.info->move);
	known = uuid_of(&again.row.info->attempt_id);
	cr_assert(uuid_equal(&shown, &order));
	cr_assert(uuid_equal(&known, &attempt));
	cr_assert_str_eq(again.id_text, uuid_format(&order, text));
	cr_assert_str_eq(m.id_text, again.id_text);
	move_clear(&again);
	move_clear(&m);
}

Test(move, is_warned_of_after_its_end)
{
	struct uuid unknown = { { 9 } };
	struct journal_move row;
	struct move m;

	make(&m);
	write_down(&m);
	move_clear(&m);
	move_warn(&node, &unknown, "of nothing");
	move_warn(&node, &attempt, "the first");
	move_warn(&node, &attempt, "the bridge has not learnt it");
	cr_assert_eq(journal_find(node.journal, &attempt, &row), 0);
	cr_assert_str_eq(row.info->warning, "the bridge has not learnt it");
	cr_assert_eq(row.stage, JOURNAL_DONE);
	cr_assert(row.settled);
	journal_move_clear(&row);
}
