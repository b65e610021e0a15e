/* SPDX-License-Identifier: Apache-2.0
 *
 * QEMUs that somebody else has started: one whose guest becomes a VM of this node, so that it
 * can be moved; and one that waits for a guest to arrive.
 */
#ifndef MIGRATOR_FOREIGN_H
#define MIGRATOR_FOREIGN_H

#include "migrator/vm.h"

/* Asks QEMU about its guest, compares that with the description, and answers once the VM is
 * in the journal, or why not; QEMU runs on then as if nobody had asked. */
void foreign_adopt_for(struct node *n, struct bus_socket *s, const struct bus_peer *from,
		       const Envelope *e);

/* Notes a QEMU (-incoming defer) for the next VM of a name. Forgotten with the daemon. */
void foreign_receive_for(struct node *n, struct bus_socket *s, const struct bus_peer *from,
			 const Envelope *e);

/* The monitor of the one that waits for this VM; NULL: none, so we start one. */
const char *foreign_waiting(struct node *n, const char *name);

/* The address of its -incoming, which is the caller's from now on; NULL: it has none, or no memory is
 * left. */
char *foreign_listens(struct node *n, const char *name);

/* It waits no more. */
void foreign_take(struct node *n, const char *name);

void foreign_free(struct node *n);

/* ---- Judging: pure ---- */

struct foreign_answers { /* "return" values of QEMU's monitor, borrowed */
	const json_t *status;  /* query-status */
	const json_t *memory;  /* query-memdev */
	const json_t *kvm;     /* query-kvm */
	const json_t *cpus;    /* query-cpus-fast */
	const json_t *machine; /* qom-get of the machine's type */
};

/* Whether the guest is what `spec` says and can be moved from a QEMU of that version; if so
 * writes the size and name of its RAM into it. -EINVAL with what differs, -EPERM for what
 * `force` passes over, -ENOMEM. */
int foreign_judge(const struct foreign_answers *a, const char *version, bool force, VmSpec *spec,
		  struct mg_error *err);

#endif
