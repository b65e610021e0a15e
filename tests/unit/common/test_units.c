/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>

#include "common/units.h"

Test(units, sizes)
{
	uint64_t v;

	cr_assert_eq(size_parse("512M", &v), 0);
	cr_assert_eq(v, 512ull << 20);
	cr_assert_eq(size_parse("524280K", &v), 0);
	cr_assert_eq(v, 524280ull << 10);
	cr_assert_eq(size_parse("2GiB", &v), 0);
	cr_assert_eq(v, 2ull << 30);
	cr_assert_eq(size_parse("4096", &v), 0);
	cr_assert_eq(v, 4096);
	cr_assert_eq(size_parse("99999999T", &v), -ERANGE);
}

Test(units, durations_and_rates)
{
	uint64_t v;

	cr_assert_eq(duration_parse("20ms", &v), 0);
	cr_assert_eq(v, 20000000);
	cr_assert_eq(duration_parse("1.5s", &v), 0);
	cr_assert_eq(v, 1500000000);
	cr_assert_eq(duration_parse("20", &v), -EINVAL, "a unit is required");
	cr_assert_eq(rate_parse("200Mbit", &v), 0);
	cr_assert_eq(v, 200000000);
	cr_assert_eq(rate_parse("1e300Gbit", &v), -ERANGE);
}

Test(units, what_is_no_quantity)
{
	static const char *const bad[] = { "", " 1M", "-1M", "nan", "inf", "0x10", "1Q", "M", "1 M" };
	uint64_t v = 42;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_eq(size_parse(bad[i], &v), -EINVAL, "'%s'", bad[i]);
	cr_assert_eq(v, 42, "unchanged on failure");
}

Test(units, formats)
{
	char t[UNITS_TEXT_SIZE];

	cr_assert_str_eq(size_format(1610612736, t), "1.50 GiB");
	cr_assert_str_eq(size_format(0, t), "0 B");
	cr_assert_str_eq(duration_format(12345678, t), "12.3 ms");
	cr_assert_str_eq(rate_format(200000000, t), "200 Mbit/s");
}

Test(units, instants)
{
	static const char *const bad[] = { "", "2026-12-01", "2026-12-01T02:00", "2026-02-31T02:00Z",
					   "2026-12-01T25:00Z", "2026-12-01T02:00Z ", "1969-12-31T00:00Z" };
	uint64_t v = 7;

	cr_assert_eq(instant_parse("2026-12-01T02:00Z", &v), 0);
	cr_assert_eq(v, UINT64_C(1796090400000000000));
	cr_assert_eq(instant_parse("1970-01-01T00:00:01Z", &v), 0);
	cr_assert_eq(v, UINT64_C(1000000000));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_eq(instant_parse(bad[i], &v), -EINVAL, "%s", bad[i]);
	cr_assert_eq(v, UINT64_C(1000000000));
}
