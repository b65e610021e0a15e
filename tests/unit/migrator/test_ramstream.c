/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/ramstream.h"

#include "common/cursor.h"
#include "tests/unit/migrator/capture.h"

/* ---- A stream made by hand ----------------------------------------------------- */

struct made {
	uint8_t data[64 << 10];
	struct wcursor c;
};

static void put_name(struct made *m, const char *name)
{
	wcursor_u8(&m->c, (uint8_t)strlen(name));
	wcursor_bytes(&m->c, name, strlen(name));
}

static void put_header(struct made *m)
{
	m->c = wcursor_over(m->data, sizeof(m->data));
	wcursor_u32(&m->c, 0x5145564d);
	wcursor_u32(&m->c, 3);
	wcursor_u8(&m->c, RAMSTREAM_CONFIGURATION);
	wcursor_u32(&m->c, 10);
	wcursor_bytes(&m->c, "pc-q35-7.2", 10);
}

static void put_start(struct made *m)
{
	wcursor_u8(&m->c, RAMSTREAM_START);
	wcursor_u32(&m->c, 2);
	put_name(m, "ram");
	wcursor_u32(&m->c, 0);
	wcursor_u32(&m->c, 4);
}

static void put_section(struct made *m, enum ramstream_element kind)
{
	wcursor_u8(&m->c, (uint8_t)kind);
	wcursor_u32(&m->c, 2);
}

static void put_block(struct made *m, const char *name, uint64_t length)
{
	put_name(m, name);
	wcursor_u64(&m->c, length);
}

static void put_footer(struct made *m)
{
	wcursor_u8(&m->c, RAMSTREAM_FOOTER);
	wcursor_u32(&m->c, 2);
}

static void put_eos(struct made *m)
{
	wcursor_u64(&m->c, RAMSTREAM_EOS);
	put_footer(m);
}

/* Header, START with two blocks. */
static void put_beginning(struct made *m)
{
	put_header(m);
	put_start(m);
	wcursor_u64(&m->c, 0x3000 | RAMSTREAM_MEM_SIZE);
	put_block(m, CAPTURE_SHARED, 0x2000);
	put_block(m, "rom", 0x1000);
}

static void put_page(struct made *m, uint64_t offset, unsigned flags, const char *name)
{
	wcursor_u64(&m->c, offset | flags);
	if (!(flags & RAMSTREAM_CONTINUE))
		put_name(m, name);
	if (flags & RAMSTREAM_ZERO)
		wcursor_u8(&m->c, 0);
	else
		memset(wcursor_space(&m->c, RAMSTREAM_PAGE), 0x5a, RAMSTREAM_PAGE);
}

static int read_made(struct made *m, struct capture_reader **ret, struct mg_error *err)
{
	struct capture_reader *c = capture_reader_new();
	ssize_t r;

	cr_assert(wcursor_ok(&m->c));
	r = ramstream_feed(c->rs, m->data, wcursor_used(&m->c), err);
	if (r >= 0) {
		cr_assert_eq((size_t)r, wcursor_used(&m->c));
		r = 0;
	}
	if (ret)
		*ret = c;
	else
		capture_reader_free(c);
	return (int)r;
}

static void refused(struct made *m, int code, const char *words)
{
	struct mg_error err = { 0 };

	cr_assert_eq(read_made(m, NULL, &err), code, "'%s' expected: %s", words, err.text);
	cr_assert_not_null(strstr(err.text, words), "'%s' is not in '%s'", words, err.text);
	cr_assert_not_null(strstr(err.text, "byte "), "no place in '%s'", err.text);
}

/* ---- Real streams ----------------------------------------------------------------- */

