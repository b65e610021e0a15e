/* SPDX-License-Identifier: Apache-2.0 */
#include "common/daemon.h"
#include "placement/daemon.h"

static int load(const char *path, void **ret, struct mg_error *err)
{
	return placement_config_load(path, (struct placement_config **)ret, err);
}

static void unload(void *config)
{
	placement_config_free(config);
}

static int start(void *config, sd_event *loop, void **ret, struct mg_error *err)
{
	return placement_daemon_start(config, loop, (struct placement_daemon **)ret, err);
}

static void stop(void *daemon)
{
	placement_daemon_stop(daemon);
}

static int reload(void *daemon, const void *started_with, const void *config, struct mg_error *err)
{
	(void)started_with;
	return placement_daemon_reload(daemon, config, err);
}

int main(int argc, char **argv)
{
	static const struct daemon_program program = {
		.name = "placementd",
		.summary = "Pairs devices with VMs and moves each VM after its device.",
		.load = load,
		.unload = unload,
		.start = start,
		.stop = stop,
		.reload = reload,
	};

	return daemon_main(&program, argc, argv);
}
