/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/ramstream.h"

#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "common/cursor.h"

#define MAGIC 0x5145564dU /* "QEVM" */
#define VERSION 3
#define RAM_VERSION 4
#define MAX_CAPABILITIES 64
#define FLAGS_MASK (RAMSTREAM_PAGE - 1)
#define NO_BLOCK UINT_MAX

/* A state names the field that comes next; it is read whole, then handled. */
enum state {
	S_MAGIC,
	S_VERSION,
	S_FIRST,          /* CONFIGURATION's mark */
	S_MACHINE_LENGTH,
	S_MACHINE,
	S_CONFIG_NEXT,    /* a subsection of CONFIGURATION, or an element's mark */
	S_CONFIG_NAME_LENGTH,
	S_CONFIG_NAME,
	S_CONFIG_VERSION,
	S_PAGE_BITS,
	S_CAP_COUNT,
	S_CAP_LENGTH,
	S_CAP_NAME,
	S_UUID,
	S_ELEMENT,
	S_SECTION_ID,
	S_SECTION_NAME_LENGTH,
	S_SECTION_NAME,
	S_SECTION_VERSION, /* instance and version */
	S_WORD,
	S_NAME_LENGTH,
	S_NAME,
	S_FILL,
	S_DATA,
	S_LIST_NAME_LENGTH,
	S_LIST_NAME,
	S_LIST_SIZE,
	S_SECTION_DONE, /* a footer's mark, or the next element's */
	S_FOOTER,
	S_COMMAND,
	S_COMMAND_DATA,
	S_TAIL,
};

enum footers { FOOTERS_UNKNOWN, FOOTERS_YES, FOOTERS_NO };

struct ramstream {
	const struct ramstream_ops *ops;
	void *userdata;
	struct mg_error *err; /* of the feed in progress */
	uint64_t offset;      /* of the field being handled */

	enum state state;
	size_t need;               /* bytes of the field that comes next */
	size_t held;
	uint8_t hold[RAMSTREAM_PAGE]; /* a field that is not whole yet */

	char machine[256];
	char config_name[256];
	uint32_t capabilities_left;

	enum ramstream_element section; /* the one that is open */
	bool started, ended;
	uint32_t section_id;
	enum footers footers;

	uint64_t word;
	unsigned last_block;   /* what CONTINUE means; persists across sections */
	uint64_t list_left;    /* bytes that the block list still has to account for */
	char list_name[256];
	unsigned n_blocks;
	struct ramstream_block *blocks;

	uint16_t command;
	uint16_t command_length;
	uint32_t ping;
};