Test(ramstream, a_captured_stream_reads_whole)
{
	size_t len;
	uint8_t *data = capture_load(&len);
	struct capture_reader *c = capture_reader_new();
	struct mg_error err = { 0 };

	cr_assert_eq(ramstream_feed(c->rs, data, len, &err), (ssize_t)len, "%s", err.text);
	cr_assert_str_eq(ramstream_machine(c->rs), "pc-q35-7.2");
	cr_assert_eq(ramstream_offset(c->rs), len);
	cr_assert_eq(ramstream_block_count(c->rs), 6);
	cr_assert_eq(ramstream_block_at(c->rs, c->shared)->length, 1016 << 10);
	cr_assert_null(ramstream_block_at(c->rs, 6));
	cr_assert_eq(c->shared_pages, 254, "254 pages of 4 KiB");
	cr_assert_geq(c->other_pages, 82);
	cr_assert_eq(c->sections[RAMSTREAM_START], 1);
	cr_assert_eq(c->sections[RAMSTREAM_END], 1);
	cr_assert_eq(c->tails, 1);
	capture_reader_free(c);
	free(data);
}

Test(ramstream, what_is_written_reads_as_the_same_stream_without_the_shared_pages)
{
	size_t len;
	uint8_t *data = capture_load(&len);
	struct capture_reader *c = capture_reader_new(), *again = capture_reader_new();
	struct mg_error err = { 0 };

	cr_assert_eq(ramstream_feed(c->rs, data, len, &err), (ssize_t)len, "%s", err.text);
	cr_assert_eq(ramstream_feed(again->rs, c->w.data, c->w.len, &err), (ssize_t)c->w.len, "%s", err.text);
	cr_assert_eq(again->shared_pages, 0);
	cr_assert_eq(again->other_pages, c->other_pages);
	cr_assert_eq(again->tails, 1);
	cr_assert_eq(again->w.len, c->w.len, "nothing is left to change");
	cr_assert_eq(memcmp(again->w.data, c->w.data, c->w.len), 0);
	capture_reader_free(c);
	capture_reader_free(again);
	free(data);
}

Test(ramstream, chunks_of_any_size_read_the_same)
{
	static const size_t sizes[] = { 1, 2, 3, 7, 8, 9, 100, 4095, 4096, 4097, 4104, 65536 };
	size_t len;
	uint8_t *data = capture_load(&len);
	uint64_t expected = 0;

	for (size_t i = 0; i <= ARRAY_SIZE(sizes); i++) {
		size_t step = i == 0 ? len : sizes[i - 1];
		struct capture_reader *c = capture_reader_new();

		for (size_t at = 0; at < len; at += step)
			cr_assert_geq(ramstream_feed(c->rs, data + at,
						     len - at < step ? len - at : step, NULL), 0);
		cr_assert_eq(ramstream_offset(c->rs), len);
		/* the tail comes in chunks; its sum does not depend on them */
		if (i == 0)
			expected = c->sum;
		cr_assert_eq(c->sum, expected, "chunks of %zu", step);
		capture_reader_free(c);
	}
	free(data);
}

Test(ramstream, cut_anywhere_is_no_error_but_never_a_tail_too_early)
{
	size_t len;
	uint8_t *data = capture_load(&len);
	size_t tail_at = 0;

	for (size_t cut = 0; cut < len && tail_at == 0; cut++) {
		struct capture_reader *c = capture_reader_new();

		/* from fresh memory, so that a read past the end is seen by ASan */
		uint8_t *copy = malloc(cut ? cut : 1);
		memcpy(copy, data, cut);
		cr_assert_eq(ramstream_feed(c->rs, copy, cut, NULL), (ssize_t)cut, "cut at %zu", cut);
		cr_assert_eq(ramstream_offset(c->rs), cut);
		if (c->tails) {
			tail_at = cut;
			cr_assert_eq(c->sections[RAMSTREAM_END], 1);
		}
		free(copy);
		capture_reader_free(c);
	}
	cr_assert_gt(tail_at, 0);
	free(data);
}

