/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/link.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sodium.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/address.h"
#include "common/cleanup.h"
#include "common/cursor.h"
#include "migrator/frame.h"

#define NOTSENT_LOWAT (128 << 10) /* bytes */
#define USER_TIMEOUT_MS 10000
#define KEEPALIVE_IDLE_S 3
#define KEEPALIVE_INTERVAL_S 2
#define KEEPALIVE_COUNT 4
#define RANDOM_SIZE 16

_Static_assert(sizeof(((struct uuid *)0)->bytes) + 4 + 4 + 8 + RANDOM_SIZE == LINK_HELLO_PAYLOAD,
	       "HELLO");

/* The payload of HELLO and WELCOME. */
struct greeting {
	struct uuid move;
	uint32_t incarnation;
	uint32_t ciphers; /* bits: those on offer, or the one that was picked */
	uint64_t ram_bytes;
	uint8_t random[RANDOM_SIZE];
	/* in the frame's header */
	uint16_t stream;
	uint64_t taken; /* WELCOME */
};

bool link_is_gone(int res)
{
	return res == -EPIPE || res == -ECONNRESET;
}

void link_tune_socket(int fd)
{
	static const struct {
		int level, name, value;
	} options[] = {
		{ IPPROTO_TCP, TCP_NODELAY, 1 },
		{ IPPROTO_TCP, TCP_NOTSENT_LOWAT, NOTSENT_LOWAT },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS },
		{ IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S },
		{ IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S },
		{ IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT },
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
	};
	int flags = fcntl(fd, F_GETFL);

	/* a socket that knows one of them not still carries frames */
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		(void)setsockopt(fd, options[i].level, options[i].name, &options[i].value,
				 sizeof(options[i].value));
	if (flags >= 0)
		(void)fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
}

int link_connect(const char *endpoint)
{
	struct address a;
	int fd, r;

	if (address_parse(endpoint, 0, &a) < 0)
		return -EINVAL;
	fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, &a.any, address_len(&a)) < 0 && errno != EINPROGRESS) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

/* ---- Greetings ---------------------------------------------------------------- */

static void greeting_tag(const uint8_t key[LINK_KEY_SIZE], const uint8_t *wire,
			 uint8_t tag[FRAME_TRAILER_SIZE])
{
	crypto_generichash(tag, FRAME_TRAILER_SIZE, wire, FRAME_HEADER_SIZE + LINK_HELLO_PAYLOAD,
			   key, LINK_KEY_SIZE);
}

static void greeting_write(enum frame_type type, const struct greeting *g,
			   const uint8_t key[LINK_KEY_SIZE], uint8_t *out)
{
	const struct frame_header h = { .type = type,
					.stream = g->stream,
					.length = LINK_HELLO_PAYLOAD,
					.acknowledged = g->taken };
	struct wcursor c = wcursor_over(out + FRAME_HEADER_SIZE, LINK_HELLO_PAYLOAD);

	frame_header_encode(&h, out);
	wcursor_bytes(&c, g->move.bytes, sizeof(g->move.bytes));
	wcursor_u32(&c, g->incarnation);
	wcursor_u32(&c, g->ciphers);
	wcursor_u64(&c, g->ram_bytes);
	wcursor_bytes(&c, g->random, sizeof(g->random));
	greeting_tag(key, out, out + FRAME_HEADER_SIZE + LINK_HELLO_PAYLOAD);
}

/* All but the tag. */
static int greeting_read(const uint8_t *wire, enum frame_type type, struct greeting *ret,
			 struct mg_error *err)
{
	struct rcursor c = rcursor_over(wire + FRAME_HEADER_SIZE, LINK_HELLO_PAYLOAD);
	struct frame_header h;
	int r = frame_header_decode(wire, &h, err);

