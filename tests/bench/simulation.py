#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How fast edgesim simulates; see docs/benchmarks.md."""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import results  # pylint: disable=wrong-import-position

WORLD = """name: bench
replications: {replications}
duration: {duration}
optimum: {optimum}
towers: {towers}
mobility: {{model: random_waypoint, devices: {devices}}}
radio: {{capacity: {capacity}}}
telemetry: {{interval: {interval}, report: 1, candidates: {candidates}}}
policies: [{{name: threshold, threshold: [25ms], max_age: [15s]}}]
"""

POLICY_BYTES = 16  # of a device, of the policy above

TIERS = {"duration": "60m", "towers": "hex:2:500", "devices": 1000, "capacity": 200,
         "interval": "5s", "candidates": 3, "replications": 1, "optimum": 1}
SCENARIOS = {
    "tiers": TIERS,
    "threads-1": TIERS | {"replications": 24},
    "threads-2": TIERS | {"replications": 24},
    "events": TIERS | {"duration": "60m", "interval": "200ms", "candidates": 1, "capacity": 0},
    "million": TIERS | {"towers": "hex:10:500", "devices": 1000000, "capacity": 100000,
                        "candidates": 1, "optimum": 0},
}


def measure(program, scenario, run):
    """One run of a study in a process of its own."""
    threads = 2 if scenario == "threads-2" else 1
    row = {"scenario": scenario, "run": run, "threads": threads}
    with tempfile.TemporaryDirectory() as folder:
        study = os.path.join(folder, "study.yaml")
        with open(study, "w", encoding="utf-8") as file:
            file.write(WORLD.format(**SCENARIOS[scenario]))
        begun = time.monotonic()
        with subprocess.Popen([program, "run", "--quiet", "--threads", str(threads), "--out",
                               os.path.join(folder, "out"), study],
                              stdout=subprocess.DEVNULL) as child:
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        row["wall_s"] = time.monotonic() - begun
        row["cpu_s"] = usage.ru_utime + usage.ru_stime
        row["memory_bytes_per_device"] = usage.ru_maxrss * 1024 / SCENARIOS[scenario]["devices"]
        row["outcome"] = "completed" if child.returncode == 0 else f"failed: {child.returncode}"
        if child.returncode == 0:
            with open(os.path.join(folder, "out", "manifest.json"), encoding="utf-8") as file:
                work = json.load(file)["work"]
            row["user_seconds"] = work["user_seconds"]
            row["events"] = work["events"]
            row["user_seconds_per_cpu_s"] = work["user_seconds"] / row["cpu_s"]
            row["events_per_cpu_s"] = work["events"] / row["cpu_s"]
    return row


def of(rows, scenario, field):
    return results.median([row for row in rows if row["scenario"] == scenario], field)


def find_marks(rows):
    one, two = of(rows, "threads-1", "wall_s"), of(rows, "threads-2", "wall_s")
    million = of(rows, "million", "wall_s")
    memory = of(rows, "million", "memory_bytes_per_device")
    return [
        results.mark_at_least("user-seconds a second of a core, two tiers, 1,000 devices",
                              of(rows, "tiers", "user_seconds_per_cpu_s"), "1/s", 5e6),
        results.mark_at_least("events a second of a core", of(rows, "events", "events_per_cpu_s"),
                              "1/s", 10e6),
        results.mark("an hour of a million devices", million and million / 60, "min", 12),
        results.mark("memory a device, all of it but the policy's", memory and
                     memory - POLICY_BYTES, "B", 200),
        results.mark_at_least("two threads against one", one and two and one / two, "x", 1.8),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default=".", help="the build folder")
    arguments = parser.parse_args()
    runs = int(os.environ.get("RUNS", "3"))
    only = os.environ.get("ONLY", "").split()
    program = os.path.join(arguments.build, "edgesim")
    rows = results.Rows(os.path.join(arguments.build, "bench", "sim.json"), ["scenario", "run"],
                        {"runs": runs, "only": only, "scenarios": SCENARIOS})
    wanted = [name for name in SCENARIOS if not only or name in only]
    for run in range(1, runs + 1):
        for scenario in wanted:
            # The million takes minutes: once is enough.
            if (scenario == "million" and run > 1) or rows.has({"scenario": scenario, "run": run}):
                continue
            row = measure(program, scenario, run)
            rows.add(row)
            print(f"{scenario} {run}: {row['outcome']}, {row['wall_s']:.1f} s", file=sys.stderr)
    found = rows.rows + rows.earlier(lambda row: row["scenario"] not in wanted)
    marks = find_marks(found)
    rows.finish(found, marks)
    print(results.table(found, {
        "wall_s": lambda value: f"{value:.1f}",
        "cpu_s": lambda value: f"{value:.1f}",
        "user_seconds_per_cpu_s": lambda value: f"{value:.3g}",
        "events_per_cpu_s": lambda value: f"{value:.3g}",
        "memory_bytes_per_device": lambda value: f"{value:.0f}",
    }, ["scenario"]))
    print(results.marks_table(marks))
    failed = [row for row in found if row["outcome"] != "completed"]
    return 0 if not failed and all(entry["holds"] for entry in marks) else 1


if __name__ == "__main__":
    sys.exit(main())
