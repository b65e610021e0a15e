/* SPDX-License-Identifier: Apache-2.0
 *
 * Where in an image a page is, by its hash: how the source of a move finds pages in a
 * base image that the target has too. The hashes are those of the move (its VM's key),
 * so the image is read through once.
 */
#ifndef MIGRATOR_IMAGE_INDEX_H
#define MIGRATOR_IMAGE_INDEX_H

#include "migrator/image.h"
#include "migrator/reference.h"

struct image_index;

/* Reads all of an image, which takes a while: `go_on` is called every few milliseconds of it. What
 * is damaged is left out. -ECANCELED once that returns false, -ENOMEM, or 0. The image remains the
 * caller's and is not kept. */
int image_index_new(const struct image *image, const struct page_hasher *hasher,
		    bool (*go_on)(void *userdata), void *userdata, struct image_index **ret);
void image_index_free(struct image_index *index);
DEFINE_CLEANUP(struct image_index, image_index_free)

/* For the source of a move: hashes to slots. */
struct page_source image_index_source(struct image_index *index);

/* For its target: slots to pages. The image remains the caller's. */
struct page_source image_page_source(const struct image *image);

#endif
