#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""bench-migration: the same guest over the same link, moved by tagalong and by
QEMU alone, interleaved, several times. See docs/benchmarks.md.

Environment: ONLY=SCENARIO[/LINK[/ENGINE]] runs a part, RUNS=N sets how often
(default 5; encrypted rows a third of it, at least 2), AWAY_S=N how long a guest is
away before its way back (600), PREFER=1 lets everything that is measured go before
the machine's other work.
"""

import argparse
import glob
import os
import shutil
import signal
import sys
import tempfile
import time

import guest
import lab
import marks
import page
import qmp
import results
import silence
from qemu_engine import QemuEngine
from tagalong_engine import TagalongEngine

ECHO_PORT = "7"
ECHO_INTERVAL_US = "1000"
BASELINE_S = 5  # of replies, and of the guest's own work, before each move
BASE_SEED = 1000
SLOW_LINK, SLOW_RUNS = "25mbit-40ms", 3
AFTER_S = 0.7

# The same for all. No engine shall be held back by QEMU's default of 128 MiB/s.
LIMITS = {"max_bandwidth": 10 << 30, "downtime_limit_ms": 20}


def limits_of(link):
    """A blackout has round trips in it: two of them more where the link has any to speak of."""
    rtt_ms = (lab.LINKS[link] or {}).get("rtt_ms", 0)
    return {**LIMITS, "downtime_limit_ms": LIMITS["downtime_limit_ms"] + 2 * rtt_ms}


ENGINES = {
    "qemu": lambda bench, *common: QemuEngine(*common),
    "qemu-multifd": lambda bench, *common: QemuEngine(*common, multifd="none"),
    "qemu-multifd-zstd": lambda bench, *common: QemuEngine(*common, multifd="zstd"),
    "qemu-xbzrle": lambda bench, *common: QemuEngine(*common, xbzrle=True),
    "tagalong": lambda bench, *common: TagalongEngine(*common, build=bench.build),
}

KEY = ("scenario", "link", "engine", "encrypted", "run")
GROUP = ("scenario", "link", "encrypted", "engine")
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
    def __init__(self, build, network):
        self.build = build
        self.network = network

    def _machine(self, scenario):
        machine = guest.machine_of(scenario)
        return {**machine, "kernel": f"{self.build}/guest/vmlinuz",
                "initrd": f"{self.build}/{machine['initrd']}"}

    def _start(self, engine, row):
        """The guest runs, and the hosts have what the scenario wants them to have."""
        scenario, link = row["scenario"], row["link"]
        machine = self._machine(scenario)
        if guest.SCENARIOS[scenario].get("base"):
            self.network.shape("unshaped")  # how it came there is not what is measured
            engine.install_base(machine, guest.cmdline(scenario, link, BASE_SEED + row["run"]))
        self.network.shape(link)
        engine.start(machine, guest.cmdline(scenario, link, seed=row["run"] + 1))
        engine.console("a").wait_up(machine["up_s"])

    def measure(self, wanted):
        """One run: a fresh guest, one move. Returns the whole row."""
        row = dict(wanted)
        directory = tempfile.mkdtemp(prefix="tagalong-bench-")
        engine = ENGINES[row["engine"]](self, self.network, directory,
                                         limits_of(row["link"]), row["encrypted"])
        try:
            self._start(engine, row)
            row["outcome"] = "completed"
            row.update(self._move(engine, directory, self._age(engine, row["scenario"])))
            if row["outcome"] == "completed" and guest.is_debian(row["scenario"]):
                guest.verify_whole(self.network.client)
        except (guest.GuestError, qmp.QmpError, OSError, ValueError) as error:
            row["outcome"] = f"failed: {error}"
            self._keep_logs(row, directory)
        finally:
            engine.stop()
            for side in ("a", "b"):
                self.network.hosts[side].cgroup.kill()
            shutil.rmtree(directory)
        return row

    def _keep_logs(self, row, directory):
        """What a failed run said goes beside the results."""
        kept = f"{self.build}/bench/failed/{'-'.join(str(row[field]) for field in KEY)}"
        for log in glob.glob(f"{directory}/**/*.log", recursive=True):
            copy = f"{kept}/{os.path.relpath(log, directory)}"
            os.makedirs(os.path.dirname(copy), exist_ok=True)
            shutil.copyfile(log, copy)

    def _age(self, engine, scenario):
        """Whether it is a way back that is to be measured."""
        away_s = guest.SCENARIOS[scenario].get("away_s")
        if not away_s:
            return False
        if engine.live_elsewhere(away_s):
            return True
        time.sleep(away_s)
        return False

    def _counters(self, back):
        hosts = self.network.hosts
        if back:
            hosts = {"a": hosts["b"], "b": hosts["a"]}
        return {"wire_bytes": self.network.wire_bytes(),
                "cpu_s_source": hosts["a"].cgroup.cpu_seconds(),
                "cpu_s_destination": hosts["b"].cgroup.cpu_seconds()}

    def _guest_rate(self, side):
        """Processor time a second of a host on which nothing moves."""
        cgroup = self.network.hosts[side].cgroup
        begin, before = time.monotonic(), cgroup.cpu_seconds()
        time.sleep(BASELINE_S)
        return (cgroup.cpu_seconds() - before) / (time.monotonic() - begin)

    def _run_order(self, engine, back):
        """The move, and what it took. A move that takes too long is cut."""
        ends = ("b", "a") if back else ("a", "b")
        guest_rate = self._guest_rate(ends[0])
        peaks = {end: lab.PeakMemory(pid) for end, pid in
                 zip(("source", "destination"), map(engine.memory_pid, ends)) if pid}
        work, before, begin = engine.console(ends[0]).report(), self._counters(back), time.time()
        try:
            moved = engine.move(back)
        except lab.MoveTimeout:
            moved = {"outcome": "timeout", "total_s": float(lab.MOVE_TIMEOUT_S)}
        finally:
            for peak in peaks.values():
                peak.end()
        after, elapsed_s = self._counters(back), time.time() - begin
        moved.update({name: round(after[name] - before[name], 3) for name in before})
        moved.update(own_cost(moved, elapsed_s, guest_rate))
        for end in ("source", "destination"):
            moved[f"memory_{end}"] = engine.own_memory(peaks[end]) if end in peaks else None
        return moved, work, begin

    def _move(self, engine, directory, back):
        """The row's figures. Those that only a move that has ended has are not there else."""
        replies = f"{directory}/replies"
        with open(replies, "wb") as output:
            client = self.network.client.popen(
                [f"{self.build}/tests/bench/echo-client", lab.GUEST_ADDRESS, ECHO_PORT,
                 ECHO_INTERVAL_US], stdout=output)
            try:
                moved, work, begin = self._run_order(engine, back)
                time.sleep(AFTER_S)
            finally:
                client.terminate()
                client.wait()
        if moved.get("outcome") == "timeout":
            return moved
        console = engine.console("a" if back else "b")
        mark = console.wait(lambda report: True, "a report from the moved guest", 30)
        moved["guest_ops_per_s"] = round((mark["ops"] - work["ops"]) / (time.time() - begin))
        console.wait_verified(mark)
        instants = [moved.pop(name) for name in ("started", "stopped", "resumed")]
        return {**moved, **silence.measure(silence.read_replies(replies), *instants)}


def plan(only, runs):
    """All rows that are wanted; engines take turns, so that whatever else the
    machine does meets them all alike."""
    part = dict(zip(("scenario", "link", "engine"), only.split("/"))) if only else {}
    wanted = []
    for scenario, settings in guest.SCENARIOS.items():
        for link in settings["links"]:
            for run in range(min(runs, SLOW_RUNS) if link == SLOW_LINK else runs):
                for encrypted in (False, True):
                    if encrypted and (not settings.get("encrypted") or run >= max(2, runs // 3)):
                        continue
                    for engine in ENGINES:
                        row = dict(zip(KEY, (scenario, link, engine, encrypted, run)))
                        if all(row[field] == value for field, value in part.items()):
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
            for number, row in enumerate(wanted, 1):
                if rows.has(row):
                    continue
                done = bench.measure(row)
                rows.add(done)
                name = f"{row['scenario']}/{row['link']}/{row['engine']}"
                name += " encrypted" if row["encrypted"] else ""
                print(f"[{number}/{len(wanted)}] {name}: {describe(done)}", flush=True)
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
