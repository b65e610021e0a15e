/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/cli/view.h"

const struct column view_leader_columns[] = {
	{ "CONTROLLER", "endpoint", COLUMN_TEXT },
	{ "STATE", "state", COLUMN_TEXT },
	{ "LEADER", "leader", COLUMN_TEXT },
	{ "SINCE", "since_utc_ns", COLUMN_TIME },
	{ "EPOCH", "epoch", COLUMN_COUNT },
	{ "PROBLEM", "problem", COLUMN_TEXT },
	{ NULL },
};

const struct column view_node_columns[] = {
	{ "NODE", "name", COLUMN_TEXT },
	{ "MIGRATORD", "migrator_up", COLUMN_FLAG },
	{ "TELEMETRYD", "telemetry_up", COLUMN_FLAG },
	{ "VMS", "vms", COLUMN_COUNT },
	{ "USED", "memory_used_bytes", COLUMN_SIZE },
	{ "MEMORY", "memory_bytes", COLUMN_SIZE },
	{ "VCPUS", "vcpus", COLUMN_COUNT },
	{ "IMAGES", "images", COLUMN_COUNT },
	{ "QEMU", "qemu_version", COLUMN_TEXT },
	{ "LAST SEEN", "last_seen_utc_ns", COLUMN_TIME },
	{ "ACCEPTS", "accepts", COLUMN_TEXT },
	{ NULL },
};

const struct column view_vm_columns[] = {
	{ "VM", "name", COLUMN_TEXT },
	{ "STATE", "state", COLUMN_TEXT },
	{ "NODE", "node", COLUMN_TEXT },
	{ "MEMORY", "memory_bytes", COLUMN_SIZE },
	{ "VCPUS", "vcpus", COLUMN_COUNT },
	{ "ACCEL", "accelerator", COLUMN_TEXT },
	{ "MOVE", "move", COLUMN_SHORT_ID },
	{ NULL },
};

const struct column view_image_columns[] = {
	{ "IMAGE", "image", COLUMN_SHORT_ID },
	{ "VM", "vm", COLUMN_TEXT },
	{ "BASE", "base", COLUMN_TEXT },
	{ "SIZE", "bytes", COLUMN_SIZE },
	{ "MEMORY", "guest_bytes", COLUMN_SIZE },
	{ "MADE", "made_utc_ns", COLUMN_TIME },
	{ "USED", "used_utc_ns", COLUMN_TIME },
	{ NULL },
};

const struct column view_vm_fields[] = {
	{ "Name", "name", COLUMN_TEXT },
	{ "State", "state", COLUMN_TEXT },
	{ "Node", "node", COLUMN_TEXT },
	{ "Memory", "memory_bytes", COLUMN_SIZE },
	{ "vCPUs", "vcpus", COLUMN_COUNT },
	{ "Machine", "machine", COLUMN_TEXT },
	{ "CPU", "cpu", COLUMN_TEXT },
	{ "Accelerator", "accelerator", COLUMN_TEXT },
	{ "Firmware", "firmware", COLUMN_TEXT },
	{ "Kernel", "kernel", COLUMN_TEXT },
	{ "Initrd", "initrd", COLUMN_TEXT },
	{ "Command line", "cmdline", COLUMN_TEXT },
	{ "Disks", "disks", COLUMN_LIST },
	{ "Networks", "networks", COLUMN_LIST },
	{ "More arguments", "extra", COLUMN_LIST },
	{ "Incarnation", "incarnation", COLUMN_TEXT },
	{ "Move", "move", COLUMN_TEXT },
	{ "Frozen", "frozen", COLUMN_FLAG },
	{ "Process", "pid", COLUMN_COUNT },
	{ "Directory", "directory", COLUMN_TEXT },
	{ NULL },
};

const struct column view_pair_columns[] = {
	{ "DEVICE", "device", COLUMN_TEXT },
	{ "AT", "device_node", COLUMN_TEXT },
	{ "VM", "vm", COLUMN_TEXT },
	{ "ON", "vm_node", COLUMN_TEXT },
	{ "FOREGROUND", "foreground", COLUMN_FLAG },
	{ "ASLEEP", "asleep", COLUMN_FLAG },
	{ "RTT", "rtt_ns", COLUMN_DURATION },
	{ "GROUP", "group", COLUMN_TEXT },
	{ "RECOMMENDED", "recommended", COLUMN_TEXT },
	{ NULL },
};

