/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "migrator/arrival.h"

#define PAGES 200
#define HASHES_AT ARRIVAL_HEADER_SIZE

static const uint8_t secret[PAGE_SECRET_SIZE] = "secret";
static const struct uuid image = { { 1, 2, 3 } }, other = { { 9 } };
static struct page_hasher hasher;
static char directory[] = "/tmp/test-arrival-XXXXXX", path[sizeof(directory) + 16];
static uint8_t memory[PAGES][PAGE_SIZE_BYTES];

static void setup(void)
{
	cr_assert(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/" ARRIVAL_FILE, directory);
	cr_assert_eq(page_hasher_init(&hasher, secret), 0);
	for (unsigned i = 0; i < PAGES; i++)
		for (unsigned at = 0; at < PAGE_SIZE_BYTES; at += 64)
			memory[i][at] = (uint8_t)(i + at / 64 + 1);
}

static void teardown(void)
{
	page_hasher_exit(&hasher);
	(void)unlink(path);
	(void)rmdir(directory);
}

TestSuite(arrival, .init = setup, .fini = teardown);

static struct arrival *begin(void)
{
	struct arrival *a;
	struct mg_error err = { 0 };

	cr_assert_eq(arrival_new(path, &image, PAGES, &a, &err), 0, "%s", err.text);
	return a;
}

static void note(struct arrival *a, uint64_t page, uint64_t count)
{
	arrival_note(a, &hasher, page, count, memory[page], NULL);
}

/* Pages 10 to 189 but the hundredth are there, of which 20 came twice. */
static void write_one(void)
{
	struct arrival *a = begin();
	struct page_hash hashes[20];
	struct mg_error err = { 0 };

	arrival_note_zero(a, 0, PAGES);
	note(a, 10, 180);
	memory[20][700] ^= 0xff;
	for (unsigned i = 0; i < 20; i++)
		hashes[i] = page_hash(&hasher, memory[20 + i]);
	arrival_note(a, &hasher, 20, 20, memory[20], hashes);
	arrival_note_zero(a, 100, 1);
	cr_assert_eq(arrival_finish(a, &err), 0, "%s", err.text);
	arrival_free(a);
}

static struct reference *load(void)
{
	struct reference *ref;
	struct arrived *a;

	cr_assert_eq(arrived_open(path, &image, PAGES, &a), 0);
	cr_assert_eq(arrived_known(a), 179);
	cr_assert_eq(reference_new(PAGES, secret, 0, &ref), 0);
	cr_assert_eq(arrived_load(a, ref, NULL, NULL), 0);
	arrived_free(a);
	return ref;
}

static bool not_again(void *userdata)
{
	unsigned *calls = userdata;

	return ++*calls < 2;
}

Test(arrival, who_loads_one_may_stop)
{
	struct reference *ref;
	struct arrived *a;
	unsigned calls = 0;

	write_one();
	cr_assert_eq(arrived_open(path, &image, PAGES, &a), 0);
	cr_assert_eq(reference_new(PAGES, secret, 0, &ref), 0);
	cr_assert_eq(arrived_load(a, ref, not_again, &calls), -ECANCELED);
	cr_assert_eq(calls, 2);
	reference_free(ref);
	arrived_free(a);
}

Test(arrival, what_came_is_what_is_known)
{
	struct reference *ref;
	struct stat st;

	write_one();
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0600);
	ref = load();
	for (unsigned i = 0; i < PAGES; i++) {
		struct page_hash hash = page_hash(&hasher, memory[i]);
		bool known = i >= 10 && i < 190 && i != 100;

		cr_assert_eq(reference_same(ref, i, &hash), known, "page %u", i);
		cr_assert_eq(reference_changed(ref, i, memory[i]), known ? 0 : UINT32_MAX);
	}
	memory[20][5 * PAGE_BLOCK_BYTES] ^= 1;
	cr_assert_eq(reference_changed(ref, 20, memory[20]), 1u << 5);
	reference_free(ref);
}

Test(arrival, a_move_that_did_not_end_leaves_nothing)
{
	struct arrival *a = begin();
	struct arrived *r;

	note(a, 0, PAGES);
	cr_assert_eq(arrived_open(path, &image, PAGES, &r), -EBADMSG, "it was used half written");
	arrival_free(a);
	cr_assert_eq(access(path, F_OK), -1);
	cr_assert_eq(arrived_open(path, &image, PAGES, &r), -ENOENT);
}

Test(arrival, is_of_one_image_and_one_size)
{
	struct arrived *r;

	write_one();
	cr_assert_eq(arrived_open(path, &other, PAGES, &r), -ESTALE);
	cr_assert_eq(arrived_open(path, &image, PAGES + 1, &r), -ESTALE);
}

Test(arrival, is_not_written_over)
{
	struct arrival *a;
	struct mg_error err = { 0 };

	write_one();
	cr_assert_eq(arrival_new(path, &other, PAGES, &a, &err), -EEXIST);
	reference_free(load());
}

Test(arrival, a_file_that_was_cut_is_not_used)
{
	struct arrived *r;
	struct stat st;

	write_one();
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(truncate(path, st.st_size - 1), 0);
	cr_assert_eq(arrived_open(path, &image, PAGES, &r), -EBADMSG);
	cr_assert_eq(truncate(path, 20), 0);
	cr_assert_eq(arrived_open(path, &image, PAGES, &r), -EBADMSG);
}

/* It is opened before a move begins, and read then. */
Test(arrival, a_file_that_is_cut_while_it_is_read_is_used_as_far_as_it_goes)
{
	struct page_hash hash = page_hash(&hasher, memory[70]);
	struct reference *ref;
	struct arrived *a;

	write_one();
	cr_assert_eq(reference_new(PAGES, secret, 0, &ref), 0);
	cr_assert_eq(arrived_open(path, &image, PAGES, &a), 0);
	cr_assert_eq(truncate(path, HASHES_AT + PAGES * 16 + 128 * 256), 0);
	cr_assert_eq(arrived_load(a, ref, NULL, NULL), -EBADMSG);
	cr_assert(reference_same(ref, 70, &hash));
	cr_assert_eq(reference_at(ref, 150), REFERENCE_NONE);
	arrived_free(a);
	reference_free(ref);
}

Test(arrival, a_full_disk_costs_the_file)
{
	struct arrival *a = begin();
	struct mg_error err = { 0 };
	struct rlimit was, limit;

	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(getrlimit(RLIMIT_FSIZE, &was), 0);
	limit = (struct rlimit){ .rlim_cur = 16 << 10, .rlim_max = was.rlim_max };
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	note(a, 0, PAGES);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &was), 0);
	arrival_note_zero(a, 0, PAGES);
	cr_assert_eq(arrival_finish(a, &err), -EFBIG);
	arrival_free(a);
	cr_assert_eq(access(path, F_OK), -1);
}
