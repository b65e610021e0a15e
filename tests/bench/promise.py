#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""bench-promise: whether moves keep what they promise. One guest a scenario moves back and forth
between two hosts; what each move foretold is held against what came. See docs/benchmarks.md.

Environment: ONLY="SCENARIO..." runs a part, SECONDS_MOST=N begins nothing new after so long (what has
been measured is kept, exit status 75; run it again to go on), PREFER=1 lets what is measured go
before the machine's other work.
"""

import argparse
import contextlib
import os
import signal
import sys
import tempfile
import time

import crowd
import floor
import guest
import lab
import one_move
import pressure
import promise_marks
import results
from engine import FAILURES
from tagalong_engine import TagalongEngine

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
GROUP = ("scenario", "engine")
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
    "alone_s": "{:.2f}".format,
    "foreground_s": "{:.2f}".format,
    "serial_s": "{:.1f}".format,
    "together_s": "{:.1f}".format,
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

    def add(self, row):
        self.rows.add(row)
        print(f"{row['scenario']} {row['number']}: {describe(row)}", flush=True)

    def boot(self, engine, scenario, link, seed):
        """The guest runs, and the link is what it is to be."""
        machine = guest.boot_of(scenario, self.build)
        self.network.shape(link)
        engine.start(machine, guest.cmdline(scenario, link, seed, engine.seat.address))
        engine.console("a").wait_up(machine["up_s"])

    @contextlib.contextmanager
    def engine(self, engine_of):
        """engine_of(seat, directory), until it is ended."""
        with contextlib.ExitStack() as left:
            directory = left.enter_context(tempfile.TemporaryDirectory(prefix="tagalong-bench-"))
            seat = lab.Seat(self.network, 0)
            left.callback(seat.remove)
            engine = engine_of(seat, directory)
            left.callback(engine.end)
            yield engine

    def measure(self, wanted, engine_of, boot, figures_of):
        """Rows that one guest makes: boot(engine, row) lets it run, and again with another one
        after a failure; figures_of(engine, row) is what is measured."""
        left = [row for row in wanted if not self.rows.has(row)]
        while left:
            self.check_time()
            with self.engine(engine_of) as engine:
                try:
                    boot(engine, left[0])
                    while left:
                        figures = figures_of(engine, left[0])
                        self.add(left.pop(0) | {"outcome": "completed"} | figures)
                        if left:
                            self.check_time()
                except (*FAILURES, lab.MoveTimeout) as error:
                    self.add(left.pop(0) | {"outcome": f"failed: {error}"})

    def back_and_forth(self, name, settings):
        wanted = [{"scenario": name, "number": number, "engine": "tagalong",
                   "link": settings["link"], "promise_ms": settings["promise_ms"]}
                  for number in range(settings["moves"])]
        limits = {"downtime_limit_ms": settings["promise_ms"]}
        self.measure(
            wanted,
            lambda *common: TagalongEngine(*common, limits, False, build=self.build,
                                           keeps=not settings["cold"]),
            lambda engine, row: self.boot(engine, settings["guest"], settings["link"],
                                          row["number"] + 1),
            lambda engine, row: self._move(engine, row, settings))

    def _move(self, engine, row, settings):
        """All of the guest's memory is verified after the last one."""
        step = None
        if "step" in settings:
            other, after_s = settings["step"]
            step = (other if engine.side == "a" else settings["link"], after_s)
        kept = f"{self.build}/bench/promise/{row['scenario']}-{row['number']}.jsonl"
        figures = one_move.measure(engine, kept, step)
        if row["number"] == settings["moves"] - 1:
            console = engine.console(engine.side)
            console.wait_verified(console.report())
        return figures


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
