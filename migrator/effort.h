/* SPDX-License-Identifier: Apache-2.0
 *
 * How thoroughly pages are compressed: as far as the link leaves time for it. While the link waits
 * for the codec every batch is packed faster than the one before; while it is the other way
 * round, more thoroughly. That the link waits for QEMU, which has to look for dirty pages or finds
 * only zeros, is no reason for haste. The last steps save little (3 to 7 % of the bytes) for much:
 * they are taken only where the processor has most of its time left. Pages go as they are where
 * the link would carry them so before a codec is done with them; or where it has waited for the
 * fastest codec for many batches on end, and as long as it waits even then.
 */
#ifndef MIGRATOR_EFFORT_H
#define MIGRATOR_EFFORT_H

#include <stdbool.h>
#include <stdint.h>

struct effort {
	int level;                   /* of page_packer_pack() */
	uint64_t encode_ns, wire_ns; /* of the last batch */
	uint64_t plain_ns;           /* on the link, if it had gone as it was */
	uint64_t waited_ns;          /* since then */
	uint64_t fastest_ns;         /* to encode, of the last one by the fastest codec */
	unsigned late;     /* batches on end for which the link waited, by the fastest codec */
	unsigned patience; /* so many are enough */
	unsigned plain;    /* batches on end that went as they were */
};

/* Between: what is found out soon is which way to go. */
void effort_init(struct effort *e);

/* What the last batch took to encode, takes on the link, and would have taken there as it was;
 * ns. 0: not known. */
void effort_note(struct effort *e, uint64_t encode_ns, uint64_t wire_ns, uint64_t plain_ns);

/* There was nothing to encode for so long; ns. */
void effort_waited(struct effort *e, uint64_t ns);

/* Whether the last batch took less time to encode than it takes on the link. */
bool effort_link_is_slower(const struct effort *e);

/* The next batch's level. `starved`: the link has nothing to do. */
int effort_next(struct effort *e, bool starved);

#endif
