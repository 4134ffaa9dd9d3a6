"""What a unit test may not do."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest


@pytest.fixture(autouse=True, scope="package")
def _no_effects() -> Iterator[None]:
    """A unit test starts no process, connects to nothing beyond this machine, and waits neither for time to pass nor for a disk:
    what a test can see of a file is the same before it is on the disk."""
    connect, sleep = socket.socket.connect, time.sleep

    def connect_here(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX and address[0] not in {"127.0.0.1", "::1", "localhost"}:
            pytest.fail(f"a unit test connected to {address}")
        connect(self, address)

    def start(*args: Any, **_: Any) -> None:
        pytest.fail(f"a unit test started a process: {args[1:2]}")

    def nap(seconds: float) -> None:
        if seconds > 0.05:
            pytest.fail(f"a unit test slept for {seconds} s")
        sleep(seconds)

    def synced(stream: Any) -> None:
        os.fstat(stream if isinstance(stream, int) else stream.fileno())

    with (
        mock.patch.object(socket.socket, "connect", connect_here),
        mock.patch.object(subprocess.Popen, "__init__", start),
        mock.patch.object(time, "sleep", nap),
        mock.patch.object(os, "fsync", synced),
        mock.patch.object(os, "fdatasync", synced),
    ):
        yield
