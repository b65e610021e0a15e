/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/testbed/topology.h"

#include <arpa/inet.h>
#include <net/ethernet.h>
#include <net/if_arp.h>
#include <netinet/if_ether.h>
#include <netpacket/packet.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <net/if.h>

#include "sim/testbed/netns.h"

#define UNDERLAY_MTU 9000
#define OVERLAY_MTU 1500
#define FIRST_TOWER 11 /* host part of its addresses */
#define VXLAN_ID 42
#define VXLAN_PORT 4789
#define PHONE_NETNS "phone"
#define COMMANDS_MAX 4096

struct tower_network {
	int netns;
	int uplink;     /* link */
	int radio_port; /* where the phone's link may end */
	char underlay[INET_ADDRSTRLEN], overlay[INET_ADDRSTRLEN];
};

struct topology {
	const struct scenario *scenario;
	struct linkem *emulator;
	struct tower_network towers[TOWERS_MAX];
	int n_towers;
	int phone_netns;
	int radio; /* link */
};

/* A tap as a port of the emulator. */
static int add_port(struct topology *t, int netns, const char *interface, struct mg_error *err)
{
	int fd = netns_tap(netns, interface, err), port;

	if (fd < 0)
		return fd;
	port = linkem_add_port(t->emulator, fd);
	if (port >= 0)
		return port;
	close(fd);
	return mg_error_set(err, port, "emulator: %s", strerror(-port));
}

static int add_link(struct topology *t, int near, int far, const struct link_params *params,
		    struct mg_error *err)
{
	int link = linkem_add_link(t->emulator, near, far, params);

	return link < 0 ? mg_error_set(err, link, "emulator: %s", strerror(-link)) : link;
}

static int make_core(struct mg_error *err)
{
	char commands[COMMANDS_MAX];

	snprintf(commands, sizeof(commands),
		 "link set lo up\n"
		 "link add core0 mtu %d type bridge mcast_snooping 0\n"
		 "address add " TOPOLOGY_CONTROLLER "/%d dev core0\n"
		 "link set core0 up\n",
		 UNDERLAY_MTU, TOPOLOGY_PREFIX);
	return netns_ip(NULL, commands, err);
}

/* The tower's end of the uplink and the site's, joined by the emulator. */
static int make_uplink(struct topology *t, int i, struct mg_error *err)
{
	const struct link_params params = scenario_uplink(t->scenario);
	struct tower_network *n = &t->towers[i];
	char interface[16], commands[COMMANDS_MAX];
	int near, far;

	near = add_port(t, n->netns, "up0", err);
	if (near < 0)
		return near;
	snprintf(interface, sizeof(interface), "up%d", i);
	far = add_port(t, -1, interface, err);
	if (far < 0)
		return far;
	n->uplink = add_link(t, near, far, &params, err);
	if (n->uplink < 0)
		return n->uplink;
	snprintf(commands, sizeof(commands), "link set %s mtu %d master core0 up\n", interface,
		 UNDERLAY_MTU);
	return netns_ip(NULL, commands, err);
}

static int make_tower_bridge(struct topology *t, int i, struct mg_error *err)
{
	struct tower_network *n = &t->towers[i];
	char commands[COMMANDS_MAX];

	n->radio_port = add_port(t, n->netns, "radio0", err);
	if (n->radio_port < 0)
		return n->radio_port;
	snprintf(commands, sizeof(commands),
		 "link set up0 mtu %d up\n"
		 "address add %s/%d dev up0\n"
		 "link add " TOPOLOGY_BRIDGE " mtu %d type bridge forward_delay 0 mcast_snooping 0\n"
		 "link add vx0 mtu %d type vxlan id %d local %s dstport %d dev up0\n"
		 "link set vx0 master " TOPOLOGY_BRIDGE " up\n"
		 "link set radio0 mtu %d master " TOPOLOGY_BRIDGE " up\n"
		 "address add %s/%d dev " TOPOLOGY_BRIDGE "\n"
		 "link set " TOPOLOGY_BRIDGE " up\n",
		 UNDERLAY_MTU, n->underlay, TOPOLOGY_PREFIX, OVERLAY_MTU, OVERLAY_MTU, VXLAN_ID,
		 n->underlay, VXLAN_PORT, OVERLAY_MTU, n->overlay, TOPOLOGY_PREFIX);
	return netns_ip(t->scenario->towers[i].name, commands, err);
}