Test(ramstream, a_flipped_bit_is_refused_or_read_but_never_more)
{
	size_t len, refusals = 0;
	uint8_t *data = capture_load(&len);

	for (size_t at = 0; at < 20000; at += at < 600 ? 1 : 37) {
		for (unsigned bit = 0; bit < 8; bit++) {
			struct capture_reader *c = capture_reader_new();
			struct mg_error err = { 0 };

			data[at] ^= (uint8_t)(1u << bit);
			if (ramstream_feed(c->rs, data, len, &err) < 0) {
				refusals++;
				cr_assert_neq(err.text[0], '\0');
			}
			data[at] ^= (uint8_t)(1u << bit);
			capture_reader_free(c);
		}
	}
	cr_assert_gt(refusals, 1000);
	free(data);
}

/* ---- By hand ------------------------------------------------------------------------- */

Test(ramstream, continue_means_the_last_block_across_sections_and_no_footers_are_fine)
{
	struct made m;
	struct capture_reader *c;
	struct mg_error err = { 0 };

	put_beginning(&m);
	put_page(&m, 0, RAMSTREAM_PAGE_DATA, "rom");
	wcursor_u64(&m.c, RAMSTREAM_EOS);
	put_section(&m, RAMSTREAM_PART);
	put_page(&m, 0, RAMSTREAM_ZERO | RAMSTREAM_CONTINUE, NULL);
	wcursor_u64(&m.c, RAMSTREAM_MULTIFD_FLUSH);
	put_page(&m, 0x1000, RAMSTREAM_ZERO, CAPTURE_SHARED);
	wcursor_u64(&m.c, RAMSTREAM_EOS);
	put_section(&m, RAMSTREAM_END);
	put_page(&m, 0, RAMSTREAM_PAGE_DATA | RAMSTREAM_CONTINUE, NULL);
	wcursor_u64(&m.c, RAMSTREAM_EOS);
	wcursor_u8(&m.c, RAMSTREAM_FULL);
	cr_assert_eq(read_made(&m, &c, &err), 0, "%s", err.text);
	cr_assert_eq(c->other_pages, 2);
	cr_assert_eq(c->shared_pages, 2);
	cr_assert_eq(c->shared_zero, 1);
	cr_assert_eq(c->tails, 1);
	capture_reader_free(c);
}

Test(ramstream, commands_are_told_and_forwarded)
{
	struct made m;
	struct capture_reader *c;
	struct mg_error err = { 0 };

	put_header(&m);
	wcursor_u8(&m.c, RAMSTREAM_COMMAND);
	wcursor_u32(&m.c, RAMSTREAM_OPEN_RETURN_PATH << 16);
	wcursor_u8(&m.c, RAMSTREAM_COMMAND);
	wcursor_u32(&m.c, RAMSTREAM_PING << 16 | 4);
	wcursor_u32(&m.c, 77);
	wcursor_u8(&m.c, RAMSTREAM_COMMAND);
	wcursor_u32(&m.c, RAMSTREAM_SWITCHOVER_START << 16);
	cr_assert_eq(read_made(&m, &c, &err), 0, "%s", err.text);
	cr_assert_eq(c->commands, 3);
	cr_assert_eq(c->last_ping, 77);
	cr_assert_eq(c->w.len, wcursor_used(&m.c));
	capture_reader_free(c);
}

/* From the package on all is the destination's, pages too. */
Test(ramstream, post_copy_is_forwarded)
{
	struct made m;
	struct capture_reader *c;
	struct mg_error err = { 0 };

	put_header(&m);
	wcursor_u8(&m.c, RAMSTREAM_COMMAND);
	wcursor_u32(&m.c, RAMSTREAM_POSTCOPY_ADVISE << 16 | 16);
	wcursor_space(&m.c, 16);
	wcursor_u8(&m.c, RAMSTREAM_COMMAND);
	wcursor_u32(&m.c, RAMSTREAM_RAM_DISCARD << 16 | 5);
	wcursor_space(&m.c, 5);
	wcursor_u8(&m.c, RAMSTREAM_COMMAND);
	wcursor_u32(&m.c, RAMSTREAM_PACKAGED << 16 | 4);
	wcursor_u32(&m.c, 3);
	wcursor_bytes(&m.c, "abc and what comes after it", 27);
	cr_assert_eq(read_made(&m, &c, &err), 0, "%s", err.text);
	cr_assert_eq(c->commands, 3);
	cr_assert_eq(c->tails, 1);
	cr_assert_eq(c->w.len, wcursor_used(&m.c));
	capture_reader_free(c);
}

