/* SPDX-License-Identifier: Apache-2.0
 *
 * Huge pages for a test: the kernel makes them when they are used, as many as it is
 * allowed to for the whole machine. That number is raised and lowered again.
 */
#ifndef TESTS_UNIT_MIGRATOR_HUGE_PAGES_H
#define TESTS_UNIT_MIGRATOR_HUGE_PAGES_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/file.h>

#define HUGE_PAGES_LIMIT "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_overcommit_hugepages"

/* Allows so many of 2 MiB more, or fewer. Skips the test where that is not for us to say. */
static inline void huge_pages_allow(int more)
{
	FILE *f = fopen(HUGE_PAGES_LIMIT, "r+");
	int allowed = 0;

	if (!f)
		cr_skip_test("no huge pages without root and a kernel that has them");
	cr_assert_eq(flock(fileno(f), LOCK_EX), 0); /* against other tests, until it is closed */
	cr_assert_eq(fscanf(f, "%d", &allowed), 1);
	rewind(f);
	cr_assert_gt(fprintf(f, "%d\n", allowed + more), 0);
	cr_assert_eq(fclose(f), 0);
}

#endif
