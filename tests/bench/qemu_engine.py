# SPDX-License-Identifier: Apache-2.0
"""QEMU's own migration, as an operator would set it up."""

import os
import secrets
import socket
import subprocess
import time

import guest
import lab
import qmp
from engine import OTHER, Engine

MIGRATION_PORT = 4444


def xbzrle_cache(memory_kib):
    """As large as the guest; QEMU wants a power of two."""
    return 1 << (memory_kib * 1024 - 1).bit_length()


def set_limits(monitor, limits):
    monitor.command("migrate-set-parameters", max_bandwidth=limits["max_bandwidth"],
                    downtime_limit=limits["downtime_limit_ms"])


class QemuEngine(Engine):
    """`multifd` adds two channels with that compression ("none", "zstd"), `xbzrle` a cache as
    large as the guest; `encrypted` adds TLS (a shared key). Each move is to a new QEMU."""

    def __init__(self, *common, multifd=None, xbzrle=False):
        super().__init__(*common)
        self.multifd = multifd
        self.xbzrle = xbzrle
        self.processes = {}
        self.machine = self.cmdline = None
        if self.encrypted:
            self._make_keys()

    def _make_keys(self):
        os.makedirs(f"{self.directory}/tls")
        with open(f"{self.directory}/tls/keys.psk", "w", encoding="ascii") as file:
            file.write(f"qemu:{secrets.token_hex(32)}\n")

    def console(self, side):
        return guest.Console(f"{self.directory}/console-{side}.log")

    def _start_qemu(self, side, arguments):
        monitor = f"{self.directory}/qmp-{side}.sock"
        command = [
            "qemu-system-x86_64", "-M", "pc-q35-7.2", "-accel", "tcg", "-cpu", "qemu64",
            "-smp", "1", "-m", f"{self.machine['memory_kib']}K", "-nodefaults", "-vga", "none",
            "-display", "none", "-no-reboot",
            "-kernel", self.machine["kernel"], "-initrd", self.machine["initrd"],
            "-append", self.cmdline,
            "-device", "virtio-serial-pci",
            "-chardev", f"file,id=console,path={self.directory}/console-{side}.log",
            "-device", "virtconsole,chardev=console",
            "-netdev", f"tap,id=net0,ifname={self.seat.tap},script=no,downscript=no",
            "-device", f"virtio-net-pci,netdev=net0,mac={self.seat.mac}",
            "-qmp", f"unix:{monitor},server=on,wait=off", *arguments]
        if self.encrypted:
            for name, endpoint in (("client", "client,username=qemu"), ("server", "server")):
                command += ["-object", f"tls-creds-psk,id={name},dir={self.directory}/tls,"
                                       f"endpoint={endpoint}"]
        with open(f"{self.directory}/qemu-{side}.log", "wb") as log:
            self.processes[side] = self.seat.popen(side, command, stdout=log, stderr=log)
        lab.prefer(self.seat.cgroups[side].processes())
        self.monitors[side] = self._connect(side, monitor)

    def _connect(self, side, path):
        deadline = time.monotonic() + 20
        while True:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(path)
                return qmp.Qmp(connection)
            except OSError as error:
                connection.close()
                if time.monotonic() > deadline or self.processes[side].poll() is not None:
                    with open(f"{self.directory}/qemu-{side}.log", encoding="utf-8",
                              errors="replace") as text:
                        raise qmp.QmpError(f"QEMU does not start: {text.read()}") from error
                time.sleep(0.05)

    def install_base(self, _machine, _cmdline):
        """It has no use for one."""

    def start(self, machine, cmdline):
        self.machine = machine
        self.cmdline = cmdline
        self._start_qemu("a", [])

    def _prepare(self, side, credentials):
        monitor = self.monitors[side]
        capabilities = ["events"] + (["multifd"] if self.multifd else []) + \
            (["xbzrle"] if self.xbzrle else [])
        monitor.command("migrate-set-capabilities", capabilities=[
            {"capability": name, "state": True} for name in capabilities])
        set_limits(monitor, self.limits)
        if self.multifd:
            monitor.command("migrate-set-parameters", multifd_channels=2,
                            multifd_compression=self.multifd, multifd_zstd_level=1)
        if self.xbzrle:
            monitor.command("migrate-set-parameters",
                            xbzrle_cache_size=xbzrle_cache(self.machine["memory_kib"]))
        if self.encrypted:
            monitor.command("migrate-set-parameters", tls_creds=credentials)
        return monitor

    def memory_pid(self, side):
        """Whose growth is what a move takes; at the target it cannot be told from the guest."""
        return self.processes[side].pid if side == self.side else None

    def own_memory(self, peak):
        return peak.most - peak.first

    def address(self, there):
        """Where the target listens, and the source connects."""
        return f"tcp:{self.seat.hosts[there].address}:{MIGRATION_PORT}"

    def move(self):
        here, there = self.side, OTHER[self.side]
        begin = time.time()
        self._start_qemu(there, ["-incoming", "defer"])
        source, target = self._prepare(here, "client"), self._prepare(there, "server")
        address = self.address(there)
        target.command("migrate-incoming", uri=address)
        started = time.time()
        source.command("migrate", uri=address)
        deadline = time.monotonic() + lab.MOVE_TIMEOUT_S
        while (status := source.command("query-migrate"))["status"] not in ("completed", "failed"):
            if time.monotonic() > deadline:
                raise lab.MoveTimeout
            time.sleep(0.05)
        if status["status"] == "failed":
            raise qmp.QmpError(f"the migration failed: {status.get('error-desc', '')}")
        instants = {"started": started, "stopped": source.event_time("STOP", started),
                    "resumed": target.wait_event("RESUME", started, 10),
                    "completed": source.wait_event("MIGRATION", started, 10, status="completed")}
        return self.arrived(there, begin, instants, {
            "qemu_downtime_ms": status["downtime"], "rounds": status["ram"]["dirty-sync-count"]})

    def tidy(self):
        """What it has left is still there, stopped."""
        self.quit(OTHER[self.side])
        self._reap(OTHER[self.side])

    def _reap(self, side):
        process = self.processes.pop(side, None)
        if not process:
            return
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def end(self):
        for side in OTHER:
            self.quit(side)
        for side in OTHER:
            self._reap(side)
