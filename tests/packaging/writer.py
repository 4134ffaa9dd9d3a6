"""Somebody who changes something all the time, from a machine that has nothing of the cluster's but the command.

with Writer(host, ["https://192.0.2.11:7442", "https://192.0.2.12:7442"], "web1") as writer:
    ...
assert writer.failed == []
assert writer.longest_s < 10
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Optional

from tests.hosts import Host

TOKEN, ROOT = "/root/writer.token", "/root/root.pem"
LABEL = "writer"


def give_login(master: Host, target: Host) -> None:
    """A token of an admin's, and what masters are known by."""
    made = "hullmark token create writer --role admin --token-file /root/writer.token"
    master.run(f"{made} && cat /root/writer.token >/dev/null")
    target.write(TOKEN, master.read("/root/writer.token"), 0o600)
    target.write(ROOT, master.read("/var/lib/hullmark/master/pki/root.pem"))


class Writer:
    """Writes a label of a host, a higher number each time; the last one that was acknowledged is `acknowledged`. `failed` has
    what the command said where it gave up, `longest_s` how long the slowest took, `times` how many there were."""

    def __init__(self, host: Host, masters: Sequence[str], labelled: str) -> None:
        self.acknowledged = 0
        self.failed: list[str] = []
        self.longest_s = 0.0
        self.times = 0
        self._host = host
        self._options = ["--master", ",".join(masters), "--token-file", TOKEN, "--ca", ROOT]
        self._labelled = labelled
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self._over.set()
        self._thread.join()

    def _write(self) -> None:
        number = 0
        while not self._over.wait(0.1):
            number += 1
            words = ["hullmark", "host", "label", *self._options, self._labelled]
            began = time.monotonic()
            done = self._host.run([*words, f"{LABEL}={number}"], check=False)
            self.longest_s = max(self.longest_s, time.monotonic() - began)
            self.times += 1
            if done.returncode == 0:
                self.acknowledged = number
            else:
                self.failed.append(f"{number}: {done.returncode} {done.stdout}{done.stderr}")
