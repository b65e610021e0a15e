#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""bench-migration: the same guest over the same link, moved by tagalong and by
QEMU alone, interleaved, several times. See docs/benchmarks.md.

Environment: ONLY=SCENARIO[/LINK[/ENGINE]] runs a part, RUNS=N sets how often
(default 5; encrypted rows a third of it, at least 2), PREFER=1 lets everything
that is measured go before the machine's other work.
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
import qmp
import results
import silence
from qemu_engine import QemuEngine
from tagalong_engine import TagalongEngine

ECHO_PORT = "7"
ECHO_INTERVAL_US = "1000"
BASELINE_S = 1.5
AFTER_S = 0.7

# The same for all. No engine shall be held back by QEMU's default of 128 MiB/s.
LIMITS = {"max_bandwidth": 10 << 30, "downtime_limit_ms": 20}

ENGINES = {
    "qemu": lambda bench, *common: QemuEngine(*common),
    "qemu-multifd-zstd": lambda bench, *common: QemuEngine(*common, multifd=True),
    "tagalong": lambda bench, *common: TagalongEngine(*common, build=bench.build),
}
PLAIN = "qemu"
OURS = "tagalong"

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
    "rounds": "{:.0f}".format,
    "order_s": "{:.2f}".format,
}


class Bench:
    def __init__(self, build, network):
        self.build = build
        self.network = network
        self.kernel = {"vmlinuz": f"{build}/guest/vmlinuz", "initrd": f"{build}/guest/initrd.img"}

    def measure(self, wanted):
        """One run: a fresh guest, one move. Returns the whole row."""
        row = dict(wanted)
        directory = tempfile.mkdtemp(prefix="tagalong-bench-")
        self.network.shape(row["link"])
        engine = ENGINES[row["engine"]](self, self.network, directory, LIMITS, row["encrypted"])
        try:
            engine.start(self.kernel, guest.cmdline(row["scenario"], seed=row["run"] + 1))
            engine.console("a").wait_up()
            row.update(self._move(engine, directory))
            row["outcome"] = "completed"
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

    def _counters(self):
        hosts = self.network.hosts
        return {"wire_bytes": self.network.wire_bytes(),
                "cpu_s_source": hosts["a"].cgroup.cpu_seconds(),
                "cpu_s_destination": hosts["b"].cgroup.cpu_seconds()}

    def _move(self, engine, directory):
        replies = f"{directory}/replies"
        with open(replies, "wb") as output:
            client = self.network.client.popen(
                [f"{self.build}/tests/bench/echo-client", lab.GUEST_ADDRESS, ECHO_PORT,
                 ECHO_INTERVAL_US], stdout=output)
            try:
                time.sleep(BASELINE_S)
                before = self._counters()
                moved = engine.move()
                after = self._counters()
                time.sleep(AFTER_S)
            finally:
                client.terminate()
                client.wait()
        mark = engine.console("b").wait(lambda report: True, "a report from the moved guest", 30)
        engine.console("b").wait_verified(mark)
        instants = [moved.pop(name) for name in ("started", "stopped", "resumed")]
        return {**moved, **silence.measure(silence.read_replies(replies), *instants),
                **{name: round(after[name] - before[name], 3) for name in before}}


def plan(only, runs):
    """All rows that are wanted; engines take turns, so that whatever else the
    machine does meets them all alike."""
    part = dict(zip(("scenario", "link", "engine"), only.split("/"))) if only else {}
    wanted = []
    for scenario in guest.SCENARIOS:
        for link in lab.LINKS:
            for run in range(runs):
                for encrypted in (False, True):
                    if encrypted and run >= max(2, runs // 3):
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


def find_marks(rows):
    """Ours against plain QEMU, both in plain text, by medians."""
    found = [results.mark("runs that failed", sum(row["outcome"] != "completed" for row in rows),
                          "runs", 0)]
    for scenario in guest.SCENARIOS:
        for link in lab.LINKS:
            def side(engine, field):
                return results.median([row for row in rows if not row["encrypted"] and
                                       (row["scenario"], row["link"], row["engine"]) ==
                                       (scenario, link, engine)], field)

            def ratio(field):
                ours, plain = side(OURS, field), side(PLAIN, field)
                return ours / plain if ours is not None and plain else None

            place, shaped = f"{scenario}/{link}", lab.LINKS[link] is not None
            if side(OURS, "total_s") is None and side(PLAIN, "total_s") is None:
                continue
            found.append(results.mark(f"{place} bytes", ratio("wire_bytes"), "× plain", 0.6))
            found.append(results.mark(f"{place} total", ratio("total_s"), "× plain",
                                      1.0 if shaped else 1.2))
            if shaped:
                found.append(results.mark(f"{place} blackout", ratio("blackout_ms"), "× plain", 1.0))
            else:
                ours, plain = side(OURS, "blackout_ms"), side(PLAIN, "blackout_ms")
                found.append(results.mark(f"{place} blackout",
                                          None if ours is None or plain is None else ours - plain,
                                          "ms over plain", 5.0))
    return found


def describe(row):
    if row["outcome"] != "completed":
        return row["outcome"]
    return "  ".join(f"{name} {form(row[name])}" for name, form in COLUMNS.items())


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, help="the build folder")
    build = os.path.abspath(parser.parse_args().build)
    only, runs = os.environ.get("ONLY", ""), int(os.environ.get("RUNS", "5"))
    wanted = plan(only, runs)
    settings = {"runs": runs, "only": only, "limits": LIMITS, "memory_kib": guest.MEMORY_KIB,
                "scenarios": guest.SCENARIOS}
    rows = results.Rows(f"{build}/bench/migration.json", KEY, settings)
    if rows.resumed:
        print(f"going on after {len(rows.rows)} of {len(wanted)} runs", flush=True)
    lab.prefer([os.getpid()])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with lab.Lab() as network:
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
    found = find_marks(everything)
    rows.finish(everything, found)
    print(results.table(everything, COLUMNS, GROUP))
    print(results.marks_table(found))
    print(f"written: {rows.path}")
    sys.exit(0 if all(entry["holds"] for entry in found) else 1)


if __name__ == "__main__":
    main()
