/* SPDX-License-Identifier: Apache-2.0 */
#include "common/document.h"

#include <string.h>

#include "common/cleanup.h"
#include "common/move_state.h"
#include "common/uuid.h"

static void put_text(json_t *o, const char *key, const char *text)
{
	if (text)
		json_object_set_new(o, key, json_string(text));
}

static void put_number(json_t *o, const char *key, bool has, uint64_t value)
{
	if (has)
		json_object_set_new(o, key, json_integer((json_int_t)value));
}

static void put_flag(json_t *o, const char *key, bool value)
{
	json_object_set_new(o, key, json_boolean(value));
}

static void put_id(json_t *o, const char *key, bool has, const ProtobufCBinaryData *id)
{
	struct uuid uuid;
	char text[UUID_TEXT_SIZE];

	if (!has || id->len != UUID_SIZE)
		return;
	memcpy(uuid.bytes, id->data, UUID_SIZE);
	put_text(o, key, uuid_format(&uuid, text));
}

static void put_texts(json_t *o, const char *key, char **texts, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_string(texts[i]));
	json_object_set_new(o, key, list);
}

/* {"key": [view(items[0]), ...]}, into `o` or a new document. */
#define PUT_LIST(o, key, view, items, n)                                   \
	do {                                                               \
		json_t *list_ = json_array();                              \
		for (size_t i_ = 0; i_ < (n); i_++)                        \
			json_array_append_new(list_, view((items)[i_]));   \
		json_object_set_new(o, key, list_);                        \
	} while (0)

/* ---- VMs ------------------------------------------------------------------- */

const char *document_vm_state_name(Tagalong__VmState state)
{
	static const char *const names[] = {
		[TAGALONG__VM_STATE__VM_RUNNING] = "running",
		[TAGALONG__VM_STATE__VM_PAUSED] = "paused",
		[TAGALONG__VM_STATE__VM_INCOMING] = "incoming",
		[TAGALONG__VM_STATE__VM_MOVING] = "moving",
		[TAGALONG__VM_STATE__VM_STOPPED] = "stopped",
		[TAGALONG__VM_STATE__VM_GONE] = "gone",
	};

	return (unsigned)state < ARRAY_SIZE(names) && names[state] ? names[state] : "unknown";
}

static json_t *document_disk(const Tagalong__Disk *disk)
{
	json_t *o = json_object();

	put_text(o, "path", disk->path);
	put_text(o, "base", disk->base_path);
	put_number(o, "size", disk->has_size, disk->size);
	put_text(o, "format", disk->format);
	put_flag(o, "shared", disk->shared);
	put_flag(o, "readonly", disk->readonly);
	return o;
}

static json_t *document_network(const Tagalong__Network *network)
{
	json_t *o = json_object();

	put_text(o, "bridge", network->bridge);
	put_text(o, "mac", network->mac);
	return o;
}

json_t *document_vm(const Tagalong__VmInfo *vm)
{
	const Tagalong__VmSpec *spec = vm->spec;
	json_t *o = json_object();

	put_text(o, "name", spec->name);
	put_text(o, "state", document_vm_state_name(vm->state));
	put_text(o, "node", vm->node);
	put_number(o, "memory_bytes", true, spec->memory_bytes);
	put_number(o, "vcpus", true, spec->vcpus);
	put_text(o, "machine", spec->machine);
	put_text(o, "cpu", spec->cpu);
	put_text(o, "accelerator", spec->accelerator);
	put_text(o, "kernel", spec->kernel);
	put_text(o, "initrd", spec->initrd);
	put_text(o, "cmdline", spec->cmdline);
	put_text(o, "firmware", spec->firmware);
	put_text(o, "base_image", spec->base_image);
	PUT_LIST(o, "disks", document_disk, spec->disks, spec->n_disks);
	PUT_LIST(o, "networks", document_network, spec->networks, spec->n_networks);
	put_texts(o, "extra", spec->extra, spec->n_extra);
	put_id(o, "incarnation", true, &vm->incarnation);
	put_id(o, "move", vm->has_move, &vm->move);
	if (vm->has_frozen)
		put_flag(o, "frozen", vm->frozen);
	put_number(o, "pid", vm->has_pid, vm->pid);
	put_text(o, "directory", vm->directory);
	return o;
}

