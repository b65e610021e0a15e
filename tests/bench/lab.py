# SPDX-License-Identifier: Apache-2.0
"""Two hosts and a client: network namespaces, a shaped link, cgroups.

    client ── bridge ──┬── access veth ── bridge of host a ── taps of the guests
                       └── access veth ── bridge of host b ── taps of the guests
    host a ── migration veth (shaped, counted) ── host b
"""

import contextlib
import ctypes
import fcntl
import json
import mmap
import os
import signal
import socket
import subprocess
import threading
import time

CLONE_NEWNET = 0x40000000
MADV_POPULATE_WRITE = 23
BRIDGE = "br0"
LINK = "mig0"
ADDRESSES = {"a": "10.98.0.1", "b": "10.98.0.2"}
CLIENT_ADDRESS = "10.99.0.1/24"

# Bits a second; either a bucket that holds a few of the largest packets, or the round trip in
# ms: then the project's own link emulator carries the frames.
LINKS = {
    "unshaped": None,
    "1gbit": {"bits": 1000000000, "burst": "128kb"},
    "200mbit": {"bits": 200000000, "burst": "64kb"},
    "200mbit-20ms": {"bits": 200000000, "rtt_ms": 20},
    "25mbit-40ms": {"bits": 25000000, "rtt_ms": 40},
}


# A move that takes longer is cut, and its row says so.
MOVE_TIMEOUT_S = 120


class LabError(Exception):
    """The machine lacks something that the lab needs."""


class MoveTimeout(Exception):
    """A move did not end in MOVE_TIMEOUT_S."""


def run(*command):
    """Runs a command; its complaint is the error."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def cgroup2_root():
    """Where cgroup2 is mounted: /sys/fs/cgroup, or beside the old hierarchies."""
    with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
        for line in mounts:
            fields = line.split()
            if fields[fields.index("-") + 1] == "cgroup2":
                return fields[4]
    raise LabError("no cgroup2 is mounted: processor time cannot be counted")


LEAVE_S = 60  # until a process that was killed is gone, on a machine that has much to do


def remove_cgroup(path):
    """A process that has been killed takes a moment to leave."""
    deadline = time.monotonic() + LEAVE_S
    while True:
        try:
            os.rmdir(path)
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


class Cgroup:
    """Everything that one guest costs a host, for its processor time."""

    def __init__(self, path):
        self.path = path
        try:
            os.makedirs(path)
        except OSError as error:
            raise LabError(f"cannot make a cgroup: {error}") from error

    def join(self):
        """For preexec_fn."""
        with open(f"{self.path}/cgroup.procs", "w", encoding="utf-8") as procs:
            procs.write(str(os.getpid()))

    def cpu_seconds(self):
        with open(f"{self.path}/cpu.stat", encoding="utf-8") as stat:
            fields = dict(line.split() for line in stat)
        return int(fields["usage_usec"]) / 1e6

    def processes(self):
        found = []
        for directory, _, _ in os.walk(self.path):
            with open(f"{directory}/cgroup.procs", encoding="utf-8") as procs:
                found += [int(line) for line in procs]
        return found

    def kill(self):
        """Ends whatever is left inside, and waits for it."""
        deadline = time.monotonic() + LEAVE_S
        while (left := self.processes()) and time.monotonic() < deadline:
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(0.05)

    def remove(self):
        self.kill()
        for directory, _, _ in os.walk(self.path, topdown=False):
            remove_cgroup(directory)


PREFER = bool(os.environ.get("PREFER"))


def prefer(pids):
    """With PREFER in the environment: processes, with all their threads, go before whatever else
    the machine does. The scheduler weighs sessions, not processes, where it groups
    them (autogroup); daemons and the guests that they start have their own."""
    for pid in pids if PREFER else ():
        try:
            for thread in os.listdir(f"/proc/{pid}/task"):
                os.setpriority(os.PRIO_PROCESS, int(thread), -20)
            with open(f"/proc/{pid}/autogroup", "w", encoding="ascii") as autogroup:
                autogroup.write("-20")
        except OSError:
            pass  # gone, or a kernel without it


class Alone:
    """The LOCK files of the environment, which other work on this machine takes, too. They are
    held for HOLD seconds and what is then begun; after that the machine is others' for REST."""

    def __init__(self, environment):
        self.paths = environment.get("LOCK", "").split()
        self.hold_s = float(environment.get("HOLD", "0"))
        self.rest_s = float(environment.get("REST", "0"))
        self.held, self.until = contextlib.ExitStack(), 0.0

    def take(self):
        """Before each piece of work that cannot be interrupted."""
        if time.monotonic() < self.until:
            return
        if self.until:
            self.leave()
            time.sleep(self.rest_s)
        for path in self.paths:
            fcntl.flock(self.held.enter_context(open(path, "ab")), fcntl.LOCK_EX)
        self.until = time.monotonic() + self.hold_s

    def leave(self):
        self.held.close()
        self.until = 0.0


