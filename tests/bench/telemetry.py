#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How much telemetry costs and how exact it is; see docs/benchmarks.md."""

import argparse
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import results  # pylint: disable=wrong-import-position

PORT = 8862
CLIENTS = int(os.environ.get("CLIENTS", "100000"))
SOCKETS = int(os.environ.get("SOCKETS", "16000"))
SECONDS = int(os.environ.get("SECONDS", "60"))
# The others take one target at a time or are far slower: they get less, and are
# compared by what one probe costs.
FPING_TARGETS, FPING_PROBES, IRTT_SECONDS = 1000, 10, 10


def run(arguments):
    """Runs a program to its end: (output, seconds of processor time)."""
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True) as child:
        output = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    return child.returncode, output, usage.ru_utime + usage.ru_stime


def lab(program, *arguments):
    """The lines "NAME VALUE" of one measurement."""
    status, output, _ = run([program, *map(str, arguments)])
    if status != 0:
        return {"outcome": f"failed: {output.strip()}"}
    pairs = (line.split() for line in output.splitlines())
    return {"outcome": "completed"} | {name: float(value) for name, value in pairs}


def capacity(program):
    with subprocess.Popen([program, "reflect", str(PORT)]) as reflector:
        time.sleep(0.5)
        row = lab(program, "probe", PORT, CLIENTS, SECONDS)
        reflector.terminate()
    if row["outcome"] == "completed":
        probed = row["sent"] + row["not_sent"]
        row["loss"] = (row["lost"] + row["not_sent"]) / probed if probed else 1
    return row


def fping():
    targets = [f"127.2.{i // 250}.{i % 250 + 1}" for i in range(FPING_TARGETS)]
    status, output, cpu = run(["fping", "-q", "-r", "0", "-i", "0", "-p", "1000", "-c",
                               str(FPING_PROBES), *targets])
    if status != 0:
        return {"outcome": f"failed: {output[-200:].strip()}"}
    return {"outcome": "completed", "sent": FPING_TARGETS * FPING_PROBES,
            "cpu_us_per_probe": cpu * 1e6 / (FPING_TARGETS * FPING_PROBES)}


def irtt():
    with subprocess.Popen(["irtt", "server", "-i", "1ms", "-b", "127.0.0.1:8863"],
                          stdout=subprocess.DEVNULL) as server:
        time.sleep(0.5)
        status, output, cpu = run(["irtt", "client", "-Q", "-i", "1ms", "-d", f"{IRTT_SECONDS}s",
                                   "127.0.0.1:8863"])
        server.terminate()
    if status != 0:
        return {"outcome": f"failed: {output[-200:].strip()}"}
    return {"outcome": "completed", "sent": IRTT_SECONDS * 1000,
            "cpu_us_per_probe": cpu * 1e6 / (IRTT_SECONDS * 1000)}


def sessions(program):
    """A sweep over all sockets, then ss, ours and its wall time, over the same ones."""
    with subprocess.Popen([program, "sessions", str(SOCKETS)], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as child:
        row = {"outcome": "completed"}
        for line in child.stdout:
            name, value = line.split()
            row[name] = float(value)
            if name == "sweep_ms_most":
                break
        begun = time.monotonic()
        status, _, cpu = run(["ss", "-tin"])
        row["ss_ms"], row["ss_cpu_ms"] = (time.monotonic() - begun) * 1e3, cpu * 1e3
        child.stdin.close()
    if child.returncode != 0 or status != 0 or "sweep_ms" not in row:
        row["outcome"] = "failed"
    elif row["samples"] < SOCKETS:
        row["outcome"] = f"failed: only {row['samples']:.0f} clients got a sample"
    return row


def find_marks(rows):
    def of(scenario, field):
        return results.median([row for row in rows if row["scenario"] == scenario], field)

    loss = of("capacity", "loss")
    resident = of("capacity", "resident_bytes")
    return [
        results.mark_at_least("clients at a probe a second", of("capacity", "clients"), "", 100000),
        results.mark_at_least("probes sent a second", of("capacity", "rate_per_s"), "1/s", 99000),
        results.mark("loss", None if loss is None else loss * 100, "%", 0.01),
        results.mark("processor time a probe", of("capacity", "cpu_us_per_probe"), "us", 2.5),
        results.mark("resident", resident and resident / 2**20, "MiB", 64),
        results.mark("histogram: an insert", of("histogram", "insert_ns"), "ns", 8),
        results.mark("histogram: a client", of("histogram", "bytes_per_client"), "B", 512),
        results.mark_at_least("histogram: merges", of("histogram", "merges_per_s"), "1/s", 1e6),
        results.mark("sessions: a sweep of 16,000 sockets", of("sessions", "sweep_ms"), "ms", 8),
        results.mark_at_least("detector: samples to a false alarm",
                              of("detector", "false_alarm_samples"), "", 86400 * 0.95),
        results.mark("detector: samples to a step of 3 deviations", of("detector", "step_samples"),
                     "", 3.5),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default=".", help="the build folder")
    arguments = parser.parse_args()
    runs = int(os.environ.get("RUNS", "1"))
    program = os.path.join(arguments.build, "tests/bench/telemetry-lab")
    scenarios = {
        "histogram": lambda: lab(program, "histogram"),
        "detector": lambda: lab(program, "detector"),
        "sessions": lambda: sessions(program),
        "capacity": lambda: capacity(program),
        "fping": fping,
        "irtt": irtt,
    }
    only = os.environ.get("ONLY", "").split()
    wanted = [name for name in scenarios if not only or name in only]
    rows = results.Rows(os.path.join(arguments.build, "bench", "telemetry.json"),
                        ["scenario", "run"],
                        {"runs": runs, "only": only, "clients": CLIENTS, "seconds": SECONDS})
    for number in range(1, runs + 1):
        for name in wanted:
            if rows.has({"scenario": name, "run": number}):
                continue
            row = {"scenario": name, "run": number} | scenarios[name]()
            rows.add(row)
            print(f"{name} {number}: {row['outcome']}", file=sys.stderr)
    found = rows.rows + rows.earlier(lambda row: row["scenario"] not in wanted)
    marks = find_marks(found)
    rows.finish(found, marks)
    capacities = [row for row in found if "cpu_us_per_probe" in row]
    print(results.table(capacities, {
        "sent": lambda value: f"{value:.0f}",
        "cpu_us_per_probe": lambda value: f"{value:.2f}",
    }, ["scenario"]))
    print(results.marks_table(marks))
    failed = [row for row in found if row["outcome"] != "completed"]
    return 0 if not failed and all(entry["holds"] for entry in marks) else 1


if __name__ == "__main__":
    sys.exit(main())
