/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by the outgoing*.c files only.
 */
#ifndef MIGRATOR_OUTGOING_INTERNAL_H
#define MIGRATOR_OUTGOING_INTERNAL_H

#include "common/clock.h"
#include "migrator/arrival.h"
#include "migrator/disk_digest.h"
#include "migrator/commit.h"
#include "migrator/forecast.h"
#include "migrator/image.h"
#include "migrator/move.h"
#include "migrator/outflow.h"
#include "migrator/outgoing.h"
#include "migrator/qemu_state.h"
#include "migrator/stall.h"
#include "migrator/steer.h"
#include "migrator/vm.h"

#define OUTGOING_QUESTIONS 3
#define OUTGOING_TICK_NS (100 * NS_PER_MS)
#define OUTGOING_CONNECT_NS (20 * NS_PER_MS) /* between tries until the bus is connected */

/* What is being said to the target, again and again until it is answered. */
enum word { WORD_NONE, WORD_PREPARE, WORD_COMMIT, WORD_ABORT, WORD_QUERY };

/* The copy's own steps, while the stage is PREPARED. */
enum copy_step {
	COPY_NONE,
	COPY_CAPABILITIES,
	COPY_PARAMETERS,
	COPY_DISKS, /* until each has been copied once */
	COPY_CONNECTING,
	COPY_GETFD,
	COPY_MIGRATE,
	COPY_FLOWING,
	COPY_SHUT_SENT,
	COPY_COMMITTED,
};

struct outgoing {
	struct move m;
	struct uuid peer_id; /* what the target knows this attempt as; the first has the move's id */
	LIST_ENTRY(outgoing) link;
	struct vm *vm; /* NULL once it is let go */
	/* the order */
	uint64_t promise_ns, most_ns, bandwidth_bps, timeout_ns, patience_ns, stall_timeout_ns;
	IfNotConverging if_not_converging;
	bool force, dry_run, warm;
	bool cancelled; /* by somebody, who may say so again before it is over */
	bool post_copy; /* QEMU was told to begin it: there is no way back */
	/* outgoing_sharing.c */
	Tagalong__MovePriority priority;
	struct share_member *share;
	bool waiting; /* in the queue: nothing has been begun */
	enum pause { PAUSE_NONE, PAUSED, PAUSE_ENDING, PAUSE_EASING } pause;
	uint64_t paused_ns; /* since when */
	sd_event_source *easing;
	uint8_t session_key[LINK_KEY_SIZE];
	/* the facts of commit.h */
	enum commit_qemu qemu;
	unsigned peer_stage;
	bool live;
	/* the target */
	struct bus_socket *peer;
	enum word word;
	uint64_t word_since_ns, word_sent_ns;
	bool word_went, prepare_went;
	bool peer_is_busy; /* it has said so: it takes no more moves at the moment */
	bool may_be_older; /* in doubt for what it has, which is explained */
	uint64_t quit_after_ns; /* the source's QEMU, once all is done */
	uint64_t tell_until_ns; /* an abort that nobody needs to hear: 0 for ever */
	/* QEMU */
	struct qemu_question question;
	bool commanding;  /* cont or stop is under way */
	bool quitting;
	unsigned pending; /* commands whose answers would find us */
	sd_event_source *tick, *poll, *guard, *asking;
	bool reconciling, again;
	/* what QEMU said to the checks: outgoing_check.c */
	unsigned checked;
	json_t *block, *migrate, *capabilities;
	/* the copy: outgoing_copy.c */
	enum copy_step step;
	uint64_t step_since_ns;
	struct image_fetch {
		uint8_t *data; /* the manifest as far as it is here; NULL: none is fetched */
		size_t len, at;
		uint64_t guest_pages, slots;
		uint64_t asked_ns, heard_ns;
	} fetch;
	struct image *base; /* of the VM; NULL: none */
	bool both_have_base;
	struct tail *last_tail; /* of the VM, which the target has too; NULL: none */
	struct arrived *arrived; /* the target's image, as the VM's arrival told; or */
	struct image_manifest *held; /* what the target has of the VM already; NULL: nothing */
	char data_endpoint[128];
	char found_endpoint[128]; /* where it is by its own word, since it was lost; or "" */
	unsigned connections;   /* side by side: wanted, then what the target agreed to */
	struct data_connection {
		struct outgoing *o;
		unsigned number;
		int fd; /* that is being connected, or is until all are */
		bool connected;
		sd_event_source *connecting, *again_later;
		uint32_t incarnation; /* how many there were of it */
		bool lost;            /* since all were there last */
		bool was_found;       /* the last try was at the found endpoint */
	} data[LINK_LANES_MAX];
	uint64_t lost_since_ns; /* one of them; 0: they are there, or the first ones still to come */
	bool unheard;           /* the target, since it was lost */
	uint64_t asked_ns;
	int qemu_fd;
	struct outflow *outflow;
	struct steer steer;
	struct stall stall;
	struct forecast forecast;
	uint64_t stop_link_ns; /* of the blackout: the link's */
	uint64_t ends_in_ns; /* were there no more rounds than it takes */
	struct retry {
		uint32_t made, most; /* attempts */
		bool wanted;         /* this one was undone, and there will be another */
		uint64_t since_ns;
		sd_event_source *timer;
	} retry;
	uint64_t rtt_ns;
	unsigned handshakes; /* that were too slow for the promise */
	uint64_t stop_utc_ns;
	bool ran_on; /* after the stop of this attempt, or it may have */
	bool asking_progress, asking_downtime;
	struct outgoing_disks *disks; /* outgoing_disk.c; NULL: none is being copied */
	bool copy_bases;              /* as the order has it */
	uint32_t bases_missing;       /* bits: of disks whose base the target lacks */
};

