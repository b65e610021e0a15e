/* SPDX-License-Identifier: Apache-2.0
 *
 * Movement as ns-2 takes it, and as setdest and BonnMotion's NSFile write it:
 *
 *     $node_(0) set X_ 10.5
 *     $ns_ at 3.0 "$node_(0) setdest 20.0 30.0 5.0"
 *
 * From that time on the node goes straight there at that speed; the next order may
 * come before it has arrived. A node is there from its first order on and until it
 * has carried out its last. Lines that are about something else are skipped.
 *
 * SUMO's traceExporter.py writes where a vehicle is at that time, to which ns-2 would
 * only then begin to go: ns2_sumo takes it as SUMO means it. It also gives the numbers
 * of vehicles that are gone to others: a node whose place is set again is a new
 * device.
 */
#include <math.h>
#include <string.h>

#include "sim/trace/reader.h"

#define NODES_MAX 1000000

struct node {
	bool placed, ordered;
	unsigned life; /* how often its number was given away */
	struct point at, to;
	double since, arrives; /* from `at` to `to` */
};

struct nodes {
	bool sumo;
	struct node *nodes;
	size_t n;
};

static void nodes_clear(struct nodes *nodes)
{
	free(nodes->nodes);
}

static struct node *node_of(struct source *s, struct nodes *nodes, unsigned long i)
{
	if (i >= NODES_MAX) {
		source_fail(s, "node %lu: at most %d", i, NODES_MAX - 1);
		return NULL;
	}
	if (i >= nodes->n) {
		size_t n = i + 1 > nodes->n * 2 ? i + 1 : nodes->n * 2;
		struct node *bigger = reallocarray(nodes->nodes, n, sizeof(*bigger));

		if (!bigger) {
			mg_error_set(s->err, -ENOMEM, "out of memory");
			return NULL;
		}
		memset(bigger + nodes->n, 0, (n - nodes->n) * sizeof(*bigger));
		nodes->nodes = bigger;
		nodes->n = n;
	}
	return &nodes->nodes[i];
}

/* "$node_(3)" at the beginning of the text; false when it is something else. */
static bool parse_node(const char *text, unsigned long *ret)
{
	char *end;

	if (strncmp(text, "$node_(", 7) != 0 || text[7] < '0' || text[7] > '9')
		return false;
	*ret = strtoul(text + 7, &end, 10);
	return *end == ')';
}

static int add(struct trace *trace, struct source *s, size_t i, const struct node *n, double t,
	       struct point at)
{
	char name[48];

	if (n->life)
		snprintf(name, sizeof(name), "%zu.%u", i, n->life);
	else
		snprintf(name, sizeof(name), "%zu", i);
	return trace_add(trace, s, name, t, at);
}

static struct point position(const struct node *n, double t)
{
	double part = (t - n->since) / (n->arrives - n->since);

	return (struct point){ n->at.x + (n->to.x - n->at.x) * part,
			       n->at.y + (n->to.y - n->at.y) * part };
}

/* What the node has done until `t`; it then is at `at`. */
static int carry_out(struct trace *trace, struct source *s, size_t i, struct node *n, double t)
{
	int r;

	if (t < n->arrives) {
		n->at = position(n, t);
		return add(trace, s, i, n, t, n->at);
	}
	n->at = n->to;
	r = n->arrives > n->since ? add(trace, s, i, n, n->arrives, n->to) : 0;
	if (r == 0 && t > n->arrives)
		r = add(trace, s, i, n, t, n->to);
	return r;
}

/* Two orders at one moment: the second counts. */
static int order(struct trace *trace, struct source *s, size_t i, struct node *n, double t,
		 struct point to, double speed)
{
	int r = 0;

