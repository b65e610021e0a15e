#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the controller's decisions cost; see docs/benchmarks.md."""

import argparse
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import results  # pylint: disable=wrong-import-position

SCENARIOS = ["plan", "optimum", "samples", "reaction", "memory"]


def measure(program, scenario, run):
    row = {"scenario": scenario, "run": run}
    done = subprocess.run([program, scenario], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return row | json.loads(done.stdout)
    return row | {"outcome": f"failed: {done.stderr.strip() or done.returncode}"}


def of(rows, scenario, field):
    return results.median([row for row in rows if row["scenario"] == scenario], field)


def find_marks(rows):
    return [
        results.mark("a plan for 100,000 VMs on 200 hosts", of(rows, "plan", "plan_ms"), "ms", 100),
        results.mark("the optimum against a plan by prices", of(rows, "optimum", "ratio"), "x",
                     1.02),
        results.mark_at_least("samples through estimator and policy on one core",
                              of(rows, "samples", "samples_per_s"), "/s", 2e6),
        results.mark("99th percentile of a sample", of(rows, "samples", "p99_ns"), "ns", 1000),
        results.mark("99th percentile from sample to order, 100,000 devices, on a core of its own",
                     of(rows, "reaction", "cpu_p99_ms"), "ms", 5),
        results.mark("memory a device of a million, the program included",
                     of(rows, "memory", "bytes_per_device"), "B", 2048),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default=".", help="the build folder")
    arguments = parser.parse_args()
    runs = int(os.environ.get("RUNS", "3"))
    only = os.environ.get("ONLY", "").split()
    program = os.path.join(arguments.build, "tests", "bench", "planning")
    rows = results.Rows(os.path.join(arguments.build, "bench", "placement.json"),
                        ["scenario", "run"], {"runs": runs, "only": only})
    wanted = [name for name in SCENARIOS if not only or name in only]
    for run in range(1, runs + 1):
        for scenario in wanted:
            if not rows.has({"scenario": scenario, "run": run}):
                rows.add(measure(program, scenario, run))
    found = rows.rows + rows.earlier(lambda row: row["scenario"] not in wanted)
    marks = find_marks(found)
    rows.finish(found, marks)
    print(results.marks_table(marks))
    failed = [row for row in found if row["outcome"] != "completed"]
    for row in failed:
        print(f"{row['scenario']}: {row['outcome']}", file=sys.stderr)
    return 0 if not failed and all(entry["holds"] for entry in marks) else 1


if __name__ == "__main__":
    sys.exit(main())
