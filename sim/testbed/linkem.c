/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/testbed/linkem.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>

#include "common/clock.h"

#define PORTS_MAX 64
#define LINKS_MAX 32
#define FRAME_MAX 9216  /* jumbo frames and their headers */
#define READ_BATCH 64   /* frames from one port before the others get their turn */

enum { TAG_STOP = PORTS_MAX, TAG_TIMER };
enum { OUT, BACK };

struct frame {
	struct shaped_frame shaped; /* first: the two are cast into each other */
	int to_port;
	uint8_t data[FRAME_MAX];
};

struct port {
	int fd;
	int link; /* -1: none */
	int direction;
};

struct link {
	struct shaper shapers[2];
	int ends[2];
	uint64_t late_max_ns, late_sum_ns;
};

struct linkem {
	pthread_mutex_t lock; /* over all below but the descriptors */
	pthread_t thread;
	int epoll, timer, stop;
	struct port ports[PORTS_MAX];
	int n_ports;
	struct link links[LINKS_MAX];
	int n_links;
	struct shaped_frames unused;
};

static struct frame *frame_get(struct linkem *l)
{
	struct shaped_frame *f = TAILQ_FIRST(&l->unused);

	if (!f)
		return malloc(sizeof(struct frame));
	TAILQ_REMOVE(&l->unused, f, link);
	return (struct frame *)f;
}

static void frame_put(struct linkem *l, struct frame *f)
{
	TAILQ_INSERT_HEAD(&l->unused, &f->shaped, link);
}

/* ---- The thread ----------------------------------------------------------- */

static void read_port(struct linkem *l, struct port *p)
{
	for (int i = 0; i < READ_BATCH; i++) {
		struct frame *f = frame_get(l);
		struct link *k = p->link >= 0 ? &l->links[p->link] : NULL;
		ssize_t n;

		if (!f)
			return;
		n = read(p->fd, f->data, sizeof(f->data));
		if (n > 0 && k) {
			f->shaped.len = (size_t)n;
			f->to_port = k->ends[!p->direction];
			if (shaper_push(&k->shapers[p->direction], &f->shaped, clock_mono_ns()))
				continue;
		}
		frame_put(l, f);
		if (n <= 0)
			return;
	}
}

static void deliver_due(struct linkem *l, struct link *k, struct shaper *s)
{
	struct shaped_frame *shaped;
	uint64_t now = clock_mono_ns();

	while ((shaped = shaper_pop(s, now))) {
		struct frame *f = (struct frame *)shaped;
		ssize_t n = write(l->ports[f->to_port].fd, f->data, shaped->len);

		(void)n; /* an interface that is down or full drops frames, as a real one does */
		now = clock_mono_ns();
		k->late_sum_ns += now - shaped->due_ns;
		if (now - shaped->due_ns > k->late_max_ns)
			k->late_max_ns = now - shaped->due_ns;
		frame_put(l, f);
	}
}

/* Delivers all that is due and arms the timer for what is not. */
static void deliver(struct linkem *l)
{
	struct itimerspec at = { 0 };
	uint64_t next = UINT64_MAX;

	for (int i = 0; i < l->n_links; i++)
		for (int d = OUT; d <= BACK; d++) {
			struct shaper *s = &l->links[i].shapers[d];

			deliver_due(l, &l->links[i], s);
			if (shaper_next_ns(s) < next)
				next = shaper_next_ns(s);
		}
	if (next != UINT64_MAX) {
		at.it_value.tv_sec = (time_t)(next / NS_PER_S);
		at.it_value.tv_nsec = (long)(next % NS_PER_S);
	}
	timerfd_settime(l->timer, TFD_TIMER_ABSTIME, &at, NULL);
}

/* Frames should leave within microseconds of their time, also beside guests
 * that use every processor. Real-time priority may be refused; then the timer
 * slack alone must do. */
static void become_punctual(void)
{
	const struct sched_param priority = { .sched_priority = 1 };

	prctl(PR_SET_NAME, "linkem");
	prctl(PR_SET_TIMERSLACK, 1UL);
	pthread_setschedparam(pthread_self(), SCHED_RR, &priority);
}

static void *pump(void *arg)
{
	struct linkem *l = arg;
	struct epoll_event events[16];

	become_punctual();
	for (;;) {
		int n = epoll_wait(l->epoll, events, ARRAY_SIZE(events), -1);

		pthread_mutex_lock(&l->lock);
		for (int i = 0; i < n; i++) {
			uint32_t tag = events[i].data.u32;
			uint64_t ticks;

			if (tag == TAG_STOP) {
				pthread_mutex_unlock(&l->lock);
				return NULL;
			}
			if (tag == TAG_TIMER) {
				ssize_t got = read(l->timer, &ticks, sizeof(ticks));

				(void)got; /* deliver() looks at the clock itself */
			} else if (events[i].events & EPOLLIN) {
				read_port(l, &l->ports[tag]);
			} else { /* its interface is gone */
				epoll_ctl(l->epoll, EPOLL_CTL_DEL, l->ports[tag].fd, NULL);
			}
		}
		deliver(l);
		pthread_mutex_unlock(&l->lock);
	}
}

