/* SPDX-License-Identifier: Apache-2.0
 *
 * The VMs of a node: those that are its own, those that arrive and those that
 * leave. A move watches the VM that it moves.
 */
#ifndef MIGRATOR_VM_H
#define MIGRATOR_VM_H

#include "migrator/luggage.h"

struct qemu_question;
struct ram_clear;
struct vm_request;

enum vm_place {
	VM_OURS,     /* in the journal's list of VMs */
	VM_ARRIVING, /* of an incoming move, until RUN is journaled */
	VM_LEAVING,  /* its QEMU ends, then its files go */
};

/* A move's view of its VM's QEMU. After on_exit no command of this QEMU is
 * answered any more, and vm->guest is NULL. */
struct vm_watcher {
	void (*on_ready)(struct vm *vm, void *userdata);
	void (*on_event)(struct vm *vm, const char *event, json_t *data, uint64_t utc_ns,
			 void *userdata);
	void (*on_exit)(struct vm *vm, void *userdata);
};

struct announcement;

struct vm {
	struct node *node;
	LIST_ENTRY(vm) link;
	VmSpec *spec;
	VmLuggage *luggage; /* NULL: it has not been moved yet */
	bool incomplete; /* post-copy: what is a hole in its RAM file may be at the source, and only
			    QEMU fills it */
	bool keep_image; /* it has gone to another node: its RAM is worth keeping */
	struct uuid incarnation;
	enum vm_place place;
	struct guest *guest; /* NULL: its QEMU is no more */
	struct ram_clear *clearing; /* NULL: not yet */
	bool ready;          /* its monitor answers */
	bool running;
	struct mg_error exit_error; /* why its QEMU ended, if it was not told to */
	bool heard_out; /* and all that it had to say was heard */
	bool exiting; /* its watcher is being told that QEMU has ended */
	const struct vm_watcher *watcher; /* NULL: no move */
	void *watcher_data;
	struct uuid move; /* with a watcher */
	bool stopped_by_move; /* inside the blackout, or in doubt */
	struct vm_request *request; /* the start or stop that is to be answered */
	struct qemu_question *question;
	struct announcement *announcement; /* while its arrival is being made known; NULL: it is not */
};

struct vm *vm_find(struct node *n, const char *name); /* ours or arriving */
struct vm *vm_find_incarnation(struct node *n, const struct uuid *incarnation);

/* Memory that is about to be taken: images that wait to be written give way if there is none left otherwise. */
void vm_give_memory(struct node *n, uint64_t bytes);

/* What is left of this node for VMs. */
void vm_free_room(struct node *n, uint64_t *ret_memory, uint32_t *ret_vcpus);

/* Whether there is enough left for one more. */
int vm_check_room(struct node *n, const VmSpec *spec, struct mg_error *err);

/* Makes a VM and starts its QEMU, or takes up with the one that spec->monitor is of. Does not
 * journal. */
int vm_launch(struct node *n, const VmSpec *spec, enum guest_mode mode,
	      const struct uuid *incarnation, enum vm_place place, struct vm **ret,
	      struct mg_error *err);

/* Finds one that an earlier run started; without QEMU it is GONE. */
int vm_adopt(struct node *n, const VmSpec *spec, const struct uuid *incarnation,
	     enum vm_place place, struct vm **ret, struct mg_error *err);

/* Gives it what goes along with it (a copy). NULL: nothing. 0 or -ENOMEM. */
int vm_set_luggage(struct vm *vm, const VmLuggage *luggage);

/* Notes in the luggage what the VM's devices were when it came. Best effort: without it its
 * next move has more bytes. */
void vm_keep_tail(struct vm *vm, const uint8_t *tail, size_t len);

/* Gives a VM that has none yet luggage of its own, and journals it. */
int vm_pack(struct vm *vm, struct mg_error *err);

/* Journals that there will be something of it on another node, though it does not go there. */
int vm_note_visit(struct vm *vm, const char *node, const char *endpoint, const char *public_key,
		  struct mg_error *err);

/* Starts one for an operator or the controller and answers when its QEMU does. */
void vm_start_for(struct node *n, struct bus_socket *s, const struct bus_peer *from,
		  const Envelope *e);

/* Stops one, removes what it leaves, and answers then. */
void vm_stop_for(struct node *n, struct bus_socket *s, const struct bus_peer *from,
		 const Envelope *e);

void vm_watch(struct vm *vm, const struct vm_watcher *watcher, void *userdata,
	      const struct uuid *move);
void vm_unwatch(struct vm *vm);

/* Makes QEMU end (at once: SIGKILL) and then removes all that the VM has here. */
void vm_let_go(struct vm *vm, bool at_once);

/* Removes what it has here, for one without a QEMU. With keep_image its RAM becomes an
 * image first. */
void vm_remove_files(struct vm *vm);

/* It runs here: an image of it from an earlier visit is of no use any more. */
void vm_drop_image(struct vm *vm);

/* Forgets it; its QEMU runs on. */
void vm_free(struct vm *vm);

Tagalong__VmState vm_state(const struct vm *vm);

/* Fills an array of infos that borrow from the VMs; freed with vm_infos_free(). */
int vm_infos(struct node *n, const char *name, Tagalong__VmInfo ***ret, size_t *ret_n);
void vm_infos_free(Tagalong__VmInfo **infos, size_t n);

/* What VMs take of this node's memory and processors. */
void vm_used(struct node *n, uint64_t *ret_memory, uint32_t *ret_vcpus);

#endif
