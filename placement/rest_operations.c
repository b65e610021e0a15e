/* SPDX-License-Identifier: Apache-2.0 */
#include "placement/rest_operations.h"

#include <string.h>

#include "placement/mec021_json.h"

#define BODY(name) TAGALONG__ENVELOPE__BODY_##name
#define REQUIRED .required = true

#define PAGE 50 /* moves, unless the query says otherwise */
#define PAGE_MAX 1000

/* ---- Members -------------------------------------------------------------------- */

static const struct rest_field none[] = { { 0 } };

static const struct rest_field named[] = { { "node", "", REST_PATH }, { 0 } };
static const struct rest_field named_device[] = { { "device", NULL, REST_PATH }, { 0 } };

static const struct rest_field drain[] = {
	{ "node", NULL, REST_PATH },
	{ "drained", NULL, REST_FIXED, .value = true },
	{ "dry_run" },
	{ 0 },
};

static const struct rest_field evacuate[] = {
	{ "node", NULL, REST_PATH },
	{ "drained", NULL, REST_FIXED, .value = true },
	{ "evacuate", NULL, REST_FIXED, .value = true },
	{ "dry_run" },
	{ 0 },
};

static const struct rest_field undrain[] = {
	{ "node", NULL, REST_PATH },
	{ "drained", NULL, REST_FIXED, .value = false },
	{ "dry_run" },
	{ 0 },
};

static const struct rest_field quarantine[] = {
	{ "node", NULL, REST_PATH },
	{ "quarantined", NULL, REST_FIXED, .value = true },
	{ "dry_run" },
	{ 0 },
};

static const struct rest_field release[] = {
	{ "node", NULL, REST_PATH },
	{ "quarantined", NULL, REST_FIXED, .value = false },
	{ "dry_run" },
	{ 0 },
};

static const struct rest_field window[] = {
	{ "start_utc_ns", REQUIRED },
	{ "end_utc_ns", REQUIRED },
	{ 0 },
};

static const struct rest_field maintain[] = {
	{ "node", NULL, REST_PATH },
	{ "window", REQUIRED, .fields = window },
	{ "dry_run" },
	{ 0 },
};

static const struct rest_field unmaintain[] = {
	{ "node", NULL, REST_PATH },
	{ "dry_run" },
	{ 0 },
};

static const struct rest_field replace[] = {
	{ "device", "device_name", REST_PATH },
	{ "device_id", "device", REQUIRED },
	{ "dry_run" },
	{ 0 },
};

static const struct rest_field pair_set[] = {
	{ "device", "device_name", REST_PATH },
	{ "vm", NULL, REST_PATH },
	{ "device_id", "device", REQUIRED },
	{ "foreground", NULL, REST_FIXED, .value = true },
	{ "foreground" },
	{ "follows" },
	{ "dry_run" },
	{ 0 },
};

static const struct rest_field pair_remove[] = {
	{ "device", "device_name", REST_PATH },
	{ "vm", NULL, REST_PATH },
	{ "dry_run", NULL, REST_QUERY },
	{ 0 },
};

static const struct rest_field pair_front[] = {
	{ "device", "device_name", REST_PATH },
	{ "vm", NULL, REST_PATH },
	{ "dry_run" },
	{ 0 },
};

static const struct rest_field affinity_set[] = {
	{ "group", NULL, REST_PATH },
	{ "vm", NULL, REST_PATH },
	{ "apart", NULL, REST_FIXED, .value = false },
	{ "apart" },
	{ "dry_run" },
	{ 0 },
};

static const struct rest_field affinity_remove[] = {
	{ "group", NULL, REST_PATH },
	{ "vm", NULL, REST_PATH },
	{ "dry_run", NULL, REST_QUERY },
	{ 0 },
};

static const struct rest_field vm_named[] = { { "vm", "name", REST_PATH }, { 0 } };

static const struct rest_field vm_stop[] = {
	{ "vm", "name", REST_PATH },
	{ "force", NULL, REST_QUERY },
	{ "dry_run", NULL, REST_QUERY },
	{ 0 },
};

static const struct rest_field freeze[] = {
	{ "vm", NULL, REST_PATH },
	{ "frozen", NULL, REST_FIXED, .value = true },
	{ "dry_run" },
	{ 0 },
};

static const struct rest_field thaw[] = {
	{ "vm", NULL, REST_PATH },
	{ "frozen", NULL, REST_FIXED, .value = false },
	{ "dry_run" },
	{ 0 },
};

static const struct rest_field disk[] = {
	{ "path" },   { "base", "base_path" }, { "size" }, { "format", REQUIRED },
	{ "shared" }, { "readonly" },          { 0 },
};

