/* SPDX-License-Identifier: Apache-2.0
 *
 * outflow and inflow against each other: what goes in comes out, and whatever
 * breaks on the way is noticed by both and said.
 */
#include <criterion/criterion.h>

#include "tests/unit/migrator/flow_history.h"

static struct pipeline p;

static const struct pipeline_config small = { .seed = 7, .pages = 300, .rounds = 3, .fast = true };

Test(flow, the_target_gets_the_sources_memory)
{
	for (uint64_t seed = 1; seed <= 12; seed++) {
		const struct pipeline_config c = { .seed = seed,
						   .pages = 50 + (unsigned)seed * 211,
						   .rounds = 1 + (unsigned)seed % 5,
						   .plain_text = seed % 2,
						   .shadow_bytes = seed % 3 * 100 * PIPE_PAGE,
						   .fast = seed % 3 };
		struct outflow_stats s;

		cr_assert(pipeline_run(&p, &c), "seed %lu hangs", (unsigned long)seed);
		cr_assert(pipeline_same(&p), "seed %lu", (unsigned long)seed);
		cr_assert(p.stopped);
		cr_assert(p.started);
		cr_assert(atomic_load(&p.pong));
		cr_assert_not(p.out_failed || p.in_failed);
		outflow_get_stats(p.out, &s);
		cr_assert_gt(s.guest_bytes, 0);
		cr_assert_eq(s.guest_bytes,
			     page_counts_bytes(s.pages) + s.pages[PAGES_REPLACED] * PIPE_PAGE);
		cr_assert_eq(s.pages[PAGES_ASKED], 0);
		cr_assert_gt(s.stopped_mono_ns, 0);
		cr_assert_geq(s.passes + 1, c.rounds);
		pipeline_end(&p);
	}
}

/* What QEMU's first page is waited for is time for the link. */
Test(flow, pages_go_while_qemu_prepares)
{
	for (uint64_t seed = 1; seed <= 6; seed++) {
		const struct pipeline_config c = { .seed = seed,
						   .pages = 1000,
						   .rounds = 3,
						   .connections = 1 + (unsigned)seed % 3,
						   .bandwidth_bps = 1000000000,
						   .stalls_ms = 300,
						   .fast = true };
		struct outflow_stats s;

		cr_assert(pipeline_run(&p, &c), "seed %lu hangs", (unsigned long)seed);
		cr_assert(pipeline_same(&p), "seed %lu", (unsigned long)seed);
		outflow_get_stats(p.out, &s);
		cr_assert_gt(s.pages[PAGES_AHEAD], 600, "one in five is zero");
		cr_assert_gt(s.pages[PAGES_SAME], 300, "some were written meanwhile");
		cr_assert_eq(s.guest_bytes,
			     page_counts_bytes(s.pages) + s.pages[PAGES_REPLACED] * PIPE_PAGE);
		pipeline_end(&p);
	}
}

Test(flow, a_slow_target_holds_the_source_up)
{
	struct pipeline_config c = small;

	c.target_is_slow = true;
	cr_assert(pipeline_run(&p, &c));
	cr_assert(pipeline_same(&p));
	pipeline_end(&p);
}

/* The tail of a move, with this one before it at the source and at the target; returns what it
 * took on the wire. The target's copy of it goes to *ret, packed. */
static uint64_t move_tail(struct tail *source, struct tail *target, struct tail **ret)
{
	struct pipeline_config c = small;
	struct outflow_stats s;
	uint8_t *packed = NULL;
	const uint8_t *tail;
	size_t len, packed_len;

	c.short_tail = true;
	c.source_tail = source;
	c.target_tail = target;
	cr_assert(pipeline_run(&p, &c));
	cr_assert(p.loaded);
	cr_assert(pipeline_same(&p));
	tail = inflow_tail(p.in, &len);
	cr_assert_geq(len, PIPE_SHORT_TAIL, "what comes after the memory is all there");
	cr_assert_eq(memcmp(tail + len - PIPE_SHORT_TAIL, p.tail, PIPE_SHORT_TAIL), 0);
	cr_assert_eq(tail_pack(tail, len, &packed, &packed_len), 0);
	cr_assert_eq(tail_unpack(packed, packed_len, ret), 0);
	free(packed);
	outflow_get_stats(p.out, &s);
	pipeline_end(&p);
	return s.tail_bytes;
}