	if (r < 0)
		return r;
	if (h.type != type || h.sequence != 0 ||
	    (h.acknowledged != 0 && type == FRAME_HELLO))
		return mg_error_set(err, -EPROTO, "%s expected, got %s with sequence %" PRIu64,
				    frame_type_name(type), frame_type_name(h.type), h.sequence);
	memcpy(ret->move.bytes, rcursor_bytes(&c, sizeof(ret->move.bytes)),
	       sizeof(ret->move.bytes));
	ret->incarnation = rcursor_u32(&c);
	ret->ciphers = rcursor_u32(&c);
	ret->ram_bytes = rcursor_u64(&c);
	memcpy(ret->random, rcursor_bytes(&c, RANDOM_SIZE), RANDOM_SIZE);
	ret->stream = h.stream;
	ret->taken = h.acknowledged;
	return 0;
}

/* With the tag, and against what this end expects. */
static int greeting_check(const struct link_config *config, const uint8_t *wire,
			  enum frame_type type, struct greeting *ret, struct mg_error *err)
{
	uint8_t tag[FRAME_TRAILER_SIZE];
	struct greeting g;
	int r = greeting_read(wire, type, &g, err);

	if (r < 0)
		return r;
	greeting_tag(config->key, wire, tag);
	if (sodium_memcmp(tag, wire + FRAME_HEADER_SIZE + LINK_HELLO_PAYLOAD, sizeof(tag)) != 0)
		return mg_error_set(err, -EACCES, "%s does not carry the session key's tag",
				    frame_type_name(type));
	if (memcmp(&g.move, &config->move, sizeof(g.move)) != 0 ||
	    g.incarnation != config->incarnation)
		return mg_error_set(err, -EPROTO, "%s of another move, or of connection %" PRIu32
				    " instead of %" PRIu32, frame_type_name(type), g.incarnation,
				    config->incarnation);
	if (g.stream != config->stream)
		return mg_error_set(err, -EPROTO, "%s of stream %u instead of %u",
				    frame_type_name(type), g.stream, config->stream);
	*ret = g;
	return 0;
}

static void derive(const struct link_config *config, enum seal_cipher cipher,
		   const uint8_t *hello, const uint8_t *welcome, struct link_keys *ret)
{
	crypto_generichash_state state;

	crypto_generichash_init(&state, config->key, LINK_KEY_SIZE, sizeof(ret->secret));
	crypto_generichash_update(&state, hello, LINK_HELLO_SIZE);
	crypto_generichash_update(&state, welcome, LINK_HELLO_SIZE);
	crypto_generichash_final(&state, ret->secret, sizeof(ret->secret));
	explicit_bzero(&state, sizeof(state));
	ret->cipher = cipher;
}

int link_make_hello(const struct link_config *config, uint64_t ram_bytes,
		    uint8_t out[LINK_HELLO_SIZE], struct mg_error *err)
{
	struct greeting g = { .move = config->move,
			      .stream = config->stream,
			      .incarnation = config->incarnation,
			      .ciphers = seal_ciphers_available(),
			      .ram_bytes = ram_bytes };

	if (!g.ciphers)
		return mg_error_set(err, -EOPNOTSUPP, "libsodium does not start");
	if (config->plain_text)
		g.ciphers = SEAL_PLAIN;
	randombytes_buf(g.random, sizeof(g.random));
	greeting_write(FRAME_HELLO, &g, config->key, out);
	return 0;
}

static enum seal_cipher pick(uint32_t offered, uint32_t wanted)
{
	static const enum seal_cipher best_first[] = { SEAL_AES256_GCM, SEAL_CHACHA20_POLY1305,
						       SEAL_PLAIN };

	for (size_t i = 0; i < ARRAY_SIZE(best_first); i++)
		if (offered & wanted & best_first[i])
			return best_first[i];
	return 0;
}