const struct column view_rtt_columns[] = {
	{ "DEVICE", "device", COLUMN_TEXT },
	{ "FROM", "node", COLUMN_TEXT },
	{ "RTT", "srtt_ns", COLUMN_DURATION },
	{ "VARIATION", "rttvar_ns", COLUMN_DURATION },
	{ "MINIMUM", "min_ns", COLUMN_DURATION },
	{ "SENT", "sent", COLUMN_COUNT },
	{ "LOST", "lost", COLUMN_COUNT },
	{ "CONFIDENCE", "confidence", COLUMN_COUNT },
	{ NULL },
};

const struct column view_open_move_columns[] = {
	{ "MOVE", "move", COLUMN_SHORT_ID },
	{ "VM", "vm", COLUMN_TEXT },
	{ "FROM", "source", COLUMN_TEXT },
	{ "TO", "target", COLUMN_TEXT },
	{ "STATE", "state", COLUMN_TEXT },
	{ "PRIORITY", "priority", COLUMN_TEXT },
	{ "PAUSED", "paused", COLUMN_FLAG },
	{ "ROUND", "round", COLUMN_COUNT },
	{ "SENT", "wire_bytes", COLUMN_SIZE },
	{ "TO GO", "remaining_bytes", COLUMN_SIZE },
	{ "LEFT", "left_ns", COLUMN_DURATION },
	{ "BLACKOUT", "blackout_expected_ns", COLUMN_DURATION },
	{ "WARNING", "warning", COLUMN_TEXT },
	{ "PROBLEM", "failure", COLUMN_TEXT },
	{ NULL },
};

const struct column view_move_columns[] = {
	{ "MOVE", "move", COLUMN_SHORT_ID },
	{ "BEGUN", "begun_utc_ns", COLUMN_TIME },
	{ "VM", "vm", COLUMN_TEXT },
	{ "FROM", "source", COLUMN_TEXT },
	{ "TO", "target", COLUMN_TEXT },
	{ "STATE", "state", COLUMN_TEXT },
	{ "TOOK", "elapsed_ns", COLUMN_DURATION },
	{ "BLACKOUT", "blackout_ns", COLUMN_DURATION },
	{ "SENT", "wire_bytes", COLUMN_SIZE },
	{ "REASON", "reason", COLUMN_TEXT },
	{ "PROBLEM", "failure", COLUMN_TEXT },
	{ "WARNING", "warning", COLUMN_TEXT },
	{ NULL },
};

const struct column view_move_fields[] = {
	{ "  took", "elapsed_ns", COLUMN_DURATION },
	{ "  blackout", "blackout_ns", COLUMN_DURATION },
	{ "  start stall", "start_stall_ns", COLUMN_DURATION },
	{ "  rounds", "round", COLUMN_COUNT },
	{ "  attempts", "attempt", COLUMN_COUNT },
	{ "  throttled by %", "throttle_percent", COLUMN_COUNT },
	{ "  post-copy", "post_copy", COLUMN_FLAG },
	{ "  sent", "wire_bytes", COLUMN_SIZE },
	{ "  stands for", "guest_bytes", COLUMN_SIZE },
	{ "  disks", "disk_bytes", COLUMN_SIZE },
	{ "  disks left", "disk_remaining_bytes", COLUMN_SIZE },
	{ "  disks sent", "disk_wire_bytes", COLUMN_SIZE },
	{ "  reconnects", "reconnects", COLUMN_COUNT },
	{ NULL },
};

const struct column view_drain_columns[] = {
	{ "VM", "vm", COLUMN_TEXT },
	{ "TO", "target", COLUMN_TEXT },
	{ "PROBLEM", "problem", COLUMN_TEXT },
	{ NULL },
};

