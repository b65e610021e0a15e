/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/placement/etcd_server.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define READY_TRIES 600 /* of 100 ms */

static int free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(a);

	cr_assert_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	close(fd);
	return ntohs(a.sin_port);
}

static void run_etcd(const struct etcd_server *s)
{
	char cluster[80], log[80];
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(cluster, sizeof(cluster), "default=%s", s->peer_url);
	snprintf(log, sizeof(log), "%s/log", s->dir);
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	execlp("etcd", "etcd", "--data-dir", s->dir, "--listen-client-urls", s->client_url,
	       "--advertise-client-urls", s->client_url, "--listen-peer-urls", s->peer_url,
	       "--initial-advertise-peer-urls", s->peer_url, "--initial-cluster", cluster,
	       "--heartbeat-interval", "50", "--election-timeout", "500",
	       "--quota-backend-bytes", s->quota ? s->quota : "0", NULL);
	_exit(127);
}

static int nothing(const struct store_entry *entry, void *userdata)
{
	(void)entry, (void)userdata;
	return 0;
}

static void wait_ready(struct etcd_server *s)
{
	struct mg_error err = { 0 };
	struct store *store;
	int r = -EIO;

	cr_assert_eq(store_etcd_open(&s->config, &store, &err), 0);
	for (int i = 0; i < READY_TRIES && r != -ENOENT && r != 0 && r != -EACCES; i++) {
		usleep(100000);
		r = store_get(store, "ready", nothing, NULL, &err);
	}
	store_free(store);
	cr_assert(r == -ENOENT || r == 0 || r == -EACCES, "etcd does not start: %s", err.text);
}

void etcd_server_start(struct etcd_server *s)
{
	s->pid = fork();
	if (s->pid == 0)
		run_etcd(s);
	wait_ready(s);
}

void etcd_server_make(struct etcd_server *s)
{
	if (system("command -v etcd >/dev/null") != 0)
		cr_skip_test("etcd-server is missing");
	/* In memory where that is possible: what is tested is not the disk. */
	strcpy(s->dir, access("/dev/shm", W_OK) == 0 ? "/dev/shm/test-etcd-XXXXXX" :
						       "/tmp/test-etcd-XXXXXX");
	cr_assert_not_null(mkdtemp(s->dir));
	snprintf(s->client_url, sizeof(s->client_url), "http://127.0.0.1:%d", free_port());
	snprintf(s->peer_url, sizeof(s->peer_url), "http://127.0.0.1:%d", free_port());
	s->endpoints[0] = s->client_url;
	s->config = (struct etcd_config){
		.endpoints = s->endpoints,
		.n_endpoints = 1,
		.prefix = "tagalong/",
		.timeout_ns = UINT64_C(30000000000),
	};
	etcd_server_start(s);
}

void etcd_server_signal(struct etcd_server *s, int signal)
{
	cr_assert_eq(kill(s->pid, signal), 0);
	/* Each of its threads, not only the one that is told. */
	if (signal == SIGSTOP)
		cr_assert_eq(waitpid(s->pid, NULL, WUNTRACED), s->pid);
	if (signal != SIGKILL)
		return;
	waitpid(s->pid, NULL, 0);
	s->pid = 0;
}

void etcd_server_remove(struct etcd_server *s)
{
	char command[96];

	if (s->pid)
		etcd_server_signal(s, SIGKILL);
	snprintf(command, sizeof(command), "rm -rf %s", s->dir);
	cr_assert_eq(system(command), 0);
}
