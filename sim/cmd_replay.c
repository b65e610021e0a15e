/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "placement/record_log.h"
#include "sim/commands.h"
#include "sim/replay.h"

static const char help[] =
	"usage: edgesim replay [--decisions FILE] LOG\n\n"
	"Prints the decisions of a controller's record log, made again by its own code.\n\n"
	"  -d, --decisions FILE  also compare them with its decision log\n"
	"  -h, --help            this text\n";

struct comparison {
	const char *at, *end; /* what is left of the decision log; NULL: none is compared */
	size_t lines;         /* printed so far */
	size_t differs;       /* the first line that is not the same; 0: none */
};

static void on_line(const char *line, void *userdata)
{
	struct comparison *c = userdata;
	size_t len = strlen(line);

	puts(line);
	c->lines++;
	if (!c->at || c->differs)
		return;
	if ((size_t)(c->end - c->at) > len && memcmp(c->at, line, len) == 0 && c->at[len] == '\n')
		c->at += len + 1;
	else
		c->differs = c->lines;
}

static int report(const struct comparison *c, const char *log, const char *decisions,
		  const struct replay_result *result)
{
	if (result->truncated)
		fprintf(stderr,
			"edgesim: %s: ends inside a record; what follows offset %zu was ignored\n",
			log, result->good);
	if (c->differs)
		fprintf(stderr, "edgesim: line %zu is not that of %s\n", c->differs, decisions);
	else if (c->at && c->at != c->end)
		fprintf(stderr, "edgesim: %s goes on after line %zu\n", decisions, c->lines);
	else
		return EXIT_OK;
	return EXIT_FAILED;
}

static int replay(const char *log, const char *decisions)
{
	_cleanup_(mapping_close) struct mapping records = { 0 }, lines = { 0 };
	struct comparison c = { 0 };
	struct replay_result result;
	struct mg_error err = { 0 };

	if (mapping_open(log, &records, &err) < 0 ||
	    (decisions && mapping_open(decisions, &lines, &err) < 0))
		return command_fail(&err);
	if (decisions) {
		c.at = lines.data ? lines.data : "";
		c.end = c.at + lines.len;
	}
	if (replay_run(records.data, records.len, on_line, &c, &result, &err) < 0) {
		mg_error_prefix(&err, "%s", log);
		return command_fail(&err);
	}
	if (command_finish() != EXIT_OK)
		return EXIT_FAILED;
	return report(&c, log, decisions, &result);
}

int command_replay(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "decisions", required_argument, NULL, 'd' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	const char *decisions = NULL;
	int c;

	optind = 1;
	while ((c = getopt_long(argc, argv, "d:h", longopts, NULL)) != -1) {
		if (c == 'h') {
			fputs(help, stdout);
			return EXIT_OK;
		}
		if (c != 'd')
			return EXIT_USAGE;
		decisions = optarg;
	}
	if (optind + 1 != argc)
		return command_usage("'replay' takes one LOG");
	return replay(argv[optind], decisions);
}
