# SPDX-License-Identifier: Apache-2.0
"""What QEMU itself takes from stop to run, with no network in between: an idle guest, by a socket of
the machine."""

from qemu_engine import QemuEngine

SCENARIO = "floor"
GUEST = "idle"
LINK = "unshaped"
MOVES = 10
LIMITS = {"max_bandwidth": 10 << 30, "downtime_limit_ms": 20}


class LocalQemu(QemuEngine):
    def address(self, _there):
        return f"unix:{self.directory}/migration"


def _move(engine, _row):
    moved = engine.move()
    engine.tidy()
    return {name: moved[name] for name in ("stop_to_resume_ms", "total_s")}


def measure(bench):
    bench.measure([{"scenario": SCENARIO, "number": number, "engine": "qemu"}
                   for number in range(MOVES)],
                  lambda *common: LocalQemu(*common, LIMITS, False),
                  lambda engine, row: bench.boot(engine, GUEST, LINK, row["number"] + 1), _move)
