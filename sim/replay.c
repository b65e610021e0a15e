/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/replay.h"

#include "common/philox.h"
#include "placement/controller.h"
#include "placement/record_log.h"

/* The world as the log has it: a clock and a seed, nothing else. */
struct world {
	uint64_t mono_ns, utc_ns, seed;
	replay_line_fn fn;
	void *userdata;
	size_t decisions;
};

static uint64_t now_mono(void *userdata)
{
	return ((struct world *)userdata)->mono_ns;
}

static uint64_t now_utc(void *userdata)
{
	return ((struct world *)userdata)->utc_ns;
}

static uint64_t random_number(void *userdata, uint64_t stream, uint64_t counter)
{
	return philox_u64(((struct world *)userdata)->seed, stream, counter);
}

/* Timers are inputs of the log like all others, and messages go nowhere. */
static void timer_set(void *userdata, uint64_t id, uint64_t deadline_ns)
{
	(void)userdata, (void)id, (void)deadline_ns;
}

static void timer_cancel(void *userdata, uint64_t id)
{
	(void)userdata, (void)id;
}

static void send_nothing(void *userdata, const struct bus_peer *to, uint64_t request, Envelope *e)
{
	(void)userdata, (void)to, (void)request, (void)e;
}

static void record_nothing(void *userdata, const PlacementRecord *input)
{
	(void)userdata, (void)input;
}

static void on_decision(void *userdata, const char *line)
{
	struct world *w = userdata;

	w->decisions++;
	w->fn(line, w->userdata);
}

static int feed(struct world *w, const struct environment *env, PlacementRecord *record,
		struct controller **controller, struct mg_error *err)
{
	int r = 0;

	w->mono_ns = record->mono_ns;
	w->utc_ns = record->utc_ns;
	if (record->input_case == TAGALONG__PLACEMENT__RECORD__INPUT_START) {
		controller_free(*controller);
		*controller = NULL;
		w->seed = record->start->seed;
		r = controller_new(env, NULL, 0, controller, err);
	} else if (!*controller) {
		r = mg_error_set(err, -EBADMSG, "no start came before");
	}
	return r < 0 ? r : controller_input(*controller, record, err);
}

int replay_run(const void *data, size_t len, replay_line_fn fn, void *userdata,
	       struct replay_result *ret, struct mg_error *err)
{
	_cleanup_(controller_free_p) struct controller *controller = NULL;
	struct world w = { .fn = fn, .userdata = userdata };
	const struct environment env = {
		.userdata = &w,
		.now_mono = now_mono,
		.now_utc = now_utc,
		.random = random_number,
		.timer_set = timer_set,
		.timer_cancel = timer_cancel,
		.send = send_nothing,
		.record = record_nothing,
		.decision = on_decision,
	};
	struct replay_result result = { 0 };
	struct record_reader reader;
	int r;

	r = record_reader_init(&reader, data, len, err);
	while (r >= 0) {
		_cleanup_(record_free_p) PlacementRecord *record = NULL;

		r = record_reader_next(&reader, &record, err);
		if (r <= 0)
			break;
		result.records++;
		result.runs += record->input_case == TAGALONG__PLACEMENT__RECORD__INPUT_START;
		r = feed(&w, &env, record, &controller, err);
		if (r < 0)
			mg_error_prefix(err, "offset %zu", reader.offset);
	}
	if (r < 0)
		return r;
	result.decisions = w.decisions;
	result.truncated = reader.truncated;
	result.good = reader.good;
	*ret = result;
	return 0;
}