json_t *document_vm_list(const Tagalong__VmList *list)
{
	json_t *o = json_object();

	PUT_LIST(o, "vms", document_vm, list->vms, list->n_vms);
	return o;
}

/* ---- Nodes ------------------------------------------------------------------ */

static json_t *document_image(const Tagalong__ImageInfo *image)
{
	json_t *o = json_object();

	put_id(o, "image", true, &image->image);
	put_text(o, image->is_base ? "base" : "vm", image->vm);
	put_number(o, "bytes", true, image->bytes);
	put_number(o, "guest_bytes", true, image->guest_bytes);
	put_number(o, "pages", true, image->pages);
	put_number(o, "made_utc_ns", true, image->made_utc_ns);
	put_number(o, "used_utc_ns", image->has_used_utc_ns, image->used_utc_ns);
	return o;
}

static json_t *document_window(const Tagalong__MaintenanceWindow *window)
{
	json_t *o = json_object();

	put_number(o, "start_utc_ns", true, window->start_utc_ns);
	put_number(o, "end_utc_ns", true, window->end_utc_ns);
	return o;
}

/* Whether VMs may come to it. */
static const char *acceptance(const Tagalong__NodeInfo *node)
{
	if (node->evacuated)
		return "evacuated";
	if (node->drained)
		return "drained";
	if (node->maintained)
		return "maintenance";
	return node->quarantined ? "quarantine" : "yes";
}

json_t *document_node(const Tagalong__NodeInfo *node)
{
	const Tagalong__NodeHello *hello = node->hello;
	json_t *o = json_object();

	put_text(o, "name", node->name);
	put_flag(o, "migrator_up", node->migrator_up);
	put_flag(o, "telemetry_up", node->telemetry_up);
	put_flag(o, "drained", node->drained);
	put_flag(o, "evacuated", node->evacuated);
	put_flag(o, "quarantined", node->quarantined);
	put_number(o, "quarantined_until_utc_ns", node->has_quarantined_until_utc_ns,
		   node->quarantined_until_utc_ns);
	put_number(o, "failures", node->has_failures, node->failures);
	put_text(o, "accepts", acceptance(node));
	PUT_LIST(o, "windows", document_window, node->windows, node->n_windows);
	put_number(o, "last_seen_utc_ns", node->has_last_seen_utc_ns, node->last_seen_utc_ns);
	put_number(o, "vms", node->has_vms, node->vms);
	put_number(o, "memory_used_bytes", node->has_memory_used_bytes, node->memory_used_bytes);
	if (!hello)
		return o;
	put_number(o, "memory_bytes", hello->has_memory_bytes, hello->memory_bytes);
	put_number(o, "vcpus", hello->has_vcpus, hello->vcpus);
	put_text(o, "control_endpoint", hello->control_endpoint);
	put_text(o, "data_endpoint", hello->data_endpoint);
	put_text(o, "public_key", hello->public_key);
	put_text(o, "qemu_version", hello->qemu_version);
	put_texts(o, "accelerators", hello->accelerators, hello->n_accelerators);
	put_texts(o, "machine_types", hello->machine_types, hello->n_machine_types);
	PUT_LIST(o, "images", document_image, hello->images, hello->n_images);
	return o;
}

json_t *document_node_list(const Tagalong__NodeList *list)
{
	json_t *o = json_object();

	PUT_LIST(o, "nodes", document_node, list->nodes, list->n_nodes);
	return o;
}

