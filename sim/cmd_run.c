/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <string.h>

#include "sim/commands.h"
#include "sim/study/runner.h"

static const char help[] =
	"usage: edgesim run [OPTION]... STUDY\n\n"
	"Runs the study of a YAML file; see edgesim(1) for what is in it. Run again, it goes\n"
	"on where it was interrupted.\n\n"
	"  -o, --out FOLDER   for the results (NAME.results, by the study's name)\n"
	"  -q, --quiet        show no progress\n"
	"  -s, --shard I/N    only the I-th of N parts; 'merge' puts them together\n"
	"  -j, --threads N    how many (one for each processor)\n"
	"  -h, --help         this text\n";

static int run(const char *path, struct runner_options *o)
{
	_cleanup_(study_free_p) struct study *study = NULL;
	struct runner_report report;
	struct mg_error err = { 0 };
	char folder[sizeof(study->name) + 16];

	if (study_load(path, &study, &err) < 0)
		return command_fail(&err);
	snprintf(folder, sizeof(folder), "%s.results", study->name);
	if (!o->folder)
		o->folder = folder;
	if (runner_run(study, o, &report, &err) < 0)
		return command_fail(&err);
	printf("%s: %u runs (%u were there), %.3g user-seconds in %.3g s\n", o->folder, report.runs,
	       report.resumed, report.user_seconds, report.seconds);
	return command_finish();
}

static bool parse_count(const char *text, unsigned *ret)
{
	int end = 0;

	return sscanf(text, "%9u%n", ret, &end) == 1 && text[end] == '\0' && *ret > 0;
}

static bool parse_shard(const char *text, struct shard *ret)
{
	int end = 0;

	return sscanf(text, "%9u/%9u%n", &ret->index, &ret->of, &end) == 2 && text[end] == '\0' &&
	       ret->index >= 1 && ret->index <= ret->of;
}

int command_run(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "out", required_argument, NULL, 'o' },
		{ "quiet", no_argument, NULL, 'q' },
		{ "shard", required_argument, NULL, 's' },
		{ "threads", required_argument, NULL, 'j' },
		{ 0 },
	};
	struct runner_options o = {
		.threads = (unsigned)sysconf(_SC_NPROCESSORS_ONLN),
		.shard = { 1, 1 },
		.progress = isatty(STDERR_FILENO),
	};
	int c;

	optind = 1;
	while ((c = getopt_long(argc, argv, "hj:o:qs:", longopts, NULL)) != -1) {
		switch (c) {
		case 'h':
			fputs(help, stdout);
			return command_finish();
		case 'j':
			if (!parse_count(optarg, &o.threads))
				return command_usage("'%s' is no number of threads", optarg);
			break;
		case 'o':
			o.folder = optarg;
			break;
		case 'q':
			o.progress = false;
			break;
		case 's':
			if (!parse_shard(optarg, &o.shard))
				return command_usage("'%s' is no shard, such as 1/4", optarg);
			break;
		default:
			return EXIT_USAGE;
		}
	}
	if (optind + 1 != argc)
		return command_usage("'run' takes one STUDY");
	return run(argv[optind], &o);
}
