# SPDX-License-Identifier: Apache-2.0
"""Ten moves at once over 1 Gbit/s: how long they all take, against one after the other; and how long
the one in the foreground takes among them, against alone."""

import json
import subprocess
import time

import guest
import lab
from engine import OTHER
from tagalong_engine import TagalongEngine

SCENARIO = "crowd"
LINK = "1gbit"
GUESTS = 10
ROUNDS = 3
PROMISE_MS = 100
MEMORY_KIB = 131064
GUEST = "tagguest.mem=32M tagguest.rate=64K tagguest.ws=4M tagguest.verify=1M"
FRONT = "vm0"
UP_S = 120  # for one; they boot together
NODE = {"memory": "4G", "vcpus": 32, "qemu": "qemu-system-x86_64"}


class Crowd(TagalongEngine):
    """Guests without a network, of which the daemons' own figures are enough."""

    def __init__(self, *common, build):
        super().__init__(*common, {}, False, build=build, keeps=False)
        self.node_settings = NODE

    def _watch(self, side, seconds):
        lab.prefer(self.seat.cgroups[side].processes())

    def start_all(self, machine):
        for number in range(GUESTS):
            self._start_vm(f"vm{number}", machine | {"memory_kib": MEMORY_KIB},
                           f"console=hvc0 quiet tsc=reliable {GUEST} {guest.COMPRESS} "
                           f"tagguest.seed={number + 1}", networks=[])
        self.monitors = {}
        for number in range(GUESTS):
            self.console("a", f"vm{number}").wait(lambda report: True, "a guest's first report",
                                                  UP_S)

    def _run_at(self, *arguments):
        """A command that ends by itself."""
        return subprocess.Popen(["ip", "netns", "exec", self.seat.hosts["a"].namespace,
                                 *self._migrator(*arguments, "--json")], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def _order(self, name):
        return self._run_at("move", name, OTHER[self.side], "--node", self.side, "--blackout",
                            f"{PROMISE_MS}ms")

    def _raise(self, order):
        """Puts a move first, and waits for nothing."""
        move = json.loads(order.stdout.readline())["move"]
        self._run_at("priority", move, "high", "--node", self.side).communicate()

    @staticmethod
    def _end(order):
        output, complaint = order.communicate(timeout=lab.MOVE_TIMEOUT_S)
        if order.returncode != 0:
            raise guest.GuestError(f"the move failed: {complaint.strip()}")
        return json.loads(output.strip().split("\n")[-1])["elapsed_ns"] / 1e9

    def alone(self):
        took = self._end(self._order(FRONT))
        self.side = OTHER[self.side]
        time.sleep(1)
        self._end(self._order(FRONT))
        self.side = OTHER[self.side]
        return took

    def one_after_the_other(self):
        begin = time.monotonic()
        for number in range(GUESTS):
            self._end(self._order(f"vm{number}"))
        took = time.monotonic() - begin
        self.side = OTHER[self.side]
        return took

    def at_once(self, foreground=False):
        """How long all of them took, and the first one, which is in the foreground or not."""
        begin = time.monotonic()
        orders = [self._order(f"vm{number}") for number in range(GUESTS)]
        if foreground:
            self._raise(orders[0])
        first, *_ = [self._end(order) for order in orders]
        took = time.monotonic() - begin
        self.side = OTHER[self.side]
        return took, first


def _round(engine, _row):
    alone_s = engine.alone()
    serial_s = engine.one_after_the_other()
    time.sleep(2)
    together_s, _ = engine.at_once()
    time.sleep(2)
    _, foreground_s = engine.at_once(foreground=True)
    return {"alone_s": round(alone_s, 3), "serial_s": round(serial_s, 3),
            "together_s": round(together_s, 3), "foreground_s": round(foreground_s, 3)}


def measure(bench):
    def boot(engine, _row):
        bench.network.shape(LINK)
        engine.start_all(guest.boot_of("idle", bench.build))

    bench.measure([{"scenario": SCENARIO, "number": number, "engine": "tagalong"}
                   for number in range(ROUNDS)],
                  lambda *common: Crowd(*common, build=bench.build), boot, _round)
