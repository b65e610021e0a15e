/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/effort.h"

#include "migrator/page.h"

#define HEADROOM 4 /* a step among the last costs up to three times as much */

void effort_init(struct effort *e)
{
	*e = (struct effort){ .level = PAGE_EFFORT_FASTEST - 1 };
}

void effort_note(struct effort *e, uint64_t encode_ns, uint64_t wire_ns, uint64_t plain_ns)
{
	e->encode_ns = encode_ns;
	e->wire_ns = wire_ns;
	e->plain_ns = plain_ns;
}

void effort_waited(struct effort *e, uint64_t ns)
{
	e->waited_ns += ns;
}

bool effort_link_is_slower(const struct effort *e)
{
	return e->encode_ns < e->wire_ns;
}

/* Not to compress at all needs a link that would have carried the pages meanwhile, and not just one
 * that waits for all else that is done to a page. */
static int hastier(const struct effort *e)
{
	if (e->level < PAGE_EFFORT_FASTEST)
		return e->level + 1;
	return e->plain_ns && e->encode_ns > e->plain_ns ? PAGE_EFFORT_NONE : e->level;
}

int effort_next(struct effort *e, bool starved)
{
	bool late = starved && e->waited_ns < e->encode_ns;

	e->waited_ns = 0;
	if (late)
		e->level = hastier(e);
	else if (starved && e->encode_ns > e->wire_ns)
		return e->level; /* no batch can be worth more of it on this link */
	else if (e->level > PAGE_EFFORT_THRIFTY)
		e->level--;
	else if (e->level < PAGE_EFFORT_THRIFTY && e->encode_ns > e->wire_ns / 2)
		e->level++;
	else if (e->level > PAGE_EFFORT_SMALLEST && e->wire_ns &&
		 e->encode_ns * HEADROOM <= e->wire_ns)
		e->level--;
	return e->level;
}
