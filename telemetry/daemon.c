/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/daemon.h"

#include <limits.h>
#include <net/if.h>
#include <string.h>

#include "common/clock.h"
#include "common/config.h"
#include "common/log.h"
#include "common/units.h"
#include "telemetry/bridge_watch.h"
#include "telemetry/confine.h"
#include "telemetry/node.h"
#include "telemetry/prober.h"
#include "telemetry/registry.h"

#define ENDPOINT_MAX 255
#define TEXT_MAX 63

struct tlv_settings {
	unsigned *padding;
	unsigned *class_of_service;
	char *access_report;
	bool timestamp_information;
	bool direct_measurement;
	bool location;
	bool follow_up;
	bool protect;
};

/* The file as it is. */
struct settings {
	char *name;
	char *key;
	struct telemetry_controller *controller; /* as written; what counts is the list */
	struct telemetry_controller *controllers;
	unsigned n_controllers;
	char *listen;
	char *also_listen;
	char *devices;
	char *interval;
	char *calm_interval;
	unsigned *budget;
	char *timeout;
	char *window;
	char *report_interval;
	char *session_interval;
	char **session_interfaces;
	unsigned n_session_interfaces;
	char *metrics;
	struct tlv_settings *tlvs;
	bool authenticated;
	bool plain_text_bus;
};

struct telemetry_config {
	struct settings *settings;
	struct keypair keys;
	struct node_config node; /* points into both */
};

#define STRING(key, type, max) CYAML_FIELD_STRING_PTR(#key, CYAML_FLAG_POINTER, type, key, 1, max)
#define STRING_OR_NONE(key, type, max)                                                             \
	CYAML_FIELD_STRING_PTR(#key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, key, 1, max)

static const cyaml_schema_field_t controller_fields[] = {
	STRING(endpoint, struct telemetry_controller, ENDPOINT_MAX),
	STRING_OR_NONE(key, struct telemetry_controller, KEY_TEXT_SIZE - 1),
	STRING(reports, struct telemetry_controller, ENDPOINT_MAX),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t controller_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct telemetry_controller, controller_fields),
};

static const cyaml_schema_value_t interface_schema = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 1, IF_NAMESIZE - 1),
};

static const cyaml_schema_field_t tlv_fields[] = {
	CYAML_FIELD_UINT_PTR("padding", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
			     struct tlv_settings, padding),
	CYAML_FIELD_UINT_PTR("class_of_service", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
			     struct tlv_settings, class_of_service),
	STRING_OR_NONE(access_report, struct tlv_settings, TEXT_MAX),
	CONFIG_FIELD_BOOL("timestamp_information", CYAML_FLAG_OPTIONAL, struct tlv_settings,
			  timestamp_information),
	CONFIG_FIELD_BOOL("direct_measurement", CYAML_FLAG_OPTIONAL, struct tlv_settings,
			  direct_measurement),
	CONFIG_FIELD_BOOL("location", CYAML_FLAG_OPTIONAL, struct tlv_settings, location),
	CONFIG_FIELD_BOOL("follow_up", CYAML_FLAG_OPTIONAL, struct tlv_settings, follow_up),
	CONFIG_FIELD_BOOL("protect", CYAML_FLAG_OPTIONAL, struct tlv_settings, protect),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t settings_fields[] = {
	STRING(name, struct settings, PEER_NAME_SIZE - 1),
	STRING_OR_NONE(key, struct settings, PATH_MAX),
	CYAML_FIELD_MAPPING_PTR("controller", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
				struct settings, controller, controller_fields),
	CYAML_FIELD_SEQUENCE_COUNT("controllers", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
				   struct settings, controllers, n_controllers,
				   &controller_schema, 1, TELEMETRY_CONTROLLERS_MAX),
	STRING(listen, struct settings, TEXT_MAX),
	STRING_OR_NONE(also_listen, struct settings, TEXT_MAX),
	STRING(devices, struct settings, PATH_MAX),
	STRING_OR_NONE(interval, struct settings, TEXT_MAX),
	STRING_OR_NONE(calm_interval, struct settings, TEXT_MAX),
	CYAML_FIELD_UINT_PTR("budget", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct settings,
			     budget),
	STRING_OR_NONE(timeout, struct settings, TEXT_MAX),
	STRING_OR_NONE(window, struct settings, TEXT_MAX),
	STRING_OR_NONE(report_interval, struct settings, TEXT_MAX),
	STRING_OR_NONE(session_interval, struct settings, TEXT_MAX),
	CYAML_FIELD_SEQUENCE_COUNT("session_interfaces", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
				   struct settings, session_interfaces, n_session_interfaces,
				   &interface_schema, 1, BRIDGE_WATCH_INTERFACES_MAX),
	STRING_OR_NONE(metrics, struct settings, TEXT_MAX),
	CYAML_FIELD_MAPPING_PTR("tlvs", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct settings,
				tlvs, tlv_fields),
	CONFIG_FIELD_BOOL("authenticated", CYAML_FLAG_OPTIONAL, struct settings, authenticated),
	CONFIG_FIELD_BOOL("plain_text_bus", CYAML_FLAG_OPTIONAL, struct settings, plain_text_bus),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t settings_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct settings, settings_fields),
};

