"""Why instances are where they are, or nowhere: filter by filter, for people and for machines.

GET    /v1/apps/APP/explain   ?service=   -> Explanation
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Refusal:
    """Hosts that one filter rules out alike. `filter` is its stable name; `text` says why; `hosts` are names.
    `nearest` is the host that comes closest, with what it lacks: `web7, free 1.4 GiB`. `party` is who stands in the
    way, where that is somebody: `shop/web`, `process nginx`."""

    filter: str
    text: str
    hosts: tuple[str, ...]
    nearest: str = ""
    party: str = ""


@dataclass(frozen=True)
class SlotExplanation:
    """An instance that is not as it should be. `host` is where it is assigned, empty where nowhere. `nearest` is
    what would mend it without a word of anybody's; `commands` are what could be typed instead."""

    name: str
    slot: int
    generation: int
    host: str
    why: str
    refusals: tuple[Refusal, ...] = ()
    nearest: str = ""
    commands: tuple[str, ...] = ()


@dataclass(frozen=True)
class ServiceExplanation:
    service: str
    wanted: int
    running: int
    serving: int
    slots: tuple[SlotExplanation, ...] = ()


@dataclass(frozen=True)
class Explanation:
    """`hosts` is how many are enrolled. `notes` are what holds for all of the app: a stopped rollout, hosts that
    are silent all at once."""

    app: str
    state: str
    generation: int
    hosts: int
    services: tuple[ServiceExplanation, ...] = ()
    notes: tuple[str, ...] = ()