static int make_tower(struct topology *t, int i, struct mg_error *err)
{
	struct tower_network *n = &t->towers[i];
	int r;

	n->netns = netns_add(t->scenario->towers[i].name, err);
	if (n->netns < 0)
		return n->netns;
	t->n_towers++;
	snprintf(n->underlay, sizeof(n->underlay), "10.99.0.%u", (uint8_t)(FIRST_TOWER + i));
	snprintf(n->overlay, sizeof(n->overlay), "10.88.0.%u", (uint8_t)(FIRST_TOWER + i));
	r = make_uplink(t, i, err);
	return r < 0 ? r : make_tower_bridge(t, i, err);
}

/* What a tower does not know where to send goes to all others. */
static int join_overlay(struct topology *t, int i, struct mg_error *err)
{
	char commands[COMMANDS_MAX];
	int used = 0;

	for (int j = 0; j < t->n_towers; j++)
		if (j != i)
			used += snprintf(commands + used, sizeof(commands) - (size_t)used,
					 "fdb append 00:00:00:00:00:00 dev vx0 dst %s\n",
					 t->towers[j].underlay);
	return netns_bridge(t->scenario->towers[i].name, commands, err);
}

static int make_phone(struct topology *t, struct mg_error *err)
{
	char commands[COMMANDS_MAX];
	int near;

	t->phone_netns = netns_add(PHONE_NETNS, err);
	if (t->phone_netns < 0)
		return t->phone_netns;
	near = add_port(t, t->phone_netns, "radio0", err);
	if (near < 0)
		return near;
	t->radio = add_link(t, near, t->towers[0].radio_port, &t->scenario->radio.link, err);
	if (t->radio < 0)
		return t->radio;
	snprintf(commands, sizeof(commands),
		 "link set radio0 mtu %d up\n"
		 "address add " TOPOLOGY_PHONE "/%d dev radio0\n",
		 OVERLAY_MTU, TOPOLOGY_PREFIX);
	return netns_ip(PHONE_NETNS, commands, err);
}

static int build(struct topology *t, struct mg_error *err)
{
	int r = linkem_new(&t->emulator);

	if (r < 0)
		return mg_error_set(err, r, "emulator: %s", strerror(-r));
	r = make_core(err);
	for (int i = 0; r >= 0 && i < t->scenario->n_towers; i++)
		r = make_tower(t, i, err);
	for (int i = 0; r >= 0 && i < t->n_towers; i++)
		r = join_overlay(t, i, err);
	return r < 0 ? r : make_phone(t, err);
}

int topology_new(const struct scenario *s, struct topology **ret, struct mg_error *err)
{
	struct topology *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return mg_error_set(err, -ENOMEM, "out of memory");
	t->scenario = s;
	t->phone_netns = -1;
	r = build(t, err);
	if (r < 0) {
		topology_free(t);
		return r;
	}
	*ret = t;
	return 0;
}

void topology_free(struct topology *t)
{
	if (!t)
		return;
	linkem_free(t->emulator);
	for (int i = 0; i < t->n_towers; i++)
		close(t->towers[i].netns);
	if (t->phone_netns >= 0)
		close(t->phone_netns);
	free(t);
}

const char *topology_underlay(const struct topology *t, int tower)
{
	return t->towers[tower].underlay;
}

const char *topology_overlay(const struct topology *t, int tower)
{
	return t->towers[tower].overlay;
}

