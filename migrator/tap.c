/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/tap.h"

#include <fcntl.h>
#include <linux/if_bridge.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/ether.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/cleanup.h"

#define TAP_NAME "tgl%d" /* the kernel puts in a number */
#define TAP_PREFIX "tgl"
#define FDB_CHUNK 256
#define FDB_MAX 65536 /* addresses that are looked through */
#define PORTS_MAX 1024

static int make_tap(struct ifreq *ifr, int *ret_fd)
{
	_cleanup_close_ int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	strcpy(ifr->ifr_name, TAP_NAME);
	ifr->ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	if (ioctl(fd, TUNSETIFF, ifr) < 0)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* A bridge takes the lowest address of its ports as its own: with fe: in front
 * it stays what it was when a guest comes. */
static int set_address(int control, const struct ifreq *tap, const char *mac)
{
	struct ifreq ifr = *tap;
	struct ether_addr address;

	if (!ether_aton_r(mac, &address))
		return -EINVAL;
	ifr.ifr_hwaddr.sa_family = ARPHRD_ETHER;
	memcpy(ifr.ifr_hwaddr.sa_data, &address, sizeof(address));
	ifr.ifr_hwaddr.sa_data[0] = (char)0xfe;
	return ioctl(control, SIOCSIFHWADDR, &ifr) < 0 ? -errno : 0;
}

static int add_to_bridge(int control, const struct ifreq *tap, const char *bridge)
{
	struct ifreq ifr = { 0 };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", bridge);
	ifr.ifr_ifindex = (int)if_nametoindex(tap->ifr_name);
	return ioctl(control, SIOCBRADDIF, &ifr) < 0 ? -errno : 0;
}

static int bring_up(int control, const struct ifreq *tap)
{
	struct ifreq ifr = *tap;

	if (ioctl(control, SIOCGIFFLAGS, &ifr) < 0)
		return -errno;
	ifr.ifr_flags |= IFF_UP;
	return ioctl(control, SIOCSIFFLAGS, &ifr) < 0 ? -errno : 0;
}

int tap_open(const char *bridge, const char *mac, int *ret_fd, struct mg_error *err)
{
	_cleanup_close_ int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), fd = -1;
	struct ifreq tap = { 0 };
	int r;

	if (control < 0)
		return mg_error_set(err, -errno, "a tap device: %s", strerror(errno));
	if (!if_nametoindex(bridge))
		return mg_error_set(err, -ENODEV, "there is no bridge '%s' on this host", bridge);
	r = make_tap(&tap, &fd);
	if (r < 0)
		return mg_error_set(err, r, "a tap device by /dev/net/tun: %s%s", strerror(-r),
				    r == -EPERM ? " (CAP_NET_ADMIN is needed)" : "");
	r = set_address(control, &tap, mac);
	if (r < 0)
		return mg_error_set(err, r, "%s, address: %s", tap.ifr_name, strerror(-r));
	r = add_to_bridge(control, &tap, bridge);
	if (r < 0)
		return mg_error_set(err, r, "adding %s to bridge '%s': %s", tap.ifr_name, bridge,
				    r == -EOPNOTSUPP ? "it is not a bridge" : strerror(-r));
	r = bring_up(control, &tap);
	if (r < 0)
		return mg_error_set(err, r, "bringing %s up: %s", tap.ifr_name, strerror(-r));
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* What the bridge is asked, and what was asked before netlink: it needs neither a socket of its own
 * kind nor sysfs, which may be that of another network namespace (linux/if_bridge.h). */
static int ask_bridge(int control, const char *bridge, unsigned long what, void *data,
		      unsigned long size, unsigned long offset)
{
	unsigned long arguments[4] = { what, (unsigned long)(uintptr_t)data, size, offset };
	struct ifreq ifr = { 0 };
	int r;

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", bridge);
	ifr.ifr_data = (char *)arguments;
	r = ioctl(control, SIOCDEVPRIVATE, &ifr);
	return r < 0 ? -errno : r;
}

/* The port that the bridge has learnt the address at; -ENOENT: none. */
static int find_port(int control, const char *bridge, const struct ether_addr *mac)
{
	struct __fdb_entry entries[FDB_CHUNK];

	for (unsigned long offset = 0; offset < FDB_MAX;) {
		int n = ask_bridge(control, bridge, BRCTL_GET_FDB_ENTRIES, entries, FDB_CHUNK, offset);

		if (n <= 0)
			return n < 0 ? n : -ENOENT;
		for (int i = 0; i < n; i++)
			if (!entries[i].is_local && memcmp(entries[i].mac_addr, mac, sizeof(*mac)) == 0)
				return entries[i].port_no | entries[i].port_hi << 8;
		offset += (unsigned long)n;
	}
	return -ENOENT;
}

int tap_is_learnt(const char *bridge, const char *mac)
{
	_cleanup_close_ int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char name[IF_NAMESIZE] = "";
	struct ether_addr address;
	int ports[PORTS_MAX] = { 0 };
	int port, r;

	if (control < 0 || !ether_aton_r(mac, &address))
		return control < 0 ? -errno : -EINVAL;
	port = find_port(control, bridge, &address);
	if (port < 0)
		return port == -ENOENT ? 0 : port;
	r = ask_bridge(control, bridge, BRCTL_GET_PORT_LIST, ports, PORTS_MAX, 0);
	if (r < 0)
		return r;
	return port < PORTS_MAX && if_indextoname((unsigned)ports[port], name) &&
	       strncmp(name, TAP_PREFIX, strlen(TAP_PREFIX)) == 0;
}
