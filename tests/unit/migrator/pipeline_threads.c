/* SPDX-License-Identifier: Apache-2.0
 *
 * The whole data path with all its threads, for ThreadSanitizer (which Criterion
 * does not bear). Exits 0, 1, or 77 without io_uring.
 */
#include "tests/unit/migrator/flow_history.h"

#include "migrator/ring.h"

static struct pipeline p;

static int have_ring(void)
{
	struct ring ring;
	struct mg_error err;

	if (ring_init(&ring, &err) < 0) {
		printf("skipped: %s\n", err.text);
		return 0;
	}
	ring_exit(&ring);
	return 1;
}

/* A frame that was changed on its way ends both. */
static bool fails(void)
{
	const struct pipeline_config c = {
		.seed = 6,
		.pages = 2000,
		.rounds = 4,
		.harm = { .kind = HARM_FLIP, .frame = 5, .at = 100 },
	};
	bool ok = pipeline_run(&p, &c) && pipe_is_broken(&p);

	printf("failure: %s\n  source: %s\n  target: %s\n", ok ? "ok" : "FAILED",
	       pipe_out_error(&p), pipe_in_error(&p));
	pipeline_end(&p);
	return ok;
}

static bool moves(uint64_t seed)
{
	static const char *const names[] = { "HUNG", "WRONG", "moved", "stayed" };
	struct outflow_stats out;
	enum history_end end;
	struct history h;

	history_begin(&h, seed);
	end = history_run(&h, &p);
	outflow_get_stats(p.out, &out);
	printf("seed %" PRIu64 ": %s, %" PRIu64 " of guest, %" PRIu64 " bytes, %u resumed\n", seed,
	       names[end], out.guest_bytes, out.wire_bytes, p.resumed_out);
	pipeline_end(&p);
	history_end(&h);
	return end == HISTORY_MOVED || end == HISTORY_STAYED;
}

/* TAGALONG_SEED=n runs that one alone. */
int main(void)
{
	uint64_t count = 8, first = history_seeds(&count);

	if (!have_ring())
		return 77;
	for (uint64_t seed = first; seed < first + count; seed++)
		if (!moves(seed))
			return 1;
	return fails() ? 0 : 1;
}
