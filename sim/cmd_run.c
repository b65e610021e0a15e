/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <limits.h>
#include <string.h>

#include "common/file.h"
#include "sim/commands.h"
#include "sim/ranks.h"
#include "sim/study/runner.h"

/* In the folder of the results, by the rank. */
#define RANK_FOLDER "%s/rank-%u"

static const char help[] =
	"usage: edgesim run [OPTION]... STUDY\n\n"
	"Runs the study of a YAML file; see edgesim-study(5) for what is in it. Run again, it goes\n"
	"on where it was interrupted.\n\n"
	"  -o, --out FOLDER   for the results (NAME.results, by the study's name)\n"
	"  -q, --quiet        show no progress\n"
	"  -s, --shard I/N    only the I-th of N parts; 'merge' puts them together\n"
	"  -j, --threads N    how many (one for each processor; one, under mpirun)\n"
	"  -h, --help         this text\n";

static int simulate(const struct study *study, const struct runner_options *o)
{
	struct runner_report report;
	struct mg_error err = { 0 };

	if (runner_run(study, o, &report, &err) < 0)
		return command_fail(&err);
	printf("%s: %u runs (%u were there), %.3g user-seconds in %.3g s\n", o->folder, report.runs,
	       report.resumed, report.user_seconds, report.seconds);
	return command_finish();
}

static int merge_ranks(const struct runner_options *o, const struct ranks *ranks)
{
	_cleanup_free_ char(*names)[PATH_MAX] = calloc(ranks->n, sizeof(*names));
	_cleanup_free_ char **folders = calloc(ranks->n, sizeof(char *));

	if (!names || !folders)
		return EXIT_FAILED;
	for (unsigned i = 0; i < ranks->n; i++) {
		snprintf(names[i], sizeof(names[i]), RANK_FOLDER, o->folder, i + 1);
		folders[i] = names[i];
	}
	return command_merge_folders(o->folder, folders, (int)ranks->n);
}

/* This rank's share, in a folder of its own; the first puts all together. */
static int simulate_share(const struct study *study, const struct runner_options *o,
			  const struct ranks *ranks)
{
	char folder[PATH_MAX];
	struct runner_options share = *o;
	struct mg_error err = { 0 };
	int status;

	snprintf(folder, sizeof(folder), RANK_FOLDER, o->folder, ranks->number + 1);
	share.folder = folder;
	share.shard = (struct shard){ ranks->number + 1, ranks->n };
	share.progress = o->progress && ranks->number == 0;
	status = directory_make(o->folder, 0777, &err) < 0 ? command_fail(&err)
							   : simulate(study, &share);
	if (!ranks_agree(ranks, status == EXIT_OK))
		return EXIT_FAILED;
	return ranks->number == 0 ? merge_ranks(o, ranks) : EXIT_OK;
}

static int run(const char *path, struct runner_options *o, const struct ranks *ranks)
{
	_cleanup_(study_free_p) struct study *study = NULL;
	struct mg_error err = { 0 };
	char folder[sizeof(study->name) + 16];

	if (study_load(path, &study, &err) < 0) {
		ranks_agree(ranks, false);
		return command_fail(&err);
	}
	snprintf(folder, sizeof(folder), "%s.results", study->name);
	if (!o->folder)
		o->folder = folder;
	if (o->threads == 0)
		o->threads = ranks->n > 1 ? 1 : (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	return ranks->n > 1 ? simulate_share(study, o, ranks) : simulate(study, o);
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
		.shard = { 1, 1 },
		.progress = isatty(STDERR_FILENO),
	};
	struct ranks ranks;
	struct mg_error err = { 0 };
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
	if (ranks_begin(&ranks, &err) < 0)
		return command_fail(&err);
	c = ranks.n > 1 && o.shard.of > 1
		    ? command_usage("ranks of mpirun are shards: --shard is not for them")
		    : run(argv[optind], &o, &ranks);
	ranks_end(&ranks);
	return c;
}
