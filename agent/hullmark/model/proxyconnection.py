"""A connection that is open through a host's proxy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Connection:
    """`worker`: the process that has it, 0 for the newest; `key` is that process's name for it, and a moment later perhaps another's.
    `place`: address and port that it comes from. `host`: of one from another host that host's id, by its certificate, and then `number` says
    which of the process's connections it is."""

    worker: int
    key: str
    frontend: str
    backend: str
    place: str
    server: str = ""
    host: str = ""
    number: str = ""
