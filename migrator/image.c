/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/image.h"

#include <endian.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/cursor.h"
#include "common/file.h"
#include "migrator/seal.h"

#define MAGIC "tagimage"
#define VERSION 2
#define RECORD (PAGE_SIZE_BYTES + SEAL_TAG_SIZE)
#define SEALED_HEADER (IMAGE_HEADER_SIZE - SEAL_TAG_SIZE)
#define KDF_CONTEXT "tagalimg"

enum { SUBKEY_ID = 1, SUBKEY_HASH = 2, SUBKEY_IMAGES = 3 };
enum part { PART_HEADER, PART_PAGE, PART_MANIFEST };

_Static_assert(IMAGE_KEY_SIZE == crypto_kdf_KEYBYTES, "key");
_Static_assert(UUID_SIZE >= crypto_kdf_BYTES_MIN, "key id");
_Static_assert(sizeof(KDF_CONTEXT) - 1 == crypto_kdf_CONTEXTBYTES, "context");

/* ---- Keys --------------------------------------------------------------------- */

struct uuid image_key_id(const uint8_t key[IMAGE_KEY_SIZE])
{
	struct uuid id;

	crypto_kdf_derive_from_key(id.bytes, sizeof(id.bytes), SUBKEY_ID, KDF_CONTEXT, key);
	return id;
}

void image_hash_key(const uint8_t key[IMAGE_KEY_SIZE], uint8_t ret[PAGE_SECRET_SIZE])
{
	crypto_kdf_derive_from_key(ret, PAGE_SECRET_SIZE, SUBKEY_HASH, KDF_CONTEXT, key);
}

/* Each image has a key of its own, so that nonces may be plain counts. */
static int make_seal(const uint8_t key[IMAGE_KEY_SIZE], const struct image_header *h,
		      struct seal *ret)
{
	uint8_t images[crypto_generichash_KEYBYTES], secret[SEAL_SECRET_SIZE];
	int r;

	crypto_kdf_derive_from_key(images, sizeof(images), SUBKEY_IMAGES, KDF_CONTEXT, key);
	crypto_generichash(secret, sizeof(secret), h->id.bytes, UUID_SIZE, images, sizeof(images));
	r = seal_init(ret, h->cipher, secret, 0, 0);
	sodium_memzero(images, sizeof(images));
	sodium_memzero(secret, sizeof(secret));
	return r;
}

static void make_nonce(enum part part, uint64_t number, uint8_t nonce[SEAL_NONCE_SIZE])
{
	struct wcursor c = wcursor_over(nonce, SEAL_NONCE_SIZE);

	wcursor_u32(&c, part);
	wcursor_u64(&c, number);
}

/* ---- Layout -------------------------------------------------------------------- */

static off_t record_at(uint64_t slot)
{
	return (off_t)(IMAGE_HEADER_SIZE + slot * RECORD);
}

uint64_t image_file_bytes(uint64_t guest_pages, uint64_t slots)
{
	return (uint64_t)record_at(slots) + image_manifest_size(guest_pages, slots) + SEAL_TAG_SIZE;
}

static void pack_header(const struct image_header *h, const struct seal *seal,
			uint8_t out[IMAGE_HEADER_SIZE])
{
	struct wcursor c = wcursor_over(out, SEALED_HEADER);
	uint8_t nonce[SEAL_NONCE_SIZE], nothing = 0;

	memset(out, 0, IMAGE_HEADER_SIZE);
	wcursor_bytes(&c, MAGIC, sizeof(MAGIC) - 1);
	wcursor_u8(&c, VERSION);
	wcursor_u8(&c, h->cipher);
	wcursor_u16(&c, 0);
	wcursor_u32(&c, 0);
	wcursor_bytes(&c, h->id.bytes, UUID_SIZE);
	wcursor_bytes(&c, h->key_id.bytes, UUID_SIZE);
	wcursor_u64(&c, h->guest_pages);
	wcursor_u64(&c, h->slots);
	wcursor_u64(&c, h->made_utc_ns);
	wcursor_bytes(&c, h->name, strlen(h->name));
	make_nonce(PART_HEADER, 0, nonce);
	seal_bytes(seal, nonce, out, SEALED_HEADER, &nothing, 0, out + SEALED_HEADER);
}