static json_t *document_drain_step(const Tagalong__DrainStep *step)
{
	json_t *o = json_object();

	put_text(o, "vm", step->vm);
	put_text(o, "target", step->target);
	put_text(o, "problem", step->problem);
	return o;
}

json_t *document_drain_plan(const char *node, bool dry_run, const Tagalong__DrainPlan *plan)
{
	json_t *o = json_object();

	put_text(o, "node", node);
	put_flag(o, "dry_run", dry_run);
	PUT_LIST(o, "steps", document_drain_step, plan->steps, plan->n_steps);
	return o;
}

static json_t *document_affinity(const Tagalong__Affinity *group)
{
	json_t *o = json_object();

	put_text(o, "group", group->group);
	put_text(o, "kept", group->apart ? "apart" : "together");
	put_texts(o, "vms", group->vms, group->n_vms);
	return o;
}

json_t *document_affinity_list(const Tagalong__AffinityList *list)
{
	json_t *o = json_object();

	PUT_LIST(o, "groups", document_affinity, list->groups, list->n_groups);
	return o;
}

/* ---- Pairs ------------------------------------------------------------------- */

/* RFC 8972, sections 5.4 and 5.5. */
static void put_clock(json_t *o, const char *key, bool has, uint32_t clock)
{
	static const char *const names[] = { "unknown", "ntp", "ptp", "ssu", "gnss", "local" };

	if (has)
		put_text(o, key, names[clock < ARRAY_SIZE(names) ? clock : 0]);
}

static void put_method(json_t *o, const char *key, bool has, uint32_t method)
{
	static const char *const names[] = { "unknown", "hardware", "software", "control-plane" };

	if (has)
		put_text(o, key, names[method < ARRAY_SIZE(names) ? method : 0]);
}

static json_t *document_tlvs(const Tagalong__ToldTlvs *t)
{
	json_t *o = json_object();

	put_flag(o, "understood", t->understood);
	put_number(o, "dscp_there", t->has_dscp_there, t->dscp_there);
	put_number(o, "dscp_back", t->has_dscp_back, t->dscp_back);
	if (t->has_dscp_refused)
		put_flag(o, "dscp_refused", t->dscp_refused);
	put_clock(o, "clock_in", t->has_clock_in, t->clock_in);
	put_method(o, "method_in", t->has_method_in, t->method_in);
	put_clock(o, "clock_out", t->has_clock_out, t->clock_out);
	put_method(o, "method_out", t->has_method_out, t->method_out);
	put_number(o, "lost_there", t->has_lost_there, t->lost_there);
	put_number(o, "lost_back", t->has_lost_back, t->lost_back);
	if (t->has_translated)
		put_flag(o, "translated", t->translated);
	put_number(o, "wait_ns", t->has_wait_ns, t->wait_ns);
	return o;
}

json_t *document_rtt(const Tagalong__NodeRtt *rtt)
{
	const Tagalong__RttSample *s = rtt->sample;
	json_t *o = json_object();

	put_text(o, "node", rtt->node);
	put_number(o, "srtt_ns", true, s->srtt_ns);
	put_number(o, "rttvar_ns", true, s->rttvar_ns);
	put_number(o, "min_ns", true, s->min_ns);
	put_number(o, "p50_ns", s->has_p50_ns, s->p50_ns);
	put_number(o, "p95_ns", s->has_p95_ns, s->p95_ns);
	put_number(o, "p99_ns", s->has_p99_ns, s->p99_ns);
	put_number(o, "p999_ns", s->has_p999_ns, s->p999_ns);
	put_number(o, "last_ns", s->has_last_ns, s->last_ns);
	put_number(o, "last_sample_utc_ns", true, s->last_sample_utc_ns);
	put_number(o, "level_utc_ns", s->has_level_utc_ns, s->level_utc_ns);
	put_number(o, "sent", true, s->sent);
	put_number(o, "lost", true, s->lost);
	put_number(o, "confidence", true, s->confidence);
	if (s->tlvs)
		json_object_set_new(o, "tlvs", document_tlvs(s->tlvs));
	return o;
}