Test(flow, a_tail_like_the_last_one_is_short)
{
	struct tail *first = NULL, *second = NULL;
	uint64_t cold = move_tail(NULL, NULL, &first), warm = move_tail(first, first, &second);

	cr_assert_gt(cold, PIPE_SHORT_TAIL / 2, "%lu", (unsigned long)cold);
	cr_assert_lt(warm, 4096, "%lu", (unsigned long)warm);
	tail_free(first);
	tail_free(second);
}

Test(flow, a_tail_that_is_too_long_is_not_kept)
{
	size_t len;

	cr_assert(pipeline_run(&p, &small));
	cr_assert(pipeline_same(&p));
	(void)inflow_tail(p.in, &len);
	cr_assert_eq(len, 0);
	pipeline_end(&p);
}

Test(flow, a_tail_that_the_target_cannot_expand_is_noticed)
{
	struct pipeline_config c = small;
	struct tail *last = NULL;

	(void)move_tail(NULL, NULL, &last);
	c.short_tail = true;
	c.source_tail = last;
	cr_assert(pipeline_run(&p, &c));
	cr_assert(p.in_failed);
	cr_assert(strstr(inflow_error(p.in)->text, "no earlier tail"), "%s",
		  inflow_error(p.in)->text);
	pipeline_end(&p);
	tail_free(last);
}

/* Every 16th page that is not zero gets another byte behind everybody's back. */
static void damage_target(void)
{
	uint8_t page[PIPE_PAGE];

	for (unsigned i = 0; i < p.c.pages; i += 16) {
		cr_assert_eq(pread(p.ram_fd, page, PIPE_PAGE, (off_t)i * PIPE_PAGE), PIPE_PAGE);
		for (size_t at = 0; at < PIPE_PAGE; at++) {
			if (page[at] == 0)
				continue;
			page[at] ^= 0x55;
			cr_assert_eq(pwrite(p.ram_fd, page, PIPE_PAGE, (off_t)i * PIPE_PAGE),
				     PIPE_PAGE);
			break;
		}
	}
}

static bool all_has_arrived(void)
{
	struct outflow_stats out;
	struct inflow_stats in;

	outflow_get_stats(p.out, &out);
	if (!p.in || !atomic_load(&p.waiting) || out.queued_bytes)
		return false;
	inflow_get_stats(p.in, &in);
	in.guest_bytes += (out.pages[PAGES_REPLACED] - out.pages[PAGES_AHEAD]) * PIPE_PAGE;
	return in.guest_bytes == out.guest_bytes && out.guest_bytes == atomic_load(&p.put_bytes);
}

/* Between the rounds the target's memory is damaged; then all pages come again, most of
 * them as "what is there already". What does not fit is asked for, and the
 * device state waits for it. */
Test(flow, what_the_target_cannot_make_is_sent_again)
{
	for (uint64_t seed = 1; seed <= 4; seed++) {
		const struct pipeline_config c = { .seed = seed,
						   .pages = 800,
						   .rounds = 3,
						   .fast = true,
						   .shadow_bytes = 100 * PIPE_PAGE,
						   .thrifty = true,
						   .waits_for_the_last = true };
		uint64_t end = clock_mono_ns() + 20 * NS_PER_S;
		struct outflow_stats s;

		pipeline_begin(&p, &c);
		while (!all_has_arrived() && clock_mono_ns() < end)
			cr_assert_geq(sd_event_run(p.loop, 1000), 0);
		cr_assert(all_has_arrived());
		damage_target();
		atomic_store(&p.go_on, true);
		cr_assert(pipe_loop(&p), "seed %lu hangs", (unsigned long)seed);
		cr_assert_not(p.out_failed || p.in_failed);
		cr_assert(pipeline_same(&p), "seed %lu", (unsigned long)seed);
		outflow_get_stats(p.out, &s);
		cr_assert_geq(s.pages[PAGES_ASKED], 10);
		cr_assert_gt(s.pages[PAGES_SAME], 100);
		pipeline_end(&p);
	}
}

