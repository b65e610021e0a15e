# SPDX-License-Identifier: Apache-2.0
"""What a client outside noticed of a move: gaps between the replies of an echo."""

import statistics

# Trap of emulated guests: their first dirty sync walks all pages. It comes at
# once, so what happens later is not it.
STALL_WINDOW_S = 2.0


def read_replies(path):
    """Arrival times in seconds UTC, ascending, from echo-client's output."""
    with open(path, encoding="ascii") as lines:
        return sorted(int(line.split()[2]) / 1e9 for line in lines)


def normal_interval(replies, before):
    """The usual distance of two replies, from those before an instant."""
    times = [t for t in replies if t < before]
    if len(times) < 100:
        raise ValueError("too few replies before the move")
    return statistics.median(b - a for a, b in zip(times, times[1:]))


def longest_gap(replies, begin, end):
    """The longest silence of which a part lies between two instants."""
    longest = 0.0
    for a, b in zip(replies, replies[1:]):
        if b >= begin and a <= end:
            longest = max(longest, b - a)
    return longest


def measure(replies, started, stopped, resumed):
    """blackout_ms and start_stall_ms, each less the normal interval."""
    usual = normal_interval(replies, started)
    blackout = longest_gap(replies, stopped, resumed)
    stall = longest_gap([t for t in replies if t < stopped], started, started + STALL_WINDOW_S)
    return {"blackout_ms": round(max(0.0, blackout - usual) * 1e3, 2),
            "start_stall_ms": round(max(0.0, stall - usual) * 1e3, 2)}
