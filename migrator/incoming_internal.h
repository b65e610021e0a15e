/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by the incoming*.c files only.
 */
#ifndef MIGRATOR_INCOMING_INTERNAL_H
#define MIGRATOR_INCOMING_INTERNAL_H

#include "common/clock.h"
#include "migrator/arrival.h"
#include "migrator/commit.h"
#include "migrator/image.h"
#include "migrator/incoming.h"
#include "migrator/inflow.h"
#include "migrator/preflight.h"
#include "migrator/qemu_state.h"
#include "migrator/vm.h"

#define INCOMING_COMMAND_NS (10 * NS_PER_S) /* for QEMU to answer */

struct incoming {
	struct move m;
	LIST_ENTRY(incoming) link;
	struct vm *vm;
	uint8_t session_key[LINK_KEY_SIZE];
	/* the facts of commit.h */
	enum commit_qemu qemu;
	enum commit_word word;
	bool live, loaded, refused, partial;
	/* whether a QEMU that dies in the stage RUN has run the guest: this process entered the stage;
	 * cont went to it, then it connected anew; it has said that it runs */
	bool told_here, cont_went, reconnected, has_run;
	/* for the record: when COMMIT came, and how long the guest had stood by then; 0: unknown */
	uint64_t commit_utc_ns, stopped_ns;
	/* the source: where its last message came from, and our own way to it */
	struct bus_socket *socket;
	struct bus_peer source;
	bool has_source;
	uint64_t prepare_seq;
	struct bus_socket *ask;
	uint64_t asked_ns, heard_ns;
	bool by_ask; /* its last word came that way: perhaps there is no other any more */
	uint64_t owed_until_ns; /* our last word, said there, is not answered; 0: it is */
	/* What is here from an earlier visit, and its manifest, packed; NULL: nothing */
	struct image *image;
	bool waits_for_image;
	struct image *base;     /* the same as the source's; NULL: none */
	struct tail *last_tail; /* of the VM; NULL: none */
	uint8_t *manifest; /* made when the source asks for it */
	size_t manifest_len;
	bool post_copy; /* it may come to that */
	bool warm; /* sent ahead, for a move that may come */
	bool may_come_again; /* if it never runs here, what came is worth keeping */
	/* The image that the source will keep of what comes; and what is written down of that */
	bool source_keeps;
	struct uuid source_image;
	struct arrival *arrival;
	/* QEMU and the pages */
	struct qemu_question question;
	sd_event_source *devices; /* in post-copy: when to look whether they are loaded */
	bool asked_devices;
	bool commanding;
	unsigned pending;
	int qemu_fd;
	char *listens; /* where its QEMU takes the stream; NULL: it is given a descriptor */
	struct incoming_disks *disks; /* incoming_disk.c; NULL: none come */
	bool hung_up; /* the source ended the data connection: its word says why */
	unsigned connections; /* data connections that the source will make */
	struct inflow *inflow;
	uint64_t patience_ns; /* how long a lost data connection may be away */
	uint64_t deadline_ns; /* for the step that is waited for; 0: none */
	uint64_t resumed_utc_ns;
	uint64_t qemu_heard_ns; /* since its stream has ended in post-copy: it, or that */
	sd_event_source *tick;
	bool reconciling, again;
};

/* One without a move, in the node's list. */
struct incoming *incoming_new(struct node *n);

/* Watches the VM that arrives. */
void incoming_watch(struct incoming *in, struct vm *vm);

/* Asks the rules and acts, until there is nothing more to do at once. */
void incoming_reconcile(struct incoming *in);

/* The move is not to go on, unless it is READY already: the reason is kept. */
void incoming_give_up(struct incoming *in, const char *why);

/* Finds out how QEMU stands. */
void incoming_poll(struct incoming *in);

/* QEMU's monitor; NULL without a QEMU. */
struct qmp *incoming_monitor(struct incoming *in);

/* A command whose answer counts as pending. -ENOTCONN without a monitor. */
int incoming_command(struct incoming *in, const char *name, json_t *arguments, qmp_reply_fn fn);

/* ---- incoming_prepare.c ---- */

