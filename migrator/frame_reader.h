/* SPDX-License-Identifier: Apache-2.0
 *
 * Cuts the bytes of a connection into frames: in place, each checked (header,
 * seal, sequence) before anybody sees its payload.
 */
#ifndef MIGRATOR_FRAME_READER_H
#define MIGRATOR_FRAME_READER_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "migrator/frame.h"
#include "migrator/seal.h"

struct frame_reader {
	uint8_t *buf;
	size_t size;
	size_t start, end;
	const struct seal *seal;
	uint16_t stream;
	uint64_t sequence; /* of the frame that must come next */
};

/* `size` has room for two of the longest frames that may come. The seal is
 * borrowed. Sequences begin at 1, after HELLO and WELCOME. */
int frame_reader_init(struct frame_reader *r, size_t size, const struct seal *seal,
		      uint16_t stream);
void frame_reader_exit(struct frame_reader *r);

/* Another connection: what is left of the last one is dropped, and the next frame is
 * `sequence`. */
void frame_reader_restart(struct frame_reader *r, uint64_t sequence);

/* Where the next bytes go; frame_reader_filled() says how many came. Payloads
 * that were handed out are gone after it. */
uint8_t *frame_reader_space(struct frame_reader *r, size_t *ret_len);
void frame_reader_filled(struct frame_reader *r, size_t len);

/* Returns 1 and the next frame, 0 when it is not whole yet, or a negative errno:
 * -EBADMSG when it does not verify, -EPROTO or -EPROTONOSUPPORT otherwise. */
int frame_reader_next(struct frame_reader *r, struct frame_header *ret_header,
		      const uint8_t **ret_payload, struct mg_error *err);

#endif