int image_header_unpack(const uint8_t data[IMAGE_HEADER_SIZE], struct image_header *ret)
{
	struct rcursor c = rcursor_over(data, SEALED_HEADER);
	const uint8_t *magic = rcursor_bytes(&c, sizeof(MAGIC) - 1);
	struct image_header h = { 0 };
	uint8_t version = rcursor_u8(&c);

	h.cipher = rcursor_u8(&c);
	(void)rcursor_bytes(&c, 6);
	memcpy(h.id.bytes, rcursor_bytes(&c, UUID_SIZE), UUID_SIZE);
	memcpy(h.key_id.bytes, rcursor_bytes(&c, UUID_SIZE), UUID_SIZE);
	h.guest_pages = rcursor_u64(&c);
	h.slots = rcursor_u64(&c);
	h.made_utc_ns = rcursor_u64(&c);
	memcpy(h.name, rcursor_bytes(&c, VM_NAME_MAX), VM_NAME_MAX);
	if (memcmp(magic, MAGIC, sizeof(MAGIC) - 1) != 0 || version != VERSION ||
	    (h.cipher != SEAL_CHACHA20_POLY1305 && h.cipher != SEAL_AES256_GCM) ||
	    h.guest_pages == 0 || h.guest_pages > IMAGE_PAGES_MAX || h.slots > h.guest_pages ||
	    !vm_name_is_valid(h.name))
		return -EBADMSG;
	*ret = h;
	return 0;
}

static int read_header(int fd, const char *path, uint8_t raw[IMAGE_HEADER_SIZE],
		       struct image_header *ret, struct mg_error *err)
{
	struct image_header h;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return mg_error_set(err, -errno, "%s: %s", path, strerror(errno));
	if (pread(fd, raw, IMAGE_HEADER_SIZE, 0) != IMAGE_HEADER_SIZE ||
	    image_header_unpack(raw, &h) < 0 ||
	    (uint64_t)st.st_size != image_file_bytes(h.guest_pages, h.slots))
		return mg_error_set(err, -EBADMSG, "%s: not a whole image", path);
	*ret = h;
	return 0;
}

int image_header_read(const char *path, struct image_header *ret, struct mg_error *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	uint8_t raw[IMAGE_HEADER_SIZE];

	if (fd < 0)
		return mg_error_set(err, -errno, "%s: %s", path, strerror(errno));
	return read_header(fd, path, raw, ret, err);
}

/* ---- Writing --------------------------------------------------------------------- */

#define WRITERS 4
#define PIECE_PAGES 64
#define PIECE_BYTES ((size_t)PIECE_PAGES * PAGE_SIZE_BYTES)

struct piece {
	struct ring_op op;
	struct image_writer *writer;
	uint8_t data[PIECE_PAGES * RECORD];
	size_t at, len; /* what of it is to be written */
	off_t offset;
};

struct image_writer {
	const struct image_source *source;
	uint64_t max_bytes;
	struct ring *ring;
	const atomic_bool *stop;
	int fd;
	int error; /* of a write */
	struct seal seal;
	struct page_hasher hasher;
	struct image_manifest *manifest;
	uint8_t ram[PIECE_BYTES];
	struct piece pieces[WRITERS];
};

static void submit(struct piece *p)
{
	ring_write(p->writer->ring, &p->op, p->writer->fd, p->data + p->at, p->len - p->at,
		   p->offset + (off_t)p->at);
}

static void on_written(struct ring_op *op, int res)
{
	struct piece *p = ring_container(op, struct piece, op);

	if (res <= 0) {
		p->writer->error = res < 0 ? res : -EIO;
		return;
	}
	p->at += (size_t)res;
	if (p->at < p->len)
		submit(p);
}

static bool is_zero(const uint8_t *page)
{
	return page[0] == 0 && memcmp(page, page + 1, PAGE_SIZE_BYTES - 1) == 0;
}

