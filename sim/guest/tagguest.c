/* SPDX-License-Identifier: Apache-2.0
 *
 * The test guest's only program: keeps a pattern in memory under change,
 * verifies it all the time, echoes, and reports once a second on the virtio
 * console. What it takes and what it says is described in sim/guest/README.md.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <time.h>

#include "common/cleanup.h"
#include "sim/guest/disk.h"
#include "sim/guest/memory.h"
#include "sim/guest/network.h"
#include "sim/guest/options.h"

#define REPORT_VERSION 1
#define TICK_NS 5000000u
#define CATCH_UP_NS (20u * TICK_NS) /* time lost beyond this is not made up for */
#define FAULT_LINES_MAX 64

static struct {
	int console;
	pthread_mutex_t console_lock;
	pthread_mutex_t options_lock;
	struct guest_options options;
	struct memory memory;
	struct network network;
	struct disk_counts disk;
	_Atomic uint64_t late_ns;
	_Atomic uint32_t fault_lines;
} guest = {
	.console_lock = PTHREAD_MUTEX_INITIALIZER,
	.options_lock = PTHREAD_MUTEX_INITIALIZER,
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* One whole line, whoever else writes. */
__attribute__((format(printf, 1, 2))) static void print(const char *format, ...)
{
	char line[1024];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof(line) - 1, format, args);
	va_end(args);
	if (n >= (int)sizeof(line) - 1)
		n = sizeof(line) - 2;
	line[n] = '\n';
	pthread_mutex_lock(&guest.console_lock);
	for (int done = 0; done <= n;) {
		ssize_t w = write(guest.console, line + done, (size_t)(n + 1 - done));

		if (w <= 0)
			break;
		done += (int)w;
	}
	pthread_mutex_unlock(&guest.console_lock);
}

/* Halts for good; the kernel would only add a panic to what was said. */
static _Noreturn void give_up(const char *what, int error)
{
	print("tagguest fatal %s: %s", what, strerror(-error));
	for (;;)
		pause();
}

static struct guest_options current_options(void)
{
	struct guest_options o;

	pthread_mutex_lock(&guest.options_lock);
	o = guest.options;
	pthread_mutex_unlock(&guest.options_lock);
	return o;
}

/* --- faults --- */

static void on_fault(const struct memory_fault *f, void *userdata)
{
	(void)userdata;
	if (guest.fault_lines++ < FAULT_LINES_MAX)
		print("tagguest error page=%" PRIu64 " state=%s expected=%" PRIu64 " found=%" PRIu64
		      " found_index=%" PRIu64 " end",
		      f->page, page_state_name(f->state), f->expected, f->found.generation,
		      f->found.index);
}

static void on_unbalanced(uint64_t ledger, uint64_t written, void *userdata)
{
	(void)userdata;
	print("tagguest error state=unbalanced ledger=%" PRIu64 " written=%" PRIu64 " end", ledger,
	      written);
}

static void on_disk_error(uint64_t block, const char *what)
{
	if (guest.fault_lines++ < FAULT_LINES_MAX)
		print("tagguest error block=%" PRIu64 " state=%s end", block, what);
}

/* --- the worker: writes and verifies in step with the clock --- */

/* Pages due after `elapsed` ns at `rate` bytes/s; the fraction is kept for later. */
static uint64_t pages_due(uint64_t rate, uint64_t elapsed, double *fraction)
{
	double pages = (double)rate * (double)elapsed / (1e9 * PATTERN_PAGE) + *fraction;
	uint64_t whole = (uint64_t)pages;

	*fraction = pages - (double)whole;
	return whole;
}

static void *run_worker(void *unused)
{
	double write_fraction = 0, verify_fraction = 0;
	uint64_t last = now_ns();

	for (;;) {
		struct guest_options o = current_options();
		uint64_t now = now_ns(), elapsed = now - last;

		if (elapsed > CATCH_UP_NS) {
			guest.late_ns += elapsed - CATCH_UP_NS;
			elapsed = CATCH_UP_NS;
		}
		last = now;
		memory_write(&guest.memory, pages_due(o.rate, elapsed, &write_fraction),
			     o.ws / PATTERN_PAGE);
		memory_verify(&guest.memory, pages_due(o.verify, elapsed, &verify_fraction));
		if (now_ns() - now < TICK_NS)
			nanosleep(&(struct timespec){ .tv_nsec = TICK_NS }, NULL);
	}
	return unused;
}

/* --- reports and commands --- */

static int format_report(char *text, size_t size, uint64_t seq)
{
	const struct memory_counts *m = &guest.memory.counts;
	const struct network_counts *n = &guest.network.counts;
	struct guest_options o = current_options();

	return snprintf(text, size,
			"tagguest report version=%d seq=%" PRIu64 " uptime_ms=%" PRIu64
			" mem=%" PRIu64 " ws=%" PRIu64 " rate=%" PRIu64 " verify=%" PRIu64
			" generation=%" PRIu64 " written=%" PRIu64 " verified=%" PRIu64
			" passes=%" PRIu64 " errors=%" PRIu64 " ops=%" PRIu64 " late_ms=%" PRIu64
			" udp=%" PRIu64 " tcp_bytes=%" PRIu64 " connections=%" PRIu64
			" disk_writes=%" PRIu64 " end",
			REPORT_VERSION, seq, now_ns() / 1000000, o.mem, o.ws, o.rate, o.verify,
			m->generation, m->written, m->verified, m->passes,
			m->errors + guest.disk.errors, m->written + m->verified,
			guest.late_ns / 1000000, n->udp, n->tcp_bytes, n->connections,
			guest.disk.writes);
}

