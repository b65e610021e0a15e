/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/ring.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/clock.h"

#define ENTRIES 32 /* far more than operations that can be in flight */

int ring_init(struct ring *ring, struct mg_error *err)
{
	int r;

	memset(ring, 0, sizeof(*ring));
	r = io_uring_queue_init(ENTRIES, &ring->uring, 0);
	if (r == -EPERM || r == -ENOSYS)
		return mg_error_set(err, r, "io_uring is not permitted on this host "
				    "(kernel.io_uring_disabled, or a seccomp filter)");
	if (r < 0)
		return mg_error_set(err, r, "io_uring: %s", strerror(-r));
	ring->open = true;
	return 0;
}

static struct io_uring_sqe *prepare(struct ring *ring, struct ring_op *op)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);

	if (!sqe) { /* the queue is full: make room */
		io_uring_submit(&ring->uring);
		sqe = io_uring_get_sqe(&ring->uring);
	}
	io_uring_sqe_set_data(sqe, op);
	op->pending = true;
	ring->pending++;
	return sqe;
}

/* prep functions clear the user data, so it is set after them */
void ring_recv(struct ring *ring, struct ring_op *op, int fd, void *buf, size_t len)
{
	struct io_uring_sqe *sqe = prepare(ring, op);

	io_uring_prep_recv(sqe, fd, buf, len, 0);
	io_uring_sqe_set_data(sqe, op);
}

void ring_send(struct ring *ring, struct ring_op *op, int fd, const void *buf, size_t len)
{
	struct io_uring_sqe *sqe = prepare(ring, op);

	io_uring_prep_send(sqe, fd, buf, len, MSG_NOSIGNAL);
	io_uring_sqe_set_data(sqe, op);
}

void ring_write(struct ring *ring, struct ring_op *op, int fd, const void *buf, size_t len,
		off_t offset)
{
	struct io_uring_sqe *sqe = prepare(ring, op);

	io_uring_prep_write(sqe, fd, buf, (unsigned)len, (uint64_t)offset);
	io_uring_sqe_set_data(sqe, op);
}

void ring_poll(struct ring *ring, struct ring_op *op, int fd, short events)
{
	struct io_uring_sqe *sqe = prepare(ring, op);

	io_uring_prep_poll_add(sqe, fd, (unsigned)events);
	io_uring_sqe_set_data(sqe, op);
}

static int reap(struct ring *ring)
{
	struct io_uring_cqe *cqe;
	int n = 0;

	while (io_uring_peek_cqe(&ring->uring, &cqe) == 0) {
		struct ring_op *op = io_uring_cqe_get_data(cqe);
		int res = cqe->res;

		io_uring_cqe_seen(&ring->uring, cqe);
		n++;
		if (!op)
			continue; /* a cancellation's own answer */
		op->pending = false;
		ring->pending--;
		op->done(op, res);
	}
	return n;
}

int ring_run(struct ring *ring, uint64_t timeout_ns)
{
	struct __kernel_timespec ts = { .tv_sec = (long long)(timeout_ns / NS_PER_S),
					.tv_nsec = (long long)(timeout_ns % NS_PER_S) };
	struct io_uring_cqe *cqe;
	int r;

	r = timeout_ns ? io_uring_submit_and_wait_timeout(&ring->uring, &cqe, 1, &ts, NULL) :
			 io_uring_submit(&ring->uring);
	if (r < 0 && r != -ETIME && r != -EINTR && r != -EBUSY && r != -EAGAIN)
		return r;
	return reap(ring);
}

static void cancel_all(struct ring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);

	if (!sqe)
		return;
	io_uring_prep_cancel(sqe, NULL, IORING_ASYNC_CANCEL_ANY);
	io_uring_sqe_set_data(sqe, NULL);
}

void ring_exit(struct ring *ring)
{
	if (!ring->open)
		return;
	while (ring->pending) {
		cancel_all(ring);
		if (ring_run(ring, 10 * NS_PER_MS) < 0)
			break;
	}
	io_uring_queue_exit(&ring->uring);
	ring->open = false;
}
