/* SPDX-License-Identifier: Apache-2.0 */
#include "common/daemon.h"

#include <config.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"

struct options {
	const char *config;
	bool check_only;
};

static void print_help(const struct daemon_program *p, const char *default_config)
{
	printf("usage: %s [--config FILE] [--check-config]\n\n"
	       "%s\n\n"
	       "  -c, --config FILE   the configuration (default: %s)\n"
	       "      --check-config  check the configuration and end\n"
	       "  -h, --help          this text\n"
	       "  -V, --version       name and version\n\n"
	       "The environment variable TAGALONG_LOG sets what is logged: error, warning, info\n"
	       "or debug. See %s(8).\n",
	       p->name, p->summary, default_config, p->name);
}

void daemon_print_version(const char *name)
{
	printf("%s (tagalong) %s\n", name, PACKAGE_VERSION);
}

/* Returns true if there is something to run; else *ret_status is what to exit
 * with. */
static bool parse_options(const struct daemon_program *p, int argc, char **argv,
			  const char *default_config, struct options *ret, int *ret_status)
{
	static const struct option longopts[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "check-config", no_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	int c;

	*ret = (struct options){ .config = default_config };
	*ret_status = 0;
	while ((c = getopt_long(argc, argv, "c:hV", longopts, NULL)) != -1) {
		switch (c) {
		case 'c':
			ret->config = optarg;
			break;
		case 'n':
			ret->check_only = true;
			break;
		case 'h':
			print_help(p, default_config);
			return false;
		case 'V':
			daemon_print_version(p->name);
			return false;
		default:
			fprintf(stderr, "%s: see --help\n", p->name);
			*ret_status = 2;
			return false;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "%s: unexpected argument '%s'; see --help\n", p->name,
			argv[optind]);
		*ret_status = 2;
		return false;
	}
	return true;
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
	(void)si, (void)userdata;
	return sd_event_exit(sd_event_source_get_event(source), 0);
}

int daemon_loop_new(sd_event **ret, struct mg_error *err)
{
	sd_event *loop = NULL;
	sigset_t mask;
	int r;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	r = sd_event_new(&loop);
	if (r >= 0)
		r = sd_event_add_signal(loop, NULL, SIGTERM, on_signal, NULL);
	if (r >= 0)
		r = sd_event_add_signal(loop, NULL, SIGINT, on_signal, NULL);
	if (r >= 0)
		r = sd_event_set_watchdog(loop, true);
	if (r < 0) {
		sd_event_unref(loop);
		return mg_error_set(err, r, "cannot make an event loop: %s", strerror(-r));
	}
	*ret = loop;
	return 0;
}

/* A daemon that runs, for whoever gets the signal. */
struct running {
	const struct daemon_program *program;
	const char *path;
	void *config, *daemon;
};

static int reload(struct running *r, struct mg_error *err)
{
	void *config;
	int e = r->program->load(r->path, &config, err);

	if (e < 0)
		return e;
	e = r->program->reload(r->daemon, r->config, config, err);
	r->program->unload(config);
	return e;
}

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
	struct running *r = userdata;
	struct mg_error err = { 0 };

	(void)source, (void)si;
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_mono_ns() / NS_PER_US);
	if (reload(r, &err) < 0)
		log_error("main", "the configuration stays as it was: %s", err.text);
	else
		log_info("main", "configuration=%s reloaded", r->path);
	sd_notify(0, "READY=1");
	return 0;
}

/* Before the daemon starts: a signal that comes early must not end it. */
static int take_reload_signal(sd_event *loop, struct running *r, struct mg_error *err)
{
	sigset_t mask;
	int e;

	if (!r->program->reload)
		return 0;
	sigemptyset(&mask);
	sigaddset(&mask, SIGHUP);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	e = sd_event_add_signal(loop, NULL, SIGHUP, on_reload, r);
	return e < 0 ? mg_error_set(err, e, "event loop: %s", strerror(-e)) : 0;
}

static int serve(sd_event *loop, struct mg_error *err)
{
	int r;

	log_info("main", "version=%s ready", PACKAGE_VERSION);
	sd_notify(0, "READY=1");
	r = sd_event_loop(loop);
	return r < 0 ? mg_error_set(err, r, "event loop: %s", strerror(-r)) : 0;
}

static int run(const struct daemon_program *p, const char *path, void *config, struct mg_error *err)
{
	struct running running = { p, path, config, NULL };
	sd_event *loop;
	int r;

	r = daemon_loop_new(&loop, err);
	if (r < 0)
		return r;
	r = take_reload_signal(loop, &running, err);
	if (r >= 0)
		r = p->start(config, loop, &running.daemon, err);
	if (r >= 0) {
		r = p->confine ? p->confine(err) : 0;
		if (r >= 0)
			r = serve(loop, err);
		sd_notify(0, "STOPPING=1");
		p->stop(running.daemon);
		log_info("main", "stopped");
	}
	sd_event_unref(loop);
	return r;
}

int daemon_main(const struct daemon_program *p, int argc, char **argv)
{
	char default_config[128];
	struct mg_error err = { 0 };
	struct options options;
	void *config;
	int r, status;

	snprintf(default_config, sizeof(default_config), "/etc/tagalong/%s.yaml", p->name);
	if (!parse_options(p, argc, argv, default_config, &options, &status))
		return status;
	log_init(p->name, LOG_LEVEL_INFO);
	r = p->load(options.config, &config, &err);
	if (r >= 0) {
		r = options.check_only ? 0 : run(p, options.config, config, &err);
		p->unload(config);
	}
	if (r < 0) {
		log_error("main", "%s", err.text);
		return 1;
	}
	return 0;
}