static const struct rest_field network[] = {
	{ "bridge", REQUIRED },
	{ "mac", REQUIRED },
	{ 0 },
};

static const struct rest_field vm_spec[] = {
	{ "name", REQUIRED },
	{ "memory_bytes", REQUIRED },
	{ "vcpus", REQUIRED },
	{ "machine", REQUIRED },
	{ "cpu", REQUIRED },
	{ "accelerator", REQUIRED },
	{ "kernel" },
	{ "initrd" },
	{ "cmdline" },
	{ "firmware" },
	{ "base_image" },
	{ "disks", .fields = disk },
	{ "networks", .fields = network },
	{ "extra" },
	{ 0 },
};

static const struct rest_field vm_start[] = {
	{ "spec", REQUIRED, .fields = vm_spec },
	{ "node" },
	{ "force" },
	{ "dry_run" },
	{ 0 },
};

static const struct rest_field move_list[] = {
	{ "limit", NULL, REST_FIXED, .value = PAGE },
	{ "limit", NULL, REST_QUERY, .value = PAGE_MAX },
	{ "vm", NULL, REST_QUERY },
	{ "after", NULL, REST_QUERY },
	{ 0 },
};

static const struct rest_field move_limits[] = {
	{ "blackout_ns" },
	{ "blackout_max_ns" },
	{ "bandwidth_bps" },
	{ "timeout_ns" },
	{ "patience_ns" },
	{ "connections" },
	{ "if_not_converging" },
	{ "stall_timeout_ns" },
	{ "attempts" },
	{ 0 },
};

static const struct rest_field move_order[] = {
	{ "vm", REQUIRED },
	{ "target", REQUIRED },
	{ "force" },
	{ "dry_run" },
	{ "priority" },
	{ "limits", .fields = move_limits },
	{ 0 },
};

static const struct rest_field move_named[] = { { "move", NULL, REST_PATH }, { 0 } };

static const struct rest_field move_adjust[] = {
	{ "move", NULL, REST_PATH }, { "priority" }, { "paused" }, { "dry_run" }, { 0 },
};

static const struct rest_field move_cancel[] = {
	{ "move", NULL, REST_PATH },
	{ "dry_run" },
	{ 0 },
};

static const struct rest_field move_resolve[] = {
	{ "move", NULL, REST_PATH },
	{ "verdict", REQUIRED },
	{ "node", REQUIRED },
	{ "dry_run" },
	{ 0 },
};

static const struct rest_field since[] = {
	{ "since_utc_ns", NULL, REST_FIXED, .value = 0 },
	{ "since_utc_ns", NULL, REST_QUERY },
	{ 0 },
};

static const struct rest_field events[] = { { "type", "", REST_QUERY }, { 0 } };

/* ---- Application mobility ------------------------------------------------------- */

static const struct rest_field associate_id[] = {
	{ "type", .words = mec021_identities },
	{ "value", REQUIRED },
	{ 0 },
};

static const struct rest_field consumer[] = {
	{ "appInstanceId", "app_instance" },
	{ "mepId", "platform" },
	{ 0 },
};

static const struct rest_field served_device[] = {
	{ "associateId", "associate_id", REQUIRED, .fields = associate_id },
	{ "appMobilityServiceLevel", "level", .words = mec021_levels },
	{ "contextTransferState", "context", .words = mec021_contexts },
	{ 0 },
};

#define SERVICE_MEMBERS                                              \
	{ "deviceInformation", "devices", .fields = served_device }, \
	{ "expiryTime", "expiry_s" },                                \
	{ "serviceConsumerId", "consumer", REQUIRED, .fields = consumer }

static const struct rest_field service_add[] = { SERVICE_MEMBERS, { 0 } };

static const struct rest_field service_set[] = {
	{ "appMobilityServiceId", "id", REST_PATH },
	{ "appMobilityServiceId", "stated_id", REQUIRED },
	{ "If-Match", "if_match", REST_IF_MATCH },
	SERVICE_MEMBERS,
	{ 0 },
};

static const struct rest_field service_named[] = {
	{ "appMobilityServiceId", "id", REST_PATH },
	{ 0 },
};

static const struct rest_field time_stamp[] = {
	{ "seconds", REQUIRED },
	{ "nanoSeconds", "nano_seconds", REQUIRED, .value = 999999999 },
	{ 0 },
};

static const struct rest_field href[] = { { "href", REQUIRED }, { 0 } };
static const struct rest_field self[] = { { "self", REQUIRED, .fields = href }, { 0 } };
static const struct rest_field websocket[] = { { "requestWebsocketUri", "wanted" }, { 0 } };