Test(flow, a_cap_is_kept)
{
	struct pipeline_config c = { .seed = 3, .pages = 3000, .rounds = 1, .fast = true,
				     .thrifty = true };
	uint64_t before = clock_mono_ns(), elapsed;
	struct outflow_stats s;

	c.bandwidth_bps = 40 * 1000 * 1000;
	cr_assert(pipeline_run(&p, &c));
	elapsed = clock_mono_ns() - before;
	cr_assert(pipeline_same(&p));
	outflow_get_stats(p.out, &s);
	cr_assert_gt(elapsed, s.wire_bytes * 8 * NS_PER_S / c.bandwidth_bps * 8 / 10);
	cr_assert_gt(s.pages[PAGES_ZSTD], 0);
	pipeline_end(&p);
}

/* Both ends must fail, with these words in their reasons; the guest at the
 * source must not have been told that all is well. */
static void breaks(const struct pipeline_config *c, const char *source_words,
		   const char *target_words)
{
	const char *out, *in;

	cr_assert(pipeline_run(&p, c), "hangs: harm %d, frame %u, at %zu",
		  (int)c->harm.kind, c->harm.frame, c->harm.at);
	cr_assert(pipe_is_broken(&p), "harm %d, frame %u", (int)c->harm.kind, c->harm.frame);
	cr_assert_not(p.loaded);
	cr_assert_not(atomic_load(&p.shut));
	out = pipe_out_error(&p);
	in = pipe_in_error(&p);
	cr_assert_not_null(strstr(out, source_words), "source: '%s' is not in '%s'", source_words,
			   out);
	cr_assert_not_null(strstr(in, target_words), "target: '%s' is not in '%s'", target_words,
			   in);
	pipeline_end(&p);
}

Test(flow, a_flipped_bit_in_any_frame_is_noticed)
{
	for (unsigned plain = 0; plain < 2; plain++) {
		for (unsigned frame = 1; frame <= 4; frame++) {
			for (size_t at = 0; at < 60; at += 7) {
				struct pipeline_config c = small;

				c.plain_text = plain;
				c.harm.kind = HARM_FLIP;
				c.harm.frame = frame;
				c.harm.at = at;
				/* not the length: what it does is "cut" below */
				if (at >= 12 && at < 16)
					continue;
				breaks(&c, "data connection", "data connection");
			}
		}
	}
}

Test(flow, a_connection_cut_anywhere_is_noticed)
{
	for (unsigned frame = 1; frame <= 4; frame++) {
		for (size_t at = 0; at < 80; at += 16) {
			struct pipeline_config c = small;

			c.harm.kind = HARM_CUT;
			c.harm.frame = frame;
			c.harm.at = at;
			breaks(&c, "the peer closed it", "the source closed it");
		}
	}
}

static void no_more_harm(struct pipeline_config *c)
{
	c->harm = (struct relay_harm){ .kind = HARM_NONE };
}

Test(flow, several_connections_carry_the_pages_between_them)
{
	for (unsigned connections = 2; connections <= LINK_LANES_MAX; connections *= 2) {
		const struct pipeline_config c = { .seed = connections,
						   .pages = 3000,
						   .rounds = 4,
						   .fast = true,
						   .connections = connections };
		struct outflow_stats out;
		struct inflow_stats in;
		uint64_t relayed = 0;

		cr_assert(pipeline_run(&p, &c) && p.loaded, "source: '%s', target: '%s'",
			  pipe_out_error(&p), pipe_in_error(&p));
		cr_assert(pipeline_same(&p));
		outflow_get_stats(p.out, &out);
		inflow_get_stats(p.in, &in);
		for (unsigned i = 0; i < connections; i++) {
			cr_assert_gt(p.relays[i].there, out.wire_bytes / connections / 2);
			relayed += p.relays[i].there;
		}
		cr_assert_eq(out.wire_bytes, relayed, "the figures are those of all");
		cr_assert_leq(in.wire_bytes, relayed);
		cr_assert_gt(in.wire_bytes, relayed * 9 / 10);
		cr_assert_eq(in.guest_bytes, page_counts_bytes(out.pages) +
						     out.pages[PAGES_AHEAD] * PIPE_PAGE);
		pipeline_end(&p);
	}
}

/* What waits at the target for the others must not keep them from coming. */
Test(flow, a_narrow_window_does_not_stop_several_connections)
{
	for (unsigned seed = 1; seed <= 4; seed++) {
		const struct pipeline_config c = { .seed = seed,
						   .pages = 3000,
						   .rounds = 3,
						   .fast = true,
						   .connections = 3,
						   .bandwidth_bps = 40 * 1000 * 1000,
						   .harm = { .kind = HARM_CUT,
							     .frame = 1 + seed, .at = 50 },
						   .next_harm = no_more_harm };

		cr_assert(pipeline_run(&p, &c) && p.loaded, "source: '%s', target: '%s'",
			  pipe_out_error(&p), pipe_in_error(&p));
		cr_assert(pipeline_same(&p));
		pipeline_end(&p);
	}
}

