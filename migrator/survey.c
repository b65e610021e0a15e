/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/survey.h"

#include <errno.h>
#include <math.h>
#include <unistd.h>
#include <zstd.h>

#include "common/clock.h"

#define RECORD_BYTES 8       /* about what a page takes besides its body */
#define ENOUGH_CHANGES 8     /* samples that have changed, to say how fast */
#define LEVEL 1              /* of Zstandard, between what links of all rates leave time for */
#define LOOK_LEAST_NS (200 * NS_PER_MS)

struct sample {
	uint64_t page;
	uint64_t first, last; /* the page as it was at the beginning, and at the last look */
	uint64_t blocks[PAGE_BLOCKS]; /* at the beginning */
};

struct survey {
	uint64_t pages;
	size_t count;
	struct page_hasher hasher; /* of blocks only */
	ZSTD_CCtx *compressor;
	struct sample *samples;
	struct survey_part *from; /* of each sample and those behind it */
	uint64_t begun_ns, looked_ns;
	uint64_t again_wire, again_pages; /* changed ones, over all looks */
	double short_changed, short_ns; /* between looks: samples, and the time of those looks */
	uint64_t short_looks;
	uint64_t long_changed; /* samples that differ from the beginning */
};

/* ---- One page ----------------------------------------------------------------------------- */

static int read_page(int fd, uint64_t page, uint8_t *data)
{
	ssize_t n = pread(fd, data, PAGE_SIZE_BYTES, (off_t)(page * PAGE_SIZE_BYTES));

	return n == PAGE_SIZE_BYTES ? 0 : n < 0 ? -errno : -ENODATA;
}

static bool is_zero(const uint8_t *data)
{
	return data[0] == 0 && memcmp(data, data + 1, PAGE_SIZE_BYTES - 1) == 0;
}

/* On the wire, if just these of its blocks are sent. */
static uint64_t cost_of(const struct survey *s, const uint8_t *data, uint32_t blocks)
{
	uint8_t changed[PAGE_SIZE_BYTES], packed[ZSTD_COMPRESSBOUND(PAGE_SIZE_BYTES)];
	size_t len = 0, n;

	for (unsigned i = 0; i < PAGE_BLOCKS; i++) {
		if (!(blocks >> i & 1))
			continue;
		memcpy(changed + len, data + i * PAGE_BLOCK_BYTES, PAGE_BLOCK_BYTES);
		len += PAGE_BLOCK_BYTES;
	}
	n = ZSTD_compressCCtx(s->compressor, packed, sizeof(packed), changed, len, LEVEL);
	return RECORD_BYTES + (ZSTD_isError(n) || n > len ? len : n);
}

static uint64_t first_cost(const struct survey *s, const struct reference *ref, uint64_t page,
			   const uint8_t *data)
{
	struct page_hash hash;
	struct reference_place place;

	if (!ref || (reference_at(ref, page) != REFERENCE_PAGE && !reference_has_sources(ref)))
		return cost_of(s, data, UINT32_MAX);
	hash = page_hash(reference_hasher(ref), data);
	if (reference_same(ref, page, &hash) || reference_find(ref, &hash, &place))
		return RECORD_BYTES;
	return cost_of(s, data, reference_changed(ref, page, data));
}

static uint64_t digest(const uint64_t blocks[PAGE_BLOCKS])
{
	uint64_t all = 0;

	for (unsigned i = 0; i < PAGE_BLOCKS; i++)
		all = (all ^ blocks[i]) * UINT64_C(0x9fb21c651e98df25);
	return all;
}

/* ---- The first look ------------------------------------------------------------------------- */

static int take(struct survey *s, int fd, const struct reference *ref, size_t i)
{
	struct sample *sample = &s->samples[i];
	uint8_t data[PAGE_SIZE_BYTES];
	int r = read_page(fd, sample->page, data);

	if (r < 0)
		return r;
	page_hash_blocks(&s->hasher, data, sample->blocks);
	sample->first = sample->last = digest(sample->blocks);
	s->from[i] = (struct survey_part){ 0 };
	if (!is_zero(data))
		s->from[i] = (struct survey_part){ .data_bytes = PAGE_SIZE_BYTES,
						   .wire_bytes = first_cost(s, ref, sample->page,
									    data) };
	return 0;
}

/* Spread over the memory, but not evenly: what lies in it may be. */
static uint64_t page_of(const struct survey *s, size_t i)
{
	uint64_t begin = s->pages * i / s->count, end = s->pages * (i + 1) / s->count;

	return begin + (i * UINT64_C(0x9e3779b97f4a7c15) >> 32) % (end - begin);
}

