/* SPDX-License-Identifier: Apache-2.0
 *
 * Both ends of a pipe on one event loop, with a relay between them that reads along.
 */
#include "migrator/disk_pipe.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DISK_BYTES (UINT64_C(1) << 30)
#define STREAM (DISK_STREAM + 3)

struct end {
	struct disk_pipe *pipe;
	int qemu; /* what QEMU would have */
	uint64_t said, heard;
	unsigned ups, losses, closes;
};

struct rig {
	sd_event *loop;
	struct end source, target;
	struct link_config link;
	uint32_t incarnation;
	int cut; /* a connection's end, to be shut down */
};

static void on_pipe(struct disk_pipe *p, enum disk_pipe_event event, void *userdata)
{
	struct end *e = userdata;

	cr_assert_eq(p, e->pipe);
	e->ups += event == DISK_PIPE_UP;
	e->losses += event == DISK_PIPE_LOST;
	e->closes += event == DISK_PIPE_CLOSED;
}

static void make_end(struct rig *rig, struct end *e)
{
	int sv[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
	cr_assert_eq(disk_pipe_new(rig->loop, &rig->link, DISK_BYTES, on_pipe, e, &e->pipe), 0);
	cr_assert_eq(disk_pipe_join(e->pipe, sv[0]), 0);
	e->qemu = sv[1];
}

static void setup(struct rig *rig)
{
	memset(rig, 0, sizeof(*rig));
	cr_assert_geq(sd_event_new(&rig->loop), 0);
	rig->link = (struct link_config){ .fd = -1, .stream = STREAM };
	memset(rig->link.key, 7, sizeof(rig->link.key));
	memset(rig->link.move.bytes, 9, sizeof(rig->link.move.bytes));
	rig->cut = -1;
	make_end(rig, &rig->source);
	make_end(rig, &rig->target);
}

static void teardown(struct rig *rig)
{
	disk_pipe_free(rig->source.pipe);
	disk_pipe_free(rig->target.pipe);
	close(rig->source.qemu);
	close(rig->target.qemu);
	if (rig->cut >= 0)
		close(rig->cut);
	sd_event_unref(rig->loop);
}

static void turn(struct rig *rig)
{
	while (sd_event_run(rig->loop, 0) > 0)
		;
}

/* A connection whose HELLO has come; returns the target's end of it. */
static int begin(struct rig *rig, struct link_hello *hello)
{
	int sv[2], r;

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	if (rig->cut >= 0)
		close(rig->cut);
	rig->cut = dup(sv[0]);
	cr_assert_eq(disk_pipe_connect(rig->source.pipe, sv[0], ++rig->incarnation, NULL), 0);
	memset(hello, 0, sizeof(*hello));
	while ((r = link_read_hello(sv[1], hello, NULL)) == -EAGAIN)
		turn(rig);
	cr_assert_eq(r, 0);
	cr_assert_eq(hello->stream, STREAM);
	return sv[1];
}

static void connect_ends(struct rig *rig)
{
	struct link_hello hello;
	int fd = begin(rig, &hello);
	struct mg_error err = { 0 };

	cr_assert_eq(disk_pipe_accept(rig->target.pipe, fd, &hello, &err), 0, "%s", err.text);
}

static uint8_t byte_at(uint64_t at, bool of_source)
{
	uint64_t x = (at + (of_source ? 0 : 12345)) * UINT64_C(0x9e3779b97f4a7c15);

	return (uint8_t)(x >> 56);
}

/* QEMU says as much as goes, up to a limit. */
static void say(struct end *e, bool of_source, uint64_t limit)
{
	uint8_t piece[20000];
	size_t len = (size_t)(limit - e->said < sizeof(piece) ? limit - e->said : sizeof(piece));
	ssize_t n;

	for (size_t i = 0; i < len; i++)
		piece[i] = byte_at(e->said + i, of_source);
	n = len ? send(e->qemu, piece, len, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
	if (n > 0)
		e->said += (uint64_t)n;
}

static void hear(struct end *e, bool of_source)
{
	uint8_t piece[30000];
	ssize_t n = recv(e->qemu, piece, sizeof(piece), MSG_DONTWAIT);

	for (ssize_t i = 0; i < n; i++, e->heard++)
		cr_assert_eq(piece[i], byte_at(e->heard, of_source), "byte %llu",
			     (unsigned long long)e->heard);
}

static void exchange(struct rig *rig, uint64_t there, uint64_t back)
{
	say(&rig->source, true, there);
	say(&rig->target, false, back);
	turn(rig);
	hear(&rig->target, true);
	hear(&rig->source, false);
}

static void exchange_all(struct rig *rig, uint64_t there, uint64_t back)
{
	for (int i = 0; i < 1000000 && (rig->target.heard < there || rig->source.heard < back); i++)
		exchange(rig, there, back);
	cr_assert_eq(rig->target.heard, there);
	cr_assert_eq(rig->source.heard, back);
}

Test(disk_pipe, bytes_go_both_ways)
{
	struct rig rig;

	setup(&rig);
	connect_ends(&rig);
	exchange_all(&rig, 12000000, 5000000);
	cr_assert(rig.source.ups == 1 && rig.target.ups == 1);
	cr_assert_geq(disk_pipe_wire_bytes(rig.source.pipe), 17000000);
	cr_assert_leq(disk_pipe_wire_bytes(rig.source.pipe), 17500000);
	teardown(&rig);
}

/* What QEMU says before there is a connection, or while there is none, is kept. */
Test(disk_pipe, cuts_lose_and_repeat_nothing)
{
	struct rig rig;
	uint64_t there = 0, back = 0;

	setup(&rig);
	srandom(1);
	for (unsigned i = 1; i <= 40; i++) {
		there += (uint64_t)random() % 900000;
		back += (uint64_t)random() % 300000;
		say(&rig.source, true, there);
		connect_ends(&rig);
		for (long n = random() % 60; n > 0; n--)
			exchange(&rig, there, back);
		shutdown(rig.cut, SHUT_RDWR);
		turn(&rig);
		cr_assert(rig.source.losses == i && rig.target.losses <= i);
	}
	connect_ends(&rig);
	exchange_all(&rig, there, back);
	cr_assert_eq(rig.source.closes + rig.target.closes, 0);
	teardown(&rig);
}

/* It neither grows nor spins: bytes that nobody takes wait where they are. */
Test(disk_pipe, a_qemu_that_does_not_read_stops_the_other)
{
	struct rig rig;

	setup(&rig);
	connect_ends(&rig);
	for (int i = 0; i < 2000; i++) {
		say(&rig.source, true, 100000000);
		turn(&rig);
	}
	cr_assert_lt(rig.source.said, 12000000);
	cr_assert_eq(sd_event_run(rig.loop, 0), 0, "there is nothing to do");
	exchange_all(&rig, 20000000, 0);
	teardown(&rig);
}

Test(disk_pipe, who_does_not_know_the_key_is_refused)
{
	struct rig rig;
	struct link_hello hello;
	struct mg_error err = { 0 };
	int fd;

	setup(&rig);
	fd = begin(&rig, &hello);
	hello.bytes[40] ^= 1;
	cr_assert_eq(disk_pipe_accept(rig.target.pipe, fd, &hello, &err), -EACCES);
	hello.bytes[40] ^= 1;
	cr_assert_eq(disk_pipe_accept(rig.target.pipe, fd, &hello, &err), 0);
	exchange_all(&rig, 1000, 1000);
	/* The same one again is recorded, or late. */
	cr_assert_eq(disk_pipe_accept(rig.target.pipe, rig.cut, &hello, &err), -EPROTO);
	exchange_all(&rig, 2000, 2000);
	teardown(&rig);
}

/* Somebody between them sees neither what is said, nor can he change a bit of it. */
Test(disk_pipe, is_sealed)
{
	struct rig rig;
	struct link_hello hello;
	uint8_t seen[70000], plain[64];
	size_t have = 0;
	ssize_t n;
	int sv[2], fd;

	setup(&rig);
	fd = begin(&rig, &hello);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
	cr_assert_eq(disk_pipe_accept(rig.target.pipe, sv[0], &hello, NULL), 0);
	turn(&rig);
	n = recv(sv[1], seen, sizeof(seen), 0); /* WELCOME, and the target's first frame */
	cr_assert_gt(n, 0);
	cr_assert_eq(send(fd, seen, (size_t)n, 0), n);
	for (int i = 0; i < 100; i++) {
		say(&rig.source, true, 60000);
		turn(&rig);
		n = recv(fd, seen + have, sizeof(seen) - have, MSG_DONTWAIT);
		have += n > 0 ? (size_t)n : 0;
	}
	cr_assert_gt(have, 60000);
	for (size_t i = 0; i < sizeof(plain); i++)
		plain[i] = byte_at(i, true);
	cr_assert_null(memmem(seen, have, plain, sizeof(plain)));
	seen[have - 1000] ^= 1;
	for (size_t at = 0; at < have;) {
		n = send(sv[1], seen + at, have - at, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0)
			break; /* it has found out */
		at += (size_t)n;
		turn(&rig);
		hear(&rig.target, true);
	}
	turn(&rig);
	cr_assert_eq(rig.target.losses, 1);
	cr_assert_eq(disk_pipe_loss(rig.target.pipe)->code, -EBADMSG);
	cr_assert_lt(rig.target.heard, 60000);
	close(fd);
	close(sv[1]);
	connect_ends(&rig);
	exchange_all(&rig, 60000, 10);
	teardown(&rig);
}

Test(disk_pipe, qemu_hangs_up)
{
	struct rig rig;

	setup(&rig);
	connect_ends(&rig);
	exchange_all(&rig, 1000, 1000);
	close(rig.cut); /* else the connection would stay open */
	rig.cut = -1;
	shutdown(rig.source.qemu, SHUT_RDWR);
	turn(&rig);
	cr_assert_eq(rig.source.closes, 1);
	cr_assert_eq(rig.target.losses, 1);
	teardown(&rig);
}
