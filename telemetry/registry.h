/* SPDX-License-Identifier: Apache-2.0
 *
 * The node's side of registration: which devices may register here, and where
 * those are that did. No I/O and no clock of its own but for the loading.
 *
 * The file of devices holds secrets, so only its owner may read it; one
 * device a line, '#' starts a comment:
 *
 *     # UUID                                name   key (64 hexadecimal digits)
 *     123e4567-e89b-42d3-a456-426614174000  phone  00112233…
 *
 * A device that runs nothing of ours has, in place of the key, an address that answers to ping:
 *
 *     123e4567-e89b-42d3-a456-426614174001  till   icmp:192.0.2.7
 *     123e4567-e89b-42d3-a456-426614174002  door   icmp:[2001:db8::7]
 *
 * It is always there, and can never register.
 */
#ifndef TELEMETRY_REGISTRY_H
#define TELEMETRY_REGISTRY_H

#include "common/address.h"
#include "common/cleanup.h"
#include "common/error.h"
#include "common/keys.h"
#include "common/uuid.h"
#include "telemetry/registration.h"

struct registry;

struct device {
	struct uuid id;
	char name[PEER_NAME_SIZE];
	struct address address; /* none unless it is registered here now; without an agent: port 0 */
	bool agentless;
	bool asleep;            /* as it said when it registered */
};

enum registry_verdict {
	REGISTRY_IGNORED,   /* not authentic: no answer */
	REGISTRY_REPEAT,    /* authentic but not fresh: answer, nothing has changed */
	REGISTRY_REFRESHED, /* answer; nothing has changed */
	REGISTRY_CHANGED,   /* answer; it is new here, at another address, fell asleep or woke */
};

/* Datagrams by what became of them. */
struct registry_counters {
	uint64_t accepted, repeat, malformed, unknown_device, forged;
};

int registry_load(const char *path, struct registry **ret, struct mg_error *err);
int registry_parse(const char *name, const char *text, struct registry **ret,
		   struct mg_error *err);
void registry_free(struct registry *r);
DEFINE_CLEANUP(struct registry, registry_free)

/* Judges a datagram from `from` and, unless it is ignored, writes the answer
 * to it and the device that it concerns. */
enum registry_verdict registry_receive(struct registry *r, uint64_t now_ns,
				       const struct address *from, const void *data, size_t len,
				       uint8_t ret_answer[REGISTRATION_SIZE],
				       const struct device **ret_device);

/* A device's key, as long as the registry lives; NULL if it is unknown, or has none. */
const uint8_t *registry_key(const struct registry *r, const struct uuid *device);

/* Whether the device is one without an agent. */
bool registry_is_agentless(const struct registry *r, const struct uuid *device);

typedef void (*registry_device_fn)(const struct device *device, void *userdata);

/* Reads the file of devices anew. Registrations stay, but for those of devices that are gone or
 * have another key, and devices without an agent that are gone: each is told as registry_expire() does. An error changes nothing. */
int registry_reload(struct registry *r, const char *path, registry_device_fn fn, void *userdata,
		    struct mg_error *err);

/* Ends the registrations that were not refreshed in time; tells each with the
 * address that it had. */
void registry_expire(struct registry *r, uint64_t now_ns, registry_device_fn fn, void *userdata);

/* Every device that is registered here now, and those without an agent. */
void registry_for_each(struct registry *r, registry_device_fn fn, void *userdata);

/* Those of them in part `part`, from 0, of `parts` that are of the same size, but for one device. */
void registry_for_part(struct registry *r, unsigned part, unsigned parts, registry_device_fn fn,
		       void *userdata);

const struct registry_counters *registry_counters(const struct registry *r);

#endif
