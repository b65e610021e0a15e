/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "common/clock.h"
#include "common/daemon.h"
#include "common/log.h"
#include "common/units.h"
#include "telemetry/confine.h"
#include "telemetry/reflector.h"

#define NAME "tagalong-reflector"
#define GATEWAY "gateway"

static void print_help(void)
{
	printf("usage: " NAME " --device UUID --key FILE --node ADDRESS[:PORT]|gateway[:PORT]\n"
	       "       [--listen ADDRESS:PORT] [--interval DURATION] [--sleep-interval DURATION]\n"
	       "       [--stateful] [--authenticated] [--protect-tlvs] [--twamp-light]\n"
	       "       [--hide-location] [--dscp N[,N...]]\n\n"
	       "Answers the probes that measure this device's round-trip time, and registers it\n"
	       "with its node.\n\n"
	       "  -d, --device UUID        who this device is\n"
	       "  -k, --key FILE           its secret key: 64 hexadecimal digits\n"
	       "  -n, --node ADDRESS       the node; 'gateway': whatever the default gateway is,\n"
	       "                           also after a change of network (port: %d)\n"
	       "  -l, --listen ADDRESS     where to listen (default: 0.0.0.0:0, a free port)\n"
	       "  -i, --interval DURATION  between two registrations (default: 1s)\n"
	       "  -S, --sleep-interval DURATION\n"
	       "                           the same while the device sleeps (default: 15m)\n"
	       "  -s, --stateful           count the answers of each session\n"
	       "  -a, --authenticated      answer only to probes that have the key's HMAC\n"
	       "  -p, --protect-tlvs       believe only extensions that have the key's HMAC\n"
	       "  -t, --twamp-light        answer, at length, to packets too short for STAMP\n"
	       "  -H, --hide-location      tell nobody the addresses and ports that are seen here\n"
	       "  -D, --dscp N[,N...]      with which DSCPs answers may be asked for\n"
	       "  -h, --help               this text\n"
	       "  -V, --version            name and version\n\n"
	       "SIGUSR1: the device falls asleep, SIGUSR2: it wakes. See " NAME "(1).\n",
	       REGISTRATION_PORT);
}

static int parse_node(const char *text, struct reflector_config *config)
{
	size_t n = strlen(GATEWAY);
	char address[ADDRESS_TEXT_SIZE];

	if (strncmp(text, GATEWAY, n) != 0 || (text[n] && text[n] != ':'))
		return address_parse(text, REGISTRATION_PORT, &config->node);
	config->node_is_gateway = true;
	snprintf(address, sizeof(address), "0.0.0.0%s", text + n);
	return address_parse(address, REGISTRATION_PORT, &config->node);
}

static int parse_dscps(const char *text, uint64_t *ret)
{
	uint64_t dscps = 0;

	for (;; text++) {
		size_t n = strspn(text, "0123456789");
		unsigned long dscp = n && n <= 2 ? strtoul(text, NULL, 10) : 64;

		if (dscp > 63)
			return -EINVAL;
		dscps |= UINT64_C(1) << dscp;
		text += n;
		if (*text == '\0')
			break;
		if (*text != ',')
			return -EINVAL;
	}
	*ret = dscps;
	return 0;
}

static int parse_interval(const char *option, const char *text, uint64_t *ret, struct mg_error *err)
{
	if (duration_parse(text, ret) < 0 || *ret < REFLECTOR_INTERVAL_MIN_NS ||
	    *ret > REFLECTOR_INTERVAL_MAX_NS)
		return mg_error_set(err, -EINVAL, "%s: '%s' is not a duration from 50ms to 20m",
				    option, text);
	return 0;
}

/* Takes one option. */
static int take_option(int option, const char *value, struct reflector_config *config,
		       struct mg_error *err)
{
	switch (option) {
	case 's':
		config->stamp.stateful = true;
		return 0;
	case 'a':
		config->stamp.authenticated = true;
		return 0;
	case 'p':
		config->stamp.protect_tlvs = true;
		return 0;
	case 't':
		config->stamp.twamp_light = true;
		return 0;
	case 'H':
		config->stamp.hide_location = true;
		return 0;
	case 'D':
		if (parse_dscps(value, &config->stamp.dscps) < 0)
			return mg_error_set(err, -EINVAL, "--dscp: '%s' is no list of numbers from 0 "
					    "to 63, such as 0,10,46", value);
		return 0;
	case 'd':
		if (uuid_parse(value, &config->device) < 0)
			return mg_error_set(err, -EINVAL, "--device: '%s' is no UUID", value);
		return 0;
	case 'k':
		return device_key_load(value, config->key, err);
	case 'n':
		if (parse_node(value, config) < 0 || address_port(&config->node) == 0)
			return mg_error_set(err, -EINVAL, "--node: '%s' is neither ADDRESS[:PORT] "
					    "nor gateway[:PORT]", value);
		return 0;
	case 'l':
		if (address_parse(value, 0, &config->listen) < 0)
			return mg_error_set(err, -EINVAL, "--listen: '%s' is not ADDRESS:PORT", value);
		return 0;
	case 'S':
		return parse_interval("--sleep-interval", value, &config->sleep_interval_ns, err);
	default:
		return parse_interval("--interval", value, &config->interval_ns, err);
	}
}

