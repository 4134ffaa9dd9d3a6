"""The proxy's files: written whole, checked by HAProxy before it gets them, and known again when somebody else changed them."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from hullmark.engine.haproxyconfig import CONFIG
from hullmark.errors import ProxyUnavailable, ProxyUnwritten, Refused

CHECK_S = 60.0
CANDIDATE = ".haproxy.cfg.candidate"


class ProxyFiles:
    """Modes 0600 in a folder of 0700: HAProxy reads them before it gives up root's rights."""

    def __init__(self, folder: Path, binary: str) -> None:
        self.folder = folder
        self._binary = binary
        self._written: dict[str, bytes] = {}

    def text(self, name: str) -> str:
        """Empty where there is none."""
        try:
            return (self.folder / name).read_text("utf-8", "replace")
        except OSError:
            return ""

    def write(self, files: Mapping[str, str]) -> bool:
        """Whether anything differed. The configuration last: it names the others. Raises ProxyUnwritten where the disk takes it not: then
        the rest is as it was, and nobody's doing."""
        changed = False
        for name in sorted(files, key=lambda one: one == CONFIG):
            content = files[name].encode()
            if self._content(name) != content:
                self._put(name, content)
                changed = True
            self._written[name] = content
        return changed

    def check(self, files: Mapping[str, str]) -> None:
        """Raises Refused with HAProxy's words. The tables are written where there are none yet: the configuration is not read without them."""
        for name in files:
            if name != CONFIG and not (self.folder / name).exists():
                self._put(name, files[name].encode())
        self._put(CANDIDATE, files[CONFIG].encode())
        try:
            command = [self._binary, "-c", "-f", str(self.folder / CANDIDATE)]
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=CHECK_S
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise ProxyUnavailable(
                f"{self._binary} can't check a configuration: {error}",
                remedy="see whether the distribution's package haproxy is installed",
            ) from error
        finally:
            (self.folder / CANDIDATE).unlink(missing_ok=True)
        if done.returncode != 0:
            raise Refused(f"HAProxy refuses its configuration: {_alerts(done.stderr)}")

    def tampered(self) -> tuple[str, ...]:
        return tuple(
            name
            for name, content in sorted(self._written.items())
            if self._content(name) != content
        )

    def restore(self) -> None:
        self.write({name: content.decode() for name, content in self._written.items()})

    def _content(self, name: str) -> bytes:
        try:
            return (self.folder / name).read_bytes()
        except OSError:
            return b""

    def _put(self, name: str, content: bytes) -> None:
        path = self.folder / name
        draft = path.with_name(f".{name.lstrip('.')}.new")
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
            with os.fdopen(os.open(draft, flags, 0o600), "wb") as file:
                file.write(content)
                file.flush()
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
    lines = [line.strip() for line in said.decode("utf-8", "replace").splitlines()]
    alerts = [line for line in lines if line.startswith("[ALERT]")] or lines
    return " ".join(" ".join(line.split()) for line in alerts)[:1000]
