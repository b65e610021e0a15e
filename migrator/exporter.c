/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/exporter.h"

#include <string.h>

#include "common/clock.h"
#include "common/document.h"
#include "common/metrics.h"
#include "migrator/image_store.h"
#include "migrator/node_config.h"
#include "migrator/vm.h"

#define STATE(name) TAGALONG__MOVE_STATE__MOVE_##name
#define VM_STATES (TAGALONG__VM_STATE__VM_GONE + 1)

enum direction { OUT, IN, DIRECTIONS };

static const double blackout_bounds[] = { 5e-3, 1e-2, 2e-2, 3e-2, 5e-2, 7.5e-2, 0.1,
					  0.15, 0.2,  0.3,  0.5,  1,    2,      5 };
static const double duration_bounds[] = { 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600 };

struct exporter {
	struct node *node;
	struct http_server *server;
	/* Since the daemon was started. */
	struct moves_over {
		uint64_t done, sent_ahead, aborted, revoked, lost;
		uint64_t wire_bytes, guest_bytes; /* of those that were done */
	} moves[DIRECTIONS];
	struct metrics_histogram blackout, duration; /* of those that left and were done */
};

/* ---- Moves ---------------------------------------------------------------------------- */

static bool is_for(const MoveInfo *info, const char *code)
{
	return info->reason && strcmp(info->reason->code, code) == 0;
}

static void note_done(struct exporter *x, struct moves_over *o, const Tagalong__MoveFigures *f,
		      bool incoming)
{
	o->done++;
	if (!f)
		return;
	o->wire_bytes += f->wire_bytes;
	o->guest_bytes += f->guest_bytes;
	if (incoming)
		return;
	if (f->has_blackout_ns)
		metrics_histogram_add(&x->blackout, (double)f->blackout_ns / NS_PER_S);
	if (f->has_elapsed_ns)
		metrics_histogram_add(&x->duration, (double)f->elapsed_ns / NS_PER_S);
}

void exporter_note_move(struct exporter *x, const MoveInfo *info, bool incoming)
{
	struct moves_over *o = x ? &x->moves[incoming ? IN : OUT] : NULL;

	if (!o || is_for(info, "dry-run"))
		return;
	if (info->lost)
		o->lost++;
	else if (info->state == STATE(DONE))
		note_done(x, o, info->figures, incoming);
	else if (info->state == STATE(REVOKED))
		o->revoked++;
	else if (is_for(info, "warm") && !info->failure)
		o->sent_ahead++;
	else
		o->aborted++;
}

static void write_moves(const struct exporter *x, struct metrics *m)
{
	static const char *const names[DIRECTIONS] = { "out", "in" };

	metrics_family(m, METRICS_COUNTER, "tagalong_migrator_moves_total",
		       "Moves that are over, by what became of them.");
	for (int d = 0; d < DIRECTIONS; d++) {
		const struct moves_over *o = &x->moves[d];
		const struct {
			const char *outcome;
			uint64_t n;
		} all[] = { { "done", o->done },
			    { "sent_ahead", o->sent_ahead },
			    { "aborted", o->aborted },
			    { "revoked", o->revoked },
			    { "lost", o->lost } };

		for (size_t i = 0; i < ARRAY_SIZE(all); i++)
			metrics_value(m, (double)all[i].n,
				      METRICS_LABELS({ "direction", names[d] },
						     { "outcome", all[i].outcome }));
	}
	metrics_family(m, METRICS_COUNTER, "tagalong_migrator_move_wire_bytes_total",
		       "What moves that were done have sent.");
	for (int d = 0; d < DIRECTIONS; d++)
		metrics_value(m, (double)x->moves[d].wire_bytes,
			      METRICS_LABELS({ "direction", names[d] }));
	metrics_family(m, METRICS_COUNTER, "tagalong_migrator_move_guest_bytes_total",
		       "The memory that it stood for.");
	for (int d = 0; d < DIRECTIONS; d++)
		metrics_value(m, (double)x->moves[d].guest_bytes,
			      METRICS_LABELS({ "direction", names[d] }));
	metrics_family(m, METRICS_HISTOGRAM, "tagalong_migrator_move_blackout_seconds",
		       "From stop to run, of moves that left and were done.");
	metrics_histogram_value(m, &x->blackout, METRICS_NO_LABELS);
	metrics_family(m, METRICS_HISTOGRAM, "tagalong_migrator_move_duration_seconds",
		       "How long these took.");
	metrics_histogram_value(m, &x->duration, METRICS_NO_LABELS);
}

