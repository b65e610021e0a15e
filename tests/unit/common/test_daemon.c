/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/daemon.h"

/* A service manager's socket, and what it was told. */
static int manager = -1;
static unsigned ready, alive, stopping;

static void listen_as_manager(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char name[128];
	int n = snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1, "tagalong-test-%d", getpid());

	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	cr_assert_eq(bind(manager, (struct sockaddr *)&a,
			  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)),
		     0);
	snprintf(name, sizeof(name), "@%s", a.sun_path + 1);
	setenv("NOTIFY_SOCKET", name, 1);
}

static void read_words(void)
{
	char word[256];
	ssize_t n;

	while ((n = recv(manager, word, sizeof(word) - 1, 0)) > 0) {
		word[n] = '\0';
		ready += strcmp(word, "READY=1") == 0;
		stopping += strcmp(word, "STOPPING=1") == 0;
		alive += strcmp(word, "WATCHDOG=1") == 0;
	}
}

static int on_word(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	(void)fd, (void)revents, (void)userdata;
	read_words();
	return alive >= 3 ? sd_event_exit(sd_event_source_get_event(source), 0) : 0;
}

static int load(const char *path, void **ret, struct mg_error *err)
{
	(void)err;
	cr_assert_str_eq(path, "here.yaml");
	*ret = &ready;
	return 0;
}

static int start(void *config, sd_event *loop, void **ret, struct mg_error *err)
{
	(void)err;
	cr_assert_eq(config, &ready);
	*ret = &alive;
	return sd_event_add_io(loop, NULL, manager, EPOLLIN, on_word, NULL);
}

static int fail_to_start(void *config, sd_event *loop, void **ret, struct mg_error *err)
{
	(void)config, (void)loop, (void)ret;
	return mg_error_set(err, -EADDRINUSE, "the port is taken");
}

static void stop(void *daemon)
{
	cr_assert_eq(daemon, &alive);
}

static void unload(void *config)
{
	cr_assert_eq(config, &ready);
}

static int run(const struct daemon_program *program)
{
	char name[] = "testd", option[] = "--config", path[] = "here.yaml";
	char *argv[] = { name, option, path, NULL };

	return daemon_main(program, 3, argv);
}

Test(daemon, the_service_manager_is_told, .timeout = 120)
{
	struct daemon_program program = { "testd", "A test.", load, unload, start, stop };
	char pid[16];

	listen_as_manager();
	snprintf(pid, sizeof(pid), "%d", getpid());
	setenv("WATCHDOG_USEC", "200000", 1);
	setenv("WATCHDOG_PID", pid, 1);
	cr_assert_eq(run(&program), 0);
	read_words();
	cr_assert_eq(ready, 1);
	cr_assert_geq(alive, 3);
	cr_assert_eq(stopping, 1);
	close(manager);
}

Test(daemon, one_that_cannot_start_is_never_ready)
{
	struct daemon_program program = { "testd", "A test.", load, unload, fail_to_start, stop };

	listen_as_manager();
	cr_assert_eq(run(&program), 1);
	read_words();
	cr_assert_eq(ready, 0);
	close(manager);
}
