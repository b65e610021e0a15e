/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "common/keys.h"
#include "telemetry/daemon.h"

#define DEVICE_LINE \
	"10000000-0000-4000-8000-00000000000a phone " \
	"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"

struct fixture {
	char directory[64], devices[96], key[96], config[96], public_key[KEY_TEXT_SIZE];
};

static void write_file(const char *path, const char *text)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void setup(struct fixture *f)
{
	struct keypair keys;

	strcpy(f->directory, "/tmp/test_daemon.XXXXXX");
	cr_assert_not_null(mkdtemp(f->directory));
	snprintf(f->devices, sizeof(f->devices), "%s/devices", f->directory);
	snprintf(f->key, sizeof(f->key), "%s/key", f->directory);
	snprintf(f->config, sizeof(f->config), "%s/telemetryd.yaml", f->directory);
	write_file(f->devices, DEVICE_LINE);
	cr_assert_eq(keypair_generate(&keys), 0);
	cr_assert_eq(keypair_save(f->key, &keys, NULL), 0);
	memcpy(f->public_key, keys.public_key, sizeof(keys.public_key));
}

static void teardown(struct fixture *f)
{
	unlink(f->devices);
	unlink(f->key);
	unlink(f->config);
	rmdir(f->directory);
}

/* A whole configuration, but for the line that begins with the name of `line`,
 * which is replaced by it, or added. */
static void write_config(const struct fixture *f, const char *line)
{
	char whole[1024], changed[1200] = "", *at = whole, *next;
	size_t name = strcspn(line, ":") + 1;
	bool done = !line[0];

	snprintf(whole, sizeof(whole),
		 "name: tower-a\nkey: %s\ncontroller:\n  endpoint: tcp://127.0.0.1:1\n"
		 "  key: '%s'\n  reports: tcp://127.0.0.1:2\nlisten: 127.0.0.1:0\n"
		 "devices: %s\ninterval: 100ms\n", f->key, f->public_key, f->devices);
	while ((next = strsep(&at, "\n"))) {
		bool same = !done && strncmp(next, line, name) == 0;

		done |= same;
		strcat(strcat(changed, same ? line : next), "\n");
	}
	if (!done)
		strcat(strcat(changed, line), "\n");
	write_file(f->config, changed);
}

static int load(const struct fixture *f, struct mg_error *err)
{
	void *config;
	int r = telemetry_daemon.load(f->config, &config, err);

	if (r >= 0)
		telemetry_daemon.unload(config);
	return r;
}

Test(daemon, a_good_configuration_loads_and_starts)
{
	struct mg_error err = { 0 };
	struct fixture f;
	sd_event *loop;
	void *config, *daemon;

	setup(&f);
	write_config(&f, "");
	cr_assert_eq(telemetry_daemon.load(f.config, &config, &err), 0, "%s", err.text);
	cr_assert_geq(sd_event_new(&loop), 0);
	cr_assert_eq(telemetry_daemon.start(config, loop, &daemon, &err), 0, "%s", err.text);
	for (int i = 0; i < 5; i++)
		cr_assert_geq(sd_event_run(loop, 10000), 0);
	telemetry_daemon.stop(daemon);
	sd_event_unref(loop);
	telemetry_daemon.unload(config);
	teardown(&f);
}

Test(daemon, all_tlvs_are_taken)
{
	struct mg_error err = { 0 };
	struct fixture f;

	setup(&f);
	write_config(&f, "tlvs: {padding: 1196, class_of_service: 63, timestamp_information: true, "
			 "direct_measurement: true, location: true, access_report: 3gpp, "
			 "follow_up: true, protect: true}");
	cr_assert_eq(load(&f, &err), 0, "%s", err.text);
	write_config(&f, "tlvs: {}");
	cr_assert_eq(load(&f, &err), 0, "%s", err.text);
	teardown(&f);
}

Test(daemon, plain_text_needs_no_keys)
{
	struct mg_error err = { 0 };
	struct fixture f;

	setup(&f);
	unlink(f.key);
	write_config(&f, "plain_text_bus: true");
	cr_assert_eq(load(&f, &err), 0, "%s", err.text);
	teardown(&f);
}

