/* SPDX-License-Identifier: Apache-2.0
 *
 * Moves that leave, taken up again by a daemon that was restarted.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <unistd.h>

#include "migrator/node_config.h"
#include "migrator/outgoing_internal.h"

static char dir[] = "/tmp/test-outgoing-XXXXXX";
static struct node_config config = { .connections = 1 };
static struct node node = { .config = &config };
static const struct uuid incarnation = { { 7 } };

static void open_node(void)
{
	struct mg_error err = { 0 };
	char path[64];

	config.name = (char *)"a";
	cr_assert_not_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/journal.db", dir);
	cr_assert_eq(journal_open(path, &node.journal, &err), 0, "%s", err.text);
	cr_assert_geq(sd_event_new(&node.loop), 0);
}

static void close_node(void)
{
	char command[80];

	while (!LIST_EMPTY(&node.outgoing))
		outgoing_free(LIST_FIRST(&node.outgoing));
	sd_event_unref(node.loop);
	journal_close(node.journal);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	cr_assert_eq(system(command), 0);
}

TestSuite(outgoing, .init = open_node, .fini = close_node);

static void make(struct move *m, const struct uuid *id)
{
	VmSpec spec = TAGALONG__VM_SPEC__INIT;
	char name[] = "web";

	spec.name = spec.machine = spec.cpu = spec.accelerator = name;
	cr_assert_eq(move_init(m, &node, id, false, &spec, &incarnation), 0);
	cr_assert_eq(move_set_nodes(m, "a", "b", "tcp://127.0.0.1:1", NULL), 0);
}

static void write_move(const struct uuid *id, enum journal_stage stage)
{
	struct mg_error err = { 0 };
	struct move m;

	make(&m, id);
	m.row.stage = stage;
	cr_assert_eq(journal_write(node.journal, &m.row, &err), 0, "%s", err.text);
	move_clear(&m);
}

/* As daemon.c does. */
static void restore_all(void)
{
	struct journal_filter open = { .open_only = true };
	struct journal_move *rows;
	size_t n;

	cr_assert_eq(journal_moves(node.journal, &open, &rows, &n), 0);
	cr_assert_eq(n, 2);
	for (size_t i = 0; i < n; i++)
		cr_assert_eq(outgoing_restore(&node, &rows[i]), 0);
	journal_moves_free(rows, n);
}

/* The first one was called off while its target was away, which has to be told still; then the VM
 * was moved elsewhere, and that is what its QEMU stands still for. */
Test(outgoing, an_older_move_leaves_the_vm_of_a_newer_one_alone)
{
	const struct uuid older = { { 1 } }, newer = { { 2 } };
	static struct vm vm = { .node = &node, .place = VM_OURS }; /* until the moves are freed */
	struct outgoing *first, *second;

	vm.incarnation = incarnation;
	LIST_INSERT_HEAD(&node.vms, &vm, link);
	write_move(&older, JOURNAL_ABORTED);
	write_move(&newer, JOURNAL_COMMIT);
	restore_all();
	first = outgoing_find(&node, &older);
	second = outgoing_find(&node, &newer);
	cr_assert(first && second);
	cr_assert_eq(second->vm, &vm);
	cr_assert_eq(vm.watcher_data, second);
	cr_assert(uuid_equal(&vm.move, &newer));
	cr_assert(vm.stopped_by_move);
	cr_assert_null(first->vm, "it could tell QEMU to go on");
	cr_assert_eq(first->qemu, COMMIT_QEMU_RUNNING, "for it the VM runs here, as it had decided");
}

/* Its answer may have been lost, and whoever asks has to hear that it was called off. */
Test(outgoing, a_cancel_that_is_repeated_has_the_same_answer)
{
	const struct uuid id = { { 1 } };
	Tagalong__MoveCancel cancel = TAGALONG__MOVE_CANCEL__INIT;
	struct mg_error err = { 0 };
	struct outgoing *o = outgoing_new(&node);

	make(&o->m, &id);
	o->live = true;
	for (int i = 0; i < 2; i++)
		cr_assert_eq(outgoing_cancel(o, &cancel, "me", &err), 0, "%s", err.text);
	cr_assert_eq(o->m.row.stage, JOURNAL_ABORTED);
	cr_assert_str_eq(o->m.row.info->failure, "cancelled by me");
}
