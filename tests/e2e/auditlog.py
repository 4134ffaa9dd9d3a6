"""What a daemon's audit log says, as a reader finds it on the disk."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from hullmark.core.chain import Verifier
from hullmark.model.audit import Record, Stage
from hullmark.model.auditline import parse


def records(folder: Path) -> list[Record]:
    """Of all its files, in their order. The last line may be half written while the daemon runs: it is left out."""
    closed = sorted(folder.glob("audit-*.log"))
    lines = [line for file in [*closed, folder / "audit.log"] for line in whole(file)]
    return [parse(line) for line in lines]


def whole(file: Path) -> Iterable[bytes]:
    return (line for line in file.read_bytes().splitlines(keepends=True) if line.endswith(b"\n"))


def breaks(folder: Path) -> list[str]:
    """What is wrong with its chain."""
    verifier = Verifier()
    found = [verifier.feed(line) for line in whole(folder / "audit.log")]
    return [str(one) for one in found if one is not None]


def unended(found: Iterable[Record]) -> list[Record]:
    """Intents without an outcome."""
    known = list(found)
    ended = {one.entry.of for one in known if one.entry.stage is Stage.OUTCOME}
    return [one for one in known if one.entry.stage is Stage.INTENT and one.seq not in ended]


def outcomes(found: Iterable[Record], of: int) -> list[Record]:
    return [one for one in found if one.entry.of == of]
