/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/effort.h"

#include "migrator/page.h"

#define HEADROOM 4 /* a step among the last costs up to three times as much */

/* Batches. A link that carries as much as it gets still seems slow for a moment whenever the peer
 * is late, and then there is no need to wait for long again. */
#define PATIENCE 16
#define PATIENCE_MIN 2
#define PATIENCE_MAX 64
#define WORTH_IT 4

void effort_init(struct effort *e)
{
	*e = (struct effort){ .level = PAGE_EFFORT_FASTEST - 1, .patience = PATIENCE };
}

void effort_note(struct effort *e, uint64_t encode_ns, uint64_t wire_ns, uint64_t plain_ns)
{
	e->encode_ns = encode_ns;
	e->wire_ns = wire_ns;
	e->plain_ns = plain_ns;
	if (e->level == PAGE_EFFORT_FASTEST)
		e->fastest_ns = encode_ns;
}

void effort_waited(struct effort *e, uint64_t ns)
{
	e->waited_ns += ns;
}

bool effort_link_is_slower(const struct effort *e)
{
	return e->encode_ns < e->wire_ns;
}

static void compress_less(struct effort *e)
{
	if (e->level < PAGE_EFFORT_FASTEST) {
		e->level++;
	} else if (e->level == PAGE_EFFORT_NONE) {
		e->plain++;
	} else if (++e->late >= e->patience) {
		e->level = PAGE_EFFORT_NONE;
		e->plain = e->late = 0;
	}
}

static void compress_more(struct effort *e)
{
	if (e->level == PAGE_EFFORT_NONE && e->plain < WORTH_IT)
		e->patience = e->patience < PATIENCE_MAX ? e->patience * 2 : PATIENCE_MAX;
	else if (e->level == PAGE_EFFORT_NONE && e->patience > PATIENCE_MIN)
		e->patience /= 2;
	e->level--;
}

/* The last batch could have been encoded more thoroughly while QEMU had nothing for us. */
static bool had_time(const struct effort *e)
{
	return e->waited_ns >= (e->level == PAGE_EFFORT_NONE ? e->fastest_ns : e->encode_ns);
}

/* The link would have been done with the last batch first, had it gone as it was. */
static bool is_pointless(const struct effort *e)
{
	return e->plain_ns && e->plain_ns < (e->level == PAGE_EFFORT_NONE ? e->fastest_ns
									  : e->encode_ns);
}

int effort_next(struct effort *e, bool starved)
{
	bool late = starved && !had_time(e);

	e->waited_ns = 0;
	if (is_pointless(e)) {
		e->late = 0;
		if (e->level < PAGE_EFFORT_NONE)
			e->level++;
		return e->level;
	}
	if (late) {
		compress_less(e);
		return e->level;
	}
	e->late = 0;
	if (starved && e->encode_ns > e->wire_ns)
		return e->level; /* no batch can be worth more of it on this link */
	if (e->level > PAGE_EFFORT_THRIFTY)
		compress_more(e);
	else if (e->level < PAGE_EFFORT_THRIFTY && e->encode_ns > e->wire_ns / 2)
		e->level++;
	else if (e->level > PAGE_EFFORT_SMALLEST && e->wire_ns &&
		 e->encode_ns * HEADROOM <= e->wire_ns)
		e->level--;
	return e->level;
}
