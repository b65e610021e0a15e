/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "migrator/fault.h"
#include "migrator/journal.h"

static char dir[] = "/tmp/test-journal-XXXXXX";
static char path[64];

static void make_dir(void)
{
	cr_assert_not_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/journal.db", dir);
}

static void remove_dir(void)
{
	char command[80];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	cr_assert_eq(system(command), 0);
}

TestSuite(journal, .init = make_dir, .fini = remove_dir);

static struct journal *open_journal(void)
{
	struct mg_error err = { 0 };
	struct journal *j = NULL;

	cr_assert_eq(journal_open(path, &j, &err), 0, "%s", err.text);
	return j;
}

static Tagalong__VmSpec sample_spec(char *name)
{
	Tagalong__VmSpec spec = TAGALONG__VM_SPEC__INIT;

	spec.name = name;
	spec.memory_bytes = 1 << 20;
	spec.vcpus = 1;
	spec.machine = spec.cpu = spec.accelerator = name;
	return spec;
}

static struct journal_move sample_move(Tagalong__VmSpec *spec, MoveInfo *info, uint8_t id)
{
	struct journal_move m = { .stage = JOURNAL_BEGUN, .peer = "b", .peer_endpoint = "tcp://b",
				  .spec = spec, .info = info };

	memset(m.id.bytes, id, UUID_SIZE);
	memset(m.incarnation.bytes, 0xee, UUID_SIZE);
	tagalong__move_info__init(info);
	info->vm = spec->name;
	info->source = info->target = (char *)"n";
	info->state = TAGALONG__MOVE_STATE__MOVE_QUEUED;
	return m;
}

static void write_stage(struct journal *j, struct journal_move *m, enum journal_stage stage)
{
	struct mg_error err = { 0 };

	m->stage = stage;
	cr_assert_eq(journal_write(j, m, &err), 0, "%s", err.text);
}

static size_t count_vms(struct journal *j)
{
	struct journal_vm *vms;
	size_t n;

	cr_assert_eq(journal_vms(j, &vms, &n), 0);
	journal_vms_free(vms, n);
	return n;
}

static Tagalong__VmLuggage sample_luggage(uint8_t key[32])
{
	Tagalong__VmLuggage luggage = TAGALONG__VM_LUGGAGE__INIT;

	memset(key, 0x5a, 32);
	luggage.image_key = (ProtobufCBinaryData){ 32, key };
	return luggage;
}

static bool vm_has_key(struct journal *j, const uint8_t key[32])
{
	struct journal_vm *vms;
	bool has;
	size_t n;

	cr_assert_eq(journal_vms(j, &vms, &n), 0);
	cr_assert_eq(n, 1);
	has = vms[0].luggage && memcmp(vms[0].luggage->image_key.data, key, 32) == 0;
	journal_vms_free(vms, n);
	return has;
}

/* Whether any file of the journal has the key in it. */
static bool files_have(const uint8_t key[32])
{
	static const char *const suffixes[] = { "", "-wal" };
	bool has = false;

	for (size_t i = 0; i < 2; i++) {
		char name[80];
		static uint8_t data[1 << 20];
		size_t n;
		FILE *f;

		snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
		f = fopen(name, "re");
		if (!f)
			continue;
		n = fread(data, 1, sizeof(data), f);
		has |= n >= 32 && memmem(data, n, key, 32) != NULL;
		fclose(f);
	}
	return has;
}

/* The key of a VM's images comes with the move, is the VM's from RUN on, and leaves no
 * trace where the VM is no more. */
Test(journal, luggage_goes_with_the_vm)
{
	struct journal *j = open_journal();
	Tagalong__VmSpec spec = sample_spec((char *)"web");
	uint8_t key[32];
	Tagalong__VmLuggage luggage = sample_luggage(key);
	MoveInfo info;
	struct journal_move in = sample_move(&spec, &info, 1), out = sample_move(&spec, &info, 2);
	struct journal_move got;

	in.incoming = true;
	in.luggage = &luggage;
	write_stage(j, &in, JOURNAL_BEGUN);
	cr_assert_eq(journal_find(j, &in.id, &got), 0);
	cr_assert_arr_eq(got.luggage->image_key.data, key, sizeof(key));
	journal_move_clear(&got);
	write_stage(j, &in, JOURNAL_RUN);
	cr_assert(vm_has_key(j, key));
	in.settled = true;
	write_stage(j, &in, JOURNAL_DONE);
	cr_assert_eq(journal_find(j, &in.id, &got), 0);
	cr_assert_null(got.luggage, "a settled move has none");
	journal_move_clear(&got);
	journal_close(j);
	j = open_journal();
	cr_assert(vm_has_key(j, key));
	cr_assert(files_have(key));
	write_stage(j, &out, JOURNAL_DONE);
	cr_assert_eq(count_vms(j), 0);
	cr_assert_eq(journal_tidy(j, 100, NULL), 0);
	cr_assert_not(files_have(key));
	journal_close(j);
}

