/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <fcntl.h>
#include <jansson.h>
#include <sodium.h>
#include <string.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/keys.h"
#include "common/tokens.h"
#include "common/uuid.h"
#include "migrator/cli/commands.h"

#define LIST_MAX ((size_t)8 << 20)
#define DEVICE_KEY_SIZE 32
#define DAY_NS (86400 * NS_PER_S)

static void report_key(const struct cli *cli, const struct keypair *keys)
{
	cli_report(cli, json_pack("{s:s, s:s}", "file", cli->operands[0], "public_key",
				  keys->public_key),
		   "%s", keys->public_key);
}

/* None of these ever replaces a file. */
static int check_new_file(const char *path, struct mg_error *err)
{
	if (access(path, F_OK) == 0)
		return mg_error_set(err, -EEXIST, "%s: is there already", path);
	return 0;
}

enum cli_exit cmd_keys_make(const struct cli *cli, struct mg_error *err)
{
	const char *path = cli->operands[0];
	struct keypair keys;
	int r;

	if (cli->options.dry_run) {
		if (check_new_file(path, err) < 0)
			return CLI_FAILED;
		cli_report_change(cli, json_pack("{s:s}", "file", path), "made: a key in %s", path);
		return CLI_OK;
	}
	r = keypair_generate(&keys);
	if (r < 0)
		return cli_fail(err, CLI_FAILED, "cannot make a key: %s", strerror(-r));
	r = keypair_save(path, &keys, err);
	explicit_bzero(keys.secret_key, sizeof(keys.secret_key));
	if (r < 0)
		return CLI_FAILED;
	report_key(cli, &keys);
	return CLI_OK;
}

enum cli_exit cmd_keys_show(const struct cli *cli, struct mg_error *err)
{
	struct keypair keys;

	if (keypair_load(cli->operands[0], &keys, err) < 0)
		return CLI_FAILED;
	explicit_bzero(keys.secret_key, sizeof(keys.secret_key));
	report_key(cli, &keys);
	return CLI_OK;
}

/* ---- Lists ------------------------------------------------------------------------ */

/* The file's text, "" when there is none yet. */
static int list_read(const char *path, char **ret, size_t *ret_len, struct mg_error *err)
{
	int r = file_read(path, LIST_MAX, ret, ret_len, err);

	if (r != -ENOENT)
		return r;
	*ret = strdup("");
	*ret_len = 0;
	return *ret ? 0 : mg_error_set(err, -ENOMEM, "out of memory");
}

/* Appends a line in one write, after a newline where the last one lacks it. */
static int list_append(const char *path, const char *old, size_t old_len, const char *line,
		       mode_t mode, struct mg_error *err)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, mode);
	_cleanup_free_ char *text = NULL;
	bool broken = old_len && old[old_len - 1] != '\n';
	int n = asprintf(&text, "%s%s\n", broken ? "\n" : "", line);

	if (n < 0)
		return mg_error_set(err, -ENOMEM, "out of memory");
	if (fd < 0 || write(fd, text, (size_t)n) != n || fsync(fd) < 0)
		return mg_error_set(err, -errno, "%s: cannot write: %s", path, strerror(errno));
	return 0;
}

/* The list as it would be must be valid: a name or key twice is found here. */
static int allow_check(const char *path, const char *old, size_t old_len, const char *line,
		       struct mg_error *err)
{
	_cleanup_(allow_list_free_p) struct allow_list *list = NULL;
	_cleanup_free_ char *text = NULL;
	int n = asprintf(&text, "%.*s\n%s\n", (int)old_len, old, line), r;

	if (n < 0)
		return mg_error_set(err, -ENOMEM, "out of memory");
	r = allow_list_parse(text, (size_t)n, &list, err);
	if (r < 0)
		mg_error_prefix(err, "%s, with the new line", path);
	return r;
}

enum cli_exit cmd_keys_allow(const struct cli *cli, struct mg_error *err)
{
	_cleanup_free_ char *old = NULL;
	const char *path = cli->options.to;
	char line[256];
	size_t len;

	if (!path)
		return cli_fail(err, CLI_USAGE, "keys allow: --to FILE is needed, the allow list");
	snprintf(line, sizeof(line), "%-10s  %-20s  %s", cli->operands[0], cli->operands[1],
		 cli->operands[2]);
	if (list_read(path, &old, &len, err) < 0 || allow_check(path, old, len, line, err) < 0)
		return CLI_FAILED;
	if (!cli->options.dry_run && list_append(path, old, len, line, 0644, err) < 0)
		return CLI_FAILED;
	cli_report_change(cli,
			  json_pack("{s:s, s:s, s:s}", "file", path, "role", cli->operands[0],
				    "name", cli->operands[1]),
			  "allowed: %s may speak as %s", cli->operands[1], cli->operands[0]);
	return CLI_OK;
}