Test(ramstream, subsections_of_the_configuration)
{
	struct made m;

	put_header(&m);
	wcursor_u8(&m.c, RAMSTREAM_SUBSECTION);
	put_name(&m, "configuration/uuid");
	wcursor_u32(&m.c, 1);
	wcursor_space(&m.c, 16);
	wcursor_u8(&m.c, RAMSTREAM_SUBSECTION);
	put_name(&m, "configuration/target-page-bits");
	wcursor_u32(&m.c, 1);
	wcursor_u32(&m.c, 12);
	wcursor_u8(&m.c, RAMSTREAM_SUBSECTION);
	put_name(&m, "configuration/capabilities");
	wcursor_u32(&m.c, 1);
	wcursor_u32(&m.c, 0);
	put_start(&m);
	cr_assert_eq(read_made(&m, NULL, NULL), 0);
	put_header(&m);
	wcursor_u8(&m.c, RAMSTREAM_SUBSECTION);
	put_name(&m, "configuration/capabilities");
	wcursor_u32(&m.c, 1);
	wcursor_u32(&m.c, 1);
	put_name(&m, "x-ignore-shared");
	refused(&m, -EOPNOTSUPP, "'x-ignore-shared'");
	put_header(&m);
	wcursor_u8(&m.c, RAMSTREAM_SUBSECTION);
	put_name(&m, "configuration/\033[2J");
	wcursor_u32(&m.c, 1);
	refused(&m, -EOPNOTSUPP, "'configuration/?[2J'");
}

Test(ramstream, header_errors)
{
	struct made m;

	put_header(&m);
	m.data[0] = 'X';
	refused(&m, -EPROTO, "no migration stream");
	put_header(&m);
	m.data[7] = 2;
	refused(&m, -EPROTO, "stream version 2");
	put_header(&m);
	m.data[8] = RAMSTREAM_START;
	refused(&m, -EPROTO, "CONFIGURATION expected");
	put_header(&m);
	m.data[11] = 1;
	refused(&m, -EPROTO, "machine type of 266 bytes");
	put_header(&m);
	m.data[15] = 0;
	refused(&m, -EPROTO, "NUL");
}

