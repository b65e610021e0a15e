# SPDX-License-Identifier: Apache-2.0
"""QEMU's monitor: commands, and events with the time that QEMU gave them."""

import json
import threading
import time


class QmpError(Exception):
    """QEMU refused a command, or is gone."""


class Qmp:
    """One monitor connection; a thread reads it."""

    def __init__(self, sock):
        self._sock = sock
        self._sock.settimeout(None)
        self._changed = threading.Condition()
        self._answers = {}
        self._next_id = 0
        self._closed = False
        self.events = []  # (seconds UTC, name, data)
        threading.Thread(target=self._read, daemon=True).start()
        self.command("qmp_capabilities")

    def _read(self):
        try:
            with self._sock.makefile("r", encoding="utf-8") as lines:
                for line in lines:
                    self._take(json.loads(line))
        except (OSError, ValueError):
            pass
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _take(self, message):
        with self._changed:
            if "event" in message:
                stamp = message["timestamp"]
                self.events.append((stamp["seconds"] + stamp["microseconds"] / 1e6,
                                    message["event"], message.get("data", {})))
            elif "id" in message:
                self._answers[message["id"]] = message
            self._changed.notify_all()

    def command(self, name, _timeout=30, **arguments):
        """Underscores in argument names stand for QEMU's dashes."""
        with self._changed:
            self._next_id += 1
            number = self._next_id
        request = {"execute": name, "id": number}
        if arguments:
            request["arguments"] = {key.replace("_", "-"): value
                                    for key, value in arguments.items()}
        try:
            self._sock.sendall(json.dumps(request).encode() + b"\n")
        except OSError as error:
            raise QmpError(f"{name}: {error}") from error
        with self._changed:
            self._changed.wait_for(lambda: number in self._answers or self._closed, _timeout)
            answer = self._answers.pop(number, None)
        if answer is None:
            raise QmpError(f"{name}: no answer")
        if "error" in answer:
            raise QmpError(f"{name}: {answer['error']['desc']}")
        return answer["return"]

    def event_time(self, name, after=0.0, **data):
        """When the first such event after an instant was, or None."""
        with self._changed:
            for when, event, got in self.events:
                if when >= after and event == name and data.items() <= got.items():
                    return when
        return None

    def wait_event(self, name, after, timeout, **data):
        deadline = time.monotonic() + timeout
        while (when := self.event_time(name, after, **data)) is None:
            with self._changed:
                left = deadline - time.monotonic()
                if left <= 0 or self._closed:
                    raise QmpError(f"no event {name} {data}")
                self._changed.wait(min(left, 0.5))
        return when

    def close(self):
        try:
            self._sock.shutdown(2)
        except OSError:
            pass
        self._sock.close()
