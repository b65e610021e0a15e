/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/testbed/run.h"

#include <glob.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>

#include "common/clock.h"
#include "common/file.h"
#include "sim/testbed/daemons.h"
#include "sim/testbed/gather.h"
#include "sim/testbed/observer.h"
#include "sim/testbed/page.h"
#include "sim/testbed/process.h"

#define OBSERVE_NS (200 * NS_PER_MS)
#define TICK_NS (100 * NS_PER_MS)     /* the phone takes a step */
#define SAMPLE_TICKS 2                /* a sample each so many */
#define ROW_TICKS 10
#define NODES_WAIT_NS (20 * NS_PER_S)
#define BOOT_WAIT_NS (180 * NS_PER_S) /* two seconds, unless the machine is busy */
#define MOVE_WAIT_NS (60 * NS_PER_S)  /* for one that is under way when the walk ends */
#define FINISH_WAIT_NS (15 * NS_PER_S)
#define LOG_MAX ((size_t)64 << 20)

struct run {
	const struct run_config *config;
	sd_event *loop;
	struct topology *topology;
	struct daemons *daemons;
	struct observer *observer;
	struct story story;
	struct timeline timeline;
	struct gather gather;
	int phone; /* control socket; -1: none */
	uint64_t ticks;
	int interrupted; /* the signal */
	bool walk_over;
	char broken[128]; /* what died; "" while all live */
};

/* ---- Waiting --------------------------------------------------------------------- */

/* Runs the loop until done() or the time is over; the error says what was
 * awaited, or what broke meanwhile. */
static int await(struct run *r, bool (*done)(const struct run *), uint64_t timeout_ns,
		 const char *what, struct mg_error *err)
{
	uint64_t deadline = clock_mono_ns() + timeout_ns;

	while (!done(r)) {
		if (r->interrupted)
			return mg_error_set(err, -EINTR, "interrupted");
		if (r->broken[0])
			return mg_error_set(err, -ECHILD, "%s", r->broken);
		if (clock_mono_ns() > deadline)
			return mg_error_set(err, -ETIMEDOUT, "waited %u s for %s",
					    (unsigned)(timeout_ns / NS_PER_S), what);
		if (sd_event_run(r->loop, TICK_NS / NS_PER_US) < 0)
			return mg_error_set(err, -EIO, "the event loop broke");
		gather_tick(&r->gather);
	}
	return 0;
}

static bool nodes_are_up(const struct run *r)
{
	return r->gather.nodes_up == r->config->scenario->n_towers;
}

static bool guest_reports(const struct run *r)
{
	return r->gather.console.started && r->gather.console.reports > 0;
}

static bool all_is_measured(const struct run *r)
{
	for (int i = 0; i < r->config->scenario->n_towers; i++)
		if (!r->gather.now.tower_rtt_ns[i])
			return false;
	return r->story.phone.connected && r->story.phone.tcp_verified > 0 &&
	       r->gather.now.guest_rtt_ns;
}

static bool walk_is_over(const struct run *r)
{
	return r->walk_over;
}

static bool nothing_moves(const struct run *r)
{
	return !gather_moving(&r->gather);
}

static bool phone_is_done(const struct run *r)
{
	return r->story.phone_finished;
}

/* ---- Events -------------------------------------------------------------------------- */

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
	struct run *r = userdata;

	(void)source;
	r->interrupted = (int)si->ssi_signo;
	return 0;
}

static int on_child(sd_event_source *source, const siginfo_t *si, void *userdata)
{
	struct run *r = userdata;
	const char *name = "a program";

	sd_event_source_get_description(source, &name);
	if (r->broken[0])
		return 0;
	snprintf(r->broken, sizeof(r->broken), "%s died (%s %d); its log says why", name,
		 si->si_code == CLD_EXITED ? "exit status" : "signal", si->si_status);
	return 0;
}

static void on_status(const Tagalong__Status *status, void *userdata)
{
	struct run *r = userdata;

	gather_status(&r->gather, status);
	if (r->gather.vm_lost && !r->broken[0])
		snprintf(r->broken, sizeof(r->broken), "the VM's QEMU died");
}

static void on_moves(const Tagalong__MoveList *moves, void *userdata)
{
	struct run *r = userdata;

	if (r->gather.walking)
		gather_moves(&r->gather, moves);
}

static int on_phone(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct run *r = userdata;
	struct phone_message m;

	(void)events;
	if (recv(fd, &m, sizeof(m), MSG_DONTWAIT) == sizeof(m)) {
		gather_phone(&r->gather, &m);
		return 0;
	}
	if (!r->story.phone_finished && !r->broken[0])
		snprintf(r->broken, sizeof(r->broken), "the phone's process died");
	return sd_event_source_set_enabled(source, SD_EVENT_OFF);
}

