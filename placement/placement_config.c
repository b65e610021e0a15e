/* SPDX-License-Identifier: Apache-2.0 */
#include "placement/placement_config.h"

#include <string.h>

#include "common/clock.h"
#include "common/config.h"
#include "common/converge.h"
#include "common/keys.h"
#include "common/units.h"
#include "placement/fleet.h"
#include "placement/policy_parameters.h"
#include "placement/store.h"

#define TEXT_MAX 4096
#define COUNT_MAX 1000000
#define ENDPOINT_MAX 255
#define ENDPOINTS_MAX 32
#define GROUPS_MAX 64
#define PATTERNS_MAX 1024 /* of a group */
#define NEIGHBOURS_MAX 64 /* in a list */
#define NEIGHBOURHOODS_MAX 1024
#define PATTERN_MAX 255
#define CELLS_MAX 65536
#define DIGITS "0123456789"
#define CELL_MAX 64           /* letters of its identity */
#define CONNECTIONS_MAX 10000 /* of HTTP */

/* The file as it is written: quantities are text, what is absent is NULL. */
struct policy_section {
	char *name, *threshold, *hold, *margin, *min_stay, *interval, *return_guard, *max_age;
	char *horizon, *mode;
	unsigned *min_confidence, *order;
};

struct group_section {
	char *name;
	char **devices;
	unsigned n_devices;
	struct policy_section policy;
};

struct limits_section {
	unsigned *moves, *moves_per_node, *moves_per_link, *evacuation, *history;
	unsigned *quarantine_after, *warmings;
	char *quarantine_window, *quarantine, *quarantine_max, *maintenance_lead;
	char *backoff, *backoff_max, *order_timeout, *node_timeout;
	char *blackout, *blackout_max, *bandwidth, *timeout, *stall_timeout, *if_not_converging;
};

struct etcd_section {
	char **endpoints;
	unsigned n_endpoints;
	char *prefix, *cacert, *cert, *key, *user, *password_file, *timeout;
};

struct http_section {
	char *listen, *advertise, *tokens, *certificate, *key, *body_max, *timeout;
	bool clear_text;
	unsigned *connections, *connections_each;
};

struct webhook_section {
	char *url, *secret_file, *cacert;
};

struct neighbours_section {
	char **nodes;
	unsigned n_nodes;
};

struct cell_section {
	char *cell, *node;
};

struct mec_section {
	char *cacert;
	struct cell_section *cells;
	unsigned n_cells;
};

struct placement_config_file {
	char *name, *key, *allow, *listen, *listen_reports, *advertise, *store, *record, *decisions;
	unsigned *epoch_min;
	struct etcd_section *etcd;
	struct http_section *http;
	struct webhook_section *webhooks;
	unsigned n_webhooks;
	struct mec_section mec;
	bool plain_text_bus;
	struct policy_section policy;
	struct group_section *groups;
	unsigned n_groups;
	struct neighbours_section *neighbours;
	unsigned n_neighbours;
	struct limits_section limits;
};

#define STRING(type, member) \
	CYAML_FIELD_STRING_PTR(#member, CYAML_FLAG_POINTER, struct type, member, 1, TEXT_MAX)
#define OPTIONAL(type, member)                                                           \
	CYAML_FIELD_STRING_PTR(#member, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,        \
			       struct type, member, 1, TEXT_MAX)
#define COUNT(type, member)                                                              \
	CYAML_FIELD_UINT_PTR(#member, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,          \
			     struct type, member)

static const cyaml_schema_field_t policy_fields[] = {
	OPTIONAL(policy_section, name),
	STRING(policy_section, threshold),
	STRING(policy_section, hold),
	STRING(policy_section, margin),
	OPTIONAL(policy_section, min_stay),
	OPTIONAL(policy_section, interval),
	OPTIONAL(policy_section, return_guard),
	OPTIONAL(policy_section, max_age),
	COUNT(policy_section, min_confidence),
	OPTIONAL(policy_section, horizon),
	COUNT(policy_section, order),
	OPTIONAL(policy_section, mode),
	CYAML_FIELD_END,
};

/* All devices have one policy, with one round of decisions. */
static const cyaml_schema_field_t group_policy_fields[] = {
	OPTIONAL(policy_section, threshold),
	OPTIONAL(policy_section, hold),
	OPTIONAL(policy_section, margin),
	OPTIONAL(policy_section, min_stay),
	OPTIONAL(policy_section, return_guard),
	OPTIONAL(policy_section, max_age),
	COUNT(policy_section, min_confidence),
	OPTIONAL(policy_section, horizon),
	COUNT(policy_section, order),
	OPTIONAL(policy_section, mode),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t pattern_schema = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 1, PATTERN_MAX),
};

