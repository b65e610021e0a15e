/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/qcow2.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/cursor.h"
#include "common/file.h"

#define MAGIC 0x514649fbU
#define VERSION 3
#define CLUSTER_BITS 16
#define CLUSTER ((uint64_t)1 << CLUSTER_BITS)
#define L1_REACH (CLUSTER / 8 * CLUSTER) /* bytes of the disk below one entry */
#define REFCOUNT_ORDER 4                  /* 16 bits each */
#define EXTENSION_BACKING_FORMAT 0xe2792acaU
#define INCOMPATIBLE_DATA_FILE (UINT64_C(1) << 2)
#define HEADER_SIZE 104

/* Where the clusters are of an image without data. */
enum { AT_HEADER, AT_REFCOUNT_TABLE, AT_REFCOUNTS, AT_L1, CLUSTERS };

int qcow2_read_header(const void *data, size_t len, struct qcow2_info *ret)
{
	struct rcursor c = rcursor_over(data, len);
	uint32_t magic = rcursor_u32(&c), version = rcursor_u32(&c);
	uint64_t backing = rcursor_u64(&c), size, incompatible = 0;

	(void)rcursor_u32(&c); /* of the backing file's name */
	(void)rcursor_u32(&c); /* bits of a cluster */
	size = rcursor_u64(&c);
	if (version == 3) {
		(void)rcursor_bytes(&c, 40);
		incompatible = rcursor_u64(&c);
	}
	if (!rcursor_ok(&c) || magic != MAGIC || version < 2 || version > 3)
		return -EPROTO;
	ret->size = size;
	ret->alone = backing == 0 && !(incompatible & INCOMPATIBLE_DATA_FILE);
	return 0;
}

static void write_header(struct wcursor *c, uint64_t size, const char *backing,
			 const char *backing_format)
{
	size_t format_len = backing ? strlen(backing_format) : 0;
	size_t padded = (format_len + 7) & ~(size_t)7;
	/* Behind the extensions: that of the format, and the one that ends them. */
	size_t name_at = HEADER_SIZE + (backing ? 8 + padded : 0) + 8;
	static const uint8_t nothing[8];

	wcursor_u32(c, MAGIC);
	wcursor_u32(c, VERSION);
	wcursor_u64(c, backing ? name_at : 0);
	wcursor_u32(c, backing ? (uint32_t)strlen(backing) : 0);
	wcursor_u32(c, CLUSTER_BITS);
	wcursor_u64(c, size);
	wcursor_u32(c, 0); /* not encrypted */
	wcursor_u32(c, (uint32_t)((size + L1_REACH - 1) / L1_REACH));
	wcursor_u64(c, AT_L1 * CLUSTER);
	wcursor_u64(c, AT_REFCOUNT_TABLE * CLUSTER);
	wcursor_u32(c, 1); /* cluster of that table */
	wcursor_u32(c, 0); /* snapshots */
	wcursor_u64(c, 0);
	wcursor_u64(c, 0); /* features: incompatible, compatible, autoclear */
	wcursor_u64(c, 0);
	wcursor_u64(c, 0);
	wcursor_u32(c, REFCOUNT_ORDER);
	wcursor_u32(c, HEADER_SIZE);
	if (backing) {
		wcursor_u32(c, EXTENSION_BACKING_FORMAT);
		wcursor_u32(c, (uint32_t)format_len);
		wcursor_bytes(c, backing_format, format_len);
		wcursor_bytes(c, nothing, padded - format_len);
	}
	wcursor_u64(c, 0);
	if (backing)
		wcursor_bytes(c, backing, strlen(backing));
}

int qcow2_make(int fd, uint64_t size, const char *backing, const char *backing_format)
{
	_cleanup_free_ uint8_t *data = calloc(CLUSTERS, CLUSTER);
	struct wcursor header, table, counts;

	if (size == 0 || size > QCOW2_SIZE_MAX || size % 512 ||
	    (backing && strlen(backing) > QCOW2_BACKING_MAX))
		return -EINVAL;
	if (!data)
		return -ENOMEM;
	header = wcursor_over(data, CLUSTER);
	write_header(&header, size, backing, backing_format);
	table = wcursor_over(data + AT_REFCOUNT_TABLE * CLUSTER, CLUSTER);
	wcursor_u64(&table, AT_REFCOUNTS * CLUSTER);
	counts = wcursor_over(data + AT_REFCOUNTS * CLUSTER, CLUSTER);
	for (int i = 0; i < CLUSTERS; i++)
		wcursor_u16(&counts, 1);
	return file_write_at(fd, data, CLUSTERS * CLUSTER, 0);
}