def available_memory():
    with open("/proc/meminfo", encoding="ascii") as meminfo:
        for line in meminfo:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    raise LabError("/proc/meminfo does not tell what is available")


def touch_memory(size):
    """The kernel's next free pages are such as were in use a moment ago. On a virtual machine
    others may first have to come from its hypervisor, which takes seconds a GiB where that gets
    free ones back (free page reporting), and is no engine's doing."""
    size = min(size, available_memory() // 2) & -mmap.PAGESIZE
    with mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory.madvise(mmap.MADV_HUGEPAGE)
        memory.madvise(MADV_POPULATE_WRITE)


class Host:
    """One network namespace."""

    def __init__(self, lab, side):
        self.side = side
        self.namespace = f"{lab.name}{side}"
        self.address = ADDRESSES.get(side)
        run("ip", "netns", "add", self.namespace)
        self.ip("link", "set", "lo", "up")

    def ip(self, *arguments):
        return run("ip", "-n", self.namespace, *arguments)

    def popen(self, command, **options):
        """Starts a process inside the host."""
        return subprocess.Popen(["ip", "netns", "exec", self.namespace, *command],
                                stdin=subprocess.DEVNULL, **options)

    def connect(self, port, address="127.0.0.1"):
        """A TCP connection from the host: to its own loopback, or elsewhere."""
        result = []

        def inside():
            libc = ctypes.CDLL(None, use_errno=True)
            with open(f"/run/netns/{self.namespace}", "rb") as namespace:
                if libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
                    result.append(OSError(ctypes.get_errno(), "setns"))
                    return
            try:
                result.append(socket.create_connection((address, port), timeout=10))
            except OSError as error:
                result.append(error)

        # A thread of its own: the namespace is a thread's property, and a
        # socket keeps the one that it was made in.
        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
        if isinstance(result[0], Exception):
            raise result[0]
        return result[0]

    def remove(self):
        run("ip", "netns", "del", self.namespace)


class Seat:
    """What one of several guests has to itself on both hosts: a tap, addresses, cgroups."""

    def __init__(self, network, number):
        self.hosts = network.hosts
        self.client = network.client
        self.name = f"{network.name}-{number}"
        self.tap = f"seat{number}"
        self.address = f"10.99.0.{5 + number}"
        self.mac = f"52:54:00:99:00:{5 + number:02x}"
        self.cgroups = {}
        for side in ADDRESSES:
            self.cgroups[side] = Cgroup(f"{network.cgroup}/{side}{number}")
            self.hosts[side].ip("tuntap", "add", "dev", self.tap, "mode", "tap")
            self.hosts[side].ip("link", "set", self.tap, "master", BRIDGE, "up")

    def popen(self, side, command, **options):
        """Starts a process inside a host, on the bill of this seat."""
        return self.hosts[side].popen(command, preexec_fn=self.cgroups[side].join, **options)

    def remove(self):
        """And whatever is left of it."""
        for side, cgroup in self.cgroups.items():
            cgroup.remove()
            self.hosts[side].ip("link", "del", self.tap)


class PeakMemory:
    """The anonymous memory of a process, sampled: what it was, and the most that it became."""

    def __init__(self, pid):
        self.path = f"/proc/{pid}/status"
        self.first = self.most = self._read()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._sample)
        self.thread.start()

    def _read(self):
        try:
            with open(self.path, encoding="ascii") as status:
                for line in status:
                    if line.startswith("RssAnon:"):
                        return int(line.split()[1]) << 10
        except (FileNotFoundError, ProcessLookupError):
            pass
        return 0

    def _sample(self):
        while not self.ended.wait(0.1):
            self.most = max(self.most, self._read())

    def end(self):
        self.ended.set()
        self.thread.join()