static const cyaml_schema_field_t group_fields[] = {
	STRING(group_section, name),
	CYAML_FIELD_SEQUENCE_COUNT("devices", CYAML_FLAG_POINTER, struct group_section, devices,
				   n_devices, &pattern_schema, 1, PATTERNS_MAX),
	CYAML_FIELD_MAPPING("policy", CYAML_FLAG_DEFAULT, struct group_section, policy,
			    group_policy_fields),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t group_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct group_section, group_fields),
};

static const cyaml_schema_field_t neighbours_fields[] = {
	CYAML_FIELD_SEQUENCE_COUNT("nodes", CYAML_FLAG_POINTER, struct neighbours_section, nodes,
				   n_nodes, &pattern_schema, 2, NEIGHBOURS_MAX),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t neighbours_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct neighbours_section, neighbours_fields),
};

static const cyaml_schema_field_t limits_fields[] = {
	COUNT(limits_section, moves),
	COUNT(limits_section, moves_per_node),
	COUNT(limits_section, moves_per_link),
	COUNT(limits_section, evacuation),
	COUNT(limits_section, quarantine_after),
	COUNT(limits_section, warmings),
	OPTIONAL(limits_section, quarantine_window),
	OPTIONAL(limits_section, quarantine),
	OPTIONAL(limits_section, quarantine_max),
	OPTIONAL(limits_section, maintenance_lead),
	COUNT(limits_section, history),
	OPTIONAL(limits_section, backoff),
	OPTIONAL(limits_section, backoff_max),
	OPTIONAL(limits_section, order_timeout),
	OPTIONAL(limits_section, node_timeout),
	OPTIONAL(limits_section, blackout),
	OPTIONAL(limits_section, blackout_max),
	OPTIONAL(limits_section, bandwidth),
	OPTIONAL(limits_section, timeout),
	OPTIONAL(limits_section, stall_timeout),
	OPTIONAL(limits_section, if_not_converging),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t endpoint_schema = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 1, ENDPOINT_MAX),
};

static const cyaml_schema_field_t etcd_fields[] = {
	CYAML_FIELD_SEQUENCE_COUNT("endpoints", CYAML_FLAG_POINTER, struct etcd_section, endpoints,
				   n_endpoints, &endpoint_schema, 1, ENDPOINTS_MAX),
	OPTIONAL(etcd_section, prefix),
	OPTIONAL(etcd_section, cacert),
	OPTIONAL(etcd_section, cert),
	OPTIONAL(etcd_section, key),
	OPTIONAL(etcd_section, user),
	OPTIONAL(etcd_section, password_file),
	OPTIONAL(etcd_section, timeout),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t http_fields[] = {
	STRING(http_section, listen),
	OPTIONAL(http_section, advertise),
	STRING(http_section, tokens),
	OPTIONAL(http_section, certificate),
	OPTIONAL(http_section, key),
	CONFIG_FIELD_BOOL("clear_text", CYAML_FLAG_OPTIONAL, struct http_section, clear_text),
	OPTIONAL(http_section, body_max),
	COUNT(http_section, connections),
	COUNT(http_section, connections_each),
	OPTIONAL(http_section, timeout),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t webhook_fields[] = {
	STRING(webhook_section, url),
	STRING(webhook_section, secret_file),
	OPTIONAL(webhook_section, cacert),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t webhook_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct webhook_section, webhook_fields),
};

static const cyaml_schema_field_t cell_fields[] = {
	CYAML_FIELD_STRING_PTR("cell", CYAML_FLAG_POINTER, struct cell_section, cell, 1, CELL_MAX),
	STRING(cell_section, node),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t cell_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct cell_section, cell_fields),
};

