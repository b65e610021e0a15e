/* SPDX-License-Identifier: Apache-2.0
 *
 * The data connections of a move: made, and each made again when it is lost before the guest was
 * stopped, as long as the order has patience. Nothing of the guest notices; QEMU waits.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "common/address.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "migrator/outgoing_internal.h"

#define AGAIN_NS NS_PER_S /* between tries; one that hangs is given up by then */
#define ASK_NS (500 * NS_PER_MS)
#define LINK_SILENCE_MS 10000
#define HANDSHAKES 4 /* that are measured, before a promise is held to be too short */

#define STATE(name) TAGALONG__MOVE_STATE__MOVE_##name

static struct data_connection *connection_at(struct outgoing *o, unsigned i)
{
	return &o->data[i];
}

/* Before the flow begins the best that was seen: a handshake may have been slow for reasons that
 * are not the link's. */
static void measure_rtt(struct outgoing *o, int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);
	uint64_t rtt;

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return;
	rtt = info.tcpi_rtt * NS_PER_US;
	if (o->outflow || o->rtt_ns == 0 || rtt < o->rtt_ns)
		o->rtt_ns = rtt;
}

/* The promise is refused only when it is too short by several handshakes. */
static bool measure_again(struct outgoing *o)
{
	return !o->outflow && !outgoing_promise_fits(o) && ++o->handshakes < HANDSHAKES;
}

static void try_to_connect(struct data_connection *c);

static bool all_connected(struct outgoing *o)
{
	for (unsigned i = 0; i < o->connections; i++)
		if (!o->data[i].connected)
			return false;
	return true;
}

static void connected(struct data_connection *c)
{
	struct outgoing *o = c->o;
	int on = 1, silence = LINK_SILENCE_MS;

	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(c->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &silence, sizeof(silence));
	measure_rtt(o, c->fd);
	if (measure_again(o)) {
		close(TAKE_FD(c->fd));
		try_to_connect(c);
		return;
	}
	if (o->dry_run) {
		close(TAKE_FD(c->fd));
		forecast_end_dry_run(o);
		return;
	}
	c->incarnation++;
	if (!o->outflow) {
		c->connected = true;
		if (all_connected(o))
			copy_connected(o);
		return;
	}
	sd_event_source_disable_unref(c->again_later);
	c->again_later = NULL;
	outflow_resume(o->outflow, c->number, TAKE_FD(c->fd), c->incarnation);
}

static void drop_try(struct data_connection *c)
{
	sd_event_source_disable_unref(c->connecting);
	c->connecting = NULL;
	c->connected = false;
	if (c->fd >= 0)
		close(TAKE_FD(c->fd));
}

static void failed(struct data_connection *c, int error)
{
	struct outgoing *o = c->o;

	drop_try(c);
	if (!o->outflow) /* else there will be another try */
		outgoing_give_up(o, "no data connection to %s at %s: %s", o->m.row.peer,
				 o->data_endpoint, strerror(error));
}

static int on_connected(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct data_connection *c = userdata;
	struct outgoing *o = c->o;
	int error = 0;
	socklen_t len = sizeof(error);

	(void)source;
	(void)events;
	sd_event_source_disable_unref(c->connecting);
	c->connecting = NULL;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error)
		failed(c, error);
	else
		connected(c);
	outgoing_reconcile(o);
	return 0;
}

static void try_to_connect(struct data_connection *c)
{
	struct outgoing *o = c->o;
	int fd;

	/* In turn: either may be the one that does not lead there. */
	c->was_found = o->found_endpoint[0] && !c->was_found;
	fd = link_connect(c->was_found ? o->found_endpoint : o->data_endpoint);
	if (fd == -EINVAL) {
		outgoing_give_up(o, "%s says '%.64s' is where its data goes, which is no address",
				 o->m.row.peer, o->data_endpoint);
		return;
	}
	if (fd < 0) {
		failed(c, -fd);
		return;
	}
	c->fd = fd;
	sd_event_add_io(o->m.node->loop, &c->connecting, fd, EPOLLOUT, on_connected, c);
}

void connection_init(struct outgoing *o)
{
	for (unsigned i = 0; i < ARRAY_SIZE(o->data); i++)
		o->data[i] = (struct data_connection){ .o = o, .number = i, .fd = -1 };
}

void connection_begin(struct outgoing *o)
{
	Tagalong__MoveFigures *f = move_figures(&o->m);

	f->has_connections = true;
	f->connections = o->connections;
	for (unsigned i = 0; i < o->connections; i++)
		try_to_connect(connection_at(o, i));
}

/* ---- Lost and made again ---------------------------------------------------------------- */

static int on_again(sd_event_source *source, uint64_t now, void *userdata);

static void try_again(struct data_connection *c)
{
	drop_try(c);
	try_to_connect(c);
	outgoing_set_timer(c->o, &c->again_later, AGAIN_NS, on_again, c);
}

static int on_again(sd_event_source *source, uint64_t now, void *userdata)
{
	(void)source;
	(void)now;
	try_again(userdata);
	return 0;
}

/* One that has lost its connection asks what becomes of the move, from where it is now. That may be
 * another address than the one it had; or one that nobody else can reach. */