Test(daemon, errors_name_file_and_field)
{
	static const struct {
		const char *line, *says;
	} cases[] = {
		{ "name: ''", "name" },
		{ "key: /nonexistent", "/nonexistent" },
		{ "  key: 'short'", "public key" },
		{ "  reports: ''", "reports" },
		{ "listen: 127.0.0.1", "listen" },
		{ "listen: localhost:1", "listen" },
		{ "also_listen: '[::1]'", "also_listen" },
		{ "also_listen: 127.0.0.1:5000", "also_listen" },
		{ "devices: /nonexistent", "/nonexistent" },
		{ "interval: 100", "interval" },
		{ "interval: 19ms", "interval" },
		{ "interval: 2000m", "interval" },
		{ "timeout: soon", "timeout" },
		{ "window: 1ns", "window" },
		{ "report_interval: -1s", "report_interval" },
		{ "session_interval: never", "session_interval" },
		{ "session_interfaces: [br0]", "session_interval" },
		{ "session_interfaces: [of-sixteen-bytes]", "of-sixteen-bytes" },
		{ "metrics: localhost:9100", "metrics" },
		{ "tlvs: {padding: 0}", "padding" },
		{ "tlvs: {padding: 1197}", "1196" },
		{ "tlvs: {class_of_service: 64}", "class_of_service" },
		{ "tlvs: {access_report: wifi}", "'wifi'" },
		{ "tlvs: {follow_up: perhaps}", "follow_up" },
		{ "tlvs: {hmac: true}", "hmac" },
		{ "colour: red", "colour" },
		{ "authenticated: perhaps", "authenticated" },
		{ "plain_text_bus: perhaps", "plain_text_bus" },
		{ "controller: none", "controller" },
	};
	struct fixture f;

	setup(&f);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct mg_error err = { 0 };

		write_config(&f, cases[i].line);
		cr_assert_lt(load(&f, &err), 0, "%s", cases[i].line);
		cr_assert_not_null(strstr(err.text, cases[i].says), "%s: %s", cases[i].line,
				   err.text);
	}
	teardown(&f);
}

Test(daemon, secrets_that_others_may_read_are_refused)
{
	struct mg_error err = { 0 };
	struct fixture f;

	setup(&f);
	write_config(&f, "");
	cr_assert_eq(chmod(f.devices, 0644), 0);
	cr_assert_eq(load(&f, &err), -EPERM);
	cr_assert_not_null(strstr(err.text, f.devices), "%s", err.text);
	cr_assert_eq(chmod(f.devices, 0600), 0);
	cr_assert_eq(chmod(f.key, 0640), 0);
	cr_assert_eq(load(&f, &err), -EPERM);
	teardown(&f);
}

/* Whether `now` can be reloaded where `before` was started with. */
static int reload(const struct fixture *f, const char *before, const char *now,
		  struct mg_error *err)
{
	void *started_with, *config;
	int r;

	write_config(f, before);
	cr_assert_eq(telemetry_daemon.load(f->config, &started_with, err), 0, "%s", err->text);
	write_config(f, now);
	cr_assert_eq(telemetry_daemon.load(f->config, &config, err), 0, "%s", err->text);
	r = telemetry_daemon.reload(NULL, started_with, config, err);
	telemetry_daemon.unload(started_with);
	telemetry_daemon.unload(config);
	return r;
}

Test(daemon, what_is_taken_at_the_start_cannot_be_reloaded)
{
	static const struct {
		const char *before, *now, *says;
	} cases[] = {
		{ "window: 10s", "window: 11s", "'window'" },
		{ "", "session_interval: 1s", "'session_interval'" },
		{ "session_interval: 1s\nsession_interfaces: [br0]", "session_interval: 1s",
		  "'session_interfaces'" },
		{ "session_interval: 1s\nsession_interfaces: [br0, br1]",
		  "session_interval: 1s\nsession_interfaces: [br0, br2]", "'session_interfaces'" },
		{ "", "tlvs: {padding: 5}", "'tlvs'" },
		{ "tlvs: {class_of_service: 0}", "", "'tlvs'" },
		{ "tlvs: {access_report: 3gpp}", "tlvs: {access_report: other}", "'tlvs'" },
		{ "tlvs: {location: true}", "tlvs: {location: true, protect: true}", "'tlvs'" },
	};
	struct fixture f;

	setup(&f);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct mg_error err = { 0 };

		cr_assert_eq(reload(&f, cases[i].before, cases[i].now, &err), -EBUSY, "%zu", i);
		cr_assert_not_null(strstr(err.text, cases[i].says), "%s", err.text);
	}
	teardown(&f);
}