int link_answer_hello(const struct link_config *config, uint64_t ram_bytes, uint64_t taken,
		      const uint8_t hello[LINK_HELLO_SIZE], uint8_t out[LINK_HELLO_SIZE],
		      struct link_keys *ret, struct mg_error *err)
{
	uint32_t wanted = seal_ciphers_available() | (config->plain_text ? SEAL_PLAIN : 0);
	enum seal_cipher cipher;
	struct greeting g;
	int r = greeting_check(config, hello, FRAME_HELLO, &g, err);

	if (r < 0)
		return r;
	if (g.ciphers == SEAL_PLAIN && !config->plain_text)
		return mg_error_set(err, -EACCES, "the source sends plain text, which this node's "
				    "configuration (plain_text_data) does not allow");
	cipher = pick(g.ciphers, wanted);
	if (!cipher)
		return mg_error_set(err, -EOPNOTSUPP, "no cipher in common (offered: %#" PRIx32 ")",
				    g.ciphers);
	if (g.ram_bytes != ram_bytes)
		return mg_error_set(err, -EINVAL, "the source's guest has %" PRIu64 " bytes of RAM, "
				    "the target's %" PRIu64, g.ram_bytes, ram_bytes);
	g.ciphers = cipher;
	g.taken = ret->taken = taken;
	randombytes_buf(g.random, sizeof(g.random));
	greeting_write(FRAME_WELCOME, &g, config->key, out);
	derive(config, cipher, hello, out, ret);
	return 0;
}

int link_check_welcome(const struct link_config *config, const uint8_t hello[LINK_HELLO_SIZE],
		       const uint8_t welcome[LINK_HELLO_SIZE], struct link_keys *ret,
		       struct mg_error *err)
{
	struct greeting ours, g;
	int r = greeting_read(hello, FRAME_HELLO, &ours, err);

	if (r >= 0)
		r = greeting_check(config, welcome, FRAME_WELCOME, &g, err);
	if (r < 0)
		return r;
	if (g.ram_bytes != ours.ram_bytes || pick(g.ciphers, ours.ciphers) != g.ciphers ||
	    g.ciphers == 0)
		return mg_error_set(err, -EPROTO, "WELCOME picks %#" PRIx32 " out of %#" PRIx32,
				    g.ciphers, ours.ciphers);
	derive(config, g.ciphers, hello, welcome, ret);
	ret->taken = g.taken;
	return 0;
}

int link_check_next(const struct link_config *config, const struct link_hello *hello,
		    struct mg_error *err)
{
	struct link_config next = *config;
	struct greeting g;
	int r = -EPROTO;

	next.incarnation = hello->incarnation;
	if (hello->incarnation <= config->incarnation)
		mg_error_set(err, r, "connection %" PRIu32 " after %" PRIu32, hello->incarnation,
			     config->incarnation);
	else
		r = greeting_check(&next, hello->bytes, FRAME_HELLO, &g, err);
	explicit_bzero(&next, sizeof(next));
	return r;
}

int link_read_hello(int fd, struct link_hello *hello, struct mg_error *err)
{
	struct frame_header h;
	struct greeting g;
	int r;

	while (hello->have < LINK_HELLO_SIZE) {
		ssize_t n = recv(fd, hello->bytes + hello->have, LINK_HELLO_SIZE - hello->have,
				 MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return -EAGAIN;
		if (n < 0)
			return mg_error_set(err, -errno, "%s", strerror(errno));
		if (n == 0)
			return mg_error_set(err, -ECONNRESET, "closed before its HELLO was whole");
		hello->have += (size_t)n;
		/* what is no frame of ours need not be waited for */
		if (hello->have >= FRAME_HEADER_SIZE) {
			r = frame_header_decode(hello->bytes, &h, err);
			if (r < 0)
				return r;
		}
	}
	r = greeting_read(hello->bytes, FRAME_HELLO, &g, err);
	if (r < 0)
		return r;
	hello->move = g.move;
	hello->stream = g.stream;
	hello->incarnation = g.incarnation;
	return 0;
}
