/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "sim/testbed/scenario.h"

static const char good[] = "name: test\n"
			   "duration: 20s\n"
			   "towers:\n"
			   "  - {name: a, x: 0, y: 0}\n"
			   "  - {name: b, x: 1000, y: 0}\n"
			   "backhaul: {delay: 8ms, jitter: 1ms, rate: 1Gbit, loss: 0.19}\n"
			   "radio: {delay: 2ms, delay_per_km: 10ms, handover: 100}\n"
			   "phone:\n"
			   "  name: phone\n"
			   "  path:\n"
			   "    - {at: 2s, x: 0, y: 0}\n"
			   "    - {at: 12s, x: 1000, y: 0}\n"
			   "guest:\n"
			   "  name: vm\n"
			   "  tower: a\n"
			   "  memory: 192M\n"
			   "  pattern: 64M\n"
			   "policy: {threshold: 10ms, hold: 1s, margin: 2ms, min_stay: 5s}\n"
			   "moves:\n"
			   "  - {from: a, to: b, reason: threshold}\n";

/* The good text with the first `from` replaced by `to`. */
static int parse_with(const char *from, const char *to, struct scenario **ret,
		      struct mg_error *err)
{
	char text[2048];
	const char *at = strstr(good, from);

	cr_assert_not_null(at, "%s", from);
	snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - good), good, to, at + strlen(from));
	return scenario_parse("t.yaml", text, strlen(text), ret, err);
}

static struct scenario *parse_good(void)
{
	struct scenario *s = NULL;
	struct mg_error err = { 0 };

	cr_assert_eq(scenario_parse("t.yaml", good, strlen(good), &s, &err), 0, "%s", err.text);
	return s;
}

Test(scenario, reads_quantities_and_defaults)
{
	_cleanup_free_ struct scenario *s = parse_good();

	cr_assert_str_eq(s->name, "test");
	cr_assert_eq(s->duration_ns, 20 * NS_PER_S);
	cr_assert_eq(s->n_towers, 2);
	cr_assert_eq(s->backhaul.rate_bps, 1000000000);
	cr_assert_eq(s->radio.link.delay_ns, 2 * NS_PER_MS);
	cr_assert_eq(s->guest.memory, 192 << 20);
	cr_assert_eq(s->guest.working_set, s->guest.pattern);
	cr_assert_eq(s->policy.threshold_ns, 10 * NS_PER_MS);
	cr_assert_eq(s->n_expected, 1);
	cr_assert_eq(s->expected[0].to, 1);
	cr_assert_str_eq(s->expected[0].reason, "threshold");
}

Test(scenario, errors_name_the_line_and_the_field)
{
	static const struct {
		const char *from, *to, *line, *says;
	} cases[] = {
		{ "duration: 20s", "duration: 20", "line 2", "duration" },
		{ "duration: 20s", "duration: 2h", "line 2", "hour" },
		{ "duration: 20s", "duration: 10ms", "line 2", "second" },
		{ "name: b", "name: a", "line 5", "second tower" },
		{ "name: b", "name: b/c", "line 5", "not a name" },
		{ "x: 1000, y: 0}\nback", "x: 1e9, y: 0}\nback", "line 5", "metres" },
		{ "x: 1000, y: 0}\nback", "x: nan, y: 0}\nback", "line 5", "x" },
		{ "rate: 1Gbit", "rate: fast", "line 6", "backhaul.rate" },
		{ "loss: 0.19", "loss: 2", "line 6", "probability" },
		{ "jitter: 1ms", "jitter: 1ms, distribution: odd", "line 6", "normal" },
		{ "handover: 100", "handover: -1", "line 7", "handover" },
		{ "at: 12s", "at: 2s", "line 12", "later" },
		{ "tower: a", "tower: c", "line 15", "no tower 'c'" },
		{ "memory: 192M", "memory: 32M", "line 16", "boot" },
		{ "pattern: 64M", "pattern: 512M", "line 17", "kernel" },
		{ "pattern: 64M", "pattern: 64M\n  compressibility: 99", "line 18", "10" },
		{ "threshold: 10ms", "threshold: 0ms", "line 18", "zero" },
		{ "from: a", "from: b", "line 20", "not at 'b'" },
		{ "to: b", "to: a", "line 20", "where it is" },
		/* What the schema alone refuses. */
		{ "duration: 20s\n", "", "", "duration" },
		{ "hold: 1s", "hold: 1s, colour: red", "", "colour" },
		{ "  - {name: b, x: 1000, y: 0}\n", "", "", "t.yaml" },
		{ "handover: 100", "handover: soon", "", "handover" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct scenario *s = NULL;
		struct mg_error err = { 0 };

		cr_assert_eq(parse_with(cases[i].from, cases[i].to, &s, &err), -EINVAL,
			     "case %zu: %s", i, cases[i].to);
		cr_assert_not_null(strstr(err.text, cases[i].line), "case %zu: %s", i, err.text);
		cr_assert_not_null(strstr(err.text, cases[i].says), "case %zu: %s", i, err.text);
		cr_assert_not_null(strstr(err.text, "line"), "case %zu: %s", i, err.text);
		cr_assert_null(s);
	}
}

Test(scenario, the_phone_walks_its_path)
{
	_cleanup_free_ struct scenario *s = parse_good();

	cr_assert_float_eq(scenario_phone_at(s, 0).x, 0, 1e-9);
	cr_assert_float_eq(scenario_phone_at(s, 7 * NS_PER_S).x, 500, 1e-9);
	cr_assert_float_eq(scenario_phone_at(s, 12 * NS_PER_S).x, 1000, 1e-9);
	cr_assert_float_eq(scenario_phone_at(s, 99 * NS_PER_S).x, 1000, 1e-9);
}

Test(scenario, attachment_changes_past_the_handover_margin)
{
	_cleanup_free_ struct scenario *s = parse_good();

	cr_assert_eq(scenario_attachment(s, (struct position){ 10, 0 }, -1), 0);
	cr_assert_eq(scenario_attachment(s, (struct position){ 549, 0 }, 0), 0);
	cr_assert_eq(scenario_attachment(s, (struct position){ 551, 0 }, 0), 1);
	cr_assert_eq(scenario_attachment(s, (struct position){ 451, 0 }, 1), 1);
	cr_assert_eq(scenario_attachment(s, (struct position){ 449, 0 }, 1), 0);
}

Test(scenario, links_follow_from_the_model)
{
	_cleanup_free_ struct scenario *s = parse_good();
	struct link_params up = scenario_uplink(s);

	cr_assert_eq(scenario_radio(s, 500).delay_ns, 7 * NS_PER_MS);
	cr_assert_eq(up.delay_ns, 4 * NS_PER_MS);
	cr_assert_float_eq(up.loss, 0.1, 1e-9);
	cr_assert_eq(up.jitter_ns, 707106);
}

Test(scenario, those_that_we_ship_are_good)
{
	static const char *const names[] = { "demo", "walk" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		_cleanup_free_ struct scenario *s = NULL;
		struct mg_error err = { 0 };
		char path[512];

		snprintf(path, sizeof(path), "%s/sim/scenarios/%s.yaml", getenv("top_srcdir"),
			 names[i]);
		cr_assert_eq(scenario_load(path, &s, &err), 0, "%s", err.text);
		cr_assert_str_eq(s->name, names[i]);
	}
}
