"""This master's file of heads (`core/headsfile`): read when the master starts, and from then on only added to.

An end that was cut off by a crash was never told to anybody, and is removed. A file that is broken anywhere else is left as it is, and
nothing is vouched for until a person has looked at it.
"""

from __future__ import annotations

import base64
import errno
import os
from array import array
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from hullmark import log
from hullmark.core.headsfile import (
    Acceptance,
    Break,
    Content,
    Entry,
    Standing,
    frame,
    line_of,
    parse,
)
from hullmark.errors import AuditUnavailable, BrokenState, InvalidInput
from hullmark.model.audit import SignedHead
from hullmark.model.moments import moment
from hullmark.pki.files import sync_folder, write_file

FILE = "heads.log"
CERTIFICATES = "certificates"
EVERY = 64
"""One entry's place in so many is remembered."""
RECENT = 4096
"""Digests that are answered from memory."""

_log = log.get("heads")


class Heads:
    """Blocks, and is used by one thread at a time; `standing`, `of` and `lines` may be read by others. `folder` is the master's `audit`."""

    def __init__(self, folder: Path, master: str) -> None:
        self.path = folder / FILE
        self._certificates = folder / CERTIFICATES
        self._master = master
        self._places = array("Q")
        self._size = 0
        self._is_torn = False
        """What a disk took of an entry that was not written whole may still be there."""
        self._recent: deque[str] = deque(maxlen=RECENT)
        self._kept: set[str] = set()
        self.standing = Standing()

    def load(self) -> None:
        """Raises BrokenState for a file that is no chain, AuditUnavailable for one that can't be read."""
        try:
            self._certificates.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._kept = {path.stem for path in self._certificates.iterdir()}
            if self.path.exists():
                self._read()
        except OSError as error:
            raise self._unusable(error) from error

    def _read(self) -> None:
        with self.path.open("rb") as file:
            for count, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    break
                try:
                    entry = parse(line[:-1])
                except InvalidInput as error:
                    raise self._broken(count, error.message) from error
                why = self.standing.feed(entry)
                if why:
                    raise self._broken(count, why)
                self._note(entry, len(line))
        if self.path.stat().st_size > self._size:
            _log.warning("the last entry was not whole, and is removed", file=self.path)
            os.truncate(self.path, self._size)

    def _note(self, entry: Entry, size: int) -> None:
        if (entry.content.number - 1) % EVERY == 0:
            self._places.append(self._size)
        self._size += size
        self._recent.append(entry.digest)

    def add(
        self,
        at: float,
        heads: Sequence[SignedHead] = (),
        refused: Sequence[Break] = (),
        accepted: Sequence[Acceptance] = (),
    ) -> Entry:
        """One entry more, on the disk. Raises AuditUnavailable, and then the file is as before."""
        content = Content(
            self.standing.number + 1,
            moment(at),
            self._master,
            tuple(heads),
            tuple(refused),
            tuple(accepted),
        )
        line, entry = line_of(self.standing.link, content)
        try:
            self._write(line)
        except OSError as error:
            raise self._unusable(error) from error
        self.standing.feed(entry)
        self._note(entry, len(line))
        return entry

    def _write(self, line: bytes) -> None:
        """Whole or not at all: what a full disk took of it is cut off again. Never to a file that somebody else has changed."""
        is_new = not self._size
        flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | (os.O_CREAT if is_new else 0)
        try:
            descriptor = os.open(self.path, flags, 0o600)
        except FileNotFoundError as error:
            raise OSError(errno.ENOENT, f"{FILE} was removed by somebody else") from error
        try:
            if self._is_torn:
                os.ftruncate(descriptor, self._size)
                self._is_torn = False
            if os.fstat(descriptor).st_size != self._size:
                raise OSError(errno.EINVAL, f"{FILE} was changed by somebody else")
            self._is_torn = True
            try:
                written = os.write(descriptor, line)
                if written < len(line):
                    raise OSError(28, "no room for the whole entry")
                os.fdatasync(descriptor)
            except OSError:
                os.ftruncate(descriptor, self._size)
                self._is_torn = False
                raise
            self._is_torn = False
        finally:
            os.close(descriptor)
        if is_new:
            sync_folder(self.path.parent)

    def digests(self, after: int, most: int) -> list[str]:
        """Of up to `most` entries after that one, in order. Raises AuditUnavailable."""
        missing = self.standing.number - after
        if missing <= 0:
            return []
        if missing <= len(self._recent):
            return list(self._recent)[-missing:][:most]
        try:
            return [digest for digest, _ in zip(self._from(after + 1), range(min(most, missing)))]
        except OSError as error:
            raise self._unusable(error) from error

    def _from(self, number: int) -> Iterator[str]:
        with self.path.open("rb") as file:
            file.seek(self._places[(number - 1) // EVERY])
            for _ in range((number - 1) % EVERY):
                file.readline()
            for line in file:
                yield frame(line[:-1])[2]

    def keep(self, sha256: str, der: bytes) -> None:
        """The certificate by which heads, or this master's own seals, are verified later. Raises AuditUnavailable."""
        if sha256 in self._kept:
            return
        text = base64.encodebytes(der).decode().replace("\n", "")
        lines = [text[place : place + 64] for place in range(0, len(text), 64)]
        pem = "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])
        try:
            write_file(self._certificates / f"{sha256}.pem", pem.encode())
        except OSError as error:
            raise self._unusable(error) from error
        self._kept.add(sha256)

    def certificate(self, sha256: str) -> str:
        """In PEM form; empty for one that was never kept here. Raises AuditUnavailable."""
        if sha256 not in self._kept:
            return ""
        try:
            return (self._certificates / f"{sha256}.pem").read_text()
        except OSError as error:
            raise self._unusable(error) from error

    def lines(self) -> Iterator[bytes]:
        """As they stand, without their ends: what is exported. Raises OSError."""
        if not self._size:
            return
        end = self._size
        with self.path.open("rb") as file:
            for line in file:
                end -= len(line)
                if end < 0:
                    return
                yield line[:-1]

    def of(self, log_name: str) -> list[Entry]:
        """The entries that say something of one log, oldest first. Raises OSError."""
        needle = b'"log":"%s"' % log_name.encode()
        return [parse(line) for line in self.lines() if needle in line]

    def _broken(self, line_number: int, why: str) -> BrokenState:
        return BrokenState(
            f"{self.path}:{line_number}: {why}",
            remedy="keep the file for whoever looks into it: docs/operations/audit.md",
        )

    def _unusable(self, error: OSError) -> AuditUnavailable:
        return AuditUnavailable(f"{self.path.parent} can't be used: {error.strerror}")
