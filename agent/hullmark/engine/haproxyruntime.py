"""HAProxy's sockets: one of the main process, one of its newest worker.

A command is a line; the answer ends when HAProxy closes the connection. To a main process's socket the writing side is shut after the command, or it
would wait for the next (HAProxy Management Guide, sections 9.3 and 9.4).
"""

from __future__ import annotations

import csv
import re
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from hullmark.errors import ProxyUnavailable

ANSWER_S = 5.0
AGAIN_S = 0.5
FRONTENDS, BACKENDS, SERVERS, EVERYTHING = 1, 2, 4, 7
"""Of `show stat`: which kinds of lines (Management Guide, section 9.3, `show stat`)."""
MOST_AT_ONCE = 50
"""A command with a backend's name is no longer than 200 characters, and HAProxy reads 16 KB of them at a time (`tune.bufsize`)."""
_FAILED = re.compile(r"\[failed: ([0-9]+)\]")
MAINT = 0x01 | 0x02 | 0x04
"""Bits of a server's administrative state that mean maintenance (haproxy/server-t.h, SRV_ADMF_MAINT)."""


@dataclass(frozen=True)
class Running:
    """A server as the worker has it."""

    weight: int
    in_maintenance: bool
    address: str = ""


@dataclass(frozen=True)
class Processes:
    """`failed`: reloads that came to nothing since the last one that did."""

    main: int = 0
    worker: int = 0
    former: tuple[int, ...] = ()
    failed: int = 0


class Sockets:
    """Raises ProxyUnavailable where nobody answers."""

    def __init__(self, run_dir: Path) -> None:
        self._master = run_dir / "master.sock"
        self._worker = run_dir / "worker.sock"

    def tell(self, command: str) -> str:
        """The newest worker's answer, without the empty lines around it."""
        return _ask(self._worker, command).strip()

    def tell_main(self, command: str, patience_s: float = ANSWER_S) -> str:
        """Right after a reload the main process is made anew, and has its socket again a moment later."""
        until = time.monotonic() + AGAIN_S
        while True:
            try:
                return _ask(self._master, command, patience_s).strip()
            except ProxyUnavailable as error:
                is_coming = isinstance(error.__cause__, ConnectionRefusedError)
                if not is_coming or time.monotonic() > until:
                    raise
            time.sleep(0.02)

    def tell_worker(self, worker: int, command: str) -> str:
        """`worker` 0: the newest. Else that one, which may be of a former configuration."""
        return self.tell_main(f"@!{worker} {command}") if worker else self.tell(command)

    def tell_all(self, worker: int, commands: Sequence[str]) -> str:
        """In one go, and what was answered to all of them."""
        place = f"@!{worker} " if worker else ""
        return self.tell_worker(worker, f"; {place}".join(commands)) if commands else ""

    def info(self) -> dict[str, str]:
        """`Pid`, `Version`, `Uptime_sec`, `description` and more."""
        lines = (line.partition(": ") for line in self.tell("show info").splitlines())
        return {key: value for key, _, value in lines}

    def servers(self) -> dict[str, dict[str, Running]]:
        """By backend and name."""
        found: dict[str, dict[str, Running]] = {}
        for line in self.tell("show servers state").splitlines()[1:]:
            words = line.split()
            if len(words) > 8 and words[0] != "#":
                is_off = bool(int(words[6]) & MAINT)
                found.setdefault(words[1], {})[words[3]] = Running(int(words[7]), is_off, words[4])
        return found

    def stat(self, kinds: int, worker: int = 0, proxy: str = "-1") -> list[Mapping[str, str]]:
        """`proxy`: the name of a frontend or backend, -1 for all. One that isn't there has no lines."""
        text = self.tell_worker(worker, f"show stat {proxy} {kinds} -1")
        return list(csv.DictReader(text.removeprefix("# ").splitlines()))

    def stat_of(self, kinds: int, numbers: Iterable[str]) -> list[Mapping[str, str]]:
        """Of several frontends or backends."""
        found: list[Mapping[str, str]] = []
        for text in self._tell_each(f"show stat {number} {kinds} -1" for number in numbers):
            header, _, rest = text.removeprefix("# ").partition("\n")
            lines = (line for line in rest.splitlines() if line and not line.startswith("# "))
            found += csv.DictReader([header, *lines])
        return found

    def numbers(self, backends: Iterable[str]) -> dict[str, str]:
        """HAProxy's own, of those that have servers."""
        found = {}
        for text in self._tell_each(f"show servers state {name}" for name in backends):
            for words in map(str.split, text.splitlines()):
                if len(words) > 8 and words[0].isdigit():
                    found[words[1]] = words[0]
        return found

    def _tell_each(self, commands: Iterable[str]) -> Iterator[str]:
        """The answers to all of them, in as few questions as HAProxy reads."""
        left = sorted(commands)
        while left:
            yield self.tell("; ".join(left[:MOST_AT_ONCE]))
            left = left[MOST_AT_ONCE:]

    def processes(self) -> Processes:
        return processes_in(self.tell_main("show proc"))


def processes_in(text: str) -> Processes:
    """From the answer to `show proc`: a main process, `# workers`, and `# old workers` where there are some."""
    main, failed, part = 0, 0, ""
    workers: dict[str, list[int]] = {"# workers": [], "# old workers": []}
    for line in text.splitlines():
        words = line.split()
        if line.startswith("#"):
            part = line.strip()
        elif len(words) >= 2 and words[0].isdigit():
            if words[1] == "master":
                found = _FAILED.search(line)
                main, failed = int(words[0]), int(found.group(1)) if found else 0
            elif part in workers:
                workers[part].append(int(words[0]))
    newest: Optional[int] = next(iter(workers["# workers"]), None)
    return Processes(main, newest or 0, tuple(workers["# old workers"]), failed)


def entries_in(answer: str) -> dict[str, str]:
    """Of `show map` and `show acl`: a number, the key, and the value where there is one. None where the worker says that it has no such table."""
    words = (line.split() for line in answer.splitlines() if line.startswith("0x"))
    return {each[1]: " ".join(each[2:]) for each in words if len(each) > 1}


def changes_of(
    table: Path, kind: str, running: Mapping[str, str], wanted: Mapping[str, str]
) -> Iterable[str]:
    """Commands that make a table (`map` or `acl`) in the worker what it should be. What is to go goes first: a right that ended."""
    for key in sorted(running):
        if wanted.get(key) != running[key]:
            yield f"del {kind} {table} {key}"
    for key in sorted(wanted):
        if running.get(key) != wanted[key]:
            yield f"add {kind} {table} {key} {wanted[key]}".rstrip()


def _ask(path: Path, command: str, patience_s: float = ANSWER_S) -> str:
    parts = []
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
            link.settimeout(patience_s)
            link.connect(str(path))
            link.sendall(command.encode() + b"\n")
            link.shutdown(socket.SHUT_WR)
            while True:
                part = link.recv(1 << 16)
                if not part:
                    break
                parts.append(part)
    except OSError as error:
        raise ProxyUnavailable(
            f"the proxy does not answer at {path}: {error.strerror or error}",
            remedy="see whether hullmark-proxy is installed and running",
        ) from error
    return b"".join(parts).decode("utf-8", "replace")
