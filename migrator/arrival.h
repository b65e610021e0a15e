/* SPDX-License-Identifier: Apache-2.0
 *
 * What a VM's memory was when it arrived: the hash of each page and those of its blocks
 * (page_hash.h), written down while the pages come, in a file beside the VM that runs
 * then. The node that the VM has left keeps an image of just that memory. So on the way
 * back the source knows what the target has, and nothing of it goes over the link.
 *
 *     header   4096 bytes: what it is, and of which image
 *     hashes   16 bytes a page; zeroes for a page that is zero
 *     blocks   256 bytes a page; of no meaning for one that is zero
 *
 * The header is written last: a file without it is of a move that did not end. It lives and
 * ends with the VM's other files, and a restart of the daemon finds it again.
 *
 * A hash that is wrong costs bytes and never makes a page wrong: what is sent by it is checked at
 * the target and asked for again (page.h).
 */
#ifndef MIGRATOR_ARRIVAL_H
#define MIGRATOR_ARRIVAL_H

#include "common/cleanup.h"
#include "common/error.h"
#include "common/uuid.h"
#include "migrator/reference.h"

#define ARRIVAL_FILE "arrival" /* in the directory of a guest */
#define ARRIVAL_HEADER_SIZE 4096

struct arrival;

/* Begins to write one at `path`, where there is none yet, for a VM of so many pages whose memory
 * is kept elsewhere as the image of this id. All pages are zero at first. */
int arrival_new(const char *path, const struct uuid *image, uint64_t pages, struct arrival **ret,
		struct mg_error *err);

/* Removes the file, unless it is finished. */
void arrival_free(struct arrival *a);
DEFINE_CLEANUP(struct arrival, arrival_free)

/* These pages have come, whole; the latest word on a page is the one that counts. `hashes` of them
 * by this hasher; NULL: not made yet. Threads may do this at once for different pages. What goes
 * wrong is told by arrival_finish(). */
void arrival_note(struct arrival *a, const struct page_hasher *hasher, uint64_t page,
		  uint64_t count, const uint8_t *data, const struct page_hash *hashes);
void arrival_note_zero(struct arrival *a, uint64_t page, uint64_t count);

/* All pages are there. 0, or what has gone wrong since the beginning. */
int arrival_finish(struct arrival *a, struct mg_error *err);

/* ---- Afterwards: a finished one, to be read ---- */

struct arrived;

/* Opens the file. -ENOENT: there is none; -ESTALE: it is of another image or another number of
 * pages; -EBADMSG: it is not whole. */
int arrived_open(const char *path, const struct uuid *image, uint64_t pages, struct arrived **ret);
void arrived_free(struct arrived *a);
DEFINE_CLEANUP(struct arrived, arrived_free)

/* How many pages were other than zero. */
uint64_t arrived_known(const struct arrived *a);

/* Loads a table of as many pages with it, which takes a while for large ones: `go_on` (NULL: nobody
 * wants to know) is called every few pages of it. Returns 0, or why not all could be read
 * (-ECANCELED once that returns false): what could is in the table. */
int arrived_load(const struct arrived *a, struct reference *ref, bool (*go_on)(void *userdata),
		 void *userdata);

#endif
