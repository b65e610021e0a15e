/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames: what travels on a data connection. Each is a header of 32 bytes,
 * big-endian, a payload, and a trailer of 16 bytes: the tag of the AEAD, or in
 * plain text a checksum (seal.h).
 *
 *      0  u32 magic "tgal"      12  u32 length of the payload
 *      4  u8  version           16  u64 sequence: counts the frames of one direction
 *      5  u8  type              24  u64 acknowledged: how many frames of the other
 *      6  u16 flags                 direction have taken effect
 *      8  u16 stream            32  payload
 *     10  u16 reserved, 0
 */
#ifndef MIGRATOR_FRAME_H
#define MIGRATOR_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

#define FRAME_MAGIC 0x7467616cU
#define FRAME_VERSION 1
#define FRAME_HEADER_SIZE 32
#define FRAME_TRAILER_SIZE 16
#define FRAME_PAYLOAD_MAX ((size_t)320 << 10)
#define FRAME_WIRE_MAX (FRAME_HEADER_SIZE + FRAME_PAYLOAD_MAX + FRAME_TRAILER_SIZE)
#define FRAME_ERROR_MAX 255

enum frame_type {
	FRAME_HELLO = 1,   /* source: who it is (link.h) */
	FRAME_WELCOME = 2, /* target: the cipher it picked */
	FRAME_PAGES = 3,   /* pages of the shared block (page.h) */
	FRAME_STREAM = 4,  /* bytes for the destination's QEMU */
	FRAME_ACK = 5,     /* no payload; `acknowledged` says it */
	FRAME_ERROR = 6,   /* text: why the sender closes the connection */
	FRAME_ASK = 7,     /* target: pages that it could not make (page_ask.h) */
	FRAME_BARRIER = 8, /* source, where a move has several connections, on the first: u64 for
			      each, how many of its frames come before those behind this one */
	FRAME_DISK = 9,    /* bytes between the two QEMUs about a disk (disk_pipe.h) */
	FRAME_RETURN = 10, /* target, in post-copy: what its QEMU says to the source's (return_path.h) */
	FRAME_TYPES,
};

enum frame_flag {
	FRAME_FLAG_LZ4 = 1,  /* STREAM: u32 length, then an LZ4 block */
	FRAME_FLAG_ZSTD = 2, /* STREAM: u32 length, then a Zstandard frame made with the VM's last
				tail as its dictionary (tail.h) */
	FRAME_FLAG_TAIL = 4, /* STREAM: of the tail */
	FRAME_FLAG_POST_COPY = 8, /* STREAM: from the package of post-copy on */
};

struct frame_header {
	enum frame_type type;
	uint16_t flags;
	uint16_t stream;
	uint32_t length;
	uint64_t sequence;
	uint64_t acknowledged;
};

void frame_header_encode(const struct frame_header *h, uint8_t out[FRAME_HEADER_SIZE]);

/* Returns 0, -EPROTONOSUPPORT (version) or -EPROTO (all else that cannot be),
 * with the reason in *err. */
int frame_header_decode(const uint8_t in[FRAME_HEADER_SIZE], struct frame_header *ret,
			struct mg_error *err);

/* "PAGES". Never NULL. */
const char *frame_type_name(enum frame_type type);

#endif