static int take_all(struct survey *s, int fd, const struct reference *ref)
{
	for (size_t i = 0; i < s->count; i++) {
		int r;

		s->samples[i].page = page_of(s, i);
		r = take(s, fd, ref, i);
		if (r < 0)
			return r;
	}
	for (size_t i = s->count - 1; i-- > 0;) {
		s->from[i].data_bytes += s->from[i + 1].data_bytes;
		s->from[i].wire_bytes += s->from[i + 1].wire_bytes;
	}
	return 0;
}

int survey_new(int ram_fd, uint64_t pages, const struct reference *ref, uint64_t now,
	       struct survey **ret)
{
	static const uint8_t secret[PAGE_SECRET_SIZE];
	_cleanup_(survey_free_p) struct survey *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->pages = pages;
	s->count = pages < SURVEY_SAMPLES ? pages : SURVEY_SAMPLES;
	s->begun_ns = s->looked_ns = now;
	s->samples = calloc(s->count + 1, sizeof(*s->samples));
	s->from = calloc(s->count + 1, sizeof(*s->from));
	s->compressor = ZSTD_createCCtx();
	if (!s->samples || !s->from || !s->compressor || page_hasher_init(&s->hasher, secret) < 0)
		return -ENOMEM;
	r = s->count ? take_all(s, ram_fd, ref) : -ENODATA;
	if (r < 0)
		return r;
	*ret = TAKE_PTR(s);
	return 0;
}

void survey_free(struct survey *s)
{
	if (!s)
		return;
	page_hasher_exit(&s->hasher);
	ZSTD_freeCCtx(s->compressor);
	free(s->samples);
	free(s->from);
	free(s);
}

/* What a figure of the sample is in all of the memory. */
static uint64_t of_all(const struct survey *s, uint64_t v)
{
	return (uint64_t)((double)v * (double)s->pages / (double)s->count);
}

struct survey_part survey_from(const struct survey *s, uint64_t page)
{
	size_t i = (size_t)(page < s->pages ? page * s->count / s->pages : s->count);

	return (struct survey_part){ .data_bytes = of_all(s, s->from[i].data_bytes),
				     .wire_bytes = of_all(s, s->from[i].wire_bytes) };
}

/* ---- Later ones ------------------------------------------------------------------------------- */

static void look_at(struct survey *s, struct sample *sample, const uint8_t *data)
{
	uint64_t blocks[PAGE_BLOCKS], now;
	uint32_t changed = 0;

	page_hash_blocks(&s->hasher, data, blocks);
	now = digest(blocks);
	s->short_changed += now != sample->last;
	sample->last = now;
	if (now == sample->first)
		return;
	for (unsigned i = 0; i < PAGE_BLOCKS; i++)
		changed |= (uint32_t)(blocks[i] != sample->blocks[i]) << i;
	s->long_changed++;
	s->again_pages++;
	s->again_wire += is_zero(data) ? RECORD_BYTES : cost_of(s, data, changed);
}

void survey_look(struct survey *s, int ram_fd, uint64_t now)
{
	uint8_t data[PAGE_SIZE_BYTES];

	if (now - s->looked_ns < LOOK_LEAST_NS)
		return;
	s->long_changed = 0;
	for (size_t i = 0; i < s->count; i++)
		if (read_page(ram_fd, s->samples[i].page, data) == 0)
			look_at(s, &s->samples[i], data);
	s->short_ns += (double)(now - s->looked_ns);
	s->short_looks++;
	s->looked_ns = now;
}

/* The rest x of w(1 - exp(-x)) = changed for a given w; INFINITY when all of it has changed. */
static double written(double changed, double w)
{
	return changed < w ? -w * log1p(-changed / w) : INFINITY;
}

/* The w by which as much was written between looks as since the beginning. */
static double working_set(double per_look, double looks, double since)
{
	double least = since, most = since * 64;

	if (per_look * looks < since * 1.2) /* nothing was written twice */
		return 0;
	for (unsigned i = 0; i < 40; i++) {
		double w = (least + most) / 2;

		if (written(since, w) > written(per_look, w) * looks)
			least = w;
		else
			most = w;
	}
	return most;
}

void survey_writes(const struct survey *s, struct survey_writes *ret)
{
	double page = (double)of_all(s, PAGE_SIZE_BYTES), since = (double)s->long_changed, w, rate;

	*ret = (struct survey_writes){ 0 };
	if (s->short_changed < ENOUGH_CHANGES || !s->long_changed)
		return;
	w = working_set(s->short_changed / (double)s->short_looks, (double)s->short_looks, since);
	rate = w > 0 ? written(s->short_changed / (double)s->short_looks, w) * (double)s->short_looks
		     : s->short_changed;
	*ret = (struct survey_writes){
		.bps = (uint64_t)(rate * page * NS_PER_S / s->short_ns),
		.working_set = (uint64_t)(w * page),
		.permille = (uint32_t)(s->again_wire * 1000 / (s->again_pages * PAGE_SIZE_BYTES)),
	};
}
