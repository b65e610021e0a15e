/* SPDX-License-Identifier: Apache-2.0
 *
 * The record log: every input of every run of a controller, one after the
 * other. The file begins with 8 bytes that say what it is; then each record is
 * its length (32 bits, big-endian) and a packed Record.
 *
 * A writer that dies leaves at most one incomplete record, at the end: it is
 * ignored by readers and cut off by the next writer.
 */
#ifndef PLACEMENT_RECORD_LOG_H
#define PLACEMENT_RECORD_LOG_H

#include "common/cursor.h"
#include "placement/environment.h"

#define RECORD_MAX ((size_t)256 << 20) /* a Start holds all that the store holds */

struct record_writer;

/* Makes the file if needed. -EWOULDBLOCK: another program writes it;
 * -EUCLEAN: it is no record log. */
int record_writer_open(const char *path, struct record_writer **ret, struct mg_error *err);
void record_writer_free(struct record_writer *w);
DEFINE_CLEANUP(struct record_writer, record_writer_free)

/* All or nothing of it is in the file afterwards. */
int record_writer_add(struct record_writer *w, const PlacementRecord *record,
		      struct mg_error *err);

/* Reads from memory, which it borrows. */
struct record_reader {
	struct rcursor cursor;
	const uint8_t *data;
	size_t offset;  /* of the record that was read last */
	size_t good;    /* up to here all is whole */
	bool truncated; /* the last record is incomplete */
};

/* -EUCLEAN: it is no record log. An empty one has no records. */
int record_reader_init(struct record_reader *r, const void *data, size_t len,
		       struct mg_error *err);

/* Returns 1 with a record that the caller frees, 0 at the end, or -EBADMSG
 * with the offset in the text. */
int record_reader_next(struct record_reader *r, PlacementRecord **ret, struct mg_error *err);

static inline void record_free(PlacementRecord *record)
{
	if (record)
		tagalong__placement__record__free_unpacked(record, NULL);
}
DEFINE_CLEANUP(PlacementRecord, record_free)

/* A file as memory. */
struct mapping {
	void *data;
	size_t len;
};
int mapping_open(const char *path, struct mapping *ret, struct mg_error *err);
void mapping_close(struct mapping *m);

#endif