/* Waits until a piece is free. */
static int take_piece(struct image_writer *w, struct piece **ret)
{
	for (;;) {
		int r;

		if (w->error)
			return w->error;
		if (atomic_load(w->stop))
			return -ECANCELED;
		for (size_t i = 0; i < WRITERS; i++) {
			if (!w->pieces[i].op.pending) {
				*ret = &w->pieces[i];
				return 0;
			}
		}
		r = ring_run(w->ring, NS_PER_S);
		if (r < 0)
			return r;
	}
}

/* Also on the way out of a failure: the buffers are the kernel's until then. */
static int wait_for_all(struct image_writer *w)
{
	for (size_t i = 0; i < WRITERS; i++)
		while (w->pieces[i].op.pending && ring_run(w->ring, NS_PER_S) >= 0)
			;
	return w->error;
}

static int add_page(struct image_writer *w, struct piece *p, uint64_t number, const uint8_t *page)
{
	uint64_t slot = image_manifest_slots(w->manifest), more = htobe64(number);
	struct page_hash hash = page_hash(&w->hasher, page);
	uint8_t *record = p->data + p->len, nonce[SEAL_NONCE_SIZE];
	int r = image_manifest_add(w->manifest, number, &hash);

	if (r < 0)
		return r;
	if (p->len == 0)
		p->offset = record_at(slot);
	memcpy(record, page, PAGE_SIZE_BYTES);
	make_nonce(PART_PAGE, slot, nonce);
	seal_bytes(&w->seal, nonce, &more, sizeof(more), record, PAGE_SIZE_BYTES,
		   record + PAGE_SIZE_BYTES);
	p->len += RECORD;
	return 0;
}

static int write_piece(struct image_writer *w, uint64_t at, size_t len)
{
	struct piece *p = NULL;
	int r = take_piece(w, &p);

	if (r < 0)
		return r;
	p->at = p->len = 0;
	for (size_t i = 0; r == 0 && i < len; i += PAGE_SIZE_BYTES)
		if (!is_zero(w->ram + i))
			r = add_page(w, p, (at + i) / PAGE_SIZE_BYTES, w->ram + i);
	if (r == 0 && image_file_bytes(image_manifest_guest_pages(w->manifest),
				       image_manifest_slots(w->manifest)) > w->max_bytes)
		r = -ENOSPC;
	if (r == 0 && p->len)
		submit(p);
	if (r == 0 && w->source->release)
		(void)fallocate(w->source->ram_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				(off_t)at, (off_t)len);
	return r;
}

/* Where data begins at or after `at`; the end if there is none. */
static uint64_t next_data(const struct image_source *s, uint64_t at)
{
	off_t data = lseek(s->ram_fd, (off_t)at, SEEK_DATA);

	if (data < 0)
		return errno == ENXIO ? s->ram_bytes : at;
	return (uint64_t)data / PAGE_SIZE_BYTES * PAGE_SIZE_BYTES;
}

static int write_pages(struct image_writer *w)
{
	const struct image_source *s = w->source;
	uint64_t at = 0;
	int r = 0;

	while (r == 0 && (at = next_data(s, at)) < s->ram_bytes) {
		size_t len = s->ram_bytes - at < PIECE_BYTES ? s->ram_bytes - at : PIECE_BYTES;
		ssize_t n = pread(s->ram_fd, w->ram, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n != (ssize_t)len)
			return n < 0 ? -errno : -EIO;
		r = write_piece(w, at, len);
		at += len;
	}
	return r;
}

static int write_manifest(struct image_writer *w)
{
	uint64_t slots = image_manifest_slots(w->manifest);
	size_t len = image_manifest_size(image_manifest_guest_pages(w->manifest), slots);
	_cleanup_free_ uint8_t *data = malloc(len + SEAL_TAG_SIZE);
	uint8_t nonce[SEAL_NONCE_SIZE];

	if (!data)
		return -ENOMEM;
	image_manifest_pack(w->manifest, data);
	make_nonce(PART_MANIFEST, 0, nonce);
	seal_bytes(&w->seal, nonce, NULL, 0, data, len, data + len);
	return file_write_at(w->fd, data, len + SEAL_TAG_SIZE, record_at(slots));
}

