/* SPDX-License-Identifier: Apache-2.0
 *
 * The RAM file of a guest that is coming in, as pages to be written. A page
 * that is a hole in the file and was never written is known to be zero, so a
 * zero page costs nothing there: no memory is touched.
 *
 * Pages go in by pwrite(2): for pages that are new, half the price of storing
 * through a mapping (no fault, no clearing first), and a full tmpfs is an error
 * instead of a SIGBUS. A file of huge pages can only be mapped; there all of them must
 * have been taken already (fallocate).
 *
 * Threads may use one at once for different runs of RAM_IMAGE_RUN pages; what ram_image_peek()
 * reads may be anybody's.
 */
#ifndef MIGRATOR_RAM_IMAGE_H
#define MIGRATOR_RAM_IMAGE_H

#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"

struct image;

#define RAM_IMAGE_PAGE 4096
#define RAM_IMAGE_RUN 64

struct ram_image;

/* `fd` remains the caller's. The file must have `bytes` bytes at least (a multiple of
 * a page), and nobody else may write what is a hole in it while we do. */
int ram_image_open(int fd, uint64_t bytes, struct ram_image **ret, struct mg_error *err);
void ram_image_free(struct ram_image *image);
DEFINE_CLEANUP(struct ram_image, ram_image_free)

uint64_t ram_image_pages(const struct ram_image *image);

/* Writes `count` pages from `data`. The range must lie inside. Returns 0 or a
 * negative errno: -ENOSPC when the tmpfs is full. */
int ram_image_put(struct ram_image *image, uint64_t page, uint64_t count, const uint8_t *data);

/* Lets pages that nobody has written come from an image, from when they are first read.
 * It remains the caller's and must outlive this; NULL: none. A page that it cannot give
 * is zero. 0 or -ENOMEM. */
int ram_image_set_source(struct ram_image *image, const struct image *source);

/* Reads one page, which must lie inside. Returns 0 or a negative errno. */
int ram_image_get(struct ram_image *image, uint64_t page, uint8_t *data);

/* The same, and nothing is changed: what the image below has there stays to be read. A page that
 * another thread is writing may come as a mixture of old and new. */
int ram_image_peek(const struct ram_image *image, uint64_t page, uint8_t *data);

/* Takes the memory of the whole file: no page is a hole any more. -ENOSPC when there is not as
 * much. */
int ram_image_reserve(struct ram_image *image);

/* Whether no page of the file is a hole: 1 or 0, or a negative errno. What was reserved and not written
 * counts as there, as it does for who waits for missing pages, userfaultfd(2); lseek(2) calls that a
 * hole. No page is touched. */
int ram_image_is_whole(int fd);

/* Makes pages zero. */
int ram_image_zero(struct ram_image *image, uint64_t page, uint64_t count);

#endif
