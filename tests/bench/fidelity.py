#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""bench-fidelity: moves of guests of many sizes and dirty rates over many links, for the
error of common/cost.h. Writes bench/fidelity.json, and bench/moves.def as
sim/reference/moves.def has it; see docs/benchmarks.md.

Environment: RUNS=N sets how often each is run (default 1), PREFER=1 lets everything that is
measured go before the machine's other work.
"""

import argparse
import os
import platform
import re
import signal
import subprocess
import sys
import time

import guest
import lab
import migration
import results

LINKS = {
    "25mbit-40ms": {"bits": 25000000, "rtt_ms": 40},
    "50mbit-10ms": {"bits": 50000000, "rtt_ms": 10},
    "100mbit-4ms": {"bits": 100000000, "rtt_ms": 4},
    "200mbit-20ms": {"bits": 200000000, "rtt_ms": 20},
}
MEMORY_MIB = [32, 64, 96, 128]
# Dirtied a second, in parts of what the link carries: of guest bytes, some half of it.
RATE_PARTS = [64, 8]
WORKING_SET_MIB = 16
KEY = ("scenario", "link", "engine", "encrypted", "run")
FIELDS = ("memory", "working_set", "dirty_bps", "link_bps", "rtt_ms", "promise_ms", "total_us",
          "blackout_us", "wire_bytes")


def plan(runs):
    """Puts the guests and links where the benchmark's parts look for them."""
    lab.LINKS.update(LINKS)
    wanted = []
    for run in range(runs):
        for link, settings in LINKS.items():
            for memory in MEMORY_MIB:
                for part in RATE_PARTS:
                    rate = settings["bits"] // 8 // part
                    scenario = f"{memory}M-{part}"
                    name = f"{scenario}-{link}"
                    guest.SCENARIOS[name] = {**guest.PATTERN, "mem": f"{memory}M",
                                             "rate": f"{rate >> 10}K", "ws": f"{WORKING_SET_MIB}M"}
                    wanted.append({"scenario": name, "link": link, "engine": "tagalong",
                                   "encrypted": False, "run": run, "memory": memory << 20,
                                   "working_set": WORKING_SET_MIB << 20,
                                   "dirty_bps": rate >> 10 << 10,
                                   "link_bps": settings["bits"] // 8,
                                   "rtt_ms": settings["rtt_ms"],
                                   "promise_ms": migration.limits_of(link)["downtime_limit_ms"]})
    return wanted


def write_table(path, rows):
    """The rows as the model's test has them."""
    with open(path, "w", encoding="ascii") as file:
        file.write("/* SPDX-License-Identifier: Apache-2.0\n *\n"
                   f" * Moves that tests/bench/fidelity.py measured on {time.strftime('%Y-%m-%d')}: "
                   f"{platform.system()} on {os.cpu_count()} processors that had\n"
                   " * other work, too, guests under TCG. In each row:\n"
                   f" * {', '.join(FIELDS)}.\n */\n")
        for row in rows:
            if row["outcome"] == "completed":
                figures = row | {"total_us": round(row["total_s"] * 1e6),
                                 "blackout_us": round(row["stop_to_resume_ms"] * 1e3)}
                file.write("MOVE(" + ", ".join(str(int(figures[field])) for field in FIELDS) +
                           ")\n")


def worst_of_most(rows, field):
    """What nine moves in ten keep; None where nothing was foretold."""
    values = [row[field] for row in rows if row["outcome"] == "completed"]
    if not values or None in values:
        return None
    return sorted(values)[(len(values) * 9 + 9) // 10 - 1]


def model_marks(build):
    """The mean error of common/cost.h over the rows, as edgesim finds it with the table built in:
    so of the moves that were measured before, until the table has taken their place."""
    said = subprocess.run([f"{build}/edgesim", "references"], capture_output=True, text=True,
                          check=False).stdout
    means = dict(re.findall(r"^(total time|blackout) +[0-9.]+% +[0-9.]+% +([0-9.]+)%$", said, re.M))
    return [results.mark(f"error of the model's {what}, mean, of the moves built in",
                         float(means[what]) / 100 if what in means else None, "of it", 0.10)
            for what in ("total time", "blackout")]


def foretold_marks(rows):
    """How far the moves were off about themselves."""
    return [results.mark("total time foretold from 20 % on, off by", worst_of_most(
                rows, "total_error"), "of it, in 9 moves of 10", 0.10),
            results.mark("blackout foretold, off by", worst_of_most(rows, "blackout_error_ms"),
                         "ms, in 9 moves of 10", 10)]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, help="the build folder")
    build = os.path.abspath(parser.parse_args().build)
    wanted = plan(int(os.environ.get("RUNS", "1")))
    rows = results.Rows(f"{build}/bench/fidelity.json", KEY, {"moves": wanted})
    lab.prefer([os.getpid()])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with lab.Lab(build) as network:
            bench = migration.Bench(build, network)
            for number, row in enumerate(wanted, 1):
                if rows.has(row):
                    continue
                (done,) = bench.measure([row])
                rows.add(done)
                print(f"[{number}/{len(wanted)}] {row['scenario']}: {migration.describe(done)}",
                      flush=True)
    except lab.LabError as error:
        sys.exit(f"bench-fidelity: {error}")
    completed = sum(row["outcome"] == "completed" for row in rows.rows)
    write_table(f"{build}/bench/moves.def", rows.rows)
    found = [results.mark_at_least("moves that were measured", completed, "moves", 30),
             *model_marks(build), *foretold_marks(rows.rows)]
    rows.finish(rows.rows, found)
    print(results.marks_table(found))
    sys.exit(0 if found[0]["holds"] else 1)


if __name__ == "__main__":
    main()
