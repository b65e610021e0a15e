#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""bench-migration: the same guest over the same link, moved by tagalong and by
QEMU alone, interleaved, several times. See docs/benchmarks.md.

Environment: ONLY="SCENARIO[/LINK[/ENGINE]]..." runs a part, RUNS=N sets how often
(default 5; encrypted rows a third of it, at least 2), AWAY_S=N how long a guest is
away before its way back (600), PREFER=1 lets everything that is measured go before
the machine's other work; LOCK="FILE..." are taken (flock) for a round, or for HOLD=S
seconds of rounds, and then left to others for REST=S.
"""

import argparse
import glob
import itertools
import operator
import os
import shutil
import signal
import sys
import tempfile
import time

import echo
import guest
import lab
import marks
import page
import results
import silence
from engine import FAILURES, OTHER
from qemu_engine import QemuEngine
from tagalong_engine import TagalongEngine

BASELINE_S = 3  # of replies, and of the guest's own work, before each move
BASE_SEED = 1000
TOUCHED = 5 << 29  # bytes: the largest guest on both hosts, and xbzrle's cache
SLOW_LINK, SLOW_RUNS = "25mbit-40ms", 3

# The same for all. No engine shall be held back by QEMU's default of 128 MiB/s.
LIMITS = {"max_bandwidth": 10 << 30, "downtime_limit_ms": 20}


def limits_of(link):
    """A blackout has round trips in it: two of them more where the link has any to speak of."""
    rtt_ms = (lab.LINKS[link] or {}).get("rtt_ms", 0)
    return {**LIMITS, "downtime_limit_ms": LIMITS["downtime_limit_ms"] + 2 * rtt_ms}


# Build folder, whether hosts keep what has left, what all engines want. Ours first: its QEMU is
# started by a daemon, and would find no processor beside the peers' guests that boot by then.
ENGINES = {
    "tagalong": lambda build, keeps, *common: TagalongEngine(*common, build=build, keeps=keeps),
    "qemu": lambda _build, _keeps, *common: QemuEngine(*common),
    "qemu-multifd": lambda _build, _keeps, *common: QemuEngine(*common, multifd="none"),
    "qemu-multifd-zstd": lambda _build, _keeps, *common: QemuEngine(*common, multifd="zstd"),
    "qemu-xbzrle": lambda _build, _keeps, *common: QemuEngine(*common, xbzrle=True),
}

KEY = ("scenario", "link", "engine", "encrypted", "run")
GROUP = ("scenario", "link", "encrypted", "engine")
TOGETHER = operator.itemgetter("scenario", "link", "encrypted")  # one boot for all runs of these
COLUMNS = {
    "total_s": "{:.2f}".format,
    "blackout_ms": "{:.1f}".format,
    "stop_to_resume_ms": "{:.1f}".format,
    "start_stall_ms": "{:.0f}".format,
    "qemu_downtime_ms": "{:.0f}".format,
    "wire_bytes": lambda value: f"{value / 1e6:.1f} MB",
    "cpu_s_source": "{:.2f}".format,
    "cpu_s_destination": "{:.2f}".format,
    "cpu_s_net": "{:.2f}".format,
    "guest_ops_per_s": "{:.0f}".format,
    "memory_source": lambda value: f"{value / 1e6:.0f} MB",
    "memory_destination": lambda value: f"{value / 1e6:.0f} MB",
    "tail_bytes": "{:.0f}".format,
    "rounds": "{:.0f}".format,
    "order_s": "{:.2f}".format,
}


def own_cost(moved, elapsed_s, guest_rate):
    """Of the processor time of both ends, what is the guest's own: what it took a second before
    the move, for as long as it ran; the rest is the move's."""
    ran_s = elapsed_s - moved.get("stop_to_resume_ms", 0) / 1e3
    both = moved["cpu_s_source"] + moved["cpu_s_destination"]
    return {"cpu_s_guest": round(guest_rate * ran_s, 3),
            "cpu_s_net": round(both - guest_rate * ran_s, 3)}