static int read_duration(const char *path, const char *field, const char *text, uint64_t min_ns,
			 uint64_t max_ns, uint64_t *ret, struct mg_error *err)
{
	char least[UNITS_TEXT_SIZE], most[UNITS_TEXT_SIZE];
	uint64_t ns;

	if (!text)
		return 0;
	if (duration_parse(text, &ns) < 0)
		return mg_error_set(err, -EINVAL, "%s: %s: '%s' is no duration such as 250ms", path,
				    field, text);
	if (ns < min_ns || ns > max_ns)
		return mg_error_set(err, -EINVAL, "%s: %s: %s is not between %s and %s", path,
				    field, text, duration_format(min_ns, least),
				    duration_format(max_ns, most));
	*ret = ns;
	return 0;
}

static int read_rates(const char *path, const struct settings *s, struct node_config *n,
		      struct mg_error *err)
{
	const struct {
		const char *field, *text;
		uint64_t min_ns, *ret;
	} durations[] = {
		{ "interval", s->interval, PROBER_INTERVAL_MIN_NS, &n->interval_ns },
		{ "calm_interval", s->calm_interval, PROBER_INTERVAL_MIN_NS, &n->calm_interval_ns },
		{ "timeout", s->timeout, NODE_TIMEOUT_MIN_NS, &n->timeout_ns },
		{ "window", s->window, NODE_TIMEOUT_MIN_NS, &n->window_ns },
		{ "report_interval", s->report_interval, NODE_TIMEOUT_MIN_NS,
		  &n->report_interval_ns },
		{ "session_interval", s->session_interval, NODE_TIMEOUT_MIN_NS,
		  &n->session_interval_ns },
	};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(durations) && r == 0; i++)
		r = read_duration(path, durations[i].field, durations[i].text, durations[i].min_ns,
				  PROBER_INTERVAL_MAX_NS, durations[i].ret, err);
	if (r == 0 && s->budget && *s->budget == 0)
		return mg_error_set(
			err, -EINVAL,
			"%s: budget: 0 would let nobody be probed; leave it out for no limit",
			path);
	if (r == 0 && s->n_session_interfaces && !s->session_interval)
		return mg_error_set(err, -EINVAL, "%s: session_interfaces: it takes a "
				    "'session_interval', too", path);
	n->budget = s->budget ? *s->budget : 0;
	return r;
}

static int read_access(const char *path, const char *text, uint8_t *ret, struct mg_error *err)
{
	if (!text)
		return 0;
	if (strcmp(text, "3gpp") != 0 && strcmp(text, "other") != 0)
		return mg_error_set(err, -EINVAL, "%s: tlvs: access_report: '%s' is neither '3gpp' "
				    "nor 'other'", path, text);
	*ret = text[0] == '3' ? STAMP_ACCESS_3GPP : STAMP_ACCESS_OTHER;
	return 0;
}