/* From where the VM is to the device: what the whole system is about. */
static void put_current_rtt(json_t *o, const Tagalong__Pair *pair)
{
	for (size_t i = 0; pair->vm_node && i < pair->n_rtts; i++)
		if (strcmp(pair->rtts[i]->node, pair->vm_node) == 0)
			put_number(o, "rtt_ns", true, pair->rtts[i]->sample->srtt_ns);
}

json_t *document_pair(const Tagalong__Pair *pair)
{
	json_t *o = json_object();

	put_text(o, "device", pair->device_name);
	put_id(o, "device_id", true, &pair->device);
	put_text(o, "vm", pair->vm);
	put_flag(o, "foreground", pair->foreground);
	put_flag(o, "follows", pair->follows);
	put_text(o, "vm_node", pair->vm_node);
	put_text(o, "device_node", pair->device_node);
	put_text(o, "group", pair->group);
	put_text(o, "recommended", pair->recommended);
	put_flag(o, "asleep", pair->asleep);
	put_current_rtt(o, pair);
	PUT_LIST(o, "rtts", document_rtt, pair->rtts, pair->n_rtts);
	return o;
}

json_t *document_pair_list(const Tagalong__PairList *list)
{
	json_t *o = json_object();

	PUT_LIST(o, "pairs", document_pair, list->pairs, list->n_pairs);
	return o;
}

/* ---- Moves ------------------------------------------------------------------- */

static void put_figures(json_t *o, const Tagalong__MoveFigures *f)
{
	put_number(o, "round", f->has_round, f->round);
	put_number(o, "wire_bytes", f->has_wire_bytes, f->wire_bytes);
	put_number(o, "guest_bytes", f->has_guest_bytes, f->guest_bytes);
	put_number(o, "pages_zero", f->has_pages_zero, f->pages_zero);
	put_number(o, "pages_same", f->has_pages_same, f->pages_same);
	put_number(o, "pages_copy", f->has_pages_copy, f->pages_copy);
	put_number(o, "pages_patch", f->has_pages_patch, f->pages_patch);
	put_number(o, "pages_delta", f->has_pages_delta, f->pages_delta);
	put_number(o, "pages_lz4", f->has_pages_lz4, f->pages_lz4);
	put_number(o, "pages_zstd", f->has_pages_zstd, f->pages_zstd);
	put_number(o, "pages_raw", f->has_pages_raw, f->pages_raw);
	put_number(o, "pages_asked", f->has_pages_asked, f->pages_asked);
	put_number(o, "pages_ahead", f->has_pages_ahead, f->pages_ahead);
	put_number(o, "pages_replaced", f->has_pages_replaced, f->pages_replaced);
	put_number(o, "image_bytes", f->has_image_bytes, f->image_bytes);
	put_number(o, "known_pages", f->has_known_pages, f->known_pages);
	put_number(o, "connections", f->has_connections, f->connections);
	put_number(o, "reconnects", f->has_reconnects, f->reconnects);
	put_number(o, "resent_bytes", f->has_resent_bytes, f->resent_bytes);
	if (f->has_link_down)
		put_flag(o, "link_down", f->link_down);
	put_number(o, "tail_bytes", f->has_tail_bytes, f->tail_bytes);
	put_number(o, "disk_bytes", f->has_disk_bytes, f->disk_bytes);
	put_number(o, "disk_remaining_bytes", f->has_disk_remaining_bytes, f->disk_remaining_bytes);
	put_number(o, "disk_wire_bytes", f->has_disk_wire_bytes, f->disk_wire_bytes);
	put_number(o, "remaining_bytes", f->has_remaining_bytes, f->remaining_bytes);
	put_number(o, "dirty_bytes_per_s", f->has_dirty_bps, f->dirty_bps);
	put_number(o, "link_bytes_per_s", f->has_link_bps, f->link_bps);
	put_number(o, "elapsed_ns", f->has_elapsed_ns, f->elapsed_ns);
	put_number(o, "left_ns", f->has_left_ns, f->left_ns);
	put_number(o, "blackout_expected_ns", f->has_blackout_expected_ns, f->blackout_expected_ns);
	put_number(o, "confidence", f->has_confidence, f->confidence);
	put_number(o, "promise_ns", f->has_promise_ns, f->promise_ns);
	put_number(o, "rtt_ns", f->has_rtt_ns, f->rtt_ns);
	put_number(o, "throttle_percent", f->has_throttle_percent, f->throttle_percent);
	if (f->has_post_copy)
		put_flag(o, "post_copy", f->post_copy);
	put_number(o, "attempt", f->has_attempt, f->attempt);
	put_number(o, "blackout_ns", f->has_blackout_ns, f->blackout_ns);
	put_number(o, "start_stall_ns", f->has_start_stall_ns, f->start_stall_ns);
	put_number(o, "qemu_downtime_ns", f->has_qemu_downtime_ns, f->qemu_downtime_ns);
}

