/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "common/daemon.h"
#include "common/file.h"
#include "common/log.h"
#include "sim/testbed/phone.h"
#include "sim/testbed/run.h"
#include "sim/testbed/sandbox.h"

struct invocation {
	struct run_config config;
	int (*inside)(const struct run_config *config);
};

static void usage(FILE *out)
{
	fputs("usage: testbed run [OPTION]... SCENARIO\n"
	      "       testbed shell SCENARIO\n"
	      "       testbed check SCENARIO\n\n"
	      "Plays a scenario (tagalong-scenario(5)) with the real programs and a real guest, in\n"
	      "network namespaces that vanish with it. 'shell' makes the network alone and runs a\n"
	      "shell in it (ip netns lists the towers); 'check' only reads the scenario.\n\n"
	      "  -p, --programs=DIR  build folder with the programs and the guest image\n"
	      "  -r, --results=DIR   where chart and logs go (default: the build folder's NAME/)\n"
	      "  -h, --help          show this\n"
	      "  -V, --version       show the version\n",
	      out);
}

/* The build folder, of which this program is sim/testbed/testbed. */
static int find_build(char self[PATH_MAX], char build[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", self, PATH_MAX - 1);

	if (n < 0)
		return -errno;
	self[n] = '\0';
	strcpy(build, self);
	for (int i = 0; i < 3; i++)
		dirname(build);
	return 0;
}

/* ip(8) and bridge(8) lie where a user's PATH may not lead. */
static void extend_path(void)
{
	const char *path = getenv("PATH");
	char longer[PATH_MAX];

	snprintf(longer, sizeof(longer), "%s:/usr/sbin:/sbin", path ? path : "/usr/bin:/bin");
	setenv("PATH", longer, 1);
}

static int inside(void *arg)
{
	const struct invocation *i = arg;

	return i->inside(&i->config);
}

static int phone(int argc, char **argv)
{
	struct phone_config config = { 0 };

	if (argc != 3)
		return 2;
	config.guest = argv[0];
	config.probe_interval_ns = strtoull(argv[1], NULL, 10);
	config.data_bps = strtoull(argv[2], NULL, 10);
	return phone_main(&config, STDIN_FILENO);
}

static int play(struct invocation *i, const char *programs, const char *results,
		struct mg_error *err)
{
	char self[PATH_MAX], build[PATH_MAX], beside[PATH_MAX], absolute[PATH_MAX];
	int r = find_build(self, build);

	if (r < 0)
		return mg_error_set(err, r, "/proc/self/exe: %s", strerror(-r));
	snprintf(beside, sizeof(beside), "%.*s/%s", PATH_MAX - 64, build, i->config.scenario->name);
	if (!results)
		results = beside;
	r = directory_make(results, 0755, err);
	if (r < 0)
		return r;
	if (!realpath(results, absolute))
		return mg_error_set(err, -errno, "%s: %s", results, strerror(errno));
	i->config.programs = programs ? programs : build;
	i->config.results = absolute;
	i->config.self = self;
	extend_path();
	return sandbox_run(inside, i, err);
}

static int with_scenario(const char *command, const char *path, const char *programs,
			 const char *results)
{
	struct invocation i = { .inside = strcmp(command, "shell") == 0 ? run_shell : run };
	_cleanup_free_ struct scenario *scenario = NULL;
	struct mg_error err = { 0 };
	int r = scenario_load(path, &scenario, &err);

	if (r == 0 && strcmp(command, "check") == 0)
		return 0;
	i.config.scenario = scenario;
	if (r == 0)
		r = play(&i, programs, results, &err);
	if (r < 0) {
		fprintf(stderr, "testbed: %s\n", err.text);
		return 1;
	}
	return r;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "programs", required_argument, NULL, 'p' },
		{ "results", required_argument, NULL, 'r' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	const char *programs = NULL, *results = NULL, *command;
	int c;

	log_init("testbed", LOG_LEVEL_WARNING);
	if (argc > 1 && strcmp(argv[1], "phone") == 0)
		return phone(argc - 2, argv + 2);
	while ((c = getopt_long(argc, argv, "p:r:hV", options, NULL)) >= 0) {
		switch (c) {
		case 'p':
			programs = optarg;
			break;
		case 'r':
			results = optarg;
			break;
		case 'h':
			usage(stdout);
			return 0;
		case 'V':
			daemon_print_version("testbed");
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	command = optind < argc ? argv[optind] : "";
	if (argc - optind != 2 || (strcmp(command, "run") != 0 && strcmp(command, "shell") != 0 &&
				   strcmp(command, "check") != 0)) {
		usage(stderr);
		return 2;
	}
	return with_scenario(command, argv[optind + 1], programs, results);
}