static const cyaml_schema_field_t mec_fields[] = {
	OPTIONAL(mec_section, cacert),
	CYAML_FIELD_SEQUENCE_COUNT("cells", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
				   struct mec_section, cells, n_cells, &cell_schema, 0, CELLS_MAX),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t fields[] = {
	STRING(placement_config_file, name),
	OPTIONAL(placement_config_file, key),
	OPTIONAL(placement_config_file, allow),
	STRING(placement_config_file, listen),
	STRING(placement_config_file, listen_reports),
	OPTIONAL(placement_config_file, advertise),
	OPTIONAL(placement_config_file, store),
	CYAML_FIELD_MAPPING_PTR("etcd", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
				struct placement_config_file, etcd, etcd_fields),
	CYAML_FIELD_MAPPING_PTR("http", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
				struct placement_config_file, http, http_fields),
	CYAML_FIELD_SEQUENCE_COUNT("webhooks", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
				   struct placement_config_file, webhooks, n_webhooks,
				   &webhook_schema, 0, WEBHOOKS_MAX),
	CYAML_FIELD_MAPPING("mec", CYAML_FLAG_OPTIONAL, struct placement_config_file, mec,
			    mec_fields),
	COUNT(placement_config_file, epoch_min),
	OPTIONAL(placement_config_file, record),
	OPTIONAL(placement_config_file, decisions),
	CONFIG_FIELD_BOOL("plain_text_bus", CYAML_FLAG_OPTIONAL, struct placement_config_file,
			 plain_text_bus),
	CYAML_FIELD_MAPPING("policy", CYAML_FLAG_DEFAULT, struct placement_config_file, policy,
			    policy_fields),
	CYAML_FIELD_SEQUENCE_COUNT("groups", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
				   struct placement_config_file, groups, n_groups, &group_schema, 0,
				   GROUPS_MAX),
	CYAML_FIELD_SEQUENCE_COUNT("neighbours", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
				   struct placement_config_file, neighbours, n_neighbours,
				   &neighbours_schema, 0, NEIGHBOURHOODS_MAX),
	CYAML_FIELD_MAPPING("limits", CYAML_FLAG_OPTIONAL, struct placement_config_file, limits,
			    limits_fields),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct placement_config_file, fields),
};

/* ---- Values ---------------------------------------------------------------------- */

/* Reads quantities one after the other; the first that is wrong is kept. */
struct reader {
	const char *name; /* of the file */
	struct mg_error *err;
	int r;
};

static void refuse(struct reader *in, const char *key, const char *text, const char *example)
{
	in->r = mg_error_set(in->err, -EINVAL, "%s: %s: '%.64s' is not %s", in->name, key, text,
			     example);
}

static uint64_t duration(struct reader *in, const char *key, const char *text, uint64_t otherwise)
{
	uint64_t ns = otherwise;

	if (in->r == 0 && text && duration_parse(text, &ns) < 0)
		refuse(in, key, text, "a duration such as 250ms");
	return ns;
}

/* A duration that makes no sense when it is zero. */
static uint64_t span(struct reader *in, const char *key, const char *text, uint64_t otherwise)
{
	uint64_t ns = duration(in, key, text, otherwise);

	if (in->r == 0 && ns == 0)
		refuse(in, key, text, "longer than nothing");
	return ns;
}

static uint32_t count(struct reader *in, const char *key, const unsigned *value,
		      unsigned otherwise, unsigned min, unsigned max)
{
	unsigned n = value ? *value : otherwise;

	if (in->r == 0 && (n < min || n > max))
		in->r = mg_error_set(in->err, -EINVAL, "%s: %s: %u is not between %u and %u",
				     in->name, key, n, min, max);
	return n;
}