/* ---- The walk ---------------------------------------------------------------------- */

static void fail_quietly(struct run *r, const struct mg_error *err)
{
	if (!r->broken[0])
		snprintf(r->broken, sizeof(r->broken), "%.120s", err->text);
}

/* Puts the phone where it is at that time: its radio link and, when another
 * tower serves it better, its attachment. */
static void step(struct run *r, uint64_t t_ns)
{
	const struct scenario *s = r->config->scenario;
	struct story_sample *now = &r->gather.now;
	int tower = scenario_attachment(s, now->at = scenario_phone_at(s, t_ns),
					r->story.n_attachments ? now->attached : -1);
	struct link_params radio =
		scenario_radio(s, position_distance(now->at, s->towers[tower].at));
	struct mg_error err;

	now->t_ns = t_ns;
	topology_set_radio(r->topology, &radio);
	if (r->story.n_attachments && tower == now->attached)
		return;
	if (topology_attach(r->topology, tower, &err) < 0) {
		fail_quietly(r, &err);
		return;
	}
	now->attached = tower;
	if (r->story.n_attachments == STORY_ATTACHMENTS_MAX)
		return;
	if (r->story.n_attachments)
		timeline_event(&r->timeline, t_ns, TONE_NETWORK, "-- the phone attaches to %s",
			       s->towers[tower].name);
	r->story.attachments[r->story.n_attachments++] =
		(struct story_attachment){ .t_ns = t_ns, .tower = tower };
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct run *r = userdata;
	uint64_t t = gather_time(&r->gather);

	step(r, t);
	if (r->ticks % SAMPLE_TICKS == 0)
		story_add_sample(&r->story, &r->gather.now);
	if (r->ticks % ROW_TICKS == 0)
		timeline_row(&r->timeline, &r->gather.now);
	r->ticks++;
	r->walk_over = t >= r->config->scenario->duration_ns;
	/* From the time that was meant, so that steps do not drift. */
	sd_event_source_set_time(source, usec + TICK_NS / NS_PER_US);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* ---- Phases -------------------------------------------------------------------------- */

static int build_network(struct run *r, struct mg_error *err)
{
	int e = topology_new(r->config->scenario, &r->topology, err);

	if (e < 0)
		return e;
	step(r, 0);
	return r->broken[0] ? mg_error_set(err, -EIO, "%s", r->broken) : 0;
}

static int watch_daemons(struct run *r)
{
	for (int i = 0; i < daemons_count(r->daemons); i++) {
		const struct daemon *d = daemons_get(r->daemons, i);
		sd_event_source *source;
		int e = sd_event_add_child(r->loop, &source, d->pid, WEXITED, on_child, r);

		if (e < 0)
			return e;
		sd_event_source_set_description(source, d->name);
		sd_event_source_set_floating(source, 1);
		sd_event_source_unref(source);
	}
	return 0;
}

static int start_programs(struct run *r, struct mg_error *err)
{
	const struct daemons_config config = { .programs = r->config->programs,
					       .results = r->config->results };
	const struct observer_handlers handlers = { .on_status = on_status,
						    .on_moves = on_moves };
	int e = daemons_new(&config, r->config->scenario, r->topology, &r->daemons, err);

	if (e >= 0)
		e = daemons_start(r->daemons, err);
	if (e >= 0 && watch_daemons(r) < 0)
		e = mg_error_set(err, -EIO, "watching the programs");
	if (e < 0)
		return e;
	r->gather.device = daemons_device(r->daemons);
	e = observer_new(r->loop, OPERATOR_NAME, daemons_operator_keys(r->daemons),
			 daemons_controller_endpoint(r->daemons),
			 daemons_controller_key(r->daemons), OBSERVE_NS, &handlers, r,
			 &r->observer, err);
	return e < 0 ? e : await(r, nodes_are_up, NODES_WAIT_NS, "all towers to report", err);
}

/* Runs one of the operator's commands and shows it. */
static int command(struct run *r, const char *const *args, struct mg_error *err)
{
	char line[512] = "";

	for (int i = 0; args[i]; i++)
		snprintf(line + strlen(line), sizeof(line) - strlen(line), " %s", args[i]);
	timeline_say(&r->timeline, TONE_PLAIN, "$ migrator%s", line);
	return daemons_command(r->daemons, args, NULL, 0, err);
}

static int start_vm(struct run *r, struct mg_error *err)
{
	const struct scenario *s = r->config->scenario;
	char id[UUID_TEXT_SIZE];
	const char *const vm[] = { "vm", "start", daemons_vm_file(r->daemons), "--on",
				   s->towers[s->guest.tower].name, NULL };
	const char *const pair[] = { "pair", "set", s->phone.name, s->guest.name, "--id",
				     uuid_format(daemons_device(r->daemons), id), NULL };
	int e = command(r, vm, err);

	if (e >= 0)
		e = command(r, pair, err);
	return e < 0 ? e : await(r, guest_reports, BOOT_WAIT_NS, "the guest to boot", err);
}

/* The phone's process is this program again, in the phone's namespace. */
static int start_phone(struct run *r, struct mg_error *err)
{
	const struct scenario *s = r->config->scenario;
	char interval[32], rate[32], log[PATH_MAX];
	const char *const argv[] = { r->config->self, "phone", TOPOLOGY_GUEST, interval, rate, NULL };
	struct process p = { .argv = argv, .netns = topology_phone_netns(r->topology), .log = log };
	int ends[2], e;
	pid_t pid;

	snprintf(interval, sizeof(interval), "%" PRIu64, s->phone.probe_interval_ns);
	snprintf(rate, sizeof(rate), "%" PRIu64, s->phone.data_bps);
	snprintf(log, sizeof(log), "%s/logs/phone.log", r->config->results);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return mg_error_set(err, -errno, "socketpair: %s", strerror(errno));
	p.in = ends[1];
	e = process_start(&p, &pid, err);
	close(ends[1]);
	r->phone = ends[0];
	if (e < 0)
		return e;
	if (sd_event_add_io(r->loop, NULL, r->phone, EPOLLIN, on_phone, r) < 0)
		return mg_error_set(err, -EIO, "watching the phone");
	return await(r, all_is_measured, BOOT_WAIT_NS,
		     "the phone's connection to its VM and the towers' RTTs", err);
}

static int walk(struct run *r, struct mg_error *err)
{
	int e;

	gather_begin(&r->gather);
	r->story.n_attachments = 0;
	step(r, 0);
	e = sd_event_add_time_relative(r->loop, NULL, CLOCK_MONOTONIC, 0, 1000, on_tick, r);
	if (e < 0)
		return mg_error_set(err, e, "timer: %s", strerror(-e));
	e = await(r, walk_is_over, r->config->scenario->duration_ns + FINISH_WAIT_NS,
		  "the walk's end", err);
	if (e >= 0)
		e = await(r, nothing_moves, MOVE_WAIT_NS, "the move to end", err);
	if (e >= 0 && send(r->phone, "", 1, MSG_NOSIGNAL) < 0)
		return mg_error_set(err, -errno, "the phone: %s", strerror(errno));
	if (e >= 0)
		e = await(r, phone_is_done, FINISH_WAIT_NS, "the phone's last bytes", err);
	gather_end(&r->gather);
	topology_report(r->topology, &r->story.network);
	return e;
}

/* The recorded inputs, run through the same decision code again, must give the
 * same decisions. */
static int replay(struct run *r, struct mg_error *err)
{
	_cleanup_free_ char *output = malloc(LOG_MAX), *decisions = NULL;
	char program[PATH_MAX], record[PATH_MAX], log[PATH_MAX];
	const char *const argv[] = { program, "replay", record, NULL };
	const struct process p = { .argv = argv, .netns = -1, .in = -1 };
	size_t len, n;
	int e;

	if (!output)
		return mg_error_set(err, -ENOMEM, "out of memory");
	snprintf(program, sizeof(program), "%s/edgesim", r->config->programs);
	snprintf(record, sizeof(record), "%s/inputs.record", r->config->results);
	snprintf(log, sizeof(log), "%s/decisions.log", r->config->results);
	e = process_run(&p, NULL, output, LOG_MAX, err);
	if (e >= 0)
		e = file_read(log, LOG_MAX, &decisions, &len, err);
	if (e < 0)
		return e;
	n = strlen(output);
	if (len && decisions[len - 1] == '\n')
		len--; /* process_run() took it from the output, too */
	r->story.replay_matches = n == len && n > 0 && memcmp(output, decisions, n) == 0;
	snprintf(r->story.replay_text, sizeof(r->story.replay_text),
		 r->story.replay_matches
			 ? "edgesim replay prints the controller's decision log byte for byte (%zu bytes)"
			 : "edgesim replay prints other decisions than the controller's (%zu bytes)",
		 n);
	return 0;
}

static void copy_file(const char *from, const char *to)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_fclose_ FILE *out = NULL;
	size_t len;

	if (file_read(from, LOG_MAX, &text, &len, NULL) < 0)
		return;
	out = fopen(to, "we");
	if (out)
		fwrite(text, 1, len, out);
}

