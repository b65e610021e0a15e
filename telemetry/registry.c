/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/registry.h"

#include <sodium.h>
#include <string.h>

#include "common/clock.h"
#include "common/file.h"

#define DEVICES_FILE_MAX ((size_t)256 << 20)
/* A registration outlives two lost refreshes, and any at least a second. */
#define LIFETIME_PERIODS 3
#define LIFETIME_MIN_MS 1000
#define LIFETIME_MAX_MS (60 * 60 * 1000)

struct entry {
	struct device device; /* what others see */
	uint8_t key[DEVICE_KEY_SIZE];
	uint64_t highest; /* counter accepted since our start */
	uint64_t expires_ns;
};

struct registry {
	struct entry *entries; /* sorted by UUID */
	size_t n;
	uint64_t realm;
	struct registry_counters counters;
};

/* ---- The file of devices --------------------------------------------------- */

static int by_id(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return memcmp(x->device.id.bytes, y->device.id.bytes, UUID_SIZE);
}

#define AGENTLESS "icmp:"

static int parse_agentless(const char *text, struct device *ret)
{
	char address[ADDRESS_TEXT_SIZE];

	/* The parser wants a port, and so takes none from the text. */
	if (snprintf(address, sizeof(address), "%s:0", text) >= (int)sizeof(address) ||
	    address_parse(address, 0, &ret->address) < 0)
		return -EINVAL;
	ret->agentless = true;
	return 0;
}

static int parse_line(const char *name, unsigned number, const char *line, struct entry *ret,
		      struct mg_error *err)
{
	char id[UUID_TEXT_SIZE + 1], key[DEVICE_KEY_TEXT_SIZE + 1], rest[2];
	struct entry e = { 0 };
	int n = sscanf(line, "%37s %63s %65s %1s", id, e.device.name, key, rest);

	if (n != 3 && !(n == 4 && rest[0] == '#'))
		return mg_error_set(err, -EINVAL, "%s:%u: a line is 'UUID NAME KEY'", name, number);
	if (uuid_parse(id, &e.device.id) < 0)
		return mg_error_set(err, -EINVAL, "%s:%u: '%s' is no UUID", name, number, id);
	if (!peer_name_is_valid(e.device.name))
		return mg_error_set(err, -EINVAL,
				    "%s:%u: a name has letters, digits, '-', '_' and '.' only", name,
				    number);
	if (strncmp(key, AGENTLESS, strlen(AGENTLESS)) == 0) {
		if (parse_agentless(key + strlen(AGENTLESS), &e.device) < 0)
			return mg_error_set(err, -EINVAL, "%s:%u: '%s' is not such as "
					    "icmp:192.0.2.7 or icmp:[2001:db8::7]", name, number,
					    key);
		*ret = e;
		return 0;
	}
	if (device_key_parse(key, e.key) < 0)
		return mg_error_set(err, -EINVAL, "%s:%u: a key is 64 hexadecimal digits", name,
				    number);
	*ret = e;
	return 0;
}

static int add_entry(struct registry *r, size_t *room, const struct entry *e)
{
	if (r->n == *room) {
		size_t bigger = *room ? *room * 2 : 16;
		struct entry *entries = reallocarray(r->entries, bigger, sizeof(*entries));

		if (!entries)
			return -ENOMEM;
		r->entries = entries;
		*room = bigger;
	}
	r->entries[r->n++] = *e;
	return 0;
}

static int parse_lines(struct registry *r, const char *name, const char *text,
		       struct mg_error *err)
{
	size_t room = 0;
	char line[256];

	for (unsigned number = 1; *text; number++) {
		size_t len = strcspn(text, "\n");
		struct entry e;
		int n;

		if (len >= sizeof(line))
			return mg_error_set(err, -EINVAL, "%s:%u: line too long", name, number);
		memcpy(line, text, len);
		line[len] = '\0';
		text += len + (text[len] == '\n');
		if (strchr("#", line[strspn(line, " \t\r")]))
			continue;
		n = parse_line(name, number, line, &e, err);
		if (n < 0)
			return n;
		if (add_entry(r, &room, &e) < 0)
			return mg_error_set(err, -ENOMEM, "out of memory");
	}
	return 0;
}

int registry_parse(const char *name, const char *text, struct registry **ret,
		   struct mg_error *err)
{
	_cleanup_(registry_free_p) struct registry *r = calloc(1, sizeof(*r));
	char id[UUID_TEXT_SIZE];
	int n;

	if (!r || sodium_init() < 0)
		return mg_error_set(err, -ENOMEM, "out of memory");
	n = parse_lines(r, name, text, err);
	if (n < 0)
		return n;
	if (r->n)
		qsort(r->entries, r->n, sizeof(r->entries[0]), by_id);
	for (size_t i = 1; i < r->n; i++)
		if (by_id(&r->entries[i - 1], &r->entries[i]) == 0)
			return mg_error_set(err, -EINVAL, "%s: device %s is there twice", name,
					    uuid_format(&r->entries[i].device.id, id));
	/* 0 is what a device says that has met no node yet. */
	while (r->realm == 0)
		randombytes_buf(&r->realm, sizeof(r->realm));
	*ret = TAKE_PTR(r);
	return 0;
}

int registry_load(const char *path, struct registry **ret, struct mg_error *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	r = file_read_secret(path, DEVICES_FILE_MAX, &text, &len, err);
	if (r < 0)
		return r;
	r = strlen(text) == len ? registry_parse(path, text, ret, err)
				: mg_error_set(err, -EINVAL, "%s: not a text file", path);
	sodium_memzero(text, len);
	return r;
}

