/* SPDX-License-Identifier: Apache-2.0
 *
 * The input as a map of cells and as a trace on cells. What passes has no place
 * or cell that is not there.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "sim/reference/cells.h"

#define CELLS 209

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void as_map(const char *text, size_t size)
{
	struct mg_error err = { 0 };
	struct cell_map map = { 0 };

	if (cell_map_parse(text, size, 0.01, &map, &err) < 0) {
		if (!err.text[0] || map.hops)
			abort();
		return;
	}
	for (size_t i = 0; i < map.n; i++)
		if (!isfinite(map.lat[i]) || !isfinite(map.lon[i]) || map.hops[i * map.n + i] != 0)
			abort();
	cell_map_clear(&map);
}

static void as_trace(const char *text, size_t size)
{
	struct mg_error err = { 0 };
	struct cell_trace trace = { 0 };

	if (cell_trace_parse(text, size, CELLS, size & 1, &trace, &err) < 0) {
		if (!err.text[0] || trace.cell)
			abort();
		return;
	}
	for (size_t i = 0; i < trace.users * trace.slots; i++)
		if (trace.cell[i] >= CELLS && trace.cell[i] != CELL_ABSENT)
			abort();
	cell_trace_clear(&trace);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	as_map((const char *)data, size);
	as_trace((const char *)data, size);
	return 0;
}
