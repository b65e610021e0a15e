/* SPDX-License-Identifier: Apache-2.0
 *
 * What the TLVs of a client's answers have told, answer by answer. Pure; nothing is believed here
 * that telemetry/probe_tlvs.h has not accepted.
 *
 * A Follow-Up tells of the answer before when it really left, which the reflector could not know
 * when it wrote T3. So where a reflector tells this, a round-trip time is held until the next
 * answer, and what its answer waited inside the device after T3 is then taken off.
 */
#ifndef TELEMETRY_CLIENT_TLVS_H
#define TELEMETRY_CLIENT_TLVS_H

#include "telemetry/probe_tlvs.h"

/* What is shown of a client. */
struct client_tlvs_figures {
	bool understood; /* the last answer had TLVs answered */
	bool has_class_of_service, dscp_refused;
	uint8_t dscp_there, dscp_back; /* with which the last probe and its answer arrived */
	bool has_clocks;
	uint8_t clock_in, method_in, clock_out, method_out;
	bool has_losses;
	uint64_t lost_there, lost_back; /* probes that did not arrive, and answers that did not */
	bool has_location;
	bool translated; /* the device has another address than that which is probed */
	bool has_wait;
	uint64_t wait_ns; /* by the last Follow-Up */
};

/* A round-trip time that may have to wait for a Follow-Up. */
struct client_tlvs_sample {
	uint32_t sequence; /* the reflector's, of the answer */
	uint64_t t3_utc_ns, rtt_ns, received_utc_ns;
	uint64_t now_ns; /* when it came */
};

struct client_tlvs {
	struct client_tlvs_figures figures;
	bool is_heard; /* they are of an answer at least */
	bool has_base;
	struct probe_tlvs_counters base, newest; /* of the session's first answer, and its newest */
	uint32_t answers;                        /* since the first one */
	uint64_t before_there, before_back;      /* lost in the sessions before */
	bool holds;
	struct client_tlvs_sample held;
};

/* Of all clients together. */
struct client_tlvs_counters {
	uint64_t verdicts[PROBE_TLVS_VERDICTS];
	uint64_t changed_there, changed_back, refused; /* DSCPs */
	uint64_t followed_up;                          /* times that were made right */
};

/* What an answer came with. */
struct client_tlvs_answer {
	enum probe_tlvs_verdict verdict;
	const struct probe_tlvs_told *told;
	uint8_t wished_dscp, tos;      /* tos: with which it arrived */
	const struct address *address; /* which was probed */
	enum stamp_format format;      /* of its times */
};

/* Notes it. */
void client_tlvs_note(struct client_tlvs *c, const struct client_tlvs_answer *answer,
		      struct client_tlvs_counters *counters);

/* The sample that was held, made right by the answer after it; `answer` is NULL if none came.
 * False: none was held. */
bool client_tlvs_release(struct client_tlvs *c, const struct client_tlvs_answer *answer,
			 struct client_tlvs_counters *counters, struct client_tlvs_sample *ret);

/* Whether this answer's sample is held now. */
bool client_tlvs_hold(struct client_tlvs *c, const struct client_tlvs_answer *answer,
		      const struct client_tlvs_sample *sample);

/* The client is somewhere else, or silent for now: what was held is not waited for, and a new
 * session begins. */
void client_tlvs_break(struct client_tlvs *c);

#endif
