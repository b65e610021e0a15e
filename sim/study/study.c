/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/study/study.h"

#include <limits.h>
#include <math.h>
#include <sodium.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include "common/config.h"
#include "common/file.h"
#include "common/units.h"
#include "sim/study/metrics.h"
#include "sim/study/study_file.h"
#include "sim/trace/reader.h"
#include "config.h"

#define DEVICES_MAX 4000000
#define MARGIN_DEFAULT_M 250

/* The stream of the seed from which replications take theirs. */
#define STREAM_REPLICATIONS UINT64_C(0x7265706c)

struct reading {
	const char *name, *folder, *text;
	size_t len;
	struct study *study;
	struct backhaul_parameters backhaul;
	struct mg_error *err;
	int r; /* the first error; nothing counts after it */
};

static void refuse(struct reading *in, const char *path, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void refuse(struct reading *in, const char *path, const char *fmt, ...)
{
	char what[160];
	va_list args;

	if (in->r < 0)
		return;
	va_start(args, fmt);
	vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	in->r = mg_error_set(in->err, -EINVAL, "%s:%u: %s: %s", in->name,
			     config_line(in->text, in->len, path), path, what);
}

/* ---- Values -------------------------------------------------------------------------- */

static double plain(struct reading *in, const char *path, const char *text)
{
	char *end;
	double v = strtod(text, &end);

	if (end == text || *end != '\0' || !isfinite(v))
		refuse(in, path, "'%.40s' is no number", text);
	return v;
}

static void check_range(struct reading *in, const char *path, const char *text, double v,
			double min, double max)
{
	if (!(v >= min && v <= max))
		refuse(in, path, "%s is not between %g and %g", text, min, max);
}

/* What a quantity is written like, and how it is said to people. */
struct dimension {
	int (*parse)(const char *text, uint64_t *ret);
	const char *(*format)(uint64_t v, char text[UNITS_TEXT_SIZE]);
	const char *like;
};

static const struct dimension duration = { duration_parse, duration_format,
					   "duration such as 20ms or 1.5s" };
static const struct dimension size = { size_parse, size_format, "size such as 64M" };
static const struct dimension rate = { rate_parse, rate_format, "rate such as 100Mbit" };

/* A quantity with a unit; the limits are in that in which it is parsed, and below 2^63. */
static uint64_t quantity(struct reading *in, const char *path, const char *text,
			 const struct dimension *dimension, double min, double max)
{
	char least[UNITS_TEXT_SIZE], most[UNITS_TEXT_SIZE];
	uint64_t v = 0;

	if (dimension->parse(text, &v) < 0)
		refuse(in, path, "'%.40s' is not a %s", text, dimension->like);
	else if ((double)v < min || (double)v > max)
		refuse(in, path, "%s is not between %s and %s", text,
		       dimension->format((uint64_t)min, least),
		       dimension->format((uint64_t)max, most));
	return v;
}

static void take_number(struct reading *in, const char *path, const char *text, double min,
			double max, double *ret)
{
	*ret = plain(in, path, text);
	check_range(in, path, text, *ret, min, max);
}

/* Of ms and s, kept as that of ns and s. */
static void take_product(struct reading *in, const char *path, const char *text, double min,
			 double max, double *ret)
{
	take_number(in, path, text, min, max, ret);
	*ret *= 1e6;
}

static void take_count(struct reading *in, const char *path, const char *text, double min,
		       double max, uint32_t *ret)
{
	double v;

	take_number(in, path, text, min, max, &v);
	if (v != floor(v))
		refuse(in, path, "%.40s is no whole number", text);
	*ret = in->r == 0 ? (uint32_t)v : 0;
}

static void take_permille(struct reading *in, const char *path, const char *text, double min,
			  double max, uint32_t *ret)
{
	double v;

	take_number(in, path, text, min, max, &v);
	*ret = in->r == 0 ? (uint32_t)lround(v * 1000) : 0;
}

static void take_duration(struct reading *in, const char *path, const char *text, double min,
			  double max, uint64_t *ret)
{
	*ret = quantity(in, path, text, &duration, min, max);
}

static void take_nanoseconds(struct reading *in, const char *path, const char *text, double min,
			     double max, double *ret)
{
	*ret = (double)quantity(in, path, text, &duration, min, max);
}

static void take_seconds(struct reading *in, const char *path, const char *text, double min,
			 double max, double *ret)
{
	*ret = (double)quantity(in, path, text, &duration, min * 1e9, max * 1e9) / 1e9;
}

static void take_size(struct reading *in, const char *path, const char *text, double min,
		      double max, uint64_t *ret)
{
	*ret = quantity(in, path, text, &size, min, max);
}

/* In bits a second, kept as bytes a second. */
static void take_rate(struct reading *in, const char *path, const char *text, double min,
		      double max, uint64_t *ret)
{
	*ret = quantity(in, path, text, &rate, min * 8, max * 8) / 8;
}

#define TAKE(prefix, raw, key, kind, target, otherwise, min, max)                                  \
	take_##kind(in, prefix #key, (raw)->key ? (raw)->key : (otherwise), min, max, &(target));
#define TAKE_FIELD(section, key, kind, target, otherwise, min, max)                                \
	TAKE(#section ".", &raw->section, key, kind, in->study->target, otherwise, min, max)
#define TAKE_MOVEMENT(section, key, kind, target, otherwise, min, max)                             \
	TAKE("mobility.", &raw->mobility.with, key, kind, in->study->target, otherwise, min, max)
#define TAKE_BACKHAUL(section, key, kind, target, otherwise, min, max)                             \
	TAKE("backhaul.", &raw->backhaul, key, kind, in->target, otherwise, min, max)
#define TAKE_TOP(section, key, kind, target, otherwise, min, max)                                  \
	TAKE("", &raw->top, key, kind, in->study->target, otherwise, min, max)

static void take_values(struct reading *in, const struct raw_study *raw)
{
	struct setting *s = &in->study->setting;

	SECTION_TOP(TAKE_TOP)
	SECTION_MOBILITY(TAKE_MOVEMENT)
	SECTION_ATTACHMENT(TAKE_FIELD)
	SECTION_RADIO(TAKE_FIELD)
	SECTION_BACKHAUL(TAKE_BACKHAUL)
	SECTION_TRAFFIC(TAKE_FIELD)
	SECTION_TELEMETRY(TAKE_FIELD)
	SECTION_VM(TAKE_FIELD)
	SECTION_BACKGROUND(TAKE_FIELD)
	SECTION_HOSTS(TAKE_FIELD)
	SECTION_LIMITS(TAKE_FIELD)
	s->attachment.rule = s->attachment.range_m > 0 ? ATTACHMENT_RANGE : ATTACHMENT_A3;
	if (in->study->world.mobility.p.speed_max < in->study->world.mobility.p.speed_min)
		refuse(in, "mobility.speed_max", "is below speed_min");
	s->background.promise_ns = s->vm.promise_ns;
	s->background.start_ns = s->vm.start_ns;
	s->background.stop_ns = s->vm.stop_ns;
	if (s->host_memory > 0 && s->host_memory < s->vm.memory + s->background.memory)
		refuse(in, "hosts.memory", "not one device's VMs fit");
}

bool study_text_is_plain(const char *text)
{
	for (const char *at = text; *at; at++)
		if ((unsigned char)*at < ' ' || strchr("\"\\<>&", *at))
			return false;
	return true;
}

static void check_plain(struct reading *in, const char *path, const char *text)
{
	if (!study_text_is_plain(text))
		refuse(in, path, "a name has quotes, brackets or control characters");
}

static void take_name(struct reading *in, const struct raw_study *raw)
{
	char *end;

	if (strlen(raw->name) >= sizeof(in->study->name))
		refuse(in, "name", "is longer than %zu bytes", sizeof(in->study->name) - 1);
	else
		memcpy(in->study->name, raw->name, strlen(raw->name) + 1);
	check_plain(in, "name", raw->name);
	if (strchr(raw->name, '/'))
		refuse(in, "name", "a folder gets this name: no '/'");
	errno = 0;
	in->study->seed = raw->seed ? strtoull(raw->seed, &end, 10) : 1;
	/* JSON's integers end there. */
	if (raw->seed && (errno || *raw->seed < '0' || *raw->seed > '9' || *end != '\0' ||
			  in->study->seed > INT64_MAX))
		refuse(in, "seed", "'%.40s' is no number from 0 to 2^63 - 1", raw->seed);
}

/* ---- Policies ------------------------------------------------------------------------- */

/* Sets the parameters to the `i`-th of all combinations; the last parameter's value
 * changes the fastest. */
static void choose_values(struct reading *in, const struct raw_policy *raw, unsigned policy,
			  unsigned i, unsigned chosen[PARAMETERS_MAX], struct configuration *c)
{
	char path[80];

	parameters_default(&c->parameters);
	for (size_t k = n_parameters; k-- > 0;) {
		const struct raw_values *values = &raw->swept[k];

		if (values->n == 0)
			continue;
		chosen[k] = i % values->n;
		i /= values->n;
		if (parameter_set(&c->parameters, (int)k, values->values[chosen[k]]) == 0)
			continue;
		snprintf(path, sizeof(path), "policies[%u].%s[%u]", policy, parameter_name((int)k),
			 chosen[k]);
		refuse(in, path, "'%.40s' is no value of it", values->values[chosen[k]]);
	}
}

/* The policy and its swept parameters: what tells configurations apart. */
static void make_label(struct reading *in, const struct raw_policy *raw,
		       const unsigned chosen[PARAMETERS_MAX], struct configuration *c)
{
	const size_t room = sizeof(c->label);
	size_t len = (size_t)snprintf(c->label, room, "%s", raw->label ? raw->label : raw->name);

	for (size_t k = 0; k < n_parameters && len < room; k++)
		if (raw->swept[k].n > 1)
			len += (size_t)snprintf(c->label + len, room - len, " %s=%s",
						parameter_name((int)k),
						raw->swept[k].values[chosen[k]]);
	if (len >= room)
		refuse(in, "policies", "a label is longer than %zu bytes", room - 1);
	check_plain(in, "policies", c->label);
}

static void check_policy(struct reading *in, unsigned policy, struct configuration *c,
			 const char *name)
{
	struct mg_error why = { 0 };
	char path[40];

	snprintf(path, sizeof(path), "policies[%u].name", policy);
	c->policy = policy_find(name);
	if (!c->policy && strcmp(name, "none") != 0)
		refuse(in, path, "there is no policy '%.40s'", name);
	if (c->policy && c->policy->init(&c->parameters, &why) < 0)
		refuse(in, path, "%.140s", why.text);
}

static void add_policy(struct reading *in, const struct raw_policy *raw, unsigned policy)
{
	unsigned chosen[PARAMETERS_MAX] = { 0 };
	struct study *s = in->study;
	uint64_t n = 1;

	for (size_t k = 0; k < n_parameters && n <= STUDY_CONFIGURATIONS_MAX; k++)
		n *= raw->swept[k].n ? raw->swept[k].n : 1;
	if (n + s->n_configurations > STUDY_CONFIGURATIONS_MAX) {
		refuse(in, "policies", "these are more than %d", STUDY_CONFIGURATIONS_MAX);
		return;
	}
	for (unsigned i = 0; i < n && in->r == 0; i++) {
		struct configuration *c = &s->configurations[s->n_configurations];

		choose_values(in, raw, policy, i, chosen, c);
		make_label(in, raw, chosen, c);
		check_policy(in, policy, c, raw->name);
		for (uint32_t k = 0; k < s->n_configurations; k++)
			if (strcmp(s->configurations[k].label, c->label) == 0)
				refuse(in, "policies", "two are '%.60s'; give one a label",
				       c->label);
		s->n_configurations++;
	}
}

static void take_policies(struct reading *in, const struct raw_study *raw)
{
	struct study *s = in->study;

	s->configurations = calloc(STUDY_CONFIGURATIONS_MAX, sizeof(*s->configurations));
	if (!s->configurations) {
		in->r = mg_error_set(in->err, -ENOMEM, "out of memory");
		return;
	}
	for (unsigned i = 0; i < raw->n_policies && in->r == 0; i++)
		add_policy(in, &raw->policies[i], i);
}

static void take_metrics(struct reading *in, const struct raw_study *raw)
{
	if (!raw->metrics)
		in->study->shown = metrics_usual();
	for (unsigned i = 0; i < raw->n_metrics; i++) {
		int m = metric_find(raw->metrics[i]);
		char path[24];

		snprintf(path, sizeof(path), "metrics[%u]", i);
		if (m < 0)
			refuse(in, path, "there is no metric '%.40s'", raw->metrics[i]);
		else
			in->study->shown |= metric_bit((size_t)m);
	}
}

/* ---- Files ------------------------------------------------------------------------------ */

static void add_input(struct reading *in, const char *path, const unsigned char *hash)
{
	struct study_input *input = &in->study->inputs[in->study->n_inputs++];

	snprintf(input->path, sizeof(input->path), "%s", path);
	sodium_bin2hex(input->hash, sizeof(input->hash), hash, crypto_generichash_BYTES);
}

static const char *in_folder(const struct reading *in, const char *file, char path[PATH_MAX])
{
	bool absolute = *file == '/' || !in->folder;

	snprintf(path, PATH_MAX, "%s%s%s", absolute ? "" : in->folder, absolute ? "" : "/", file);
	return path;
}

/* BLAKE2b of the file. It is read once more, so a pipe will not do. */
static void hash_file(struct reading *in, const char *file)
{
	unsigned char hash[crypto_generichash_BYTES], chunk[65536];
	char path[PATH_MAX];
	_cleanup_fclose_ FILE *f = NULL;
	crypto_generichash_state state;
	struct stat st;
	size_t n;

	if (in->r < 0)
		return;
	if (stat(in_folder(in, file, path), &st) == 0 && !S_ISREG(st.st_mode)) {
		in->r = mg_error_set(in->err, -EINVAL, "%s: is no regular file", path);
		return;
	}
	f = fopen(path, "re");
	if (!f) {
		in->r = mg_error_set(in->err, -errno, "%s: %s", path, strerror(errno));
		return;
	}
	crypto_generichash_init(&state, NULL, 0, sizeof(hash));
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		crypto_generichash_update(&state, chunk, n);
	crypto_generichash_final(&state, hash, sizeof(hash));
	if (ferror(f))
		in->r = mg_error_set(in->err, -EIO, "%s: %s", path, strerror(errno));
	else
		add_input(in, file, hash);
}

/* ---- The world ---------------------------------------------------------------------------- */

static void make_towers(struct reading *in, const struct raw_study *raw)
{
	static const char *const of_files[] = { "csv:", "cells:", "opencellid:" };

	if (in->r < 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(of_files) && in->r == 0; i++)
		if (strncmp(raw->towers, of_files[i], strlen(of_files[i])) == 0)
			hash_file(in, raw->towers + strlen(of_files[i]));
	if (in->r == 0)
		in->r = towers_make(raw->towers, in->folder, &in->study->world.towers, in->err);
	if (in->r == 0)
		in->r = backhaul_make(&in->backhaul, &in->study->world.towers,
				      &in->study->world.backhaul, in->err);
}

/* The rectangle around all towers, and a margin. */
static void make_area(struct reading *in, const struct raw_movement *raw)
{
	struct world *w = &in->study->world;
	struct mobility *m = &w->mobility;
	double margin = MARGIN_DEFAULT_M;

	if (raw->margin)
		take_number(in, "mobility.margin", raw->margin, 1, 1e6, &margin);
	m->min = m->max = w->towers.at[0];
	for (uint32_t i = 1; i < w->towers.n; i++) {
		m->min.x = fmin(m->min.x, w->towers.at[i].x);
		m->min.y = fmin(m->min.y, w->towers.at[i].y);
		m->max.x = fmax(m->max.x, w->towers.at[i].x);
		m->max.y = fmax(m->max.y, w->towers.at[i].y);
	}
	m->min = (struct point){ m->min.x - margin, m->min.y - margin };
	m->max = (struct point){ m->max.x + margin, m->max.y + margin };
}

static void make_generated(struct reading *in, const struct raw_movement *raw)
{
	struct world *w = &in->study->world;

	w->mobility.model = mobility_find(raw->model);
	if (!w->mobility.model)
		refuse(in, "mobility.model", "there is no model '%.40s'", raw->model);
	if (raw->file || raw->slot || raw->reversed)
		refuse(in, "mobility", "file, slot and reversed are for a trace");
	if (!raw->devices)
		refuse(in, "mobility", "'devices' says how many there are");
	else
		take_count(in, "mobility.devices", raw->devices, 1, DEVICES_MAX, &w->devices);
	make_area(in, raw);
}

static void make_recorded(struct reading *in, const struct raw_movement *raw)
{
	const struct trace_reader *reader = trace_reader_find(raw->trace);
	struct world *w = &in->study->world;
	struct reader_options options = {
		.reversed = raw->reversed,
		.places = w->towers.at,
		.n_places = w->towers.n,
	};
	char path[PATH_MAX];

	if (!reader)
		refuse(in, "mobility.trace", "there is no format '%.40s'", raw->trace);
	if (!raw->file)
		refuse(in, "mobility", "'file' says where the trace is");
	if (raw->slot)
		take_seconds(in, "mobility.slot", raw->slot, 0.001, 86400, &options.slot_s);
	if (in->r < 0)
		return;
	hash_file(in, raw->file);
	if (in->r < 0)
		return;
	w->trace.projection = w->towers.projection;
	in->r = trace_load(reader, in_folder(in, raw->file, path), &options, &w->trace, in->err);
	if (in->r < 0)
		return;
	trace_start_at_zero(&w->trace);
	w->mobility.model = &mobility_trace;
	w->mobility.trace = &w->trace;
	w->devices = (uint32_t)w->trace.n;
	if (raw->devices)
		take_count(in, "mobility.devices", raw->devices, 1, w->devices, &w->devices);
}

static void make_world(struct reading *in, const struct raw_study *raw)
{
	make_towers(in, raw);
	if (in->r < 0)
		return;
	if (!raw->mobility.model == !raw->mobility.trace)
		refuse(in, "mobility", "needs either a 'model' or a 'trace'");
	else if (raw->mobility.model)
		make_generated(in, &raw->mobility);
	else
		make_recorded(in, &raw->mobility);
}

/* ---- All of it ------------------------------------------------------------------------------ */

static void make_fingerprint(struct study *s)
{
	unsigned char hash[crypto_generichash_BYTES];
	crypto_generichash_state state;

	crypto_generichash_init(&state, NULL, 0, sizeof(hash));
	crypto_generichash_update(&state, (const unsigned char *)PACKAGE_VERSION,
				  sizeof(PACKAGE_VERSION));
	for (unsigned i = 0; i < s->n_inputs; i++)
		crypto_generichash_update(&state, (const unsigned char *)s->inputs[i].hash,
					  sizeof(s->inputs[i].hash));
	crypto_generichash_final(&state, hash, sizeof(hash));
	sodium_bin2hex(s->fingerprint, sizeof(s->fingerprint), hash, sizeof(hash));
}

static int read_study(struct reading *in, struct study **ret)
{
	_cleanup_(study_free_p) struct study *study = calloc(1, sizeof(*study));
	_cleanup_(study_file_free_p) struct raw_study *raw = NULL;
	unsigned char hash[crypto_generichash_BYTES];

	if (!study || sodium_init() < 0)
		return mg_error_set(in->err, -ENOMEM, "out of memory");
	in->r = study_file_parse(in->name, in->text, in->len, &raw, in->err);
	if (in->r < 0)
		return in->r;
	in->study = study;
	crypto_generichash(hash, sizeof(hash), (const unsigned char *)in->text, in->len, NULL, 0);
	add_input(in, in->name, hash);
	take_name(in, raw);
	take_values(in, raw);
	take_policies(in, raw);
	take_metrics(in, raw);
	make_world(in, raw);
	if (in->r < 0)
		return in->r;
	make_fingerprint(study);
	*ret = TAKE_PTR(study);
	return 0;
}

int study_parse(const char *name, const char *text, size_t len, struct study **ret,
		struct mg_error *err)
{
	struct reading in = { .name = name, .text = text, .len = len, .err = err };

	return read_study(&in, ret);
}

int study_load(const char *path, struct study **ret, struct mg_error *err)
{
	struct reading in = { .name = path, .err = err };
	_cleanup_free_ char *text = NULL, *folder = NULL;
	int r = file_read(path, CONFIG_MAX, &text, &in.len, err);

	if (r < 0)
		return r;
	in.text = text;
	if (strrchr(path, '/')) {
		folder = strndup(path, (size_t)(strrchr(path, '/') - path));
		if (!folder)
			return mg_error_set(err, -ENOMEM, "out of memory");
		in.folder = *folder ? folder : "/";
	}
	return read_study(&in, ret);
}

void study_free(struct study *study)
{
	if (!study)
		return;
	world_clear(&study->world);
	free(study->configurations);
	free(study);
}

struct run_input study_run(const struct study *s, uint32_t i)
{
	const struct configuration *c = &s->configurations[i / s->replications];

	return (struct run_input){
		.world = &s->world,
		.setting = &s->setting,
		.policy = c->policy,
		.parameters = c->parameters,
		.seed = philox_u64(s->seed, STREAM_REPLICATIONS, i % s->replications),
	};
}
