/* SPDX-License-Identifier: Apache-2.0
 *
 * The message bus: ZeroMQ sockets that carry Envelopes, served by an sd-event
 * loop, with CURVE on every one of them.
 *
 * Who may speak is decided by key: a listening socket admits only the keys of
 * its allow list (ZAP, rfc.zeromq.org/spec/27), and what arrives carries the
 * role and name that the list gives to that key. An Envelope whose `sender` is
 * another name is refused.
 *
 * Nothing is queued for a peer that is not connected: bus_send() then returns
 * -EAGAIN (DEALER, PUB) or -EHOSTUNREACH (ROUTER), and whoever needs the message
 * delivered repeats it until it is answered. Messages can also be lost when a
 * connection breaks, so every exchange is idempotent.
 */
#ifndef COMMON_BUS_H
#define COMMON_BUS_H

#include <systemd/sd-event.h>

#include "common/envelope.h"
#include "common/keys.h"
#include "common/uuid.h"

struct bus;
struct bus_socket;

struct bus_config {
	const char *name;               /* ours, in every Envelope; copied */
	const struct keypair *keys;     /* copied; NULL only with plain_text */
	const struct allow_list *allow; /* borrowed while the bus lives; NULL admits nobody */
	bool plain_text;                /* no CURVE; the caller has warned */

	/* Told why something that a server sent us was refused; NULL: it is logged. */
	void (*on_garbage)(const struct mg_error *why, void *userdata);
	void *on_garbage_data;
};

/* A peer as it is known on one listening socket. The route is valid while that
 * connection lives; copy the struct to answer later. */
struct bus_peer {
	enum peer_role role;
	char name[PEER_NAME_SIZE];
	char address[48]; /* that its connection comes from, without a port; "" if not known */
	uint8_t route[32];
	size_t route_len;
};

/* `from` is NULL on sockets that we connected: there the server's key is
 * known and checked by CURVE. The Envelope is freed after the call. */
typedef void (*bus_receive_fn)(struct bus_socket *s, const struct bus_peer *from,
			       const Envelope *e, void *userdata);

int bus_new(sd_event *loop, const struct bus_config *config, struct bus **ret,
	    struct mg_error *err);

/* From now on this list says who may connect. A connection that was let in with a key that is
 * not on it any more, or under another name or role, is heard no longer. `allow` is borrowed as
 * in bus_config. */
void bus_set_allow(struct bus *bus, const struct allow_list *allow);

/* Closes its sockets too. */
void bus_free(struct bus *bus);
DEFINE_CLEANUP(struct bus, bus_free)

const char *bus_name(const struct bus *bus);

/* Our public key in Z85, "" in plain text. */
const char *bus_public_key(const struct bus *bus);

/* How long a socket waits for an address that is in use. */
#define BUS_BIND_PATIENCE_NS (3 * NS_PER_S)

enum bus_listen_kind { BUS_ROUTER, BUS_SUB };
enum bus_connect_kind { BUS_DEALER, BUS_PUB };

/* Endpoints are ZeroMQ's: "tcp://127.0.0.1:7000", "ipc:///run/…". A listening
 * "tcp://…:*" takes a free port; bus_endpoint() tells which. */
int bus_listen(struct bus *bus, enum bus_listen_kind kind, const char *endpoint, bus_receive_fn fn,
	       void *userdata, struct bus_socket **ret, struct mg_error *err);
int bus_connect(struct bus *bus, enum bus_connect_kind kind, const char *endpoint,
		const char *server_key, bus_receive_fn fn, void *userdata,
		struct bus_socket **ret, struct mg_error *err);

/* Frees the socket; what was not sent yet is dropped. Safe inside its own
 * receive function. */
void bus_socket_free(struct bus_socket *s);

const char *bus_endpoint(const struct bus_socket *s);

/* Sends an Envelope of which the caller has set only the body (and epoch);
 * version, sender, boot_id and seq are filled in here. `to` is for ROUTER.
 * Returns the seq (> 0) or a negative errno. */
int64_t bus_send(struct bus_socket *s, const struct bus_peer *to, const Envelope *e);

/* The same as an answer to `request`. */
int64_t bus_reply(struct bus_socket *s, const struct bus_peer *to, const Envelope *request,
		  Envelope *e);

/* Answers Failure or Done. */
int64_t bus_reply_failure(struct bus_socket *s, const struct bus_peer *to, const Envelope *request,
			  const struct mg_error *err);
int64_t bus_reply_done(struct bus_socket *s, const struct bus_peer *to, const Envelope *request);

#endif
