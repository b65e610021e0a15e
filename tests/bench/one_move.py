# SPDX-License-Identifier: Apache-2.0
"""One move of a guest that goes to and fro, with a client's echo beside it."""

import json
import os
import threading
import time

import echo
import lab
import predictions

BEFORE_S = 1.2  # of replies, for the usual interval


class Step(threading.Thread):
    """Another rate of the link, a while after now."""

    def __init__(self, hosts, link, seconds):
        super().__init__()
        self.hosts, self.settings, self.seconds = hosts, lab.LINKS[link], seconds

    def run(self):
        time.sleep(self.seconds)
        for side in lab.ADDRESSES:
            lab.run("tc", "-n", self.hosts[side].namespace, "qdisc", "change", "dev", lab.LINK,
                    "root", "tbf", "rate", str(self.settings["bits"]), "burst",
                    self.settings["burst"], "latency", "20ms")


def _move(engine, step):
    """A step of the link ends with the move at the earliest."""
    changed = Step(engine.seat.hosts, *step) if step else None
    if changed:
        changed.start()
    try:
        return engine.move()
    finally:
        if changed:
            changed.join()


def measure(engine, kept, step=None):
    """The row's figures. What the move told of its progress goes to the file `kept`."""
    engine.console(engine.side).report()
    replies = f"{engine.directory}/replies"
    with echo.Client(engine.build, engine.seat, replies):
        time.sleep(BEFORE_S)
        moved = _move(engine, step)
    os.makedirs(os.path.dirname(kept), exist_ok=True)
    with open(kept, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in engine.lines)
    if step:
        moved.update(predictions.score(engine.lines, int((step[1] + 2) * 1e9)))
    engine.console(engine.side).wait(lambda report: True, "a report from the moved guest", 30)
    engine.tidy()
    instants = [moved.pop(name) for name in ("started", "stopped", "resumed")]
    return {**moved, **echo.measure(echo.read_replies(replies), *instants)}
