/* SPDX-License-Identifier: Apache-2.0
 *
 * Scenarios: what passes the checks must be usable throughout, what does not
 * must say why. The line of any value can be asked in any text.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "common/config.h"
#include "sim/testbed/scenario.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

/* The phone's way: always somewhere, always attached to a tower that exists. */
static void walk(const struct scenario *s)
{
	int tower = -1;

	for (int i = 0; i <= 20; i++) {
		struct position at = scenario_phone_at(s, s->duration_ns / 20 * (uint64_t)i);
		double distance;

		check(isfinite(at.x) && isfinite(at.y));
		tower = scenario_attachment(s, at, tower);
		check(tower >= 0 && tower < s->n_towers);
		distance = position_distance(at, s->towers[tower].at);
		check(scenario_radio(s, distance).delay_ns >= s->radio.link.delay_ns);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const paths[] = { "", "towers[1].x", "phone.path[0].at", "[0][", "a..b]" };
	const char *text = (const char *)data;
	struct mg_error err = { 0 };
	struct scenario *s = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		config_line(text, size, paths[i]);
	if (scenario_parse("fuzz.yaml", text, size, &s, &err) < 0) {
		check(err.text[0] && !s);
		return 0;
	}
	check(s->n_towers >= 2 && s->n_towers <= TOWERS_MAX && s->guest.tower >= 0);
	check(s->n_expected <= EXPECTED_MAX && s->phone.n_path >= 1);
	check(scenario_uplink(s).loss >= 0 && scenario_uplink(s).loss <= 1);
	walk(s);
	free(s);
	return 0;
}