/* A PeerPrepare for a move that is not known; answered with PeerPrepared once
 * QEMU waits, or with Failure. */
void incoming_prepare(struct node *n, struct bus_socket *s, const struct bus_peer *from,
		      const Envelope *e);

/* ---- incoming_image.c ---- */
void incoming_find_image(struct incoming *in);

/* Whether one of this VM is still being written: it left a moment ago. Not for ever. */
bool incoming_image_is_coming(const struct incoming *in);
void incoming_find_base(struct incoming *in, const struct uuid *id); /* as the source has it */
void incoming_drop_image(struct incoming *in);

/* Writes down what comes, if the source keeps that as an image. */
void incoming_begin_arrival(struct incoming *in);
void incoming_end_arrival(struct incoming *in); /* all has come */
void incoming_describe_image(const struct incoming *in, Tagalong__HeldImage *ret);
void incoming_answer_image_query(struct incoming *in, struct bus_socket *s,
				 const struct bus_peer *from, const Envelope *e);

/* ---- incoming_disk.c ---- */

/* Fills in what there is of the bases of the disks that come. With copy_bases a base that is not
 * here is taken out of the spec: the disk comes whole. -EAGAIN while a base is being read. */
int incoming_disk_look(struct node *n, const Tagalong__PeerPrepare *p,
		       struct preflight_target *ret, struct mg_error *err);

/* Has QEMU wait for them; incoming_become_prepared() or incoming_give_up() follows. False: none
 * come. */
bool incoming_disk_begin(struct incoming *in);

/* A data connection for one of them, which is taken over. False: it is one for pages. */
bool incoming_disk_data(struct incoming *in, int fd, const struct link_hello *hello);

/* They are all here: has QEMU take no more, then incoming_loaded() or incoming_give_up() follows.
 * False: none came. */
bool incoming_disk_close(struct incoming *in);
void incoming_disk_figures(const struct incoming *in, Tagalong__MoveFigures *f);
void incoming_disk_end(struct incoming *in);

/* ---- incoming_copy.c ---- */
void incoming_loaded(struct incoming *in); /* pages, devices and disks */
void incoming_copy_begin(struct incoming *in); /* QEMU is there: makes it wait for the pages */

/* QEMU waits for the pages: tells the source so, once an image that is being written is
 * there to be used. */
void incoming_become_prepared(struct incoming *in);

void incoming_copy_figures(struct incoming *in); /* what has come so far, for the record */
/* The tail that came, for the VM's next move. */
void incoming_keep_tail(struct incoming *in);
void incoming_copy_end(struct incoming *in); /* closes all that is open, forgets the key */

/* ---- incoming_post_copy.c ---- */

/* It has come to that, and the end of the move is not journaled yet. */
bool incoming_is_in_post_copy(const struct incoming *in);

/* The stream is over. Unless all of the memory has come, the VM is lost: the reason is kept. */
void incoming_lose(struct incoming *in, const char *why);

/* Notes that no node has the whole VM any more; the first reason is kept. */
void incoming_note_lost(struct incoming *in, const char *why);

/* Its QEMU has died: whether the VM was whole by then. */
void incoming_check_lost(struct incoming *in);

/* An earlier process had the stream. */
void incoming_restore_post_copy(struct incoming *in);

/* What it means that a QEMU without its stream says nothing. */
void incoming_judge_silence(struct incoming *in);

/* An operator says that it is to go, whether it is whole or not. */
void incoming_discard_post_copy(struct incoming *in, const char *who);

/* Of a move that is READY: nobody but an operator can settle it now. */
void incoming_doubt(struct incoming *in, const char *why);

/* ---- incoming_message.c ---- */
void incoming_tell_state(struct incoming *in);
bool incoming_owes_word(struct incoming *in); /* and says it again */
void incoming_tell_prepared(struct incoming *in);

/* The source was heard; `from` NULL: as an answer on our own way to it. */
void incoming_remember_source(struct incoming *in, struct bus_socket *s,
			      const struct bus_peer *from);

/* Makes a way of our own to the source, should it fall silent. */
void incoming_connect_source(struct incoming *in);

#endif