void connection_heard(struct outgoing *o, const struct bus_peer *from)
{
	char found[sizeof(o->found_endpoint)];

	if (!o->lost_since_ns || (from->name[0] && strcmp(from->name, o->m.row.peer) != 0) ||
	    address_elsewhere(o->data_endpoint, from->address, found, sizeof(found)) < 0 ||
	    strcmp(found, o->data_endpoint) == 0 || strcmp(found, o->found_endpoint) == 0)
		return;
	log_info("outgoing", "move=%s vm=%s %s is heard from %s", o->m.id_text, o->m.row.info->vm,
		 o->m.row.peer, from->address);
	memcpy(o->found_endpoint, found, sizeof(found));
}

/* The move goes on there. */
static void follow(struct outgoing *o)
{
	char *port = strrchr(o->found_endpoint, ':');

	memcpy(o->data_endpoint, o->found_endpoint, sizeof(o->data_endpoint));
	log_info("outgoing", "move=%s vm=%s %s has moved to %s", o->m.id_text, o->m.row.info->vm,
		 o->m.row.peer, o->data_endpoint);
	*port = '\0';
	outgoing_follow(o, o->found_endpoint);
}

static void begin_outage(struct outgoing *o)
{
	Tagalong__MoveFigures *f = move_figures(&o->m);

	o->lost_since_ns = clock_mono_ns();
	f->has_link_down = f->link_down = true;
	log_warning("outgoing", "move=%s vm=%s %s; trying again for %llu s", o->m.id_text,
		    o->m.row.info->vm, outflow_loss(o->outflow)->text,
		    (unsigned long long)(o->patience_ns / NS_PER_S));
	move_tell_progress(&o->m);
	o->unheard = true; /* a target that has given it up says so */
}

/* At once, but what took its place and did not hold later. */
static void replace(struct data_connection *c)
{
	if (c->again_later)
		return;
	if (c->lost)
		outgoing_set_timer(c->o, &c->again_later, AGAIN_NS, on_again, c);
	else
		try_again(c);
	c->lost = true;
}

void connection_lost(struct outgoing *o)
{
	unsigned lost = outflow_lost(o->outflow);

	if (lost && !o->lost_since_ns)
		begin_outage(o);
	for (; lost; lost &= lost - 1)
		replace(connection_at(o, (unsigned)__builtin_ctz(lost)));
}

void connection_resumed(struct outgoing *o)
{
	Tagalong__MoveFigures *f = move_figures(&o->m);

	if (!o->lost_since_ns)
		return;
	if (o->found_endpoint[0] && o->data[0].was_found)
		follow(o);
	o->found_endpoint[0] = '\0';
	for (unsigned i = 0; i < o->connections; i++)
		o->data[i].lost = o->data[i].was_found = false;
	f->link_down = false;
	f->has_reconnects = true;
	f->reconnects++;
	log_info("outgoing", "move=%s vm=%s the data connection is back after %llu ms",
		 o->m.id_text, o->m.row.info->vm,
		 (unsigned long long)((clock_mono_ns() - o->lost_since_ns) / NS_PER_MS));
	o->lost_since_ns = 0;
	o->unheard = true;
	if (o->post_copy && o->m.row.info->state == STATE(IN_DOUBT)) {
		move_explain(&o->m, NULL);
		move_show(&o->m, STATE(COMMITTED));
	}
}

/* What broke the connection may have broken the bus, too: until the target is heard again it
 * does not know the way to us, and what it says is lost. Nothing that it says while the guest
 * stands still may be. */
static void ask(struct outgoing *o)
{
	uint64_t now = clock_mono_ns();
	bool stopped = o->step == COPY_FLOWING && o->m.row.info->state == STATE(STOPPED);
	bool waits = o->unheard || o->peer_stage == TAGALONG__PEER_STAGE__PEER_TAKING;

	if ((!waits || now - o->asked_ns < ASK_NS) && !stopped)
		return;
	o->asked_ns = now;
	outgoing_ask(o);
}

/* There is no giving up: the guest waits there for what only is here. */
static void show_cut(struct outgoing *o)
{
	if (o->m.row.stage != JOURNAL_COMMIT || o->m.row.info->state == STATE(IN_DOUBT))
		return;
	move_explain(&o->m, "a part of the memory of %s is here and not on %s, to which there is no "
		     "link: %s", o->m.row.info->vm, o->m.row.peer, outflow_loss(o->outflow)->text);
	move_show(&o->m, STATE(IN_DOUBT));
}

void connection_tick(struct outgoing *o)
{
	if (o->live)
		ask(o);
	if (!o->live || !o->lost_since_ns || clock_mono_ns() - o->lost_since_ns < o->patience_ns)
		return;
	if (o->post_copy) {
		show_cut(o);
		return;
	}
	outgoing_give_up(
		o, "the data connection was lost, and there was no other within %llu s (%s)",
		(unsigned long long)(o->patience_ns / NS_PER_S), outflow_loss(o->outflow)->text);
}

void connection_end(struct outgoing *o)
{
	if (o->lost_since_ns)
		move_figures(&o->m)->link_down = false; /* as a record it would say so for ever */
	o->lost_since_ns = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(o->data); i++) {
		struct data_connection *c = connection_at(o, i);

		sd_event_source_disable_unref(c->again_later);
		c->again_later = NULL;
		drop_try(c);
	}
}
