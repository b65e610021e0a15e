/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/testbed/scenario.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "common/clock.h"
#include "common/config.h"
#include "common/file.h"
#include "common/units.h"

#define METRES_MAX 1e6
#define WARMINGS_MAX 100
#define DURATION_MAX (3600 * NS_PER_S)

/* ---- The file as it is written: quantities are still text -------------------- */

struct raw_link {
	char *delay, *jitter, *distribution, *rate, *queue;
	double loss;
};

struct raw_tower {
	char *name;
	double x, y;
};

struct raw_backhaul {
	struct raw_link link;
};

struct raw_radio {
	struct raw_link link;
	char *delay_per_km;
	double handover;
};

struct raw_waypoint {
	char *at;
	double x, y;
};

struct raw_phone {
	char *name, *probe_interval, *data_rate;
	struct raw_waypoint *path;
	unsigned path_count;
};

struct raw_guest {
	char *name, *tower, *memory, *pattern, *working_set, *dirty_rate, *verify_rate;
	double compressibility;
	unsigned vcpus;
};

struct raw_policy {
	char *threshold, *hold, *margin, *min_stay, *interval;
};

struct raw_telemetry {
	char *interval, *report_interval, *window;
};

struct raw_limits {
	char *blackout, *blackout_max, *bandwidth, *timeout;
	double warmings;
};

struct raw_move {
	char *from, *to, *reason;
};

struct raw {
	char *name, *duration;
	struct raw_tower *towers;
	unsigned towers_count;
	struct raw_backhaul backhaul;
	struct raw_radio radio;
	struct raw_phone phone;
	struct raw_guest guest;
	struct raw_policy policy;
	struct raw_telemetry telemetry;
	struct raw_limits limits;
	struct raw_move *moves;
	unsigned moves_count;
};

#define TEXT(key, type, member) CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER, type, member, 1, 64)
#define TEXT_OR_NONE(key, type, member)                                                         \
	CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, member, 1, 64)
#define NUMBER(key, type, member) CYAML_FIELD_FLOAT(key, CYAML_FLAG_DEFAULT, type, member)
#define NUMBER_OR_ZERO(key, type, member) CYAML_FIELD_FLOAT(key, CYAML_FLAG_OPTIONAL, type, member)
#define GROUP(key, member, fields) \
	CYAML_FIELD_MAPPING(key, CYAML_FLAG_DEFAULT, struct raw, member, fields)
#define GROUP_OR_NONE(key, member, fields) \
	CYAML_FIELD_MAPPING(key, CYAML_FLAG_OPTIONAL, struct raw, member, fields)
#define LINK_FIELDS(type)                                  \
	TEXT("delay", type, link.delay),                   \
	TEXT_OR_NONE("jitter", type, link.jitter),         \
	TEXT_OR_NONE("distribution", type, link.distribution), \
	TEXT_OR_NONE("rate", type, link.rate),             \
	TEXT_OR_NONE("queue", type, link.queue),           \
	NUMBER_OR_ZERO("loss", type, link.loss)

static const cyaml_schema_field_t tower_fields[] = {
	TEXT("name", struct raw_tower, name),
	NUMBER("x", struct raw_tower, x),
	NUMBER("y", struct raw_tower, y),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t tower_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_tower, tower_fields),
};

