/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "telemetry/exporter.h"

static void send_nothing(enum prober_channel channel, struct prober_packet *packets, size_t n,
			 void *userdata)
{
	(void)channel;
	(void)userdata;
	for (size_t i = 0; i < n; i++)
		packets[i].result = 0;
}

static uint64_t fixed_utc(void *userdata)
{
	(void)userdata;
	return UINT64_C(1795235400000000000);
}

static const char *get(sd_event *loop, const struct address *at)
{
	static const char request[] =
		"GET /metrics HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
	static char answer[65536];
	size_t len = 0;
	ssize_t n;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(connect(fd, &at->any, address_len(at)), 0);
	cr_assert_eq(send(fd, request, strlen(request), 0), (ssize_t)strlen(request));
	while ((n = recv(fd, answer + len, sizeof(answer) - 1 - len, MSG_DONTWAIT)) != 0) {
		len += n > 0 ? (size_t)n : 0;
		cr_assert_geq(sd_event_run(loop, 1000), 0);
	}
	close(fd);
	answer[len] = '\0';
	return answer;
}

#define cr_assert_has(text, part) cr_assert_not_null(strstr(text, part), "%s", text)

Test(exporter, what_happened_is_counted)
{
	struct prober_watch list[] = { { .device = { { 1 } } }, { .device = { { 2 } } } };
	struct address any, stranger;
	struct registry *registry;
	struct exporter *exporter;
	struct prober *prober;
	struct mg_error err = { 0 };
	sd_event *loop;
	const char *text;

	cr_assert_eq(address_parse("127.0.0.1:0", 0, &any), 0);
	cr_assert_eq(address_parse("192.0.2.7:1", 0, &stranger), 0);
	cr_assert_eq(address_parse("192.0.2.1:862", 0, &list[0].address), 0);
	cr_assert_geq(sd_event_new(&loop), 0);
	cr_assert_eq(registry_parse("devices", "", &registry, &err), 0);
	cr_assert_eq(prober_new(&(struct prober_config){ .interval_ns = NS_PER_S,
							 .timeout_ns = NS_PER_S,
							 .window_ns = NS_PER_S,
							 .error_estimate = 1,
							 .send = send_nothing,
							 .now_utc = fixed_utc },
				&prober),
		     0);
	cr_assert_eq(exporter_new(loop, &any, &(struct exporter_sources){ prober, registry, NULL },
				  &exporter, &err), 0, "%s",
		     err.text);
	text = get(loop, exporter_local(exporter));
	cr_assert_null(strstr(text, "_passing_"), "it is not looked at what passes");
	cr_assert_has(text, "\ntagalong_telemetry_clients 0\n");
	cr_assert_null(strstr(text, "quantile"), "no quantiles of nothing");
	cr_assert_eq(prober_set_watch_list(prober, 0, list, 2), 0);
	prober_run(prober, 2 * NS_PER_S);
	prober_receive(prober, NS_PER_S, &stranger, 0, 0, (uint8_t[STAMP_SIZE]){ 0 }, STAMP_SIZE);
	prober_receive(prober, NS_PER_S, &stranger, 0, 0, "short", 5);
	text = get(loop, exporter_local(exporter));
	cr_assert_has(text, "HTTP/1.1 200 ");
	cr_assert_has(text, "Content-Type: text/plain; version=0.0.4");
	cr_assert_has(text, "# TYPE tagalong_telemetry_answers_total counter\n");
	cr_assert_has(text, "\ntagalong_telemetry_clients 2\n");
	cr_assert_has(text, "\ntagalong_telemetry_clients_measured 0\n");
	cr_assert_has(text, "\ntagalong_telemetry_probes_sent_total 1\n");
	cr_assert_has(text, "\ntagalong_telemetry_answers_total{result=\"stranger\"} 1\n");
	cr_assert_has(text, "\ntagalong_telemetry_answers_total{result=\"wrong_length\"} 1\n");
	cr_assert_has(text, "\ntagalong_telemetry_tlv_answers_total{result=\"not_whole\"} 0\n");
	cr_assert_has(text, "\ntagalong_telemetry_tlv_answers_total{result=\"unfit\"} 0\n");
	cr_assert_has(text, "\ntagalong_telemetry_dscps_total{result=\"changed_back\"} 0\n");
	cr_assert_has(text, "\ntagalong_telemetry_followed_up_total 0\n");
	cr_assert_has(text, "\ntagalong_telemetry_registrations_total{result=\"forged\"} 0\n");
	exporter_free(exporter);
	prober_free(prober);
	registry_free(registry);
	sd_event_unref(loop);
}

Test(exporter, what_passes_is_counted)
{
	struct exporter *exporter;
	struct bridge_watch *passing;
	struct registry *registry;
	struct prober *prober;
	struct mg_error err = { 0 };
	struct address any;
	sd_event *loop;
	const char *text;

	cr_assert_eq(address_parse("127.0.0.1:0", 0, &any), 0);
	cr_assert_geq(sd_event_new(&loop), 0);
	cr_assert_eq(registry_parse("devices", "", &registry, &err), 0);
	cr_assert_eq(prober_new(&(struct prober_config){ .interval_ns = NS_PER_S }, &prober), 0);
	cr_assert_eq(bridge_watch_new(loop, prober, NULL, 0, &passing), 0);
	cr_assert_eq(exporter_new(loop, &any,
				  &(struct exporter_sources){ prober, registry, passing },
				  &exporter, &err), 0, "%s", err.text);
	text = get(loop, exporter_local(exporter));
	cr_assert_has(text, "\ntagalong_telemetry_passing_segments_total{result=\"dropped\"} 0\n");
	cr_assert_has(text, "# TYPE tagalong_telemetry_passing_samples_total counter\n");
	cr_assert_has(text, "\ntagalong_telemetry_passing_crowded_total 0\n");
	exporter_free(exporter);
	bridge_watch_free(passing);
	prober_free(prober);
	registry_free(registry);
	sd_event_unref(loop);
}

Test(exporter, a_port_in_use_is_a_clear_error)
{
	struct exporter *first = NULL, *second = NULL;
	struct mg_error err = { 0 };
	struct address any;
	sd_event *loop;

	cr_assert_eq(address_parse("127.0.0.1:0", 0, &any), 0);
	cr_assert_geq(sd_event_new(&loop), 0);
	cr_assert_eq(exporter_new(loop, &any, &(struct exporter_sources){ 0 }, &first, &err), 0);
	cr_assert_eq(exporter_new(loop, exporter_local(first), &(struct exporter_sources){ 0 },
				  &second, &err),
		     -EADDRINUSE);
	cr_assert_has(err.text, "metrics: cannot listen at 127.0.0.1:");
	cr_assert_null(second);
	exporter_free(first);
	sd_event_unref(loop);
}