static const struct rest_field filter[] = {
	{ "appInstanceId", "app_instance" },
	{ "associateId", "associate_ids", .fields = associate_id },
	{ "mobilityStatus", "statuses", .words = mec021_statuses },
	{ 0 },
};

#define SUBSCRIPTION_MEMBERS                                                          \
	{ "subscriptionType", "type", REQUIRED, .words = mec021_subscription_types }, \
	{ "callbackReference", "callback" },                                          \
	{ "filterCriteria", "filter", REQUIRED, .fields = filter },                   \
	{ "requestTestNotification", "test" },                                        \
	{ "websockNotifConfig", "websocket", .fields = websocket },                   \
	{ "expiryDeadline", "deadline", .fields = time_stamp }

static const struct rest_field subscription_add[] = { SUBSCRIPTION_MEMBERS, { 0 } };

static const struct rest_field subscription_set[] = {
	{ "subscriptionId", "id", REST_PATH },
	{ "_links", "stated_links", .fields = self },
	{ "If-Match", "if_match", REST_IF_MATCH },
	SUBSCRIPTION_MEMBERS,
	{ 0 },
};

static const struct rest_field subscription_named[] = {
	{ "subscriptionId", "id", REST_PATH },
	{ 0 },
};

static const char *const short_types[] = { "mobility_proc", "adj_app_info", NULL };
static const struct rest_field subscription_list[] = {
	{ "subscriptionType", "type", REST_QUERY, REQUIRED, .words = short_types },
	{ 0 },
};

static const char *const cell_change_type[] = { "CellChangeNotification", NULL };

static const struct rest_field plmn[] = { { "mcc", REQUIRED }, { "mnc", REQUIRED }, { 0 } };
static const struct rest_field ecgi[] = {
	{ "plmn", REQUIRED, .fields = plmn },
	{ "cellId", "id", REQUIRED },
	{ 0 },
};

/* Its types are numbers. */
static const struct rest_field numbered_id[] = {
	{ "type", REQUIRED, .value = 4 },
	{ "value", REQUIRED },
	{ 0 },
};

static const struct rest_field temporary_id[] = {
	{ "mmec", REQUIRED },
	{ "mtmsi", REQUIRED },
	{ 0 },
};

static const struct rest_field subscription_link[] = {
	{ "subscription", REQUIRED, .fields = href },
	{ 0 },
};

static const char *const app_termination_type[] = { "AppTerminationNotification", NULL };
static const char *const app_termination_actions[] = { "STOPPING", "TERMINATING", NULL };

static const struct rest_field app_termination_links[] = {
	{ "subscription", REQUIRED, .fields = href },
	{ "confirmTermination", "confirmation", .fields = href },
	{ 0 },
};

static const struct rest_field app_termination[] = {
	{ "notificationType", "kind", REQUIRED, .words = app_termination_type },
	{ "operationAction", "action", REQUIRED, .words = app_termination_actions },
	{ "maxGracefulTimeout", "timeout_s", REQUIRED },
	{ "_links", "links", REQUIRED, .fields = app_termination_links },
	{ 0 },
};

static const struct rest_field cell_change[] = {
	{ "notificationType", "kind", REQUIRED, .words = cell_change_type },
	{ "associateId", "associate_ids", .fields = numbered_id },
	{ "hoStatus", "status", REQUIRED, .value = 5 },
	{ "srcEcgi", "source", REQUIRED, .fields = ecgi },
	{ "trgEcgi", "targets", REQUIRED, .fields = ecgi },
	{ "tempUeId", "temporary_id", .fields = temporary_id },
	{ "timeStamp", "at", .fields = time_stamp },
	{ "_links", "links", .fields = subscription_link },
	{ 0 },
};

/* ---- The table ------------------------------------------------------------------ */

#define READ TOKEN_ROLE_READ
#define OPERATE TOKEN_ROLE_OPERATE

