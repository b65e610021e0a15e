#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""bench-promise: whether moves keep what they promise. One guest a scenario moves back and forth
between two hosts; what each move foretold is held against what came. See docs/benchmarks.md.

Environment: ONLY="SCENARIO..." runs a part, SECONDS=N begins nothing new after so long (what has
been measured is kept, exit status 75; run it again to go on), PREFER=1 lets what is measured go
before the machine's other work.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time

import crowd
import floor
import guest
import lab
import pressure
import promise_marks
import qmp
import results
import towers

UNFINISHED = 75  # EX_TEMPFAIL

LINKS = {
    "100mbit": {"bits": 100000000, "burst": "64kb"},
    "50mbit": {"bits": 50000000, "burst": "64kb"},
}
GUESTS = {
    **pressure.GUESTS,
    # Half of the link's rate is written.
    "small-writer": {**guest.PATTERN, "mem": "64M", "ws": "16M", "rate": None},
    "medium": {**guest.PATTERN, "mem": "96M", "ws": "16M", "rate": "256K"},
}

# `moves` of one guest each; `cold`: the target keeps nothing of the guest's last visit; `step`: the
# link's rate changes to that of another one, after seconds (and back, in the next move).
SCENARIOS = {
    "idle-1gbit": {"guest": "idle", "link": "1gbit", "promise_ms": 30, "cold": True, "moves": 25},
    "busy-1gbit": {"guest": "busy", "link": "1gbit", "promise_ms": 30, "cold": True, "moves": 25},
    "idle-unshaped": {"guest": "idle", "link": "unshaped", "promise_ms": 30, "cold": True,
                      "moves": 25},
    "busy-unshaped": {"guest": "busy", "link": "unshaped", "promise_ms": 30, "cold": True,
                      "moves": 25},
    "writer-25mbit": {"guest": "small-writer", "link": "25mbit-40ms", "promise_ms": 150,
                      "cold": False, "moves": 30},
    "idle-200mbit": {"guest": "idle", "link": "200mbit-20ms", "promise_ms": 80, "cold": True,
                     "moves": 10},
    "busy-100mbit": {"guest": "medium", "link": "100mbit", "promise_ms": 30, "cold": True,
                     "moves": 10},
    "cold-25mbit": {"guest": "small-writer", "link": "25mbit-40ms", "promise_ms": 150,
                    "cold": True, "moves": 10},
    "step": {"guest": "medium", "link": "100mbit", "promise_ms": 60, "cold": True, "moves": 10,
             "step": ["50mbit", 2.5]},
}
KEY = ("scenario", "number")
GROUP = ("scenario",)
COLUMNS = {
    "total_s": "{:.2f}".format,
    "stop_to_resume_ms": "{:.1f}".format,
    "gap_ms": "{:.1f}".format,
    "total_error": "{:.3f}".format,
    "blackout_error_ms": "{:.1f}".format,
    "lost": "{:.0f}".format,
    "lost_beside": "{:.0f}".format,
    "reordered": "{:.0f}".format,
    "rounds": "{:.0f}".format,
    "guest_ops_per_s": "{:.0f}".format,
}


class Unfinished(Exception):
    """The time is over."""


