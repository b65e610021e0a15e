/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/study/map.h"

#include <errno.h>
#include <math.h>

#include "common/clock.h"

#define WIDTH 720
#define HEIGHT_MAX 520
#define BORDER 14

/* ---- As JSON ----------------------------------------------------------------------------- */

static void format_sighting(FILE *f, const struct sighting *s)
{
	if (!s->present) {
		fputc('0', f);
		return;
	}
	fprintf(f, "[%d,%d,%u,%u", s->x, s->y, s->tower, s->host);
	if (s->target != s->host)
		fprintf(f, ",%u", s->target);
	fputc(']', f);
}

void map_format(FILE *f, const struct snapshots *s)
{
	for (unsigned i = 0; i < SNAPSHOT_TIMES; i++) {
		fputs(i ? ",[" : "[[", f);
		for (uint32_t k = 0; k < s->n; k++) {
			fputs(k ? "," : "", f);
			format_sighting(f, &s->at[i][k]);
		}
		fputc(']', f);
	}
	fputc(']', f);
}

/* A whole number of a list, from `min` to below `end`. */
static bool take_whole(const json_t *list, size_t at, json_int_t min, json_int_t end,
		       json_int_t *ret)
{
	const json_t *v = json_array_get(list, at);

	*ret = json_integer_value(v);
	return json_is_integer(v) && *ret >= min && *ret < end;
}

static bool parse_sighting(const json_t *o, uint32_t n_towers, struct sighting *ret)
{
	const json_int_t end = (json_int_t)INT32_MAX + 1;
	json_int_t x, y, tower, host, target;

	if (json_is_integer(o) && json_integer_value(o) == 0)
		return true;
	if (json_array_size(o) < 4 || json_array_size(o) > 5 || !take_whole(o, 0, -end, end, &x) ||
	    !take_whole(o, 1, -end, end, &y) || !take_whole(o, 2, 0, n_towers, &tower) ||
	    !take_whole(o, 3, 0, n_towers, &host))
		return false;
	target = host;
	if (json_array_size(o) == 5 && !take_whole(o, 4, 0, n_towers, &target))
		return false;
	*ret = (struct sighting){ true,           (int32_t)x,      (int32_t)y, (uint16_t)tower,
				  (uint16_t)host, (uint16_t)target };
	return true;
}

static bool parse_all(const json_t *o, uint32_t n_towers, struct snapshots *s)
{
	size_t n = json_array_size(json_array_get(o, 0));

	if (json_array_size(o) != SNAPSHOT_TIMES || n < 1 || n > SNAPSHOT_DEVICES)
		return false;
	s->n = (uint32_t)n;
	for (unsigned i = 0; i < SNAPSHOT_TIMES; i++) {
		const json_t *row = json_array_get(o, i);

		if (json_array_size(row) != n)
			return false;
		for (size_t k = 0; k < n; k++)
			if (!parse_sighting(json_array_get(row, k), n_towers, &s->at[i][k]))
				return false;
	}
	return true;
}

int map_parse(const json_t *o, uint32_t n_towers, struct snapshots **ret)
{
	_cleanup_free_ struct snapshots *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	if (!parse_all(o, n_towers, s))
		return -EINVAL;
	*ret = TAKE_PTR(s);
	return 0;
}

/* ---- What is in the picture --------------------------------------------------------------- */

struct frame {
	struct point min, max;
	double scale, left; /* pixels a metre; where min is */
};

static void include(struct frame *f, double x, double y)
{
	f->min = (struct point){ fmin(f->min.x, x), fmin(f->min.y, y) };
	f->max = (struct point){ fmax(f->max.x, x), fmax(f->max.y, y) };
}

static const struct snapshots *shown(const struct results *r, uint32_t configuration)
{
	const struct result *result = r->results[configuration * r->replications];

	return result ? result->snapshots : NULL;
}

static uint32_t configurations(const struct results *r)
{
	return r->n_configurations < MAP_CONFIGURATIONS ? r->n_configurations : MAP_CONFIGURATIONS;
}

/* Devices may be far off, but not so far that the towers become one dot. */
static void include_devices(struct frame *f, const struct results *r)
{
	const struct frame towers = *f;
	double room = fmax(towers.max.x - towers.min.x, towers.max.y - towers.min.y);

	room = fmax(room / 2, 500);
	for (uint32_t c = 0; c < configurations(r); c++) {
		const struct snapshots *s = shown(r, c);

		for (unsigned i = 0; s && i < SNAPSHOT_TIMES; i++)
			for (uint32_t k = 0; k < s->n; k++)
				if (s->at[i][k].present)
					include(f, s->at[i][k].x, s->at[i][k].y);
	}
	f->min = (struct point){ fmax(f->min.x, towers.min.x - room),
				 fmax(f->min.y, towers.min.y - room) };
	f->max = (struct point){ fmin(f->max.x, towers.max.x + room),
				 fmin(f->max.y, towers.max.y + room) };
}

