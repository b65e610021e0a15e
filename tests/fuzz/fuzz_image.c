/* SPDX-License-Identifier: Apache-2.0
 *
 * What lies on the disk as an image, and what a peer says that its image holds: the
 * header, and the manifest behind it, which takes its counts from the header.
 */
#include <stdlib.h>
#include <string.h>

#include "migrator/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Packed again it is what it was. */
static void check_manifest(const struct image_manifest *m, const uint8_t *data, size_t len)
{
	uint8_t *again = malloc(len);
	uint32_t seen = 0;

	if (!again)
		abort();
	image_manifest_pack(m, again);
	if (memcmp(again, data, len) != 0)
		abort();
	free(again);
	for (uint64_t page = 0; page < image_manifest_guest_pages(m); page++) {
		uint32_t slot = image_manifest_slot(m, page);

		if (slot != IMAGE_NO_SLOT && slot != seen++)
			abort();
	}
	if (seen != image_manifest_slots(m))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct image_manifest *m;
	struct image_header h;

	if (size < IMAGE_HEADER_SIZE || image_header_unpack(data, &h) < 0)
		return 0;
	data += IMAGE_HEADER_SIZE;
	size -= IMAGE_HEADER_SIZE;
	if (image_manifest_unpack(data, size, h.guest_pages, h.slots, &m) < 0)
		return 0;
	check_manifest(m, data, size);
	image_manifest_free(m);
	return 0;
}
