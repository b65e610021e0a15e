/* SPDX-License-Identifier: Apache-2.0
 *
 * What would block a move, looked for before anything is moved. Pure: it judges
 * facts that its caller has collected. The source knows its QEMU, the target
 * its own host; either fills in what it has, and what is not filled in is not
 * judged.
 */
#ifndef MIGRATOR_PREFLIGHT_H
#define MIGRATOR_PREFLIGHT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "migrator/vm_spec.h"

enum preflight_code {
	PREFLIGHT_NOT_RUNNING,
	PREFLIGHT_MOVING,      /* in a move already */
	PREFLIGHT_SAME_NODE,
	PREFLIGHT_NAME_TAKEN,  /* the target has a VM of that name */
	PREFLIGHT_LOCAL_DISK,
	PREFLIGHT_NO_BASE,      /* of a disk that moves: the target lacks it */
	PREFLIGHT_OTHER_BASE,   /* its content is not the source's */
	PREFLIGHT_BASE_UNFIT,   /* it is there and cannot be one */
	PREFLIGHT_DISK_ROOM,    /* the target's file system has not enough room */
	PREFLIGHT_DEVICE,      /* one that cannot migrate, in QEMU's words */
	PREFLIGHT_POST_COPY,   /* what that cannot be done with */
	PREFLIGHT_CAPABILITY,  /* QEMU lacks what a safe commit needs */
	PREFLIGHT_CPU,
	PREFLIGHT_LOSES_PAGES, /* see vm_spec_loses_pages() */
	PREFLIGHT_MACHINE,
	PREFLIGHT_OLDER_QEMU,
	PREFLIGHT_ACCELERATOR,
	PREFLIGHT_MEMORY,
	PREFLIGHT_VCPUS,
};

struct preflight_disk {
	bool base_missing, base_differs;
	char problem[160]; /* why there is no base; "": there is */
};

struct preflight_target {
	const char *qemu_version;       /* NULL: not known */
	const char *const *machine_types;
	size_t n_machine_types;         /* 0: not known */
	bool has_kvm;
	bool has_vm;                    /* one of that name */
	uint64_t memory_free;           /* what VMs may still use */
	uint32_t vcpus_free;
	/* Of disks that move, by their number in the description; bytes where they will be. */
	struct preflight_disk disks[VM_DISKS_MAX];
	uint64_t disk_needed, disk_free;
	/* For post-copy: QEMU may not be told of page faults; somebody else has started it */
	bool no_faults, foreign;
	bool huge_pages; /* for guests' memory */
};

struct preflight_facts {
	const VmSpec *spec;  /* memory_bytes is what the guest really has */
	const char *source, *target; /* the nodes' names */
	bool running, moving;
	bool post_copy;      /* it may come to that */
	bool huge_pages;     /* at the source, for guests' memory */
	unsigned connections; /* data connections */
	const char *source_qemu; /* version; NULL: not known */
	/* "return" values of the source's QEMU, NULL where it was not asked. */
	const json_t *block;        /* query-block */
	const json_t *migrate;      /* query-migrate */
	const json_t *capabilities; /* query-migrate-capabilities */
	const struct preflight_target *host; /* the target; NULL: not known */
};

struct preflight_finding {
	enum preflight_code code;
	char text[200]; /* what is wrong and what to do */
};

#define PREFLIGHT_FINDINGS_MAX 32

struct preflight {
	struct preflight_finding findings[PREFLIGHT_FINDINGS_MAX];
	size_t n;
};

void preflight_check(const struct preflight_facts *facts, struct preflight *ret);

/* 0 when nothing blocks the move; else -EPERM (could be forced) or a fitting
 * errno, with the first finding that blocks. `force` passes over those that may
 * be forced. */
int preflight_verdict(const struct preflight *p, bool force, struct mg_error *err);

/* "local-disk"; for JSON and logs. Never NULL. */
const char *preflight_name(enum preflight_code code);

/* Whether an operator may insist. */
bool preflight_may_force(enum preflight_code code);

#endif