/* Keeps the VMs' logs, which would vanish with the sandbox: a tower's n-th
 * incarnation's as TOWER-vmN-qemu.log. What cannot be kept is no failure. */
static void keep_logs(struct run *r)
{
	static const char *const names[] = { "qemu.log", "console.log" };
	char pattern[PATH_MAX], to[PATH_MAX];

	for (int i = 0; r->daemons && i < r->config->scenario->n_towers; i++) {
		const char *tower = r->config->scenario->towers[i].name;

		for (size_t j = 0; j < ARRAY_SIZE(names); j++) {
			glob_t found = { 0 };

			snprintf(pattern, sizeof(pattern), "%s/%s",
				 daemons_vm_directories(r->daemons, i), names[j]);
			glob(pattern, 0, NULL, &found);
			for (size_t k = 0; k < found.gl_pathc; k++) {
				snprintf(to, sizeof(to), "%s/logs/%s-vm%zu-%s", r->config->results,
					 tower, k + 1, names[j]);
				copy_file(found.gl_pathv[k], to);
			}
			globfree(&found);
		}
	}
}

static int all_phases(struct run *r, struct mg_error *err)
{
	int e;

	timeline_say(&r->timeline, TONE_QUIET, "making the network: %d towers, a controller, a phone",
		     r->config->scenario->n_towers);
	e = build_network(r, err);
	if (e < 0)
		return e;
	timeline_say(&r->timeline, TONE_QUIET,
		     "starting placementd, migratord and telemetryd at each tower, the reflector");
	e = start_programs(r, err);
	if (e >= 0)
		e = start_vm(r, err);
	if (e >= 0)
		e = start_phone(r, err);
	return e < 0 ? e : walk(r, err);
}