static bool name_is_plain(const char *name)
{
	if (strlen(name) >= PEER_NAME_SIZE)
		return false;
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && !strchr("-_.", *name))
			return false;
	return true;
}

/* The device's own file: its key, and nothing else. Never replaces a file. */
static int device_key_save(const char *path, const char *key_text, struct mg_error *err)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 || dprintf(fd, "%s\n", key_text) < 0 || fsync(fd) < 0)
		return mg_error_set(err, -errno, "%s: cannot write: %s", path, strerror(errno));
	return 0;
}

/* The key goes into the device's file and into the nodes' list. */
static int device_make(const char *name, const char *file, const char *list, const char *id,
		       bool dry_run, struct mg_error *err)
{
	_cleanup_free_ char *old = NULL;
	uint8_t key[DEVICE_KEY_SIZE];
	char key_text[2 * DEVICE_KEY_SIZE + 1], line[256];
	size_t len;
	int r;

	randombytes_buf(key, sizeof(key));
	sodium_bin2hex(key_text, sizeof(key_text), key, sizeof(key));
	snprintf(line, sizeof(line), "%s %s %s", id, name, key_text);
	r = list_read(list, &old, &len, err);
	if (r == 0)
		r = dry_run ? check_new_file(file, err) : device_key_save(file, key_text, err);
	if (r == 0 && !dry_run) {
		r = list_append(list, old, len, line, 0600, err);
		if (r < 0)
			unlink(file);
	}
	sodium_memzero(key, sizeof(key));
	sodium_memzero(key_text, sizeof(key_text));
	sodium_memzero(line, sizeof(line));
	return r;
}

enum cli_exit cmd_keys_device(const struct cli *cli, struct mg_error *err)
{
	const char *name = cli->operands[0], *file = cli->operands[1], *list = cli->options.to;
	struct uuid id = uuid_random();
	char id_text[UUID_TEXT_SIZE];

	if (!list)
		return cli_fail(err, CLI_USAGE, "keys device: --to FILE is needed, the list of devices");
	if (!name_is_plain(name) || !name[0])
		return cli_fail(err, CLI_USAGE, "keys device: a name has 1 to %d letters, digits, '-', "
				"'_' or '.'", PEER_NAME_SIZE - 1);
	if (sodium_init() < 0)
		return cli_fail(err, CLI_FAILED, "libsodium does not start");
	uuid_format(&id, id_text);
	if (device_make(name, file, list, id_text, cli->options.dry_run, err) < 0)
		return CLI_FAILED;
	if (cli->options.dry_run)
		cli_report_change(cli, json_pack("{s:s, s:s}", "file", file, "device", name),
				  "made: a key of %s in %s", name, file);
	else
		cli_report(cli,
			   json_pack("{s:s, s:s, s:s}", "file", file, "device", name, "device_id",
				     id_text),
			   "%s", id_text);
	return CLI_OK;
}

/* The token is printed, once; the list gets its hash. */
enum cli_exit cmd_keys_token(const struct cli *cli, struct mg_error *err)
{
	const char *role_name = cli->operands[0], *name = cli->operands[1], *list = cli->options.to;
	_cleanup_free_ char *old = NULL;
	char token[TOKEN_TEXT_SIZE], line[TOKEN_LINE_SIZE];
	enum token_role role;
	uint64_t until = 0;
	size_t len;

	if (!list)
		return cli_fail(err, CLI_USAGE, "keys token: --to FILE is needed, the list of tokens");
	if (token_role_parse(role_name, &role) < 0)
		return cli_fail(err, CLI_USAGE, "keys token: role '%.32s' is none of read, operate",
				role_name);
	if (sodium_init() < 0)
		return cli_fail(err, CLI_FAILED, "libsodium does not start");
	if (cli->options.days)
		until = clock_utc_ns() + cli->options.days * DAY_NS;
	if (token_make(role, name, until, token, line, err) < 0)
		return CLI_USAGE;
	if (list_read(list, &old, &len, err) < 0)
		return CLI_FAILED;
	if (cli->options.dry_run) {
		cli_report_change(
			cli,
			json_pack("{s:s, s:s, s:s}", "file", list, "role", role_name, "name", name),
			"made: a token of %s to %s", name, role_name);
		return CLI_OK;
	}
	if (list_append(list, old, len, line, 0600, err) < 0)
		return CLI_FAILED;
	cli_report(cli, json_pack("{s:s, s:s, s:s, s:s}", "file", list, "role", role_name, "name",
				  name, "token", token),
		   "%s", token);
	sodium_memzero(token, sizeof(token));
	return CLI_OK;
}
