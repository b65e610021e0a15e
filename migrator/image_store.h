/* SPDX-License-Identifier: Apache-2.0
 *
 * The images that a node keeps, in one directory: written in the background when
 * a VM has left, found again when it comes back, dropped when they are too old or
 * take too much. An image is only ever worth the bytes that it saves: whatever goes
 * wrong with one, it is dropped and nothing else suffers.
 *
 * The keys are not here. The VM's node has its key, sends it along with the VM, and
 * forgets it then; see SECURITY.md.
 */
#ifndef MIGRATOR_IMAGE_STORE_H
#define MIGRATOR_IMAGE_STORE_H

#include <systemd/sd-event.h>

#include "migrator/image.h"

struct image_store;

struct image_store_config {
	const char *directory;
	/* Of disk, for whole images; 0: nothing is kept, and what there is is removed. */
	uint64_t budget_bytes;
	uint64_t max_age_ns; /* since it was made; 0: no limit */
};

struct image_info {
	struct image_header header;
	uint64_t bytes;       /* of disk */
	uint64_t used_utc_ns; /* when it last served a move, or was made */
};

/* Sweeps what an earlier run left half written, and what cannot be an image. */
int image_store_open(sd_event *loop, const struct image_store_config *config,
		     struct image_store **ret, struct mg_error *err);

/* What is being written is lost. NULL is fine. */
void image_store_free(struct image_store *s);
DEFINE_CLEANUP(struct image_store, image_store_free)

/* Begins to keep the RAM of a VM that has left, under an id that no image has had (it goes
 * into the key); an older image under the VM's key is replaced. Takes the descriptor over, and
 * gives its memory back while it writes. */
void image_store_keep(struct image_store *s, const struct uuid *id, const char *vm,
		      const uint8_t key[IMAGE_KEY_SIZE], int ram_fd, uint64_t ram_bytes);

/* Memory of VMs that have left and wait to be written. */
uint64_t image_store_waiting_bytes(const struct image_store *s);

/* Gives that memory back now: a VM needs it more. */
void image_store_give_way(struct image_store *s);

/* Opens the image under a key. -ENOENT: there is none; a damaged one is dropped. */
int image_store_find(struct image_store *s, const uint8_t key[IMAGE_KEY_SIZE], struct image **ret);

/* Whether the image under a key is being written, or waits for that. */
bool image_store_is_writing(const struct image_store *s, const uint8_t key[IMAGE_KEY_SIZE]);

/* Removes the image with that id, or all under the key of that name, also those that
 * are being written. Returns how many. */
unsigned image_store_remove(struct image_store *s, const struct uuid *id);
unsigned image_store_remove_key(struct image_store *s, const struct uuid *key_id);

/* ---- Base images ----
 *
 * They have a name instead of a VM, no budget and no age, and are no secret of this
 * host's: their key is no secret either, and only finds damage. */

bool image_is_base(const struct image_header *h);

/* Makes one out of the memory of a VM that runs on; takes the descriptor over, and on
 * success tells the end. An older one of that name is replaced. */
typedef void (*image_done_fn)(int r, const struct mg_error *err, void *userdata);
int image_store_add_base(struct image_store *s, const char *name, int ram_fd, uint64_t ram_bytes,
			 image_done_fn done, void *userdata, struct mg_error *err);

/* Opens the one of that name. -ENOENT: there is none; a damaged one is dropped. */
int image_store_find_base(struct image_store *s, const char *name, struct image **ret);

/* Reads from its file, for another node. Returns how much, 0 at its end, or -ENOENT. */
ssize_t image_store_read_base(struct image_store *s, const char *name, uint64_t offset,
			      uint8_t *data, size_t size, struct uuid *ret_id, uint64_t *ret_total);

/* A file that comes from another node, piece by piece. */
struct image_part;
int image_part_new(struct image_store *s, const struct uuid *id, uint64_t total,
		   struct image_part **ret, struct mg_error *err);
int image_part_write(struct image_part *part, const uint8_t *data, size_t len,
		     struct mg_error *err);
/* Verifies it and makes it the base image of that name. Takes the part over. */
int image_part_finish(struct image_part *part, const char *name, struct mg_error *err);
void image_part_free(struct image_part *part);

/* The i-th image, newest first; NULL after the last. */
const struct image_info *image_store_at(const struct image_store *s, size_t i);

#endif