/* What the section does not say is as in `otherwise`. */
static void read_parameters(struct reader *in, const struct policy_section *s,
			    const struct policy_parameters *otherwise,
			    Tagalong__Placement__PolicyParameters *p, protobuf_c_boolean *recommend)
{
	tagalong__placement__policy_parameters__init(p);
	p->threshold_ns = duration(in, "policy.threshold", s->threshold, otherwise->threshold_ns);
	p->hold_ns = duration(in, "policy.hold", s->hold, otherwise->hold_ns);
	p->margin_ns = duration(in, "policy.margin", s->margin, otherwise->margin_ns);
	p->min_stay_ns = duration(in, "policy.min_stay", s->min_stay, otherwise->min_stay_ns);
	p->return_guard_ns = duration(in, "policy.return_guard", s->return_guard,
				      s->min_stay ? 4 * p->min_stay_ns :
						    otherwise->return_guard_ns);
	p->max_age_ns = duration(in, "policy.max_age", s->max_age, otherwise->max_age_ns);
	p->min_confidence = count(in, "policy.min_confidence", s->min_confidence,
				  otherwise->min_confidence, 0, 100);
	p->has_horizon_ns = p->has_order = true;
	p->horizon_ns = duration(in, "policy.horizon", s->horizon, otherwise->horizon_ns);
	p->order = count(in, "policy.order", s->order, otherwise->order, 1, 2);
	if (in->r < 0 || !s->mode)
		return;
	*recommend = strcmp(s->mode, "recommend") == 0;
	if (!*recommend && strcmp(s->mode, "act") != 0)
		refuse(in, "policy.mode", s->mode, "'act' or 'recommend'");
}

static void read_policy(struct reader *in, const struct policy_section *s,
			struct placement_config *c)
{
	static const struct policy_parameters defaults = {
		.min_stay_ns = 10 * NS_PER_S,
		.return_guard_ns = 40 * NS_PER_S,
		.max_age_ns = 3 * NS_PER_S,
		.min_confidence = 50,
		.horizon_ns = 600 * NS_PER_S,
		.order = 2,
	};

	c->policy = s->name ? s->name : "threshold";
	read_parameters(in, s, &defaults, &c->parameters, &c->recommend);
	c->interval_ns = duration(in, "policy.interval", s->interval, 2 * NS_PER_MS);
}

static void read_groups(struct reader *in, const struct placement_config_file *file,
			struct placement_config *c)
{
	struct policy_parameters otherwise;

	policy_parameters_take(&c->parameters, &otherwise);
	for (unsigned i = 0; i < file->n_groups && in->r == 0; i++) {
		const struct group_section *s = &file->groups[i];
		struct placement_group *g = &c->groups[c->n_groups++];
		Tagalong__Placement__DeviceGroup *m = &g->message;

		if (!peer_name_is_valid(s->name))
			refuse(in, "groups.name", s->name, "1 to 63 letters, digits, '-', '_' or '.'");
		tagalong__placement__device_group__init(m);
		m->name = s->name;
		m->devices = s->devices;
		m->n_devices = s->n_devices;
		m->parameters = &g->parameters;
		m->recommend = c->recommend;
		read_parameters(in, &s->policy, &otherwise, &g->parameters, &m->recommend);
		m->has_recommend = m->recommend;
		if (in->r < 0)
			mg_error_prefix(in->err, "group %s", s->name);
	}
}

/* The policy knows best which parameters make sense together. */
static void check_policy(struct reader *in, const struct placement_config *c)
{
	const struct policy_ops *policy = policy_find(c->policy);
	struct policy_parameters parameters;

	if (in->r < 0)
		return;
	if (!policy) {
		refuse(in, "policy.name", c->policy, "a policy; there are 'threshold', 'rent-or-buy' and 'markov'");
		return;
	}
	policy_parameters_take(&c->parameters, &parameters);
	in->r = policy->init(&parameters, in->err);
	for (size_t i = 0; i < c->n_groups && in->r == 0; i++) {
		policy_parameters_take(&c->groups[i].parameters, &parameters);
		in->r = policy->init(&parameters, in->err);
		if (in->r < 0)
			mg_error_prefix(in->err, "group %s", c->groups[i].message.name);
	}
	if (in->r < 0)
		mg_error_prefix(in->err, "%s: policy", in->name);
}

static void read_move_limits(struct reader *in, const struct limits_section *s,
			     struct placement_config *c)
{
	Tagalong__MoveLimits *m = &c->move_limits;

