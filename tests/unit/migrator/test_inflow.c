/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "common/clock.h"
#include "migrator/inflow.h"
#include "migrator/outflow.h"
#include "migrator/page_batch.h"
#include "migrator/sender.h"
#include "tests/unit/migrator/relay.h"

#define PAGE PAGE_SIZE_BYTES
#define PAGES 256
#define TURNS 30000 /* of a millisecond, at the most */

/* The source's end is played frame by frame. */
struct play {
	sd_event *loop;
	struct ring ring;
	struct pace pace;
	struct sender sender;
	struct reference *ref;
	struct inflow *in;
	int ram_fd, qemu_fd;
	bool loaded;
};

static void on_inflow(struct inflow *i, enum inflow_event event, void *userdata)
{
	struct play *p = userdata;

	cr_assert_neq(event, INFLOW_FAILED, "%s", inflow_error(i)->text);
	if (event == INFLOW_LOADED)
		p->loaded = true;
}

static void turn(struct play *p)
{
	sender_pump(&p->sender);
	cr_assert_geq(ring_run(&p->ring, NS_PER_MS), 0);
	if (p->in)
		cr_assert_geq(sd_event_run(p->loop, 0), 0);
	cr_assert_eq(p->sender.error.code, 0, "%s", p->sender.error.text);
}

static bool is_loaded(const struct play *p)
{
	return p->loaded;
}

static bool has_room(const struct play *p)
{
	return sender_payload((struct sender *)&p->sender) != NULL;
}

static bool all_are_taken(const struct play *p)
{
	return p->sender.acknowledged == p->sender.committed;
}

static void turn_until(struct play *p, bool (*done)(const struct play *p))
{
	for (unsigned i = 0; i < TURNS && !done(p); i++)
		turn(p);
	cr_assert(done(p));
}

static void begin(struct play *p, unsigned connections)
{
	struct inflow_config config = { .ram_bytes = PAGES * PAGE, .connections = connections };
	struct link_config link = { .incarnation = 1 };
	struct mg_error err = { 0 };
	int ends[2], r;

	*p = (struct play){ .ram_fd = memfd_create("ram", MFD_CLOEXEC) };
	cr_assert(p->ram_fd >= 0 && ftruncate(p->ram_fd, PAGES * PAGE) == 0);
	cr_assert_geq(sd_event_new(&p->loop), 0);
	cr_assert_eq(ring_init(&p->ring, &err), 0);
	cr_assert_eq(reference_new(PAGES, link.page_secret, 0, &p->ref), 0);
	pace_init(&p->pace, 0, clock_mono_ns());
	relay_tcp_pair(ends);
	link.fd = ends[0];
	cr_assert_eq(sender_init(&p->sender, &p->ring, &link, PAGES * PAGE, &p->pace, &err), 0);
	sender_start(&p->sender);
	turn(p);
	config.ram_fd = p->ram_fd;
	config.link = link;
	config.link.fd = ends[1];
	cr_assert_eq(outflow_socketpair(&config.qemu_fd, &p->qemu_fd), 0);
	cr_assert_geq(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
	while ((r = link_read_hello(ends[1], &config.hello, &err)) == -EAGAIN)
		turn(p);
	cr_assert_eq(r, 0, "%s", err.text);
	r = inflow_start(p->loop, &config, on_inflow, p, &p->in, &err);
	cr_assert_eq(r, 0, "%s", err.text);
}

static void end(struct play *p)
{
	ring_exit(&p->ring);
	sender_exit(&p->sender);
	inflow_free(p->in);
	reference_free(p->ref);
	close(p->qemu_fd);
	close(p->ram_fd);
	sd_event_unref(p->loop);
}

static void send_page(struct play *p, uint64_t page, int byte)
{
	struct page_batch *b = malloc(sizeof(*b));
	struct page_stats stats;
	uint8_t data[PAGE];

	memset(data, byte, sizeof(data));
	cr_assert_eq(page_batch_init(b, p->ref), 0);
	page_batch_add_whole(b, page, data);
	turn_until(p, has_room);
	sender_commit(&p->sender, FRAME_PAGES, 0,
		      page_batch_encode(b, PAGE_EFFORT_FASTEST, sender_payload(&p->sender), &stats));
	turn_until(p, all_are_taken);
	page_batch_exit(b);
	free(b);
}

static int byte_of(const struct play *p, uint64_t page)
{
	uint8_t byte = 0;

	cr_assert_eq(pread(p->ram_fd, &byte, 1, (off_t)(page * PAGE)), 1);
	return byte;
}

/* It was asked for, and has come otherwise as well. */
static void a_late_page(unsigned connections)
{
	static const uint8_t shut[] = { 0, 1, 0, 4, 0, 0, 0, 0 };
	struct play p;

	begin(&p, connections);
	send_page(&p, 7, 'a');
	cr_assert_eq(byte_of(&p, 7), 'a');
	cr_assert_eq(send(p.qemu_fd, shut, sizeof(shut), 0), (ssize_t)sizeof(shut));
	turn_until(&p, is_loaded);
	cr_assert_eq(pwrite(p.ram_fd, "g", 1, 7 * PAGE), 1);
	send_page(&p, 7, 'a');
	cr_assert_eq(byte_of(&p, 7), 'g', "the guest that runs has lost what it wrote");
	end(&p);
}

Test(inflow, what_comes_after_qemu_has_loaded_does_not_touch_the_guest)
{
	a_late_page(1);
	a_late_page(3);
}
