/* SPDX-License-Identifier: Apache-2.0
 *
 * What passes an interface. Each frame of the input has four bytes before it: its length, which way
 * it goes and, in quarters of a millisecond, how much later than the last one it comes.
 *
 *     length (2) | way: 0 to a client, else from one (1) | later (1) | frame
 */
#include <stdlib.h>

#include "common/clock.h"
#include "common/cursor.h"
#include "telemetry/tcp_match.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define START NS_PER_S
#define STEP (NS_PER_MS / 4)
#define SENT_MAX 4096

/* Everything that went to a client, without any cleverness. */
struct sent {
	struct address from, to;
	uint64_t at_ns;
	uint32_t tsval;
};

struct passing {
	struct tcp_match *match;
	struct sent sent[SENT_MAX];
	size_t n;
	uint64_t told_ns[SENT_MAX]; /* every time that an echo could tell */
	size_t n_told;
};

static void check_segment(const struct tcp_segment *s)
{
	if (s->from.any.sa_family != s->to.any.sa_family || address_is_none(&s->from))
		abort();
	if (s->syn && !s->advances)
		abort();
}

static void note(struct passing *p, const struct tcp_segment *s, uint64_t now_ns)
{
	if (p->n < SENT_MAX)
		p->sent[p->n++] = (struct sent){ s->from, s->to, now_ns, s->tsval };
	(void)tcp_match_towards(p->match, s, now_ns);
}

static void echo(struct passing *p, const struct tcp_segment *s, uint64_t now_ns)
{
	uint64_t rtt_ns = 0;
	bool is_known = false;

	for (size_t i = 0; i < p->n && p->n_told < SENT_MAX; i++)
		if (p->sent[i].tsval == s->tsecr && address_equal(&p->sent[i].from, &s->to) &&
		    address_equal(&p->sent[i].to, &s->from))
			p->told_ns[p->n_told++] = now_ns - p->sent[i].at_ns;
	if (!tcp_match_from(p->match, s, now_ns, &rtt_ns))
		return;
	for (size_t i = 0; i < p->n_told; i++)
		is_known |= p->told_ns[i] == rtt_ns;
	if (rtt_ns == 0 || rtt_ns > TCP_MATCH_AGE_NS || !s->ack ||
	    (!is_known && p->n < SENT_MAX && p->n_told < SENT_MAX))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct passing p;
	struct rcursor c = rcursor_over(data, size);
	uint64_t now_ns = START;

	p = (struct passing){ 0 };
	if (tcp_match_new(&p.match) < 0)
		abort();
	while (rcursor_ok(&c) && rcursor_left(&c) > 0) {
		size_t len = rcursor_u16(&c);
		bool is_from = rcursor_u8(&c);
		struct tcp_segment s;
		const uint8_t *frame;

		now_ns += rcursor_u8(&c) * STEP;
		if (rcursor_ok(&c) && len > rcursor_left(&c))
			len = rcursor_left(&c);
		frame = rcursor_bytes(&c, len);
		if (!frame || tcp_segment_read(frame, len, 1, &s) < 0)
			continue;
		check_segment(&s);
		(is_from ? echo : note)(&p, &s, now_ns);
	}
	tcp_match_free(p.match);
	return 0;
}
