# SPDX-License-Identifier: Apache-2.0
"""Rows, marks and the table. Every benchmark writes this form:

{"machine": {...}, "rows": [{...one run...}],
 "marks": [{"name", "value", "unit", "limit", "holds"}]}
"""

import json
import os
import platform
import statistics
import time


def machine():
    """Where and when the last of the rows was measured."""
    with open("/proc/cpuinfo", encoding="utf-8") as cpuinfo:
        models = {line.split(":", 1)[1].strip() for line in cpuinfo
                  if line.startswith("model name")}
    return {"processor": ", ".join(sorted(models)) or platform.machine(),
            "processors": os.cpu_count(), "kernel": platform.release(),
            "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
            "utc": time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime())}


class Rows:
    """Finished runs, kept in a file from the first on, so that an interrupted
    benchmark goes on where it was."""

    def __init__(self, path, key_fields, settings):
        self.path = path
        self.partial = f"{path}.part"
        self.key_fields = key_fields
        self.settings = settings
        self.rows = []
        os.makedirs(os.path.dirname(path), exist_ok=True)
        self.resumed = self._load()
        if not self.resumed:
            with open(self.partial, "w", encoding="utf-8") as file:
                file.write(json.dumps(settings) + "\n")

    def _load(self):
        try:
            with open(self.partial, encoding="utf-8") as file:
                lines = file.read().split("\n")
        except FileNotFoundError:
            return False
        # The last line may have been cut by what interrupted us.
        whole = [json.loads(line) for line in lines[:-1]]
        if not whole or whole[0] != self.settings:
            return False
        self.rows = whole[1:]
        return True

    def key(self, row):
        return tuple(row[field] for field in self.key_fields)

    def has(self, row):
        return self.key(row) in map(self.key, self.rows)

    def add(self, row):
        self.rows.append(row)
        with open(self.partial, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def earlier(self, keep):
        """Rows of the last complete file that this run does not measure again."""
        try:
            with open(self.path, encoding="utf-8") as file:
                return [row for row in json.load(file)["rows"] if keep(row)]
        except (FileNotFoundError, ValueError, KeyError):
            return []

    def finish(self, rows, found_marks):
        """Writes the file at once and whole; the partial one has served."""
        fresh = f"{self.path}.new"
        with open(fresh, "w", encoding="utf-8") as file:
            json.dump({"settings": self.settings, "machine": machine(), "rows": rows,
                       "marks": found_marks}, file, indent=1)
            file.write("\n")
        os.replace(fresh, self.path)
        os.unlink(self.partial)


def median(rows, field, outcomes=("completed",)):
    values = [row[field] for row in rows if row["outcome"] in outcomes and row[field] is not None]
    return statistics.median(values) if values else None


def mark(name, value, unit, limit):
    """A mark without a value does not hold."""
    return {"name": name, "value": None if value is None else round(value, 3), "unit": unit,
            "limit": limit, "holds": value is not None and value <= limit}


def mark_at_least(name, value, unit, limit):
    """The same where more is better."""
    return mark(name, value, unit, limit) | {"at_least": True,
                                             "holds": value is not None and value >= limit}


def table(rows, columns, group_fields):
    """Medians of each group of rows, as lines of text."""
    groups = {}
    for row in rows:
        groups.setdefault(tuple(row[field] for field in group_fields), []).append(row)
    lines = [[*group_fields, "runs", *columns]]
    for key, group in groups.items():
        line = [str(part) for part in key]
        line.append(f"{sum(row['outcome'] == 'completed' for row in group)}/{len(group)}")
        for column, form in columns.items():
            value = median([row for row in group if row.get(column) is not None], column)
            line.append("-" if value is None else form(value))
        lines.append(line)
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip()
                     for line in lines)


def marks_table(found):
    lines = []
    for entry in found:
        value = "-" if entry["value"] is None else f"{entry['value']:g}"
        limit = "at least" if entry.get("at_least") else "limit"
        lines.append(f"{'holds ' if entry['holds'] else 'MISSED'}  {entry['name']}: "
                     f"{value} {entry['unit']} ({limit} {entry['limit']:g})")
    return "\n".join(lines)
