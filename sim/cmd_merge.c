/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>

#include "common/file.h"
#include "sim/commands.h"
#include "sim/study/results.h"

static const char help[] =
	"usage: edgesim merge --out FOLDER SHARD...\n\n"
	"Puts the results of a study's shards together: the folders that 'run --shard' left.\n\n"
	"  -o, --out FOLDER  for the results of all\n"
	"  -h, --help        this text\n";

static int add(const char *folder, struct results **all, struct mg_error *err)
{
	_cleanup_(results_free_p) struct results *shard = NULL;
	int r = results_load(folder, &shard, err);

	if (r < 0)
		return r;
	if (*all)
		return results_merge(*all, folder, shard, err);
	*all = TAKE_PTR(shard);
	return 0;
}

int command_merge_folders(const char *out, char **folders, int n)
{
	_cleanup_(results_free_p) struct results *all = NULL;
	struct mg_error err = { 0 };

	for (int i = 0; i < n; i++)
		if (add(folders[i], &all, &err) < 0)
			return command_fail(&err);
	if (all->n < all->runs) {
		mg_error_set(&err, -ENOENT, "%u of %u runs are in none of these folders",
			     all->runs - all->n, all->runs);
		return command_fail(&err);
	}
	if (directory_make(out, 0777, &err) < 0 || results_write(all, out, &err) < 0)
		return command_fail(&err);
	printf("%s: %u runs\n", out, all->n);
	return command_finish();
}

int command_merge(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "out", required_argument, NULL, 'o' },
		{ 0 },
	};
	const char *out = NULL;
	int c;

	optind = 1;
	while ((c = getopt_long(argc, argv, "ho:", longopts, NULL)) != -1) {
		if (c == 'h') {
			fputs(help, stdout);
			return command_finish();
		}
		if (c != 'o')
			return EXIT_USAGE;
		out = optarg;
	}
	if (!out || optind == argc)
		return command_usage("'merge' takes --out and the folders of shards");
	return command_merge_folders(out, argv + optind, argc - optind);
}