class Bench:
    """Each engine's guest is booted once and goes to and fro. Engines take turns, and the
    guests that have none stand still."""

    def __init__(self, build, network):
        self.build = build
        self.network = network
        self.alone = lab.Alone(os.environ)
        self.engines = {}
        self.seats = {}

    def measure(self, wanted):
        """Rows of one scenario, link and encryption: yields each when it is finished."""
        try:
            for _, round_of in itertools.groupby(wanted, lambda row: row["run"]):
                rows = list(round_of)
                missing = [row for row in rows if row["engine"] not in self.engines]
                failed = {}
                if missing:
                    self.alone.take()
                    failed = self._boot(missing)
                self._age(rows[0]["scenario"])
                self.alone.take()
                for row in rows:
                    yield failed.get(row["engine"]) or self._turn(row)
        finally:
            for name in list(self.seats):
                self._end(name)

    def _end(self, name):
        engine = self.engines.pop(name, None)
        if engine:
            engine.end()
            shutil.rmtree(engine.directory)
        self.seats.pop(name).remove()

    def _fail(self, row, error):
        """What a failed run said goes beside the results, and its guest is given up."""
        kept = f"{self.build}/bench/failed/{'-'.join(str(row[field]) for field in KEY)}"
        directory = self.engines[row["engine"]].directory
        for log in glob.glob(f"{directory}/**/*.log", recursive=True):
            copy = f"{kept}/{os.path.relpath(log, directory)}"
            os.makedirs(os.path.dirname(copy), exist_ok=True)
            shutil.copyfile(log, copy)
        self._end(row["engine"])
        return {**row, "outcome": f"failed: {error}"}

    def _boot(self, rows):
        """The guests run, all at once, and the hosts have what the scenario wants them to have.
        How that came there is not what is measured. Returns the rows of those that failed."""
        failed = {}
        self.network.shape("unshaped")
        for step in (self._start, self._come_up):
            for row in rows:
                if row["engine"] not in failed:
                    try:
                        step(row)
                    except FAILURES as error:
                        failed[row["engine"]] = self._fail(row, error)
        self.network.shape(rows[0]["link"])
        return failed

    def _start(self, row):
        scenario, link, name = row["scenario"], row["link"], row["engine"]
        settings, machine = guest.SCENARIOS[scenario], guest.boot_of(scenario, self.build)
        seat = self.seats[name] = lab.Seat(self.network, list(ENGINES).index(name))
        engine = self.engines[name] = ENGINES[name](
            self.build, "away_s" in settings, seat, tempfile.mkdtemp(prefix="tagalong-bench-"),
            limits_of(link), row["encrypted"])
        if settings.get("base"):
            engine.install_base(machine, guest.cmdline(scenario, link, BASE_SEED, seat.address))
        engine.start(machine, guest.cmdline(scenario, link, row["run"] + 1, seat.address))

    def _come_up(self, row):
        engine, machine = self.engines[row["engine"]], guest.machine_of(row["scenario"])
        engine.console("a").wait_up(machine["up_s"])
        if "away_s" in guest.SCENARIOS[row["scenario"]]:
            engine.move()
            engine.tidy()
        engine.stand_still()

    def _age(self, scenario):
        """The guests live where they are before the way back."""
        away_s = guest.SCENARIOS[scenario].get("away_s")
        if away_s:
            self.alone.leave()
            for engine in self.engines.values():
                engine.go_on()
            time.sleep(away_s)
            for engine in self.engines.values():
                engine.stand_still()

    def _turn(self, wanted):
        """One move. Returns the whole row. A guest that was cut, or is not what it was, is given
        up: the next round boots another one."""
        name = wanted["engine"]
        engine = self.engines[name]
        try:
            engine.go_on()
            row = {**wanted, "outcome": "completed", **self._move(engine)}
            if row["outcome"] != "completed":
                self._end(name)
                return row
            if guest.is_debian(row["scenario"]):
                guest.verify_whole(self.network.client, engine.seat.address)
            engine.tidy()
            engine.stand_still()
            return row
        except FAILURES as error:
            return self._fail(wanted, error)

    def _counters(self, cgroups, source):
        return {"wire_bytes": self.network.wire_bytes(),
                "cpu_s_source": cgroups[source].cpu_seconds(),
                "cpu_s_destination": cgroups[OTHER[source]].cpu_seconds()}

    @staticmethod
    def _guest_rate(cgroup):
        """Processor time a second of a host on which nothing moves."""
        begin, before = time.monotonic(), cgroup.cpu_seconds()
        time.sleep(BASELINE_S)
        return (cgroup.cpu_seconds() - before) / (time.monotonic() - begin)

    def _run_order(self, engine):
        """The move, and what it took. A move that takes too long is cut."""
        source, cgroups = engine.side, engine.seat.cgroups
        guest_rate = self._guest_rate(cgroups[source])
        lab.touch_memory(TOUCHED)
        peaks = {end: lab.PeakMemory(pid) for end, pid in
                 (("source", engine.memory_pid(source)),
                  ("destination", engine.memory_pid(OTHER[source]))) if pid}
        work, begin = engine.console(source).report(), time.time()
        before = self._counters(cgroups, source)
        try:
            moved = engine.move()
        except lab.MoveTimeout:
            moved = {"outcome": "timeout", "total_s": float(lab.MOVE_TIMEOUT_S)}
        finally:
            for peak in peaks.values():
                peak.end()
        after, elapsed_s = self._counters(cgroups, source), time.time() - begin
        moved.update({name: round(after[name] - before[name], 3) for name in before})
        moved.update(own_cost(moved, elapsed_s, guest_rate))
        for end in ("source", "destination"):
            moved[f"memory_{end}"] = engine.own_memory(peaks[end]) if end in peaks else None
        return moved, work, begin

    def _move(self, engine):
        """The row's figures. Those that only a move that has ended has are not there else."""
        replies = f"{engine.directory}/replies"
        with echo.Client(self.build, engine.seat, replies):
            moved, work, begin = self._run_order(engine)
        if moved.get("outcome") == "timeout":
            return moved
        console = engine.console(engine.side)
        mark = console.wait(lambda report: True, "a report from the moved guest", 30)
        moved["guest_ops_per_s"] = round((mark["ops"] - work["ops"]) / (time.time() - begin))
        console.wait_verified(mark)
        instants = [moved.pop(name) for name in ("started", "stopped", "resumed")]
        return {**moved, **silence.measure(silence.read_replies(replies), *instants)}


