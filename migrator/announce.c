/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/announce.h"

#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "migrator/move.h"
#include "migrator/tap.h"
#include "migrator/vm.h"

#define COMMAND_NS (5 * NS_PER_S)
/* ms: eight packets of each network card, over some three seconds */
#define FIRST_MS 50
#define STEP_MS 100
#define LONGEST_MS 1000
#define ROUNDS 8

/* When the bridge is asked, after the first announcement. */
static const uint64_t looks_ns[] = { NS_PER_S / 2, 2 * NS_PER_S, 5 * NS_PER_S, 10 * NS_PER_S };

struct announcement {
	struct uuid move; /* that it came with */
	sd_event_source *timer;
	uint64_t begun_ns;
	unsigned looks;
};

static void announce(struct vm *vm)
{
	struct qmp *q = vm->guest ? guest_qmp(vm->guest) : NULL;

	if (!q || qmp_command(q, "announce-self",
			      json_pack("{s:i, s:i, s:i, s:i}", "initial", FIRST_MS, "max", LONGEST_MS,
					"rounds", ROUNDS, "step", STEP_MS), COMMAND_NS, NULL, NULL) < 0)
		log_warning("announce", "vm=%s QEMU's monitor does not answer; others may not know yet "
			    "that it is here", vm->spec->name);
}

/* The first bridge that does not send to the guest's tap; NULL: all do. */
static const Tagalong__Network *find_lost(const struct vm *vm)
{
	for (size_t i = 0; i < vm->spec->n_networks; i++) {
		const Tagalong__Network *n = vm->spec->networks[i];
		int r = tap_is_learnt(n->bridge, n->mac);

		if (r < 0) /* nothing is known then, so nothing is said */
			log_debug("announce", "vm=%s bridge %s: %s", vm->spec->name, n->bridge,
				  strerror(-r));
		if (r == 0)
			return n;
	}
	return NULL;
}

static int on_look(sd_event_source *source, uint64_t now, void *userdata);

static void look_later(struct vm *vm)
{
	struct announcement *a = vm->announcement;
	uint64_t at = (a->begun_ns + looks_ns[a->looks++]) / NS_PER_US;

	sd_event_source_disable_unref(a->timer);
	a->timer = NULL;
	if (sd_event_add_time(vm->node->loop, &a->timer, CLOCK_MONOTONIC, at, 0, on_look, vm) < 0)
		announce_end(vm);
}

/* In the move's record, too: whoever ordered it has long been told that it succeeded. */
static void warn(struct vm *vm, const Tagalong__Network *lost)
{
	const struct announcement *a = vm->announcement;
	char text[256];

	snprintf(text, sizeof(text), "bridge %s has not learnt that %s is here, %u times announced; its "
		 "clients may have to find it again by themselves", lost->bridge, lost->mac, a->looks);
	log_warning("announce", "vm=%s %s", vm->spec->name, text);
	move_warn(vm->node, &a->move, text);
}

static int on_look(sd_event_source *source, uint64_t now, void *userdata)
{
	struct vm *vm = userdata;
	struct announcement *a = vm->announcement;
	const Tagalong__Network *lost;

	(void)source;
	(void)now;
	lost = vm->guest && vm->running && vm->place != VM_LEAVING ? find_lost(vm) : NULL;
	if (!lost) {
		log_debug("announce", "vm=%s is where its packets go", vm->spec->name);
		announce_end(vm);
	} else if (a->looks < ARRAY_SIZE(looks_ns)) {
		announce(vm);
		look_later(vm);
	} else {
		warn(vm, lost);
		announce_end(vm);
	}
	return 0;
}

void announce_begin(struct vm *vm, const struct uuid *move)
{
	if (vm->spec->n_networks == 0)
		return;
	announce_end(vm);
	vm->announcement = calloc(1, sizeof(*vm->announcement));
	if (!vm->announcement)
		return;
	vm->announcement->move = *move;
	vm->announcement->begun_ns = clock_mono_ns();
	announce(vm);
	look_later(vm);
}

void announce_end(struct vm *vm)
{
	if (!vm->announcement)
		return;
	sd_event_source_disable_unref(vm->announcement->timer);
	free(vm->announcement);
	vm->announcement = NULL;
}