static void late(struct pipeline_config *c)
{
	c->harm = (struct relay_harm){ .kind = HARM_NONE, .late_us = 20000 };
}

/* The target's QEMU loads its devices over memory that is whole. */
Test(flow, the_stream_waits_for_the_pages_on_other_connections)
{
	for (unsigned seed = 1; seed <= 4; seed++) {
		const struct pipeline_config c = { .seed = seed,
						   .pages = 600,
						   .rounds = 2,
						   .fast = true,
						   .short_tail = true,
						   .connections = 2 + seed % 2,
						   .next_harm = late };

		cr_assert(pipeline_run(&p, &c) && p.loaded, "source: '%s', target: '%s'",
			  pipe_out_error(&p), pipe_in_error(&p));
		cr_assert(pipeline_same(&p), "seed %u", seed);
		pipeline_end(&p);
	}
}

Test(flow, one_of_several_connections_is_lost_and_the_others_live)
{
	for (unsigned frame = 1; frame < 9; frame++) {
		const struct pipeline_config c = { .seed = frame,
						   .pages = 3000,
						   .rounds = 4,
						   .connections = 3,
						   .harm = { .kind = HARM_CUT, .frame = frame,
							     .at = 100, .target_unaware = frame % 2 },
						   .next_harm = no_more_harm };

		cr_assert(pipeline_run(&p, &c) && p.loaded, "source: '%s', target: '%s'",
			  pipe_out_error(&p), pipe_in_error(&p));
		cr_assert(pipeline_same(&p));
		cr_assert_eq(p.resumed_out, 1);
		cr_assert_eq(p.incarnations[0], 2);
		cr_assert_eq(p.incarnations[1], 1);
		cr_assert_eq(p.incarnations[2], 1);
		pipeline_end(&p);
	}
}

static void add_up(uint64_t sum[PAGE_COUNTS], uint64_t *resumed, uint64_t *resent)
{
	struct outflow_stats s;

	outflow_get_stats(p.out, &s);
	for (unsigned k = 0; k < PAGE_COUNTS; k++)
		sum[k] += s.pages[k];
	*resumed += p.resumed_out;
	*resent += s.resent_bytes;
}

/* TAGALONG_SEED=n runs that one alone. */
Test(flow, whatever_is_lost_the_memory_arrives_whole_or_the_guest_stays)
{
	uint64_t pages[PAGE_COUNTS] = { 0 }, resumed = 0, resent = 0, ends[4] = { 0 }, count = 24;
	uint64_t first = history_seeds(&count);

	for (uint64_t seed = first; seed < first + count; seed++) {
		struct history h;
		enum history_end end;

		history_begin(&h, seed);
		end = history_run(&h, &p);
		cr_assert(end == HISTORY_MOVED || end == HISTORY_STAYED,
			  "seed %" PRIu64 ": %s; source: '%s', target: '%s'", seed,
			  end == HISTORY_HUNG ? "hangs or fails" : "another guest",
			  pipe_out_error(&p), pipe_in_error(&p));
		add_up(pages, &resumed, &resent);
		pipeline_end(&p);
		history_end(&h);
		ends[end]++;
	}
	if (count == 1)
		return;
	/* nothing of this was idle */
	cr_assert_gt(ends[HISTORY_MOVED], 0);
	cr_assert_gt(resumed, 0);
	cr_assert_gt(resent, 0);
	cr_assert_gt(pages[PAGES_ASKED], 0);
	for (unsigned k = PAGES_ZERO; k <= PAGES_DELTA; k++)
		cr_assert_gt(pages[k], 0, "kind %u", k);
}

Test(flow, lost_repeated_and_swapped_frames_are_noticed)
{
	static const enum harm harms[] = { HARM_DROP, HARM_TWICE, HARM_SWAP };

	for (size_t i = 0; i < ARRAY_SIZE(harms); i++) {
		for (unsigned plain = 0; plain < 2; plain++) {
			struct pipeline_config c = small;

			c.plain_text = plain;
			c.pages = 3000; /* others must follow */
			c.harm.kind = harms[i];
			c.harm.frame = 2;
			breaks(&c, "the target says", "was expected");
		}
	}
}

