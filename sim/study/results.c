/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/study/results.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "config.h"
#include "sim/study/map.h"
#include "sim/trace/source.h"

const char *number_format(double v, char text[NUMBER_TEXT_SIZE])
{
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, NUMBER_TEXT_SIZE, "%.*g", digits, v);
		if (strtod(text, NULL) == v)
			break;
	}
	if (!isfinite(v))
		snprintf(text, NUMBER_TEXT_SIZE, "null");
	return text;
}

/* ---- Lines ---------------------------------------------------------------------------- */

char *results_format_header(const struct study *s)
{
	const char *separator = "";
	char *line = NULL;
	size_t len;
	FILE *f = open_memstream(&line, &len);

	if (!f)
		return NULL;
	fprintf(f,
		"{\"study\": \"%s\", \"version\": \"%s\", \"fingerprint\": \"%s\", \"seed\": "
		"%" PRIu64 ", \"replications\": %u, \"target_ns\": %" PRIu64
		", \"duration_ns\": %" PRIu64 ", \"devices\": %u, \"policies\": [",
		s->name, PACKAGE_VERSION, s->fingerprint, s->seed, s->replications,
		s->setting.target_ns, s->setting.duration_ns, s->world.devices);
	for (uint32_t i = 0; i < s->n_configurations; i++)
		fprintf(f, "%s\"%s\"", i ? ", " : "", s->configurations[i].label);
	fputs("], \"metrics\": [", f);
	for (size_t m = 0; m < n_metrics; m++)
		if (s->shown & metric_bit(m)) {
			fprintf(f, "%s\"%s\"", separator, metrics[m].name);
			separator = ", ";
		}
	fputs("], \"towers\": [", f);
	for (uint32_t i = 0; i < s->world.towers.n; i++)
		fprintf(f, "%s[%.0f, %.0f]", i ? ", " : "", s->world.towers.at[i].x,
			s->world.towers.at[i].y);
	fputs("]}", f);
	if (ferror(f) | fclose(f)) {
		free(line);
		return NULL;
	}
	return line;
}

char *results_format_run(const struct study *s, uint32_t run, const struct run_figures *figures,
			 const struct snapshots *snapshots)
{
	char *line = NULL, number[NUMBER_TEXT_SIZE];
	size_t len;
	FILE *f = open_memstream(&line, &len);
	const char *separator = "";

	if (!f)
		return NULL;
	fprintf(f, "{\"run\": %u, \"policy\": \"%s\", \"replication\": %u", run,
		s->configurations[run / s->replications].label, run % s->replications);
	for (size_t i = 0; i < n_metrics; i++)
		fprintf(f, ", \"%s\": %s", metrics[i].name,
			number_format(metrics[i].of(figures), number));
	fputs(", \"rtt_histogram\": [", f);
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		if (figures->rtt.counts[i] == 0)
			continue;
		fprintf(f, "%s[%u, %" PRIu64 "]", separator, i, figures->rtt.counts[i]);
		separator = ", ";
	}
	fputc(']', f);
	if (snapshots) {
		fputs(", \"map\": ", f);
		map_format(f, snapshots);
	}
	fputc('}', f);
	if (ferror(f) | fclose(f)) {
		free(line);
		return NULL;
	}
	return line;
}

static json_t *parse(const char *name, unsigned number, const char *line, struct mg_error *err)
{
	json_error_t why;
	json_t *o = json_loads(line, JSON_REJECT_DUPLICATES, &why);

	if (!json_is_object(o)) {
		mg_error_set(err, -EINVAL, "%s:%u: %s", name, number, o ? "no object" : why.text);
		json_decref(o);
		return NULL;
	}
	return o;
}

static void unref(json_t **o)
{
	json_decref(*o);
}

/* ---- The study's line ------------------------------------------------------------------ */

/* Copies a text; false: it is none, too long, or may not stand in a report as it is. */
static bool copy_text(const json_t *o, char *ret, size_t room)
{
	const char *text = json_string_value(o);

	if (!text || strlen(text) >= room || !study_text_is_plain(text))
		return false;
	memcpy(ret, text, strlen(text) + 1);
	return true;
}

static bool take_text(const json_t *o, const char *key, char *ret, size_t room)
{
	return copy_text(json_object_get(o, key), ret, room);
}

