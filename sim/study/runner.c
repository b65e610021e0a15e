/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/study/runner.h"

#include <pthread.h>
#include <string.h>

#include "common/clock.h"
#include "common/file.h"
#include "sim/engine/noise.h"
#include "sim/study/manifest.h"
#include "sim/study/map.h"
#include "sim/study/part.h"

#define THREADS_MAX 1024
#define BAR_WIDTH 30
#define PROGRESS_NS (200 * NS_PER_MS)

struct runner {
	const struct study *study;
	const struct runner_options *options;
	struct results *results;
	struct part part;
	uint32_t *todo;
	uint32_t n_todo;
	uint64_t begun_ns, shown_ns;

	pthread_mutex_t lock; /* for all that follows, and the results */
	uint32_t next, done;
	uint64_t passed; /* parts of runs, SNAPSHOT_TIMES each */
	struct runner_report report;
	struct mg_error error; /* the first */
};

/* ---- Progress ---------------------------------------------------------------------------- */

static void show_progress(struct runner *r)
{
	uint64_t now = clock_mono_ns(), all = (uint64_t)r->n_todo * SNAPSHOT_TIMES;
	double left = (double)(now - r->begun_ns) / 1e9 / (double)r->passed *
		      (double)(all - r->passed);
	unsigned filled = (unsigned)(BAR_WIDTH * r->passed / all);
	char bar[BAR_WIDTH + 1];

	if (now - r->shown_ns < PROGRESS_NS && r->done < r->n_todo)
		return;
	r->shown_ns = now;
	memset(bar, '.', BAR_WIDTH);
	memset(bar, '#', filled);
	bar[BAR_WIDTH] = '\0';
	fprintf(stderr, "\r[%s] %u of %u runs, %u:%02u left ", bar, r->report.resumed + r->done,
		r->report.runs, (unsigned)(left / 60), (unsigned)left % 60);
	if (r->done == r->n_todo)
		fputc('\n', stderr);
}

/* A part of a run. */
static void pass(void *userdata)
{
	struct runner *r = userdata;

	pthread_mutex_lock(&r->lock);
	r->passed++;
	show_progress(r);
	pthread_mutex_unlock(&r->lock);
}

/* ---- Threads ------------------------------------------------------------------------------- */

/* The number of the next run; false: there is none, or something has failed. */
static bool take_next(struct runner *r, uint32_t *ret)
{
	bool any;

	pthread_mutex_lock(&r->lock);
	any = r->error.code == 0 && r->next < r->n_todo;
	if (any)
		*ret = r->todo[r->next++];
	pthread_mutex_unlock(&r->lock);
	return any;
}

static void put(struct runner *r, const char *line, const struct run_figures *f,
		const struct mg_error *failure)
{
	struct mg_error err = *failure;

	pthread_mutex_lock(&r->lock);
	if (err.code == 0 && part_add(&r->part, line, &err) == 0)
		results_add(r->results, "a run", 0, line, &err);
	if (err.code == 0) {
		r->done++;
		r->report.user_seconds += (double)f->user_ns / 1e9;
		r->report.events += (double)f->events;
		if (r->options->progress)
			show_progress(r);
	} else if (r->error.code == 0) {
		r->error = err;
	}
	pthread_mutex_unlock(&r->lock);
}

static void *work(void *userdata)
{
	struct runner *r = userdata;
	struct run_figures figures;
	uint32_t run;

	while (take_next(r, &run)) {
		struct run_input in = study_run(r->study, run);
		struct mg_error err = { 0 };
		_cleanup_free_ struct snapshots *snapshots = NULL;
		_cleanup_free_ char *line = NULL;

		if (r->options->progress) {
			in.passed = pass;
			in.userdata = r;
		}
		if (map_shows(r->study, run) &&
		    !(in.snapshots = snapshots = calloc(1, sizeof(*snapshots))))
			mg_error_set(&err, -ENOMEM, "out of memory");
		if (err.code == 0 && engine_run(&in, &figures, &err) == 0 &&
		    !(line = results_format_run(r->study, run, &figures, snapshots)))
			mg_error_set(&err, -ENOMEM, "out of memory");
		put(r, line, &figures, &err);
	}
	return NULL;
}

/* With fewer threads than wanted when the system has no more; this one works too. */
static void run_threads(struct runner *r)
{
	pthread_t threads[THREADS_MAX];
	unsigned n = 0,
		 wanted = r->options->threads < THREADS_MAX ? r->options->threads : THREADS_MAX;

	while (n + 1 < wanted && n + 1 < r->n_todo &&
	       pthread_create(&threads[n], NULL, work, r) == 0)
		n++;
	work(r);
	while (n > 0)
		pthread_join(threads[--n], NULL);
}

/* ---- All of it --------------------------------------------------------------------------------
 */

static int find_todo(struct runner *r)
{
	r->todo = calloc(r->results->runs, sizeof(*r->todo));
	if (!r->todo)
		return -ENOMEM;
	for (uint32_t i = 0; i < r->results->runs; i++) {
		if (!shard_has(r->options->shard, i))
			continue;
		r->report.runs++;
		if (r->results->results[i])
			r->report.resumed++;
		else
			r->todo[r->n_todo++] = i;
	}
	return 0;
}

static int finish(struct runner *r, struct mg_error *err)
{
	int e = results_write(r->results, r->options->folder, err);

	if (e == 0)
		e = manifest_write(r->study, r->options, &r->report, err);
	if (e == 0)
		part_remove(&r->part);
	return e;
}

static void runner_clear(struct runner *r)
{
	part_close(&r->part);
	results_free(r->results);
	free(r->todo);
	pthread_mutex_destroy(&r->lock);
}

int runner_run(const struct study *s, const struct runner_options *o, struct runner_report *ret,
	       struct mg_error *err)
{
	_cleanup_(runner_clear) struct runner r = {
		.study = s,
		.options = o,
		.begun_ns = clock_mono_ns(),
		.lock = PTHREAD_MUTEX_INITIALIZER,
	};
	_cleanup_free_ char *header = results_format_header(s);
	int e = header ? directory_make(o->folder, 0777, err)
		       : mg_error_set(err, -ENOMEM, "out of memory");

	if (e == 0)
		e = part_open(o->folder, header, &r.part, &r.results, err);
	if (e < 0)
		return e;
	if (find_todo(&r) < 0)
		return mg_error_set(err, -ENOMEM, "out of memory");
	noise_init();
	if (r.n_todo > 0)
		run_threads(&r);
	if (r.error.code) {
		*err = r.error;
		return r.error.code;
	}
	r.report.seconds = (double)(clock_mono_ns() - r.begun_ns) / 1e9;
	e = finish(&r, err);
	if (e == 0)
		*ret = r.report;
	return e;
}
