/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/clock.h"
#include "migrator/survey.h"

#define PAGES UINT64_C(20000)
#define MIB (UINT64_C(1) << 20)

static const uint8_t secret[PAGE_SECRET_SIZE] = "secret";
static uint8_t *memory;
static int fd;
static uint64_t state = 1;

static uint64_t next(void)
{
	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return state ^ state >> 29;
}

/* Which a compressor makes half of. */
static void fill(uint64_t page)
{
	uint64_t *words = (uint64_t *)(memory + page * PAGE_SIZE_BYTES);

	for (unsigned i = 0; i < PAGE_SIZE_BYTES / 16; i++)
		words[i] = next();
}

static void setup(void)
{
	fd = memfd_create("memory", MFD_CLOEXEC);
	cr_assert(fd >= 0 && ftruncate(fd, (off_t)(PAGES * PAGE_SIZE_BYTES)) == 0);
	memory = mmap(NULL, PAGES * PAGE_SIZE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	cr_assert_neq(memory, MAP_FAILED);
}

static void teardown(void)
{
	munmap(memory, PAGES * PAGE_SIZE_BYTES);
	close(fd);
}

TestSuite(survey, .init = setup, .fini = teardown);

static struct survey *begin(const struct reference *ref)
{
	struct survey *s;

	cr_assert_eq(survey_new(fd, PAGES, ref, NS_PER_S, &s), 0);
	return s;
}

static double mib(uint64_t bytes)
{
	return (double)bytes / (double)MIB;
}

Test(survey, what_is_left_depends_on_where)
{
	struct survey *s;

	for (uint64_t page = 5000; page < 10000; page++)
		fill(page);
	s = begin(NULL);
	cr_assert_float_eq(mib(survey_from(s, 0).data_bytes), 19.5, 0.5);
	cr_assert_float_eq(mib(survey_from(s, 0).wire_bytes), 9.8, 0.5);
	cr_assert_float_eq(mib(survey_from(s, 5000).data_bytes), 19.5, 0.5);
	cr_assert_float_eq(mib(survey_from(s, 7500).data_bytes), 9.8, 0.5);
	cr_assert_eq(survey_from(s, 10010).data_bytes, 0);
	cr_assert_eq(survey_from(s, PAGES + 5).wire_bytes, 0);
	survey_free(s);
}

Test(survey, what_the_target_has_is_no_longer_to_be_sent)
{
	struct reference *ref;
	struct survey *s;

	cr_assert_eq(reference_new(PAGES, secret, 0, &ref), 0);
	for (uint64_t page = 0; page < PAGES; page++) {
		const uint8_t *data = memory + page * PAGE_SIZE_BYTES;
		struct page_hash hash;

		fill(page);
		hash = page_hash(reference_hasher(ref), data);
		reference_note(ref, page, &hash, data);
		if (page >= PAGES / 2) /* a block of it changes */
			memory[page * PAGE_SIZE_BYTES]++;
	}
	s = begin(ref);
	cr_assert_lt(mib(survey_from(s, 0).wire_bytes - survey_from(s, PAGES / 2).wire_bytes), 0.2);
	cr_assert_float_eq(mib(survey_from(s, PAGES / 2).wire_bytes), 10000.0 * 136 / MIB, 0.2);
	survey_free(s);
	reference_free(ref);
}

/* So many pages a second at random, of the first `set`; a look each second. */
static struct survey_writes look(uint64_t rate, uint64_t set, unsigned seconds, bool whole)
{
	struct survey_writes found;
	struct survey *s;

	for (uint64_t page = 0; page < PAGES; page++)
		fill(page);
	s = begin(NULL);
	for (unsigned t = 1; t <= seconds; t++) {
		for (uint64_t i = 0; i < rate; i++) {
			uint64_t page = next() % set;

			if (whole)
				fill(page);
			else
				memory[page * PAGE_SIZE_BYTES + i % 100]++;
		}
		survey_look(s, fd, (t + 1) * NS_PER_S);
	}
	survey_writes(s, &found);
	survey_free(s);
	return found;
}

Test(survey, how_fast_and_how_far_it_writes)
{
	struct survey_writes found = look(2000, 4000, 5, true);

	cr_assert_float_eq(mib(found.bps), 7.8, 1.5);
	cr_assert_float_eq(mib(found.working_set), 15.6, 2.5);
	cr_assert_float_eq((double)found.permille, 500, 20);
	found = look(1000, PAGES, 4, false);
	cr_assert_float_eq(mib(found.bps), 3.9, 0.8);
	cr_assert(found.working_set == 0 || found.working_set > 40 * MIB);
	cr_assert_lt(found.permille, 50, "a block of each");
}

Test(survey, too_little_says_nothing)
{
	struct survey_writes found = look(5, PAGES, 2, true);

	cr_assert_eq(found.bps, 0);
	found = look(0, 1, 3, true);
	cr_assert_eq(found.bps, 0);
	cr_assert_eq(found.permille, 0);
}

Test(survey, a_file_that_is_too_short)
{
	struct survey *s;

	cr_assert_eq(survey_new(fd, PAGES * 2, NULL, 0, &s), -ENODATA);
	cr_assert_eq(survey_new(fd, 0, NULL, 0, &s), -ENODATA);
	cr_assert_eq(survey_new(fd, 3, NULL, 0, &s), 0, "fewer pages than samples");
	survey_free(s);
}