#define FAIL(rs, code, fmt, ...)                                                     \
	mg_error_set((rs)->err, code, "migration stream, byte %" PRIu64 ": " fmt,    \
		     (rs)->offset, ##__VA_ARGS__)

static int next(struct ramstream *rs, enum state state, size_t need)
{
	rs->state = state;
	rs->need = need;
	return 0;
}

/* Text of the stream that goes into an error: no bytes that a terminal obeys. */
static const char *printable(const char *text, char out[64])
{
	size_t i;

	for (i = 0; i < 63 && text[i]; i++)
		out[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
	out[i] = '\0';
	return out;
}

static int take_name(struct ramstream *rs, char name[256], const uint8_t *p, size_t n,
		     const char *what)
{
	if (memchr(p, '\0', n))
		return FAIL(rs, -EPROTO, "%s has a NUL in it", what);
	memcpy(name, p, n);
	name[n] = '\0';
	return 0;
}

/* ---- Header and CONFIGURATION ----------------------------------------------- */

static int on_magic(struct ramstream *rs, struct rcursor *c)
{
	uint32_t magic = rcursor_u32(c);

	if (magic != MAGIC)
		return FAIL(rs, -EPROTO, "no migration stream (magic %08" PRIx32 ")", magic);
	return next(rs, S_VERSION, 4);
}

static int on_version(struct ramstream *rs, struct rcursor *c)
{
	uint32_t version = rcursor_u32(c);

	if (version != VERSION)
		return FAIL(rs, -EPROTO, "stream version %" PRIu32 ", expected %d", version,
			    VERSION);
	return next(rs, S_FIRST, 1);
}

static int on_first(struct ramstream *rs, struct rcursor *c)
{
	uint8_t mark = rcursor_u8(c);

	if (mark != RAMSTREAM_CONFIGURATION)
		return FAIL(rs, -EPROTO, "CONFIGURATION expected, found element 0x%02x", mark);
	return next(rs, S_MACHINE_LENGTH, 4);
}

static int on_machine_length(struct ramstream *rs, struct rcursor *c)
{
	uint32_t length = rcursor_u32(c);

	if (length == 0 || length >= sizeof(rs->machine))
		return FAIL(rs, -EPROTO, "machine type of %" PRIu32 " bytes", length);
	return next(rs, S_MACHINE, length);
}

static int on_machine(struct ramstream *rs, struct rcursor *c)
{
	size_t n = rcursor_left(c);
	int r = take_name(rs, rs->machine, rcursor_bytes(c, n), n, "the machine type");

	return r < 0 ? r : next(rs, S_CONFIG_NEXT, 1);
}

static int on_element_mark(struct ramstream *rs, uint8_t mark);

static int on_config_next(struct ramstream *rs, struct rcursor *c)
{
	uint8_t mark = rcursor_u8(c);

	if (mark != RAMSTREAM_SUBSECTION)
		return on_element_mark(rs, mark);
	return next(rs, S_CONFIG_NAME_LENGTH, 1);
}

static int on_config_name_length(struct ramstream *rs, struct rcursor *c)
{
	uint8_t length = rcursor_u8(c);

	if (length == 0)
		return FAIL(rs, -EPROTO, "a subsection without a name");
	return next(rs, S_CONFIG_NAME, length);
}

static int on_config_name(struct ramstream *rs, struct rcursor *c)
{
	size_t n = rcursor_left(c);
	int r = take_name(rs, rs->config_name, rcursor_bytes(c, n), n, "a subsection's name");

	return r < 0 ? r : next(rs, S_CONFIG_VERSION, 4);
}

static int on_config_version(struct ramstream *rs, struct rcursor *c)
{
	static const struct {
		const char *name;
		enum state state;
		size_t need;
	} subsections[] = {
		{ "configuration/target-page-bits", S_PAGE_BITS, 4 },
		{ "configuration/capabilities", S_CAP_COUNT, 4 },
		{ "configuration/uuid", S_UUID, 16 },
	};
	uint32_t version = rcursor_u32(c);
	char text[64];

	for (size_t i = 0; i < ARRAY_SIZE(subsections); i++)
		if (version == 1 && strcmp(rs->config_name, subsections[i].name) == 0)
			return next(rs, subsections[i].state, subsections[i].need);
	return FAIL(rs, -EOPNOTSUPP, "unknown subsection '%s', version %" PRIu32,
		    printable(rs->config_name, text), version);
}

static int on_page_bits(struct ramstream *rs, struct rcursor *c)
{
	uint32_t bits = rcursor_u32(c);

	if (bits != 12)
		return FAIL(rs, -EOPNOTSUPP, "target pages of 2^%" PRIu32 " bytes, only 2^12 are "
			    "carried", bits);
	return next(rs, S_CONFIG_NEXT, 1);
}

static int on_cap_count(struct ramstream *rs, struct rcursor *c)
{
	rs->capabilities_left = rcursor_u32(c);
	if (rs->capabilities_left > MAX_CAPABILITIES)
		return FAIL(rs, -EPROTO, "%" PRIu32 " capabilities", rs->capabilities_left);
	return rs->capabilities_left ? next(rs, S_CAP_LENGTH, 1) : next(rs, S_CONFIG_NEXT, 1);
}

static int on_cap_length(struct ramstream *rs, struct rcursor *c)
{
	uint8_t length = rcursor_u8(c);

	if (length == 0)
		return FAIL(rs, -EPROTO, "a capability without a name");
	return next(rs, S_CAP_NAME, length);
}

/* QEMU lists only those that change the stream's format for the reader
 * (x-ignore-shared, mapped-ram); we carry neither. */
static int on_cap_name(struct ramstream *rs, struct rcursor *c)
{
	size_t n = rcursor_left(c);
	char name[256], text[64];
	int r = take_name(rs, name, rcursor_bytes(c, n), n, "a capability's name");

	if (r < 0)
		return r;
	return FAIL(rs, -EOPNOTSUPP, "the source's QEMU has capability '%s' on, which is not "
		    "carried", printable(name, text));
}

static int on_uuid(struct ramstream *rs, struct rcursor *c)
{
	rcursor_bytes(c, 16);
	return next(rs, S_CONFIG_NEXT, 1);
}

/* ---- Elements ------------------------------------------------------------------- */

static int on_element_mark(struct ramstream *rs, uint8_t mark)
{
	static const char *const other[] = {
		[RAMSTREAM_EOF] = "the end of the stream",
		[RAMSTREAM_FULL] = "device state",
		[RAMSTREAM_VMDESC] = "a description",
	};

	switch (mark) {
	case RAMSTREAM_COMMAND:
		return next(rs, S_COMMAND, 4);
	case RAMSTREAM_START:
	case RAMSTREAM_PART:
	case RAMSTREAM_END:
		if (mark != RAMSTREAM_START && !rs->started)
			return FAIL(rs, -EPROTO, "a section's part before its start");
		rs->section = mark;
		return next(rs, S_SECTION_ID, 4);
	}
	if (mark < ARRAY_SIZE(other) && other[mark])
		return FAIL(rs, -EPROTO, "%s before the end of RAM", other[mark]);
	return FAIL(rs, -EPROTO, "unknown element 0x%02x", mark);
}

static int on_element(struct ramstream *rs, struct rcursor *c)
{
	return on_element_mark(rs, rcursor_u8(c));
}

static int open_section(struct ramstream *rs)
{
	rs->started = true;
	rs->ended = rs->section == RAMSTREAM_END;
	next(rs, S_WORD, 8);
	return rs->ops->section ? rs->ops->section(rs->userdata, rs->section) : 0;
}

static int on_section_id(struct ramstream *rs, struct rcursor *c)
{
	uint32_t id = rcursor_u32(c);

	if (rs->section == RAMSTREAM_START) {
		rs->section_id = id;
		return next(rs, S_SECTION_NAME_LENGTH, 1);
	}
	if (id != rs->section_id)
		return FAIL(rs, -EPROTO, "part of an unknown section %" PRIu32, id);
	return open_section(rs);
}

static int on_section_name_length(struct ramstream *rs, struct rcursor *c)
{
	uint8_t length = rcursor_u8(c);

	if (length == 0)
		return FAIL(rs, -EPROTO, "a section without a name");
	return next(rs, S_SECTION_NAME, length);
}

static int on_section_name(struct ramstream *rs, struct rcursor *c)
{
	size_t n = rcursor_left(c);
	char name[256], text[64];
	int r = take_name(rs, name, rcursor_bytes(c, n), n, "a section's name");

	if (r < 0)
		return r;
	if (strcmp(name, "ram") != 0)
		return FAIL(rs, -EOPNOTSUPP, "section '%s' is not carried; only memory can move "
			    "while the guest runs", printable(name, text));
	if (rs->started)
		return FAIL(rs, -EPROTO, "section 'ram' starts twice");
	return next(rs, S_SECTION_VERSION, 8);
}

static int on_section_version(struct ramstream *rs, struct rcursor *c)
{
	uint32_t instance = rcursor_u32(c), version = rcursor_u32(c);

	if (instance != 0 || version != RAM_VERSION)
		return FAIL(rs, -EOPNOTSUPP, "RAM section %" PRIu32 " of version %" PRIu32
			    ", expected 0 of version %d", instance, version, RAM_VERSION);
	return open_section(rs);
}

static int begin_tail(struct ramstream *rs)
{
	next(rs, S_TAIL, 0);
	return rs->ops->tail ? rs->ops->tail(rs->userdata) : 0;
}

/* Whether sections have footers (machine property send-section-footer) shows
 * after the first one and cannot change. */
static int on_section_done(struct ramstream *rs, struct rcursor *c)
{
	uint8_t mark = rcursor_u8(c);
	enum footers footers = mark == RAMSTREAM_FOOTER ? FOOTERS_YES : FOOTERS_NO;

	if (rs->footers != FOOTERS_UNKNOWN && rs->footers != footers)
		return FAIL(rs, -EPROTO, "%s after a section",
			    footers == FOOTERS_YES ? "an unexpected footer" : "no footer");
	rs->footers = footers;
	if (footers == FOOTERS_YES)
		return next(rs, S_FOOTER, 4);
	return rs->ended ? begin_tail(rs) : on_element_mark(rs, mark);
}

static int on_footer(struct ramstream *rs, struct rcursor *c)
{
	uint32_t id = rcursor_u32(c);

	if (id != rs->section_id)
		return FAIL(rs, -EPROTO, "footer of section %" PRIu32 " after section %" PRIu32,
			    id, rs->section_id);
	/* the last footer is still RAM's: the tail begins with what follows it */
	return rs->ended ? next(rs, S_TAIL, 0) : next(rs, S_ELEMENT, 1);
}

/* ---- Commands --------------------------------------------------------------------- */

static int on_command(struct ramstream *rs, struct rcursor *c)
{
	static const struct {
		uint16_t command, least, most;
	} carried[] = {
		{ RAMSTREAM_OPEN_RETURN_PATH, 0, 0 },
		{ RAMSTREAM_PING, 4, 4 },
		{ RAMSTREAM_POSTCOPY_ADVISE, 16, 16 },
		{ RAMSTREAM_RAM_DISCARD, 1, RAMSTREAM_PAGE },
		{ RAMSTREAM_PACKAGED, 4, 4 },
		{ RAMSTREAM_SWITCHOVER_START, 0, 0 },
	};

	rs->command = rcursor_u16(c);
	rs->command_length = rcursor_u16(c);
	for (size_t i = 0; i < ARRAY_SIZE(carried); i++) {
		if (rs->command != carried[i].command)
			continue;
		if (rs->command_length < carried[i].least || rs->command_length > carried[i].most)
			return FAIL(rs, -EPROTO, "command %u with %u bytes", rs->command,
				    rs->command_length);
		return next(rs, S_COMMAND_DATA, rs->command_length);
	}
	return FAIL(rs, -EOPNOTSUPP, "command %u (newer than us) is not carried",
		    rs->command);
}

static int on_command_data(struct ramstream *rs, struct rcursor *c)
{
	if (rs->command == RAMSTREAM_PACKAGED)
		return next(rs, S_TAIL, 0);
	rs->ping = rs->command == RAMSTREAM_PING ? rcursor_u32(c) : 0;
	return next(rs, S_ELEMENT, 1);
}

/* ---- The body of the RAM section ------------------------------------------------------ */

static int word_page(struct ramstream *rs)
{
	bool zero = rs->word & RAMSTREAM_ZERO;

	return zero ? next(rs, S_FILL, 1) : next(rs, S_DATA, RAMSTREAM_PAGE);
}

static int word_block_list(struct ramstream *rs)
{
	uint64_t total = rs->word & ~(uint64_t)FLAGS_MASK;

	if (rs->section != RAMSTREAM_START || rs->n_blocks)
		return FAIL(rs, -EPROTO, "a block list in the wrong place");
	if (total == 0 || total > RAMSTREAM_MAX_BYTES)
		return FAIL(rs, -EPROTO, "%" PRIu64 " bytes of RAM", total);
	rs->list_left = total;
	return next(rs, S_LIST_NAME_LENGTH, 1);
}

static int word_eos(struct ramstream *rs)
{
	if (!rs->n_blocks)
		return FAIL(rs, -EPROTO, "no block list in the first section");
	return next(rs, S_SECTION_DONE, 1);
}

static int word_unsupported(struct ramstream *rs, unsigned flags)
{
	static const struct {
		unsigned flag;
		const char *name;
	} refused[] = {
		{ RAMSTREAM_XBZRLE, "an XBZRLE page (capability 'xbzrle')" },
		{ RAMSTREAM_HOOK, "an RDMA hook" },
		{ RAMSTREAM_COMPRESS, "a compressed page (capability 'compress')" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		if (flags == refused[i].flag)
			return FAIL(rs, -EOPNOTSUPP, "%s is not carried", refused[i].name);
	return FAIL(rs, -EPROTO, "page flags 0x%03x", flags);
}

static int on_word(struct ramstream *rs, struct rcursor *c)
{
	rs->word = rcursor_u64(c);

	unsigned flags = rs->word & FLAGS_MASK;
	bool again = flags & RAMSTREAM_CONTINUE;

	switch (flags & ~(unsigned)RAMSTREAM_CONTINUE) {
	case RAMSTREAM_PAGE_DATA:
	case RAMSTREAM_ZERO:
		if (!again)
			return next(rs, S_NAME_LENGTH, 1);
		if (rs->last_block == NO_BLOCK)
			return FAIL(rs, -EPROTO, "CONTINUE before any block");
		return word_page(rs);
	case RAMSTREAM_MEM_SIZE:
		return again ? word_unsupported(rs, flags) : word_block_list(rs);
	case RAMSTREAM_EOS:
		return again ? word_unsupported(rs, flags) : word_eos(rs);
	case RAMSTREAM_MULTIFD_FLUSH: /* 8.1 sends it without multifd too: nothing to do */
		return again ? word_unsupported(rs, flags) : next(rs, S_WORD, 8);
	}
	return word_unsupported(rs, flags & ~(unsigned)RAMSTREAM_CONTINUE);
}

static int on_name_length(struct ramstream *rs, struct rcursor *c)
{
	uint8_t length = rcursor_u8(c);

	if (length == 0)
		return FAIL(rs, -EPROTO, "a block without a name");
	return next(rs, S_NAME, length);
}

static unsigned find_block(const struct ramstream *rs, const char *name)
{
	for (unsigned i = 0; i < rs->n_blocks; i++)
		if (strcmp(rs->blocks[i].name, name) == 0)
			return i;
	return NO_BLOCK;
}

static int on_name(struct ramstream *rs, struct rcursor *c)
{
	size_t n = rcursor_left(c);
	char name[256], text[64];
	int r = take_name(rs, name, rcursor_bytes(c, n), n, "a block's name");

	if (r < 0)
		return r;
	rs->last_block = find_block(rs, name);
	if (rs->last_block == NO_BLOCK)
		return FAIL(rs, -EPROTO, "a page of the unknown block '%s'", printable(name, text));
	return word_page(rs);
}

static int emit_page(struct ramstream *rs, const uint8_t *data)
{
	const struct ramstream_block *b = &rs->blocks[rs->last_block];
	uint64_t offset = rs->word & ~(uint64_t)FLAGS_MASK;
	char text[64];

	if (offset >= b->length) /* both are multiples of a page */
		return FAIL(rs, -EPROTO, "page at 0x%" PRIx64 " of block '%s' that has 0x%" PRIx64
			    " bytes", offset, printable(b->name, text), b->length);
	next(rs, S_WORD, 8);
	return rs->ops->page ? rs->ops->page(rs->userdata, rs->last_block, offset, data) : 0;
}

static int on_fill(struct ramstream *rs, struct rcursor *c)
{
	uint8_t fill = rcursor_u8(c);

	if (fill != 0)
		return FAIL(rs, -EOPNOTSUPP, "a page filled with 0x%02x", fill);
	return emit_page(rs, NULL);
}

static int on_data(struct ramstream *rs, struct rcursor *c)
{
	return emit_page(rs, rcursor_bytes(c, RAMSTREAM_PAGE));
}

/* ---- The block list ----------------------------------------------------------------- */

static int on_list_name_length(struct ramstream *rs, struct rcursor *c)
{
	uint8_t length = rcursor_u8(c);

	if (length == 0)
		return FAIL(rs, -EPROTO, "a block without a name");
	if (rs->n_blocks == RAMSTREAM_MAX_BLOCKS)
		return FAIL(rs, -EPROTO, "more than %d blocks", RAMSTREAM_MAX_BLOCKS);
	return next(rs, S_LIST_NAME, length);
}

static int on_list_name(struct ramstream *rs, struct rcursor *c)
{
	size_t n = rcursor_left(c);
	char text[64];
	int r = take_name(rs, rs->list_name, rcursor_bytes(c, n), n, "a block's name");

	if (r < 0)
		return r;
	if (find_block(rs, rs->list_name) != NO_BLOCK)
		return FAIL(rs, -EPROTO, "block '%s' twice", printable(rs->list_name, text));
	return next(rs, S_LIST_SIZE, 8);
}

static int on_list_size(struct ramstream *rs, struct rcursor *c)
{
	struct ramstream_block *b = &rs->blocks[rs->n_blocks];
	uint64_t length = rcursor_u64(c);
	char text[64];
	int r = 0;

	if (length == 0 || length % RAMSTREAM_PAGE || length > rs->list_left)
		return FAIL(rs, -EPROTO, "block '%s' of 0x%" PRIx64 " bytes where 0x%" PRIx64
			    " are left", printable(rs->list_name, text), length, rs->list_left);
	memcpy(b->name, rs->list_name, sizeof(b->name));
	b->length = length;
	rs->list_left -= length;
	if (rs->ops->block)
		r = rs->ops->block(rs->userdata, rs->n_blocks, b);
	rs->n_blocks++;
	if (r < 0)
		return r;
	return rs->list_left ? next(rs, S_LIST_NAME_LENGTH, 1) : next(rs, S_WORD, 8);
}

/* ---- Feeding -------------------------------------------------------------------------- */

static const struct {
	int (*handle)(struct ramstream *rs, struct rcursor *c);
	bool verbatim; /* the destination sees the field as it is */
} states[] = {
	[S_MAGIC] = { on_magic, true },
	[S_VERSION] = { on_version, true },
	[S_FIRST] = { on_first, true },
	[S_MACHINE_LENGTH] = { on_machine_length, true },
	[S_MACHINE] = { on_machine, true },
	[S_CONFIG_NEXT] = { on_config_next, true },
	[S_CONFIG_NAME_LENGTH] = { on_config_name_length, true },
	[S_CONFIG_NAME] = { on_config_name, true },
	[S_CONFIG_VERSION] = { on_config_version, true },
	[S_PAGE_BITS] = { on_page_bits, true },
	[S_CAP_COUNT] = { on_cap_count, true },
	[S_CAP_LENGTH] = { on_cap_length, true },
	[S_CAP_NAME] = { on_cap_name, true },
	[S_UUID] = { on_uuid, true },
	[S_ELEMENT] = { on_element, true },
	[S_SECTION_ID] = { on_section_id, true },
	[S_SECTION_NAME_LENGTH] = { on_section_name_length, true },
	[S_SECTION_NAME] = { on_section_name, true },
	[S_SECTION_VERSION] = { on_section_version, true },
	[S_WORD] = { on_word, false }, /* see handle() */
	[S_NAME_LENGTH] = { on_name_length, false },
	[S_NAME] = { on_name, false },
	[S_FILL] = { on_fill, false },
	[S_DATA] = { on_data, false },
	[S_LIST_NAME_LENGTH] = { on_list_name_length, true },
	[S_LIST_NAME] = { on_list_name, true },
	[S_LIST_SIZE] = { on_list_size, true },
	[S_SECTION_DONE] = { on_section_done, true },
	[S_FOOTER] = { on_footer, true },
	[S_COMMAND] = { on_command, true },
	[S_COMMAND_DATA] = { on_command_data, true },
};

static bool is_verbatim(const struct ramstream *rs, enum state state)
{
	if (state == S_WORD)
		return rs->word & (RAMSTREAM_MEM_SIZE | RAMSTREAM_EOS);
	return states[state].verbatim;
}

static int emit_bytes(struct ramstream *rs, const uint8_t *data, size_t len)
{
	return rs->ops->bytes && len ? rs->ops->bytes(rs->userdata, data, len) : 0;
}

static int emit_command(struct ramstream *rs)
{
	return rs->ops->command ? rs->ops->command(rs->userdata, rs->command, rs->ping) : 0;
}

/* One whole field. Returns 1 when somebody wants a pause after it. */
static int handle(struct ramstream *rs, const uint8_t *field)
{
	struct rcursor c = rcursor_over(field, rs->need);
	enum state state = rs->state;
	size_t len = rs->need;
	int r = states[state].handle(rs, &c), pause = r;

	if (r >= 0 && is_verbatim(rs, state))
		pause |= r = emit_bytes(rs, field, len);
	if (r >= 0 && state == S_COMMAND_DATA)
		pause |= r = emit_command(rs);
	if (r >= 0 && (state == S_FOOTER || state == S_COMMAND_DATA) && rs->state == S_TAIL)
		pause |= r = begin_tail(rs);
	rs->offset += len;
	return r < 0 ? r : pause;
}

static int feed_tail(struct ramstream *rs, const uint8_t *data, size_t len, size_t *ret_used)
{
	size_t n = len < RAMSTREAM_PAGE ? len : RAMSTREAM_PAGE;
	int r = emit_bytes(rs, data, n);

	rs->offset += n;
	*ret_used = n;
	return r;
}

/* Takes what belongs to the field that is next: in place when it is whole,
 * which for pages is the rule. */
static int feed_field(struct ramstream *rs, const uint8_t *data, size_t len, size_t *ret_used)
{
	size_t missing = rs->need - rs->held, n = missing < len ? missing : len;

	*ret_used = n;
	if (rs->held == 0 && n == rs->need)
		return handle(rs, data);
	memcpy(rs->hold + rs->held, data, n);
	rs->held += n;
	if (rs->held < rs->need)
		return 0;
	rs->held = 0;
	return handle(rs, rs->hold);
}

ssize_t ramstream_feed(struct ramstream *rs, const uint8_t *data, size_t len, struct mg_error *err)
{
	struct mg_error unused;
	size_t used = 0;
	int r = 0;

	rs->err = err ? err : &unused;
	rs->err->code = 0;
	/* a field may be empty (a command without data): it needs no byte to be handled */
	while (r == 0 && (used < len || (rs->need == 0 && rs->state != S_TAIL))) {
		size_t n;

		r = (rs->state == S_TAIL ? feed_tail : feed_field)(rs, data + used, len - used, &n);
		used += n;
	}
	if (r < 0 && rs->err->code == 0)
		FAIL(rs, r, "%s", strerror(-r));
	return r < 0 ? r : (ssize_t)used;
}

int ramstream_new(const struct ramstream_ops *ops, void *userdata, struct ramstream **ret)
{
	_cleanup_(ramstream_free_p) struct ramstream *rs = calloc(1, sizeof(*rs));

	if (!rs)
		return -ENOMEM;
	rs->blocks = calloc(RAMSTREAM_MAX_BLOCKS, sizeof(*rs->blocks));
	if (!rs->blocks)
		return -ENOMEM;
	rs->ops = ops;
	rs->userdata = userdata;
	rs->last_block = NO_BLOCK;
	next(rs, S_MAGIC, 4);
	*ret = TAKE_PTR(rs);
	return 0;
}

void ramstream_free(struct ramstream *rs)
{
	if (!rs)
		return;
	free(rs->blocks);
	free(rs);
}

uint64_t ramstream_offset(const struct ramstream *rs)
{
	return rs->offset + rs->held;
}

bool ramstream_in_pages(const struct ramstream *rs)
{
	return rs->state == S_WORD && rs->n_blocks && !rs->list_left;
}

bool ramstream_between_sections(const struct ramstream *rs)
{
	return rs->started && rs->footers == FOOTERS_YES &&
	       (rs->state == S_ELEMENT || rs->state == S_TAIL);
}

uint32_t ramstream_section_id(const struct ramstream *rs)
{
	return rs->section_id;
}

const char *ramstream_machine(const struct ramstream *rs)
{
	return rs->machine;
}

unsigned ramstream_block_count(const struct ramstream *rs)
{
	return rs->n_blocks;
}

const struct ramstream_block *ramstream_block_at(const struct ramstream *rs, unsigned index)
{
	return index < rs->n_blocks ? &rs->blocks[index] : NULL;
}