static int conclude(struct run *r)
{
	struct mg_error err = { 0 };
	struct verdict v;
	char page[PATH_MAX];

	if (replay(r, &err) < 0)
		snprintf(r->story.replay_text, sizeof(r->story.replay_text), "%.150s", err.text);
	verdict_reach(&r->story, &v);
	timeline_verdict(&r->timeline, &v);
	snprintf(page, sizeof(page), "%s/index.html", r->config->results);
	if (page_write(page, &r->story, &v, &err) < 0) {
		fprintf(stderr, "testbed: %s\n", err.text);
		return 1;
	}
	timeline_say(&r->timeline, TONE_PLAIN, "chart: %s\nlogs:  %s/logs", page,
		     r->config->results);
	return v.passed ? 0 : 1;
}

static int prepare(struct run *r)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	sigset_t blocked;
	int e = sd_event_new(&r->loop);

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGCHLD);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		sigaddset(&blocked, signals[i]);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	for (size_t i = 0; e >= 0 && i < ARRAY_SIZE(signals); i++)
		e = sd_event_add_signal(r->loop, NULL, signals[i], on_signal, r);
	return e;
}

static void clean_up(struct run *r)
{
	observer_free(r->observer);
	if (r->phone >= 0)
		close(r->phone);
	daemons_free(r->daemons);
	topology_free(r->topology);
	gather_close(&r->gather);
	story_clear(&r->story);
	sd_event_unref(r->loop);
}

int run(const struct run_config *config)
{
	struct run r = { .config = config, .phone = -1 };
	struct mg_error err = { 0 };
	int status, e;

	r.story.scenario = config->scenario;
	timeline_init(&r.timeline, stdout, config->scenario);
	gather_init(&r.gather, &r.story, &r.timeline, NULL);
	e = prepare(&r);
	if (e < 0) {
		fprintf(stderr, "testbed: event loop: %s\n", strerror(-e));
		return 1;
	}
	e = all_phases(&r, &err);
	if (r.interrupted) {
		status = 128 + r.interrupted;
	} else {
		if (e < 0)
			timeline_say(&r.timeline, TONE_BAD, "!! %s", err.text);
		keep_logs(&r);
		if (r.daemons)
			daemons_stop(r.daemons);
		status = r.gather.walking ? conclude(&r) : 1;
		if (e < 0)
			status = 1;
	}
	clean_up(&r);
	return status;
}

int run_shell(const struct run_config *config)
{
	struct run r = { .config = config, .phone = -1 };
	const char *shell = getenv("SHELL");
	struct mg_error err = { 0 };
	int status = 1;
	pid_t pid;

	r.story.scenario = config->scenario;
	timeline_init(&r.timeline, stdout, config->scenario);
	if (build_network(&r, &err) < 0) {
		fprintf(stderr, "testbed: %s\n", err.text);
	} else if ((pid = fork()) == 0) {
		execlp(shell ? shell : "sh", shell ? shell : "sh", NULL);
		_exit(127);
	} else if (pid > 0) {
		waitpid(pid, &status, 0);
		status = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
	}
	clean_up(&r);
	return status;
}