/* One without a move, in the node's list; the defaults of MoveLimits are set. */
struct outgoing *outgoing_new(struct node *n);

/* Watches the VM that is to be moved. */
void outgoing_watch(struct outgoing *o, struct vm *vm);

/* Looks after the move after so long, and then regularly. */
void outgoing_tick_in(struct outgoing *o, uint64_t delay_ns);

/* Asks the rules and acts, until there is nothing more to do at once. */
void outgoing_reconcile(struct outgoing *o);

/* Whether it may come to post-copy. */
static inline bool outgoing_may_post_copy(const struct outgoing *o)
{
	return o->if_not_converging == TAGALONG__IF_NOT_CONVERGING__CONVERGE_POST_COPY && !o->warm;
}

/* The move is not to go on: the reason is kept if it is the first. */
void outgoing_give_up(struct outgoing *o, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Finds out how QEMU stands, after `delay_ns`. */
void outgoing_poll(struct outgoing *o, uint64_t delay_ns);

/* Sets a timer, or sets it anew. `userdata` is the handler's. */
void outgoing_set_timer(struct outgoing *o, sd_event_source **source, uint64_t delay_ns,
			sd_event_time_handler_t fn, void *userdata);

/* A command whose answer counts as pending. -ENOTCONN without a monitor. */
int outgoing_command(struct outgoing *o, const char *name, json_t *arguments, uint64_t timeout_ns,
		     qmp_reply_fn fn);

/* ---- outgoing_forecast.c ---- */

/* Shows what to expect. *ret_facts are those of the stop: what the link alone would take. */
void forecast_show(struct outgoing *o, const struct outflow_stats *s, struct cost_facts *ret_facts,
		   struct cost *ret);

/* All has been sent: what of the blackout the link will have taken. */
void forecast_note_stop(struct outgoing *o, const struct outflow_stats *s);

/* The target would take it and the way there is measured: shows what to expect, and ends. */
void forecast_end_dry_run(struct outgoing *o);

/* ---- outgoing_retry.c ---- */

/* The stop was undone after outgoing_give_up(): another attempt is made, if the order allows. */
void retry_want(struct outgoing *o);

/* The attempt is over on both sides: the next one follows after a while. */
void retry_later(struct outgoing *o);

/* There will be no other attempt, for the reason that is explained. */
void retry_forget(struct outgoing *o);

/* Gives up when the target was not heard, or the time is over. */
void retry_tick(struct outgoing *o);

/* ---- outgoing_message.c ---- */

/* Makes the way to the target, unless there is one. */
int outgoing_connect(struct outgoing *o, struct mg_error *err);

/* The target has moved to another address: that way leads there from now on. */
void outgoing_follow(struct outgoing *o, const char *host);

/* What would block the move here has been looked for: asks the target. */
void outgoing_prepare(struct outgoing *o);

/* Says this word from now on, until another one is said. */
void outgoing_say(struct outgoing *o, enum word word);

/* Says it again, when it is time to. */
void outgoing_repeat(struct outgoing *o);

/* Asks how the target stands, once; the answer may be lost. */
void outgoing_ask(struct outgoing *o);

/* What a target that has been silent for too long means for the move. */
void outgoing_check_patience(struct outgoing *o);

/* ---- outgoing_check.c ---- */
void check_begin(struct outgoing *o); /* outgoing_prepare() or outgoing_give_up() follows */
void check_end(struct outgoing *o);

/* ---- outgoing_image.c ---- */

/* Opens the base image of the VM, if it has one and it is here. */
void image_find_base(struct outgoing *o);

/* What goes along with the VM, and its base image. */
void image_describe(const struct outgoing *o, Tagalong__PeerPrepare *p);

/* Fetches what there is to know of the target's image; copy_begin() follows. False when
 * there is nothing to fetch: it has none, or the VM's arrival has told all. */
bool image_fetch_begin(struct outgoing *o, const Tagalong__PeerPrepared *p);
void image_fetch_data(struct outgoing *o, const Tagalong__PeerImageData *data);
void image_fetch_tick(struct outgoing *o);
void image_fetch_free(struct outgoing *o);

/* ---- outgoing_connection.c ---- */
void connection_init(struct outgoing *o);
void connection_begin(struct outgoing *o); /* copy_connected() or outgoing_give_up() follows */
void connection_lost(struct outgoing *o);
void connection_resumed(struct outgoing *o);
void connection_tick(struct outgoing *o);
void connection_end(struct outgoing *o);

/* The target was heard from there. */
void connection_heard(struct outgoing *o, const struct bus_peer *from);

/* ---- outgoing_sharing.c ---- */

/* Begins the move, or lets it wait for its turn. */
void sharing_order(struct outgoing *o);
void sharing_tick(struct outgoing *o);
int sharing_begin(struct outgoing *o, struct mg_error *err); /* the pages are about to flow */
void sharing_stopped(struct outgoing *o); /* QEMU says that it has stopped the guest */
void sharing_end(struct outgoing *o);

/* Whether QEMU's limits are to be left alone: it is paused, or was a moment ago. */
static inline bool sharing_holds(const struct outgoing *o)
{
	return o->pause != PAUSE_NONE;
}

/* ---- outgoing_disk.c ---- */

/* Whether the VM has disks that move with it, in this move. */
bool outgoing_disk_moves(const struct outgoing *o);

/* Whether it is known what is in their bases; the move may be given up. Ask again. */
bool outgoing_disk_bases_known(struct outgoing *o);

/* Bytes that their overlays take; 0 without any. */
uint64_t outgoing_disk_used(const struct outgoing *o);

/* What the target is told of them; `told` has to live as long as the message. */
struct disks_told {
	Tagalong__PeerDisk disks[VM_DISKS_MAX], *list[VM_DISKS_MAX];
	char digests[VM_DISKS_MAX][DISK_DIGEST_TEXT_SIZE];
};
void outgoing_disk_describe(struct outgoing *o, struct disks_told *told, Tagalong__PeerPrepare *p);

/* What the target says of their bases. */
void outgoing_disk_take_bases(struct outgoing *o, const Tagalong__PeerPrepared *p);

/* Copies them; copy_disks_done() or outgoing_give_up() follows. False: there are none. */
bool outgoing_disk_begin(struct outgoing *o);
void outgoing_disk_event(struct outgoing *o, const char *event, json_t *data);
void outgoing_disk_tick(struct outgoing *o);

/* The guest stands still, and QEMU waits for this before it lets go of its disks: makes the
 * target's whole, and has QEMU go on. */
void outgoing_disk_finish(struct outgoing *o);

/* The move is called off: the guest runs on with its own disks. May be repeated. */
void outgoing_disk_undo(struct outgoing *o);
void outgoing_disk_end(struct outgoing *o); /* closes all that is open */

/* Bytes of disks that the target still lacks. */
uint64_t outgoing_disk_left(const struct outgoing *o);

/* What of the cap on the bandwidth is left for pages. */
uint64_t outgoing_disk_page_bandwidth(const struct outgoing *o);

/* ---- outgoing_copy.c ---- */
void copy_begin(struct outgoing *o);
void copy_disks_done(struct outgoing *o);
void copy_connected(struct outgoing *o); /* all of them are there */

/* By the measured way to the target the promised blackout can be kept. */
bool outgoing_promise_fits(const struct outgoing *o);
void outgoing_refuse_promise(struct outgoing *o);
void copy_tick(struct outgoing *o);
/* The end of post-copy, for what is explained: QEMU says whether it had sent all by then. */
void copy_break_off(struct outgoing *o);
void copy_lose(struct outgoing *o, const char *why); /* it had not */
void copy_event(struct outgoing *o, const char *event, json_t *data, uint64_t utc_ns);
void copy_ready(struct outgoing *o); /* the target has loaded everything */
void copy_end(struct outgoing *o);   /* closes all that is open; a stopped guest resumes */
void copy_ask_downtime(struct outgoing *o);

#endif