	tagalong__move_limits__init(m);
	m->blackout_ns = duration(in, "limits.blackout", s->blackout, 0);
	m->blackout_max_ns = duration(in, "limits.blackout_max", s->blackout_max, 0);
	m->timeout_ns = duration(in, "limits.timeout", s->timeout, 0);
	m->stall_timeout_ns = duration(in, "limits.stall_timeout", s->stall_timeout, 0);
	if (in->r == 0 && s->if_not_converging &&
	    converge_parse(s->if_not_converging, &m->if_not_converging) < 0)
		refuse(in, "limits.if_not_converging", s->if_not_converging,
		       "one of " CONVERGE_CHOICES);
	if (in->r == 0 && s->bandwidth && rate_parse(s->bandwidth, &m->bandwidth_bps) < 0)
		refuse(in, "limits.bandwidth", s->bandwidth, "a rate such as 200Mbit");
	if (in->r == 0 && m->blackout_max_ns && m->blackout_max_ns < m->blackout_ns)
		in->r = mg_error_set(in->err, -EINVAL,
				     "%s: limits.blackout_max: smaller than the blackout",
				     in->name);
	m->has_blackout_ns = m->blackout_ns > 0;
	m->has_blackout_max_ns = m->blackout_max_ns > 0;
	m->has_bandwidth_bps = m->bandwidth_bps > 0;
	m->has_timeout_ns = m->timeout_ns > 0;
	m->has_stall_timeout_ns = m->stall_timeout_ns > 0;
	m->has_if_not_converging = s->if_not_converging != NULL;
	if (m->has_blackout_ns || m->has_blackout_max_ns || m->has_bandwidth_bps ||
	    m->has_timeout_ns || m->has_stall_timeout_ns || m->has_if_not_converging)
		c->limits.move = m;
}

static void read_limits(struct reader *in, const struct limits_section *s,
			struct placement_config *c)
{
	Tagalong__Placement__Limits *l = &c->limits;

	tagalong__placement__limits__init(l);
	l->moves = count(in, "limits.moves", s->moves, 8, 1, COUNT_MAX);
	l->moves_per_node = count(in, "limits.moves_per_node", s->moves_per_node, 2, 1, COUNT_MAX);
	l->moves_per_link = count(in, "limits.moves_per_link", s->moves_per_link, 0, 0, COUNT_MAX);
	l->has_moves_per_link = l->moves_per_link > 0;
	l->warmings = count(in, "limits.warmings", s->warmings, 0, 0, COUNT_MAX);
	l->has_warmings = l->warmings > 0;
	l->has_evacuation = l->has_quarantine_after = l->has_quarantine_window_ns = true;
	l->has_quarantine_ns = l->has_quarantine_max_ns = true;
	l->evacuation = count(in, "limits.evacuation", s->evacuation, 4, 1, 1000);
	l->quarantine_after =
		count(in, "limits.quarantine_after", s->quarantine_after, 3, 0, COUNT_MAX);
	l->quarantine_window_ns = span(in, "limits.quarantine_window", s->quarantine_window,
				       600 * NS_PER_S);
	l->quarantine_ns = span(in, "limits.quarantine", s->quarantine, 60 * NS_PER_S);
	l->has_maintenance_lead_ns = true;
	l->maintenance_lead_ns = duration(in, "limits.maintenance_lead", s->maintenance_lead,
					  600 * NS_PER_S);
	l->quarantine_max_ns = span(in, "limits.quarantine_max", s->quarantine_max,
				    3600 * NS_PER_S);
	l->history = count(in, "limits.history", s->history, 10000, 0, COUNT_MAX);
	l->backoff_ns = span(in, "limits.backoff", s->backoff, 10 * NS_PER_S);
	l->backoff_max_ns = span(in, "limits.backoff_max", s->backoff_max, 600 * NS_PER_S);
	l->order_timeout_ns = span(in, "limits.order_timeout", s->order_timeout, 10 * NS_PER_S);
	l->node_timeout_ns = span(in, "limits.node_timeout", s->node_timeout, 15 * NS_PER_S);
	read_move_limits(in, s, c);
}

static bool is_url(const char *text)
{
	return strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0;
}

