/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "common/config.h"

struct sample {
	char *name;
	unsigned count;
};

static const cyaml_schema_field_t fields[] = {
	CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, struct sample, name, 0, 100),
	CYAML_FIELD_UINT("count", CYAML_FLAG_OPTIONAL, struct sample, count),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct sample, fields),
};

static int parse(const char *text, struct sample **ret, struct mg_error *err)
{
	return config_parse("test.yaml", text, strlen(text), &schema, (void **)ret, err);
}

Test(config, loads)
{
	struct sample *s = NULL;
	struct mg_error err = { 0 };

	cr_assert_eq(parse("name: x\ncount: 3\n", &s, &err), 0, "%s", err.text);
	cr_assert_str_eq(s->name, "x");
	cr_assert_eq(s->count, 3);
	config_free(&schema, s);
}

Test(config, errors_name_file_line_and_field)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "name: x\n\ncolour: red\n", "Unexpected key: colour, in mapping (line: 3)" },
		{ "{name: x,\n\n colour: red}\n", "colour, in mapping (line: 3)" },
		{ "colour: red\nname: x\n", "colour, in mapping (line: 1)" },
		{ "name: x\ncount: 1\nname: y\n", "already seen: name, in mapping field 'name' (line: 3)" },
		{ "name: x\ncount: many\n", "in mapping field 'count' (line: 2)" },
		{ "name: x\ncount:\n\t3\n", "(line: 3)" },
		{ "name: x\n\xff\n", "(line: 2)" },
		{ "name: x\n---\nname: y\n", "a second document begins (line: 2)" },
		{ "name: x\n...\n- [\n", "(line: 3)" },
		{ "count: 3\n", "name" },
		{ "", "empty" },
		{ "- a\n- b\n", "(line: 1)" },
		{ "name: &a x\ncount: *a\n", "(line: 2)" },
		{ "name: [\n", "(line: 1)" },
		{ "name: x\ncount: 1\n  y: 2\n", "in mapping field 'count' (line: 3)" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sample *s = NULL;
		struct mg_error err = { 0 };

		cr_assert_eq(parse(cases[i].text, &s, &err), -EINVAL, "case %zu", i);
		cr_assert_not_null(strstr(err.text, cases[i].says), "case %zu: %s", i, err.text);
		cr_assert_not_null(strstr(err.text, "test.yaml"), "case %zu: %s", i, err.text);
	}
}

/* libyaml takes minutes for what nests a million times; where that is, nobody has to look. */
Test(config, deep_nonsense_is_refused_at_once, .timeout = 20)
{
	static const char *const heads[] = { "name: x\n---\n", "colour: ", "name: x\ncolour: ",
					     "name: x\nname: ", "name: " };
	static char text[900000];

	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		struct sample *s = NULL;
		struct mg_error err = { 0 };

		memset(text, '[', sizeof(text) - 1);
		memcpy(text, heads[i], strlen(heads[i]));
		cr_assert_eq(parse(text, &s, &err), -EINVAL);
		cr_assert_not_null(strstr(err.text, "(line: "), "%s", err.text);
	}
}

Test(config, finds_the_line_of_a_value)
{
	static const char text[] = "name: x\n"
				   "walk:\n"
				   "  - at: 0s\n"
				   "    x: 1\n"
				   "  - at: 1s\n"
				   "    x: oops\n"
				   "radio: {delay: 2ms}\n";
	static const struct {
		const char *path;
		unsigned line;
	} cases[] = {
		{ "name", 1 },         { "walk", 3 },     { "walk[0].at", 3 }, { "walk[1].x", 6 },
		{ "radio.delay", 7 },  { "walk[7].x", 3 }, { "nothing", 1 },    { "walk[1].y", 5 },
		{ "radio.delay.z", 7 }, { "", 1 },        { "walk[", 3 },       { "[0]", 1 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_assert_eq(config_line(text, strlen(text), cases[i].path), cases[i].line,
			     "%s: %u", cases[i].path,
			     config_line(text, strlen(text), cases[i].path));
	cr_assert_eq(config_line("a: [\n", 5, "a"), 0);
	cr_assert_eq(config_line("", 0, "a"), 0);
}

struct switches {
	bool on;
	char guard;
};

static const cyaml_schema_field_t switch_fields[] = {
	CONFIG_FIELD_BOOL("on", CYAML_FLAG_OPTIONAL, struct switches, on),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t switch_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct switches, switch_fields),
};

Test(config, a_switch_is_true_or_false_and_nothing_else)
{
	static const struct {
		const char *text;
		int r;
		bool on;
	} cases[] = {
		{ "on: true\n", 0, true },       { "on: false\n", 0, false },
		{ "{}\n", 0, false },            { "on: flase\n", -EINVAL, false },
		{ "on: maybe\n", -EINVAL, false }, { "on: ''\n", -EINVAL, false },
		{ "on: 1\n", -EINVAL, false },    { "on: [true]\n", -EINVAL, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *text = cases[i].text;
		struct switches *s = NULL;

		cr_assert_eq(config_parse("test.yaml", text, strlen(text), &switch_schema,
					  (void **)&s, NULL), cases[i].r, "%s", text);
		if (s) {
			cr_assert_eq(s->on, cases[i].on, "%s", text);
			cr_assert_eq(s->guard, 0);
		}
		config_free(&switch_schema, s);
	}
}
