/* SPDX-License-Identifier: Apache-2.0 */
#include "placement/record_log.h"

#include <endian.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define MAGIC "tagalog1"
#define MAGIC_SIZE 8

struct record_writer {
	int fd;
	off_t size;
};

/* ---- Reading --------------------------------------------------------------------- */

int record_reader_init(struct record_reader *r, const void *data, size_t len,
		       struct mg_error *err)
{
	const uint8_t *magic;

	*r = (struct record_reader){ .data = len ? data : (const uint8_t *)"" };
	r->cursor = rcursor_over(r->data, len);
	/* Even the first bytes may have been cut short. */
	if (len < MAGIC_SIZE && memcmp(r->data, MAGIC, len) == 0) {
		r->truncated = len > 0;
		(void)rcursor_bytes(&r->cursor, len);
		return 0;
	}
	magic = rcursor_bytes(&r->cursor, MAGIC_SIZE);
	if (!magic || memcmp(magic, MAGIC, MAGIC_SIZE) != 0)
		return mg_error_set(err, -EUCLEAN, "not a record log of placementd");
	r->good = MAGIC_SIZE;
	return 0;
}

int record_reader_next(struct record_reader *r, PlacementRecord **ret, struct mg_error *err)
{
	PlacementRecord *record;
	const uint8_t *data;
	uint32_t len;

	r->offset = r->good;
	if (rcursor_left(&r->cursor) == 0)
		return 0;
	len = rcursor_u32(&r->cursor);
	if (rcursor_ok(&r->cursor) && len > RECORD_MAX)
		return mg_error_set(err, -EBADMSG,
				    "offset %zu: a record of %u bytes; the limit is %zu", r->offset,
				    len, RECORD_MAX);
	data = rcursor_bytes(&r->cursor, len);
	if (!data) {
		r->truncated = true;
		return 0;
	}
	record = tagalong__placement__record__unpack(NULL, len, data);
	if (!record)
		return mg_error_set(err, -EBADMSG, "offset %zu: %u bytes that are no record",
				    r->offset, len);
	r->good = (size_t)(data - r->data) + len;
	*ret = record;
	return 1;
}

int mapping_open(const char *path, struct mapping *ret, struct mg_error *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *data;

	if (fd < 0 || fstat(fd, &st) < 0)
		return mg_error_set(err, -errno, "%s: %s", path, strerror(errno));
	*ret = (struct mapping){ 0 };
	if (st.st_size == 0)
		return 0;
	data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED)
		return mg_error_set(err, -errno, "%s: %s", path, strerror(errno));
	*ret = (struct mapping){ data, (size_t)st.st_size };
	return 0;
}

void mapping_close(struct mapping *m)
{
	if (m->data)
		munmap(m->data, m->len);
	*m = (struct mapping){ 0 };
}

/* ---- Writing --------------------------------------------------------------------- */

/* The length of the file's whole records. */
static int good_length(const char *path, off_t *ret, struct mg_error *err)
{
	_cleanup_(mapping_close) struct mapping m = { 0 };
	struct record_reader reader;
	PlacementRecord *record;
	int r;

	r = mapping_open(path, &m, err);
	if (r < 0)
		return r;
	r = record_reader_init(&reader, m.data, m.len, err);
	while (r >= 0 && (r = record_reader_next(&reader, &record, err)) > 0)
		record_free(record);
	if (r < 0) {
		mg_error_prefix(err, "%s", path);
		return r;
	}
	*ret = (off_t)reader.good;
	return 0;
}

static int append(struct record_writer *w, struct iovec *iov, int n, struct mg_error *err)
{
	size_t len = 0;
	ssize_t written;

	for (int i = 0; i < n; i++)
		len += iov[i].iov_len;
	written = pwritev(w->fd, iov, n, w->size);
	if (written != (ssize_t)len) {
		int r = written < 0 ? -errno : -ENOSPC;

		if (ftruncate(w->fd, w->size) < 0)
			r = -errno;
		return mg_error_set(err, r, "the record log cannot be written: %s", strerror(-r));
	}
	w->size += written;
	return 0;
}

static int prepare(struct record_writer *w, const char *path, struct mg_error *err)
{
	struct iovec magic = { (void *)MAGIC, MAGIC_SIZE };
	int r;

	if (w->fd < 0)
		return mg_error_set(err, -errno, "%s: %s", path, strerror(errno));
	if (flock(w->fd, LOCK_EX | LOCK_NB) < 0)
		return mg_error_set(err, -errno, "%s: another program is writing it", path);
	r = good_length(path, &w->size, err);
	if (r < 0)
		return r;
	if (ftruncate(w->fd, w->size) < 0)
		return mg_error_set(err, -errno, "%s: %s", path, strerror(errno));
	return w->size == 0 ? append(w, &magic, 1, err) : 0;
}

int record_writer_open(const char *path, struct record_writer **ret, struct mg_error *err)
{
	_cleanup_(record_writer_free_p) struct record_writer *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return mg_error_set(err, -ENOMEM, "out of memory");
	w->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	r = prepare(w, path, err);
	if (r == 0)
		*ret = TAKE_PTR(w);
	return r;
}

void record_writer_free(struct record_writer *w)
{
	if (!w)
		return;
	if (w->fd >= 0)
		close(w->fd);
	free(w);
}

int record_writer_add(struct record_writer *w, const PlacementRecord *record, struct mg_error *err)
{
	size_t len = tagalong__placement__record__get_packed_size(record);
	_cleanup_free_ uint8_t *data = NULL;
	uint32_t head = htobe32((uint32_t)len);
	struct iovec iov[] = { { &head, sizeof(head) }, { NULL, len } };

	if (len > RECORD_MAX)
		return mg_error_set(err, -EMSGSIZE, "a record of %zu bytes", len);
	data = malloc(len);
	if (!data)
		return mg_error_set(err, -ENOMEM, "out of memory");
	tagalong__placement__record__pack(record, data);
	iov[1].iov_base = data;
	return append(w, iov, 2, err);
}
