/* SPDX-License-Identifier: Apache-2.0 */
#include "common/keys.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <zmq.h>

#include "common/file.h"

#define ALLOW_LIST_MAX ((size_t)8 << 20)

struct allowed {
	enum peer_role role;
	char name[PEER_NAME_SIZE];
	char key[KEY_TEXT_SIZE];
};

struct allow_list {
	size_t n;
	struct allowed *items;
};

static const char *const role_names[] = {
	[PEER_ROLE_NONE] = "none",
	[PEER_ROLE_CONTROLLER] = "controller",
	[PEER_ROLE_NODE] = "node",
	[PEER_ROLE_OPERATOR] = "operator",
};

const char *peer_role_name(enum peer_role role)
{
	return role_names[role];
}

int peer_role_parse(const char *text, enum peer_role *ret)
{
	for (size_t i = PEER_ROLE_CONTROLLER; i < ARRAY_SIZE(role_names); i++)
		if (strcmp(text, role_names[i]) == 0) {
			*ret = (enum peer_role)i;
			return 0;
		}
	return -EINVAL;
}

int keypair_generate(struct keypair *ret)
{
	/* Public keys are given on command lines: none may look like an option. */
	do {
		if (zmq_curve_keypair(ret->public_key, ret->secret_key) < 0)
			return -zmq_errno();
	} while (ret->public_key[0] == '-');
	return 0;
}

int keypair_load(const char *path, struct keypair *ret, struct mg_error *err)
{
	_cleanup_free_ char *text = NULL;
	struct keypair keys = { 0 };
	size_t len;
	int r;

	r = file_read_secret(path, 4096, &text, &len, err);
	if (r == -ENOENT)
		return mg_error_set(err, r, "%s: %s; 'migrator keys make FILE' makes a key", path,
				    strerror(-r));
	if (r < 0)
		return r;
	while (len && isspace((unsigned char)text[len - 1]))
		text[--len] = '\0';
	if (len != KEY_TEXT_SIZE - 1)
		return mg_error_set(err, -EINVAL, "%s: not a secret key of %d Z85 characters", path,
				    KEY_TEXT_SIZE - 1);
	memcpy(keys.secret_key, text, KEY_TEXT_SIZE);
	explicit_bzero(text, len);
	if (zmq_curve_public(keys.public_key, keys.secret_key) < 0)
		return mg_error_set(err, -EINVAL, "%s: not a secret key in Z85", path);
	*ret = keys;
	return 0;
}

int keypair_save(const char *path, const struct keypair *keys, struct mg_error *err)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	char line[KEY_TEXT_SIZE + 1];
	int n;

	if (fd < 0 && errno == ENOENT)
		return mg_error_set(err, -ENOENT, "%s: its folder does not exist", path);
	if (fd < 0)
		return mg_error_set(err, -errno, "%s: %s", path, strerror(errno));
	n = snprintf(line, sizeof(line), "%s\n", keys->secret_key);
	if (write(fd, line, (size_t)n) != n || fsync(fd) < 0) {
		int r = -errno;

		unlink(path);
		return mg_error_set(err, r, "%s: cannot write: %s", path, strerror(-r));
	}
	return 0;
}

bool peer_name_is_valid(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n >= PEER_NAME_SIZE)
		return false;
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && !strchr("-_.", *name))
			return false;
	return true;
}

static bool key_is_valid(const char *key)
{
	uint8_t raw[32];

	return strlen(key) == KEY_TEXT_SIZE - 1 && zmq_z85_decode(raw, key);
}

static int parse_line(struct allow_list *list, char *line, unsigned number, struct mg_error *err)
{
	char *comment = strchr(line, '#'), *save = NULL;
	char *role, *name, *key;
	struct allowed *items, a = { 0 };

	/* '#' is also a character of Z85: a comment starts a line or follows space. */
	while (comment && comment != line && !isspace((unsigned char)comment[-1]))
		comment = strchr(comment + 1, '#');
	if (comment)
		*comment = '\0';
	role = strtok_r(line, " \t\r", &save);
	if (!role)
		return 0;
	name = strtok_r(NULL, " \t\r", &save);
	key = strtok_r(NULL, " \t\r", &save);
	if (!name || !key || strtok_r(NULL, " \t\r", &save))
		return mg_error_set(err, -EINVAL, "line %u: expected 'ROLE NAME KEY'", number);
	if (peer_role_parse(role, &a.role) < 0)
		return mg_error_set(err, -EINVAL,
				    "line %u: role '%.32s' is none of controller, node, operator",
				    number, role);
	if (!peer_name_is_valid(name))
		return mg_error_set(err, -EINVAL,
				    "line %u: a name has 1 to %d letters, digits, '-', '_' or '.'",
				    number, PEER_NAME_SIZE - 1);
	if (!key_is_valid(key))
		return mg_error_set(err, -EINVAL, "line %u: not a public key of %d Z85 characters",
				    number, KEY_TEXT_SIZE - 1);
	if (allow_list_find(list, key, &(enum peer_role){ 0 }, &(const char *){ NULL }))
		return mg_error_set(err, -EINVAL, "line %u: this key is on the list already", number);
	strcpy(a.name, name);
	strcpy(a.key, key);
	items = reallocarray(list->items, list->n + 1, sizeof(*items));
	if (!items)
		return mg_error_set(err, -ENOMEM, "out of memory");
	list->items = items;
	list->items[list->n++] = a;
	return 0;
}

int allow_list_parse(const char *text, size_t len, struct allow_list **ret, struct mg_error *err)
{
	_cleanup_(allow_list_free_p) struct allow_list *list = calloc(1, sizeof(*list));
	_cleanup_free_ char *copy = strndup(text, len);
	char *line = copy, *next;

	if (!list || !copy)
		return mg_error_set(err, -ENOMEM, "out of memory");
	for (unsigned number = 1; line; number++, line = next) {
		int r;

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		r = parse_line(list, line, number, err);
		if (r < 0)
			return r;
	}
	*ret = TAKE_PTR(list);
	return 0;
}

int allow_list_load(const char *path, struct allow_list **ret, struct mg_error *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	r = file_read(path, ALLOW_LIST_MAX, &text, &len, err);
	if (r < 0)
		return r;
	r = allow_list_parse(text, len, ret, err);
	if (r < 0)
		mg_error_prefix(err, "%s", path);
	return r;
}

void allow_list_free(struct allow_list *list)
{
	if (!list)
		return;
	free(list->items);
	free(list);
}

bool allow_list_find(const struct allow_list *list, const char *public_key,
		     enum peer_role *ret_role, const char **ret_name)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->items[i].key, public_key) == 0) {
			*ret_role = list->items[i].role;
			*ret_name = list->items[i].name;
			return true;
		}
	return false;
}

const char *allow_list_key_of(const struct allow_list *list, enum peer_role role, const char *name)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->items[i].role == role && strcmp(list->items[i].name, name) == 0)
			return list->items[i].key;
	return NULL;
}

bool allow_list_get(const struct allow_list *list, size_t i, enum peer_role *ret_role,
		    const char **ret_name, const char **ret_key)
{
	if (i >= list->n)
		return false;
	*ret_role = list->items[i].role;
	*ret_name = list->items[i].name;
	*ret_key = list->items[i].key;
	return true;
}