static void *run_reporter(void *unused)
{
	struct timespec next;

	clock_gettime(CLOCK_MONOTONIC, &next);
	for (uint64_t seq = 1;; seq++) {
		char text[1000];

		next.tv_sec++;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
		format_report(text, sizeof(text), seq);
		print("%s", text);
	}
	return unused;
}

static size_t on_command(const char *command, char *answer, size_t size, void *userdata)
{
	char bad[64] = "";
	int n, r;

	(void)userdata;
	if (strncmp(command, "set ", 4) == 0) {
		pthread_mutex_lock(&guest.options_lock);
		r = guest_options_update(&guest.options, command + 4, bad, sizeof(bad));
		pthread_mutex_unlock(&guest.options_lock);
		n = r < 0 ? snprintf(answer, size, "error %s: %s\n", bad, strerror(-r)) :
			    snprintf(answer, size, "ok\n");
	} else if (strncmp(command, "get", 3) == 0) {
		n = format_report(answer, size - 1, 0);
		answer[n++] = '\n';
	} else {
		n = snprintf(answer, size, "error unknown command\n");
	}
	return (size_t)n;
}

static void *run_network(void *unused)
{
	int r;

	guest.network.on_command = on_command;
	r = network_serve(&guest.network, GUEST_ECHO_PORT, GUEST_CONTROL_PORT);
	print("tagguest fatal network: %s", strerror(-r));
	return unused;
}

static void *run_disk(void *unused)
{
	struct guest_options o = current_options();
	int r = disk_exercise(o.disk, o.seed, &guest.disk, on_disk_error);

	print("tagguest fatal disk %s: %s", o.disk, strerror(-r));
	return unused;
}

/* --- start --- */

static void open_console(void)
{
	static const char *const consoles[] = { "/dev/hvc0", "/dev/console" };

	for (size_t i = 0; i < ARRAY_SIZE(consoles); i++) {
		guest.console = open(consoles[i], O_WRONLY | O_NOCTTY | O_CLOEXEC);
		if (guest.console >= 0)
			return;
	}
	guest.console = STDERR_FILENO;
}

static void read_options(void)
{
	char cmdline[4096] = "", bad[64] = "";
	int r, fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, cmdline, sizeof(cmdline) - 1) < 0)
		give_up("/proc/cmdline", -errno);
	close(fd);
	guest_options_init(&guest.options);
	r = guest_options_cmdline(&guest.options, cmdline, bad, sizeof(bad));
	if (r < 0)
		give_up(bad, r);
	r = guest_options_finish(&guest.options);
	if (r < 0)
		give_up("options mem and ws", r);
}

/* Linux would rather kill us than refuse the memory. */
static void check_memory(uint64_t bytes)
{
	struct sysinfo info;

	if (sysinfo(&info) == 0 && bytes / 64 * 65 > (uint64_t)info.freeram * info.mem_unit)
		give_up("option mem is more than there is", -ENOMEM);
}

/* `priority` 0 is the ordinary scheduler; what answers others goes before the worker. */
static void start_thread(void *(*run)(void *), int priority)
{
	struct sched_param param = { .sched_priority = priority };
	pthread_attr_t attr;
	pthread_t thread;
	int r;

	pthread_attr_init(&attr);
	if (priority > 0) {
		pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
		pthread_attr_setschedpolicy(&attr, SCHED_FIFO);
		pthread_attr_setschedparam(&attr, &param);
	}
	r = pthread_create(&thread, &attr, run, NULL);
	if (r != 0)
		give_up("thread", -r);
	pthread_attr_destroy(&attr);
}

int main(void)
{
	uint64_t begin = now_ns();
	struct guest_options o;
	struct pattern pattern;
	int r;

	open_console();
	read_options();
	o = current_options();
	print("tagguest start version=%d uptime_ms=%" PRIu64 " mem=%" PRIu64 " seed=%" PRIu64
	      " compress=%.2f end",
	      REPORT_VERSION, begin / 1000000, o.mem, o.seed, o.ratio);
	start_thread(run_network, 20);
	check_memory(o.mem);
	pattern_init(&pattern, o.seed, o.ratio, o.bits);
	pattern.touch_bytes = (uint32_t)o.touch;
	r = memory_init(&guest.memory, &pattern, o.mem / PATTERN_PAGE);
	if (r < 0)
		give_up("memory", r);
	guest.memory.on_fault = on_fault;
	guest.memory.on_unbalanced = on_unbalanced;
	start_thread(run_worker, 0);
	start_thread(run_reporter, 10);
	if (o.disk[0])
		start_thread(run_disk, 0);
	for (;;)
		pause();
}