static const char *document_priority_name(Tagalong__MovePriority priority)
{
	static const char *const names[] = { "low", "normal", "high" };
	unsigned i = (unsigned)priority - TAGALONG__MOVE_PRIORITY__PRIORITY_LOW;

	return i < ARRAY_SIZE(names) ? names[i] : "unknown";
}

/* From post-copy on the operator is told what hangs on both nodes. */
static void put_warning(json_t *o, const Tagalong__MoveInfo *move)
{
	char text[256];

	if (move->lost)
		put_flag(o, "lost", true);
	if (!move->figures || !move->figures->post_copy || move_state_is_final(move->state))
		return;
	snprintf(text, sizeof(text), "in post-copy: losing %.64s or %.64s now loses the VM", move->source,
		 move->target);
	put_text(o, "warning", text);
}

json_t *document_move(const Tagalong__MoveInfo *move)
{
	json_t *o = json_object();

	put_id(o, "move", true, &move->move);
	put_text(o, "vm", move->vm);
	put_text(o, "source", move->source);
	put_text(o, "target", move->target);
	put_text(o, "state", move->lost ? "lost" : move_state_name(move->state));
	if (move->reason) {
		put_text(o, "reason", move->reason->code);
		put_text(o, "reason_text", move->reason->text);
	}
	put_text(o, "failure", move->failure);
	put_text(o, "warning", move->warning);
	put_number(o, "begun_utc_ns", move->has_begun_utc_ns, move->begun_utc_ns);
	put_number(o, "ended_utc_ns", move->has_ended_utc_ns, move->ended_utc_ns);
	put_id(o, "device_id", move->has_device, &move->device);
	put_flag(o, "incoming", move->incoming);
	if (move->has_priority)
		put_text(o, "priority", document_priority_name(move->priority));
	if (move->has_paused)
		put_flag(o, "paused", move->paused);
	if (move->figures)
		put_figures(o, move->figures);
	put_warning(o, move);
	return o;
}

json_t *document_move_list(const Tagalong__MoveList *list)
{
	json_t *o = json_object();

	PUT_LIST(o, "moves", document_move, list->moves, list->n_moves);
	return o;
}

static json_t *document_alternative(const Tagalong__MoveAlternative *a)
{
	json_t *o = json_object();

	put_text(o, "node", a->node);
	put_flag(o, "available", a->available);
	put_number(o, "srtt_ns", a->has_srtt_ns, a->srtt_ns);
	put_number(o, "rttvar_ns", a->has_rttvar_ns, a->rttvar_ns);
	put_number(o, "confidence", a->has_confidence, a->confidence);
	put_number(o, "age_ns", a->has_age_ns, a->age_ns);
	put_number(o, "benefit_ns", a->has_benefit_ns, a->benefit_ns);
	put_number(o, "move_ns", a->has_move_ns, a->move_ns);
	if (a->has_image)
		put_flag(o, "image", a->image);
	return o;
}

