/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "migrator/cli/options.h"

#define SET (OPTION_JSON | OPTION_NODE | OPTION_TIMEOUT | OPTION_FORCE | OPTION_BANDWIDTH)

static int parse(const char *line, struct options *o, int *first, char ***ret_argv,
		 struct mg_error *err)
{
	static char text[256], *argv[32];
	int argc = 1;
	char *save = NULL;

	snprintf(text, sizeof(text), "%s", line);
	argv[0] = (char *)"test";
	for (char *w = strtok_r(text, " ", &save); w; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	argv[argc] = NULL;
	*ret_argv = argv;
	return options_parse(argc, argv, SET, o, first, err);
}

Test(cli_options, options_and_operands_mix)
{
	struct mg_error err = { 0 };
	struct options o;
	char **argv;
	int first;

	cr_assert_eq(parse("web --node tower-a -j tower-b --timeout=1.5s --bandwidth 10Mbit", &o,
			   &first, &argv, &err), 0, "%s", err.text);
	cr_assert(o.json);
	cr_assert_not(o.force);
	cr_assert_str_eq(o.node, "tower-a");
	cr_assert_eq(o.timeout_ns, 1500000000);
	cr_assert_eq(o.bandwidth_bps, 10000000);
	cr_assert_str_eq(argv[first], "web");
	cr_assert_str_eq(argv[first + 1], "tower-b");
	cr_assert_null(argv[first + 2]);
}

Test(cli_options, two_dashes_end_them)
{
	struct options o;
	char **argv;
	int first;

	cr_assert_eq(parse("--json -- -x --node", &o, &first, &argv, NULL), 0);
	cr_assert_str_eq(argv[first], "-x");
	cr_assert_str_eq(argv[first + 1], "--node");
}

Test(cli_options, errors_name_the_option)
{
	static const struct {
		const char *line, *says;
	} cases[] = {
		{ "--nodes", "unknown option --nodes" },
		{ "-x", "unknown option -x" },
		{ "--limit 3", "unknown option --limit" }, /* of other commands */
		{ "--node", "--node needs an argument" },
		{ "--timeout 0s", "--timeout: '0s' is not a duration" },
		{ "--timeout 5", "--timeout: '5' is not a duration" },
		{ "--bandwidth fast", "--bandwidth: 'fast' is not a rate" },
		{ "--json=yes", "unknown option --json=yes" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct mg_error err = { 0 };
		struct options o;
		char **argv;
		int first;

		cr_assert_eq(parse(cases[i].line, &o, &first, &argv, &err), -EINVAL, "%s",
			     cases[i].line);
		cr_assert_not_null(strstr(err.text, cases[i].says), "%s: %s", cases[i].line,
				   err.text);
	}
}

Test(cli_options, help_lists_what_is_taken_and_no_more)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	options_help(out, SET);
	fclose(out);
	cr_assert_not_null(strstr(text, "  -j, --json "));
	cr_assert_not_null(strstr(text, "      --node NODE "));
	cr_assert_not_null(strstr(text, "  -h, --help "));
	cr_assert_null(strstr(text, "--limit"));
	free(text);
}

/* Two columns, and what is said of an option is always in the second one. */
Test(cli_options, help_has_straight_columns)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	options_help(out, ~UINT64_C(0));
	fclose(out);
	for (const char *line = strstr(text, "  -"); line && *line; line = strchr(line, '\n') + 1)
		cr_assert(line[30] == ' ' && line[31] != ' ', "%.60s", line);
	free(text);
}
