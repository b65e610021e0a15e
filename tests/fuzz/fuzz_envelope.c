/* SPDX-License-Identifier: Apache-2.0
 *
 * Control messages. One that is admitted can be packed, and what was packed
 * means the same.
 */
#include <stdint.h>
#include <string.h>

#include "common/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mg_error err = { 0 };
	Envelope *e = envelope_unpack(data, size, &err), *again;
	uint8_t *once, *twice;
	size_t once_len, twice_len;

	if (!e) {
		if (err.code >= 0 || !err.text[0])
			abort();
		return 0;
	}
	if (!envelope_body_name(e))
		abort();
	/* Packing may be longer: a protobuf may leave out what we write. */
	if (envelope_pack(e, &once, &once_len) == 0) {
		again = envelope_unpack(once, once_len, &err);
		if (!again || envelope_pack(again, &twice, &twice_len) < 0)
			abort();
		if (once_len != twice_len || memcmp(once, twice, once_len) != 0)
			abort();
		envelope_free(again);
		free(twice);
		free(once);
	}
	envelope_free(e);
	return 0;
}
