"""The `hullmark` command, already imported: for tests that look again and again.

A Python that begins and imports the command takes most of what a look costs, and a test that waits looks many times a second. A
process that has imported it forks for each call instead: what the command then does, prints and answers is its own, in a process of
its own with the caller's environment, folder and namespaces. What a test is about it still runs as a user does.

Run as a program it is that process. It takes calls from the socket that is its standard input, and ends with its caller.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, Optional

LARGEST_BYTES = 128 * 1024
"""Of a call: arguments, environment, folder. One message, so that calls of several threads don't mix."""
PACKAGES = ("hullmark.cli", "hullmark.model")
LIBRARIES = ("rich.console", "rich.table", "ssl", "urllib.parse", "yaml")
"""What commands import late."""


class WarmCommand:
    """Calls may be made by several threads. A caller that has moved to another namespace since gets another process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._where: tuple[str, ...] = ()
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._calls: Optional[socket.socket] = None

    def run(
        self, arguments: Sequence[str], environment: Mapping[str, str], timeout_s: float
    ) -> subprocess.CompletedProcess[str]:
        """As `subprocess.run` of the command, with nothing to read. Raises subprocess.TimeoutExpired, its process killed."""
        asked = {
            "arguments": arguments,
            "environment": dict(environment),
            "folder": str(Path.cwd()),
        }
        with contextlib.ExitStack() as files:
            output, errors = (
                files.enter_context(os.fdopen(os.memfd_create(name), "r+b"))
                for name in ("output", "errors")
            )
            ended, ends = os.pipe()
            files.callback(os.close, ended)
            try:
                self._call(json.dumps(asked).encode(), [output.fileno(), errors.fileno(), ends])
            finally:
                os.close(ends)
            code = _code(ended, arguments, timeout_s)
            for file in (output, errors):
                file.seek(0)
            printed, told = output.read().decode(), errors.read().decode()
        return subprocess.CompletedProcess(["hullmark", *arguments], code, printed, told)

    def _call(self, text: bytes, descriptors: list[int]) -> None:
        with self._lock:
            where = tuple(
                str(Path("/proc/thread-self/ns", kind).readlink()) for kind in ("net", "mnt")
            )
            if self._calls is None or self._where != where:
                self._begin()
                self._where = where
            assert self._calls is not None
            socket.send_fds(self._calls, [text], descriptors)

    def close(self) -> None:
        """End the process. It also ends with its caller."""
        if self._calls is not None and self._process is not None:
            self._calls.close()
            self._process.wait()
        self._calls = self._process = None

    def _begin(self) -> None:
        self.close()
        self._calls, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", str(Path(__file__).resolve())],
                stdin=theirs.fileno(),
                cwd="/",
                start_new_session=True,  # a terminal's Ctrl-C is for the caller, with whom it ends
            )


def _code(ended: int, arguments: Sequence[str], timeout_s: float) -> int:
    """What the command's process writes: its id when it begins, its exit code when it ends."""
    text = b""
    while True:
        if not select.select([ended], [], [], timeout_s)[0]:
            if text:
                os.kill(int(text.split()[0]), signal.SIGKILL)
            raise subprocess.TimeoutExpired(list(arguments), timeout_s)
        more = os.read(ended, 100)
        if not more:
            break
        text += more
    words = text.split()
    assert len(words) == 2, f"the command ended without a code: {' '.join(arguments)}"
    return int(words[1])


def serve(calls: socket.socket) -> None:
    """Until the caller is gone."""
    for package in PACKAGES:
        found = pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}.")
        for module in found:
            importlib.import_module(module.name)
    for name in LIBRARIES:
        importlib.import_module(name)
    # Forked processes share what nobody writes to.
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        text, descriptors, _, _ = socket.recv_fds(calls, LARGEST_BYTES, 3)
        if not text:
            return
        if os.fork() == 0:
            _answer(json.loads(text), *descriptors)
        for each in descriptors:
            os.close(each)


def _answer(asked: Mapping[str, Any], output: int, errors: int, ends: int) -> NoReturn:
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.write(ends, f"{os.getpid()} ".encode())
        nothing = os.open(os.devnull, os.O_RDONLY)
        for number, descriptor in enumerate((nothing, output, errors)):
            os.dup2(descriptor, number)
        os.chdir(asked["folder"])
        os.environ.clear()
        os.environ.update(asked["environment"])
        sys.argv = ["hullmark", *asked["arguments"]]
        importlib.import_module("hullmark.cli.main").main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except Exception:  # noqa: BLE001 - told as Python itself would
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
            os.write(ends, str(code).encode())
        finally:
            os._exit(code)


if __name__ == "__main__":
    serve(socket.socket(fileno=0))
