# SPDX-License-Identifier: Apache-2.0
"""What all engines have: a guest that is at one of two hosts, and a monitor of its QEMU there."""

import guest
import qmp

OTHER = {"a": "b", "b": "a"}

# What makes a run fail, which is not the machine's fault.
FAILURES = (guest.GuestError, qmp.QmpError, OSError, ValueError)


class Engine:
    """Its guest is booted by start() and then moved to the other host by each move(), which
    returns the row's figures and the instants; `side` is where it is. After a move tidy() ends
    what was left behind. end() ends all; nothing else is of use after a move that failed."""

    def __init__(self, seat, directory, limits, encrypted):
        self.seat = seat
        self.directory = directory
        self.limits = limits
        self.encrypted = encrypted
        self.side = "a"
        self.monitors = {}

    def stand_still(self):
        """The guest costs nothing while it is not its turn, and does not notice."""
        self.monitors[self.side].command("stop")

    def go_on(self):
        self.monitors[self.side].command("cont")

    def arrived(self, there, begin, instants, figures):
        """The guest is at the other host: what move() returns."""
        self.side = there
        ended = max(instants["resumed"], instants.pop("completed"))
        return {**instants, **figures,
                "order_s": round(ended - begin, 3),
                "total_s": round(ended - instants["started"], 3),
                "stop_to_resume_ms": round((instants["resumed"] - instants["stopped"]) * 1e3, 2)}

    def quit(self, side):
        """The QEMU of a host ends, if there is one."""
        monitor = self.monitors.pop(side, None)
        if monitor:
            try:
                monitor.command("quit", _timeout=5)
            except qmp.QmpError:
                pass
            monitor.close()
