# SPDX-License-Identifier: Apache-2.0
"""What QEMU itself takes from stop to run, with no network in between: an idle guest, by a socket of
the machine."""

import guest
from qemu_engine import QemuEngine

SCENARIO = "floor"
MOVES = 10
LIMITS = {"max_bandwidth": 10 << 30, "downtime_limit_ms": 20}


class LocalQemu(QemuEngine):
    def address(self):
        return f"unix:{self.directory}/migration"


def measure(bench):
    for number in range(MOVES):
        row = {"scenario": SCENARIO, "number": number}
        if bench.rows.has(row):
            continue
        bench.check_time()

        def one(engine, _directory, row=row):
            machine = bench.machine("idle")
            engine.start(machine, guest.cmdline("idle", "unshaped", row["number"] + 1))
            engine.console("a").wait_up(machine["up_s"])
            moved = engine.move()
            bench.add(row | {"outcome": "completed",
                             "stop_to_resume_ms": moved["stop_to_resume_ms"],
                             "total_s": moved["total_s"]})

        bench.with_engine(row, lambda directory: LocalQemu(bench.network, directory, LIMITS, False),
                          one)
