"""Moving slots to other hosts by an operator's word.

    POST   /v1/apps/APP/move   MoveRequest -> MoveAnswer

Nothing is copied. A slot with local data starts empty elsewhere, or with what it left there before: what it
had stays on the host that it leaves.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MoveRequest:
    """`slot` 0: all of the service. `to` is a host's name, empty: any other that fits. A move to the host where a
    slot still is takes back one that has not happened yet."""

    service: str
    request_id: str
    slot: int = 0
    to: str = ""
    accept_data_loss: bool = False
    ticket: str = ""


@dataclass(frozen=True)
class MovedSlot:
    """`leaves` and `to` are hosts' names; `to` empty: any other. `data` names what it leaves behind: volumes by
    their keys, binds by their paths. `withdrawn`: it stays after all."""

    name: str
    leaves: str
    to: str = ""
    data: tuple[str, ...] = ()
    withdrawn: bool = False


@dataclass(frozen=True)
class MoveAnswer:
    """What was asked of the scheduler. Each slot goes once a host that fits it is there; until then it stays."""

    app: str
    slots: tuple[MovedSlot, ...]
