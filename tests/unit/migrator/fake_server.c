/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_server.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "common/file.h"

#define ARGUMENTS_MAX 24
#define RUN_LIMIT_S 60

static char last_folder[64];

void fake_fini(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", last_folder);
	if (last_folder[0] && system(command) != 0)
		cr_log_warn("cannot remove %s", last_folder);
}

const char *fake_path(const struct fake *f, const char *name)
{
	static char paths[8][128];
	static unsigned next;
	char *path = paths[next++ % ARRAY_SIZE(paths)];

	snprintf(path, sizeof(paths[0]), "%s/%s", f->folder, name);
	return path;
}

void fake_write(const struct fake *f, const char *name, const char *text)
{
	_cleanup_fclose_ FILE *file = fopen(fake_path(f, name), "we");

	cr_assert_not_null(file);
	fputs(text, file);
}

static void on_request(struct bus_socket *s, const struct bus_peer *from, const Envelope *e,
		       void *userdata)
{
	struct fake *f = userdata;
	_cleanup_free_ uint8_t *data = NULL;
	size_t len;

	(void)s;
	f->peer = *from;
	f->requests++;
	if (e->body_case == TAGALONG__ENVELOPE__BODY_DONE) {
		f->dones++;
		return;
	}
	envelope_free(f->request);
	cr_assert_eq(envelope_pack(e, &data, &len), 0);
	f->request = envelope_unpack(data, len, NULL);
	f->answer(f, e);
}

void fake_up(struct fake *f)
{
	const struct bus_config config = { "main", &f->server_keys, f->allow };
	struct mg_error err = { 0 };
	int r = -EADDRINUSE;

	cr_assert_eq(bus_new(f->loop, &config, &f->bus, &err), 0, "%s", err.text);
	for (int i = 0; i < 100 && r == -EADDRINUSE; i++) {
		r = bus_listen(f->bus, BUS_ROUTER, f->endpoint, on_request, f, &f->router, &err);
		if (r < 0)
			usleep(20000);
	}
	cr_assert_eq(r, 0, "%s", err.text);
	snprintf(f->endpoint, sizeof(f->endpoint), "%s", bus_endpoint(f->router));
}

void fake_down(struct fake *f)
{
	bus_free(f->bus);
	f->bus = NULL;
	f->router = NULL;
}

static void write_configuration(struct fake *f)
{
	char text[2048];

	snprintf(text, sizeof(text),
		 "name: alice\n"
		 "key: alice.key\n"
		 "controller: {endpoint: '%s', key: '%s'}\n"
		 "nodes:\n"
		 "  - {name: tower-a, endpoint: '%s', key: '%s'}\n"
		 "  - {name: tower-b, endpoint: 'tcp://127.0.0.1:1', key: '%s'}\n",
		 f->endpoint, f->server_keys.public_key, f->endpoint, f->server_keys.public_key,
		 f->server_keys.public_key);
	fake_write(f, "migrator.yaml", text);
}

void fake_start(struct fake *f, fake_answer_fn *answer)
{
	struct mg_error err = { 0 };
	char list[128];

	*f = (struct fake){ .answer = answer, .endpoint = "tcp://127.0.0.1:*",
			    .folder = "/tmp/tagalong-fake.XXXXXX" };
	cr_assert_not_null(mkdtemp(f->folder));
	fake_fini();
	strcpy(last_folder, f->folder);
	cr_assert_eq(sd_event_new(&f->loop), 0);
	cr_assert_eq(keypair_generate(&f->server_keys), 0);
	cr_assert_eq(keypair_generate(&f->operator_keys), 0);
	cr_assert_eq(keypair_save(fake_path(f, "alice.key"), &f->operator_keys, &err), 0, "%s",
		     err.text);
	snprintf(list, sizeof(list), "operator alice %s", f->operator_keys.public_key);
	cr_assert_eq(allow_list_parse(list, strlen(list), &f->allow, &err), 0);
	fake_up(f);
	write_configuration(f);
}

void fake_stop(struct fake *f)
{
	fake_down(f);
	envelope_free(f->request);
	allow_list_free(f->allow);
	sd_event_unref(f->loop);
}

void fake_reply(struct fake *f, const Envelope *request, Envelope *e)
{
	cr_assert_gt(bus_reply(f->router, &f->peer, request, e), 0);
}

