# SPDX-License-Identifier: Apache-2.0
"""What a client outside noticed of a cut-over: probes of an echo that were lost, out of order, or
late. See echo-client.c for the lines."""

import bisect
import time

import silence

PORT = "7"
INTERVAL_US = "1000"
AFTER_S = 0.7
# A probe is on its way, and in the guest's queue, for a moment: it may have been sent so long
# before the stop and be lost with it.
ON_ITS_WAY_S = 0.003


class Client:
    """The echo of a seat's guest, while something moves; use as a context manager. The replies are
    in the file `path` at its end."""

    def __init__(self, build, seat, path):
        self.command = [f"{build}/tests/bench/echo-client", seat.address, PORT, INTERVAL_US]
        self.client = seat.client
        self.path = path
        self.process = None

    def __enter__(self):
        with open(self.path, "wb") as output:
            self.process = self.client.popen(self.command, stdout=output)
        return self

    def __exit__(self, *_):
        time.sleep(AFTER_S)
        self.process.terminate()
        self.process.wait()


def read_replies(path):
    """(number, sent, received) in the order in which they came; seconds UTC."""
    with open(path, encoding="ascii") as lines:
        words = [line.split() for line in lines]
    return [(int(n), int(sent) / 1e9, int(came) / 1e9) for n, sent, came in words]


def lost_probes(replies):
    """When each probe was sent, about, that lies between two others and has no reply."""
    sent = sorted((number, at) for number, at, _ in replies)
    lost = []
    for (a, at), (b, until) in zip(sent, sent[1:]):
        lost += [at + (until - at) * (n - a) / (b - a) for n in range(a + 1, b)]
    return lost


def between(instants, begin, end):
    return max(0, bisect.bisect_right(instants, end) - bisect.bisect_left(instants, begin))


def measure(replies, started, stopped, resumed):
    """lost, of those lost_start in the start's stall, and lost_beside that and the blackout;
    reordered; gap_ms, the longest silence that has a part between STOP and RESUME, less the usual
    interval."""
    came = [at for _, _, at in replies]
    usual = silence.normal_interval(came, started)
    numbers, highest, reordered = [number for number, _, _ in replies], -1, 0
    for number in numbers:
        reordered += number <= highest
        highest = max(highest, number)
    lost = lost_probes(replies)
    within = between(lost, stopped - ON_ITS_WAY_S, resumed)
    at_start = between(lost, started, min(started + silence.STALL_WINDOW_S, stopped - ON_ITS_WAY_S))
    gap = silence.longest_gap(sorted(came), stopped, resumed)
    return {"lost": len(lost), "lost_start": at_start,
            "lost_beside": len(lost) - within - at_start, "reordered": reordered,
            "gap_ms": round(max(0.0, gap - usual) * 1e3, 2)}