	if (n->ordered && t < n->since)
		return source_fail(s, "time runs backwards for node %zu: %g after %g", i, t,
				   n->since);
	if (!n->placed)
		n->at = to;
	if (!n->ordered)
		r = add(trace, s, i, n, t, n->at);
	else if (t > n->since)
		r = carry_out(trace, s, i, n, t);
	n->placed = n->ordered = true;
	n->since = t;
	n->to = speed > 0 ? to : n->at;
	n->arrives = t + (speed > 0 ? hypot(to.x - n->at.x, to.y - n->at.y) / speed : 0);
	return r;
}

/* It goes where it was sent last. */
static int finish_node(struct source *s, size_t i, const struct node *n, struct trace *trace)
{
	if (!n->ordered || n->arrives <= n->since)
		return 0;
	return add(trace, s, i, n, fmin(n->arrives, TRACE_SECONDS_MAX), n->to);
}

/* $node_(I) set X_ V */
static int read_place(struct source *s, char **words, size_t n_words, struct nodes *nodes,
		      struct trace *trace)
{
	unsigned long i;
	struct node *n;
	double v;
	int r;

	if (n_words != 4 || strcmp(words[1], "set") != 0 || !parse_node(words[0], &i) ||
	    (strcmp(words[2], "X_") != 0 && strcmp(words[2], "Y_") != 0))
		return 0;
	r = source_number(s, words[3], words[2], &v);
	if (r < 0)
		return r;
	n = node_of(s, nodes, i);
	if (!n)
		return -EINVAL;
	if (n->ordered) {
		r = finish_node(s, i, n, trace);
		*n = (struct node){ .life = n->life + 1 };
	}
	*(words[2][0] == 'X' ? &n->at.x : &n->at.y) = v;
	n->placed = true;
	return r;
}

/* $ns_ at T "$node_(I) setdest X Y SPEED" */
static int read_order(struct source *s, char **words, size_t n_words, struct nodes *nodes,
		      struct trace *trace)
{
	static const char *const names[] = { "time", "x", "y", "speed" };
	double v[4];
	unsigned long i;
	struct node *n;
	char *quote;
	int r = 0;

	if (n_words < 5 || strcmp(words[0], "$ns_") != 0 || strcmp(words[1], "at") != 0 ||
	    words[3][0] != '"' || !parse_node(words[3] + 1, &i) || strcmp(words[4], "setdest") != 0)
		return 0;
	if (n_words != 8 || !(quote = strchr(words[7], '"')))
		return source_fail(s, "has not the form $ns_ at T \"$node_(I) setdest X Y SPEED\"");
	*quote = '\0';
	for (size_t k = 0; k < 4 && r == 0; k++)
		r = source_number(s, words[k == 0 ? 2 : k + 4], names[k], &v[k]);
	if (r < 0)
		return r;
	n = node_of(s, nodes, i);
	if (!n)
		return -EINVAL;
	if (!(fabs(v[1]) <= TRACE_METRES_MAX && fabs(v[2]) <= TRACE_METRES_MAX))
		return source_fail(s, "the position %g, %g is out of range", v[1], v[2]);
	if (!nodes->sumo)
		return order(trace, s, i, n, v[0], (struct point){ v[1], v[2] }, v[3]);
	n->ordered = true;
	return add(trace, s, i, n, v[0], (struct point){ v[1], v[2] });
}

static int read_any(struct source *s, bool sumo, struct trace *trace)
{
	_cleanup_(nodes_clear) struct nodes nodes = { .sumo = sumo };
	char *words[9];
	int r;

	while ((r = source_line(s)) > 0) {
		size_t n = words_split(s->line, words, ARRAY_SIZE(words));

		r = read_place(s, words, n, &nodes, trace);
		if (r == 0)
			r = read_order(s, words, n, &nodes, trace);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < nodes.n && r == 0; i++)
		r = finish_node(s, i, &nodes.nodes[i], trace);
	return r;
}

int read_ns2(struct source *s, const struct reader_options *options, struct trace *trace)
{
	(void)options;
	return read_any(s, false, trace);
}

int read_ns2_sumo(struct source *s, const struct reader_options *options, struct trace *trace)
{
	(void)options;
	return read_any(s, true, trace);
}
