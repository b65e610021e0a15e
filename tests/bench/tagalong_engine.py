# SPDX-License-Identifier: Apache-2.0
"""tagalong: a migratord on each host and the command that orders the move."""

import glob
import json
import os
import shutil
import subprocess
import time

import guest
import lab
import predictions
import qmp
from engine import OTHER, Engine

CONTROL_PORT = 7700
DATA_PORT = 7701
# The instants of QEMU's events are taken in the same way for every engine: by a
# monitor of our own, on each host's loopback, which this wrapper adds.
WATCH_PORT = 7702
QEMU = f"""#!/bin/sh
case " $* " in
*" -name "*) set -- "$@" -qmp tcp:127.0.0.1:{WATCH_PORT},server=on,wait=off ;;
esac
exec qemu-system-x86_64 "$@"
"""
VM = "bench"
BASE = "base"  # the VM and the image that is made of it
BASE_TIMEOUT = "300s"
GONE_S = 20  # QEMU at the host that the guest has left
START_TIMEOUT = "120s"  # others start at the same time


class TagalongEngine(Engine):
    """`encrypted` is how it comes; otherwise both its planes are plain text. Only if it `keeps`
    what has left does a host have anything of a VM that comes again."""

    def __init__(self, *common, build, keeps):
        super().__init__(*common)
        self.build = build
        self.keeps = keeps
        self.daemons = {}
        self.ram = f"/dev/shm/{self.seat.name}"
        self.keys = {}
        self.base = {}
        self.node_settings = {}  # of both migratords, beside what is set here
        self.lines = []  # what the last move said of itself

    def _migrator(self, *arguments):
        return [f"{self.build}/migrator/cli/migrator", *arguments,
                "--config", f"{self.directory}/migrator.yaml"]

    def _run(self, *arguments):
        """The command, on host a but outside of its cgroup."""
        done = subprocess.run(["ip", "netns", "exec", self.seat.hosts["a"].namespace,
                               *self._migrator(*arguments, "--json")],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise guest.GuestError(f"migrator {arguments[0]}: {done.stderr.strip()}")
        return done.stdout

    def _make_keys(self):
        for name in ("a", "b", "operator"):
            command = [f"{self.build}/migrator/cli/migrator", "keys", "make",
                       f"{self.directory}/{name}.key", "--json"]
            made = subprocess.run(command, capture_output=True, text=True, check=True)
            self.keys[name] = json.loads(made.stdout)["public_key"]
        with open(f"{self.directory}/allow", "w", encoding="ascii") as allow:
            for name, key in self.keys.items():
                allow.write(f"{'operator' if name == 'operator' else 'node'} {name} {key}\n")

    def _endpoint(self, side):
        return f"tcp://{self.seat.hosts[side].address}:{CONTROL_PORT}"

    def _write(self, name, settings):
        # JSON is YAML.
        path = f"{self.directory}/{name}"
        with open(path, "w", encoding="utf-8") as file:
            json.dump(settings, file)
        return path

    def _write_settings(self):
        nodes = []
        qemu = f"{self.directory}/qemu-watched"
        with open(qemu, "w", encoding="ascii") as file:
            file.write(QEMU)
            os.fchmod(file.fileno(), 0o755)
        for side in ("a", "b"):
            settings = {"name": side, "listen": self._endpoint(side),
                        "data_listen": f"{self.seat.hosts[side].address}:{DATA_PORT}",
                        "state_dir": f"{self.directory}/state-{side}",
                        "ram_dir": f"{self.ram}-{side}", "memory": "2G", "vcpus": 4,
                        "qemu": qemu}
            node = {"name": side, "endpoint": self._endpoint(side)}
            if not self.keeps:
                settings["image_budget"] = "0"
            if self.encrypted:
                settings.update(key=f"{self.directory}/{side}.key",
                                allow=f"{self.directory}/allow")
                node["key"] = self.keys[side]
            else:
                settings.update(plain_text_bus=True, plain_text_data=True)
            settings.update(self.node_settings)
            for path in ("state_dir", "ram_dir"):
                os.makedirs(settings[path])
            # As docs/guide.md says; QEMU's own memory is in huge pages, too.
            lab.run("mount", "-t", "tmpfs", "-o", "huge=within_size", "tagalong",
                    settings["ram_dir"])
            self._write(f"migratord-{side}.yaml", settings)
            nodes.append(node)
        operator = {"name": "operator", "nodes": nodes}
        operator.update({"key": f"{self.directory}/operator.key"} if self.encrypted else
                        {"plain_text_bus": True})
        self._write("migrator.yaml", operator)

    def console(self, side, name=VM):
        found = glob.glob(f"{self.directory}/state-{side}/vm/{name}/*/console.log")
        return guest.Console(max(found, key=os.path.getmtime) if found else "/nonexistent")

    def _watch(self, side, seconds):
        """Connects to a QEMU that may not be there yet; it is preferred from the first, as a
        peer's is, which we start ourselves."""
        deadline = time.monotonic() + seconds
        while True:
            lab.prefer(self.seat.cgroups[side].processes())
            try:
                return qmp.Qmp(self.seat.hosts[side].connect(WATCH_PORT))
            except (OSError, qmp.QmpError) as error:
                if time.monotonic() > deadline:
                    raise guest.GuestError(f"no QEMU on host {side}: {error}") from error
                time.sleep(0.02)

    def _start_daemons(self):
        if self.daemons:
            return
        if self.encrypted:
            self._make_keys()
        self._write_settings()
        for side in ("a", "b"):
            with open(f"{self.directory}/migratord-{side}.log", "wb") as log:
                self.daemons[side] = self.seat.popen(
                    side, [f"{self.build}/migratord", "--config",
                           f"{self.directory}/migratord-{side}.yaml"], stdout=log, stderr=log)

    def _start_vm(self, name, machine, cmdline, **settings):
        self._start_daemons()
        vm = self._write(f"{name}.yaml", {
            "name": name, "memory": f"{machine['memory_kib']}K", "vcpus": 1,
            "machine": "pc-q35-7.2", "cpu": "qemu64", "accelerator": "tcg",
            "kernel": machine["kernel"], "initrd": machine["initrd"], "cmdline": cmdline,
            "networks": [{"bridge": lab.BRIDGE, "mac": self.seat.mac}], **settings})
        deadline = time.monotonic() + 20
        while True:
            try:
                self._run("vm", "start", vm, "--node", "a", "--timeout", START_TIMEOUT)
                break
            except guest.GuestError:
                if time.monotonic() > deadline or self.daemons["a"].poll() is not None:
                    raise
                time.sleep(0.2)
        self.monitors["a"] = self._watch("a", 20)

    def install_base(self, machine, cmdline):
        """Lets both hosts have the memory of another VM that was booted in the same way."""
        self._start_vm(BASE, machine, cmdline)
        self.console("a", BASE).wait_up(machine["up_s"])
        self._run("image", "add", BASE, "--vm", BASE, "--node", "a", "--timeout", BASE_TIMEOUT)
        self._run("image", "add", BASE, "--from", "a", "--node", "b", "--timeout", BASE_TIMEOUT)
        self._run("vm", "stop", BASE, "--node", "a")
        self.monitors.pop("a").close()
        self.base = {"base_image": BASE}

    def start(self, machine, cmdline):
        self._start_vm(VM, machine, cmdline, **self.base)

    def memory_pid(self, side):
        return self.daemons[side].pid

    def own_memory(self, peak):
        return peak.most

    def move(self):
        here, there = self.side, OTHER[self.side]
        begin = time.time()
        command = ["ip", "netns", "exec", self.seat.hosts["a"].namespace,
                   *self._migrator("move", VM, there, "--node", here, "--json", "--blackout",
                                   f"{self.limits['downtime_limit_ms']}ms")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True) as order:
            try:
                self.monitors[there] = self._watch(there, 20)
                output, complaint = order.communicate(timeout=lab.MOVE_TIMEOUT_S)
            except subprocess.TimeoutExpired as error:
                order.kill()
                raise lab.MoveTimeout from error
            except guest.GuestError as error:
                order.kill()
                raise guest.GuestError(f"{error}; {order.stderr.read().strip()}") from error
        if order.returncode != 0:
            raise guest.GuestError(f"the move failed: {complaint.strip()}")
        source, target = self.monitors[here], self.monitors[there]
        started = source.wait_event("MIGRATION", begin, 5, status="setup")
        instants = {"started": started, "stopped": source.event_time("STOP", started),
                    "completed": source.wait_event("MIGRATION", started, 5, status="completed"),
                    "resumed": target.wait_event("RESUME", started, 5)}
        self.lines = lines = [json.loads(line) for line in output.strip().split("\n")]
        result = lines[-1]
        return self.arrived(there, begin, instants, {
            "qemu_downtime_ms": result.get("qemu_downtime_ns", 0) / 1e6,
            "tail_bytes": result.get("tail_bytes", 0),
            "image_bytes": result.get("image_bytes", 0),
            "pages": {name.removeprefix("pages_"): count for name, count in result.items()
                      if name.startswith("pages_")},
            "rounds": result.get("round", 0), **predictions.score(lines)})

    def tidy(self):
        """What it has left, it ends; then the port of the monitor there is free again."""
        left = OTHER[self.side]
        self.monitors.pop(left).close()
        deadline = time.monotonic() + GONE_S
        while True:
            try:
                self.seat.hosts[left].connect(WATCH_PORT).close()
            except OSError:
                return
            if time.monotonic() > deadline:
                raise guest.GuestError(f"QEMU on host {left} has not gone")
            time.sleep(0.05)

    def end(self):
        for side in OTHER:
            self.quit(side)
        for daemon in self.daemons.values():
            daemon.terminate()
        for daemon in self.daemons.values():
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        for side in ("a", "b"):
            # Lazily: a guest that was given up may end after this.
            subprocess.run(["umount", "--lazy", f"{self.ram}-{side}"], check=False,
                           stderr=subprocess.DEVNULL)
            shutil.rmtree(f"{self.ram}-{side}", ignore_errors=True)
