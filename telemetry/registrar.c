/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/registrar.h"

void registrar_set_asleep(struct registrar *r, bool asleep, uint32_t period_ms)
{
	r->asleep = asleep;
	r->period_ms = period_ms;
	r->waiting = false;
}

void registrar_repeat(struct registrar *r, uint64_t now_utc_ns,
		      uint8_t ret_packet[REGISTRATION_SIZE])
{
	struct registration m = {
		.type = REGISTRATION_REGISTER,
		.status = r->asleep ? REGISTRATION_ASLEEP : REGISTRATION_AWAKE,
		.device = r->device,
		.realm = r->realm,
		.period_ms = r->period_ms,
	};

	r->counter = now_utc_ns > r->counter ? now_utc_ns : r->counter + 1;
	r->waiting = true;
	m.counter = r->counter;
	registration_pack(&m, r->key, ret_packet);
}

void registrar_refresh(struct registrar *r, uint64_t now_utc_ns,
		       uint8_t ret_packet[REGISTRATION_SIZE])
{
	r->repeats = 0;
	registrar_repeat(r, now_utc_ns, ret_packet);
}

enum registrar_verdict registrar_receive(struct registrar *r, const void *data, size_t len)
{
	struct registration m;

	if (registration_unpack(data, len, &m) < 0 || m.type != REGISTRATION_ANSWER ||
	    !uuid_equal(&m.device, &r->device) || !registration_verify(data, r->key) ||
	    !r->waiting || m.counter != r->counter)
		return REGISTRAR_IGNORED;
	r->waiting = false;
	r->realm = m.realm;
	if (m.status == REGISTRATION_ACCEPTED)
		return REGISTRAR_ACCEPTED;
	if (m.highest > r->counter)
		r->counter = m.highest;
	return ++r->repeats <= REGISTRAR_REPEATS_MAX ? REGISTRAR_REPEAT : REGISTRAR_IGNORED;
}
