/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "common/clock.h"
#include "telemetry/pace.h"

static const struct pace_view calm = {
	.srtt_ns = 5 * NS_PER_MS,
	.rttvar_ns = NS_PER_MS / 10,
	.threshold_ns = 20 * NS_PER_MS,
	.confidence = 100,
};

static void take(struct pace *p, const struct pace_view *v, unsigned samples, unsigned most)
{
	for (unsigned i = 0; i < samples; i++)
		pace_sample(p, v, most);
}

Test(pace, calm_samples_double_the_interval_up_to_the_limit)
{
	struct pace p = { 0 };

	take(&p, &calm, PACE_CALM - 1, 2);
	cr_assert_eq(p.stretch, 0);
	take(&p, &calm, 1, 2);
	cr_assert_eq(p.stretch, 1);
	take(&p, &calm, PACE_CALM, 2);
	cr_assert_eq(p.stretch, 2);
	take(&p, &calm, 10 * PACE_CALM, 2);
	cr_assert_eq(p.stretch, 2);
	take(&p, &calm, 1, 1);
	cr_assert_eq(p.stretch, 1, "a lower limit");
	pace_alarm(&p);
	cr_assert_eq(p.stretch, 0);
}

Test(pace, whatever_is_not_calm_ends_it_at_once)
{
	struct pace_view views[5] = { calm, calm, calm, calm, calm };

	views[0].doubt = 0.6;
	views[1].confidence = 80;
	views[2].srtt_ns = 24 * NS_PER_MS; /* within a quarter */
	views[3].srtt_ns = 12 * NS_PER_MS;
	views[3].rttvar_ns = 2 * NS_PER_MS; /* within four variations */
	views[4].srtt_ns = 16 * NS_PER_MS;
	for (int i = 0; i < 5; i++) {
		struct pace p = { .calm = 3, .stretch = 2 };

		take(&p, &views[i], 1, 4);
		cr_assert_eq(p.stretch, 0, "%d", i);
		take(&p, &views[i], 5 * PACE_CALM, 4);
		cr_assert_eq(p.stretch, 0, "%d", i);
	}
	views[2].threshold_ns = 0; /* none is known */
	{
		struct pace p = { 0 };

		take(&p, &views[2], PACE_CALM, 4);
		cr_assert_eq(p.stretch, 1);
	}
}

Test(pace, the_limit_is_held)
{
	cr_assert_eq(pace_most(NS_PER_S, NS_PER_S), 0);
	cr_assert_eq(pace_most(NS_PER_S, 2 * NS_PER_S - 1), 0);
	cr_assert_eq(pace_most(NS_PER_S, 2 * NS_PER_S), 1);
	cr_assert_eq(pace_most(NS_PER_S, 5 * NS_PER_S), 2);
	cr_assert_eq(pace_most(2 * NS_PER_S, NS_PER_S), 0);
	cr_assert_eq(pace_most(1, UINT64_MAX), PACE_STRETCH_MAX);
}