static int write_file(struct image_writer *w, struct image_header *h)
{
	uint8_t raw[IMAGE_HEADER_SIZE];
	int r = write_pages(w), waited = wait_for_all(w);

	if (r == 0)
		r = waited;
	if (r == 0)
		r = write_manifest(w);
	if (r < 0)
		return r;
	h->slots = image_manifest_slots(w->manifest);
	pack_header(h, &w->seal, raw);
	return file_write_at(w->fd, raw, sizeof(raw), 0);
}

static int writer_init(struct image_writer *w, const struct image_source *source,
		       const struct image_header *h)
{
	uint8_t hash_key[PAGE_SECRET_SIZE];

	int r = make_seal(source->key, h, &w->seal);

	if (r < 0)
		return r;
	image_hash_key(source->key, hash_key);
	r = page_hasher_init(&w->hasher, hash_key);
	sodium_memzero(hash_key, sizeof(hash_key));
	if (r < 0)
		return r;
	for (size_t i = 0; i < WRITERS; i++) {
		w->pieces[i].writer = w;
		w->pieces[i].op.done = on_written;
	}
	return image_manifest_new(h->guest_pages, &w->manifest);
}

static void writer_free(struct image_writer *w)
{
	seal_wipe(&w->seal);
	page_hasher_exit(&w->hasher);
	image_manifest_free(w->manifest);
	explicit_bzero(w->ram, sizeof(w->ram));
	free(w);
}

int image_write(const struct image_source *source, const char *path, uint64_t max_bytes,
		struct ring *ring, const atomic_bool *stop, struct image_header *ret,
		struct mg_error *err)
{
	struct image_header h = { .id = source->id,
				  .key_id = image_key_id(source->key),
				  .guest_pages = source->ram_bytes / PAGE_SIZE_BYTES,
				  .made_utc_ns = clock_utc_ns() };
	_cleanup_free_ char *part = NULL;
	struct image_writer *w;
	int r;

	h.cipher = seal_ciphers_available() & SEAL_AES256_GCM ? SEAL_AES256_GCM
							      : SEAL_CHACHA20_POLY1305;
	snprintf(h.name, sizeof(h.name), "%s", source->name);
	if (asprintf(&part, "%s" IMAGE_PART_SUFFIX, path) < 0)
		return mg_error_set(err, -ENOMEM, "out of memory");
	w = calloc(1, sizeof(*w));
	if (!w)
		return mg_error_set(err, -ENOMEM, "out of memory");
	w->source = source;
	w->max_bytes = max_bytes;
	w->ring = ring;
	w->stop = stop;
	w->fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	r = w->fd < 0 ? -errno : writer_init(w, source, &h);
	if (r == 0)
		r = write_file(w, &h);
	if (r == 0 && rename(part, path) < 0)
		r = -errno;
	if (w->fd >= 0) {
		close(w->fd);
		if (r < 0)
			(void)unlink(part);
	}
	writer_free(w);
	if (r < 0)
		return mg_error_set(err, r, "%s: %s", path, strerror(-r));
	*ret = h;
	return 0;
}

/* ---- Reading --------------------------------------------------------------------- */

struct image {
	int fd;
	struct image_header header;
	struct seal seal;
	pthread_mutex_t *opening; /* by the seal, which is for one thread at a time */
	struct image_manifest *manifest;
	uint32_t *pages; /* a slot's page, which its tag vouches for */
};

void image_free(struct image *image)
{
	if (!image)
		return;
	if (image->fd >= 0)
		close(image->fd);
	seal_wipe(&image->seal);
	if (image->opening)
		pthread_mutex_destroy(image->opening);
	free(image->opening);
	image_manifest_free(image->manifest);
	free(image->pages);
	free(image);
}

static int verify_header(const struct image *image, uint8_t raw[IMAGE_HEADER_SIZE])
{
	uint8_t nonce[SEAL_NONCE_SIZE], nothing = 0;

	make_nonce(PART_HEADER, 0, nonce);
	return seal_open_bytes(&image->seal, nonce, raw, SEALED_HEADER, &nothing, 0,
			       raw + SEALED_HEADER)
		       ? 0
		       : -EBADMSG;
}

