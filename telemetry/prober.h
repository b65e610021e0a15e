/* SPDX-License-Identifier: Apache-2.0
 *
 * The STAMP Session-Sender towards every watched client, and what sends ICMP echo requests to
 * those that have no reflector: when to probe whom, which answer belongs to which
 * probe, and what follows for each client's round-trip time. No socket and no clock of its own.
 *
 * RTT = (T4 - T1) - (T3 - T2): T1 and T4 are this host's times of sending and
 * receiving, T2 and T3 the reflector's, so the two clocks need not agree, and the
 * time that the reflector took does not count. An echo (telemetry/echo.h) has no T2 and T3: there
 * it does. A client whose address has no port has no reflector.
 *
 * Probes are spread evenly: each client has its own phase of the interval, in steps of
 * a quarter of a millisecond; late rounds are skipped, not made up for.
 *
 * A client's interval is its budget: it is never probed more often. All intervals are doubled as
 * often as it takes to keep the budget of the node.
 *
 * An answer counts only if it comes from the address that was probed and
 * carries the sequence number and the timestamp of a probe that is still open.
 * In the authenticated mode it also needs the HMAC by the client's key, and an echo its token.
 * Everything else is counted and changes nothing. A probe is lost when it was
 * not answered within the timeout, or when PROBER_OPEN_MAX newer ones have
 * left.
 *
 * What an answer tells by TLVs is kept beside the times, and none of it makes an answer count or
 * not; where a reflector tells when an answer really left, times are corrected by that
 * (telemetry/client_tlvs.h).
 *
 * The times of a client's own sessions are samples, too, and cost nothing: while they come, it
 * gets one probe in PROBER_SESSION_PROBES.
 *
 * A client that is asleep or idle is not probed at all. What had left when that became
 * known is forgotten: nobody was to answer it, so it is not lost. Its figures stay, and
 * their confidence falls with their age.
 */
#ifndef TELEMETRY_PROBER_H
#define TELEMETRY_PROBER_H

#include "common/address.h"
#include "common/cleanup.h"
#include "common/histogram.h"
#include "common/rtt.h"
#include "common/uuid.h"
#include "telemetry/client_tlvs.h"
#include "telemetry/probe_packet.h"

#define PROBER_OPEN_MAX 16
#define PROBER_BATCH 64 /* packets sent in one go before others get their turn */
#define PROBER_SESSION_PROBES 64
#define PROBER_INTERVAL_MIN_NS (20 * UINT64_C(1000000))
#define PROBER_INTERVAL_MAX_NS (3600 * UINT64_C(1000000000))

struct prober;

enum prober_method { PROBER_STAMP, PROBER_ECHO, PROBER_TCP };

struct prober_packet {
	const struct address *to;
	int result;
	const uint8_t *data; /* prober_packet_size() of them, valid until it is sent */
};

struct prober_config {
	uint64_t interval_ns; /* for clients that come without one */
	/* Up to which intervals are stretched where nothing happens (telemetry/pace.h); 0, or what
	 * is not above a client's interval: they are not. */
	uint64_t calm_interval_ns;
	uint64_t budget; /* probes a second to all clients together; 0: without limit */
	uint64_t timeout_ns;
	uint64_t window_ns;      /* of the minimum */
	uint16_t error_estimate; /* what the probes say of our clock; NTP format */
	uint16_t echo_identifier;
	struct probe_tlvs_wishes tlvs; /* what STAMP probes ask for besides */
	/* Sends packets, at most PROBER_BATCH, and sets the result of each: 0 or a
	 * negative errno. -EAGAIN and -ENOBUFS are our own congestion: the probe
	 * counts as never sent. */
	void (*send)(enum prober_channel channel, struct prober_packet *packets, size_t n,
		     void *userdata);
	uint64_t (*now_utc)(void *userdata); /* for T1, unless the kernel tells */
	bool authenticated; /* the mode of STAMP */
	/* The key for a device's probes and their answers, valid until the next call; NULL: it has
	 * none, and is not probed. Without this function probes are unauthenticated, and so are
	 * their TLVs, which otherwise have an HMAC in both modes. */
	const uint8_t *(*key_of)(const struct uuid *device, void *userdata);
	void *userdata;
};

/* Answers by what became of them. */
struct prober_counters {
	uint64_t sent, not_sent;
	uint64_t accepted;
	uint64_t wrong_length;
	uint64_t stranger;    /* from an address that is not probed */
	uint64_t duplicate;   /* that probe had its answer already */
	uint64_t late;        /* that probe has been given up */
	uint64_t forged;      /* no such probe was ever sent, or another key */
	uint64_t sessions;    /* samples of clients' own sessions */
	uint64_t implausible; /* times that cannot be: a lying reflector, or a clock that stepped */
	struct client_tlvs_counters tlvs;
};

/* A client as the list of those to be watched tells it. */
struct prober_watch {
	struct uuid device;
	bool gone;              /* of changes: it is watched no longer, and what follows says nothing */
	uint64_t interval_ns;   /* 0: the default; held within the limits above */
	struct address address; /* where others saw it, or none; port 0: it has no reflector */
	bool asleep;            /* it told others so */
	bool idle;              /* nothing of it is worth a probe now */
};