static const cyaml_schema_field_t backhaul_fields[] = {
	LINK_FIELDS(struct raw_backhaul),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t radio_fields[] = {
	LINK_FIELDS(struct raw_radio),
	TEXT_OR_NONE("delay_per_km", struct raw_radio, delay_per_km),
	NUMBER_OR_ZERO("handover", struct raw_radio, handover),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t waypoint_fields[] = {
	TEXT("at", struct raw_waypoint, at),
	NUMBER("x", struct raw_waypoint, x),
	NUMBER("y", struct raw_waypoint, y),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t waypoint_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_waypoint, waypoint_fields),
};

static const cyaml_schema_field_t phone_fields[] = {
	TEXT("name", struct raw_phone, name),
	TEXT_OR_NONE("probe_interval", struct raw_phone, probe_interval),
	TEXT_OR_NONE("data_rate", struct raw_phone, data_rate),
	CYAML_FIELD_SEQUENCE_COUNT("path", CYAML_FLAG_POINTER, struct raw_phone, path, path_count,
				   &waypoint_schema, 1, WAYPOINTS_MAX),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t guest_fields[] = {
	TEXT("name", struct raw_guest, name),
	TEXT("tower", struct raw_guest, tower),
	TEXT("memory", struct raw_guest, memory),
	TEXT("pattern", struct raw_guest, pattern),
	TEXT_OR_NONE("working_set", struct raw_guest, working_set),
	TEXT_OR_NONE("dirty_rate", struct raw_guest, dirty_rate),
	TEXT_OR_NONE("verify_rate", struct raw_guest, verify_rate),
	NUMBER_OR_ZERO("compressibility", struct raw_guest, compressibility),
	CYAML_FIELD_UINT("vcpus", CYAML_FLAG_OPTIONAL, struct raw_guest, vcpus),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t policy_fields[] = {
	TEXT("threshold", struct raw_policy, threshold),
	TEXT("hold", struct raw_policy, hold),
	TEXT("margin", struct raw_policy, margin),
	TEXT("min_stay", struct raw_policy, min_stay),
	TEXT_OR_NONE("interval", struct raw_policy, interval),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t telemetry_fields[] = {
	TEXT_OR_NONE("interval", struct raw_telemetry, interval),
	TEXT_OR_NONE("report_interval", struct raw_telemetry, report_interval),
	TEXT_OR_NONE("window", struct raw_telemetry, window),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t limits_fields[] = {
	TEXT_OR_NONE("blackout", struct raw_limits, blackout),
	TEXT_OR_NONE("blackout_max", struct raw_limits, blackout_max),
	TEXT_OR_NONE("bandwidth", struct raw_limits, bandwidth),
	TEXT_OR_NONE("timeout", struct raw_limits, timeout),
	NUMBER_OR_ZERO("warmings", struct raw_limits, warmings),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t move_fields[] = {
	TEXT("from", struct raw_move, from),
	TEXT("to", struct raw_move, to),
	TEXT("reason", struct raw_move, reason),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t move_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_move, move_fields),
};

static const cyaml_schema_field_t raw_fields[] = {
	TEXT("name", struct raw, name),
	TEXT("duration", struct raw, duration),
	CYAML_FIELD_SEQUENCE_COUNT("towers", CYAML_FLAG_POINTER, struct raw, towers, towers_count,
				   &tower_schema, 2, TOWERS_MAX),
	GROUP("backhaul", backhaul, backhaul_fields),
	GROUP("radio", radio, radio_fields),
	GROUP("phone", phone, phone_fields),
	GROUP("guest", guest, guest_fields),
	GROUP("policy", policy, policy_fields),
	GROUP_OR_NONE("telemetry", telemetry, telemetry_fields),
	GROUP_OR_NONE("limits", limits, limits_fields),
	CYAML_FIELD_SEQUENCE_COUNT("moves", CYAML_FLAG_POINTER, struct raw, moves, moves_count,
				   &move_schema, 0, EXPECTED_MAX),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t raw_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct raw, raw_fields),
};

/* ---- From text to quantities --------------------------------------------------- */

struct reader {
	const char *name, *text;
	size_t len;
	struct mg_error *err;
	int result; /* the first error; nothing is read after it */
};

/* Notes an error about the value at a path. */
static void refuse(struct reader *r, const char *path, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void refuse(struct reader *r, const char *path, const char *fmt, ...)
{
	char what[160];
	va_list args;

	if (r->result < 0)
		return;
	va_start(args, fmt);
	vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	r->result = mg_error_set(r->err, -EINVAL, "%s: line %u: %s: %s", r->name,
				 config_line(r->text, r->len, path), path, what);
}

typedef int (*quantity_fn)(const char *text, uint64_t *ret);

static uint64_t read_quantity(struct reader *r, const char *path, const char *text,
			      quantity_fn parse, uint64_t or_else, const char *like)
{
	uint64_t value;

	if (!text)
		return or_else;
	if (parse(text, &value) == 0)
		return value;
	refuse(r, path, "'%s' is not a %s", text, like);
	return or_else;
}

static uint64_t read_duration(struct reader *r, const char *path, const char *text,
			      uint64_t or_else)
{
	uint64_t ns = read_quantity(r, path, text, duration_parse, or_else,
				    "duration such as 20ms or 1.5s");

	if (ns > DURATION_MAX)
		refuse(r, path, "more than an hour");
	return ns;
}

static uint64_t read_size(struct reader *r, const char *path, const char *text, uint64_t or_else)
{
	return read_quantity(r, path, text, size_parse, or_else, "size such as 64M");
}

static uint64_t read_rate(struct reader *r, const char *path, const char *text, uint64_t or_else)
{
	return read_quantity(r, path, text, rate_parse, or_else, "rate such as 100Mbit");
}

static bool name_is_good(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n >= SCENARIO_NAME_SIZE || !isalnum((unsigned char)name[0]))
		return false;
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && *name != '-' && *name != '_')
			return false;
	return true;
}

static void read_name(struct reader *r, const char *path, const char *text,
		      char ret[SCENARIO_NAME_SIZE])
{
	if (!name_is_good(text))
		refuse(r, path, "'%s' is not a name: letters, digits, '-' and '_', at most %d", text,
		       SCENARIO_NAME_SIZE - 1);
	else
		memcpy(ret, text, strlen(text) + 1);
}

static struct position read_position(struct reader *r, const char *path, double x, double y)
{
	/* Written so that NaN is refused, too. */
	if (!(fabs(x) <= METRES_MAX && fabs(y) <= METRES_MAX))
		refuse(r, path, "x and y are metres, at most %g", METRES_MAX);
	return (struct position){ .x = x, .y = y };
}

static void read_link(struct reader *r, const char *group, const struct raw_link *raw,
		      struct link_params *ret)
{
	char path[64];

#define AT(field) (snprintf(path, sizeof(path), "%s.%s", group, field), path)
	ret->delay_ns = read_duration(r, AT("delay"), raw->delay, 0);
	ret->jitter_ns = read_duration(r, AT("jitter"), raw->jitter, 0);
	ret->rate_bps = read_rate(r, AT("rate"), raw->rate, 0);
	ret->queue = read_size(r, AT("queue"), raw->queue, 0);
	ret->loss = raw->loss;
	if (!(raw->loss >= 0 && raw->loss <= 1))
		refuse(r, AT("loss"), "not a probability (0 to 1)");
	if (raw->distribution && strcmp(raw->distribution, "uniform") == 0)
		ret->jitter_kind = JITTER_UNIFORM;
	else if (raw->distribution && strcmp(raw->distribution, "normal") != 0)
		refuse(r, AT("distribution"), "'%s' is neither normal nor uniform",
		       raw->distribution);
#undef AT
}

static int read_tower_name(struct reader *r, const struct scenario *s, const char *path,
			   const char *text)
{
	int i = scenario_tower(s, text);

	if (i < 0)
		refuse(r, path, "there is no tower '%s'", text);
	return i;
}

static void read_towers(struct reader *r, const struct raw *raw, struct scenario *s)
{
	char path[64];

	for (unsigned i = 0; i < raw->towers_count; i++) {
		struct tower *t = &s->towers[i];

		snprintf(path, sizeof(path), "towers[%u].name", i);
		read_name(r, path, raw->towers[i].name, t->name);
		if (scenario_tower(s, t->name) >= 0)
			refuse(r, path, "a second tower '%s'", t->name);
		snprintf(path, sizeof(path), "towers[%u].x", i);
		t->at = read_position(r, path, raw->towers[i].x, raw->towers[i].y);
		s->n_towers++;
	}
}

static void read_phone(struct reader *r, const struct raw_phone *raw, struct scenario *s)
{
	char path[64];

	read_name(r, "phone.name", raw->name, s->phone.name);
	s->phone.probe_interval_ns =
		read_duration(r, "phone.probe_interval", raw->probe_interval, 2 * NS_PER_MS);
	if (s->phone.probe_interval_ns < 500 * NS_PER_US)
		refuse(r, "phone.probe_interval", "shorter than 500us");
	s->phone.data_bps = read_rate(r, "phone.data_rate", raw->data_rate, 512000) / 8;
	if (s->phone.data_bps < 1000 || s->phone.data_bps > 12500000)
		refuse(r, "phone.data_rate", "not between 8kbit and 100Mbit");
	for (unsigned i = 0; i < raw->path_count; i++) {
		struct waypoint *w = &s->phone.path[i];

		snprintf(path, sizeof(path), "phone.path[%u].at", i);
		w->at_ns = read_duration(r, path, raw->path[i].at, 0);
		if (i && w->at_ns <= w[-1].at_ns)
			refuse(r, path, "not later than the waypoint before it");
		snprintf(path, sizeof(path), "phone.path[%u].x", i);
		w->to = read_position(r, path, raw->path[i].x, raw->path[i].y);
		s->phone.n_path++;
	}
}

static void read_guest(struct reader *r, const struct raw_guest *raw, struct scenario *s)
{
	read_name(r, "guest.name", raw->name, s->guest.name);
	s->guest.tower = read_tower_name(r, s, "guest.tower", raw->tower);
	s->guest.memory = read_size(r, "guest.memory", raw->memory, 0);
	s->guest.pattern = read_size(r, "guest.pattern", raw->pattern, 0);
	s->guest.working_set =
		read_size(r, "guest.working_set", raw->working_set, s->guest.pattern);
	s->guest.dirty_rate = read_size(r, "guest.dirty_rate", raw->dirty_rate, 0);
	s->guest.verify_rate =
		read_size(r, "guest.verify_rate", raw->verify_rate, s->guest.pattern);
	s->guest.compressibility = raw->compressibility ? raw->compressibility : 2.0;
	s->guest.vcpus = raw->vcpus ? raw->vcpus : 1;
	if (s->guest.memory < (uint64_t)96 << 20)
		refuse(r, "guest.memory", "the test guest needs 96M to boot");
	else if (s->guest.pattern > s->guest.memory - ((uint64_t)64 << 20))
		refuse(r, "guest.pattern", "leaves less than 64M of guest.memory to the kernel");
	if (s->guest.pattern == 0)
		refuse(r, "guest.pattern", "none: then nothing would be verified");
	if (s->guest.working_set > s->guest.pattern)
		refuse(r, "guest.working_set", "larger than guest.pattern");
	if (!(s->guest.compressibility >= 1 && s->guest.compressibility <= 10))
		refuse(r, "guest.compressibility", "not between 1 and 10");
	if (s->guest.vcpus > 16)
		refuse(r, "guest.vcpus", "more than 16");
}

static void read_orders(struct reader *r, const struct raw *raw, struct scenario *s)
{
	const struct raw_policy *p = &raw->policy;
	const struct raw_telemetry *t = &raw->telemetry;
	const struct raw_limits *l = &raw->limits;

	s->policy.threshold_ns = read_duration(r, "policy.threshold", p->threshold, 0);
	s->policy.hold_ns = read_duration(r, "policy.hold", p->hold, 0);
	s->policy.margin_ns = read_duration(r, "policy.margin", p->margin, 0);
	s->policy.min_stay_ns = read_duration(r, "policy.min_stay", p->min_stay, 0);
	s->policy.interval_ns =
		read_duration(r, "policy.interval", p->interval, 200 * NS_PER_MS);
	s->telemetry.probe_ns =
		read_duration(r, "telemetry.interval", t->interval, 100 * NS_PER_MS);
	s->telemetry.report_ns =
		read_duration(r, "telemetry.report_interval", t->report_interval, 200 * NS_PER_MS);
	s->telemetry.window_ns = read_duration(r, "telemetry.window", t->window, 10 * NS_PER_S);
	s->limits.blackout_ns = read_duration(r, "limits.blackout", l->blackout, 100 * NS_PER_MS);
	s->limits.blackout_max_ns = read_duration(r, "limits.blackout_max", l->blackout_max,
						  4 * s->limits.blackout_ns);
	s->limits.bandwidth_bps = read_rate(r, "limits.bandwidth", l->bandwidth, 0);
	s->limits.timeout_ns = read_duration(r, "limits.timeout", l->timeout, 60 * NS_PER_S);
	s->limits.warmings = (unsigned)fmin(fmax(l->warmings, 0), WARMINGS_MAX);
	if (s->limits.warmings != l->warmings)
		refuse(r, "limits.warmings", "not a number from 0 to %d", WARMINGS_MAX);
	if (s->policy.threshold_ns == 0)
		refuse(r, "policy.threshold", "zero");
	if (s->limits.blackout_max_ns < s->limits.blackout_ns)
		refuse(r, "limits.blackout_max", "below limits.blackout");
}

static void read_moves(struct reader *r, const struct raw *raw, struct scenario *s)
{
	char path[64];

	for (unsigned i = 0; i < raw->moves_count; i++) {
		struct expected_move *m = &s->expected[i];
		int before = i ? m[-1].to : s->guest.tower;

		snprintf(path, sizeof(path), "moves[%u].from", i);
		m->from = read_tower_name(r, s, path, raw->moves[i].from);
		if (m->from != before)
			refuse(r, path, "the VM is not at '%s' then", raw->moves[i].from);
		snprintf(path, sizeof(path), "moves[%u].to", i);
		m->to = read_tower_name(r, s, path, raw->moves[i].to);
		if (m->to == m->from)
			refuse(r, path, "a move to where it is");
		snprintf(path, sizeof(path), "moves[%u].reason", i);
		read_name(r, path, raw->moves[i].reason, m->reason);
		s->n_expected++;
	}
}

static void read_all(struct reader *r, const struct raw *raw, struct scenario *s)
{
	read_name(r, "name", raw->name, s->name);
	s->duration_ns = read_duration(r, "duration", raw->duration, 0);
	if (s->duration_ns < NS_PER_S)
		refuse(r, "duration", "shorter than a second");
	read_towers(r, raw, s);
	read_link(r, "backhaul", &raw->backhaul.link, &s->backhaul);
	read_link(r, "radio", &raw->radio.link, &s->radio.link);
	s->radio.delay_per_km_ns =
		(double)read_duration(r, "radio.delay_per_km", raw->radio.delay_per_km, 0);
	s->radio.handover_m = raw->radio.handover;
	if (!(raw->radio.handover >= 0 && raw->radio.handover <= METRES_MAX))
		refuse(r, "radio.handover", "not between 0 and %g metres", METRES_MAX);
	read_phone(r, &raw->phone, s);
	read_guest(r, &raw->guest, s);
	read_orders(r, raw, s);
	read_moves(r, raw, s);
}

int scenario_parse(const char *name, const char *text, size_t len, struct scenario **ret,
		   struct mg_error *err)
{
	struct reader reader = { .name = name, .text = text, .len = len, .err = err };
	_cleanup_free_ struct scenario *s = calloc(1, sizeof(*s));
	struct raw *raw = NULL;
	int r;

	if (!s)
		return mg_error_set(err, -ENOMEM, "out of memory");
	r = config_parse(name, text, len, &raw_schema, (void **)&raw, err);
	if (r < 0)
		return r;
	read_all(&reader, raw, s);
	config_free(&raw_schema, raw);
	if (reader.result < 0)
		return reader.result;
	*ret = TAKE_PTR(s);
	return 0;
}

int scenario_load(const char *path, struct scenario **ret, struct mg_error *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	r = file_read(path, CONFIG_MAX, &text, &len, err);
	if (r < 0)
		return r;
	return scenario_parse(path, text, len, ret, err);
}

/* ---- What follows from it -------------------------------------------------------- */

int scenario_tower(const struct scenario *s, const char *name)
{
	for (int i = 0; i < s->n_towers; i++)
		if (strcmp(s->towers[i].name, name) == 0)
			return i;
	return -1;
}

double position_distance(struct position a, struct position b)
{
	return hypot(a.x - b.x, a.y - b.y);
}

struct position scenario_phone_at(const struct scenario *s, uint64_t t_ns)
{
	const struct waypoint *w = s->phone.path, *last = w + s->phone.n_path - 1;
	double part;

	if (t_ns <= w->at_ns)
		return w->to;
	while (w < last && t_ns >= w[1].at_ns)
		w++;
	if (w == last)
		return last->to;
	part = (double)(t_ns - w->at_ns) / (double)(w[1].at_ns - w->at_ns);
	return (struct position){
		.x = w->to.x + part * (w[1].to.x - w->to.x),
		.y = w->to.y + part * (w[1].to.y - w->to.y),
	};
}

int scenario_attachment(const struct scenario *s, struct position at, int current)
{
	int nearest = 0;

	for (int i = 1; i < s->n_towers; i++)
		if (position_distance(at, s->towers[i].at) <
		    position_distance(at, s->towers[nearest].at))
			nearest = i;
	if (current < 0)
		return nearest;
	if (position_distance(at, s->towers[nearest].at) + s->radio.handover_m <
	    position_distance(at, s->towers[current].at))
		return nearest;
	return current;
}

struct link_params scenario_radio(const struct scenario *s, double distance_m)
{
	struct link_params p = s->radio.link;

	p.delay_ns += (uint64_t)(s->radio.delay_per_km_ns * distance_m / 1000.0);
	return p;
}

struct link_params scenario_uplink(const struct scenario *s)
{
	struct link_params p = s->backhaul;

	/* A path between towers has two uplinks; variances add up. */
	p.delay_ns /= 2;
	p.jitter_ns = (uint64_t)((double)p.jitter_ns / M_SQRT2);
	p.loss = 1.0 - sqrt(1.0 - p.loss);
	return p;
}