Test(ramstream, section_errors)
{
	struct made m;

	put_header(&m);
	wcursor_u8(&m.c, RAMSTREAM_FULL);
	refused(&m, -EPROTO, "device state before the end of RAM");
	put_header(&m);
	wcursor_u8(&m.c, 0x55);
	refused(&m, -EPROTO, "unknown element 0x55");
	put_header(&m);
	put_section(&m, RAMSTREAM_PART);
	refused(&m, -EPROTO, "before its start");
	put_header(&m);
	wcursor_u8(&m.c, RAMSTREAM_START);
	wcursor_u32(&m.c, 3);
	put_name(&m, "dirty-bitmap");
	refused(&m, -EOPNOTSUPP, "'dirty-bitmap'");
	put_header(&m);
	wcursor_u8(&m.c, RAMSTREAM_START);
	wcursor_u32(&m.c, 2);
	put_name(&m, "ram");
	wcursor_u64(&m.c, 5);
	refused(&m, -EOPNOTSUPP, "version 5");
	put_beginning(&m);
	put_eos(&m);
	put_start(&m);
	refused(&m, -EPROTO, "starts twice");
	put_beginning(&m);
	put_eos(&m);
	wcursor_u8(&m.c, RAMSTREAM_PART);
	wcursor_u32(&m.c, 3);
	refused(&m, -EPROTO, "unknown section 3");
	put_beginning(&m);
	wcursor_u64(&m.c, RAMSTREAM_EOS);
	wcursor_u8(&m.c, RAMSTREAM_FOOTER);
	wcursor_u32(&m.c, 9);
	refused(&m, -EPROTO, "footer of section 9");
	put_beginning(&m);
	put_eos(&m);
	put_section(&m, RAMSTREAM_PART);
	wcursor_u64(&m.c, RAMSTREAM_EOS);
	put_section(&m, RAMSTREAM_PART);
	refused(&m, -EPROTO, "no footer");
	put_header(&m);
	put_start(&m);
	put_eos(&m);
	refused(&m, -EPROTO, "no block list");
	put_header(&m);
	wcursor_u8(&m.c, RAMSTREAM_COMMAND);
	wcursor_u32(&m.c, 9 << 16);
	refused(&m, -EOPNOTSUPP, "command 9");
	put_header(&m);
	wcursor_u8(&m.c, RAMSTREAM_COMMAND);
	wcursor_u32(&m.c, RAMSTREAM_RAM_DISCARD << 16 | (RAMSTREAM_PAGE + 1));
	refused(&m, -EPROTO, "command 6 with 4097 bytes");
	put_header(&m);
	wcursor_u8(&m.c, RAMSTREAM_COMMAND);
	wcursor_u32(&m.c, RAMSTREAM_PING << 16 | 5);
	refused(&m, -EPROTO, "command 2 with 5 bytes");
}

Test(ramstream, block_list_errors)
{
	struct made m;
	char name[16];

	put_header(&m);
	put_start(&m);
	wcursor_u64(&m.c, RAMSTREAM_MEM_SIZE);
	refused(&m, -EPROTO, "0 bytes of RAM");
	put_header(&m);
	put_start(&m);
	wcursor_u64(&m.c, UINT64_C(1) << 60 | RAMSTREAM_MEM_SIZE);
	refused(&m, -EPROTO, "bytes of RAM");
	put_header(&m);
	put_start(&m);
	wcursor_u64(&m.c, 0x2000 | RAMSTREAM_MEM_SIZE);
	put_block(&m, "a", 0x3000);
	refused(&m, -EPROTO, "0x3000 bytes where 0x2000 are left");
	put_header(&m);
	put_start(&m);
	wcursor_u64(&m.c, 0x2000 | RAMSTREAM_MEM_SIZE);
	put_block(&m, "a", 0x1001);
	refused(&m, -EPROTO, "block 'a'");
	put_header(&m);
	put_start(&m);
	wcursor_u64(&m.c, 0x2000 | RAMSTREAM_MEM_SIZE);
	put_block(&m, "a", 0x1000);
	put_block(&m, "a", 0x1000);
	refused(&m, -EPROTO, "twice");
	put_header(&m);
	put_start(&m);
	wcursor_u64(&m.c, 0x1000000 | RAMSTREAM_MEM_SIZE);
	for (unsigned i = 0; i <= RAMSTREAM_MAX_BLOCKS; i++) {
		snprintf(name, sizeof(name), "b%u", i);
		put_block(&m, name, 0x1000);
	}
	refused(&m, -EPROTO, "more than 256 blocks");
	put_beginning(&m);
	put_eos(&m);
	put_section(&m, RAMSTREAM_PART);
	wcursor_u64(&m.c, 0x1000 | RAMSTREAM_MEM_SIZE);
	refused(&m, -EPROTO, "wrong place");
}

