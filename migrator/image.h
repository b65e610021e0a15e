/* SPDX-License-Identifier: Apache-2.0
 *
 * An image: the RAM of a guest as a file, encrypted under a key of its VM.
 *
 *     header    256 bytes: what it is, in plain text, and a tag
 *     pages     each one that is other than zero, 4096 bytes and a tag, by slot
 *     manifest  image_manifest.h, and a tag
 *
 * All of it is sealed (seal.h) under a key of this image alone, derived from the
 * VM's key and the image's id; a page's number goes into its tag, so that no page
 * passes for another. A file that was cut short has the wrong size, and one that
 * was changed does not verify.
 *
 * It is written beside its name and renamed when it is whole. Nothing is synced:
 * what a power loss takes is noticed as damage, and an image is only ever worth
 * the bytes that it saves.
 */
#ifndef MIGRATOR_IMAGE_H
#define MIGRATOR_IMAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/uuid.h"
#include "migrator/image_manifest.h"
#include "migrator/ring.h"
#include "migrator/vm_spec.h"

#define IMAGE_KEY_SIZE 32
#define IMAGE_HEADER_SIZE 256
#define IMAGE_PART_SUFFIX ".part" /* of a file that is being written */

/* What can be read without the key. */
struct image_header {
	struct uuid id;     /* of this image */
	struct uuid key_id; /* of the key, which it does not give away */
	char name[VM_NAME_MAX + 1];
	uint64_t guest_pages;
	uint64_t slots;
	uint64_t made_utc_ns;
	uint8_t cipher; /* enum seal_cipher */
};

/* A name of the key, the same for all images under it. */
struct uuid image_key_id(const uint8_t key[IMAGE_KEY_SIZE]);

/* The key of the page hashes in the manifests of all images under `key`. */
void image_hash_key(const uint8_t key[IMAGE_KEY_SIZE], uint8_t ret[PAGE_SECRET_SIZE]);

/* The size of an image's file. */
uint64_t image_file_bytes(uint64_t guest_pages, uint64_t slots);

/* Reads a header: 0, or -EBADMSG. It is not verified: that takes the key. */
int image_header_unpack(const uint8_t data[IMAGE_HEADER_SIZE], struct image_header *ret);

/* Reads the header of a file and compares its size. */
int image_header_read(const char *path, struct image_header *ret, struct mg_error *err);

struct image_source {
	struct uuid id;
	const char *name;
	const uint8_t *key;
	int ram_fd;
	uint64_t ram_bytes; /* whole pages */
	bool release;       /* give the RAM file's memory back as it is written */
};

/* Writes an image to `path`, which there is only when it was written whole. It takes a
 * while: for a thread of its own, with a ring that is idle. -ECANCELED once `*stop`;
 * -ENOSPC when it would be larger than `max_bytes`, or the disk is full. */
int image_write(const struct image_source *source, const char *path, uint64_t max_bytes,
		struct ring *ring, const atomic_bool *stop, struct image_header *ret,
		struct mg_error *err);

struct image;

/* Opens one and verifies its header and manifest. -EBADMSG: it is damaged, or the key is
 * another's. */
int image_open(const char *path, const uint8_t key[IMAGE_KEY_SIZE], struct image **ret,
	       struct mg_error *err);
void image_free(struct image *image);
DEFINE_CLEANUP(struct image, image_free)

const struct image_header *image_header(const struct image *image);
const struct image_manifest *image_manifest(const struct image *image);

/* Reads the page in a slot. 0, -EBADMSG (it is damaged), or another negative errno. Threads may
 * do this at once. */
int image_read(const struct image *image, uint32_t slot, uint8_t page[PAGE_SIZE_BYTES]);

#endif