int topology_tower_netns(const struct topology *t, int tower)
{
	return t->towers[tower].netns;
}

int topology_phone_netns(const struct topology *t)
{
	return t->phone_netns;
}

void topology_set_radio(struct topology *t, const struct link_params *params)
{
	linkem_set(t->emulator, t->radio, params);
}

/* A gratuitous ARP request (RFC 5227, section 3): every bridge learns where the
 * phone is now. */
static int announce(struct topology *t)
{
	_cleanup_close_ int fd = netns_socket(t->phone_netns, AF_PACKET, SOCK_RAW, 0);
	struct ifreq request = { .ifr_name = "radio0" };
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_halen = ETH_ALEN };
	struct {
		struct ether_header ether;
		struct ether_arp arp;
	} __attribute__((packed)) frame = { 0 };

	if (fd < 0)
		return fd;
	if (ioctl(fd, SIOCGIFINDEX, &request) < 0)
		return -errno;
	to.sll_ifindex = request.ifr_ifindex;
	if (ioctl(fd, SIOCGIFHWADDR, &request) < 0)
		return -errno;
	memset(frame.ether.ether_dhost, 0xff, ETH_ALEN);
	memcpy(frame.ether.ether_shost, request.ifr_hwaddr.sa_data, ETH_ALEN);
	frame.ether.ether_type = htons(ETHERTYPE_ARP);
	frame.arp.arp_hrd = htons(ARPHRD_ETHER);
	frame.arp.arp_pro = htons(ETHERTYPE_IP);
	frame.arp.arp_hln = ETH_ALEN;
	frame.arp.arp_pln = sizeof(struct in_addr);
	frame.arp.arp_op = htons(ARPOP_REQUEST);
	memcpy(frame.arp.arp_sha, frame.ether.ether_shost, ETH_ALEN);
	inet_pton(AF_INET, TOPOLOGY_PHONE, frame.arp.arp_spa);
	inet_pton(AF_INET, TOPOLOGY_PHONE, frame.arp.arp_tpa);
	memcpy(to.sll_addr, frame.ether.ether_dhost, ETH_ALEN);
	if (sendto(fd, &frame, sizeof(frame), 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		return -errno;
	return 0;
}

int topology_attach(struct topology *t, int tower, struct mg_error *err)
{
	char commands[128];
	int r;

	r = linkem_attach(t->emulator, t->radio, t->towers[tower].radio_port);
	if (r < 0)
		return mg_error_set(err, r, "attaching the phone: %s", strerror(-r));
	snprintf(commands, sizeof(commands), "route replace default via %s dev radio0\n",
		 t->towers[tower].overlay);
	r = netns_ip(PHONE_NETNS, commands, err);
	if (r < 0)
		return r;
	r = announce(t);
	return r < 0 ? mg_error_set(err, r, "announcing the phone: %s", strerror(-r)) : 0;
}

static void add_report(struct topology *t, int link, struct topology_report *sum)
{
	struct link_report r;
	uint64_t frames;

	linkem_report(t->emulator, link, &r);
	frames = r.out.frames + r.back.frames;
	/* late_mean_ns holds the sum until the end. */
	sum->late_mean_ns += r.late_mean_ns * frames;
	if (r.late_max_ns > sum->late_max_ns)
		sum->late_max_ns = r.late_max_ns;
	sum->frames += frames;
	sum->bytes += r.out.bytes + r.back.bytes;
	sum->lost += r.out.lost + r.back.lost;
	sum->dropped += r.out.dropped + r.back.dropped;
}

void topology_report(struct topology *t, struct topology_report *ret)
{
	*ret = (struct topology_report){ 0 };
	for (int i = 0; i < t->n_towers; i++)
		add_report(t, t->towers[i].uplink, ret);
	add_report(t, t->radio, ret);
	if (ret->frames)
		ret->late_mean_ns /= ret->frames;
}

