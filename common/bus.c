/* SPDX-License-Identifier: Apache-2.0 */
#include "common/bus.h"

#include <string.h>
#include <sys/queue.h>
#include <unistd.h>
#include <zmq.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/zmq_source.h"

#define ZAP_ENDPOINT "inproc://zeromq.zap.01"
#define ZAP_DOMAIN "tagalong"
#define V4_IN_V6 "::ffff:" /* how a socket of both tells of an IPv4 address */
#define HEARTBEAT_INTERVAL_MS 1000
#define HEARTBEAT_TIMEOUT_MS 3000
#define RECONNECT_MS 50
#define RECONNECT_MAX_MS 1000
#define QUEUE_MESSAGES 10000 /* high-water mark, each way */
#define BIND_PAUSE_US 50000

struct bus_socket {
	struct bus *bus;
	void *zmq;
	int type;
	struct zmq_source *source;
	bus_receive_fn fn;
	void *userdata;
	char endpoint[256];
	LIST_ENTRY(bus_socket) link;
};

struct bus {
	sd_event *loop;
	void *context;
	void *zap;
	struct zmq_source *zap_source;
	char name[PEER_NAME_SIZE];
	struct keypair keys;
	const struct allow_list *allow;
	bool allow_changed; /* connections may be older than the list */
	bool plain_text;
	void (*on_garbage)(const struct mg_error *why, void *userdata);
	void *on_garbage_data;
	struct uuid boot_id;
	uint64_t seq;
	uint64_t next_refusal_log_ns;
	LIST_HEAD(, bus_socket) sockets;
};

/* ---- Authentication (ZAP) ------------------------------------------------ */

enum zap_part {
	ZAP_ROUTE,
	ZAP_EMPTY,
	ZAP_VERSION,
	ZAP_REQUEST_ID,
	ZAP_DOMAIN_NAME,
	ZAP_ADDRESS,
	ZAP_IDENTITY,
	ZAP_MECHANISM,
	ZAP_KEY,
	ZAP_PARTS,
};

/* Receives all parts; returns how many there were, those past `max` dropped. */
static int receive_parts(void *socket, zmq_msg_t *parts, int max)
{
	int n = 0, more = 1;

	while (more) {
		zmq_msg_t extra, *m = n < max ? &parts[n] : &extra;

		zmq_msg_init(m);
		if (zmq_msg_recv(m, socket, ZMQ_DONTWAIT) < 0) {
			zmq_msg_close(m);
			return n;
		}
		more = zmq_msg_more(m);
		if (m == &extra)
			zmq_msg_close(m);
		n++;
	}
	return n;
}

static void close_parts(zmq_msg_t *parts, int n)
{
	for (int i = 0; i < n; i++)
		zmq_msg_close(&parts[i]);
}

