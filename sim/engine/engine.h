/* SPDX-License-Identifier: Apache-2.0
 *
 * One run: devices that move among towers, their VMs on the hosts there, a policy
 * and a planner (the object files of placementd) that move the VMs. Virtual time,
 * one thread; the same input gives the same figures, bit for bit.
 *
 * A device sends a probe to its VM's host and to the nearest others each interval;
 * common/rtt.h's estimators follow, and each so many probes their figures are
 * reported to the policy, after a delay. Which hosts are probed is settled at each
 * handover and move. A device's VM starts at its tower when the device appears,
 * and anew when it comes back from an absence.
 *
 * A round-trip time is that of the radio access (a median, scattered as noise.h
 * says, divided by 1 - ρ for a tower that is used to ρ of its capacity, plus a part
 * for the distance), and twice the backhaul's delay from there to the host, with what
 * packets wait there where devices have traffic (traffic.c).
 *
 * A move takes what common/cost.h predicts for the least share of a link on its
 * way; when shares change, what is left of the move takes the other time. To a host
 * that has an image of the VM (images.h) it sends what was written since.
 *
 * A device that no tower covers gets no answers; its VM stays and goes on.
 */
#ifndef SIM_ENGINE_ENGINE_H
#define SIM_ENGINE_ENGINE_H

#include "placement/policy.h"
#include "sim/engine/histogram.h"
#include "sim/engine/snapshots.h"
#include "sim/mobility/mobility.h"
#include "sim/world/attachment.h"
#include "sim/world/backhaul.h"

#define CANDIDATES_MAX 8
#define MOVES_MAX 4096

/* What runs share. */
struct world {
	struct towers towers;
	struct backhaul backhaul;
	struct trace trace; /* empty when movement is generated */
	struct mobility mobility;
	uint32_t devices;
};

void world_clear(struct world *w);

struct radio {
	uint64_t rtt_ns; /* the median of an idle tower */
	double ns_per_km;
	double loss;       /* 0 to 1 */
	uint32_t capacity; /* devices of a tower; 0: its load is no matter */
};

/* Between devices and their VMs, over the backhaul. */
struct traffic_setting {
	uint64_t device_bps; /* bytes a second of each, each way; 0: there is none */
	uint64_t burst;      /* bytes that come at once, on average */
};

struct probing {
	uint64_t interval_ns;
	uint32_t report;     /* each so many probes */
	uint64_t delay_ns;   /* from the probe to the policy */
	uint32_t candidates; /* hosts that are probed, the VM's included */
};

struct machine {
	uint64_t memory;      /* bytes, of the VM */
	uint64_t working_set; /* bytes that are rewritten over and over; 0: all */
	uint64_t dirty_bps;   /* bytes a second */
	uint32_t wire_permille;
	uint64_t promise_ns;
	uint64_t start_ns; /* of a move, before the first byte goes */
	uint64_t stop_ns;  /* of a blackout, beside bytes and round trips; 0: cost.h's */
};

struct setting {
	uint64_t duration_ns;
	struct attachment_parameters attachment;
	struct radio radio;
	struct traffic_setting traffic;
	struct probing probing;
	struct machine vm;
	struct machine background; /* a second VM of each device; memory 0: there is none */
	uint64_t host_memory;           /* bytes; 0: no limit */
	uint64_t image_memory;          /* bytes of a host, for images; 0: none are kept */
	uint64_t image_age_ns;          /* the oldest that are kept */
	uint32_t moves, moves_per_node; /* at once */
	uint64_t round_ns;              /* between two rounds of the planner */
	uint64_t target_ns;             /* the round-trip time that users are to have */
	double move_price;              /* ns of round-trip time times s */
	uint32_t optimum;               /* 1: it is found, too; see optimum.h */
};

struct run_input {
	const struct world *world;
	const struct setting *setting;
	const struct policy_ops *policy; /* NULL: VMs stay where they are */
	struct policy_parameters parameters;
	uint64_t seed;
	struct snapshots *snapshots; /* to be taken; NULL: none */
	/* Called at each time of a snapshot, SNAPSHOT_TIMES in a run; NULL: nobody waits. */
	void (*passed)(void *userdata);
	void *userdata;
};

struct run_figures {
	uint64_t events;
	uint64_t user_ns;  /* of all devices that were there */
	uint64_t samples;  /* answers of the VM's host */
	uint64_t lost;     /* probes of it without one */
	uint64_t above;    /* samples above the target */
	double rtt_sum_ns; /* of the samples */
	uint64_t uncovered_ns; /* of user_ns, without a tower */
	uint64_t handovers;
	uint64_t moves;   /* that are done */
	uint64_t images;  /* of these moves, those to a host that had the VM's image */
	uint64_t open;    /* that were not, at the end */
	uint64_t refused; /* wishes that the planner did not grant, a round each */
	uint64_t move_ns; /* of the moves that are done */
	uint64_t blackout_ns;
	double move_bytes; /* on the wire, of the moves that are done */
	/* Of second VMs, which no other figure counts; and for how long they were elsewhere. */
	uint64_t background_moves, apart_ns;
	double background_bytes;
	/* As optimum.h has it, in ns of round-trip time times s; the second one is 0 when it was
	 * not wanted. */
	double cost, optimum;
	/* A VM had to start where there was no room, so the optimum is one whose hosts hold all. */
	bool optimum_unlimited;
	struct histogram rtt;
};

/* noise_init() must have been called. */
int engine_run(const struct run_input *in, struct run_figures *ret, struct mg_error *err);

#endif
