# SPDX-License-Identifier: Apache-2.0
"""The guests that every engine moves, and what their consoles say."""

import os
import re
import time

import lab

# No memory is a multiple of 256 KiB: QEMU before 9.0 loses dirty pages of such guests under
# TCG. All engines get the same size.
MACHINES = {
    "pattern": {"memory_kib": 524280, "initrd": "guest/initrd.img", "up_s": 90},
    "debian": {"memory_kib": 1048568, "initrd": "guest-debian/initrd.img", "up_s": 300},
}

# What the Debian guest answers at this port is "whole", or what is wrong.
VERIFY_PORT = 7008
VERIFY_S = 120

# How long a guest lives where it is before its way back.
AWAY_S = int(os.environ.get("AWAY_S", "600"))

# Compresses as the memory of a used Debian guest does: 1.93 by LZ4 (pages of
# 4 KiB), about 2.9 by zstd.
COMPRESS = "tagguest.compress=1.93 tagguest.bits=5"

# What migratord keeps of pages that come again, by default (migratord(5)).
SHADOW_BYTES = 64 << 20

PATTERN = {"machine": "pattern", "mem": "160M", "ws": "32M"}
DEBIAN = {"machine": "debian", "mem": "16M", "rate": "64K", "ws": "4M", "verify": "8M"}

SCENARIOS = {
    # 160 MiB in use, little of it changing.
    "idle": {**PATTERN, "rate": "1M", "ws": "8M", "marks": "plain", "encrypted": True,
             "links": ["unshaped", "1gbit", "200mbit", "200mbit-20ms", "25mbit-40ms"]},
    # The same, and 8 MB a second dirtied: a third of the slowest link, so that
    # QEMU's own migration ends, too.
    "busy": {**PATTERN, "rate": "8M", "marks": "plain", "encrypted": True,
             "links": ["unshaped", "1gbit", "200mbit"]},
    # Dirtied at half the rate of the link.
    "writer": {**PATTERN, "rate": None, "marks": "writer",
               "links": ["1gbit", "200mbit-20ms", "25mbit-40ms"]},
    # A Debian with its services, which has just been booted and has nothing to do.
    "debian": {**DEBIAN, "marks": "debian", "encrypted": True,
               "links": ["unshaped", "1gbit", "200mbit-20ms", "25mbit-40ms"]},
    # The same, and its Redis has much to do.
    "redis": {**DEBIAN, "unit": "redis-load.service", "marks": "load",
              "links": ["1gbit", "200mbit-20ms"]},
    # A host that has the memory of another VM that was booted from the same image.
    "base": {**DEBIAN, "base": True, "marks": "base", "links": ["25mbit-40ms"]},
    # Back where it was ten minutes ago, after normal use. QEMU's own knows no way back: it
    # moves a guest of that age, which has been there, too.
    "back": {**DEBIAN, "unit": "use.service", "marks": "back", "away_s": AWAY_S,
             "links": ["200mbit-20ms", "25mbit-40ms"]},
}


def rate_of(scenario, link):
    """Bytes a second, as tagguest takes them."""
    rate = SCENARIOS[scenario]["rate"]
    return rate or f"{lab.LINKS[link]['bits'] // 16 >> 10}K"


def machine_of(scenario):
    return MACHINES[SCENARIOS[scenario]["machine"]]


def boot_of(scenario, build):
    """The machine, with the paths of what it boots."""
    machine = machine_of(scenario)
    return {**machine, "kernel": f"{build}/guest/vmlinuz", "initrd": f"{build}/{machine['initrd']}"}


def is_debian(scenario):
    return SCENARIOS[scenario]["machine"] == "debian"


def cmdline(scenario, link, seed, address):
    settings = SCENARIOS[scenario]
    words = ["console=hvc0 quiet tsc=reliable net.ifnames=0",
             f"tagguest.mem={settings['mem']} tagguest.rate={rate_of(scenario, link)}",
             f"tagguest.ws={settings['ws']} tagguest.seed={seed} {COMPRESS}",
             f"tagguest.ip={address}/24"]
    if "touch" in settings:
        words.append(f"tagguest.touch={settings['touch']}")
    if "verify" in settings:
        words.append(f"tagguest.verify={settings['verify']}")
    if "unit" in settings:
        words.append(f"systemd.wants={settings['unit']}")
    return " ".join(words)


def verify_whole(client, address):
    """Asks a Debian guest whether all of its files and services are what they were."""
    with client.connect(VERIFY_PORT, address) as connection:
        connection.settimeout(VERIFY_S)
        with connection.makefile("r", errors="replace") as answer:
            said = answer.read().strip()
    if said != "whole":
        raise GuestError(f"it is not whole: {said[-400:]}")


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

    def reports(self):
        """All whole reports as dictionaries."""
        text = self._text()
        wrong = re.search(r"^tagguest (error|fatal) .*|.*(Kernel panic|BUG: ).*", text, re.M)
        if wrong:
            raise GuestError(wrong.group(0))
        reports = [{key: int(value) for key, value in
                    (word.split("=") for word in report.split())}
                   for report in re.findall(r"^tagguest report (.*) end$", text, re.M)]
        if reports and reports[-1]["errors"]:
            raise GuestError(f"{reports[-1]['errors']} errors")
        return reports

    def report(self):
        """The last whole one, or None."""
        reports = self.reports()
        return reports[-1] if reports else None

    def wait(self, condition, what, seconds):
        deadline = time.monotonic() + seconds
        while True:
            report = self.report()
            if report and condition(report):
                return report
            if time.monotonic() > deadline:
                raise GuestError(f"not within {seconds} s: {what}")
            time.sleep(0.1)

    def wait_up(self, seconds):
        return self.wait(lambda r: r["passes"] >= 1, "the first pass over the guest's memory",
                         seconds)

    def wait_verified(self, mark):
        """All memory verified since the report `mark`."""
        pages = (mark["mem"] + mark["verify"] * 3 // 2) // 4096
        return self.wait(lambda r: r["verified"] >= mark["verified"] + pages,
                         "a pass over the moved guest's memory", 90)
