/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/reference/tally.h"

#include <criterion/criterion.h>
#include <math.h>

Test(tally, mean_and_deviations)
{
	const double samples[] = { 1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16 };
	struct tally t = { 0 };

	for (int i = 0; i < 4; i++)
		tally_add(&t, samples[i]);
	cr_assert_float_eq(t.mean, 1e9 + 10, 1e-6);
	cr_assert_float_eq(t.squares, 90, 1e-6);
}

/* Student's t for 29 degrees of freedom from the usual tables: 2.045 at 5 %, 2.756 at 1 %. */
Test(tally, intervals_are_those_of_the_tables)
{
	struct tally t = { .n = 30, .squares = 29 };

	cr_assert_float_eq(tally_half_width(&t, 0.05) * sqrt(30), 2.045, 0.002);
	cr_assert_float_eq(tally_half_width(&t, 0.01) * sqrt(30), 2.756, 0.004);
	t = (struct tally){ .n = 1000000, .squares = 999999 };
	cr_assert_float_eq(tally_half_width(&t, 0.05) * 1000, 1.95996, 1e-4);
	t.n = 1;
	cr_assert(isinf(tally_half_width(&t, 0.05)));
}