static void zap_reply(struct bus *bus, zmq_msg_t *request, bool admit, const char *user)
{
	const struct {
		const void *data;
		size_t len;
	} parts[] = {
		{ zmq_msg_data(&request[ZAP_ROUTE]), zmq_msg_size(&request[ZAP_ROUTE]) },
		{ "", 0 },
		{ "1.0", 3 },
		{ zmq_msg_data(&request[ZAP_REQUEST_ID]), zmq_msg_size(&request[ZAP_REQUEST_ID]) },
		{ admit ? "200" : "400", 3 },
		{ admit ? "OK" : "unknown key", admit ? 2 : 11 },
		{ user, strlen(user) },
		{ "", 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		zmq_send(bus->zap, parts[i].data, parts[i].len,
			 ZMQ_DONTWAIT | (i + 1 < ARRAY_SIZE(parts) ? ZMQ_SNDMORE : 0));
}

/* A stranger that keeps knocking must not fill the log. */
static bool may_log_refusal(struct bus *bus)
{
	uint64_t now = clock_mono_ns();

	if (now < bus->next_refusal_log_ns)
		return false;
	bus->next_refusal_log_ns = now + NS_PER_S;
	return true;
}

static void on_zap(void *socket, void *userdata)
{
	struct bus *bus = userdata;
	zmq_msg_t parts[ZAP_PARTS];
	int n = receive_parts(socket, parts, ZAP_PARTS);
	enum peer_role role = PEER_ROLE_NONE;
	const char *name = "";
	char key[KEY_TEXT_SIZE] = "", user[PEER_NAME_SIZE + KEY_TEXT_SIZE + 16] = "";
	bool admit = false;

	if (n == ZAP_PARTS) {
		if (zmq_msg_size(&parts[ZAP_KEY]) == 32 &&
		    zmq_z85_encode(key, zmq_msg_data(&parts[ZAP_KEY]), 32))
			admit = bus->allow && allow_list_find(bus->allow, key, &role, &name);
		if (admit)
			snprintf(user, sizeof(user), "%s %s %s", peer_role_name(role), name, key);
		else if (may_log_refusal(bus))
			log_warning("bus", "key=%s address=%.*s connection refused: unknown key", key,
				    (int)zmq_msg_size(&parts[ZAP_ADDRESS]),
				    (const char *)zmq_msg_data(&parts[ZAP_ADDRESS]));
		zap_reply(bus, parts, admit, user);
	}
	close_parts(parts, n < ZAP_PARTS ? n : ZAP_PARTS);
}

static int zap_start(struct bus *bus)
{
	bus->zap = zmq_socket(bus->context, ZMQ_ROUTER);
	if (!bus->zap || zmq_bind(bus->zap, ZAP_ENDPOINT) < 0)
		return -zmq_errno();
	return zmq_source_new(bus->loop, bus->zap, on_zap, bus, &bus->zap_source);
}

/* ---- The bus ---------------------------------------------------------------- */

int bus_new(sd_event *loop, const struct bus_config *config, struct bus **ret, struct mg_error *err)
{
	_cleanup_(bus_free_p) struct bus *bus = calloc(1, sizeof(*bus));
	int r;

	if (!bus)
		return mg_error_set(err, -ENOMEM, "out of memory");
	LIST_INIT(&bus->sockets);
	bus->loop = sd_event_ref(loop);
	bus->allow = config->allow;
	bus->plain_text = config->plain_text;
	bus->on_garbage = config->on_garbage;
	bus->on_garbage_data = config->on_garbage_data;
	bus->boot_id = uuid_random();
	/* Not from 1 on: late answers to a program of this name that was here before are none to us. */
	memcpy(&bus->seq, bus->boot_id.bytes, 5);
	snprintf(bus->name, sizeof(bus->name), "%s", config->name);
	if (!bus->plain_text) {
		if (!config->keys)
			return mg_error_set(err, -EINVAL, "a secret key is needed");
		bus->keys = *config->keys;
	}
	bus->context = zmq_ctx_new();
	if (!bus->context)
		return mg_error_set(err, -zmq_errno(), "ZeroMQ: %s", zmq_strerror(zmq_errno()));
	r = bus->plain_text ? 0 : zap_start(bus);
	if (r < 0)
		return mg_error_set(err, r, "ZeroMQ authentication: %s", zmq_strerror(-r));
	*ret = TAKE_PTR(bus);
	return 0;
}

void bus_set_allow(struct bus *bus, const struct allow_list *allow)
{
	bus->allow = allow;
	bus->allow_changed = true;
}

void bus_free(struct bus *bus)
{
	if (!bus)
		return;
	while (!LIST_EMPTY(&bus->sockets))
		bus_socket_free(LIST_FIRST(&bus->sockets));
	zmq_source_free(bus->zap_source);
	if (bus->zap)
		zmq_close(bus->zap);
	if (bus->context)
		zmq_ctx_term(bus->context);
	sd_event_unref(bus->loop);
	explicit_bzero(&bus->keys, sizeof(bus->keys));
	free(bus);
}

const char *bus_name(const struct bus *bus)
{
	return bus->name;
}

const char *bus_public_key(const struct bus *bus)
{
	return bus->keys.public_key;
}

/* ---- Receiving ---------------------------------------------------------------- */

static bool is_still_allowed(const struct bus *bus, const struct bus_peer *peer, const char *key)
{
	enum peer_role role;
	const char *name;

	return !bus->allow_changed ||
	       (bus->allow && allow_list_find(bus->allow, key, &role, &name) &&
		role == peer->role && strcmp(name, peer->name) == 0);
}

/* What the connection was let in as; false: it would not be any more. */
static bool peer_from_message(struct bus *bus, zmq_msg_t *m, struct bus_peer *peer)
{
	const char *user = bus->plain_text ? NULL : zmq_msg_gets(m, "User-Id");
	const char *address = zmq_msg_gets(m, "Peer-Address");
	char role[16], key[KEY_TEXT_SIZE];

	if (address && strncmp(address, V4_IN_V6, sizeof(V4_IN_V6) - 1) == 0)
		address += sizeof(V4_IN_V6) - 1;
	snprintf(peer->address, sizeof(peer->address), "%s", address ? address : "");
	peer->role = PEER_ROLE_NONE;
	if (!user || sscanf(user, "%15s %63s %40s", role, peer->name, key) != 3)
		return bus->plain_text;
	(void)peer_role_parse(role, &peer->role);
	return is_still_allowed(bus, peer, key);
}

static void refuse(struct bus_socket *s, const struct bus_peer *from, const Envelope *e,
		   const struct mg_error *err)
{
	if (!from && s->bus->on_garbage)
		s->bus->on_garbage(err, s->bus->on_garbage_data);
	else if (may_log_refusal(s->bus))
		log_warning("bus", "endpoint=%s peer=%s message refused: %s", s->endpoint,
			    from ? from->name : "server", err->text);
	if (s->type == ZMQ_ROUTER)
		bus_reply_failure(s, from, e, err);
}

static void receive_one(struct bus_socket *s, const struct bus_peer *from, bool allowed,
			zmq_msg_t *body)
{
	struct mg_error err = { 0 };
	_cleanup_envelope_ Envelope *e =
		envelope_unpack(zmq_msg_data(body), zmq_msg_size(body), &err);

	if (!allowed) {
		mg_error_set(&err, -EACCES, "this key may not speak here any more");
		refuse(s, from, e, &err);
		return;
	}
	if (!e) {
		refuse(s, from, NULL, &err);
		return;
	}
	if (from && from->name[0] && strcmp(from->name, e->sender) != 0) {
		mg_error_set(&err, -EACCES, "sender '%.64s' is not the owner of this key (%s)",
			     e->sender, from->name);
		refuse(s, from, e, &err);
		return;
	}
	s->fn(s, from, e, s->userdata);
}

/* One message a call: the loop comes back while there are more, and the
 * receive function may have freed the socket. */
static void on_readable(void *socket, void *userdata)
{
	struct bus_socket *s = userdata;
	bool routed = s->type == ZMQ_ROUTER;
	zmq_msg_t parts[2];
	struct bus_peer peer = { 0 };
	int want = routed ? 2 : 1, n = receive_parts(socket, parts, 2);

	if (n == want) {
		if (routed && zmq_msg_size(&parts[0]) <= sizeof(peer.route)) {
			peer.route_len = zmq_msg_size(&parts[0]);
			memcpy(peer.route, zmq_msg_data(&parts[0]), peer.route_len);
		}
		if (routed || s->type == ZMQ_SUB) {
			bool allowed = peer_from_message(s->bus, &parts[n - 1], &peer);

			receive_one(s, &peer, allowed, &parts[n - 1]);
		} else {
			receive_one(s, NULL, true, &parts[0]);
		}
	}
	close_parts(parts, n < 2 ? n : 2);
}

/* ---- Sockets ------------------------------------------------------------------- */

static int set_int(void *socket, int option, int value)
{
	return zmq_setsockopt(socket, option, &value, sizeof(value)) < 0 ? -zmq_errno() : 0;
}

static int set_common_options(struct bus_socket *s)
{
	const struct {
		int option, value;
	} options[] = {
		{ ZMQ_LINGER, 0 },
		{ ZMQ_IMMEDIATE, 1 },
		{ ZMQ_IPV6, 1 },
		{ ZMQ_SNDHWM, QUEUE_MESSAGES },
		{ ZMQ_RCVHWM, QUEUE_MESSAGES },
		{ ZMQ_HEARTBEAT_IVL, HEARTBEAT_INTERVAL_MS },
		{ ZMQ_HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS },
		{ ZMQ_RECONNECT_IVL, RECONNECT_MS },
		{ ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS },
	};
	int64_t max = (int64_t)ENVELOPE_MAX;
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(options) && r == 0; i++)
		r = set_int(s->zmq, options[i].option, options[i].value);
	if (r == 0 && zmq_setsockopt(s->zmq, ZMQ_MAXMSGSIZE, &max, sizeof(max)) < 0)
		r = -zmq_errno();
	if (r == 0 && s->type == ZMQ_ROUTER)
		r = set_int(s->zmq, ZMQ_ROUTER_MANDATORY, 1);
	if (r == 0 && s->type == ZMQ_SUB && zmq_setsockopt(s->zmq, ZMQ_SUBSCRIBE, "", 0) < 0)
		r = -zmq_errno();
	return r;
}

static int set_curve(struct bus_socket *s, const char *server_key)
{
	struct bus *bus = s->bus;

	if (bus->plain_text)
		return 0;
	if (server_key) {
		if (zmq_setsockopt(s->zmq, ZMQ_CURVE_SERVERKEY, server_key, KEY_TEXT_SIZE) < 0 ||
		    zmq_setsockopt(s->zmq, ZMQ_CURVE_PUBLICKEY, bus->keys.public_key, KEY_TEXT_SIZE) < 0)
			return -zmq_errno();
	} else if (set_int(s->zmq, ZMQ_CURVE_SERVER, 1) < 0 ||
		   zmq_setsockopt(s->zmq, ZMQ_ZAP_DOMAIN, ZAP_DOMAIN, strlen(ZAP_DOMAIN)) < 0) {
		return -zmq_errno();
	}
	if (zmq_setsockopt(s->zmq, ZMQ_CURVE_SECRETKEY, bus->keys.secret_key, KEY_TEXT_SIZE) < 0)
		return -zmq_errno();
	return 0;
}

static int socket_new(struct bus *bus, int type, const char *endpoint, const char *server_key,
		      bus_receive_fn fn, void *userdata, struct bus_socket **ret,
		      struct mg_error *err)
{
	struct bus_socket *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return mg_error_set(err, -ENOMEM, "out of memory");
	*s = (struct bus_socket){ .bus = bus, .type = type, .fn = fn, .userdata = userdata };
	snprintf(s->endpoint, sizeof(s->endpoint), "%s", endpoint);
	LIST_INSERT_HEAD(&bus->sockets, s, link);
	s->zmq = zmq_socket(bus->context, type);
	r = s->zmq ? set_common_options(s) : -zmq_errno();
	if (r == 0)
		r = set_curve(s, server_key);
	if (r == 0 && type != ZMQ_PUB)
		r = zmq_source_new(bus->loop, s->zmq, on_readable, s, &s->source);
	if (r < 0) {
		bus_socket_free(s);
		return mg_error_set(err, r, "%s: %s", endpoint, zmq_strerror(-r));
	}
	*ret = s;
	return 0;
}

/* A daemon that was killed holds its sockets until its last thread is gone, and the one
 * that takes its place may be faster. */
static int bind_patiently(void *zmq, const char *endpoint)
{
	uint64_t end = clock_mono_ns() + BUS_BIND_PATIENCE_NS;
	int r;

	while ((r = zmq_bind(zmq, endpoint) < 0 ? -zmq_errno() : 0) == -EADDRINUSE &&
	       clock_mono_ns() < end)
		usleep(BIND_PAUSE_US);
	return r;
}

int bus_listen(struct bus *bus, enum bus_listen_kind kind, const char *endpoint, bus_receive_fn fn,
	       void *userdata, struct bus_socket **ret, struct mg_error *err)
{
	int type = kind == BUS_ROUTER ? ZMQ_ROUTER : ZMQ_SUB;
	struct bus_socket *s;
	size_t len = sizeof(s->endpoint);
	int r;

	r = socket_new(bus, type, endpoint, NULL, fn, userdata, &s, err);
	if (r < 0)
		return r;
	r = bind_patiently(s->zmq, endpoint);
	if (r < 0) {
		bus_socket_free(s);
		return mg_error_set(err, r, "cannot listen on %s: %s", endpoint, zmq_strerror(-r));
	}
	zmq_getsockopt(s->zmq, ZMQ_LAST_ENDPOINT, s->endpoint, &len);
	*ret = s;
	return 0;
}

int bus_connect(struct bus *bus, enum bus_connect_kind kind, const char *endpoint,
		const char *server_key, bus_receive_fn fn, void *userdata, struct bus_socket **ret,
		struct mg_error *err)
{
	int type = kind == BUS_DEALER ? ZMQ_DEALER : ZMQ_PUB;
	struct bus_socket *s;
	int r;

	if (!bus->plain_text && (!server_key || strlen(server_key) != KEY_TEXT_SIZE - 1))
		return mg_error_set(err, -EINVAL, "%s: the server's public key is needed", endpoint);
	r = socket_new(bus, type, endpoint, server_key, fn, userdata, &s, err);
	if (r < 0)
		return r;
	if (zmq_connect(s->zmq, endpoint) < 0) {
		r = -zmq_errno();
		bus_socket_free(s);
		return mg_error_set(err, r, "cannot connect to '%s': %s", endpoint, zmq_strerror(-r));
	}
	*ret = s;
	return 0;
}

void bus_socket_free(struct bus_socket *s)
{
	if (!s)
		return;
	LIST_REMOVE(s, link);
	zmq_source_free(s->source);
	if (s->zmq)
		zmq_close(s->zmq);
	free(s);
}

const char *bus_endpoint(const struct bus_socket *s)
{
	return s->endpoint;
}

/* ---- Sending --------------------------------------------------------------------- */

int64_t bus_send(struct bus_socket *s, const struct bus_peer *to, const Envelope *e)
{
	struct bus *bus = s->bus;
	_cleanup_free_ uint8_t *data = NULL;
	Envelope complete = *e; /* the caller may free its own with all that is in it */
	size_t len;
	int r;

	complete.version = ENVELOPE_VERSION;
	complete.sender = bus->name;
	complete.boot_id = (ProtobufCBinaryData){ .len = UUID_SIZE, .data = bus->boot_id.bytes };
	complete.seq = bus->seq + 1;
	r = envelope_pack(&complete, &data, &len);
	if (r < 0)
		return r;
	if (s->type == ZMQ_ROUTER &&
	    zmq_send(s->zmq, to->route, to->route_len, ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0)
		return -zmq_errno();
	if (zmq_send(s->zmq, data, len, ZMQ_DONTWAIT) < 0)
		return -zmq_errno();
	return (int64_t)++bus->seq;
}

int64_t bus_reply(struct bus_socket *s, const struct bus_peer *to, const Envelope *request,
		  Envelope *e)
{
	if (request) {
		e->has_reply_to = true;
		e->reply_to = request->seq;
	}
	return bus_send(s, to, e);
}

int64_t bus_reply_failure(struct bus_socket *s, const struct bus_peer *to, const Envelope *request,
			  const struct mg_error *err)
{
	Tagalong__Failure failure = TAGALONG__FAILURE__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	char text[sizeof(err->text)];

	snprintf(text, sizeof(text), "%s", err->text);
	failure.code = err->code < 0 ? -err->code : EIO;
	failure.text = text;
	e.body_case = TAGALONG__ENVELOPE__BODY_FAILURE;
	e.failure = &failure;
	return bus_reply(s, to, request, &e);
}

int64_t bus_reply_done(struct bus_socket *s, const struct bus_peer *to, const Envelope *request)
{
	Tagalong__Done done = TAGALONG__DONE__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	e.body_case = TAGALONG__ENVELOPE__BODY_DONE;
	e.done = &done;
	return bus_reply(s, to, request, &e);
}
