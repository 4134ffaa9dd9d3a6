"""The proxy's files: written whole, checked by HAProxy before it gets them, and known again when somebody else changed them, by the agent's next life,
too: see `haproxyrecord.py`."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Optional

from hullmark.engine import haproxyrecord
from hullmark.engine.haproxyabilities import ALL, Abilities, abilities_of
from hullmark.engine.haproxyconfig import CONFIG
from hullmark.engine.haproxyreading import without_processes
from hullmark.engine.haproxyrecord import RECORD, Kept, Life
from hullmark.errors import ProxyUnavailable, ProxyUnwritten, Refused

CHECK_S = 60.0
INSTALLED = "see whether the distribution's package haproxy is installed, and starts: haproxy -v"
CANDIDATE = ".haproxy.cfg.candidate"


class ProxyFiles:
    """Modes 0600 in a folder of 0700: HAProxy reads them before it gives up root's rights."""

    def __init__(self, folder: Path, binary: str) -> None:
        self.folder = folder
        self._binary = binary
        self._written: dict[str, bytes] = {}
        self._given_up: frozenset[str] = frozenset()
        self._kept: Kept = haproxyrecord.read(folder)
        self._program: tuple[tuple[int, ...], Abilities] = ((), ALL)

    def text(self, name: str) -> str:
        """Empty where there is none."""
        try:
            return (self.folder / name).read_text("utf-8", "replace")
        except OSError:
            return ""

    def own_text(self, name: str) -> str:
        """Empty also where somebody else wrote it."""
        return "" if self._is_another(name) else self.text(name)

    @property
    def is_known(self) -> bool:
        """Whether the configuration was written from here, now or by the former life, and is not left to the next `write`."""
        is_kept = CONFIG in self._kept.files and not self._given_up
        return is_kept or CONFIG in self._written

    @property
    def kept(self) -> Kept:
        return self._kept

    def write(self, files: Mapping[str, str]) -> bool:
        """Whether anything differed. The configuration last: it names the others. Raises ProxyUnwritten where the disk takes it not: then
        the rest is as it was, and nobody's doing."""
        wanted = {
            name: files[name].encode() for name in sorted(files, key=lambda one: one == CONFIG)
        }
        found = {name: self._content(name) for name in wanted}
        changed = found != wanted
        if changed:
            # First: a life that ends in the middle leaves nothing that looks like somebody else's.
            self._keep(haproxyrecord.begun(self._kept, found, wanted), durably=True)
        for name, content in wanted.items():
            if found[name] != content:
                self._put(name, content)
            self._written[name] = content
        self._keep_lightly(haproxyrecord.done(self._kept, wanted, self.folder))
        return changed

    def check(self, files: Mapping[str, str]) -> None:
        """Raises Refused with HAProxy's words. The tables are written where there are none yet: the configuration is not read without them."""
        for name in files:
            if name != CONFIG and not (self.folder / name).exists():
                self._put(name, files[name].encode())
        self._put(CANDIDATE, files[CONFIG].encode())
        try:
            done = self._run("-c", "-f", str(self.folder / CANDIDATE))
        finally:
            (self.folder / CANDIDATE).unlink(missing_ok=True)
        if done.returncode != 0:
            raise Refused(f"HAProxy refuses its configuration: {_alerts(done.stderr)}")

    def abilities(self) -> Abilities:
        """Of the program that is on the disk now, which is asked once. Raises Refused for one that is too old, and ProxyUnavailable where none is there, or it
        doesn't start, as in the middle of an upgrade."""
        mark: tuple[int, ...] = ()
        with contextlib.suppress(OSError):
            found = Path(shutil.which(self._binary) or self._binary).stat()
            mark = (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)
        if not mark or mark != self._program[0]:
            done = self._run("-v")
            if done.returncode != 0:
                said = " ".join(done.stderr.decode("utf-8", "replace").split())[:300]
                raise ProxyUnavailable(f"{self._binary} can't be asked: {said}", remedy=INSTALLED)
            self._program = (mark, abilities_of(done.stdout.decode("utf-8", "replace")))
        return self._program[1]

    def last_abilities(self) -> Optional[Abilities]:
        """Those of the program that answered last."""
        mark, abilities = self._program
        return abilities if mark else None

    def tampered(self) -> tuple[str, ...]:
        """Before the first `write`, those that aren't as the former life wrote them."""
        names = {*self._written, *(set(self._kept.files) - self._given_up)}
        return tuple(name for name in sorted(names) if self._is_another(name))

    def touched(self) -> tuple[str, ...]:
        """Those that were written since the last reload from here, or since they were written from here, be it with what they had."""
        return haproxyrecord.touched(self._kept, self.folder)

    def times(self) -> tuple[int, ...]:
        """When each was written, by the kernel."""
        return tuple(haproxyrecord.time_of(self.folder / name) for name in sorted(self._written))

    def restore(self) -> bool:
        """Whether all are as they should be. What only the former life knew is left to the next `write`, and isn't named by `tampered` again."""
        unknown = set(self._kept.files) - set(self._written)
        self._given_up = frozenset(name for name in unknown if self._is_another(name))
        self.write({name: content.decode() for name, content in self._written.items()})
        return not self._given_up

    def loaded(self, main: Life, worker: Life) -> None:
        """These processes run with what was written."""
        self._keep_lightly(haproxyrecord.loaded(self._kept, main, worker, self.folder))

    def _is_another(self, name: str) -> bool:
        content = self._content(name)
        if name in self._written:
            return content != self._written[name]
        return haproxyrecord.is_another(self._kept, name, content)

    def _keep_lightly(self, kept: Kept) -> None:
        """What is lost of it only has the next life look closer."""
        if kept != self._kept:
            with contextlib.suppress(ProxyUnwritten):
                self._keep(kept, durably=False)

    def _keep(self, kept: Kept, *, durably: bool) -> None:
        self._put(RECORD, haproxyrecord.content_of(kept), durably=durably)
        self._kept = kept

    def _run(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        command = [self._binary, *words]
        try:
            return subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=CHECK_S
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise ProxyUnavailable(
                f"{self._binary} can't be asked: {error}",
                remedy=INSTALLED,
            ) from error

    def _content(self, name: str) -> bytes:
        try:
            return (self.folder / name).read_bytes()
        except OSError:
            return b""

    def _put(self, name: str, content: bytes, *, durably: bool = True) -> None:
        path = self.folder / name
        draft = path.with_name(f".{name.lstrip('.')}.new")
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
            with os.fdopen(os.open(draft, flags, 0o600), "wb") as file:
                file.write(content)
                file.flush()
                if durably:
                    os.fsync(file.fileno())
            draft.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                draft.unlink()
            raise ProxyUnwritten(
                f"{path} can't be written: {error.strerror}",
                remedy=f"free space or mend the disk: df {self.folder}",
            ) from error


def _alerts(said: bytes) -> str:
    """What is wrong, without notices of versions and places."""
    text = without_processes(said.decode("utf-8", "replace"))
    lines = [line.strip() for line in text.splitlines()]
    alerts = [line for line in lines if line.startswith("[ALERT]")] or lines
    return " ".join(" ".join(line.split()) for line in alerts)[:1000]
