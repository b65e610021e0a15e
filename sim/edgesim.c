/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/daemon.h"
#include "sim/commands.h"

static const struct {
	const char *name, *what;
	int (*fn)(int argc, char **argv);
} commands[] = {
	{ "compare", "the results of two studies", command_compare },
	{ "handovers", "when recorded devices change towers", command_handovers },
	{ "merge", "the results of a study's shards, as one", command_merge },
	{ "references", "published figures, computed anew and simulated", command_references },
	{ "replay", "the decisions of a controller's record log, made again", command_replay },
	{ "run", "a study: policies in a simulated world", command_run },
};

static void print_help(void)
{
	puts("usage: edgesim COMMAND [OPTION]... [OPERAND]...\n\n"
	     "Runs placement's own code over what was recorded, or over a simulated world.\n\n"
	     "commands:");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		printf("  %-10s %s\n", commands[i].name, commands[i].what);
	puts("\n  -h, --help     this text; after a command, that of the command\n"
	     "  -V, --version  name and version\n\n"
	     "Exit status: 0; 1 for failure; 2 for wrong usage. See edgesim(1).");
}

int command_fail(const struct mg_error *err)
{
	fflush(stdout);
	fprintf(stderr, "edgesim: %s\n", err->text);
	return EXIT_FAILED;
}

int command_usage(const char *fmt, ...)
{
	va_list args;

	fputs("edgesim: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputs("; see --help\n", stderr);
	return EXIT_USAGE;
}

int command_finish(void)
{
	struct mg_error err = { 0 };

	if (fflush(stdout) == 0 && !ferror(stdout))
		return EXIT_OK;
	mg_error_set(&err, -EIO, "standard output cannot be written");
	return command_fail(&err);
}

int main(int argc, char **argv)
{
	const char *command = argc > 1 ? argv[1] : "";

	if (strcmp(command, "-h") == 0 || strcmp(command, "--help") == 0) {
		print_help();
		return command_finish();
	}
	if (strcmp(command, "-V") == 0 || strcmp(command, "--version") == 0) {
		daemon_print_version("edgesim");
		return EXIT_OK;
	}
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(command, commands[i].name) == 0)
			return commands[i].fn(argc - 1, argv + 1);
	if (argc > 1)
		return command_usage("no command '%s'", command);
	return command_usage("a command is needed");
}
