# SPDX-License-Identifier: Apache-2.0
"""A guest that touches its pages at four times the link's rate, a little of each: whether its move
ends without slowing it down, against QEMU's plain migration of it, which does not end and is cut."""

import threading
import time

import guest
import lab
import one_move
from engine import OTHER
from qemu_engine import QemuEngine
from tagalong_engine import TagalongEngine

SCENARIO = "pressure"
GUEST = "toucher"
LINK = "25mbit-40ms"
PROMISE_MS = 300
ROUNDS = 2
SETTLE_REPORTS = 2  # a second each: the start's stall is over, for both
MEASURE_S = 20
LIMITS = {"max_bandwidth": 10 << 30, "downtime_limit_ms": PROMISE_MS}

# For guest.SCENARIOS.
GUESTS = {GUEST: {**guest.PATTERN, "ws": "32M", "touch": "256",
                  "rate": f"{lab.LINKS[LINK]['bits'] // 8 * 4 >> 10}K"}}


class CutQemu(QemuEngine):
    """Its migration goes on for a while only."""

    def begin(self):
        here, there = self.side, OTHER[self.side]
        self._start_qemu(there, ["-incoming", "defer"])
        source, target = self._prepare(here, "client"), self._prepare(there, "server")
        target.command("migrate-incoming", uri=self.address(there))
        source.command("migrate", uri=self.address(there))


class Reports(threading.Thread):
    """What a guest reports, while this is used as a context manager."""

    def __init__(self, console):
        super().__init__()
        self.console, self.ended, self.found = console, threading.Event(), []
        self.before = len(console.reports())

    def run(self):
        while not self.ended.wait(0.2):
            self.found = self.console.reports() or self.found

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join()

    def ops_per_s(self):
        """Without the first seconds, by the guest's clock."""
        first, last = self.found[self.before + SETTLE_REPORTS], self.found[-1]
        return round((last["ops"] - first["ops"]) / (last["uptime_ms"] - first["uptime_ms"]) * 1e3)


def ours(bench, engine, row):
    kept = f"{bench.build}/bench/promise/{SCENARIO}-{row['number']}.jsonl"
    with Reports(engine.console(engine.side)) as reports:
        moved = one_move.measure(engine, kept)
    return {**moved, "guest_ops_per_s": reports.ops_per_s(),
            "throttled": any(line.get("throttle_percent") for line in engine.lines)}


def theirs(engine, _row):
    with Reports(engine.console(engine.side)) as reports:
        engine.begin()
        time.sleep(MEASURE_S)
    return {"guest_ops_per_s": reports.ops_per_s()}


def measure(bench):
    """By turns, and each with a guest of its own: QEMU's is cut."""
    def boot(engine, row):
        bench.boot(engine, GUEST, LINK, row["number"] + 1)

    for number in range(0, ROUNDS * 2, 2):
        bench.measure(
            [{"scenario": SCENARIO, "number": number, "engine": "tagalong",
              "promise_ms": PROMISE_MS}],
            lambda *common: TagalongEngine(*common, LIMITS, False, build=bench.build, keeps=False),
            boot, lambda engine, row: ours(bench, engine, row))
        bench.measure([{"scenario": SCENARIO, "number": number + 1, "engine": "qemu"}],
                      lambda *common: CutQemu(*common, LIMITS, False), boot, theirs)
