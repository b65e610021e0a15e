/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sim/guest/options.h"

static struct guest_options o;
static char bad[64];

static void setup(void)
{
	guest_options_init(&o);
}

TestSuite(options, .init = setup);

static int take(const char *cmdline)
{
	return guest_options_cmdline(&o, cmdline, bad, sizeof(bad));
}

Test(options, defaults)
{
	cr_assert_eq(take("quiet console=hvc0"), 0);
	cr_assert_eq(guest_options_finish(&o), 0);
	cr_assert_eq(o.ws, o.mem);
	cr_assert(o.verify > 0);
}

Test(options, all_of_them)
{
	cr_assert_eq(take("quiet tagguest.mem=128M tagguest.rate=10M tagguest.ws=64M "
			  "tagguest.compress=3.5 tagguest.seed=0x7 tagguest.verify=1G "
			  "tagguest.ip=10.10.0.5/16 tagguest.gw=10.10.0.1 tagguest.mtu=1450 "
			  "tagguest.bits=5 tagguest.disk=vda\n"),
		     0);
	cr_assert_eq(guest_options_finish(&o), 0);
	cr_assert_eq(o.mem, 128u << 20);
	cr_assert_eq(o.rate, 10u << 20);
	cr_assert_eq(o.ws, 64u << 20);
	cr_assert_eq(o.verify, 1u << 30);
	cr_assert_float_eq(o.ratio, 3.5, 1e-9);
	cr_assert_eq(o.seed, 7);
	cr_assert_eq(o.bits, 5);
	cr_assert_str_eq(o.disk, "vda");
}

Test(options, bad_ones_are_named)
{
	static const char *const words[] = {
		"tagguest.mem=",        "tagguest.mem=lots",  "tagguest.mem=-1",
		"tagguest.compress=0",  "tagguest.compress=11", "tagguest.compress=nan",
		"tagguest.seed=-1",     "tagguest.seed=1x",   "tagguest.disk=../etc",
		"tagguest.disk=",       "tagguest.what=1",    "tagguest.rate",
		"tagguest.bits=0",      "tagguest.bits=9",    "tagguest.bits=12",
		"tagguest.seed=99999999999999999999999",
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		char line[128];

		snprintf(line, sizeof(line), "quiet %s tagguest.ws=4M", words[i]);
		cr_assert_lt(take(line), 0, "%s", words[i]);
		cr_assert_str_eq(bad, words[i]);
	}
}

Test(options, a_word_without_end)
{
	char line[4096] = "tagguest.mem=";

	memset(line + strlen(line), '1', sizeof(line) - strlen(line) - 1);
	cr_assert_eq(take(line), -EINVAL);
}

Test(options, what_does_not_fit_together)
{
	cr_assert_eq(take("tagguest.mem=8M tagguest.ws=16M"), 0);
	cr_assert_eq(guest_options_finish(&o), -EINVAL);
	setup();
	cr_assert_eq(take("tagguest.mem=100"), 0);
	cr_assert_eq(guest_options_finish(&o), -EINVAL);
	setup();
	cr_assert_eq(take("tagguest.touch=256"), 0);
	cr_assert_eq(guest_options_finish(&o), 0);
	cr_assert_eq(o.touch, 256);
	cr_assert_eq(take("tagguest.touch=4097"), 0);
	cr_assert_eq(guest_options_finish(&o), -EINVAL);
	cr_assert_eq(take("tagguest.touch=39"), 0);
	cr_assert_eq(guest_options_finish(&o), -EINVAL, "the label always changes");
}

Test(options, changes_at_run_time)
{
	cr_assert_eq(guest_options_finish(&o), 0);
	cr_assert_eq(guest_options_update(&o, " rate=5M ws=8M\n", bad, sizeof(bad)), 0);
	cr_assert_eq(o.rate, 5u << 20);
	cr_assert_eq(o.ws, 8u << 20);
	cr_assert_eq(guest_options_update(&o, "rate=0", bad, sizeof(bad)), 0);
	cr_assert_eq(o.rate, 0);
}

Test(options, a_bad_change_changes_nothing)
{
	cr_assert_eq(guest_options_finish(&o), 0);
	cr_assert_eq(guest_options_update(&o, "rate=5M mem=1M", bad, sizeof(bad)), -ENOENT);
	cr_assert_str_eq(bad, "mem=1M");
	cr_assert_eq(o.rate, 1u << 20);
	cr_assert_eq(guest_options_update(&o, "rate=5M ws=1T", bad, sizeof(bad)), -EINVAL);
	cr_assert_eq(o.rate, 1u << 20);
	cr_assert_eq(guest_options_update(&o, "rate=5M ws=0", bad, sizeof(bad)), -EINVAL);
	cr_assert_eq(guest_options_update(&o, "rate", bad, sizeof(bad)), -EINVAL);
}
