/* SPDX-License-Identifier: Apache-2.0 */
#include "common/metrics.h"

#include <math.h>
#include <string.h>

struct metrics {
	FILE *file;
	char *text;
	size_t len;
	const char *family;
};

struct metrics *metrics_new(void)
{
	struct metrics *m = calloc(1, sizeof(*m));

	if (m)
		m->file = open_memstream(&m->text, &m->len);
	if (m && !m->file) {
		free(m);
		return NULL;
	}
	return m;
}

void metrics_free(struct metrics *m)
{
	if (!m)
		return;
	if (m->file)
		fclose(m->file);
	free(m->text);
	free(m);
}

/* In help texts quotes stay as they are. */
static void put_escaped(FILE *f, const char *text, bool quoted)
{
	for (; *text; text++)
		if (*text == '\\')
			fputs("\\\\", f);
		else if (*text == '\n')
			fputs("\\n", f);
		else if (*text == '"' && quoted)
			fputs("\\\"", f);
		else
			fputc(*text, f);
}

void metrics_family(struct metrics *m, enum metrics_type type, const char *name, const char *help)
{
	static const char *const types[] = { "counter", "gauge", "summary", "histogram" };

	m->family = name;
	fprintf(m->file, "# HELP %s ", name);
	put_escaped(m->file, help, false);
	fprintf(m->file, "\n# TYPE %s %s\n", name, types[type]);
}

static void put_number(FILE *f, double value)
{
	if (isnan(value))
		fputs("NaN", f);
	else if (isinf(value))
		fputs(value > 0 ? "+Inf" : "-Inf", f);
	else if (value == floor(value) && fabs(value) <= 9007199254740992.0)
		fprintf(f, "%.0f", value);
	else
		fprintf(f, "%.9g", value);
}

void metrics_part(struct metrics *m, const char *suffix, double value,
		  const struct metrics_label *labels, size_t n)
{
	fprintf(m->file, "%s%s", m->family, suffix);
	for (size_t i = 0; i < n; i++) {
		fprintf(m->file, "%c%s=\"", i ? ',' : '{', labels[i].name);
		put_escaped(m->file, labels[i].value, true);
		fputc('"', m->file);
	}
	fputs(n ? "} " : " ", m->file);
	put_number(m->file, value);
	fputc('\n', m->file);
}

void metrics_value(struct metrics *m, double value, const struct metrics_label *labels, size_t n)
{
	metrics_part(m, "", value, labels, n);
}

void metrics_histogram_add(struct metrics_histogram *h, double value)
{
	size_t i = 0;

	while (i < h->n_bounds && value > h->bounds[i])
		i++;
	h->counts[i]++;
	h->sum += value;
}

void metrics_histogram_value(struct metrics *m, const struct metrics_histogram *h,
			     const struct metrics_label *labels, size_t n)
{
	struct metrics_label all[METRICS_LABELS_MAX + 1];
	uint64_t total = 0;
	char bound[32];

	for (size_t i = 0; i < n; i++)
		all[i] = labels[i];
	all[n] = (struct metrics_label){ "le", bound };
	for (size_t i = 0; i <= h->n_bounds; i++) {
		if (i < h->n_bounds)
			snprintf(bound, sizeof(bound), "%g", h->bounds[i]);
		else
			strcpy(bound, "+Inf");
		total += h->counts[i];
		metrics_part(m, "_bucket", (double)total, all, n + 1);
	}
	metrics_part(m, "_sum", h->sum, labels, n);
	metrics_part(m, "_count", (double)total, labels, n);
}

int metrics_finish(struct metrics *m, char **ret_text, size_t *ret_len)
{
	bool failed = ferror(m->file);

	failed |= fclose(TAKE_PTR(m->file)) != 0;
	if (!failed) {
		*ret_text = TAKE_PTR(m->text);
		*ret_len = m->len;
	}
	metrics_free(m);
	return failed ? -ENOMEM : 0;
}