static int read_tlvs(const char *path, const struct tlv_settings *s,
		     struct probe_tlvs_wishes *ret, struct mg_error *err)
{
	if (!s)
		return 0;
	if (s->padding && (*s->padding == 0 || *s->padding > PROBE_PADDING_MAX))
		return mg_error_set(err, -EINVAL, "%s: tlvs: padding: %u is not between 1 and %u",
				    path, *s->padding, PROBE_PADDING_MAX);
	if (s->class_of_service && *s->class_of_service > 63)
		return mg_error_set(err, -EINVAL, "%s: tlvs: class_of_service: %u is no DSCP, which "
				    "is at most 63", path, *s->class_of_service);
	ret->padding = s->padding ? (uint16_t)*s->padding : 0;
	ret->class_of_service = s->class_of_service;
	ret->dscp = s->class_of_service ? (uint8_t)*s->class_of_service : 0;
	ret->timestamp_information = s->timestamp_information;
	ret->direct_measurement = s->direct_measurement;
	ret->location = s->location;
	ret->follow_up = s->follow_up;
	return read_access(path, s->access_report, &ret->access, err);
}

static int read_keys(const char *path, const struct settings *s, struct telemetry_config *c,
		     struct mg_error *err)
{
	if (s->plain_text_bus)
		return 0;
	if (!s->key)
		return mg_error_set(err, -EINVAL,
				    "%s: 'key' is missing: the file of this node's "
				    "secret key; 'migrator keys make FILE' makes one",
				    path);
	for (unsigned i = 0; i < s->n_controllers; i++)
		if (!s->controllers[i].key || strlen(s->controllers[i].key) != KEY_TEXT_SIZE - 1)
			return mg_error_set(err, -EINVAL,
					    "%s: controller: 'key' must be placementd's public "
					    "key, 40 characters; 'migrator keys show FILE' prints "
					    "it there", path);
	c->node.keys = &c->keys;
	return keypair_load(s->key, &c->keys, err);
}

/* One controller is a list of one. */
static int read_controllers(const char *path, struct settings *s, struct mg_error *err)
{
	if (!s->controller == !s->controllers)
		return mg_error_set(err, -EINVAL, "%s: give either 'controller' or 'controllers', a "
				    "list of those of which one leads", path);
	if (s->controllers)
		return 0;
	s->controllers = s->controller;
	s->controller = NULL;
	s->n_controllers = 1;
	return 0;
}

static int read_address(const char *path, const char *field, const char *text, struct address *ret,
			struct mg_error *err)
{
	if (text && address_parse(text, 0, ret) < 0)
		return mg_error_set(err, -EINVAL, "%s: %s: '%s' is not IP:PORT", path, field, text);
	return 0;
}

static int read_addresses(const char *path, const struct settings *s, struct node_config *n,
			  struct mg_error *err)
{
	int r = read_address(path, "listen", s->listen, &n->listen, err);

	if (r == 0)
		r = read_address(path, "also_listen", s->also_listen, &n->also_listen, err);
	if (r == 0)
		r = read_address(path, "metrics", s->metrics, &n->metrics, err);
	if (r == 0 && n->also_listen.any.sa_family == n->listen.any.sa_family)
		return mg_error_set(err, -EINVAL, "%s: also_listen: it is for the other one of IPv4 "
				    "and IPv6 than 'listen'", path);
	return r;
}

static int read_settings(const char *path, struct telemetry_config *c, struct mg_error *err)
{
	_cleanup_(registry_free_p) struct registry *devices = NULL;
	struct settings *s = c->settings;
	int r = read_controllers(path, s, err);

	if (r < 0)
		return r;

	c->node = (struct node_config){
		.name = s->name,
		.plain_text_bus = s->plain_text_bus,
		.authenticated = s->authenticated,
		.controllers = s->controllers,
		.n_controllers = s->n_controllers,
		.devices = s->devices,
		.session_interfaces = (const char *const *)s->session_interfaces,
		.n_session_interfaces = s->n_session_interfaces,
		.interval_ns = 500 * NS_PER_MS,
		.timeout_ns = NS_PER_S,
		.window_ns = 10 * NS_PER_S,
		.report_interval_ns = 500 * NS_PER_MS,
	};
	r = read_addresses(path, s, &c->node, err);
	if (r == 0)
		r = read_rates(path, s, &c->node, err);
	if (r == 0)
		r = read_tlvs(path, s->tlvs, &c->node.tlvs, err);
	c->node.protect_tlvs = s->tlvs && s->tlvs->protect;
	if (r == 0)
		r = read_keys(path, s, c, err);
	return r < 0 ? r : registry_load(s->devices, &devices, err);
}

static void unload(void *config)
{
	struct telemetry_config *c = config;

	config_free(&settings_schema, c->settings);
	explicit_bzero(c, sizeof(*c));
	free(c);
}