Test(flow, a_silent_link_fails_in_time)
{
	struct pipeline_config c = small;

	c.harm.kind = HARM_STOP;
	c.harm.frame = 3;
	cr_assert_not(pipeline_run(&p, &c), "the target has nothing to complain of");
	cr_assert(p.out_failed || p.out_lost);
	cr_assert_not(p.loaded);
	cr_assert_not_null(strstr(pipe_out_error(&p), "not acknowledged anything"));
	pipeline_end(&p);
}

Test(flow, a_source_that_fails_is_noticed)
{
	for (long after = 1; after < 300000; after = after * 3 + 5) {
		struct pipeline_config c = small;

		c.source_closes_after = after;
		cr_assert_not(pipeline_run(&p, &c), "the target waits on");
		cr_assert(p.out_failed);
		cr_assert_not_null(strstr(outflow_error(p.out)->text,
					  "QEMU closed its migration socket"));
		pipeline_end(&p);
	}
}

Test(flow, a_target_that_cannot_load_is_noticed)
{
	struct pipeline_config c = small;

	c.shut_value = 1;
	breaks(&c, "could not load the state (1)", "could not load the state (1)");
	c.shut_value = 0;
	c.target_closes = true;
	breaks(&c, "could not load the state", "QEMU closed the incoming stream");
}

Test(flow, ends_that_differ_do_not_meet)
{
	struct pipeline_config c = small;

	c.other_key = true;
	breaks(&c, "the peer closed it", "does not carry the session key's tag");
	c.other_key = false;
	c.other_incarnation = true;
	breaks(&c, "the peer closed it", "connection 1 instead of 2");
	c.other_incarnation = false;
	c.other_move = true;
	breaks(&c, "the peer closed it", "another move");
	c.other_move = false;
	c.other_stream = true;
	breaks(&c, "the peer closed it", "HELLO of stream 0 instead of 1");
	c.other_stream = false;
	c.target_pages = 301;
	breaks(&c, "the peer closed it", "bytes of RAM, the target's 1232896");
	c.target_pages = 0;
	c.plain_text = c.target_refuses_plain = true;
	breaks(&c, "the peer closed it", "plain_text_data");
}

Test(flow, an_abort_ends_everything_at_once)
{
	for (unsigned ms = 0; ms < 12; ms++) {
		struct pipeline_config c = { .seed = ms, .pages = 4000, .rounds = 50 };

		c.harm.kind = HARM_STOP;
		c.harm.frame = ms + 1;
		pipeline_begin(&p, &c);
		usleep(ms * 1000);
		pipeline_end(&p); /* else SIGALRM ends the test */
		cr_assert_not(p.loaded);
	}
}

static struct link_hello hello;

static int read_hello(const uint8_t *data, size_t len, struct mg_error *err)
{
	int fds[2], r;

	memset(&hello, 0, sizeof(hello));
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	cr_assert_eq(send(fds[0], data, len, 0), (ssize_t)len);
	r = link_read_hello(fds[1], &hello, err);
	close(fds[0]);
	if (r == -EAGAIN)
		cr_assert_eq(link_read_hello(fds[1], &hello, err), -ECONNRESET);
	close(fds[1]);
	return r;
}

Test(link, a_hello_is_read_in_any_pieces_and_no_byte_more)
{
	const struct link_config config = { .stream = 3,
					    .incarnation = 5,
					    .move = { { 1, 2, 3 } } };
	uint8_t wire[LINK_HELLO_SIZE + 1];
	struct mg_error err;
	int fds[2];

	cr_assert_eq(link_make_hello(&config, 8192, wire, NULL), 0);
	wire[LINK_HELLO_SIZE] = 'x';
	cr_assert_eq(read_hello(wire, sizeof(wire), &err), 0);
	cr_assert_eq(hello.have, LINK_HELLO_SIZE);
	cr_assert_eq(hello.stream, 3);
	cr_assert_eq(hello.incarnation, 5);
	cr_assert(uuid_equal(&hello.move, &config.move));
	for (size_t cut = 0; cut < LINK_HELLO_SIZE; cut++)
		cr_assert_eq(read_hello(wire, cut, &err), -EAGAIN);
	memset(&hello, 0, sizeof(hello));
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	for (size_t i = 0; i < LINK_HELLO_SIZE; i++) {
		cr_assert_eq(link_read_hello(fds[1], &hello, &err), -EAGAIN);
		cr_assert_eq(send(fds[0], wire + i, 1, 0), 1);
	}
	cr_assert_eq(link_read_hello(fds[1], &hello, &err), 0);
	close(fds[0]);
	close(fds[1]);
}

