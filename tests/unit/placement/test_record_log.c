/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "placement/record_log.h"

struct fixture {
	char dir[64], path[80];
	struct record_writer *w;
	struct mg_error err;
};

static void setup(struct fixture *f)
{
	*f = (struct fixture){ .dir = "/tmp/test-record-XXXXXX" };
	cr_assert_not_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/log", f->dir);
	cr_assert_eq(record_writer_open(f->path, &f->w, &f->err), 0, "%s", f->err.text);
}

static void teardown(struct fixture *f)
{
	char command[96];

	record_writer_free(f->w);
	snprintf(command, sizeof(command), "rm -rf %s", f->dir);
	cr_assert_eq(system(command), 0);
}

static int add(struct fixture *f, uint64_t id)
{
	Tagalong__Placement__Timer timer = TAGALONG__PLACEMENT__TIMER__INIT;
	PlacementRecord record = TAGALONG__PLACEMENT__RECORD__INIT;

	timer.id = id;
	record.mono_ns = 1;
	record.input_case = TAGALONG__PLACEMENT__RECORD__INPUT_TIMER;
	record.timer = &timer;
	return record_writer_add(f->w, &record, &f->err);
}

/* The ids of all records as decimal digits. */
static const char *read_all(struct fixture *f, bool *ret_truncated)
{
	static char text[64];
	struct record_reader reader;
	PlacementRecord *record;
	struct mapping m;
	int r;

	text[0] = 0;
	cr_assert_eq(mapping_open(f->path, &m, &f->err), 0);
	cr_assert_eq(record_reader_init(&reader, m.data, m.len, &f->err), 0, "%s", f->err.text);
	while ((r = record_reader_next(&reader, &record, &f->err)) > 0) {
		sprintf(text + strlen(text), "%u", (unsigned)record->timer->id);
		record_free(record);
	}
	cr_assert_eq(r, 0, "%s", f->err.text);
	*ret_truncated = reader.truncated;
	mapping_close(&m);
	return text;
}

static void reopen(struct fixture *f)
{
	record_writer_free(f->w);
	f->w = NULL;
	cr_assert_eq(record_writer_open(f->path, &f->w, &f->err), 0, "%s", f->err.text);
}

Test(record_log, what_is_written_is_read)
{
	struct fixture f;
	bool truncated;

	setup(&f);
	cr_assert_str_eq(read_all(&f, &truncated), "");
	cr_assert_eq(add(&f, 1), 0);
	cr_assert_eq(add(&f, 2), 0);
	reopen(&f);
	cr_assert_eq(add(&f, 3), 0);
	cr_assert_str_eq(read_all(&f, &truncated), "123");
	cr_assert_not(truncated);
	teardown(&f);
}

Test(record_log, a_torn_record_is_ignored_and_cut_off)
{
	struct stat whole;
	struct fixture f;
	bool truncated;

	setup(&f);
	cr_assert_eq(add(&f, 1), 0);
	cr_assert_eq(add(&f, 2), 0);
	cr_assert_eq(stat(f.path, &whole), 0);
	for (off_t cut = 1; cut < 8; cut++) {
		cr_assert_eq(truncate(f.path, whole.st_size - cut), 0);
		cr_assert_str_eq(read_all(&f, &truncated), "1");
		cr_assert(truncated);
		reopen(&f);
		cr_assert_eq(add(&f, 3), 0);
		cr_assert_str_eq(read_all(&f, &truncated), "13");
		cr_assert_not(truncated);
	}
	/* Even within the first bytes of the file. */
	for (off_t size = 0; size < 8; size++) {
		cr_assert_eq(truncate(f.path, size), 0);
		reopen(&f);
		cr_assert_eq(add(&f, 4), 0);
		cr_assert_str_eq(read_all(&f, &truncated), "4");
	}
	teardown(&f);
}

Test(record_log, one_writer)
{
	struct record_writer *other;
	struct fixture f;

	setup(&f);
	cr_assert_eq(record_writer_open(f.path, &other, &f.err), -EWOULDBLOCK);
	cr_assert_not_null(strstr(f.err.text, "another program"));
	teardown(&f);
}

Test(record_log, a_file_that_is_none_is_left_alone)
{
	struct record_writer *other;
	struct fixture f;
	struct stat st;
	FILE *file;

	setup(&f);
	record_writer_free(f.w);
	f.w = NULL;
	file = fopen(f.path, "w");
	fputs("precious data of another kind", file);
	fclose(file);
	cr_assert_eq(record_writer_open(f.path, &other, &f.err), -EUCLEAN);
	cr_assert_not_null(strstr(f.err.text, f.path), "%s", f.err.text);
	cr_assert_eq(stat(f.path, &st), 0);
	cr_assert_eq(st.st_size, 29);
	cr_assert_lt(record_writer_open("/nonexistent/log", &other, &f.err), 0);
	teardown(&f);
}

Test(record_log, a_full_disk_leaves_whole_records)
{
	struct rlimit limit = { 100, 100 };
	struct fixture f;
	bool truncated;
	int r = 0;

	setup(&f);
	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	for (int i = 0; i < 20 && r == 0; i++)
		r = add(&f, 5);
	cr_assert_lt(r, 0);
	cr_assert_not_null(strstr(f.err.text, "record log"), "%s", f.err.text);
	cr_assert_eq(strspn(read_all(&f, &truncated), "5"), strlen(read_all(&f, &truncated)));
	cr_assert_not(truncated);
	teardown(&f);
}