class Bench:
    """Measures what is not in `rows` yet, until the deadline."""

    def __init__(self, build, network, rows, seconds):
        self.build = build
        self.network = network
        self.rows = rows
        self.deadline = time.monotonic() + seconds if seconds else None

    def check_time(self):
        if self.deadline and time.monotonic() > self.deadline:
            raise Unfinished

    def machine(self, scenario):
        machine = guest.machine_of(scenario)
        return {**machine, "kernel": f"{self.build}/guest/vmlinuz",
                "initrd": f"{self.build}/{machine['initrd']}"}

    def add(self, row):
        self.rows.add(row)
        print(f"{row['scenario']} {row['number']}: {describe(row)}", flush=True)

    def with_engine(self, row, engine_of, measure):
        """Runs measure(engine, directory), and whatever comes of it there is a row."""
        directory = tempfile.mkdtemp(prefix="tagalong-bench-")
        engine = None
        try:
            engine = engine_of(directory)
            measure(engine, directory)
        except (guest.GuestError, qmp.QmpError, lab.MoveTimeout, OSError, ValueError) as error:
            self.add(row | {"outcome": f"failed: {error}"})
        finally:
            if engine:
                engine.stop()
            for side in ("a", "b"):
                self.network.hosts[side].cgroup.kill()
            shutil.rmtree(directory)

    def back_and_forth(self, name, settings):
        wanted = [{"scenario": name, "number": number, "link": settings["link"],
                   "promise_ms": settings["promise_ms"]} for number in range(settings["moves"])]
        wanted = [row for row in wanted if not self.rows.has(row)]
        while wanted:
            self.check_time()
            self.with_engine(
                wanted[0],
                lambda directory: towers.Towers(self.network, directory, settings["promise_ms"],
                                                self.build, settings["cold"]),
                lambda engine, directory: self._move_all(engine, directory, settings, wanted))
            wanted = [row for row in wanted if not self.rows.has(row)]

    def _move_all(self, engine, directory, settings, wanted):
        """The guest boots, and makes the moves for as long as there is time."""
        scenario, links = settings["guest"], [settings["link"], settings.get("step", [None])[0]]
        machine = self.machine(scenario)
        self.network.shape(settings["link"])
        engine.start(machine, guest.cmdline(scenario, settings["link"], wanted[0]["number"] + 1))
        engine.console("a").wait_up(machine["up_s"])
        for moves, row in enumerate(wanted):
            self.check_time()
            step = (links[1 - moves % 2], settings["step"][1]) if "step" in settings else None
            kept = f"{self.build}/bench/promise/{row['scenario']}-{row['number']}.jsonl"
            self.add(row | {"outcome": "completed"} |
                     towers.measure(engine, directory, kept, step))
        console = engine.live_console()
        console.wait_verified(console.report())


def describe(row):
    if row["outcome"] != "completed":
        return row["outcome"]
    return "  ".join(f"{name} {form(row[name])}" for name, form in COLUMNS.items()
                     if row.get(name) is not None)


PARTS = {"floor": floor.measure, "pressure": pressure.measure, "crowd": crowd.measure}


def run(bench, only):
    for name, measure in PARTS.items():
        if not only or name in only:
            measure(bench)
    for name, settings in SCENARIOS.items():
        if not only or name in only:
            bench.back_and_forth(name, settings)


def finish(rows):
    found = promise_marks.find(rows.rows)
    print(results.table(rows.rows, COLUMNS, GROUP))
    print(results.marks_table(found))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, help="the build folder")
    build = os.path.abspath(parser.parse_args().build)
    only = os.environ.get("ONLY", "").split()
    if set(only) - set(SCENARIOS) - set(PARTS):
        sys.exit(f"bench-promise: ONLY takes {' '.join([*SCENARIOS, *PARTS])}")
    lab.LINKS.update(LINKS)
    guest.SCENARIOS.update(GUESTS)
    rows = results.Rows(f"{build}/bench/promise.json", KEY, {"scenarios": SCENARIOS})
    lab.prefer([os.getpid()])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with lab.Lab(build) as network:
            run(Bench(build, network, rows, int(os.environ.get("SECONDS_MOST", "0"))), only)
    except lab.LabError as error:
        sys.exit(f"bench-promise: {error}")
    except Unfinished:
        finish(rows)
        sys.exit(UNFINISHED)
    found = finish(rows)
    if only:
        return
    rows.finish(rows.rows, found)
    print(f"written: {rows.path}")
    sys.exit(0 if all(entry["holds"] for entry in found) else 1)


if __name__ == "__main__":
    main()
