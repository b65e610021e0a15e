/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/cli/sparkline.h"

#include <stdio.h>

#define LEVELS 8

static const char *const blocks[LEVELS] = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
static const char *const marks[LEVELS] = { "_", ".", ",", "-", "=", "+", "*", "#" };

void sparkline_add(struct sparkline *s, uint64_t value)
{
	s->values[s->n++ % SPARKLINE_VALUES] = value;
}

static void find_range(const struct sparkline *s, uint64_t *ret_least, uint64_t *ret_largest)
{
	*ret_least = UINT64_MAX;
	*ret_largest = 0;
	for (size_t i = 0; i < s->n && i < SPARKLINE_VALUES; i++) {
		if (s->values[i] && s->values[i] < *ret_least)
			*ret_least = s->values[i];
		if (s->values[i] > *ret_largest)
			*ret_largest = s->values[i];
	}
}

static unsigned level_of(uint64_t value, uint64_t least, uint64_t largest)
{
	if (largest == least)
		return 0;
	return (unsigned)((double)(value - least) / (double)(largest - least) * (LEVELS - 1) + 0.5);
}

void sparkline_format(const struct sparkline *s, bool utf8, char text[SPARKLINE_TEXT_SIZE])
{
	size_t first = s->n > SPARKLINE_VALUES ? s->n - SPARKLINE_VALUES : 0, used = 0;
	uint64_t least, largest;

	find_range(s, &least, &largest);
	text[0] = '\0';
	for (size_t i = first; i < s->n; i++) {
		uint64_t value = s->values[i % SPARKLINE_VALUES];
		const char *mark = " ";

		if (value)
			mark = (utf8 ? blocks : marks)[level_of(value, least, largest)];
		used += (size_t)snprintf(text + used, SPARKLINE_TEXT_SIZE - used, "%s", mark);
	}
}