Test(journal, epoch_only_rises)
{
	struct journal *j = open_journal();
	uint64_t epoch;

	cr_assert_eq(journal_epoch(j, &epoch), 0);
	cr_assert_eq(epoch, 0);
	cr_assert_eq(journal_raise_epoch(j, 7, NULL), 0);
	cr_assert_eq(journal_raise_epoch(j, 5, NULL), 0);
	journal_close(j);
	j = open_journal();
	cr_assert_eq(journal_epoch(j, &epoch), 0);
	cr_assert_eq(epoch, 7);
	journal_close(j);
}

Test(journal, a_vm_changes_hands_with_the_stage)
{
	struct journal *j = open_journal();
	Tagalong__VmSpec spec = sample_spec((char *)"web");
	MoveInfo info;
	struct journal_move in = sample_move(&spec, &info, 1), out = in;

	in.incoming = true;
	write_stage(j, &in, JOURNAL_BEGUN);
	write_stage(j, &in, JOURNAL_PREPARED);
	write_stage(j, &in, JOURNAL_READY);
	cr_assert_eq(count_vms(j), 0);
	write_stage(j, &in, JOURNAL_RUN);
	cr_assert_eq(count_vms(j), 1);
	write_stage(j, &in, JOURNAL_DONE);

	/* It leaves, but not by the word of a move of an older incarnation. */
	memset(out.id.bytes, 2, UUID_SIZE);
	memset(out.incarnation.bytes, 0x11, UUID_SIZE);
	write_stage(j, &out, JOURNAL_DONE);
	cr_assert_eq(count_vms(j), 1);
	out.incarnation = in.incarnation;
	write_stage(j, &out, JOURNAL_COMMIT);
	cr_assert_eq(count_vms(j), 1);
	write_stage(j, &out, JOURNAL_DONE);
	cr_assert_eq(count_vms(j), 0);
	journal_close(j);
}

Test(journal, a_vm_that_could_not_run_is_not_ours)
{
	struct journal *j = open_journal();
	Tagalong__VmSpec spec = sample_spec((char *)"web");
	MoveInfo info;
	struct journal_move in = sample_move(&spec, &info, 1);

	in.incoming = true;
	write_stage(j, &in, JOURNAL_RUN);
	write_stage(j, &in, JOURNAL_NEVER);
	cr_assert_eq(count_vms(j), 0);
	journal_close(j);
}

Test(journal, a_vm_that_was_lost_on_its_way_is_nobodys)
{
	struct journal *j = open_journal();
	Tagalong__VmSpec spec = sample_spec((char *)"web");
	MoveInfo info;
	struct journal_move in = sample_move(&spec, &info, 1);

	in.incoming = true;
	write_stage(j, &in, JOURNAL_RUN);
	info.has_lost = info.lost = true;
	write_stage(j, &in, JOURNAL_RUN);
	cr_assert_eq(count_vms(j), 1);
	write_stage(j, &in, JOURNAL_DONE);
	cr_assert_eq(count_vms(j), 0);
	info.lost = false;
	write_stage(j, &in, JOURNAL_RUN);
	in.incoming = false; /* at its source */
	write_stage(j, &in, JOURNAL_REVOKED);
	cr_assert_eq(count_vms(j), 1);
	info.lost = true;
	write_stage(j, &in, JOURNAL_REVOKED);
	cr_assert_eq(count_vms(j), 0);
	journal_close(j);
}

Test(journal, finds_what_was_written)
{
	struct journal *j = open_journal();
	Tagalong__VmSpec spec = sample_spec((char *)"web");
	MoveInfo info;
	struct journal_move m = sample_move(&spec, &info, 1), got;
	struct uuid other = { { 9 } };

	write_stage(j, &m, JOURNAL_PREPARED);
	journal_close(j);
	j = open_journal();
	cr_assert_eq(journal_find(j, &other, &got), -ENOENT);
	cr_assert_eq(journal_find(j, &m.id, &got), 0);
	cr_assert_eq(got.stage, JOURNAL_PREPARED);
	cr_assert(!got.incoming && !got.settled && !got.reported);
	cr_assert(uuid_equal(&got.incarnation, &m.incarnation));
	cr_assert_str_eq(got.peer, "b");
	cr_assert_str_eq(got.peer_endpoint, "tcp://b");
	cr_assert_str_eq(got.spec->name, "web");
	cr_assert_str_eq(got.info->vm, "web");
	journal_move_clear(&got);
	journal_close(j);
}