def plan(only, runs):
    """All rows that are wanted; engines take turns, so that whatever else the
    machine does meets them all alike."""
    parts = [dict(zip(("scenario", "link", "engine"), part.split("/"))) for part in only.split()]
    wanted = []
    for scenario, settings in guest.SCENARIOS.items():
        for link, encrypted in itertools.product(settings["links"], (False, True)):
            often = min(runs, SLOW_RUNS) if link == SLOW_LINK else runs
            if encrypted:
                often = min(often, max(2, runs // 3)) if settings.get("encrypted") else 0
            for run, engine in itertools.product(range(often), ENGINES):
                row = dict(zip(KEY, (scenario, link, engine, encrypted, run)))
                if not parts or any(part.items() <= row.items() for part in parts):
                    wanted.append(row)
    if not wanted:
        sys.exit(f"bench-migration: ONLY={only} names nothing; scenarios: "
                 f"{' '.join(guest.SCENARIOS)}, links: {' '.join(lab.LINKS)}, "
                 f"engines: {' '.join(ENGINES)}")
    return wanted


def describe(row):
    if row["outcome"] != "completed":
        return row["outcome"]
    return "  ".join(f"{name} {form(row[name])}" for name, form in COLUMNS.items()
                     if row.get(name) is not None)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, help="the build folder")
    build = os.path.abspath(parser.parse_args().build)
    only, runs = os.environ.get("ONLY", ""), int(os.environ.get("RUNS", "5"))
    wanted = plan(only, runs)
    settings = {"runs": runs, "only": only, "limits": LIMITS, "machines": guest.MACHINES,
                "scenarios": guest.SCENARIOS}
    rows = results.Rows(f"{build}/bench/migration.json", KEY, settings)
    if rows.resumed:
        print(f"going on after {len(rows.rows)} of {len(wanted)} runs", flush=True)
    lab.prefer([os.getpid()])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with lab.Lab(build) as network:
            bench = Bench(build, network)
            left = [row for row in wanted if not rows.has(row)]
            for _, part in itertools.groupby(left, TOGETHER):
                for done in bench.measure(list(part)):
                    rows.add(done)
                    name = "/".join(done[field] for field in ("scenario", "link", "engine"))
                    name += " encrypted" if done["encrypted"] else ""
                    print(f"[{len(rows.rows)}/{len(wanted)}] {name}: {describe(done)}", flush=True)
    except lab.LabError as error:
        sys.exit(f"bench-migration: {error}")
    except KeyboardInterrupt:
        sys.exit("bench-migration: interrupted; run again to go on")
    measured = {rows.key(row) for row in wanted}
    everything = rows.earlier(lambda row: rows.key(row) not in measured) + rows.rows
    found = marks.find(everything)
    rows.finish(everything, found)
    page.write(f"{build}/bench/migration.html", everything, found)
    print(results.table(everything, COLUMNS, GROUP))
    print(results.marks_table(found))
    print(f"written: {rows.path} and {build}/bench/migration.html")
    sys.exit(0 if all(entry["holds"] for entry in found) else 1)


if __name__ == "__main__":
    main()
