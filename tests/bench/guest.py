# SPDX-License-Identifier: Apache-2.0
"""The guest that every engine moves, and what its console says."""

import re
import time

import lab

# No multiple of 256 KiB: QEMU before 9.0 loses dirty pages of such guests under
# TCG. All engines get the same size.
MEMORY_KIB = 524280

# Compresses as the memory of a used Debian guest does: 1.93 by LZ4 (pages of
# 4 KiB), about 2.9 by zstd.
COMPRESS = "tagguest.compress=1.93 tagguest.bits=5"

# What migratord keeps of pages that come again, by default (migratord(5)).
SHADOW_BYTES = 64 << 20

SCENARIOS = {
    # 160 MiB in use, little of it changing.
    "idle": {"mem": "160M", "rate": "1M", "ws": "8M", "marks": "plain",
             "links": ["unshaped", "1gbit", "200mbit", "200mbit-20ms", "25mbit-40ms"]},
    # The same, and 8 MB a second dirtied: a third of the slowest link, so that
    # QEMU's own migration ends, too.
    "busy": {"mem": "160M", "rate": "8M", "ws": "32M", "marks": "plain",
             "links": ["unshaped", "1gbit", "200mbit"]},
    # Dirtied at half the rate of the link.
    "writer": {"mem": "160M", "rate": None, "ws": "32M", "marks": "writer",
               "links": ["1gbit", "200mbit-20ms", "25mbit-40ms"]},
    # Back where it was ten minutes ago. QEMU's own knows no way back: it moves a guest of
    # that age.
    "back": {"mem": "160M", "rate": "256K", "ws": "8M", "marks": "back", "away_s": 600,
             "links": ["200mbit-20ms", "25mbit-40ms"]},
}


def rate_of(scenario, link):
    """Bytes a second, as tagguest takes them."""
    rate = SCENARIOS[scenario]["rate"]
    return rate or f"{lab.LINKS[link]['bits'] // 16 >> 10}K"


def cmdline(scenario, link, seed):
    settings = SCENARIOS[scenario]
    return ("console=hvc0 quiet tsc=reliable "
            f"tagguest.mem={settings['mem']} tagguest.rate={rate_of(scenario, link)} "
            f"tagguest.ws={settings['ws']} tagguest.seed={seed} {COMPRESS} "
            f"tagguest.ip={lab.GUEST_ADDRESS}/24")


class GuestError(Exception):
    """The guest did not come up, or its memory does not verify."""


class Console:
    """Reads a console log; see sim/guest/README.md."""

    def __init__(self, path):
        self.path = path

    def _text(self):
        try:
            with open(self.path, encoding="utf-8", errors="replace") as log:
                return log.read().replace("\r", "")
        except FileNotFoundError:
            return ""

    def report(self):
        """The last whole report as a dictionary, or None."""
        text = self._text()
        wrong = re.search(r"^tagguest (error|fatal) .*|.*(Kernel panic|BUG: ).*", text, re.M)
        if wrong:
            raise GuestError(wrong.group(0))
        reports = re.findall(r"^tagguest report (.*) end$", text, re.M)
        if not reports:
            return None
        report = {key: int(value) for key, value in
                  (word.split("=") for word in reports[-1].split())}
        if report["errors"]:
            raise GuestError(f"{report['errors']} errors")
        return report

    def wait(self, condition, what, seconds):
        deadline = time.monotonic() + seconds
        while True:
            report = self.report()
            if report and condition(report):
                return report
            if time.monotonic() > deadline:
                raise GuestError(f"not within {seconds} s: {what}")
            time.sleep(0.1)

    def wait_up(self):
        return self.wait(lambda r: r["passes"] >= 1, "the first pass over the guest's memory", 90)

    def wait_verified(self, mark):
        """All memory verified since the report `mark`."""
        pages = (mark["mem"] + mark["verify"] * 3 // 2) // 4096
        return self.wait(lambda r: r["verified"] >= mark["verified"] + pages,
                         "a pass over the moved guest's memory", 90)
