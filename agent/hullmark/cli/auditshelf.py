"""Files of heads that are kept away from hosts and masters, and what is shown of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from hullmark.cli.auditheads import Heads, asked_each
from hullmark.cli.newfile import new_file
from hullmark.cli.options import Asked
from hullmark.cli.table import table, width
from hullmark.cli.words import count, one_line, utc
from hullmark.errors import HullmarkError, MasterUnavailable
from hullmark.model.audit import Head


def save(asked: Asked, path: Path) -> Heads:
    """The files of all masters that were named, one after the other, as they stand. Raises MasterUnavailable where none of them
    answers, and then there is no file."""
    heads = Heads()
    with new_file(path, replace=False, remedy="name another file") as out:
        for address, lines in asked_each(asked):
            try:
                heads.take(str(address), _copied(lines, out))
            except HullmarkError as error:
                heads.silent.append(error.message)
        if not heads.masters:
            why = "; ".join(heads.silent) or "their files of heads are empty"
            raise MasterUnavailable(f"nothing was saved: {why}")
    return heads


def _copied(lines: Iterable[bytes], out: BinaryIO) -> Iterator[bytes]:
    for line in lines:
        out.write(line + b"\n")
        yield line


def document(heads: Heads, saved: str) -> dict[str, Any]:
    return {
        "file": saved,
        "masters": sorted(heads.masters),
        "silent": heads.silent,
        "troubles": heads.troubles,
        "logs": [
            {
                "log": log,
                "seq": head.seq,
                "hash": head.hash,
                "at": head.at,
                "masters": sorted(heads.of(log).sources),
                "refused": [broken.why for _, broken in heads.of(log).refused],
            }
            for log, head in _newest(heads)
        ],
    }


def text(heads: Heads, saved: str) -> Iterator[str]:
    rows = [
        (log, str(head.seq), utc(head.at), ",".join(sorted(heads.of(log).sources)), head.hash)
        for log, head in _newest(heads)
    ]
    if rows:
        yield from table(("LOG", "RECORD", "AT", "MASTERS", "HASH"), rows, width())
    for log, known in sorted(heads.logs.items()):
        for master, broken in known.refused:
            what = f"{log}: master {master} refused record {broken.head.seq}: {broken.why}"
            yield f"WRONG  {one_line(what)}"
    for trouble in heads.troubles:
        yield f"WRONG  {one_line(trouble)}"
    for silent in heads.silent:
        yield f"not asked: {one_line(silent)}"
    if saved:
        yield f"saved {saved}: of {count(len(heads.masters), 'master')}; keep it away from them"


def _newest(heads: Heads) -> list[tuple[str, Head]]:
    """By log, where there is one."""
    found = {
        log: max(known.heads, key=lambda head: head.seq)
        for log, known in heads.logs.items()
        if known.heads
    }
    return sorted(found.items())
