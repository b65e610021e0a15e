/* SPDX-License-Identifier: Apache-2.0
 *
 * A row of numbers as a row of characters, for people to see how they went.
 */
#ifndef MIGRATOR_CLI_SPARKLINE_H
#define MIGRATOR_CLI_SPARKLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPARKLINE_VALUES 32
#define SPARKLINE_TEXT_SIZE (3 * SPARKLINE_VALUES + 1)

/* The newest values, in a ring. All zero is one without any. */
struct sparkline {
	uint64_t values[SPARKLINE_VALUES];
	size_t n; /* that were ever added */
};

/* 0: there is no value, which shows as a gap. */
void sparkline_add(struct sparkline *s, uint64_t value);

/* One character a value, the oldest first, from the least to the largest of them; `utf8` says
 * whether blocks of different height can be shown, or only ASCII. */
void sparkline_format(const struct sparkline *s, bool utf8, char text[SPARKLINE_TEXT_SIZE]);

#endif