void registry_free(struct registry *r)
{
	if (!r)
		return;
	if (r->entries)
		sodium_memzero(r->entries, r->n * sizeof(r->entries[0]));
	free(r->entries);
	free(r);
}

/* ---- Registrations ----------------------------------------------------------- */

static struct entry *find(const struct registry *r, const struct uuid *id)
{
	struct entry key;

	if (r->n == 0)
		return NULL;
	key.device.id = *id;
	return bsearch(&key, r->entries, r->n, sizeof(r->entries[0]), by_id);
}

/* What the device has been through here goes on, if it still is what it was. */
static bool take_over(const struct entry *from, struct entry *to)
{
	if (!to || from->device.agentless != to->device.agentless ||
	    sodium_memcmp(from->key, to->key, sizeof(to->key)) != 0)
		return false;
	if (to->device.agentless)
		return true;
	to->device.address = from->device.address;
	to->device.asleep = from->device.asleep;
	to->highest = from->highest;
	to->expires_ns = from->expires_ns;
	return true;
}

int registry_reload(struct registry *r, const char *path, registry_device_fn fn, void *userdata,
		    struct mg_error *err)
{
	_cleanup_(registry_free_p) struct registry *fresh = NULL;
	int e = registry_load(path, &fresh, err);
	struct entry *entries;
	size_t n;

	if (e < 0)
		return e;
	for (size_t i = 0; i < r->n; i++) {
		const struct entry *old = &r->entries[i];

		if (!take_over(old, find(fresh, &old->device.id)) &&
		    !address_is_none(&old->device.address))
			fn(&old->device, userdata);
	}
	/* The old ones go with `fresh`. */
	entries = r->entries;
	n = r->n;
	r->entries = fresh->entries;
	r->n = fresh->n;
	fresh->entries = entries;
	fresh->n = n;
	return 0;
}

const uint8_t *registry_key(const struct registry *r, const struct uuid *device)
{
	const struct entry *e = find(r, device);

	return e && !e->device.agentless ? e->key : NULL;
}

bool registry_is_agentless(const struct registry *r, const struct uuid *device)
{
	const struct entry *e = find(r, device);

	return e && e->device.agentless;
}

/* The device, if the datagram is a REGISTER that has its MAC. */
static struct entry *authenticate(struct registry *r, const void *data, size_t len,
				  struct registration *ret)
{
	struct entry *e;

	if (registration_unpack(data, len, ret) < 0 || ret->type != REGISTRATION_REGISTER) {
		r->counters.malformed++;
		return NULL;
	}
	e = find(r, &ret->device);
	if (!e || e->device.agentless) {
		r->counters.unknown_device++;
		return NULL;
	}
	if (!registration_verify(data, e->key)) {
		r->counters.forged++;
		return NULL;
	}
	return e;
}

static uint32_t lifetime_ms(uint32_t refresh_ms)
{
	uint64_t ms = (uint64_t)refresh_ms * LIFETIME_PERIODS;

	if (ms < LIFETIME_MIN_MS)
		return LIFETIME_MIN_MS;
	return ms > LIFETIME_MAX_MS ? LIFETIME_MAX_MS : (uint32_t)ms;
}

static enum registry_verdict accept_registration(struct entry *e, uint64_t expires_ns,
						 const struct address *from, bool asleep)
{
	bool same = address_equal(&e->device.address, from) && e->device.asleep == asleep;

	e->device.address = *from;
	e->device.asleep = asleep;
	e->expires_ns = expires_ns;
	return same ? REGISTRY_REFRESHED : REGISTRY_CHANGED;
}

enum registry_verdict registry_receive(struct registry *r, uint64_t now_ns,
				       const struct address *from, const void *data, size_t len,
				       uint8_t ret_answer[REGISTRATION_SIZE],
				       const struct device **ret_device)
{
	struct registration m;
	struct entry *e = authenticate(r, data, len, &m);
	enum registry_verdict verdict = REGISTRY_REPEAT;
	bool fresh, asleep;

	if (!e)
		return REGISTRY_IGNORED;
	fresh = m.realm == r->realm && m.counter > e->highest;
	asleep = m.status == REGISTRATION_ASLEEP;
	m.type = REGISTRATION_ANSWER;
	m.status = fresh ? REGISTRATION_ACCEPTED : REGISTRATION_REPEAT;
	m.period_ms = lifetime_ms(m.period_ms);
	if (fresh) {
		e->highest = m.counter;
		verdict = accept_registration(e, now_ns + m.period_ms * NS_PER_MS, from, asleep);
		r->counters.accepted++;
	} else {
		r->counters.repeat++;
	}
	m.realm = r->realm;
	m.highest = e->highest;
	registration_pack(&m, e->key, ret_answer);
	*ret_device = &e->device;
	return verdict;
}

void registry_expire(struct registry *r, uint64_t now_ns, registry_device_fn fn, void *userdata)
{
	for (size_t i = 0; i < r->n; i++) {
		struct entry *e = &r->entries[i];

		if (e->device.agentless || address_is_none(&e->device.address) ||
		    e->expires_ns > now_ns)
			continue;
		fn(&e->device, userdata);
		e->device.address = (struct address){ 0 };
	}
}

void registry_for_each(struct registry *r, registry_device_fn fn, void *userdata)
{
	registry_for_part(r, 0, 1, fn, userdata);
}

void registry_for_part(struct registry *r, unsigned part, unsigned parts, registry_device_fn fn,
		       void *userdata)
{
	for (size_t i = r->n * part / parts; i < r->n * (part + 1) / parts; i++)
		if (!address_is_none(&r->entries[i].device.address))
			fn(&r->entries[i].device, userdata);
}

const struct registry_counters *registry_counters(const struct registry *r)
{
	return &r->counters;
}