const struct rest_operation rest_operations[] = {
	{ "GET", "/v1/status", READ, REST_ASK, BODY(STATUS_QUERY), none, rest_show_status },
	{ "GET", "/v1/summary", READ, REST_ASK, BODY(STATUS_QUERY), none, rest_show_summary },
	{ "GET", "/v1/controllers", READ, REST_CONTROLLERS, 0, none },
	{ "GET", "/v1/nodes", READ, REST_ASK, BODY(NODE_QUERY), none, rest_show_nodes },
	{ "GET", "/v1/nodes/{node}", READ, REST_ASK, BODY(NODE_QUERY), named, rest_show_node },
	{ "POST", "/v1/nodes/{node}/drain", OPERATE, REST_ASK, BODY(NODE_DRAIN), drain,
	  rest_show_drain },
	{ "POST", "/v1/nodes/{node}/undrain", OPERATE, REST_ASK, BODY(NODE_DRAIN), undrain,
	  rest_show_drain },
	{ "POST", "/v1/nodes/{node}/evacuate", OPERATE, REST_ASK, BODY(NODE_DRAIN), evacuate,
	  rest_show_drain },
	{ "POST", "/v1/nodes/{node}/quarantine", OPERATE, REST_ASK, BODY(NODE_QUARANTINE),
	  quarantine },
	{ "POST", "/v1/nodes/{node}/release", OPERATE, REST_ASK, BODY(NODE_QUARANTINE), release },
	{ "POST", "/v1/nodes/{node}/maintain", OPERATE, REST_ASK, BODY(NODE_MAINTAIN), maintain },
	{ "POST", "/v1/nodes/{node}/unmaintain", OPERATE, REST_ASK, BODY(NODE_MAINTAIN),
	  unmaintain },
	{ "GET", "/v1/devices", READ, REST_ASK, BODY(PAIR_QUERY), none, rest_show_devices },
	{ "GET", "/v1/devices/{device}", READ, REST_ASK, BODY(PAIR_QUERY), named_device,
	  rest_show_device },
	{ "POST", "/v1/devices/{device}/replace", OPERATE, REST_ASK, BODY(PAIR_REPLACE), replace },
	{ "GET", "/v1/pairs", READ, REST_ASK, BODY(PAIR_QUERY), none, rest_show_pairs },
	{ "PUT", "/v1/pairs/{device}/{vm}", OPERATE, REST_ASK, BODY(PAIR_SET), pair_set },
	{ "DELETE", "/v1/pairs/{device}/{vm}", OPERATE, REST_ASK, BODY(PAIR_REMOVE), pair_remove },
	{ "POST", "/v1/pairs/{device}/{vm}/front", OPERATE, REST_ASK, BODY(PAIR_FRONT),
	  pair_front },
	{ "GET", "/v1/affinities", READ, REST_ASK, BODY(AFFINITY_QUERY), none,
	  rest_show_affinities },
	{ "PUT", "/v1/affinities/{group}/{vm}", OPERATE, REST_ASK, BODY(AFFINITY_SET),
	  affinity_set },
	{ "DELETE", "/v1/affinities/{group}/{vm}", OPERATE, REST_ASK, BODY(AFFINITY_REMOVE),
	  affinity_remove },
	{ "GET", "/v1/vms", READ, REST_ASK, BODY(VM_QUERY), none, rest_show_vms },
	{ "POST", "/v1/vms", OPERATE, REST_ASK, BODY(VM_START), vm_start },
	{ "GET", "/v1/vms/{vm}", READ, REST_ASK, BODY(VM_QUERY), vm_named, rest_show_vm },
	{ "DELETE", "/v1/vms/{vm}", OPERATE, REST_ASK, BODY(VM_STOP), vm_stop },
	{ "POST", "/v1/vms/{vm}/freeze", OPERATE, REST_ASK, BODY(VM_FREEZE), freeze },
	{ "POST", "/v1/vms/{vm}/thaw", OPERATE, REST_ASK, BODY(VM_FREEZE), thaw },
	{ "GET", "/v1/moves", READ, REST_ASK, BODY(MOVE_QUERY), move_list, rest_show_moves },
	{ "POST", "/v1/moves", OPERATE, REST_ORDER, BODY(MOVE_ORDER), move_order, rest_show_move },
	{ "GET", "/v1/moves/{move}", READ, REST_ASK, BODY(MOVE_QUERY), move_named, rest_show_move },
	{ "PATCH", "/v1/moves/{move}", OPERATE, REST_ASK, BODY(MOVE_ADJUST), move_adjust },
	{ "GET", "/v1/moves/{move}/why", READ, REST_ASK, BODY(WHY_QUERY), move_named,
	  rest_show_why },
	{ "POST", "/v1/moves/{move}/cancel", OPERATE, REST_ASK, BODY(MOVE_CANCEL), move_cancel },
	{ "POST", "/v1/moves/{move}/resolve", OPERATE, REST_ASK, BODY(MOVE_RESOLVE), move_resolve },
	{ "GET", "/v1/outcomes", READ, REST_ASK, BODY(SUMMARY_QUERY), since, rest_show_outcomes },
	{ "GET", "/amsi/v1/app_mobility_services", READ, REST_ASK, BODY(MOBILITY_SERVICE_QUERY),
	  none, mec021_show_services },
	{ "POST", "/amsi/v1/app_mobility_services", OPERATE, REST_ASK, BODY(MOBILITY_SERVICE),
	  service_add, mec021_show_service, 201, mec021_headers },
	{ "GET", "/amsi/v1/app_mobility_services/{appMobilityServiceId}", READ, REST_ASK,
	  BODY(MOBILITY_SERVICE_QUERY), service_named, mec021_show_service,
	  .headers = mec021_headers },
	{ "PUT", "/amsi/v1/app_mobility_services/{appMobilityServiceId}", OPERATE, REST_ASK,
	  BODY(MOBILITY_SERVICE), service_set, mec021_show_service, .headers = mec021_headers },
	{ "DELETE", "/amsi/v1/app_mobility_services/{appMobilityServiceId}", OPERATE, REST_ASK,
	  BODY(MOBILITY_SERVICE_REMOVE), service_named },
	{ "POST", "/amsi/v1/app_mobility_services/{appMobilityServiceId}/deregister_task", OPERATE,
	  REST_ASK, BODY(MOBILITY_SERVICE_REMOVE), service_named },
	{ "GET", "/amsi/v1/subscriptions", READ, REST_ASK, BODY(MOBILITY_SUBSCRIPTION_QUERY),
	  subscription_list, mec021_show_subscriptions },
	{ "POST", "/amsi/v1/subscriptions", OPERATE, REST_ASK, BODY(MOBILITY_SUBSCRIPTION),
	  subscription_add, mec021_show_subscription, 201, mec021_headers },
	{ "GET", "/amsi/v1/subscriptions/{subscriptionId}", READ, REST_ASK,
	  BODY(MOBILITY_SUBSCRIPTION_QUERY), subscription_named, mec021_show_subscription,
	  .headers = mec021_headers },
	{ "PUT", "/amsi/v1/subscriptions/{subscriptionId}", OPERATE, REST_ASK,
	  BODY(MOBILITY_SUBSCRIPTION), subscription_set, mec021_show_subscription,
	  .headers = mec021_headers },
	{ "DELETE", "/amsi/v1/subscriptions/{subscriptionId}", OPERATE, REST_ASK,
	  BODY(MOBILITY_SUBSCRIPTION_REMOVE), subscription_named },
	{ "GET", "/amsi/v1/queries/adjacent_app_instances", READ, REST_ASK,
	  BODY(APP_INSTANCE_QUERY), none, mec021_show_instances },
	{ "POST", "/amsi/v1/notifications/mec012/cellChange", OPERATE, REST_ASK, BODY(CELL_CHANGE),
	  cell_change },
	{ "POST", "/amsi/v1/notifications/mec011/appTermination", OPERATE, REST_ASK,
	  BODY(APP_TERMINATION), app_termination },
	{ "GET", "/v1/events", READ, REST_EVENTS, 0, events },
	{ "GET", "/v1/openapi.json", TOKEN_ROLE_NONE, REST_OPENAPI, 0, none },
	{ "GET", "/metrics", READ, REST_METRICS, 0, none },
	{ 0 },
};