static bool take_shown(struct results *r, const json_t *names)
{
	for (size_t i = 0; i < json_array_size(names); i++) {
		const char *name = json_string_value(json_array_get(names, i));
		int m = name ? metric_find(name) : -1;

		if (m < 0)
			return false;
		r->shown |= metric_bit((size_t)m);
	}
	return true;
}

static bool take_lists(struct results *r, const json_t *o)
{
	const json_t *labels = json_object_get(o, "policies"),
		     *towers = json_object_get(o, "towers");

	if (json_array_size(labels) == 0 || json_array_size(labels) > STUDY_CONFIGURATIONS_MAX ||
	    json_array_size(towers) > BACKHAUL_TOWERS_MAX)
		return false;
	r->n_configurations = (uint32_t)json_array_size(labels);
	r->n_towers = (uint32_t)json_array_size(towers);
	r->labels = calloc(r->n_configurations, sizeof(*r->labels));
	r->rtt = calloc(r->n_configurations, sizeof(*r->rtt));
	r->towers = calloc(r->n_towers + 1, sizeof(*r->towers));
	if (!r->labels || !r->rtt || !r->towers)
		return false;
	for (uint32_t i = 0; i < r->n_configurations; i++)
		if (!copy_text(json_array_get(labels, i), r->labels[i], sizeof(r->labels[i])))
			return false;
	for (uint32_t i = 0; i < r->n_towers; i++) {
		const json_t *at = json_array_get(towers, i);

		r->towers[i] = (struct point){ json_number_value(json_array_get(at, 0)),
					       json_number_value(json_array_get(at, 1)) };
	}
	return true;
}

int results_new(const char *name, const char *header, struct results **ret, struct mg_error *err)
{
	_cleanup_(results_free_p) struct results *r = calloc(1, sizeof(*r));
	_cleanup_(unref) json_t *o = parse(name, 1, header, err);
	json_int_t replications;

	if (!o)
		return -EINVAL;
	if (!r || !(r->header = strdup(header)))
		return mg_error_set(err, -ENOMEM, "out of memory");
	replications = json_integer_value(json_object_get(o, "replications"));
	if (replications < 1 || replications > STUDY_REPLICATIONS_MAX ||
	    !take_text(o, "study", r->name, sizeof(r->name)) ||
	    !take_text(o, "version", r->version, sizeof(r->version)) ||
	    !take_text(o, "fingerprint", r->fingerprint, sizeof(r->fingerprint)) ||
	    !take_lists(r, o) || !take_shown(r, json_object_get(o, "metrics")))
		return mg_error_set(err, -EINVAL, "%s:1: is no study of edgesim", name);
	r->seed = (uint64_t)json_integer_value(json_object_get(o, "seed"));
	r->target_ms = (double)json_integer_value(json_object_get(o, "target_ns")) / 1e6;
	r->duration_ns = (uint64_t)json_integer_value(json_object_get(o, "duration_ns"));
	r->devices = (uint32_t)json_integer_value(json_object_get(o, "devices"));
	r->replications = (uint32_t)replications;
	r->runs = r->n_configurations * r->replications;
	r->results = calloc(r->runs, sizeof(struct result *));
	if (!r->results)
		return mg_error_set(err, -ENOMEM, "out of memory");
	*ret = TAKE_PTR(r);
	return 0;
}

static void result_free(struct result *result)
{
	if (!result)
		return;
	free(result->line);
	free(result->snapshots);
	free(result);
}
DEFINE_CLEANUP(struct result, result_free)

void results_free(struct results *r)
{
	if (!r)
		return;
	for (uint32_t i = 0; r->results && i < r->runs; i++)
		result_free(r->results[i]);
	free(r->results);
	free(r->header);
	free(r->labels);
	free(r->rtt);
	free(r->towers);
	free(r);
}

/* ---- Runs -------------------------------------------------------------------------------- */

static bool take_histogram(const json_t *o, uint64_t ret[HISTOGRAM_BUCKETS])
{
	const json_t *buckets = json_object_get(o, "rtt_histogram"), *pair;
	size_t i;

	if (!json_is_array(buckets))
		return false;
	json_array_foreach(buckets, i, pair)
	{
		json_int_t bucket = json_integer_value(json_array_get(pair, 0));
		json_int_t n = json_integer_value(json_array_get(pair, 1));

		if (bucket < 0 || bucket >= HISTOGRAM_BUCKETS || n < 0 || n > (json_int_t)1 << 53)
			return false;
		ret[bucket] += (uint64_t)n;
	}
	return true;
}