/* ---- What others call ------------------------------------------------------- */

static int watch(struct linkem *l, int fd, uint32_t tag)
{
	struct epoll_event e = { .events = EPOLLIN, .data.u32 = tag };

	return epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

static int start_thread(struct linkem *l)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&l->thread, NULL, pump, l);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -r;
}

int linkem_new(struct linkem **ret)
{
	struct linkem *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	TAILQ_INIT(&l->unused);
	pthread_mutex_init(&l->lock, NULL);
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	l->stop = eventfd(0, EFD_CLOEXEC);
	r = l->epoll < 0 || l->timer < 0 || l->stop < 0 ? -errno : 0;
	if (r == 0)
		r = watch(l, l->timer, TAG_TIMER);
	if (r == 0)
		r = watch(l, l->stop, TAG_STOP);
	if (r == 0)
		r = start_thread(l);
	if (r < 0) {
		cleanup_close(&l->epoll);
		cleanup_close(&l->timer);
		cleanup_close(&l->stop);
		free(l);
		return r;
	}
	*ret = l;
	return 0;
}

static void frames_free(struct shaped_frames *frames)
{
	struct shaped_frame *f;

	while ((f = TAILQ_FIRST(frames))) {
		TAILQ_REMOVE(frames, f, link);
		free(f);
	}
}

void linkem_free(struct linkem *l)
{
	if (!l)
		return;
	eventfd_write(l->stop, 1);
	pthread_join(l->thread, NULL);
	for (int i = 0; i < l->n_links; i++)
		for (int d = OUT; d <= BACK; d++)
			frames_free(&l->links[i].shapers[d].waiting);
	frames_free(&l->unused);
	for (int i = 0; i < l->n_ports; i++)
		close(l->ports[i].fd);
	close(l->epoll);
	close(l->timer);
	close(l->stop);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

int linkem_add_port(struct linkem *l, int fd)
{
	int flags = fcntl(fd, F_GETFL), r = -ENOSPC;

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	pthread_mutex_lock(&l->lock);
	if (l->n_ports < PORTS_MAX) {
		l->ports[l->n_ports] = (struct port){ .fd = fd, .link = -1 };
		r = watch(l, fd, (uint32_t)l->n_ports);
		if (r == 0)
			r = l->n_ports++;
	}
	pthread_mutex_unlock(&l->lock);
	return r;
}

static bool port_is_free(const struct linkem *l, int port)
{
	return port >= 0 && port < l->n_ports && l->ports[port].link < 0;
}

static void port_join(struct linkem *l, int port, int link, int direction)
{
	l->ports[port].link = link;
	l->ports[port].direction = direction;
	l->links[link].ends[direction] = port;
}

int linkem_add_link(struct linkem *l, int near_port, int far_port,
		    const struct link_params *params)
{
	int r;

	pthread_mutex_lock(&l->lock);
	if (near_port == far_port) {
		r = -EINVAL;
	} else if (!port_is_free(l, near_port) || !port_is_free(l, far_port)) {
		r = -EBUSY;
	} else if (l->n_links == LINKS_MAX) {
		r = -ENOSPC;
	} else {
		r = l->n_links++;
		shaper_init(&l->links[r].shapers[OUT], params, 2 * (uint64_t)r);
		shaper_init(&l->links[r].shapers[BACK], params, 2 * (uint64_t)r + 1);
		port_join(l, near_port, r, OUT);
		port_join(l, far_port, r, BACK);
	}
	pthread_mutex_unlock(&l->lock);
	return r;
}

void linkem_set(struct linkem *l, int link, const struct link_params *params)
{
	pthread_mutex_lock(&l->lock);
	shaper_set(&l->links[link].shapers[OUT], params);
	shaper_set(&l->links[link].shapers[BACK], params);
	pthread_mutex_unlock(&l->lock);
}

int linkem_attach(struct linkem *l, int link, int far_port)
{
	int r = 0;

	pthread_mutex_lock(&l->lock);
	if (port_is_free(l, far_port)) {
		l->ports[l->links[link].ends[BACK]].link = -1;
		port_join(l, far_port, link, BACK);
	} else if (l->links[link].ends[BACK] != far_port) {
		r = -EBUSY;
	}
	pthread_mutex_unlock(&l->lock);
	return r;
}

void linkem_report(struct linkem *l, int link, struct link_report *ret)
{
	const struct link *k = &l->links[link];
	uint64_t frames;

	pthread_mutex_lock(&l->lock);
	frames = k->shapers[OUT].counts.frames + k->shapers[BACK].counts.frames;
	*ret = (struct link_report){
		.out = k->shapers[OUT].counts,
		.back = k->shapers[BACK].counts,
		.late_max_ns = k->late_max_ns,
		.late_mean_ns = frames ? k->late_sum_ns / frames : 0,
	};
	pthread_mutex_unlock(&l->lock);
}
