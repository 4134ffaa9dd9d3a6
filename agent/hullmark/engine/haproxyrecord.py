"""What the agent wrote to the proxy's folder last, and which worker it loaded that with: kept beside it, for the agent's next life.

It goes with the files, so that a folder that was emptied or brought back is held against its own record. Who may change those may change this one
too: it is for noticing, and proves nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from hullmark.errors import InvalidInput
from hullmark.model.wire import canonical, from_wire, to_wire

RECORD = "written.json"


@dataclass(frozen=True)
class KeptFile:
    """`digests`: what its content may be, two while it is being written. `written_at`: the kernel's time of that, in nanoseconds; 0: not known."""

    digests: tuple[str, ...] = ()
    written_at: int = 0


@dataclass(frozen=True)
class Life:
    """One process. `started_at` in ticks since the boot."""

    pid: int = 0
    started_at: float = 0.0


@dataclass(frozen=True)
class Kept:
    """`main` and `worker`: of the last reload from here, with files that were as written."""

    files: Mapping[str, KeptFile] = field(default_factory=dict)
    main: Life = Life()
    worker: Life = Life()


def read(folder: Path) -> Kept:
    """Empty where there is none, or it can't be read: then nothing is known."""
    try:
        text = (folder / RECORD).read_text("utf-8")
        return from_wire(Kept, json.loads(text), ignore_unknown=True)
    except (OSError, ValueError, InvalidInput):
        return Kept()


def content_of(kept: Kept) -> bytes:
    """Of its file."""
    return canonical(to_wire(kept))


def is_another(kept: Kept, name: str, content: bytes) -> bool:
    """Whether somebody else wrote it; False for a file of which nothing is known."""
    known = kept.files.get(name)
    return known is not None and digest_of(content) not in known.digests


def begun(kept: Kept, found: Mapping[str, bytes], wanted: Mapping[str, bytes]) -> Kept:
    """Before files are written: from now on each is as it was, or as it is to be. What somebody else wrote stays another."""
    files = dict(kept.files)
    for name, content in wanted.items():
        digest = digest_of(content)
        if found[name] == content:
            files[name] = replace(files.get(name, KeptFile()), digests=(digest,))
        elif is_another(kept, name, found[name]):
            files[name] = KeptFile((digest,))
        else:
            files[name] = KeptFile((digest, digest_of(found[name])))
    return replace(kept, files=files)


def done(kept: Kept, wanted: Mapping[str, bytes], folder: Path) -> Kept:
    """Once they are."""
    files = dict(kept.files)
    for name, content in wanted.items():
        written_at = kept.files.get(name, KeptFile()).written_at
        files[name] = KeptFile((digest_of(content),), written_at or time_of(folder / name))
    return replace(kept, files=files)


def loaded(kept: Kept, main: Life, worker: Life, folder: Path) -> Kept:
    """Once a worker runs with what was written."""
    files = {
        name: replace(one, written_at=time_of(folder / name)) for name, one in kept.files.items()
    }
    return Kept(files, main, worker)


def touched(kept: Kept, folder: Path) -> tuple[str, ...]:
    """Files that were written since, be it with what they had."""
    return tuple(
        name
        for name, one in sorted(kept.files.items())
        if one.written_at and time_of(folder / name) != one.written_at
    )


def time_of(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