/* A peer that has got another address in the midst of a move is looked for there after a restart. */
Test(journal, the_peer_is_where_it_was_last)
{
	struct journal *j = open_journal();
	Tagalong__VmSpec spec = sample_spec((char *)"web");
	MoveInfo info;
	struct journal_move m = sample_move(&spec, &info, 1), got;

	write_stage(j, &m, JOURNAL_PREPARED);
	snprintf(m.peer_endpoint, sizeof(m.peer_endpoint), "tcp://c");
	write_stage(j, &m, JOURNAL_PREPARED);
	journal_close(j);
	j = open_journal();
	cr_assert_eq(journal_find(j, &m.id, &got), 0);
	cr_assert_str_eq(got.peer_endpoint, "tcp://c");
	journal_move_clear(&got);
	journal_close(j);
}

Test(journal, lists_newest_first_and_forgets_only_the_settled)
{
	struct journal *j = open_journal();
	Tagalong__VmSpec spec = sample_spec((char *)"web");
	struct journal_filter filter = { 0 };
	struct journal_move *moves;
	MoveInfo info;
	size_t n;

	for (uint8_t i = 1; i <= 6; i++) {
		struct journal_move m = sample_move(&spec, &info, i);

		m.settled = i != 2;
		m.reported = true;
		write_stage(j, &m, JOURNAL_ABORTED);
	}
	filter.limit = 2;
	cr_assert_eq(journal_moves(j, &filter, &moves, &n), 0);
	cr_assert_eq(n, 2);
	cr_assert_eq(moves[0].id.bytes[0], 6);
	cr_assert_eq(moves[1].id.bytes[0], 5);
	journal_moves_free(moves, n);
	cr_assert_eq(journal_tidy(j, 3, NULL), 0);
	filter.limit = 0;
	cr_assert_eq(journal_moves(j, &filter, &moves, &n), 0);
	cr_assert_eq(n, 4); /* 6, 5, 4 and the open one */
	cr_assert_eq(moves[3].id.bytes[0], 2);
	journal_moves_free(moves, n);
	filter.open_only = true;
	cr_assert_eq(journal_moves(j, &filter, &moves, &n), 0);
	cr_assert_eq(n, 1);
	journal_moves_free(moves, n);
	filter = (struct journal_filter){ .vm = "mail" };
	cr_assert_eq(journal_moves(j, &filter, &moves, &n), 0);
	cr_assert_eq(n, 0);
	journal_moves_free(moves, n);
	journal_close(j);
}

/* A child writes COMMIT and is killed at the step that `fault` names. */
static enum journal_stage stage_after_kill(const char *fault)
{
	struct journal_move got;
	enum journal_stage stage;
	struct journal *j;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		Tagalong__VmSpec spec = sample_spec((char *)"web");
		MoveInfo info;
		struct journal_move m = sample_move(&spec, &info, 1);

		if (fault_init(fault, NULL) < 0 || journal_open(path, &j, NULL) < 0)
			_exit(1);
		m.stage = JOURNAL_PREPARED;
		(void)journal_write(j, &m, NULL);
		m.stage = JOURNAL_COMMIT;
		(void)journal_write(j, &m, NULL);
		_exit(1);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	j = open_journal();
	cr_assert_eq(journal_find(j, (struct uuid[]){ { { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
							  1, 1 } } }, &got), 0);
	stage = got.stage;
	journal_move_clear(&got);
	journal_close(j);
	return stage;
}

Test(journal, survives_kill_9)
{
	cr_assert_eq(stage_after_kill("kill-before=journal-commit"), JOURNAL_PREPARED);
	cr_assert_eq(stage_after_kill("kill-after=journal-commit"), JOURNAL_COMMIT);
}

Test(fault, refuses_what_it_does_not_know)
{
	struct mg_error err = { 0 };

	cr_assert_eq(fault_init(NULL, &err), 0);
	cr_assert_eq(fault_init("kill-before=journal-commit:2,journal-delay=20ms", &err), 0);
	cr_assert_eq(fault_init("kill=journal-commit", &err), -EINVAL);
	cr_assert_eq(fault_init("kill-before=journal-commit:0", &err), -EINVAL);
	cr_assert_eq(fault_init("kill-before=", &err), -EINVAL);
	cr_assert_eq(fault_init("journal-delay=20", &err), -EINVAL);
	cr_assert_eq(fault_init("nonsense", &err), -EINVAL);
	cr_assert_not_null(strstr(err.text, "nonsense"));
	cr_assert_eq(fault_init(NULL, &err), 0);
}
