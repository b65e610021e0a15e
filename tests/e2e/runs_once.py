#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves from the logs of all QEMUs of each VM that never two of them ran it.

usage: runs_once.py VM_DIRECTORY...   (INCARNATION.qemu.log, INCARNATION.console.log)
       runs_once.py --within MICROSECONDS SINCE VM_DIRECTORY

From QEMU's trace event runstate_set it makes the intervals in which each QEMU
was running; no two of different QEMUs may overlap. From the guest's reports it
takes their numbers, which the guest counts in its memory; no number may come
from two consoles, and a later copy goes on where the earlier one stopped.
With --within: whether some copy ran, at SINCE or so much later at the most.
A QEMU whose last word is "running" ran until the end of the test.
"""
import pathlib
import re
import sys

STATE = re.compile(rb"@(\d+)\.(\d+):runstate_set .* new_state \d+ \((\S+)\)")
REPORT = re.compile(rb"^tagguest report .* seq=(\d+) .* end", re.M)


def intervals(path):
    since = None
    for seconds, micros, state in STATE.findall(path.read_bytes()):
        now = int(seconds) * 1_000_000 + int(micros)
        if state == b"running":
            since = now if since is None else since
        elif since is not None:
            yield since, now
            since = None
    if since is not None:
        yield since, 1 << 62


def check_intervals(folder):
    runs = sorted((begin, end, path.name)
                  for path in folder.glob("*.qemu.log") for begin, end in intervals(path))
    for (_, end, first), (begin, _, second) in zip(runs, runs[1:]):
        if begin < end:
            sys.exit(f"{second} began to run {(end - begin) / 1e6:.6f} s before {first} stopped"
                     if end < 1 << 62 else f"{second} ran although {first} never stopped")
    return len(runs)


def check_reports(folder):
    seen = {}
    for path in folder.glob("*.console.log"):
        for number in map(int, REPORT.findall(path.read_bytes().replace(b"\r", b""))):
            if seen.setdefault(number, path.name) != path.name:
                sys.exit(f"report {number} came from {seen[number]} and from {path.name}")
    return len(seen)


def check_within(limit, since, folder):
    begins = [begin for path in folder.glob("*.qemu.log")
              for begin, end in intervals(path) if end >= since]
    if not begins:
        sys.exit("no copy ran any more")
    if min(begins) > since + limit:
        sys.exit(f"the first copy ran after {(min(begins) - since) / 1e6:.3f} s")


def main():
    if sys.argv[1] == "--within":
        check_within(int(sys.argv[2]), int(sys.argv[3]), pathlib.Path(sys.argv[4]))
        return
    folders = [pathlib.Path(argument) for argument in sys.argv[1:]]
    intervals_seen = sum(map(check_intervals, folders))
    reports_seen = sum(map(check_reports, folders))
    if not intervals_seen or not reports_seen:
        sys.exit("no QEMU has traced its run states, or no guest reported: nothing is proven")
    print(f"runs_once: {intervals_seen} intervals, {reports_seen} reports, no overlap")


main()
