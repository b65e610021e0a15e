/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/probe_packet.h"

#include <errno.h>

#include "telemetry/echo.h"

bool probe_channel_is_echo(enum prober_channel channel)
{
	return channel == PROBER_ECHO_V4 || channel == PROBER_ECHO_V6;
}

enum prober_channel probe_channel_to(const struct address *a)
{
	if (a->any.sa_family == AF_INET6)
		return address_port(a) ? PROBER_STAMP_V6 : PROBER_ECHO_V6;
	return address_port(a) ? PROBER_STAMP_V4 : PROBER_ECHO_V4;
}

size_t probe_packet_base(enum prober_channel channel, bool authenticated)
{
	if (probe_channel_is_echo(channel))
		return ECHO_SIZE;
	return authenticated ? STAMP_AUTH_SIZE : STAMP_SIZE;
}

size_t probe_packet_size(enum prober_channel channel, bool authenticated,
			 const struct probe_tlvs *tlvs)
{
	size_t base = probe_packet_base(channel, authenticated);

	return probe_channel_is_echo(channel) ? base : base + tlvs->len;
}

void probe_packet_pack(enum prober_channel channel, const struct probe_identity *who,
		       const struct stamp_request *request, uint8_t *packet)
{
	struct echo e = {
		.identifier = who->echo_identifier,
		.sequence = request->sequence,
		.t1 = request->t1,
	};

	if (probe_channel_is_echo(channel)) {
		e.token = echo_token(who->echo_key, who->device, &e);
		echo_request_pack(&e, channel == PROBER_ECHO_V6, packet);
		return;
	}
	if (who->authenticated)
		stamp_auth_request_pack(request, who->stamp_key, packet);
	else
		stamp_request_pack(request, packet);
	if (who->tlvs->len)
		probe_tlvs_write(who->tlvs, request->sequence, who->stamp_key,
				 packet + probe_packet_base(channel, who->authenticated));
}

int probe_packet_peek(enum prober_channel channel, bool authenticated, const uint8_t *packet,
		      struct stamp_request *ret)
{
	struct echo e;

	if (probe_channel_is_echo(channel)) {
		echo_request_peek(packet, &e);
		*ret = (struct stamp_request){ .sequence = e.sequence, .t1 = e.t1 };
	} else if (authenticated) {
		stamp_auth_request_peek(packet, ret);
	} else {
		return stamp_request_unpack(packet, STAMP_SIZE, ret);
	}
	return 0;
}

/* As an answer that spent no time inside. */
static int unpack_echo(const struct probe_identity *who, bool v6, const void *data,
		       struct stamp_reply *ret)
{
	struct echo e;
	int r = echo_reply_unpack(data, ECHO_SIZE, v6, &e);

	if (r < 0)
		return r;
	if (e.token != echo_token(who->echo_key, who->device, &e))
		return -EBADE;
	*ret = (struct stamp_reply){ .sender = { .sequence = e.sequence, .t1 = e.t1 } };
	return 0;
}

int probe_packet_unpack(enum prober_channel channel, const struct probe_identity *who,
			const void *data, struct stamp_reply *ret)
{
	if (probe_channel_is_echo(channel))
		return unpack_echo(who, channel == PROBER_ECHO_V6, data, ret);
	if (!who->authenticated)
		return stamp_reply_unpack(data, STAMP_SIZE, ret);
	if (!who->stamp_key)
		return -ENOKEY;
	return stamp_auth_reply_unpack(data, STAMP_AUTH_SIZE, who->stamp_key, ret);
}

enum probe_tlvs_verdict probe_packet_tlvs(enum prober_channel channel,
					  const struct probe_identity *who,
					  const struct stamp_reply *reply, const void *data,
					  size_t len, struct probe_tlvs_told *ret)
{
	size_t base = probe_packet_base(channel, who->authenticated);

	return probe_tlvs_read(who->tlvs, reply, who->stamp_key, (const uint8_t *)data + base,
			       len - base, ret);
}
