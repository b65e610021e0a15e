/* SPDX-License-Identifier: Apache-2.0
 *
 * Incremental reader of QEMU's migration stream, version 3 (QEMU
 * migration/savevm.c and ram.c, RAM section version 4). It is fed chunks of any
 * size and tells through a table of operations what is in them:
 *
 *     header, block list, section marks, commands   verbatim bytes
 *     pages                                          block, offset, contents
 *     device state after the end of RAM              verbatim bytes
 *     post-copy: all from its package on             verbatim bytes
 *
 * The verbatim bytes, joined with the pages in the form of streamwriter.h, are
 * again a whole stream. Nothing in the stream is trusted: counts, names, sizes
 * and offsets have limits, and what we cannot carry (XBZRLE, COMPRESS, multifd,
 * other iterative sections) is refused by name.
 */
#ifndef MIGRATOR_RAMSTREAM_H
#define MIGRATOR_RAMSTREAM_H

#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/cleanup.h"
#include "common/error.h"

#define RAMSTREAM_PAGE 4096
#define RAMSTREAM_MAX_BLOCKS 256
#define RAMSTREAM_MAX_BYTES (UINT64_C(1) << 46) /* all blocks together */

/* The flags in the low bits of a RAM section's words (QEMU: RAM_SAVE_FLAG_*). */
enum ramstream_flag {
	RAMSTREAM_ZERO = 0x002,
	RAMSTREAM_MEM_SIZE = 0x004,
	RAMSTREAM_PAGE_DATA = 0x008,
	RAMSTREAM_EOS = 0x010,
	RAMSTREAM_CONTINUE = 0x020,
	RAMSTREAM_XBZRLE = 0x040,
	RAMSTREAM_HOOK = 0x080,
	RAMSTREAM_COMPRESS = 0x100,
	RAMSTREAM_MULTIFD_FLUSH = 0x200,
};

/* The elements of the stream (QEMU: QEMU_VM_*). */
enum ramstream_element {
	RAMSTREAM_EOF = 0x00,
	RAMSTREAM_START = 0x01,
	RAMSTREAM_PART = 0x02,
	RAMSTREAM_END = 0x03,
	RAMSTREAM_FULL = 0x04,
	RAMSTREAM_SUBSECTION = 0x05,
	RAMSTREAM_VMDESC = 0x06,
	RAMSTREAM_CONFIGURATION = 0x07,
	RAMSTREAM_COMMAND = 0x08,
	RAMSTREAM_FOOTER = 0x7e,
};

enum ramstream_command {
	RAMSTREAM_OPEN_RETURN_PATH = 1,
	RAMSTREAM_PING = 2,
	RAMSTREAM_POSTCOPY_ADVISE = 3,
	RAMSTREAM_RAM_DISCARD = 6,
	RAMSTREAM_PACKAGED = 7,
	RAMSTREAM_SWITCHOVER_START = 11, /* QEMU 10.0 */
};

struct ramstream_block {
	char name[256];
	uint64_t length;
};

/* Each may be NULL. One that returns a negative errno ends the reading with it;
 * one that returns 1 has taken what it was given and wants a pause. Data is
 * borrowed for the call only; bytes come in pieces of RAMSTREAM_PAGE at most. */
struct ramstream_ops {
	/* Bytes that the destination must see as they are, in order. */
	int (*bytes)(void *userdata, const uint8_t *data, size_t len);
	/* An entry of the block list; index counts from 0. */
	int (*block)(void *userdata, unsigned index, const struct ramstream_block *block);
	/* A page: RAMSTREAM_PAGE bytes, or NULL for a zero page. */
	int (*page)(void *userdata, unsigned index, uint64_t offset, const uint8_t *data);
	/* START, PART or END of the RAM section begins, before its pages. */
	int (*section)(void *userdata, enum ramstream_element kind);
	/* A command, after its bytes; value is PING's. */
	int (*command)(void *userdata, enum ramstream_command command, uint32_t value);
	/* The device state begins, before its bytes: no page follows. Or, after PACKAGED, post-copy:
	 * the state, and after it pages, as the destination wants them. */
	int (*tail)(void *userdata);
};

struct ramstream;

int ramstream_new(const struct ramstream_ops *ops, void *userdata, struct ramstream **ret);
void ramstream_free(struct ramstream *rs);
DEFINE_CLEANUP(struct ramstream, ramstream_free)

/* Reads on. Returns how many bytes were used, all of them unless an operation
 * wanted a pause; or -EPROTO (malformed), -EOPNOTSUPP (well-formed, but not
 * carried) or what an operation returned. After an error only ramstream_free()
 * is allowed. *err names what and where in the stream. */
ssize_t ramstream_feed(struct ramstream *rs, const uint8_t *data, size_t len, struct mg_error *err);

/* Bytes read so far. */
uint64_t ramstream_offset(const struct ramstream *rs);

/* Where pages may be put in between what was read and what comes: as records; or as parts of
 * the section of this id, with footers. */
bool ramstream_in_pages(const struct ramstream *rs);
bool ramstream_between_sections(const struct ramstream *rs);
uint32_t ramstream_section_id(const struct ramstream *rs);

/* The machine type of the CONFIGURATION section, "" before. */
const char *ramstream_machine(const struct ramstream *rs);

/* The blocks of the list, once it was read. */
unsigned ramstream_block_count(const struct ramstream *rs);
const struct ramstream_block *ramstream_block_at(const struct ramstream *rs, unsigned index);

#endif