Test(link, what_is_no_hello_is_refused_as_soon_as_it_shows)
{
	const struct link_config config = { .incarnation = 5 };
	uint8_t wire[LINK_HELLO_SIZE];
	struct mg_error err;

	cr_assert_eq(read_hello((const uint8_t *)"GET / HTTP/1.1\r\nHost: example.org\r\n", 35, &err),
		     -EPROTO);
	cr_assert_eq(link_make_hello(&config, 8192, wire, NULL), 0);
	wire[4] = 9;
	cr_assert_eq(read_hello(wire, sizeof(wire), &err), -EPROTONOSUPPORT);
	wire[4] = FRAME_VERSION;
	wire[5] = FRAME_WELCOME;
	cr_assert_eq(read_hello(wire, sizeof(wire), &err), -EPROTO);
	wire[5] = FRAME_HELLO;
	wire[23] = 1;
	cr_assert_eq(read_hello(wire, sizeof(wire), &err), -EPROTO);
}

Test(link, a_welcome_must_fit_its_hello)
{
	const struct link_config config = { .incarnation = 5, .plain_text = true };
	uint8_t ours[LINK_HELLO_SIZE], other[LINK_HELLO_SIZE], welcome[LINK_HELLO_SIZE];
	struct link_keys source, target;

	cr_assert_eq(link_make_hello(&config, 8192, ours, NULL), 0);
	cr_assert_eq(link_answer_hello(&config, 8192, 0, ours, welcome, &target, NULL), 0);
	cr_assert_eq(link_check_welcome(&config, ours, welcome, &source, NULL), 0);
	cr_assert_eq(memcmp(source.secret, target.secret, sizeof(source.secret)), 0);
	for (size_t bit = 0; bit < LINK_HELLO_SIZE * 8; bit++) {
		welcome[bit / 8] ^= (uint8_t)(1u << bit % 8);
		cr_assert_lt(link_check_welcome(&config, ours, welcome, &source, NULL), 0, "bit %zu",
			     bit);
		welcome[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	/* a replayed WELCOME gives keys that the target does not have */
	cr_assert_eq(link_make_hello(&config, 8192, other, NULL), 0);
	cr_assert_eq(link_check_welcome(&config, other, welcome, &source, NULL), 0);
	cr_assert_neq(memcmp(source.secret, target.secret, sizeof(source.secret)), 0);
}

Test(link, only_a_later_connection_takes_the_place_of_one)
{
	struct link_config now = { .incarnation = 5 }, next = now;
	struct link_hello h = { .have = LINK_HELLO_SIZE, .incarnation = 6 };
	struct mg_error err;

	next.incarnation = 6;
	cr_assert_eq(link_make_hello(&next, 8192, h.bytes, NULL), 0);
	cr_assert_eq(link_check_next(&now, &h, &err), 0);
	now.incarnation = 6; /* a replay */
	cr_assert_eq(link_check_next(&now, &h, &err), -EPROTO);
	now.incarnation = 5;
	now.stream = 1; /* its connections count for themselves */
	cr_assert_eq(link_check_next(&now, &h, &err), -EPROTO);
	now.stream = 0;
	h.incarnation = 7; /* it is not what the tag vouches for */
	cr_assert_eq(link_check_next(&now, &h, &err), -EPROTO);
	h.incarnation = 6;
	now.key[0] ^= 1;
	cr_assert_eq(link_check_next(&now, &h, &err), -EACCES);
}

Test(link, a_welcome_says_what_has_been_taken)
{
	const struct link_config config = { .incarnation = 2 };
	uint8_t ours[LINK_HELLO_SIZE], welcome[LINK_HELLO_SIZE];
	struct link_keys source, target;

	cr_assert_eq(link_make_hello(&config, 8192, ours, NULL), 0);
	cr_assert_eq(link_answer_hello(&config, 8192, 77, ours, welcome, &target, NULL), 0);
	cr_assert_eq(link_check_welcome(&config, ours, welcome, &source, NULL), 0);
	cr_assert_eq(source.taken, 77);
}
