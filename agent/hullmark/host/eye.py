"""How a check looks at its host: commands and files, bounded in time and size, with every trouble told as a reading.

Programs are found in the system's own folders only, and run in the language C, in a session of their own, so that one that hangs is
ended with its children. Nothing is read whole that could be large. Nothing here raises for what a host is like.
"""

from __future__ import annotations

import os
import selectors
import signal
import stat
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Callable, Optional

from hullmark.model.control import Reading, Trouble

MOST = 64 << 10
FOLDERS = ("/usr/sbin", "/usr/bin", "/sbin", "/bin")
ENVIRONMENT: Mapping[str, str] = {
    "PATH": ":".join(FOLDERS),
    "LC_ALL": "C",
    "HOME": "/",
    "TERM": "dumb",
}
PATHS_MOST = 10_000
_CHUNK = 16 << 10
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Eye:
    """One for each look. `root` is where the host's files are, for tests; commands are the machine's own. Used by one thread. `ending`
    is set when the look has to be given up."""

    def __init__(
        self,
        *,
        timeout_s: float = 10.0,
        root: str = "/",
        ending: Optional[threading.Event] = None,
        folders: Sequence[str] = FOLDERS,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._deadline = time.monotonic() + timeout_s
        self._root = root
        self._ending = ending or threading.Event()
        self._folders = folders
        self.wall = wall

    @property
    def left_s(self) -> float:
        """How much of the look's time is left."""
        return max(0.0, self._deadline - time.monotonic())

    def pause(self, seconds: float) -> bool:
        """Wait, for what takes its time to come; False where there is no time left."""
        self._ending.wait(min(seconds, self.left_s))
        return self.left_s > 0 and not self._ending.is_set()

    def nonce(self) -> str:
        """One that was never used, of letters and digits."""
        return uuid.uuid4().hex

    def program(self, name: str) -> str:
        """Its path, empty where it isn't there."""
        for folder in self._folders:
            path = Path(folder, name)
            if path.is_file() and os.access(path, os.X_OK):
                return str(path)
        return ""

    def run(
        self,
        name: str,
        argv: Sequence[str],
        *,
        given: str = "",
        most: int = MOST,
        keep_end: bool = False,
        timeout_s: Optional[float] = None,
    ) -> Reading:
        """A command's output: its first `most` bytes, or its last ones. `argv[0]` is a program's name, or a path of the machine."""
        source, at = " ".join(argv), self.wall()
        program = argv[0] if "/" in argv[0] else self.program(argv[0])
        if not program:
            return Reading(name, source, trouble=Trouble.MISSING, at=at)
        limit_s = self.left_s if timeout_s is None else min(timeout_s, self.left_s)
        try:
            process = subprocess.Popen(
                [program, *argv[1:]],
                stdin=subprocess.PIPE if given else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(ENVIRONMENT),
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            return Reading(name, source, errors=str(error), trouble=_trouble(error), at=at)
        with process:
            output, errors = _Kept(most, keep_end), _Kept(most, keep_end)
            whole = self._collect(process, given, output, errors, limit_s)
            if not whole:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            code = process.wait()
        return Reading(
            name,
            source,
            text=output.text,
            errors=errors.text,
            code=code if whole else None,
            trouble=Trouble.NONE if whole else Trouble.TIMED_OUT,
            cut=output.cut,
            at=at,
        )

    def _collect(
        self,
        process: subprocess.Popen[bytes],
        given: str,
        output: _Kept,
        errors: _Kept,
        limit_s: float,
    ) -> bool:
        """Whether it came to its end in time."""
        deadline = time.monotonic() + limit_s
        assert process.stdout is not None
        assert process.stderr is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ, output)
            selector.register(process.stderr, selectors.EVENT_READ, errors)
            if process.stdin is not None:
                os.set_blocking(process.stdin.fileno(), False)
                selector.register(process.stdin, selectors.EVENT_WRITE, bytearray(given.encode()))
            while selector.get_map():
                left_s = deadline - time.monotonic()
                if left_s <= 0 or self._ending.is_set():
                    return False
                for key, _ in selector.select(min(left_s, 0.5)):
                    go_on = _feed if key.fileobj is process.stdin else _drain
                    if not go_on(key.fd, key.data):
                        selector.unregister(key.fileobj)
                        if key.fileobj is process.stdin:
                            process.stdin.close()
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return False
        return True

    def file(self, name: str, path: str, *, most: int = MOST, keep_end: bool = False) -> Reading:
        """A regular file's content, its first `most` bytes or its last ones, with the facts of `stat`."""
        seen = self.stat(name, path)
        if seen.trouble is not Trouble.NONE:
            return seen
        try:
            # What was looked at may be another by now, as a pipe that nobody writes to: it is asked again once it is open.
            if not stat.S_ISREG(int(seen.facts["type"], 8)):
                return _irregular(seen)
            with os.fdopen(os.open(self.at(path), _READ), "rb") as file:
                found = os.fstat(file.fileno())
                if not stat.S_ISREG(found.st_mode):
                    return _irregular(seen)
                if keep_end and found.st_size > most:
                    file.seek(found.st_size - most)
                content = file.read(most)
        except OSError as error:
            return Reading(name, path, errors=str(error), trouble=_trouble(error), at=seen.at)
        cut = found.st_size > len(content)
        text = content.decode("utf-8", "replace")
        return Reading(name, path, text=text, facts=_facts(found), cut=cut, at=seen.at)

    def stat(self, name: str, path: str) -> Reading:
        """`size`, `mtime`, `mode`, `type` (octal), `uid`, `gid`, `inode`, `device` of what a path leads to."""
        at = self.wall()
        try:
            found = self.at(path).stat()
        except OSError as error:
            return Reading(name, path, errors=str(error), trouble=_trouble(error), at=at)
        return Reading(name, path, facts=_facts(found), at=at)

    def paths(self, pattern: str) -> tuple[str, ...]:
        """Those that match, in order, as the host has them; * and ? do not match /. At most PATHS_MOST."""
        if not any(each in pattern for each in "*?["):
            return (pattern,) if self.at(pattern).exists() else ()
        return tuple(sorted(self._matching(pattern)))

    def _matching(self, pattern: str) -> Iterator[str]:
        root = Path(self._root)
        with suppress(OSError):
            for number, path in enumerate(root.glob(pattern.lstrip("/"))):
                if number >= PATHS_MOST:
                    return
                yield "/" + str(path.relative_to(root))

    def at(self, path: str) -> Path:
        """Where a path of the host is."""
        return Path(self._root, path.lstrip("/"))


Probe = Callable[[Eye, Mapping[str, object]], tuple[Reading, ...]]
"""Looks, with what a controls file gave. Raises nothing for what a host is like. It ends when the eye has no time left."""


class _Kept:
    """The beginning or the end of what comes."""

    def __init__(self, most: int, keep_end: bool) -> None:
        self._most = most
        self._keep_end = keep_end
        self._kept = bytearray()
        self.cut = False

    def take(self, chunk: bytes) -> None:
        self._kept += chunk
        over = len(self._kept) - self._most
        if over > 0:
            self.cut = True
            if self._keep_end:
                del self._kept[:over]
            else:
                del self._kept[self._most :]

    @property
    def text(self) -> str:
        return self._kept.decode("utf-8", "replace")


def _facts(found: os.stat_result) -> dict[str, str]:
    return {
        "size": str(found.st_size),
        "mtime": f"{found.st_mtime:.3f}",
        "mode": f"{stat.S_IMODE(found.st_mode):04o}",
        "type": f"{stat.S_IFMT(found.st_mode):o}",
        "uid": str(found.st_uid),
        "gid": str(found.st_gid),
        "inode": str(found.st_ino),
        "device": str(found.st_dev),
    }


def _irregular(seen: Reading) -> Reading:
    return replace(seen, errors="no regular file", trouble=Trouble.FAILED)


def _feed(number: int, waiting: bytearray) -> bool:
    """Whether there is more to write, and somebody who reads it."""
    try:
        del waiting[: os.write(number, waiting[:_CHUNK])]
    except OSError:
        return False
    return bool(waiting)


def _drain(number: int, kept: _Kept) -> bool:
    """Whether more may come."""
    chunk = os.read(number, _CHUNK)
    kept.take(chunk)
    return bool(chunk)


def _trouble(error: OSError) -> Trouble:
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return Trouble.MISSING
    return Trouble.DENIED if isinstance(error, PermissionError) else Trouble.FAILED
