/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/testbed/daemons.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "common/file.h"
#include "sim/testbed/process.h"

#define STATE "/run/testbed" /* private to the sandbox, and gone with it */
#define CONTROL_PORT 7001
#define DATA_PORT 7002
#define TELEMETRY_PORT 8620
#define REPORTS_PORT 7003
#define DEVICE_KEY_BYTES 32
#define STOP_WAIT_NS (5 * NS_PER_S)
#define CONTROLLER_ENDPOINT "tcp://" TOPOLOGY_CONTROLLER ":7001"
#define DAEMONS_MAX (2 + 2 * TOWERS_MAX)

struct daemons {
	struct daemons_config config;
	const struct scenario *scenario;
	const struct topology *topology;
	struct keypair controller, operator;
	struct keypair towers[TOWERS_MAX];
	struct uuid device;
	char device_key[2 * DEVICE_KEY_BYTES + 1];
	struct daemon list[DAEMONS_MAX];
	int n;
	char pattern[128];
};

/* ---- Files ---------------------------------------------------------------------- */

static int write_text(struct mg_error *err, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Writes STATE/name, readable by its owner alone: some hold secrets. */
static int write_text(struct mg_error *err, const char *name, const char *fmt, ...)
{
	char path[PATH_MAX];
	va_list args;
	int fd, n;

	snprintf(path, sizeof(path), STATE "/%s", name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return mg_error_set(err, -errno, "%s: %s", path, strerror(errno));
	va_start(args, fmt);
	n = vdprintf(fd, fmt, args);
	va_end(args);
	close(fd);
	return n < 0 ? mg_error_set(err, -EIO, "%s: cannot be written", path) : 0;
}

static int make_directories(const struct daemons *d, struct mg_error *err)
{
	char path[PATH_MAX];
	int r = directory_make(STATE "/controller", 0700, err);

	for (int i = 0; r >= 0 && i < d->scenario->n_towers; i++) {
		static const char *const parts[] = { "state", "ram" };

		for (size_t j = 0; r >= 0 && j < ARRAY_SIZE(parts); j++) {
			snprintf(path, sizeof(path), STATE "/%s/%s", d->scenario->towers[i].name,
				 parts[j]);
			r = directory_make(path, 0700, err);
		}
	}
	snprintf(path, sizeof(path), "%s/logs", d->config.results);
	return r < 0 ? r : directory_make(path, 0755, err);
}

static int make_key(const char *name, struct keypair *ret, struct mg_error *err)
{
	char path[PATH_MAX];
	int r = keypair_generate(ret);

	if (r < 0)
		return mg_error_set(err, r, "making a key: %s", strerror(-r));
	snprintf(path, sizeof(path), STATE "/%s.key", name);
	return keypair_save(path, ret, err);
}

static int make_keys(struct daemons *d, struct mg_error *err)
{
	uint8_t key[DEVICE_KEY_BYTES];
	int r = make_key("controller", &d->controller, err);

	if (r >= 0)
		r = make_key("operator", &d->operator, err);
	for (int i = 0; r >= 0 && i < d->scenario->n_towers; i++)
		r = make_key(d->scenario->towers[i].name, &d->towers[i], err);
	d->device = uuid_random();
	randombytes_buf(key, sizeof(key));
	sodium_bin2hex(d->device_key, sizeof(d->device_key), key, sizeof(key));
	return r;
}

/* One list for all: who they are does not depend on who asks. */
static int write_allow_list(const struct daemons *d, struct mg_error *err)
{
	char text[4096];
	int n = snprintf(text, sizeof(text),
			 "controller " CONTROLLER_NAME " %s\noperator " OPERATOR_NAME " %s\n",
			 d->controller.public_key, d->operator.public_key);

	for (int i = 0; i < d->scenario->n_towers; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "node %s %s\n",
			      d->scenario->towers[i].name, d->towers[i].public_key);
	return write_text(err, "allow", "%s", text);
}

static int write_controller(const struct daemons *d, struct mg_error *err)
{
	const struct scenario *s = d->scenario;

	return write_text(err, "placementd.yaml",
			  "name: " CONTROLLER_NAME "\n"
			  "key: " STATE "/controller.key\n"
			  "allow: " STATE "/allow\n"
			  "listen: " CONTROLLER_ENDPOINT "\n"
			  "listen_reports: tcp://" TOPOLOGY_CONTROLLER ":%d\n"
			  "store: " STATE "/controller/store.db\n"
			  "record: %s/inputs.record\n"
			  "decisions: %s/decisions.log\n"
			  "policy:\n"
			  "  threshold: %" PRIu64 "ns\n"
			  "  hold: %" PRIu64 "ns\n"
			  "  margin: %" PRIu64 "ns\n"
			  "  min_stay: %" PRIu64 "ns\n"
			  "  interval: %" PRIu64 "ns\n"
			  "limits:\n"
			  "  blackout: %" PRIu64 "ns\n"
			  "  blackout_max: %" PRIu64 "ns\n"
			  "  bandwidth: %" PRIu64 "bit\n"
			  "  timeout: %" PRIu64 "ns\n"
			  "  warmings: %u\n",
			  REPORTS_PORT, d->config.results, d->config.results,
			  s->policy.threshold_ns, s->policy.hold_ns, s->policy.margin_ns,
			  s->policy.min_stay_ns, s->policy.interval_ns, s->limits.blackout_ns,
			  s->limits.blackout_max_ns, s->limits.bandwidth_bps, s->limits.timeout_ns,
			  s->limits.warmings);
}

static int write_migratord(const struct daemons *d, int tower, struct mg_error *err)
{
	const char *name = d->scenario->towers[tower].name;
	const char *address = topology_underlay(d->topology, tower);
	char file[64];

	snprintf(file, sizeof(file), "%s/migratord.yaml", name);
	return write_text(err, file,
			  "name: %s\n"
			  "key: " STATE "/%s.key\n"
			  "allow: " STATE "/allow\n"
			  "listen: tcp://%s:%d\n"
			  "data_listen: %s:%d\n"
			  "controller: {endpoint: '" CONTROLLER_ENDPOINT "', key: '%s'}\n"
			  "state_dir: " STATE "/%s/state\n"
			  "ram_dir: " STATE "/%s/ram\n"
			  "memory: %" PRIu64 "\n"
			  "vcpus: %u\n",
			  name, name, address, CONTROL_PORT, address, DATA_PORT,
			  d->controller.public_key, name, name, 2 * d->scenario->guest.memory,
			  2 * d->scenario->guest.vcpus);
}

static int write_telemetryd(const struct daemons *d, int tower, struct mg_error *err)
{
	const struct scenario *s = d->scenario;
	const char *name = s->towers[tower].name;
	char file[64];

	snprintf(file, sizeof(file), "%s/telemetryd.yaml", name);
	return write_text(err, file,
			  "name: %s\n"
			  "key: " STATE "/%s.key\n"
			  "controller:\n"
			  "  endpoint: '" CONTROLLER_ENDPOINT "'\n"
			  "  reports: 'tcp://" TOPOLOGY_CONTROLLER ":%d'\n"
			  "  key: '%s'\n"
			  "listen: %s:%d\n"
			  "devices: " STATE "/devices\n"
			  "interval: %" PRIu64 "ns\n"
			  "report_interval: %" PRIu64 "ns\n"
			  "window: %" PRIu64 "ns\n",
			  name, name, REPORTS_PORT, d->controller.public_key,
			  topology_overlay(d->topology, tower), TELEMETRY_PORT,
			  s->telemetry.probe_ns, s->telemetry.report_ns, s->telemetry.window_ns);
}

static int write_device(const struct daemons *d, struct mg_error *err)
{
	char id[UUID_TEXT_SIZE];
	int r;

	uuid_format(&d->device, id);
	r = write_text(err, "devices", "%s %s %s\n", id, d->scenario->phone.name, d->device_key);
	return r < 0 ? r : write_text(err, "device.key", "%s\n", d->device_key);
}

static int write_operator(const struct daemons *d, struct mg_error *err)
{
	return write_text(err, "migrator.yaml",
			  "name: " OPERATOR_NAME "\n"
			  "key: " STATE "/operator.key\n"
			  "controller: {endpoint: '" CONTROLLER_ENDPOINT "', key: '%s'}\n",
			  d->controller.public_key);
}

static int write_vm(const struct daemons *d, struct mg_error *err)
{
	const struct scenario *s = d->scenario;

	return write_text(err, "vm.yaml",
			  "name: %s\n"
			  "memory: %" PRIu64 "\n"
			  "vcpus: %u\n"
			  "accelerator: tcg\n"
			  "kernel: %s/guest/vmlinuz\n"
			  "initrd: %s/guest/initrd.img\n"
			  "cmdline: console=hvc0 quiet tsc=reliable no_timer_check panic=-1"
			  " tagguest.mem=%" PRIu64 " tagguest.ws=%" PRIu64 " tagguest.rate=%" PRIu64
			  " tagguest.verify=%" PRIu64 " tagguest.compress=%.2f"
			  " tagguest.ip=" TOPOLOGY_GUEST "/%d\n"
			  "networks: [{bridge: " TOPOLOGY_BRIDGE ", mac: '" TOPOLOGY_GUEST_MAC "'}]\n",
			  s->guest.name, s->guest.memory, s->guest.vcpus, d->config.programs,
			  d->config.programs, s->guest.pattern, s->guest.working_set,
			  s->guest.dirty_rate, s->guest.verify_rate, s->guest.compressibility,
			  TOPOLOGY_PREFIX);
}

/* placementd appends; what an earlier run left must not be judged again. */
static int remove_records(const struct daemons *d, struct mg_error *err)
{
	static const char *const names[] = { "inputs.record", "decisions.log" };
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", d->config.results, names[i]);
		if (unlink(path) < 0 && errno != ENOENT)
			return mg_error_set(err, -errno, "%s: %s", path, strerror(errno));
	}
	return 0;
}

static int write_all(struct daemons *d, struct mg_error *err)
{
	int r = make_directories(d, err);

	if (r >= 0)
		r = remove_records(d, err);
	if (r >= 0)
		r = make_keys(d, err);
	if (r >= 0)
		r = write_allow_list(d, err);
	if (r >= 0)
		r = write_controller(d, err);
	for (int i = 0; r >= 0 && i < d->scenario->n_towers; i++) {
		r = write_migratord(d, i, err);
		if (r >= 0)
			r = write_telemetryd(d, i, err);
	}
	if (r >= 0)
		r = write_device(d, err);
	if (r >= 0)
		r = write_operator(d, err);
	return r < 0 ? r : write_vm(d, err);
}

int daemons_new(const struct daemons_config *config, const struct scenario *s,
		const struct topology *t, struct daemons **ret, struct mg_error *err)
{
	struct daemons *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return mg_error_set(err, -ENOMEM, "out of memory");
	if (sodium_init() < 0) {
		free(d);
		return mg_error_set(err, -EIO, "libsodium does not start");
	}
	d->config = *config;
	d->scenario = s;
	d->topology = t;
	r = write_all(d, err);
	if (r < 0) {
		daemons_free(d);
		return r;
	}
	*ret = d;
	return 0;
}

void daemons_free(struct daemons *d)
{
	if (!d)
		return;
	sodium_memzero(d, sizeof(*d));
	free(d);
}

/* ---- Processes --------------------------------------------------------------------- */

static int start(struct daemons *d, const char *program, const char *of, int netns,
		 const char *const *args, struct mg_error *err)
{
	const char *argv[16] = { NULL };
	char path[PATH_MAX], log[PATH_MAX];
	struct process p = { .argv = argv, .netns = netns, .in = -1, .log = log };
	struct daemon *new = &d->list[d->n];
	size_t n = 0;

	snprintf(path, sizeof(path), "%s/%s", d->config.programs, program);
	snprintf(log, sizeof(log), "%s/logs/%s-%s.log", d->config.results, of, program);
	argv[n++] = path;
	while (*args && n + 1 < ARRAY_SIZE(argv))
		argv[n++] = *args++;
	if (unlink(log) < 0 && errno != ENOENT)
		return mg_error_set(err, -errno, "%s: %s", log, strerror(errno));
	snprintf(new->name, sizeof(new->name), "%s of %s", program, of);
	d->n++;
	return process_start(&p, &new->pid, err);
}

static int start_configured(struct daemons *d, const char *program, const char *of, int netns,
			    const char *directory, struct mg_error *err)
{
	char file[PATH_MAX];
	const char *const args[] = { "--config", file, NULL };

	snprintf(file, sizeof(file), STATE "/%s%s.yaml", directory, program);
	return start(d, program, of, netns, args, err);
}

static int start_reflector(struct daemons *d, struct mg_error *err)
{
	char id[UUID_TEXT_SIZE], nodes[32];
	const char *const args[] = { "--device", uuid_format(&d->device, id),
				     "--key",	 STATE "/device.key",
				     "--node",	 nodes,
				     NULL };

	snprintf(nodes, sizeof(nodes), "gateway:%d", TELEMETRY_PORT);
	return start(d, "tagalong-reflector", d->scenario->phone.name,
		     topology_phone_netns(d->topology), args, err);
}

int daemons_start(struct daemons *d, struct mg_error *err)
{
	int r = start_configured(d, "placementd", "controller", -1, "", err);

	for (int i = 0; r >= 0 && i < d->scenario->n_towers; i++) {
		const char *name = d->scenario->towers[i].name;
		int netns = topology_tower_netns(d->topology, i);
		char directory[64];

		snprintf(directory, sizeof(directory), "%s/", name);
		r = start_configured(d, "migratord", name, netns, directory, err);
		if (r >= 0)
			r = start_configured(d, "telemetryd", name, netns, directory, err);
	}
	return r < 0 ? r : start_reflector(d, err);
}

int daemons_count(const struct daemons *d)
{
	return d->n;
}

const struct daemon *daemons_get(const struct daemons *d, int i)
{
	return &d->list[i];
}

void daemons_stop(struct daemons *d)
{
	uint64_t deadline = clock_mono_ns() + STOP_WAIT_NS;

	for (int i = 0; i < d->n; i++)
		if (d->list[i].pid > 0)
			kill(d->list[i].pid, SIGTERM);
	for (int i = 0; i < d->n; i++) {
		pid_t pid = d->list[i].pid;

		while (pid > 0 && waitpid(pid, NULL, WNOHANG) == 0) {
			if (clock_mono_ns() > deadline)
				kill(pid, SIGKILL);
			usleep(10000);
		}
		d->list[i].pid = 0;
	}
}

int daemons_command(struct daemons *d, const char *const *args, char *output, size_t size,
		    struct mg_error *err)
{
	const char *argv[16] = { NULL };
	char path[PATH_MAX];
	struct process p = { .argv = argv, .netns = -1, .in = -1 };
	size_t n = 0;

	snprintf(path, sizeof(path), "%s/migrator/cli/migrator", d->config.programs);
	argv[n++] = path;
	while (*args && n + 1 < ARRAY_SIZE(argv))
		argv[n++] = *args++;
	setenv("TAGALONG_CONFIG", STATE "/migrator.yaml", 1);
	return process_run(&p, NULL, output, size, err);
}

const char *daemons_vm_file(const struct daemons *d)
{
	(void)d;
	return STATE "/vm.yaml";
}

const char *daemons_vm_directories(struct daemons *d, int tower)
{
	snprintf(d->pattern, sizeof(d->pattern), STATE "/%s/state/vm/*/*",
		 d->scenario->towers[tower].name);
	return d->pattern;
}

const char *daemons_controller_endpoint(const struct daemons *d)
{
	(void)d;
	return CONTROLLER_ENDPOINT;
}

const char *daemons_controller_key(const struct daemons *d)
{
	return d->controller.public_key;
}

const struct keypair *daemons_operator_keys(const struct daemons *d)
{
	return &d->operator;
}

const struct uuid *daemons_device(const struct daemons *d)
{
	return &d->device;
}