enum prober_quantile { PROBER_P50, PROBER_P95, PROBER_P99, PROBER_P999, PROBER_QUANTILES };

struct prober_report {
	struct uuid device;
	enum prober_method method; /* of the last sample */
	uint64_t last_sample_utc_ns;
	uint64_t level_utc_ns; /* of the sample with which the level changed last; 0: never */
	uint64_t quantiles_ns[PROBER_QUANTILES]; /* of the last one to two thousand samples */
	struct rtt_figures rtt; /* its confidence takes in the doubt of the level, too */
	const struct client_tlvs_figures *tlvs; /* NULL: there are none */
};

int prober_new(const struct prober_config *config, struct prober **ret);
void prober_free(struct prober *p);
DEFINE_CLEANUP(struct prober, prober_free)

/* Replaces the list. Clients that stay keep all that was learnt. On -ENOMEM
 * some of the new ones are missing, and none of the old ones. */
int prober_set_watch_list(struct prober *p, uint64_t now_ns, const struct prober_watch *list,
			  size_t n);

/* The same in parts: `begins` a list, and what was not told since is watched no longer when it `ends`;
 * or, without the two, what has changed. */
int prober_watch(struct prober *p, uint64_t now_ns, const struct prober_watch *list, size_t n,
		 bool begins, bool ends);

/* The round-trip time at which decisions fall, 0 for none: near it clients are probed at the
 * fastest. */
void prober_set_threshold(struct prober *p, uint64_t threshold_ns);

/* Other values for what the configuration has under these names. What was learnt stays. */
struct prober_timing {
	uint64_t interval_ns, calm_interval_ns, timeout_ns, budget;
};

void prober_set_timing(struct prober *p, uint64_t now_ns, const struct prober_timing *timing);

/* By what factor all intervals are longer than wished so that the budget is kept. */
unsigned prober_squeeze(const struct prober *p);

/* Where a device is registered, and whether it sleeps there; NULL when it is no more. That
 * goes before what the watch list says of both. Devices that are not watched are ignored. */
void prober_set_registered(struct prober *p, uint64_t now_ns, const struct uuid *device,
			   const struct address *address, bool asleep);

/* Sends what is due and gives up what is overdue. Returns when to call it
 * again, UINT64_MAX for never. */
uint64_t prober_run(struct prober *p, uint64_t now_ns);

/* Of every probe on that channel; of ICMP, the message. An answer is as long, or lacks the TLVs. */
size_t prober_packet_size(const struct prober *p, enum prober_channel channel);

/* The kernel's time of sending of one of our packets, all of it. */
void prober_sent_at(struct prober *p, enum prober_channel channel, const uint8_t *packet,
		    uint64_t utc_ns);

/* Whether sessions with a host (port 0) would tell of a client now. */
bool prober_has_host(const struct prober *p, const struct address *host);

/* Writes where the clients are of whom sessions would tell, `room` at most, and returns how many there
 * are, or `room` + 1 for more. */
size_t prober_hosts(const struct prober *p, struct address *ret, size_t room);

/* What others know of the path to a host (port 0), such as the kernel by a client's sessions. The least
 * of what is told counts, when it is taken, if only one client is there. */
void prober_add_session(struct prober *p, const struct address *host, uint64_t rtt_ns);

/* Takes what was told of sessions as samples. As long as there are some, what is told next
 * `patience_ns` from now at the latest, a client gets a probe only now and then. */
void prober_take_sessions(struct prober *p, uint64_t now_ns, uint64_t now_utc_ns,
			  uint64_t patience_ns);

/* A datagram that came from `from` at `received_utc_ns`, with that type of service (0: unknown);
 * one from no port is an ICMP message. */
void prober_receive(struct prober *p, uint64_t now_ns, const struct address *from,
		    uint64_t received_utc_ns, uint8_t tos, const void *data, size_t len);

typedef void (*prober_report_fn)(const struct prober_report *report, void *userdata);

/* Tells every client of which something has changed since the last time: a
 * new sample, a loss, or another confidence. Clients that never answered are
 * not told. Returns how many were. */
size_t prober_report_changes(struct prober *p, uint64_t now_ns, prober_report_fn fn,
			     void *userdata);

/* The same of the next `most` clients of a round over all. True: the round is over, and the
 * next call begins another. Clients that come in the midst of one are told in the next. */
bool prober_report_some(struct prober *p, uint64_t now_ns, size_t most, prober_report_fn fn,
			void *userdata, size_t *ret_told);

size_t prober_clients(const struct prober *p);

struct prober_summary {
	size_t quiet;          /* asleep or idle: not probed */
	size_t measured;       /* those whose confidence was 50 or more */
	struct histogram srtt; /* over these */
};

/* What the last whole round of reports found: counted on its way, so that being asked costs nothing,
 * however many clients there are. The prober's. */
const struct prober_summary *prober_summary(const struct prober *p);
const struct prober_counters *prober_counters(const struct prober *p);

#endif
