/* SPDX-License-Identifier: Apache-2.0
 *
 * Pages back into a migration stream, for a QEMU whose memory cannot be written: one that
 * somebody else has started. The source's stream comes without the pages of the guest's RAM
 * (streamwriter.h); they lie in a RAM image, and go to QEMU as records between those of the
 * stream, or as PARTs of their own between its elements. All have gone before the
 * device state does. A page that comes several times while QEMU is busy goes once.
 */
#ifndef MIGRATOR_WRITE_BACK_H
#define MIGRATOR_WRITE_BACK_H

#include "migrator/page_ask.h"
#include "migrator/ram_image.h"

struct write_back;

/* `image` remains the caller's and must outlive it; `block` is what QEMU calls the RAM.
 * -ENOMEM or 0. */
int write_back_new(struct ram_image *image, const char *block, struct write_back **ret);
void write_back_free(struct write_back *w);
DEFINE_CLEANUP(struct write_back, write_back_free)

/* The pages of the image that QEMU does not have as they are; whoever places pages adds them. */
struct page_set *write_back_pages(struct write_back *w);

/* Takes what it can of the source's stream, and pages. Not while write_back_output() is being
 * written. Returns how many bytes were used; -EPROTO and -EOPNOTSUPP as ramstream_feed(), or
 * what the image says. */
ssize_t write_back_run(struct write_back *w, const uint8_t *data, size_t len,
		       struct mg_error *err);

/* What is to be written to QEMU next, and that so much of it was. */
const uint8_t *write_back_output(const struct write_back *w, size_t *ret_len);
void write_back_written(struct write_back *w, size_t len);

#endif
