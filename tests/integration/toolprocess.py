"""A security tool's daemon, started for a test with its own configuration and ended after it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Callable, TypeVar

END_S = 10.0
T = TypeVar("T")


@contextlib.contextmanager
def started(command: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """In a session of its own; ended with its children, also where it is stopped."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    """As a process that hangs: it is there, and does nothing."""
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_for(lambda: state(pid), lambda found: found == "T")
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def state(pid: int) -> str:
    """As in /proc: T stopped, Z ended and not waited for, and so on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def wait_for(look: Callable[[], T], good: Callable[[T], bool], limit_s: float = 20.0) -> T:
    """The first look that is good. Raises AssertionError with the last one."""
    deadline = time.monotonic() + limit_s
    while True:
        found = look()
        if good(found):
            return found
        assert time.monotonic() < deadline, f"after {limit_s:.0f} s: {found}"
        time.sleep(0.1)
