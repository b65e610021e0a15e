/* SPDX-License-Identifier: Apache-2.0
 *
 * What a guest's memory will cost, from a sample of its pages: before they are sent, how many are
 * other than zero and what they take on the wire, by where they lie, since kernel, programs and
 * free memory differ; and while they are sent, by looking at the sample again, how fast the guest
 * writes, how far that spreads and what a page costs that has changed. QEMU tells none of that
 * before the first pass over the memory is over, which is most of a move.
 *
 * What is written is found as in "page sampling" (QEMU migration/dirtyrate.c), with two figures out
 * of it: a guest that writes r bytes a second at random into w has changed w(1 - exp(-rt/w)) of
 * it after t, so the share within a second and the share since the beginning tell both.
 *
 * One thread; about 20 ms to begin with and 5 ms for each further look.
 */
#ifndef MIGRATOR_SURVEY_H
#define MIGRATOR_SURVEY_H

#include <stdint.h>

#include "common/cleanup.h"
#include "migrator/reference.h"

#define SURVEY_SAMPLES 2048

struct survey;

/* Reads the sample of `pages` pages from `ram_fd`, which remains the caller's. `ref`: what the
 * target holds; NULL: nothing. -ENOMEM, or what reading said. */
int survey_new(int ram_fd, uint64_t pages, const struct reference *ref, uint64_t now,
	       struct survey **ret);
void survey_free(struct survey *s); /* NULL is fine */
DEFINE_CLEANUP(struct survey, survey_free)

struct survey_part {
	uint64_t data_bytes; /* of the guest, other than zero */
	uint64_t wire_bytes;
};

/* Of the pages from this one on. */
struct survey_part survey_from(const struct survey *s, uint64_t page);

/* Looks again. */
void survey_look(struct survey *s, int ram_fd, uint64_t now);

struct survey_writes {
	uint64_t bps;         /* bytes a second of pages that are written; 0: none, or not known */
	uint64_t working_set; /* bytes; 0: not known, or large */
	uint32_t permille;    /* wire bytes for 1000 of them; 0: not known */
};

void survey_writes(const struct survey *s, struct survey_writes *ret);

struct survey_stats { /* of a move under way; all 0 when there is no survey */
	uint64_t first_wire_bytes; /* what the first pass takes */
	uint64_t left_wire_bytes, left_data_bytes; /* of it, still to go */
	struct survey_writes writes;
};

#endif
