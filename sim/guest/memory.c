/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/guest/memory.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

static void *map_anonymous(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

int memory_init(struct memory *m, const struct pattern *pattern, uint64_t count)
{
	memset(m, 0, sizeof(*m));
	m->pattern = *pattern;
	m->count = count;
	m->random = pattern->seed | 1;
	m->pages = map_anonymous(count * PATTERN_PAGE);
	m->expected = map_anonymous(count * sizeof(*m->expected));
	if (!m->pages || !m->expected) {
		memory_done(m);
		return -ENOMEM;
	}
	for (uint64_t i = 0; i < count; i++)
		pattern_fill(&m->pattern, memory_page(m, i), i, 0);
	return 0;
}

void memory_done(struct memory *m)
{
	if (m->pages)
		munmap(m->pages, m->count * PATTERN_PAGE);
	if (m->expected)
		munmap(m->expected, m->count * sizeof(*m->expected));
	m->pages = NULL;
	m->expected = NULL;
}

static void rewrite(struct memory *m, uint64_t index)
{
	uint32_t generation = ++m->expected[index];

	pattern_fill(&m->pattern, memory_page(m, index), index, generation);
	if (generation > m->counts.generation)
		m->counts.generation = generation;
	m->counts.written++;
}

/* xorshift64*, George Marsaglia, "Xorshift RNGs", 2003; the high half. */
static uint32_t draw(struct memory *m)
{
	m->random ^= m->random >> 12;
	m->random ^= m->random << 25;
	m->random ^= m->random >> 27;
	return (uint32_t)(m->random * 0x2545f4914f6cdd1du >> 32);
}

void memory_write(struct memory *m, uint64_t pages, uint64_t working_set)
{
	for (; pages > 0; pages--)
		rewrite(m, draw(m) * working_set >> 32);
}

static void verify_page(struct memory *m, uint64_t index)
{
	struct memory_fault fault = { .page = index, .expected = m->expected[index] };

	fault.state = pattern_check(&m->pattern, memory_page(m, index), index, fault.expected,
				    &fault.found);
	m->counts.verified++;
	if (fault.state == PAGE_SOUND)
		return;
	m->counts.errors++;
	if (m->on_fault)
		m->on_fault(&fault, m->userdata);
	rewrite(m, index);
}

static void balance(struct memory *m)
{
	uint64_t ledger = 0;

	for (uint64_t i = 0; i < m->count; i++)
		ledger += m->expected[i];
	if (ledger == m->counts.written)
		return;
	m->counts.errors++;
	if (m->on_unbalanced)
		m->on_unbalanced(ledger, m->counts.written, m->userdata);
	m->counts.written = ledger;
}

void memory_verify(struct memory *m, uint64_t pages)
{
	for (; pages > 0; pages--) {
		verify_page(m, m->next);
		if (++m->next < m->count)
			continue;
		m->next = 0;
		balance(m);
		m->counts.passes++;
	}
}
