# SPDX-License-Identifier: Apache-2.0
"""A guest that touches its pages at four times the link's rate, a little of each: whether its move
ends without slowing it down, against QEMU's plain migration of it, which does not end and is cut."""

import threading
import time

import guest
import lab
import towers
from qemu_engine import QemuEngine

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
        self._start_qemu("b", ["-incoming", "defer"])
        for side in ("a", "b"):
            self._prepare(self.monitors[side])
        self.monitors["b"].command("migrate-incoming", uri=self.address())
        self.monitors["a"].command("migrate", uri=self.address())


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


def start(bench, engine, number):
    machine = bench.machine(GUEST)
    bench.network.shape(LINK)
    engine.start(machine, guest.cmdline(GUEST, LINK, number + 1))
    engine.console("a").wait_up(machine["up_s"])


def ours(bench, number):
    row = {"scenario": SCENARIO, "number": number, "engine": "tagalong"}

    def one(engine, directory):
        start(bench, engine, number)
        kept = f"{bench.build}/bench/promise/{SCENARIO}-{number}.jsonl"
        with Reports(engine.console("a")) as reports:
            moved = towers.measure(engine, directory, kept)
        bench.add(row | {"outcome": "completed"} | moved | {
            "promise_ms": PROMISE_MS,
            "throttled": any(line.get("throttle_percent") for line in engine.lines),
            "guest_ops_per_s": reports.ops_per_s()})

    bench.with_engine(row, lambda directory: towers.Towers(
        bench.network, directory, PROMISE_MS, bench.build, True), one)


def theirs(bench, number):
    row = {"scenario": SCENARIO, "number": number, "engine": "qemu"}

    def one(engine, _directory):
        start(bench, engine, number)
        with Reports(engine.console("a")) as reports:
            engine.begin()
            time.sleep(MEASURE_S)
        bench.add(row | {"outcome": "completed", "guest_ops_per_s": reports.ops_per_s()})

    bench.with_engine(row, lambda directory: CutQemu(bench.network, directory, LIMITS, False), one)


def measure(bench):
    for number in range(ROUNDS * 2):
        if bench.rows.has({"scenario": SCENARIO, "number": number}):
            continue
        bench.check_time()
        (theirs if number % 2 else ours)(bench, number)