void fake_reply_done(struct fake *f, const Envelope *request)
{
	cr_assert_gt(bus_reply_done(f->router, &f->peer, request), 0);
}

void fake_reply_failure(struct fake *f, const Envelope *request, const char *text)
{
	struct mg_error err = { .code = -EBUSY };

	snprintf(err.text, sizeof(err.text), "%s", text);
	cr_assert_gt(bus_reply_failure(f->router, &f->peer, request, &err), 0);
}

void fake_send_garbage(struct fake *f)
{
	Tagalong__Failure failure = TAGALONG__FAILURE__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	/* Two bytes that UTF-8 does not have, which every reader refuses. */
	failure.text = (char *)"\xff\xfe";
	e.body_case = TAGALONG__ENVELOPE__BODY_FAILURE;
	e.failure = &failure;
	cr_assert_gt(bus_send(f->router, &f->peer, &e), 0);
}

/* ---- Running the command ----------------------------------------------------- */

/* Opens a terminal on which something has been typed. */
static int terminal_open(const char *typed)
{
	struct winsize size = { .ws_row = 24, .ws_col = 100 };
	int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);

	cr_assert_geq(fd, 0);
	cr_assert_eq(grantpt(fd), 0);
	cr_assert_eq(unlockpt(fd), 0);
	cr_assert_eq(ioctl(fd, TIOCSWINSZ, &size), 0);
	cr_assert_eq(write(fd, typed, strlen(typed)), (ssize_t)strlen(typed));
	return fd;
}

static void terminal_read(struct fake *f)
{
	ssize_t n;

	while (f->terminal >= 0 && f->shown < sizeof(f->out) - 1 &&
	       (n = read(f->terminal, f->out + f->shown, sizeof(f->out) - 1 - f->shown)) > 0)
		f->shown += (size_t)n;
	f->out[f->shown] = '\0';
}

static int spawn(const struct fake *f, char **argv)
{
	char program[512];
	int child = fork();

	if (child != 0)
		return child;
	snprintf(program, sizeof(program), "%s/migrator/cli/migrator", getenv("top_builddir"));
	setenv("TAGALONG_CONFIG", fake_path(f, "migrator.yaml"), 1);
	setenv("TZ", "UTC", 1);
	if (f->terminal >= 0) {
		setsid();
		dup2(open(ptsname(f->terminal), O_RDWR), 0);
		dup2(0, 1);
	} else {
		dup2(open("/dev/null", O_RDONLY), 0);
		dup2(open(fake_path(f, "out"), O_WRONLY | O_CREAT | O_TRUNC, 0600), 1);
	}
	dup2(open(fake_path(f, "err"), O_WRONLY | O_CREAT | O_TRUNC, 0600), 2);
	execv(program, argv);
	_exit(127);
}

static void take_output(const struct fake *f, const char *name, char *to, size_t size)
{
	_cleanup_free_ char *text = NULL;
	size_t len;

	cr_assert_eq(file_read(fake_path(f, name), size - 1, &text, &len, NULL), 0);
	memcpy(to, text, len + 1);
}

void fake_run(struct fake *f, ...)
{
	uint64_t end = clock_mono_ns() + RUN_LIMIT_S * NS_PER_S;
	char *argv[ARGUMENTS_MAX] = { (char *)"migrator" };
	int status;
	va_list ap;

	va_start(ap, f);
	for (size_t i = 1; i < ARRAY_SIZE(argv) - 1; i++) {
		argv[i] = va_arg(ap, char *);
		if (!argv[i])
			break;
	}
	va_end(ap);
	f->terminal = f->typed ? terminal_open(f->typed) : -1;
	f->shown = 0;
	f->child = spawn(f, argv);
	cr_assert_gt(f->child, 0);
	while (waitpid(f->child, &status, WNOHANG) == 0) {
		if (clock_mono_ns() > end) {
			kill(f->child, SIGKILL);
			waitpid(f->child, &status, 0);
			cr_assert_fail("'%s' does not end", argv[1]);
		}
		sd_event_run(f->loop, 5000);
		terminal_read(f);
	}
	cr_assert(WIFEXITED(status), "'%s' was killed", argv[1]);
	f->exit_code = WEXITSTATUS(status);
	terminal_read(f);
	if (f->terminal >= 0)
		close(f->terminal);
	else
		take_output(f, "out", f->out, sizeof(f->out));
	take_output(f, "err", f->err, sizeof(f->err));
}
