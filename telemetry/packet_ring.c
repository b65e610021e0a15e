/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/packet_ring.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "common/clock.h"

#define BLOCK_SIZE 65536u
#define BLOCKS 8u
#define FRAME_SIZE 2048u /* the kernel wants one, and does not go by it */
#define RETIRE_MS 20u    /* after which a block is handed over that is not full */

#define ETHERTYPE_EXPERIMENTAL 0x88b5 /* IEEE 802, local experiments */

struct packet_ring {
	int fd;
	uint32_t interface;
	uint8_t *ring;
	unsigned block; /* the next one */
};

/* ---- Life --------------------------------------------------------------------------- */

static int map_ring(struct packet_ring *r)
{
	const struct tpacket_req3 request = {
		.tp_block_size = BLOCK_SIZE,
		.tp_block_nr = BLOCKS,
		.tp_frame_size = FRAME_SIZE,
		.tp_frame_nr = BLOCK_SIZE / FRAME_SIZE * BLOCKS,
		.tp_retire_blk_tov = RETIRE_MS,
	};
	const int version = TPACKET_V3;
	void *ring;

	if (setsockopt(r->fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) < 0 ||
	    setsockopt(r->fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof(request)) < 0)
		return -errno;
	ring = mmap(NULL, (size_t)BLOCK_SIZE * BLOCKS, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd,
		    0);
	if (ring == MAP_FAILED)
		return -errno;
	r->ring = ring;
	return 0;
}

int packet_ring_new(struct packet_ring **ret)
{
	_cleanup_(packet_ring_free_p) struct packet_ring *r = calloc(1, sizeof(*r));
	int e;

	if (!r)
		return -ENOMEM;
	/* Of no protocol: until it is told which interface, it gets nothing. */
	r->fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	e = r->fd < 0 ? -errno : map_ring(r);
	if (e < 0)
		return e;
	*ret = TAKE_PTR(r);
	return 0;
}

void packet_ring_free(struct packet_ring *r)
{
	if (!r)
		return;
	if (r->ring)
		munmap(r->ring, (size_t)BLOCK_SIZE * BLOCKS);
	if (r->fd >= 0)
		close(r->fd);
	free(r);
}

int packet_ring_fd(const struct packet_ring *r)
{
	return r->fd;
}

uint32_t packet_ring_interface(const struct packet_ring *r)
{
	return r->interface;
}

/* ---- Which frames ------------------------------------------------------------------- */

int packet_ring_set_filter(struct packet_ring *r, const struct sock_filter *code, size_t n)
{
	const struct sock_fprog program = { (unsigned short)n, (struct sock_filter *)code };

	return setsockopt(r->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0
		       ? -errno
		       : 0;
}

static int bind_to(struct packet_ring *r, uint32_t interface, uint16_t protocol)
{
	const struct sockaddr_ll to = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(protocol),
		.sll_ifindex = (int)interface,
	};

	return bind(r->fd, (const struct sockaddr *)&to, sizeof(to)) < 0 ? -errno : 0;
}

static bool is_ethernet(const struct packet_ring *r)
{
	struct sockaddr_ll at = { 0 };
	socklen_t len = sizeof(at);

	/* The loopback has such headers, too. */
	return getsockname(r->fd, (struct sockaddr *)&at, &len) == 0 &&
	       (at.sll_hatype == ARPHRD_ETHER || at.sll_hatype == ARPHRD_LOOPBACK);
}

int packet_ring_attach(struct packet_ring *r, const char *interface)
{
	struct packet_mreq all = { .mr_type = PACKET_MR_PROMISC };
	int pending, e;
	socklen_t len = sizeof(pending);

	/* That the interface has gone is told until it is asked for. */
	(void)getsockopt(r->fd, SOL_SOCKET, SO_ERROR, &pending, &len);
	all.mr_ifindex = (int)if_nametoindex(interface);
	if ((uint32_t)all.mr_ifindex == r->interface && r->interface != 0)
		return 0;
	r->interface = 0;
	if (all.mr_ifindex == 0)
		return -ENODEV;
	/* Of frames that nobody sends, until it is known what kind of interface that is. */
	e = bind_to(r, (uint32_t)all.mr_ifindex, ETHERTYPE_EXPERIMENTAL);
	if (e == 0 && !is_ethernet(r))
		e = -EPROTONOSUPPORT;
	if (e == 0)
		e = bind_to(r, (uint32_t)all.mr_ifindex, ETH_P_ALL);
	/* A bridge shows what only passes it to none but these. */
	if (e == 0 && setsockopt(r->fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all)) < 0)
		e = -errno;
	if (e < 0)
		return e;
	r->interface = (uint32_t)all.mr_ifindex;
	return 1;
}

/* ---- What has come ------------------------------------------------------------------ */

static struct tpacket_block_desc *next_block(const struct packet_ring *r)
{
	return (struct tpacket_block_desc *)(void *)(r->ring + (size_t)r->block * BLOCK_SIZE);
}

bool packet_ring_take(struct packet_ring *r, packet_ring_fn fn, void *userdata)
{
	struct tpacket_block_desc *block = next_block(r);
	struct tpacket_hdr_v1 *head = &block->hdr.bh1;
	const uint8_t *at = (const uint8_t *)block + head->offset_to_first_pkt;

	if (!(__atomic_load_n(&head->block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
		return false;
	for (uint32_t i = 0; i < head->num_pkts; i++) {
		const struct tpacket3_hdr *frame = (const struct tpacket3_hdr *)(const void *)at;

		fn(at + frame->tp_mac, frame->tp_snaplen, frame->tp_sec * NS_PER_S + frame->tp_nsec,
		   userdata);
		at += frame->tp_next_offset;
	}
	__atomic_store_n(&head->block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
	r->block = (r->block + 1) % BLOCKS;
	return true;
}

uint64_t packet_ring_dropped(struct packet_ring *r)
{
	struct tpacket_stats_v3 stats = { 0 };
	socklen_t len = sizeof(stats);

	return getsockopt(r->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &len) < 0 ? 0
										  : stats.tp_drops;
}
