/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "sim/guest/memory.h"

#define PAGES 256

static struct memory memory;
static struct memory_fault last;
static unsigned faults, unbalanced;

static void on_fault(const struct memory_fault *fault, void *userdata)
{
	(void)userdata;
	last = *fault;
	faults++;
}

static void on_unbalanced(uint64_t ledger, uint64_t written, void *userdata)
{
	(void)userdata;
	cr_assert_neq(ledger, written);
	unbalanced++;
}

static void setup(void)
{
	struct pattern pattern;

	memset(&pattern, 0xff, sizeof(pattern)); /* as a stack may have left it */
	pattern_init(&pattern, 9, 2.0, 8);
	cr_assert_eq(memory_init(&memory, &pattern, PAGES), 0);
	memory.on_fault = on_fault;
	memory.on_unbalanced = on_unbalanced;
}

static void teardown(void)
{
	memory_done(&memory);
}

TestSuite(memory, .init = setup, .fini = teardown);

Test(memory, writes_and_verifies)
{
	for (unsigned i = 0; i < 100; i++) {
		memory_write(&memory, 10, PAGES / 4);
		memory_verify(&memory, 100);
	}
	cr_assert_eq(faults + unbalanced, 0);
	cr_assert_eq(memory.counts.written, 1000);
	cr_assert_eq(memory.counts.verified, 10000);
	cr_assert_eq(memory.counts.passes, 10000 / PAGES);
	for (uint64_t i = 0; i < PAGES; i++)
		cr_assert_eq(memory.expected[i] > 0, i < PAGES / 4, "page %lu", i);
}

Test(memory, one_bit)
{
	memory.pages[100 * PATTERN_PAGE + 4000] ^= 1;
	memory_verify(&memory, PAGES);
	cr_assert_eq(faults, 1);
	cr_assert_eq(last.page, 100);
	cr_assert_eq(last.state, PAGE_TORN);
	cr_assert_eq(memory.counts.errors, 1);
	memory_verify(&memory, PAGES);
	cr_assert_eq(faults, 1, "reported once, then rewritten");
	cr_assert_eq(memory.counts.errors, 1);
}

Test(memory, a_write_that_was_lost)
{
	uint8_t before[PATTERN_PAGE];

	memcpy(before, memory_page(&memory, 0), PATTERN_PAGE);
	memory_write(&memory, 1, 1);
	memcpy(memory_page(&memory, 0), before, PATTERN_PAGE);
	memory_verify(&memory, PAGES);
	cr_assert_eq(faults, 1);
	cr_assert_eq(last.state, PAGE_STALE);
	cr_assert_eq(last.expected, 1);
	cr_assert_eq(last.found.generation, 0);
}

Test(memory, swapped_pages)
{
	uint8_t kept[PATTERN_PAGE];

	memcpy(kept, memory_page(&memory, 3), PATTERN_PAGE);
	memcpy(memory_page(&memory, 3), memory_page(&memory, 4), PATTERN_PAGE);
	memcpy(memory_page(&memory, 4), kept, PATTERN_PAGE);
	memory_verify(&memory, PAGES);
	cr_assert_eq(faults, 2);
	cr_assert_eq(last.state, PAGE_MISPLACED);
}

/* A page and the table's entry for it, both from before the last write. */
Test(memory, a_page_stale_together_with_the_table)
{
	uint8_t before[PATTERN_PAGE];

	memcpy(before, memory_page(&memory, 0), PATTERN_PAGE);
	memory_write(&memory, 1, 1);
	memcpy(memory_page(&memory, 0), before, PATTERN_PAGE);
	memory.expected[0] = 0;
	memory_verify(&memory, PAGES);
	cr_assert_eq(faults, 0, "the page itself looks right");
	cr_assert_eq(unbalanced, 1);
	cr_assert_eq(memory.counts.errors, 1);
	memory_verify(&memory, PAGES);
	cr_assert_eq(unbalanced, 1, "reported once");
}
