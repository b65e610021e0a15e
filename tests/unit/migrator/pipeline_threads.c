/* SPDX-License-Identifier: Apache-2.0
 *
 * The whole data path with all its threads, for ThreadSanitizer (which Criterion
 * does not bear). Exits 0, 1, or 77 without io_uring.
 */
#include "tests/unit/migrator/pipeline.h"

#include "migrator/ring.h"

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

int main(void)
{
	static struct pipeline p;

	if (!have_ring())
		return 77;
	for (uint64_t seed = 1; seed <= 8; seed++) {
		struct pipeline_config c = { .seed = seed,
					     .pages = 2000,
					     .rounds = 4,
					     .plain_text = seed & 1 };
		struct outflow_stats out;
		struct inflow_stats in;
		bool ok;

		if (seed == 6) { /* a failure has its threads too */
			c.harm = HARM_FLIP;
			c.frame = 5;
			c.at = 100;
		} else if (seed > 6) { /* and so has a connection that takes another's place */
			c.harm = HARM_CUT;
			c.frame = 4;
			c.cuts = 2;
			c.target_unaware = seed & 1;
		}
		ok = pipeline_run(&p, &c);
		outflow_get_stats(p.out, &out);
		inflow_get_stats(p.in, &in);
		ok = ok && (c.harm == HARM_FLIP ? pipe_is_broken(&p) : pipeline_same(&p));
		ok = ok && p.resumed_in == c.cuts;
		printf("seed %" PRIu64 ": %s, %" PRIu64 " of guest, %" PRIu64 " bytes\n", seed,
		       ok ? "ok" : "FAILED", in.guest_bytes, out.wire_bytes);
		if (pipe_is_broken(&p))
			printf("  source: %s\n  target: %s\n", pipe_out_error(&p), pipe_in_error(&p));
		pipeline_end(&p);
		if (!ok)
			return 1;
	}
	return 0;
}