json_t *document_why(const Tagalong__MoveWhy *why)
{
	json_t *o = document_move(why->info), *parameters = json_object();

	put_text(o, "policy", why->policy);
	for (size_t i = 0; i < why->n_parameters; i++)
		put_number(parameters, why->parameters[i]->name, true, why->parameters[i]->value);
	json_object_set_new(o, "parameters", parameters);
	put_number(o, "here_ns", why->has_here_ns, why->here_ns);
	put_number(o, "target_ns", why->has_target_ns, why->target_ns);
	put_number(o, "held_ns", why->has_held_ns, why->held_ns);
	put_number(o, "now_ns", why->has_now_ns, why->now_ns);
	put_number(o, "after_ns", why->has_after_ns, why->after_ns);
	put_number(o, "move_ns", why->has_move_ns, why->move_ns);
	PUT_LIST(o, "alternatives", document_alternative, why->alternatives, why->n_alternatives);
	return o;
}

static json_t *document_summary_row(const Tagalong__SummaryRow *row)
{
	json_t *o = json_object();

	put_text(o, "code", row->code);
	put_number(o, "done", true, row->done);
	put_number(o, "failed", true, row->failed);
	put_number(o, "blackout_ns", true, row->blackout_ns);
	put_number(o, "blackout_max_ns", true, row->blackout_max_ns);
	put_number(o, "wire_bytes", true, row->wire_bytes);
	put_number(o, "judged", true, row->judged);
	put_number(o, "worse", true, row->worse);
	put_number(o, "before_ns", row->has_before_ns, row->before_ns);
	put_number(o, "expected_ns", row->has_expected_ns, row->expected_ns);
	put_number(o, "after_ns", row->has_after_ns, row->after_ns);
	if (row->has_saved_ns)
		json_object_set_new(o, "saved_ns", json_integer(row->saved_ns));
	put_number(o, "stay_ns", row->has_stay_ns, row->stay_ns);
	return o;
}

json_t *document_summary(uint64_t since_utc_ns, const Tagalong__Summary *summary)
{
	json_t *o = json_object();

	put_number(o, "since_utc_ns", true, since_utc_ns);
	PUT_LIST(o, "rows", document_summary_row, summary->rows, summary->n_rows);
	return o;
}

/* ---- Images ------------------------------------------------------------------ */

json_t *document_image_list(const Tagalong__ImageList *list)
{
	json_t *o = json_object();

	PUT_LIST(o, "images", document_image, list->images, list->n_images);
	return o;
}

/* ---- All together ------------------------------------------------------------ */

json_t *document_leader(const char *endpoint, const Tagalong__Leader *leader, const char *problem)
{
	json_t *o = json_object();

	put_text(o, "endpoint", endpoint);
	put_text(o, "state", !leader ? "silent" : leader->leads ? "leads" : "standby");
	put_text(o, "problem", leader ? leader->problem : problem);
	if (!leader)
		return o;
	put_text(o, "leader", leader->name);
	put_text(o, "leader_endpoint", leader->endpoint);
	put_number(o, "since_utc_ns", leader->has_since_utc_ns, leader->since_utc_ns);
	put_number(o, "epoch", leader->has_epoch, leader->epoch);
	return o;
}

json_t *document_status(const Tagalong__Status *status)
{
	json_t *o = json_object();

	put_number(o, "epoch", true, status->epoch);
	PUT_LIST(o, "nodes", document_node, status->nodes, status->n_nodes);
	PUT_LIST(o, "pairs", document_pair, status->pairs, status->n_pairs);
	PUT_LIST(o, "vms", document_vm, status->vms, status->n_vms);
	PUT_LIST(o, "moves", document_move, status->moves, status->n_moves);
	return o;
}
