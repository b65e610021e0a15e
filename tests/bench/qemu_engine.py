# SPDX-License-Identifier: Apache-2.0
"""QEMU's own migration, as an operator would set it up."""

import os
import secrets
import socket
import time

import guest
import lab
import qmp

MIGRATION_PORT = 4444


def xbzrle_cache(memory_kib):
    """As large as the guest; QEMU wants a power of two."""
    return 1 << (memory_kib * 1024 - 1).bit_length()


def set_limits(monitor, limits):
    monitor.command("migrate-set-parameters", max_bandwidth=limits["max_bandwidth"],
                    downtime_limit=limits["downtime_limit_ms"])


class QemuEngine:
    """`multifd` adds two channels with that compression ("none", "zstd"), `xbzrle` a cache as
    large as the guest; `encrypted` adds TLS (a shared key)."""

    def __init__(self, network, directory, limits, encrypted, multifd=None, xbzrle=False):
        self.network = network
        self.directory = directory
        self.limits = limits
        self.multifd = multifd
        self.xbzrle = xbzrle
        self.encrypted = encrypted
        self.monitors = {}
        self.processes = []
        self.machine = self.cmdline = None
        if encrypted:
            self._make_keys()

    def _make_keys(self):
        for side in ("a", "b"):
            keys = f"{self.directory}/tls-{side}"
            os.makedirs(keys)
        secret = secrets.token_hex(32)
        for side in ("a", "b"):
            with open(f"{self.directory}/tls-{side}/keys.psk", "w", encoding="ascii") as file:
                file.write(f"qemu:{secret}\n")

    def console(self, side):
        return guest.Console(f"{self.directory}/console-{side}.log")

    def _start_qemu(self, side, arguments):
        host = self.network.hosts[side]
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
            "-netdev", f"tap,id=net0,ifname={lab.TAP},script=no,downscript=no",
            "-device", f"virtio-net-pci,netdev=net0,mac={lab.GUEST_MAC}",
            "-qmp", f"unix:{monitor},server=on,wait=off", *arguments]
        if self.encrypted:
            endpoint = "client,username=qemu" if side == "a" else "server"
            command += ["-object", f"tls-creds-psk,id=tls0,endpoint={endpoint},"
                                   f"dir={self.directory}/tls-{side}"]
        with open(f"{self.directory}/qemu-{side}.log", "wb") as log:
            self.processes.append(host.popen(command, stdout=log, stderr=log))
        self.monitors[side] = self._connect(monitor, f"{self.directory}/qemu-{side}.log")

    def _connect(self, path, log):
        deadline = time.monotonic() + 20
        while True:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(path)
                return qmp.Qmp(connection)
            except OSError as error:
                connection.close()
                if time.monotonic() > deadline or self.processes[-1].poll() is not None:
                    with open(log, encoding="utf-8", errors="replace") as text:
                        raise qmp.QmpError(f"QEMU does not start: {text.read()}") from error
                time.sleep(0.05)

    def install_base(self, _machine, _cmdline):
        """It has no use for one."""

    def start(self, machine, cmdline):
        self.machine = machine
        self.cmdline = cmdline
        self._start_qemu("a", [])

    def _prepare(self, monitor):
        capabilities = ["events"] + (["multifd"] if self.multifd else []) + \
            (["xbzrle"] if self.xbzrle else [])
        monitor.command("migrate-set-capabilities", capabilities=[
            {"capability": name, "state": True} for name in capabilities])
        set_limits(monitor, self.limits)
        if self.multifd:
            monitor.command("migrate-set-parameters", multifd_channels=2,
                            multifd_compression=self.multifd, multifd_zstd_level=1)
        if self.xbzrle:
            monitor.command("migrate-set-parameters", xbzrle_cache_size=xbzrle_cache(self.machine["memory_kib"]))
        if self.encrypted:
            monitor.command("migrate-set-parameters", tls_creds="tls0")

    def live_elsewhere(self, _seconds):
        """A guest that has been away is for it as any other."""
        return False

    def memory_pid(self, side):
        """Whose growth is what a move takes; at the target it cannot be told from the guest."""
        return self.processes[0].pid if side == "a" else None

    def own_memory(self, peak):
        return peak.most - peak.first

    def address(self):
        """Where the target listens, and the source connects."""
        return f"tcp:{self.network.hosts['b'].address}:{MIGRATION_PORT}"

    def move(self, _back=False):
        """Moves the guest from a to b; returns the row's figures and the instants."""
        begin = time.time()
        self._start_qemu("b", ["-incoming", "defer"])
        source, target = self.monitors["a"], self.monitors["b"]
        self._prepare(source)
        self._prepare(target)
        address = self.address()
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
        stopped = source.event_time("STOP", started)
        resumed = target.wait_event("RESUME", started, 10)
        completed = source.wait_event("MIGRATION", started, 10, status="completed")
        return {"started": started, "stopped": stopped, "resumed": resumed,
                "order_s": round(max(resumed, completed) - begin, 3),
                "total_s": round(max(resumed, completed) - started, 3),
                "stop_to_resume_ms": round((resumed - stopped) * 1e3, 2),
                "qemu_downtime_ms": status["downtime"],
                "rounds": status["ram"]["dirty-sync-count"]}

    def stop(self):
        for monitor in self.monitors.values():
            try:
                monitor.command("quit", _timeout=5)
            except qmp.QmpError:
                pass
            monitor.close()
        for process in self.processes:
            try:
                process.wait(10)
            except Exception:  # pylint: disable=broad-except
                process.kill()
                process.wait()
