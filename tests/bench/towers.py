# SPDX-License-Identifier: Apache-2.0
"""One guest that moves back and forth between two hosts, as often as is wanted."""

import json
import os
import threading
import time

import echo
import guest
import lab
import predictions
from tagalong_engine import VM, WATCH_PORT, TagalongEngine

GONE_S = 20  # QEMU at the host that the guest has left


class Towers(TagalongEngine):
    """`cold`: a host keeps nothing of a guest that has left it."""

    def __init__(self, network, directory, promise_ms, build, cold):
        super().__init__(network, directory, {"downtime_limit_ms": promise_ms}, False, build)
        self.at = "a"
        if cold:
            self.node_settings = {"image_budget": 0}

    def _wait_gone(self, side):
        """The monitor's port is free again."""
        monitor = self.monitors.pop(side, None)
        if monitor:
            monitor.close()
        deadline = time.monotonic() + GONE_S
        while True:
            try:
                self.network.hosts[side].connect(WATCH_PORT).close()
            except OSError:
                return
            if time.monotonic() > deadline:
                raise guest.GuestError(f"QEMU on host {side} has not gone")
            time.sleep(0.05)

    def live_console(self):
        return self.console(self.at)

    def there_and_back(self):
        """The move to wherever the guest is not; the row's figures and the instants."""
        there = "b" if self.at == "a" else "a"
        self._wait_gone(there)
        moved = self.move(back=there == "a")
        self.at = there
        return moved


class Step(threading.Thread):
    """Another rate of the link, a while after now."""

    def __init__(self, network, link, seconds):
        super().__init__()
        self.network, self.settings, self.seconds = network, lab.LINKS[link], seconds

    def run(self):
        time.sleep(self.seconds)
        for side in ("a", "b"):
            lab.run("tc", "-n", self.network.hosts[side].namespace, "qdisc", "change", "dev",
                    lab.LINK, "root", "tbf", "rate", str(self.settings["bits"]), "burst",
                    self.settings["burst"], "latency", "20ms")


def measure(engine, directory, kept, step=None):
    """One move with the echo beside it: the row's figures. Its progress goes to the file `kept`."""
    console = engine.live_console()
    console.report()
    client = echo.Client(engine.build, engine.network.client, f"{directory}/replies")
    with client:
        changed = Step(engine.network, *step) if step else None
        if changed:
            changed.start()
        try:
            moved = engine.there_and_back()
        finally:
            if changed:
                changed.join()
    os.makedirs(os.path.dirname(kept), exist_ok=True)
    with open(kept, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in engine.lines)
    if step:
        moved.update(predictions.score(engine.lines, int((step[1] + 2) * 1e9)))
    engine.live_console().wait(lambda report: True, "a report from the moved guest", 30)
    instants = [moved.pop(name) for name in ("started", "stopped", "resumed")]
    return {**moved, **echo.measure(client.replies(), *instants)}