/* ---- Finding the row ------------------------------------------------------------ */

/* Takes one segment; false when it is empty or too long. */
static bool take_segment(const char **path, char ret[REST_VALUE_SIZE])
{
	size_t n = strcspn(*path, "/");

	if (n == 0 || n >= REST_VALUE_SIZE)
		return false;
	memcpy(ret, *path, n);
	ret[n] = '\0';
	*path += n;
	return true;
}

static bool path_fits(const char *template, const char *path, struct rest_match *ret)
{
	size_t n = 0;

	while (*template) {
		if (*template == '{') {
			if (!take_segment(&path, ret->values[n++]))
				return false;
			template = strchr(template, '}') + 1;
		} else if (*template++ != *path++) {
			return false;
		}
	}
	return !*path;
}

int rest_match(const char *method, const char *path, struct rest_match *ret,
	       char ret_allow[REST_ALLOW_SIZE])
{
	size_t n = 0;

	if (strcmp(method, "HEAD") == 0)
		method = "GET";
	ret_allow[0] = '\0';
	for (const struct rest_operation *o = rest_operations; o->method; o++) {
		if (!path_fits(o->path, path, ret))
			continue;
		if (strcmp(o->method, method) == 0) {
			ret->operation = o;
			return 0;
		}
		n += (size_t)snprintf(ret_allow + n, REST_ALLOW_SIZE - n, "%s%s", n ? ", " : "",
				      o->method);
	}
	return n ? -EOPNOTSUPP : -ENOENT;
}
