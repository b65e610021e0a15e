/* SPDX-License-Identifier: Apache-2.0
 *
 * Pages out of PAGES frames (page.h) into the guest's RAM file. What cannot be
 * made out of what is there is not written but remembered as missing, to be
 * asked for (page_ask.h), until it comes whole or by a reference that fits.
 */
#ifndef MIGRATOR_PAGE_PLACER_H
#define MIGRATOR_PAGE_PLACER_H

#include "migrator/arrival.h"
#include "migrator/page.h"
#include "migrator/page_ask.h"
#include "migrator/ram_image.h"
#include "migrator/reference.h"

struct page_placer;

/* `image` remains the caller's and must outlive it. -ENOMEM or 0. */
int page_placer_new(struct ram_image *image, const uint8_t secret[PAGE_SECRET_SIZE],
		    struct page_placer **ret);
void page_placer_free(struct page_placer *p);
DEFINE_CLEANUP(struct page_placer, page_placer_free)

/* It places what comes on one of the connections of a move, by a thread of its own perhaps: pages
 * of the others (page.h) are refused. */
void page_placer_bind(struct page_placer *p, unsigned connection, unsigned connections);

/* Plugs an image in that both ends know by this number (1 to PAGE_SOURCES - 1). */
void page_placer_set_source(struct page_placer *p, unsigned number, struct page_source source);

/* Writes down what comes; it remains the caller's and must outlive this. */
void page_placer_set_arrival(struct page_placer *p, struct arrival *arrival);

/* A page is added to it when it is placed for the first time, and whenever other bytes are placed than
 * are there. As the arrival. 0 or -ENOMEM. */
int page_placer_set_changed(struct page_placer *p, struct page_set *changed);

/* Places the pages of a payload. Its form is checked before the first page is
 * written. Returns 0, -EPROTO or what the RAM file says. */
int page_placer_place(struct page_placer *p, const uint8_t *payload, size_t len,
		      struct page_stats *ret, struct mg_error *err);

/* How many pages are not what they should be. */
uint64_t page_placer_missing(const struct page_placer *p);

/* Those of them that nobody has asked for yet; the caller takes them out. */
struct page_set *page_placer_unasked(struct page_placer *p);

/* What was asked for may not have been heard: nobody has asked for any of them. */
void page_placer_ask_again(struct page_placer *p);

#endif