const struct column view_affinity_columns[] = {
	{ "GROUP", "group", COLUMN_TEXT },
	{ "KEPT", "kept", COLUMN_TEXT },
	{ "VMS", "vms", COLUMN_LIST },
	{ NULL },
};

const struct column view_why_fields[] = {
	{ "Move", "move", COLUMN_TEXT },
	{ "VM", "vm", COLUMN_TEXT },
	{ "From", "source", COLUMN_TEXT },
	{ "To", "target", COLUMN_TEXT },
	{ "Reason", "reason", COLUMN_TEXT },
	{ "", "reason_text", COLUMN_TEXT },
	{ "Policy", "policy", COLUMN_TEXT },
	{ "  threshold", "parameters.threshold_ns", COLUMN_DURATION },
	{ "  hold", "parameters.hold_ns", COLUMN_DURATION },
	{ "  margin", "parameters.margin_ns", COLUMN_DURATION },
	{ "  minimum stay", "parameters.min_stay_ns", COLUMN_DURATION },
	{ "RTT at the source", "here_ns", COLUMN_DURATION },
	{ "  for", "held_ns", COLUMN_DURATION },
	{ "RTT expected", "target_ns", COLUMN_DURATION },
	{ "RTT 30 s after", "after_ns", COLUMN_DURATION },
	{ "RTT there now", "now_ns", COLUMN_DURATION },
	{ "Outcome", "state", COLUMN_TEXT },
	{ "  failure", "failure", COLUMN_TEXT },
	{ "  blackout", "blackout_ns", COLUMN_DURATION },
	{ "  took", "elapsed_ns", COLUMN_DURATION },
	{ "  expected", "move_ns", COLUMN_DURATION },
	{ "  sent", "wire_bytes", COLUMN_SIZE },
	{ NULL },
};

const struct column view_summary_columns[] = {
	{ "REASON", "code", COLUMN_TEXT },
	{ "DONE", "done", COLUMN_COUNT },
	{ "FAILED", "failed", COLUMN_COUNT },
	{ "BLACKOUTS", "blackout_ns", COLUMN_DURATION },
	{ "LONGEST", "blackout_max_ns", COLUMN_DURATION },
	{ "SENT", "wire_bytes", COLUMN_SIZE },
	{ "JUDGED", "judged", COLUMN_COUNT },
	{ "WORSE", "worse", COLUMN_COUNT },
	{ "RTT BEFORE", "before_ns", COLUMN_DURATION },
	{ "EXPECTED", "expected_ns", COLUMN_DURATION },
	{ "AFTER", "after_ns", COLUMN_DURATION },
	{ "STAYED", "stay_ns", COLUMN_DURATION },
	{ NULL },
};

const struct column view_alternative_columns[] = {
	{ "NODE", "node", COLUMN_TEXT },
	{ "AVAILABLE", "available", COLUMN_FLAG },
	{ "RTT", "srtt_ns", COLUMN_DURATION },
	{ "VARIATION", "rttvar_ns", COLUMN_DURATION },
	{ "CONFIDENCE", "confidence", COLUMN_COUNT },
	{ "AGE", "age_ns", COLUMN_DURATION },
	{ "BENEFIT", "benefit_ns", COLUMN_DURATION },
	{ "MOVE", "move_ns", COLUMN_DURATION },
	{ "IMAGE", "image", COLUMN_FLAG },
	{ NULL },
};

const struct column view_forecast_fields[] = {
	{ "  would take", "left_ns", COLUMN_DURATION },
	{ "  blackout", "blackout_expected_ns", COLUMN_DURATION },
	{ "  would send", "wire_bytes", COLUMN_SIZE },
	{ "  memory in use", "remaining_bytes", COLUMN_SIZE },
	{ "  disks in use", "disk_remaining_bytes", COLUMN_SIZE },
	{ "  writes", "dirty_bytes_per_s", COLUMN_BYTE_RATE },
	{ "  link", "link_bytes_per_s", COLUMN_BYTE_RATE },
	{ "  round trip", "rtt_ns", COLUMN_DURATION },
	{ "  confidence %", "confidence", COLUMN_COUNT },
	{ NULL },
};
