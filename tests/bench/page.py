# SPDX-License-Identifier: Apache-2.0
"""bench-migration as one HTML page that needs nothing else: a bar for each engine's median,
and a dot for each of its runs."""

import html

import results

BAR, GAP, LEFT, WIDTH = 16, 6, 170, 620
PLOTS = {
    "wire_bytes": ("bytes on the wire", 1e6, "MB"),
    "total_s": ("time", 1, "s"),
    "blackout_ms": ("blackout", 1, "ms"),
    "cpu_s_net": ("processor time, both ends, less the guest's own", 1, "s"),
}
STYLE = """body { font: 15px sans-serif; max-width: 60em; margin: 2em auto; color: #222 }
td, th { padding: 2px 12px 2px 0; text-align: left } .no { color: #b00 }
svg { font: 12px sans-serif } .ours { fill: #2a7ab0 } .peer { fill: #b9bec4 } .run { fill: #222 }"""


def bar(engine, rows, field, unit, scale, top, most):
    """One line of a plot: of moves that were cut, what they had taken by then."""
    values = [value for row in rows if (value := row.get(field)) is not None]
    cut = sum(row["outcome"] == "timeout" for row in rows)
    label = f'<text x="{LEFT - 8}" y="{top + BAR - 4}" text-anchor="end">{html.escape(engine)}</text>'
    if not values:
        return f'{label}<text x="{LEFT}" y="{top + BAR - 4}">no run that ended</text>'
    middle = results.median([{"v": v, "outcome": "completed"} for v in values], "v")
    # Below zero is what is too little to be told from the guest's own work.
    length, *ends = (WIDTH * max(v, 0) / most for v in (middle, *values))
    dots = "".join(f'<circle class="run" cx="{LEFT + end:.1f}" cy="{top + BAR / 2}" r="2"/>'
                   for end in ends)
    note = f" (timeout: {cut} of {len(rows)})" if cut else ""
    kind = "ours" if engine == "tagalong" else "peer"
    return (f'{label}<rect class="{kind}" x="{LEFT}" y="{top}" width="{length:.1f}" height="{BAR}"/>'
            f'{dots}<text x="{LEFT + WIDTH + 10}" y="{top + BAR - 4}">'
            f'{middle / scale:.4g} {unit}{note}</text>')


def plot(rows, field):
    title, scale, unit = PLOTS[field]
    engines = list(dict.fromkeys(row["engine"] for row in rows))
    most = max((value for row in rows if (value := row.get(field)) is not None), default=0)
    if most <= 0:
        return ""
    bars = "".join(bar(engine, [row for row in rows if row["engine"] == engine], field, unit, scale,
                       n * (BAR + GAP), most) for n, engine in enumerate(engines))
    height = len(engines) * (BAR + GAP)
    return (f'<h4>{title}</h4><svg width="{LEFT + WIDTH + 200}" height="{height}" role="img" '
            f'aria-label="{title}">{bars}</svg>')


def marks_of(found):
    lines = []
    for entry in found:
        value = "–" if entry["value"] is None else f"{entry['value']:.4g}"
        kind, word = ("", "holds") if entry["holds"] else (' class="no"', "missed")
        lines.append(f"<tr><td>{html.escape(entry['name'])}</td><td>{value} "
                     f"{html.escape(entry['unit'])}</td><td>{entry['limit']:.4g}</td>"
                     f"<td{kind}>{word}</td></tr>")
    return ("<table><tr><th>mark</th><th>value</th><th>limit</th><th></th></tr>"
            f"{''.join(lines)}</table>")


def machine():
    found = results.machine()
    return (f"<p>{found['processors']} × {html.escape(found['processor'])}, "
            f"{found['memory_bytes'] / (1 << 30):.0f} GiB, Linux {html.escape(found['kernel'])}, "
            f"{found['utc']}; a row has as many runs as it has dots, and its bar is their median</p>")


def write(path, rows, found):
    groups = {}
    for row in rows:
        groups.setdefault((row["scenario"], row["link"], row["encrypted"]), []).append(row)
    parts = []
    for (scenario, link, encrypted), group in groups.items():
        kind = "encrypted" if encrypted else "plain text"
        parts.append(f"<h3>{html.escape(scenario)}, {html.escape(link)}, {kind}</h3>")
        parts += [plot(group, field) for field in PLOTS]
    with open(path, "w", encoding="utf-8") as file:
        file.write('<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>bench-migration'
                   f"</title><style>{STYLE}</style><h1>Moves of a guest</h1>{machine()}{marks_of(found)}"
                   f"{''.join(parts)}</html>\n")