static int read_manifest(struct image *image)
{
	const struct image_header *h = &image->header;
	size_t len = image_manifest_size(h->guest_pages, h->slots);
	_cleanup_free_ uint8_t *data = malloc(len + SEAL_TAG_SIZE);
	uint8_t nonce[SEAL_NONCE_SIZE];
	ssize_t n;

	if (!data)
		return -ENOMEM;
	n = pread(image->fd, data, len + SEAL_TAG_SIZE, record_at(h->slots));
	if (n != (ssize_t)(len + SEAL_TAG_SIZE))
		return n < 0 ? -errno : -EBADMSG;
	make_nonce(PART_MANIFEST, 0, nonce);
	if (!seal_open_bytes(&image->seal, nonce, NULL, 0, data, len, data + len))
		return -EBADMSG;
	return image_manifest_unpack(data, len, h->guest_pages, h->slots, &image->manifest);
}

static int map_slots(struct image *image)
{
	uint32_t slot;

	image->pages = calloc((size_t)image->header.slots + 1, sizeof(*image->pages));
	if (!image->pages)
		return -ENOMEM;
	for (uint32_t page = 0; page < image->header.guest_pages; page++) {
		slot = image_manifest_slot(image->manifest, page);
		if (slot != IMAGE_NO_SLOT)
			image->pages[slot] = page;
	}
	return 0;
}

int image_open(const char *path, const uint8_t key[IMAGE_KEY_SIZE], struct image **ret,
	       struct mg_error *err)
{
	_cleanup_(image_free_p) struct image *image = calloc(1, sizeof(*image));
	uint8_t raw[IMAGE_HEADER_SIZE];
	struct uuid key_id = image_key_id(key);
	int r;

	if (!image)
		return mg_error_set(err, -ENOMEM, "out of memory");
	image->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (image->fd < 0)
		return mg_error_set(err, -errno, "%s: %s", path, strerror(errno));
	image->opening = malloc(sizeof(*image->opening));
	if (!image->opening)
		return mg_error_set(err, -ENOMEM, "out of memory");
	pthread_mutex_init(image->opening, NULL);
	r = read_header(image->fd, path, raw, &image->header, err);
	if (r < 0)
		return r;
	if (!uuid_equal(&key_id, &image->header.key_id))
		return mg_error_set(err, -EBADMSG, "%s: of another key", path);
	if (!(seal_ciphers_available() & image->header.cipher))
		return mg_error_set(err, -EOPNOTSUPP, "%s: this processor lacks its cipher", path);
	r = make_seal(key, &image->header, &image->seal);
	if (r == 0)
		r = verify_header(image, raw);
	if (r == 0)
		r = read_manifest(image);
	if (r == 0)
		r = map_slots(image);
	if (r < 0)
		return mg_error_set(err, r, "%s: %s", path,
				    r == -EBADMSG ? "it is damaged" : strerror(-r));
	*ret = TAKE_PTR(image);
	return 0;
}

const struct image_header *image_header(const struct image *image)
{
	return &image->header;
}

const struct image_manifest *image_manifest(const struct image *image)
{
	return image->manifest;
}

int image_read(const struct image *image, uint32_t slot, uint8_t page[PAGE_SIZE_BYTES])
{
	uint8_t record[RECORD], nonce[SEAL_NONCE_SIZE];
	uint64_t more;
	bool whole;
	ssize_t n;

	if (slot >= image->header.slots)
		return -EINVAL;
	n = pread(image->fd, record, sizeof(record), record_at(slot));
	if (n != (ssize_t)sizeof(record))
		return n < 0 ? -errno : -EBADMSG;
	more = htobe64(image->pages[slot]);
	make_nonce(PART_PAGE, slot, nonce);
	pthread_mutex_lock(image->opening);
	whole = seal_open_bytes(&image->seal, nonce, &more, sizeof(more), record, PAGE_SIZE_BYTES,
				record + PAGE_SIZE_BYTES);
	pthread_mutex_unlock(image->opening);
	if (!whole)
		return -EBADMSG;
	memcpy(page, record, PAGE_SIZE_BYTES);
	return 0;
}
