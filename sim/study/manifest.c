/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/study/manifest.h"

#include <jansson.h>
#include <string.h>
#include <sys/utsname.h>

#include "common/clock.h"
#include "sim/reference/fidelity.h"
#include "config.h"

/* The first "model name" of /proc/cpuinfo; "unknown" where there is none. */
static void cpu_model(char *ret, size_t room)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/cpuinfo", "re");
	char line[256];

	snprintf(ret, room, "unknown");
	while (f && fgets(line, sizeof(line), f)) {
		char *at = strchr(line, ':');

		if (strncmp(line, "model name", 10) != 0 || !at)
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(ret, room, "%s", at + 1 + strspn(at + 1, " "));
		return;
	}
}

static json_t *inputs(const struct study *s)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < s->n_inputs; i++)
		json_array_append_new(list, json_pack("{s:s, s:s}", "file", s->inputs[i].path,
						      "blake2b", s->inputs[i].hash));
	return list;
}

static json_t *machine(void)
{
	struct utsname u;
	char cpu[200];

	uname(&u);
	cpu_model(cpu, sizeof(cpu));
	return json_pack("{s:s, s:s, s:s, s:s, s:I}", "system", u.sysname, "release", u.release,
			 "architecture", u.machine, "processor", cpu, "processors",
			 (json_int_t)sysconf(_SC_NPROCESSORS_ONLN));
}

static json_t *work(const struct runner_options *o, const struct runner_report *report)
{
	char finished[32];
	time_t now = (time_t)(clock_utc_ns() / NS_PER_S);
	struct tm tm;

	strftime(finished, sizeof(finished), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:f}", "finished", finished,
			 "threads", (json_int_t)o->threads, "shard", (json_int_t)o->shard.index,
			 "shards", (json_int_t)o->shard.of, "runs", (json_int_t)report->runs,
			 "resumed", (json_int_t)report->resumed, "seconds", report->seconds,
			 "user_seconds", report->user_seconds, "events", report->events);
}

static json_t *error_of(const struct error_figures *e)
{
	return json_pack("{s:f, s:f, s:f}", "median", e->median, "p90", e->p90, "mean", e->mean);
}

/* How far the model of moves is from moves that were measured, as parts of these. */
static json_t *move_model(void)
{
	struct fidelity f;

	fidelity_score(measured_moves, n_measured_moves, &f);
	return json_pack("{s:I, s:o, s:o, s:o}", "measured_moves", (json_int_t)f.moves,
			 "total_error", error_of(&f.total), "blackout_error", error_of(&f.blackout),
			 "blackout_error_of_0.15_rule", error_of(&f.rule));
}

static void write_json(FILE *f, const void *userdata)
{
	json_dumpf(userdata, f, JSON_INDENT(2));
	fputc('\n', f);
}

int manifest_write(const struct study *s, const struct runner_options *o,
		   const struct runner_report *report, struct mg_error *err)
{
	json_t *manifest = json_pack(
		"{s:s, s:s, s:s, s:I, s:I, s:o, s:o, s:o, s:o}", "study", s->name, "version",
		PACKAGE_VERSION, "fingerprint", s->fingerprint, "seed", (json_int_t)s->seed, "runs",
		(json_int_t)study_runs(s), "inputs", inputs(s), "machine", machine(), "work",
		work(o, report), "move_model", move_model());
	int r;

	if (!manifest)
		return mg_error_set(err, -ENOMEM, "out of memory");
	r = results_replace_file(o->folder, "manifest.json", write_json, manifest, err);
	json_decref(manifest);
	return r;
}