static void check_etcd(struct reader *in, const struct etcd_section *s,
		       const struct etcd_config *e)
{
	if (in->r == 0 && (strlen(e->prefix) >= ETCD_PREFIX_MAX || !store_key_is_valid(e->prefix)))
		refuse(in, "etcd.prefix", e->prefix, "1 to 199 letters without blanks");
	for (size_t i = 0; i < e->n_endpoints && in->r == 0; i++)
		if (!is_url(e->endpoints[i]))
			refuse(in, "etcd.endpoints", e->endpoints[i],
			       "a URL such as http://127.0.0.1:2379");
	if (in->r == 0 && !s->user != !s->password_file)
		in->r = mg_error_set(in->err, -EINVAL, "%s: etcd: 'user' and 'password_file' go "
				     "together", in->name);
	if (in->r == 0 && !s->cert != !s->key)
		in->r = mg_error_set(in->err, -EINVAL, "%s: etcd: 'cert' and 'key' go together",
				     in->name);
}

static void read_etcd(struct reader *in, const struct placement_config_file *file,
		      struct placement_config *c)
{
	const struct etcd_section *s = file->etcd;
	struct etcd_config *e = &c->etcd;

	if (in->r == 0 && !s == !file->store)
		in->r = mg_error_set(in->err, -EINVAL, "%s: give either 'store', a file, or 'etcd', "
				     "which several controllers can share", in->name);
	if (in->r < 0 || !s)
		return;
	*e = (struct etcd_config){
		.endpoints = (const char *const *)s->endpoints,
		.n_endpoints = s->n_endpoints,
		.prefix = s->prefix ? s->prefix : "tagalong/",
		.cacert = s->cacert,
		.cert = s->cert,
		.key = s->key,
		.user = s->user,
		.password_file = s->password_file,
		.timeout_ns = span(in, "etcd.timeout", s->timeout, 2 * NS_PER_S),
	};
	check_etcd(in, s, e);
}

/* Tokens in the clear are for this machine alone, unless one says so. */
static void check_http(struct reader *in, const struct http_section *s, const struct rest_config *c)
{
	if (in->r == 0 && !s->certificate != !s->key)
		in->r = mg_error_set(in->err, -EINVAL, "%s: http: 'certificate' and 'key' go together",
				     in->name);
	if (in->r == 0 && !s->certificate && !s->clear_text && !address_is_loopback(&c->listen))
		in->r = mg_error_set(in->err, -EINVAL,
				     "%s: http: give 'certificate' and 'key', or 'clear_text: true' "
				     "if tokens may go over the network in the clear", in->name);
	if (in->r == 0 && s->certificate && s->clear_text)
		in->r = mg_error_set(in->err, -EINVAL,
				     "%s: http: 'clear_text' and 'certificate' exclude each other",
				     in->name);
}

static void read_http(struct reader *in, const struct http_section *s, struct placement_config *c)
{
	struct rest_config *http = &c->http;
	uint64_t body_max = HTTP_BODY_MAX, timeout_ns;

	if (in->r < 0 || !s)
		return;
	timeout_ns = span(in, "http.timeout", s->timeout, HTTP_TIMEOUT_S * NS_PER_S);
	if (in->r == 0 && s->body_max &&
	    (size_parse(s->body_max, &body_max) < 0 || body_max < 1024 || body_max > (16 << 20)))
		refuse(in, "http.body_max", s->body_max, "a size from 1K to 16M");
	if (in->r == 0 && (timeout_ns < NS_PER_S || timeout_ns > 3600 * NS_PER_S))
		refuse(in, "http.timeout", s->timeout, "from 1s to 1h");
	*http = (struct rest_config){
		.tokens = s->tokens,
		.certificate = s->certificate,
		.key = s->key,
		.advertise = s->advertise,
		.body_max = body_max,
		.connections = count(in, "http.connections", s->connections, HTTP_CONNECTIONS_MAX,
				     1, CONNECTIONS_MAX),
		.connections_each = count(in, "http.connections_each", s->connections_each,
					  HTTP_CONNECTIONS_EACH_MAX, 1, CONNECTIONS_MAX),
		.timeout_s = (unsigned)(timeout_ns / NS_PER_S),
	};
	if (in->r == 0 && address_parse(s->listen, 0, &http->listen) < 0)
		refuse(in, "http.listen", s->listen, "an address such as 127.0.0.1:7280");
	if (in->r == 0 && s->advertise && !is_url(s->advertise))
		refuse(in, "http.advertise", s->advertise, "a URL such as https://host:7280");
	check_http(in, s, http);
	c->http_advertise = s->advertise;
	c->has_http = true;
}