static struct frame find_frame(const struct results *r)
{
	struct frame f = { r->towers[0], r->towers[0], 0, 0 };
	double margin;

	for (uint32_t i = 1; i < r->n_towers; i++)
		include(&f, r->towers[i].x, r->towers[i].y);
	include_devices(&f, r);
	margin = fmax(fmax(f.max.x - f.min.x, f.max.y - f.min.y) / 50, 1);
	f.min = (struct point){ f.min.x - margin, f.min.y - margin };
	f.max = (struct point){ f.max.x + margin, f.max.y + margin };
	f.scale = fmin((WIDTH - 2 * BORDER) / (f.max.x - f.min.x),
		       (HEIGHT_MAX - 2 * BORDER) / (f.max.y - f.min.y));
	f.left = (WIDTH - (f.max.x - f.min.x) * f.scale) / 2;
	return f;
}

static double height_of(const struct frame *f)
{
	return 2 * BORDER + (f->max.y - f->min.y) * f->scale;
}

/* A length of 1, 2 or 5 times a power of ten that is at most a fifth of the width. */
static double scale_bar(const struct frame *f)
{
	double most = WIDTH / 5.0 / f->scale, power = pow(10, floor(log10(most)));

	return power * (most >= 5 * power ? 5 : most >= 2 * power ? 2 : 1);
}

/* ---- The picture -------------------------------------------------------------------------- */

/* Of one time: `M` is what map_write() says, `t` towers' places in the picture. */
static const char script[] =
	"const $=n=>document.getElementById(n),w=$('map-step'),p=$('map-policy'),"
	"t=[...document.querySelectorAll('#map circle')].map(c=>[c.cx.baseVal.value,"
	"c.cy.baseVal.value]);\n"
	"const line=(a,b,k)=>`<line class='${k}' x1='${a[0]}' y1='${a[1]}' x2='${b[0]}' "
	"y2='${b[1]}'/>`;\n"
	"const dot=(a,r,k,what)=>`<circle class='${k}' cx='${a[0]}' cy='${a[1]}' "
	"r='${r}'><title>${what}</title></circle>`;\n"
	"function show(){\n"
	"let under='',over='',there=0,near=0,moving=0;const vms=new Map();\n"
	"M.runs[p.value][w.value-1].forEach((d,k)=>{if(!d)return;\n"
	"const [x,y,tower,host,to]=d,at=[(M.x+x*M.scale).toFixed(1),(M.y-y*M.scale).toFixed(1)],"
	"away=tower!=host;\n"
	"there++;near+=!away;vms.set(host,(vms.get(host)||0)+1);\n"
	"under+=line(at,t[tower],'radio');if(away)under+=line(at,t[host],'away');\n"
	"if(to!==undefined){moving++;under+=line(t[host],t[to],'moving')}\n"
	"over+=dot(at,3.5,away?'device far':'device',`device ${M.devices[k]}: tower ${tower}, VM on "
	"${host}`+(to===undefined?'':`, on its way to ${to}`))});\n"
	"vms.forEach((n,h)=>{under+=dot(t[h],4+2*Math.sqrt(n),'host',`host ${h}: ${n} of these "
	"VMs`)});\n"
	"$('map-now').innerHTML=under+over;\n"
	"const s=M.seconds*w.value/M.times,h=Math.floor(s/3600),m=Math.floor(s/60)%60;\n"
	"$('map-says').textContent=(h?h+' h ':'')+(h||m?m+' min ':'')+(s%60).toFixed(s<600?1:0)+"
	"` s: ${there} devices there, ${near} with the VM at their tower; VMs on their way: "
	"${moving}`}\n"
	"let timer;function stop(){clearInterval(timer);timer=0;$('map-play').textContent='▶'}\n"
	"function step(by){w.value=+w.value+by;show()}\n"
	"w.oninput=()=>{stop();show()};p.onchange=show;"
	"$('map-back').onclick=()=>{stop();step(-1)};$('map-on').onclick=()=>{stop();step(1)};\n"
	"$('map-play').onclick=()=>{if(timer)return stop();if(w.value==w.max)w.value=0;"
	"$('map-play').textContent='❚❚';"
	"timer=setInterval(()=>{step(1);if(w.value==w.max)stop()},400)};\nshow();\n";