static bool take_run(const struct results *r, const json_t *o, struct result *result)
{
	json_int_t run = json_is_integer(json_object_get(o, "run"))
				 ? json_integer_value(json_object_get(o, "run"))
				 : -1;
	char label[sizeof(r->labels[0])];

	if (run < 0 || run >= r->runs || !take_text(o, "policy", label, sizeof(label)))
		return false;
	result->run = (uint32_t)run;
	result->configuration = result->run / r->replications;
	result->replication = result->run % r->replications;
	for (size_t i = 0; i < n_metrics; i++) {
		const json_t *v = json_object_get(o, metrics[i].name);

		if (!json_is_number(v))
			return false;
		result->metrics[i] = json_number_value(v);
	}
	return strcmp(label, r->labels[result->configuration]) == 0;
}

/* Most runs have none. */
static bool take_map(const struct results *r, const json_t *o, struct result *result)
{
	const json_t *map = json_object_get(o, "map");

	return !map || map_parse(map, r->n_towers, &result->snapshots) == 0;
}

int results_add(struct results *r, const char *name, unsigned number, const char *line,
		struct mg_error *err)
{
	_cleanup_(result_free_p) struct result *result = calloc(1, sizeof(*result));
	_cleanup_(unref) json_t *o = parse(name, number, line, err);
	uint64_t rtt[HISTOGRAM_BUCKETS] = { 0 };

	if (!o)
		return -EINVAL;
	if (!result || !(result->line = strdup(line)))
		return mg_error_set(err, -ENOMEM, "out of memory");
	if (!take_run(r, o, result) || !take_histogram(o, rtt) || !take_map(r, o, result))
		return mg_error_set(err, -EINVAL, "%s:%u: is no run of this study", name, number);
	if (r->results[result->run]) {
		if (strcmp(r->results[result->run]->line, line) == 0)
			return -EEXIST;
		return mg_error_set(err, -EINVAL, "%s:%u: run %u is there already, and differs",
				    name, number, result->run);
	}
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		r->rtt[result->configuration][i] += rtt[i];
	r->results[result->run] = result;
	r->n++;
	result = NULL;
	return 0;
}

int results_merge(struct results *r, const char *name, const struct results *from,
		  struct mg_error *err)
{
	if (strcmp(r->header, from->header) != 0)
		return mg_error_set(err, -EINVAL,
				    "%s: is of another study than the others, or of another "
				    "version, or has other inputs",
				    name);
	for (uint32_t i = 0; i < from->runs; i++) {
		int e = from->results[i] ? results_add(r, name, 0, from->results[i]->line, err) : 0;

		if (e < 0 && e != -EEXIST)
			return e;
	}
	return 0;
}

int results_load(const char *folder, struct results **ret, struct mg_error *err)
{
	_cleanup_(results_free_p) struct results *results = NULL;
	_cleanup_(source_close) struct source s = { 0 };
	char path[4096];
	int r;

	snprintf(path, sizeof(path), "%s/results.jsonl", folder);
	r = source_open(&s, path, err);
	if (r == 0 && (r = source_line(&s)) == 0)
		r = mg_error_set(err, -EINVAL, "%s: is empty", path);
	if (r > 0)
		r = results_new(path, s.line, &results, err);
	while (r >= 0 && (r = source_line(&s)) > 0) {
		r = results_add(results, path, s.number, s.line, err);
		if (r == -EEXIST)
			r = source_fail(&s, "is there twice");
	}
	if (r == 0)
		*ret = TAKE_PTR(results);
	return r;
}

struct estimate results_estimate(const struct results *r, uint32_t configuration, size_t metric)
{
	_cleanup_free_ double *values = calloc(r->replications, sizeof(*values));
	size_t n = 0;

	for (uint32_t i = 0; values && i < r->replications; i++) {
		const struct result *result = r->results[configuration * r->replications + i];

		if (result)
			values[n++] = result->metrics[metric];
	}
	return estimate_mean(values, n);
}