static void read_webhooks(struct reader *in, const struct placement_config_file *file,
			  struct placement_config *c)
{
	for (size_t i = 0; i < file->n_webhooks && in->r == 0; i++) {
		const struct webhook_section *s = &file->webhooks[i];

		if (!is_url(s->url))
			refuse(in, "webhooks.url", s->url, "a URL such as https://host/path");
		c->webhooks[c->n_webhooks++] =
			(struct webhook_config){ s->url, s->secret_file, s->cacert };
	}
}

/* MCC-MNC-CELL; how the last is written is the platform's affair. */
static bool is_cell(const char *text)
{
	size_t mcc = strspn(text, DIGITS), mnc;

	if (mcc != 3 || text[mcc] != '-')
		return false;
	mnc = strspn(text + 4, DIGITS);
	return mnc >= 2 && mnc <= 3 && text[4 + mnc] == '-' && text[5 + mnc];
}

static int by_cell(const void *a, const void *b)
{
	const Tagalong__Placement__CellNode *const *x = a, *const *y = b;

	return strcmp((*x)->cell, (*y)->cell);
}

static void read_mec(struct reader *in, const struct mec_section *s, struct placement_config *c)
{
	c->mec_cacert = s->cacert;
	for (unsigned i = 0; i < s->n_cells && in->r == 0; i++) {
		Tagalong__Placement__CellNode *cell = &c->cells[c->n_cells];

		if (!is_cell(s->cells[i].cell))
			refuse(in, "mec.cells.cell", s->cells[i].cell,
			       "MCC-MNC-CELL, such as 001-01-A");
		else if (!peer_name_is_valid(s->cells[i].node))
			refuse(in, "mec.cells.node", s->cells[i].node,
			       "1 to 63 letters, digits, '-', '_' or '.'");
		tagalong__placement__cell_node__init(cell);
		cell->cell = s->cells[i].cell;
		cell->node = s->cells[i].node;
		c->cell_pointers[c->n_cells++] = cell;
	}
	qsort(c->cell_pointers, c->n_cells, sizeof(*c->cell_pointers), by_cell);
	for (size_t i = 1; i < c->n_cells && in->r == 0; i++)
		if (by_cell(&c->cell_pointers[i - 1], &c->cell_pointers[i]) == 0)
			in->r = mg_error_set(in->err, -EINVAL, "%s: mec.cells: '%s' is there twice",
					     in->name, c->cell_pointers[i]->cell);
}

/* A node's place in a list. */
struct neighbour {
	const char *node;
	unsigned list;
};

static int by_node(const void *a, const void *b)
{
	const struct neighbour *x = a, *y = b;
	int r = strcmp(x->node, y->node);

	return r ? r : (x->list > y->list) - (x->list < y->list);
}

static void check_neighbours(struct reader *in, struct neighbour *all, size_t n)
{
	unsigned lists = 1;

	qsort(all, n, sizeof(*all), by_node);
	for (size_t i = 0; i < n && in->r == 0; i++) {
		bool again = i > 0 && strcmp(all[i].node, all[i - 1].node) == 0;

		lists = again ? lists + 1 : 1;
		if (!peer_name_is_valid(all[i].node))
			refuse(in, "neighbours.nodes", all[i].node,
			       "1 to 63 letters, digits, '-', '_' or '.'");
		else if (again && all[i].list == all[i - 1].list)
			in->r = mg_error_set(in->err, -EINVAL, "%s: neighbours: '%s' is twice in "
					     "one list", in->name, all[i].node);
		else if (lists > NODE_LISTS_MAX)
			in->r = mg_error_set(in->err, -EINVAL, "%s: neighbours: '%s' is in more "
					     "than %d lists", in->name, all[i].node,
					     NODE_LISTS_MAX);
	}
}

static void read_neighbours(struct reader *in, const struct placement_config_file *file,
			    struct placement_config *c)
{
	_cleanup_free_ struct neighbour *all =
		calloc((size_t)file->n_neighbours * NEIGHBOURS_MAX + 1, sizeof(*all));
	size_t n = 0;