/* ---- The host ---------------------------------------------------------------------------- */

static void gauge(struct metrics *m, const char *name, const char *help, double value)
{
	metrics_family(m, METRICS_GAUGE, name, help);
	metrics_value(m, value, METRICS_NO_LABELS);
}

static void write_vms(struct node *n, struct metrics *m)
{
	size_t counts[VM_STATES] = { 0 };
	const struct vm *vm;
	uint64_t memory;
	uint32_t vcpus;

	LIST_FOREACH(vm, &n->vms, link)
		if (vm->place != VM_LEAVING)
			counts[vm_state(vm)]++;
	metrics_family(m, METRICS_GAUGE, "tagalong_migrator_vms", "VMs by state.");
	for (int i = TAGALONG__VM_STATE__VM_RUNNING; i < VM_STATES; i++)
		metrics_value(m, (double)counts[i],
			      METRICS_LABELS({ "state",
					       document_vm_state_name((Tagalong__VmState)i) }));
	vm_used(n, &memory, &vcpus);
	gauge(m, "tagalong_migrator_memory_bytes", "What VMs may take in all.",
	      (double)n->config->memory_bytes);
	gauge(m, "tagalong_migrator_memory_used_bytes", "What they take.", (double)memory);
	gauge(m, "tagalong_migrator_vcpus", "Processors that VMs may have in all.",
	      n->config->vcpus);
	gauge(m, "tagalong_migrator_vcpus_used", "Those that they have.", vcpus);
}

static void write_images(const struct node *n, struct metrics *m)
{
	const struct image_info *info;
	struct {
		double n, bytes;
	} kept = { 0 }, base = { 0 };

	for (size_t i = 0; (info = image_store_at(n->images, i)); i++) {
		bool is_base = image_is_base(&info->header);

		*(is_base ? &base.n : &kept.n) += 1;
		*(is_base ? &base.bytes : &kept.bytes) += (double)info->bytes;
	}
	metrics_family(m, METRICS_GAUGE, "tagalong_migrator_images",
		       "Images of VMs that have left, and base images.");
	metrics_value(m, kept.n, METRICS_LABELS({ "kind", "kept" }));
	metrics_value(m, base.n, METRICS_LABELS({ "kind", "base" }));
	metrics_family(m, METRICS_GAUGE, "tagalong_migrator_image_bytes", "Of disk, for these.");
	metrics_value(m, kept.bytes, METRICS_LABELS({ "kind", "kept" }));
	metrics_value(m, base.bytes, METRICS_LABELS({ "kind", "base" }));
	gauge(m, "tagalong_migrator_image_budget_bytes", "What those that are kept may take.",
	      (double)n->config->image_budget_bytes);
	gauge(m, "tagalong_migrator_image_waiting_bytes",
	      "Memory of VMs that have left, until it is written.",
	      (double)image_store_waiting_bytes(n->images));
}

static void on_metrics(const struct http_request *request, struct http_reply *reply, void *userdata)
{
	const struct exporter *x = userdata;
	struct metrics *m = metrics_new();
	char *text;
	size_t len;

	(void)request;
	if (!m)
		return;
	write_vms(x->node, m);
	write_images(x->node, m);
	write_moves(x, m);
	if (metrics_finish(m, &text, &len) == 0)
		http_reply_take(reply, 200, METRICS_CONTENT_TYPE, text, len);
}

/* ---- Life ---------------------------------------------------------------------------------- */

int exporter_new(struct node *n, const struct address *listen, struct exporter **ret,
		 struct mg_error *err)
{
	static const struct http_route routes[] = { { "GET", "/metrics", on_metrics }, { 0 } };
	struct exporter *x = calloc(1, sizeof(*x));
	const struct http_config config = { .listen = *listen, .routes = routes, .userdata = x };
	int r;

	if (!x)
		return mg_error_set(err, -ENOMEM, "out of memory");
	*x = (struct exporter){
		.node = n,
		.blackout = { blackout_bounds, ARRAY_SIZE(blackout_bounds) },
		.duration = { duration_bounds, ARRAY_SIZE(duration_bounds) },
	};
	r = http_server_new(n->loop, &config, &x->server, err);
	if (r < 0) {
		exporter_free(x);
		mg_error_prefix(err, "metrics");
		return r;
	}
	*ret = x;
	return 0;
}

void exporter_free(struct exporter *x)
{
	if (!x)
		return;
	http_server_free(x->server);
	free(x);
}

const struct address *exporter_local(const struct exporter *x)
{
	return http_server_local(x->server);
}