static int load(const char *path, void **ret, struct mg_error *err)
{
	struct telemetry_config *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return mg_error_set(err, -ENOMEM, "out of memory");
	r = config_load(path, &settings_schema, (void **)&c->settings, err);
	if (r >= 0)
		r = read_settings(path, c, err);
	if (r < 0) {
		unload(c);
		return r;
	}
	*ret = c;
	return 0;
}

static int start(void *config, sd_event *loop, void **ret, struct mg_error *err)
{
	const struct telemetry_config *c = config;
	char text[ADDRESS_TEXT_SIZE];
	struct node *n;
	int r;

	r = node_start(&c->node, loop, &n, err);
	if (r < 0)
		return r;
	log_info("main", "name=%s listen=%s controller=%s controllers=%zu", c->node.name,
		 address_format(node_local(n), text), c->node.controllers[0].endpoint,
		 c->node.n_controllers);
	if (node_metrics_local(n))
		log_info("main", "metrics=http://%s/metrics",
			 address_format(node_metrics_local(n), text));
	*ret = n;
	return 0;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_controllers(const struct settings *a, const struct settings *b)
{
	if (a->n_controllers != b->n_controllers)
		return false;
	for (unsigned i = 0; i < a->n_controllers; i++) {
		const struct telemetry_controller *x = &a->controllers[i], *y = &b->controllers[i];

		if (!same_text(x->endpoint, y->endpoint) || !same_text(x->key, y->key) ||
		    !same_text(x->reports, y->reports))
			return false;
	}
	return true;
}

static bool same_interfaces(const struct settings *a, const struct settings *b)
{
	if (a->n_session_interfaces != b->n_session_interfaces)
		return false;
	for (unsigned i = 0; i < a->n_session_interfaces; i++)
		if (strcmp(a->session_interfaces[i], b->session_interfaces[i]) != 0)
			return false;
	return true;
}

static bool same_tlvs(const struct probe_tlvs_wishes *a, const struct probe_tlvs_wishes *b)
{
	return a->padding == b->padding && a->class_of_service == b->class_of_service &&
	       a->dscp == b->dscp && a->timestamp_information == b->timestamp_information &&
	       a->direct_measurement == b->direct_measurement && a->location == b->location &&
	       a->follow_up == b->follow_up && a->access == b->access;
}

/* Names what was changed and is taken at the start only; NULL: nothing. */
static const char *fixed_and_changed(const struct settings *a, const struct settings *b)
{
	const struct {
		const char *field, *before, *now;
	} texts[] = {
		{ "name", a->name, b->name },
		{ "key", a->key, b->key },
		{ "listen", a->listen, b->listen },
		{ "also_listen", a->also_listen, b->also_listen },
		{ "window", a->window, b->window },
		{ "session_interval", a->session_interval, b->session_interval },
		{ "metrics", a->metrics, b->metrics },
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (!same_text(texts[i].before, texts[i].now))
			return texts[i].field;
	if (!same_controllers(a, b))
		return a->n_controllers > 1 ? "controllers" : "controller";
	if (!same_interfaces(a, b))
		return "session_interfaces";
	if (a->authenticated != b->authenticated)
		return "authenticated";
	return a->plain_text_bus != b->plain_text_bus ? "plain_text_bus" : NULL;
}

static int reload(void *node, const void *started_with, const void *config, struct mg_error *err)
{
	const struct telemetry_config *before = started_with, *c = config;
	const char *fixed = fixed_and_changed(before->settings, c->settings);

	if (!fixed && (!same_tlvs(&before->node.tlvs, &c->node.tlvs) ||
		       before->node.protect_tlvs != c->node.protect_tlvs))
		fixed = "tlvs";
	if (fixed)
		return mg_error_set(err, -EBUSY, "'%s' was changed, and that needs a restart",
				    fixed);
	return node_reload(node, &c->node, err);
}

static void stop(void *node)
{
	node_free(node);
}

const struct daemon_program telemetry_daemon = {
	.name = "telemetryd",
	.summary =
		"Measures the round-trip times of the controller's clients as seen from this node.",
	.load = load,
	.unload = unload,
	.start = start,
	.stop = stop,
	.confine = confine_system_calls,
	.reload = reload,
};