	if (!all && in->r == 0)
		in->r = mg_error_set(in->err, -ENOMEM, "out of memory");
	for (unsigned i = 0; i < file->n_neighbours && in->r == 0; i++) {
		const struct neighbours_section *s = &file->neighbours[i];
		Tagalong__Placement__Neighbourhood *to = &c->neighbourhoods[i];

		for (unsigned k = 0; k < s->n_nodes; k++)
			all[n++] = (struct neighbour){ s->nodes[k], i };
		tagalong__placement__neighbourhood__init(to);
		to->nodes = s->nodes;
		to->n_nodes = s->n_nodes;
		c->neighbourhood_pointers[c->n_neighbourhoods++] = to;
	}
	if (in->r == 0)
		check_neighbours(in, all, n);
}

static void check_names(struct reader *in, const struct placement_config *c)
{
	if (in->r < 0)
		return;
	if (!peer_name_is_valid(c->name))
		refuse(in, "name", c->name, "1 to 63 letters, digits, '-', '_' or '.'");
	else if (!c->plain_text_bus && (!c->key || !c->allow))
		in->r = mg_error_set(in->err, -EINVAL,
				     "%s: 'key' and 'allow' are needed, unless plain_text_bus says "
				     "that anybody may give orders", in->name);
	else if (!c->record != !c->decisions)
		in->r = mg_error_set(in->err, -EINVAL,
				     "%s: 'record' and 'decisions' go together", in->name);
}

static int read_file(const char *name, struct placement_config_file *file,
		     struct placement_config **ret, struct mg_error *err)
{
	_cleanup_(placement_config_free_p) struct placement_config *c = calloc(1, sizeof(*c));
	struct reader in = { name, err, 0 };

	if (!c) {
		config_free(&schema, file);
		return mg_error_set(err, -ENOMEM, "out of memory");
	}
	c->file = file;
	c->groups = calloc(file->n_groups + 1, sizeof(*c->groups));
	c->cells = calloc(file->mec.n_cells + 1, sizeof(*c->cells));
	c->cell_pointers = calloc(file->mec.n_cells + 1, sizeof(*c->cell_pointers));
	c->neighbourhoods = calloc(file->n_neighbours + 1, sizeof(*c->neighbourhoods));
	c->neighbourhood_pointers =
		calloc(file->n_neighbours + 1, sizeof(*c->neighbourhood_pointers));
	if (!c->groups || !c->cells || !c->cell_pointers || !c->neighbourhoods ||
	    !c->neighbourhood_pointers)
		return mg_error_set(err, -ENOMEM, "out of memory");
	c->name = file->name;
	c->key = file->key;
	c->allow = file->allow;
	c->listen = file->listen;
	c->listen_reports = file->listen_reports;
	c->advertise = file->advertise ? file->advertise : file->listen;
	c->store = file->store;
	c->epoch_min = file->epoch_min ? *file->epoch_min : 0;
	c->record = file->record;
	c->decisions = file->decisions;
	c->plain_text_bus = file->plain_text_bus;
	read_etcd(&in, file, c);
	read_http(&in, file->http, c);
	read_webhooks(&in, file, c);
	read_mec(&in, &file->mec, c);
	read_neighbours(&in, file, c);
	read_policy(&in, &file->policy, c);
	read_groups(&in, file, c);
	check_policy(&in, c);
	read_limits(&in, &file->limits, c);
	check_names(&in, c);
	if (in.r == 0)
		*ret = TAKE_PTR(c);
	return in.r;
}

int placement_config_load(const char *path, struct placement_config **ret, struct mg_error *err)
{
	struct placement_config_file *file = NULL;
	int r = config_load(path, &schema, (void **)&file, err);

	return r < 0 ? r : read_file(path, file, ret, err);
}

int placement_config_parse(const char *name, const char *text, size_t len,
			   struct placement_config **ret, struct mg_error *err)
{
	struct placement_config_file *file = NULL;
	int r = config_parse(name, text, len, &schema, (void **)&file, err);

	return r < 0 ? r : read_file(name, file, ret, err);
}

void placement_config_free(struct placement_config *config)
{
	if (!config)
		return;
	config_free(&schema, config->file);
	free(config->groups);
	free(config->cells);
	free(config->cell_pointers);
	free(config->neighbourhoods);
	free(config->neighbourhood_pointers);
	free(config);
}