Test(ramstream, page_errors)
{
	static const struct {
		uint64_t word;
		int code;
		const char *words;
	} bad[] = {
		{ RAMSTREAM_XBZRLE, -EOPNOTSUPP, "XBZRLE" },
		{ RAMSTREAM_XBZRLE | RAMSTREAM_CONTINUE, -EOPNOTSUPP, "XBZRLE" },
		{ RAMSTREAM_COMPRESS, -EOPNOTSUPP, "'compress'" },
		{ RAMSTREAM_HOOK, -EOPNOTSUPP, "RDMA" },
		{ RAMSTREAM_PAGE_DATA | RAMSTREAM_CONTINUE, -EPROTO, "CONTINUE before any block" },
		{ RAMSTREAM_ZERO | RAMSTREAM_CONTINUE, -EPROTO, "CONTINUE before any block" },
		{ RAMSTREAM_ZERO | RAMSTREAM_PAGE_DATA, -EPROTO, "page flags 0x00a" },
		{ RAMSTREAM_EOS | RAMSTREAM_CONTINUE, -EPROTO, "page flags 0x030" },
		{ 0x400, -EPROTO, "page flags 0x400" },
		{ 0x001, -EPROTO, "page flags 0x001" },
		{ 0, -EPROTO, "page flags 0x000" },
	};
	struct made m;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		put_beginning(&m);
		wcursor_u64(&m.c, bad[i].word);
		refused(&m, bad[i].code, bad[i].words);
	}
	put_beginning(&m);
	put_page(&m, 0x2000, RAMSTREAM_PAGE_DATA, CAPTURE_SHARED);
	refused(&m, -EPROTO, "page at 0x2000");
	put_beginning(&m);
	put_page(&m, UINT64_MAX & ~UINT64_C(0xfff), RAMSTREAM_ZERO, CAPTURE_SHARED);
	refused(&m, -EPROTO, "page at 0xfffffffffffff000");
	put_beginning(&m);
	put_page(&m, 0, RAMSTREAM_ZERO, "nosuch");
	refused(&m, -EPROTO, "unknown block 'nosuch'");
	put_beginning(&m);
	put_page(&m, 0, RAMSTREAM_ZERO, CAPTURE_SHARED);
	m.c.at[-1] = 7;
	refused(&m, -EOPNOTSUPP, "filled with 0x07");
}

static int stop_here(void *userdata, unsigned index, uint64_t offset, const uint8_t *data)
{
	(void)userdata, (void)index, (void)offset, (void)data;
	return -ECANCELED;
}

Test(ramstream, an_operation_ends_the_reading)
{
	static const struct ramstream_ops ops = { .page = stop_here };
	struct ramstream *rs;
	struct mg_error err = { 0 };
	struct made m;

	put_beginning(&m);
	put_page(&m, 0, RAMSTREAM_ZERO, CAPTURE_SHARED);
	cr_assert_eq(ramstream_new(&ops, NULL, &rs), 0);
	cr_assert_eq(ramstream_feed(rs, m.data, wcursor_used(&m.c), &err), -ECANCELED);
	cr_assert_neq(err.text[0], '\0');
	ramstream_free(rs);
}

static int pause_always(void *userdata, const uint8_t *data, size_t len)
{
	capture_bytes(userdata, data, len);
	return 1;
}

Test(ramstream, a_pause_loses_nothing)
{
	struct ramstream_ops ops = capture_ops;
	struct capture_reader *c = capture_reader_new(), *pausing = capture_reader_new();
	size_t len, at = 0;
	uint8_t *data = capture_load(&len);
	unsigned pauses = 0;

	ops.bytes = pause_always;
	ramstream_free(pausing->rs);
	cr_assert_eq(ramstream_new(&ops, pausing, &pausing->rs), 0);
	while (at < len) {
		ssize_t n = ramstream_feed(pausing->rs, data + at, len - at, NULL);

		cr_assert_gt(n, 0);
		at += (size_t)n;
		pauses++;
	}
	cr_assert_gt(pauses, 20);
	cr_assert_eq(ramstream_feed(c->rs, data, len, NULL), (ssize_t)len);
	cr_assert_eq(c->sum, pausing->sum);
	capture_reader_free(c);
	capture_reader_free(pausing);
	free(data);
}
