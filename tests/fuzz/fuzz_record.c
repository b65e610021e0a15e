/* SPDX-License-Identifier: Apache-2.0
 *
 * Record logs through the whole controller: the reader, every message handler
 * and the decisions. Two replays of one log must decide the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sim/replay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_line(const char *line, void *userdata)
{
	uint64_t *hash = userdata;

	if (strchr(line, '\n'))
		abort();
	for (; *line; line++)
		*hash = (*hash ^ (uint8_t)*line) * UINT64_C(0x100000001b3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct replay_result result = { 0 };
	struct mg_error err = { 0 };
	uint64_t first = 0, second = 0;
	int r = replay_run(data, size, on_line, &first, &result, &err);

	if (r < 0 ? !err.text[0] : result.good > size)
		abort();
	if (replay_run(data, size, on_line, &second, &result, NULL) != r || first != second)
		abort();
	return 0;
}
