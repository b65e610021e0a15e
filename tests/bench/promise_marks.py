# SPDX-License-Identifier: Apache-2.0
"""What the rows of bench-promise shall show."""

import statistics

import crowd
import floor
import pressure
import results

KEPT = 99  # % of the moves
FAST_PROMISE_MS = 30
SLOW = "writer-25mbit"
GAP_SLACK_MS = 2
RTT_MS = {"25mbit-40ms": 40, "200mbit-20ms": 20}


def of(rows, *scenarios):
    return [row for row in rows if row["scenario"] in scenarios and row["outcome"] == "completed"]


def moves(rows):
    """Those that foretold themselves."""
    return [row for row in rows if row["outcome"] == "completed" and "total_error" in row]


def percent(rows, holds):
    return 100 * sum(map(holds, rows)) / len(rows) if rows else None


def kept(row):
    return row["stop_to_resume_ms"] <= row["promise_ms"]


def promised(rows, name, those):
    """A move that failed has not kept its promise."""
    tried = [row for row in rows if those(row)]
    return [results.mark_at_least(f"{name}: promise kept", percent(
        tried, lambda row: row["outcome"] == "completed" and kept(row)),
        f"% of {len(tried)} moves", KEPT)]


def is_fast(row):
    return row.get("promise_ms") == FAST_PROMISE_MS and row.get("link") in ("1gbit", "unshaped")


def against_floor(rows):
    floors = [row["stop_to_resume_ms"] for row in of(rows, floor.SCENARIO)]
    ours = [row["stop_to_resume_ms"] for row in rows if is_fast(row)
            and row["outcome"] == "completed"]
    value = statistics.median(ours) / statistics.median(floors) if ours and floors else None
    return [results.mark(f"30 ms: median blackout of {len(ours)} moves", value,
                         f"× QEMU's own on a local socket ({len(floors)} moves)", 2)]


def foretold(rows):
    """The worst that each move said of itself, for most of them and for all."""
    found, those = [], moves(rows)
    for name, field, unit, limit, some in (
            ("total time foretold from 20 % on", "total_error", "of it", 0.10,
             [row for row in those if row["scenario"] != "step"]),
            ("the same from 2 s after a step of the rate", "total_error", "of it", 0.10,
             [row for row in those if row["scenario"] == "step"]),
            ("blackout foretold", "blackout_error_ms", "ms", 10, those)):
        values = sorted(row[field] for row in some if row[field] is not None)
        worst = values[(len(values) * 9 + 9) // 10 - 1] if values else None
        found.append(results.mark(f"{name}, off by", worst,
                                  f"{unit}, in 9 of 10 of {len(values)} moves", limit))
        found.append(results.mark_at_least(f"{name}: within {limit:g}", percent(
            values, lambda value, limit=limit: value <= limit), f"% of {len(values)} moves", 90))
    return found


def cut_over(rows):
    """What the client missed."""
    those = [row for row in rows if row["outcome"] == "completed" and "gap_ms" in row]

    def excess(row):
        return row["gap_ms"] - row["stop_to_resume_ms"] - 1.5 * RTT_MS.get(row.get("link"), 0)

    return [results.mark("cut-over: probes lost beside the blackout",
                         sum(row["lost_beside"] for row in those) if those else None,
                         f"in {len(those)} moves", 0),
            results.mark("cut-over: replies out of order",
                         sum(row["reordered"] for row in those) if those else None,
                         f"in {len(those)} moves", 0),
            results.mark("cut-over: median silence beyond blackout and 1.5 RTT",
                         statistics.median(map(excess, those)) if those else None, "ms",
                         GAP_SLACK_MS)]


def converges(rows):
    tried = [row for row in rows if row["scenario"] == pressure.SCENARIO
             and row["engine"] == "tagalong"]
    ours = [row for row in tried if row["outcome"] == "completed"]
    theirs = [row for row in of(rows, pressure.SCENARIO) if row["engine"] == "qemu"]
    ratio = results.median(ours, "guest_ops_per_s") / results.median(theirs, "guest_ops_per_s") \
        if ours and theirs else None
    return [results.mark_at_least("a writer at 4 × the link: moves that ended unthrottled", percent(
                tried, lambda row: row["outcome"] == "completed" and not row["throttled"]),
                f"% of {len(tried)} moves", 100),
            results.mark_at_least("a writer at 4 × the link: shortest move",
                                  min((row["total_s"] for row in ours), default=None), "s", 20),
            results.mark_at_least("a writer at 4 × the link: guest operations", ratio,
                                  "× during QEMU's plain migration", 0.95)]


def crowded(rows):
    those = of(rows, crowd.SCENARIO)

    def ratio(a, b):
        return results.median(those, a) / results.median(those, b) if those else None

    return [results.mark("ten moves at once", ratio("together_s", "serial_s"),
                         "× one after the other", 1.05),
            results.mark("the foreground VM among ten", ratio("foreground_s", "alone_s"),
                         "× alone", 1.2)]


def find(rows):
    return [*promised(rows, "30 ms", is_fast),
            *against_floor(rows),
            *promised(rows, "150 ms at 25 Mbit/s", lambda row: row["scenario"] == SLOW),
            *converges(rows), *foretold(rows), *cut_over(rows), *crowded(rows)]
