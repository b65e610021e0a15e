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


class TagalongEngine:
    """`encrypted` is how it comes; otherwise both its planes are plain text."""

    def __init__(self, network, directory, limits, encrypted, build):
        self.network = network
        self.directory = directory
        self.limits = limits
        self.build = build
        self.encrypted = encrypted
        self.daemons = []
        self.monitors = {}
        self.ram = f"/dev/shm/{network.name}"
        self.keys = {}
        self.base = {}
        self.node_settings = {}  # of both migratords, beside what is set here
        self.lines = []  # what the last move said of itself

    def _migrator(self, *arguments):
        return [f"{self.build}/migrator/cli/migrator", *arguments,
                "--config", f"{self.directory}/migrator.yaml"]

    def _run(self, *arguments):
        """The command, on host a but outside of its cgroup."""
        done = subprocess.run(["ip", "netns", "exec", self.network.hosts["a"].namespace,
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
        return f"tcp://{self.network.hosts[side].address}:{CONTROL_PORT}"

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
            host = self.network.hosts[side]
            settings = {"name": side, "listen": self._endpoint(side),
                        "data_listen": f"{host.address}:{DATA_PORT}",
                        "state_dir": f"{self.directory}/state-{side}",
                        "ram_dir": f"{self.ram}-{side}", "memory": "2G", "vcpus": 4,
                        "qemu": qemu}
            node = {"name": side, "endpoint": self._endpoint(side)}
            if self.encrypted:
                settings.update(key=f"{self.directory}/{side}.key",
                                allow=f"{self.directory}/allow")
                node["key"] = self.keys[side]
            else:
                settings.update(plain_text_bus=True, plain_text_data=True)
            settings.update(self.node_settings)
            for path in ("state_dir", "ram_dir"):
                os.makedirs(settings[path])
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
            lab.prefer(self.network.hosts[side].cgroup.processes())
            try:
                return qmp.Qmp(self.network.hosts[side].connect(WATCH_PORT))
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
                self.daemons.append(self.network.hosts[side].popen(
                    [f"{self.build}/migratord", "--config",
                     f"{self.directory}/migratord-{side}.yaml"], stdout=log, stderr=log))

    def _start_vm(self, name, machine, cmdline, **settings):
        self._start_daemons()
        vm = self._write(f"{name}.yaml", {
            "name": name, "memory": f"{machine['memory_kib']}K", "vcpus": 1,
            "machine": "pc-q35-7.2", "cpu": "qemu64", "accelerator": "tcg",
            "kernel": machine["kernel"], "initrd": machine["initrd"], "cmdline": cmdline,
            "networks": [{"bridge": lab.BRIDGE, "mac": lab.GUEST_MAC}], **settings})
        deadline = time.monotonic() + 20
        while True:
            try:
                self._run("vm", "start", vm, "--node", "a")
                break
            except guest.GuestError:
                if time.monotonic() > deadline or self.daemons[0].poll() is not None:
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

    def live_elsewhere(self, seconds):
        """Moves it to b, where it lives for a while; what is measured next is the way back."""
        self.move()
        time.sleep(seconds)
        return True

    def memory_pid(self, side):
        return self.daemons["ab".index(side)].pid

    def own_memory(self, peak):
        return peak.most

    def move(self, back=False):
        """Moves the guest from a to b, or back; returns the row's figures and the instants."""
        begin = time.time()
        here, there = ("b", "a") if back else ("a", "b")
        command = ["ip", "netns", "exec", self.network.hosts["a"].namespace,
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
        stopped = source.event_time("STOP", started)
        completed = source.wait_event("MIGRATION", started, 5, status="completed")
        resumed = target.wait_event("RESUME", started, 5)
        self.lines = lines = [json.loads(line) for line in output.strip().split("\n")]
        result = lines[-1]
        return {"started": started, "stopped": stopped, "resumed": resumed,
                "order_s": round(max(resumed, completed) - begin, 3),
                "total_s": round(max(resumed, completed) - started, 3),
                "stop_to_resume_ms": round((resumed - stopped) * 1e3, 2),
                "qemu_downtime_ms": result.get("qemu_downtime_ns", 0) / 1e6,
                "tail_bytes": result.get("tail_bytes", 0),
                "image_bytes": result.get("image_bytes", 0),
                "pages": {name.removeprefix("pages_"): count for name, count in result.items()
                          if name.startswith("pages_")},
                "rounds": result.get("round", 0), **predictions.score(lines)}

    def stop(self):
        for monitor in self.monitors.values():
            try:
                monitor.command("quit", _timeout=5)
            except qmp.QmpError:
                pass
            monitor.close()
        for daemon in self.daemons:
            daemon.terminate()
        for daemon in self.daemons:
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        for side in ("a", "b"):
            shutil.rmtree(f"{self.ram}-{side}", ignore_errors=True)