static const char style[] =
	"<style>#map{background:#f7f7f5;border:1px solid #ddd}#map .tower{fill:#9aa4ad}"
	"#map .host{fill:#0072b2;fill-opacity:.25;stroke:#0072b2}#map .device{fill:#009e73}"
	"#map .far{fill:#d55e00}#map .radio{stroke:#bbb}"
	"#map .away{stroke:#d55e00;stroke-opacity:.6;stroke-dasharray:2 3}"
	"#map .moving{stroke:#cc79a7;stroke-width:3}"
	"#map-bar{display:flex;gap:.5em;align-items:center;flex-wrap:wrap}"
	"#map-bar input{flex:1;min-width:12em}#map-says{min-height:1.5em;margin:.3em 0}"
	"i.k{display:inline-block;width:.7em;height:.7em;border-radius:50%}</style>\n";

static void write_towers(FILE *f, const struct results *r, const struct frame *frame)
{
	double height = height_of(frame), bar = scale_bar(frame);

	fprintf(f, "<svg id='map' viewBox='0 0 %d %.0f' role='img'>\n", WIDTH, height);
	for (uint32_t i = 0; i < r->n_towers; i++)
		fprintf(f,
			"<circle class='tower' cx='%.1f' cy='%.1f' r='2.5'><title>tower "
			"%u</title></circle>\n",
			frame->left + (r->towers[i].x - frame->min.x) * frame->scale,
			height - BORDER - (r->towers[i].y - frame->min.y) * frame->scale, i);
	fprintf(f,
		"<g id='map-now'></g><path d='M%d %.1fv6h%.1fv-6' fill='none' stroke='#444'/>"
		"<text x='%d' y='%.1f'>%g %s</text></svg>\n",
		BORDER, height - BORDER - 6, bar * frame->scale, BORDER + 6, height - BORDER - 6,
		bar >= 1000 ? bar / 1000 : bar, bar >= 1000 ? "km" : "m");
}

static void write_controls(FILE *f, const struct results *r)
{
	fputs("<div id='map-bar'><select id='map-policy' aria-label='policy'>", f);
	for (uint32_t c = 0, n = 0; c < configurations(r); c++)
		if (shown(r, c))
			fprintf(f, "<option value='%u'>%s</option>", n++, r->labels[c]);
	fprintf(f,
		"</select><button id='map-back' aria-label='back'>‹</button><button id='map-play' "
		"aria-label='play'>▶</button><button id='map-on' aria-label='on'>›</button>"
		"<input id='map-step' type='range' min='1' max='%u' value='1' aria-label='time'>"
		"</div>\n<p id='map-says'></p>\n",
		SNAPSHOT_TIMES);
}

static void write_data(FILE *f, const struct results *r, const struct frame *frame, uint32_t n)
{
	const char *separator = "";

	fprintf(f,
		"<script>(()=>{const M={scale:%.6g,x:%.2f,y:%.2f,seconds:%.17g,times:%u,devices:[",
		frame->scale, frame->left - frame->min.x * frame->scale,
		height_of(frame) - BORDER + frame->min.y * frame->scale,
		(double)r->duration_ns / (double)NS_PER_S, SNAPSHOT_TIMES);
	for (uint32_t k = 0; k < n; k++)
		fprintf(f, "%s%u", k ? "," : "", snapshot_device(k, n, r->devices));
	fputs("],runs:[", f);
	for (uint32_t c = 0; c < configurations(r); c++) {
		if (!shown(r, c))
			continue;
		fputs(separator, f);
		map_format(f, shown(r, c));
		separator = ",\n";
	}
	fprintf(f, "]};\n%s})()</script>\n", script);
}

/* The devices of the maps that there are; 0: there is none. */
static uint32_t count_devices(const struct results *r)
{
	for (uint32_t c = 0; c < configurations(r); c++)
		if (shown(r, c))
			return shown(r, c)->n;
	return 0;
}

static void write_explanation(FILE *f, const struct results *r, uint32_t n)
{
	fprintf(f,
		"<p><small><i class='k' style='background:#009e73'></i> a device whose VM is at "
		"the tower that serves it, <i class='k' style='background:#d55e00'></i> elsewhere "
		"(the dashed line leads there), <i class='k' style='background:#cc79a7'></i> a VM "
		"on its way, <i class='k' style='background:#0072b2'></i> hosts, the wider the "
		"more "
		"of these VMs they have. %u of %u devices, evenly chosen; the first replication",
		n, r->devices);
	if (r->n_configurations > MAP_CONFIGURATIONS)
		fprintf(f, " of the first %u of %u policies", MAP_CONFIGURATIONS, r->n_configurations);
	fputs(".</small></p>\n", f);
}

void map_write(FILE *f, const struct results *r)
{
	struct frame frame = find_frame(r);
	uint32_t n = count_devices(r);

	fprintf(f, "<h2>Map</h2>\n%s", style);
	if (n > 0)
		write_controls(f, r);
	write_towers(f, r, &frame);
	if (n > 0) {
		write_explanation(f, r, n);
		write_data(f, r, &frame, n);
	}
}