class Lab:
    """Use as a context manager: it leaves nothing behind."""

    def __init__(self, build):
        self.build = build
        self.emulator = None
        self.name = f"tagbench{os.getpid()}"
        self.cgroup = f"{cgroup2_root()}/{self.name}"
        self.hosts = {}

    def __enter__(self):
        try:
            os.makedirs(self.cgroup, exist_ok=True)
            for side in ("a", "b", "c"):
                self.hosts[side] = Host(self, side)
            self._make_bridges()
        except (LabError, OSError) as error:
            self.__exit__(None, None, None)
            raise LabError(f"cannot make the test network: {error}") from error
        return self

    def __exit__(self, *_):
        self._end_emulator()
        for host in self.hosts.values():
            host.remove()
        self.hosts = {}
        if os.path.isdir(self.cgroup):
            remove_cgroup(self.cgroup)

    @property
    def client(self):
        return self.hosts["c"]

    def _make_bridges(self):
        for host in self.hosts.values():
            host.ip("link", "add", BRIDGE, "type", "bridge", "stp_state", "0",
                    "forward_delay", "0", "mcast_snooping", "0")
            host.ip("link", "set", BRIDGE, "up")
        self.client.ip("addr", "add", CLIENT_ADDRESS, "dev", BRIDGE)
        for side in ("a", "b"):
            host = self.hosts[side]
            self.client.ip("link", "add", f"to-{side}", "type", "veth", "peer", "name", "access",
                           "netns", host.namespace)
            self.client.ip("link", "set", f"to-{side}", "master", BRIDGE, "up")
            host.ip("link", "set", "access", "master", BRIDGE, "up")

    def _end_emulator(self):
        if self.emulator:
            self.emulator.communicate()
            self.emulator = None

    def _emulate(self, settings):
        """The taps go with it."""
        command = [f"{self.build}/tests/bench/delay-link", self.hosts["a"].namespace,
                   self.hosts["b"].namespace, LINK, str(settings["bits"]),
                   str(settings["rtt_ms"] // 2)]
        self.emulator = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self.emulator.stdout.readline() != b"ready\n":
            raise LabError(f"{' '.join(command)} does not start")
        prefer([self.emulator.pid])

    def shape(self, link):
        """Makes the migration link anew, alike both ways."""
        a, b = self.hosts["a"], self.hosts["b"]
        settings = LINKS[link] or {}
        self._end_emulator()
        subprocess.run(["ip", "-n", a.namespace, "link", "del", LINK], stderr=subprocess.DEVNULL,
                       check=False)
        if "rtt_ms" in settings:
            self._emulate(settings)
        else:
            a.ip("link", "add", LINK, "type", "veth", "peer", "name", LINK, "netns", b.namespace)
        for host in (a, b):
            host.ip("addr", "add", f"{host.address}/30", "dev", LINK)
            host.ip("link", "set", LINK, "up")
            if "burst" in settings:
                run("tc", "-n", host.namespace, "qdisc", "add", "dev", LINK, "root", "tbf",
                    "rate", str(settings["bits"]), "burst", settings["burst"], "latency", "20ms")

    def wire_bytes(self):
        """What the migration link has carried, both ways, by the interface's counters."""
        stats = json.loads(self.hosts["a"].ip("-j", "-s", "link", "show", LINK))[0]["stats64"]
        return stats["rx"]["bytes"] + stats["tx"]["bytes"]