static int check_complete(struct reflector_config *config, const bool given[UINT8_MAX + 1],
			  struct mg_error *err)
{
	if (!given['d'] || !given['k'] || !given['n'])
		return mg_error_set(err, -EINVAL, "--device, --key and --node are needed; see --help");
	/* The gateway is of the family that we can speak to. */
	if (config->node_is_gateway && config->listen.any.sa_family == AF_INET6) {
		uint16_t port = address_port(&config->node);

		config->node = (struct address){ .v6 = { .sin6_family = AF_INET6 } };
		address_set_port(&config->node, port);
	}
	if (config->listen.any.sa_family != config->node.any.sa_family)
		return mg_error_set(err, -EINVAL, "--listen and --node must both be IPv4 or both IPv6");
	return 0;
}

/* Returns true if there is something to run; else *ret_status is what to exit
 * with. */
static bool parse_options(int argc, char **argv, struct reflector_config *config, int *ret_status)
{
	static const struct option longopts[] = {
		{ "device", required_argument, NULL, 'd' },
		{ "key", required_argument, NULL, 'k' },
		{ "node", required_argument, NULL, 'n' },
		{ "listen", required_argument, NULL, 'l' },
		{ "interval", required_argument, NULL, 'i' },
		{ "sleep-interval", required_argument, NULL, 'S' },
		{ "stateful", no_argument, NULL, 's' },
		{ "authenticated", no_argument, NULL, 'a' },
		{ "protect-tlvs", no_argument, NULL, 'p' },
		{ "twamp-light", no_argument, NULL, 't' },
		{ "hide-location", no_argument, NULL, 'H' },
		{ "dscp", required_argument, NULL, 'D' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	bool given[UINT8_MAX + 1] = { false };
	struct mg_error err = { 0 };
	int c, r = 0;

	*ret_status = 0;
	while (r == 0 &&
	       (c = getopt_long(argc, argv, "d:k:n:l:i:S:saptHD:hV", longopts, NULL)) != -1) {
		if (c == 'h' || c == 'V') {
			c == 'h' ? print_help() : daemon_print_version(NAME);
			return false;
		}
		*ret_status = 2;
		if (c == '?')
			return false;
		given[c & UINT8_MAX] = true;
		r = take_option(c, optarg, config, &err);
	}
	if (r == 0 && optind < argc)
		r = mg_error_set(&err, -EINVAL, "unexpected argument '%s'", argv[optind]);
	if (r == 0)
		r = check_complete(config, given, &err);
	if (r < 0)
		fprintf(stderr, NAME ": %s\n", err.text);
	*ret_status = 2;
	return r == 0;
}

/* The signals are blocked by then, for sd-event to take. */
static int on_sleep_signal(sd_event_source *source, const struct signalfd_siginfo *si,
			   void *userdata)
{
	(void)source;
	reflector_set_asleep(userdata, si->ssi_signo == SIGUSR1);
	return 0;
}

static int take_sleep_signals(sd_event *loop, struct reflector *reflector, struct mg_error *err)
{
	int r = sd_event_add_signal(loop, NULL, SIGUSR1, on_sleep_signal, reflector);

	if (r >= 0)
		r = sd_event_add_signal(loop, NULL, SIGUSR2, on_sleep_signal, reflector);
	return r < 0 ? mg_error_set(err, r, "event loop: %s", strerror(-r)) : 0;
}

/* Before the loop is: a signal that comes early must not end us. */
static void block_sleep_signals(void)
{
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	sigaddset(&mask, SIGUSR2);
	sigprocmask(SIG_BLOCK, &mask, NULL);
}

int main(int argc, char **argv)
{
	struct reflector_config config = {
		.interval_ns = NS_PER_S,
		.sleep_interval_ns = 900 * NS_PER_S,
	};
	struct reflector *reflector = NULL;
	struct mg_error err = { 0 };
	char text[ADDRESS_TEXT_SIZE];
	sd_event *loop = NULL;
	int r, status;

	config.listen.v4.sin_family = AF_INET;
	if (!parse_options(argc, argv, &config, &status))
		return status;
	log_init(NAME, LOG_LEVEL_INFO);
	block_sleep_signals();
	r = daemon_loop_new(&loop, &err);
	if (r >= 0)
		r = reflector_start(&config, loop, &reflector, &err);
	if (r >= 0)
		r = take_sleep_signals(loop, reflector, &err);
	if (r >= 0)
		r = confine_drop_privileges(&err);
	if (r >= 0)
		r = confine_system_calls(&err);
	if (r >= 0) {
		log_info("main", "listen=%s ready", address_format(reflector_local(reflector), text));
		sd_notify(0, "READY=1");
		r = sd_event_loop(loop);
		if (r < 0)
			mg_error_set(&err, r, "event loop: %s", strerror(-r));
	}
	if (r < 0)
		log_error("main", "%s", err.text);
	reflector_free(reflector);
	sd_event_unref(loop);
	sodium_memzero(&config, sizeof(config));
	return r < 0 ? 1 : 0;
}
