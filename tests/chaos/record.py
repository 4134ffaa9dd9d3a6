"""A history of what was done to a cluster and what it did: plain facts, and their form in a file.

All times are seconds of this machine's monotonic clock (`time.monotonic`), so that facts of different sources are in one order.
An epoch is a pair (incarnation, term).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Union

EpochPair = tuple[int, int]


@dataclass(frozen=True)
class Fault:
    """What was done, and from when to when it was felt: `lasted_s` after its begin healing began, and by `end_s` what it had ended was
    started again. `proof` is what showed that it took effect, empty where nothing did.

    `unheard`: hosts that no leader could hear meanwhile; with `control` because it was the masters or their store that were away.
    `leaderless`: nobody at all could lead meanwhile. `broken`: hosts whose containers the fault itself ended.
    """

    name: str
    target: str
    begin_s: float
    end_s: float
    proof: str
    unheard: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    control: bool = False
    lasted_s: float = 0.0
    leaderless: bool = False


@dataclass(frozen=True)
class Try:
    """One sending of a client's request. `outcome`: `done` (a master said so), `refused` (a master said no), `unknown` (it may have
    been done). A request is sent again with the same `request_id`. `generation` is of the answer, 0 without one."""

    request_id: str
    app: str
    sent_s: float
    ended_s: float
    master: str
    outcome: str
    generation: int = 0
    detail: str = ""


@dataclass(frozen=True)
class Reign:
    """A version of the leader record in the store. `leader` is empty where it names nobody."""

    revision: int
    epoch: EpochPair
    leader: str


@dataclass(frozen=True)
class Spec:
    """A version of an app's record in the store: which request made it, and for each service how many instances it has and
    since which generation they are what they are. Removed: no services."""

    revision: int
    app: str
    generation: int
    request_id: str
    replicas: Mapping[str, int]
    generations: Mapping[str, int]


@dataclass(frozen=True)
class Obeyed:
    """What an agent's disk held: the highest epoch that it accepted, and whose."""

    at_s: float
    host: str
    epoch: EpochPair
    leader: str
    revision: int


@dataclass(frozen=True)
class Happening:
    """What an engine did to a container. `action`: create, start, die or destroy. `epoch` is the one that it was made under."""

    at_s: float
    host: str
    action: str
    container: str
    app: str
    service: str
    slot: int
    generation: int
    epoch: EpochPair


@dataclass(frozen=True)
class Running:
    """A container that an engine said is running."""

    host: str
    container: str
    app: str
    service: str
    slot: int
    generation: int


@dataclass(frozen=True)
class Rest:
    """The cluster after a round, all faults healed. `settled`: what it runs is what is asked for, once each; `why` says what
    is not. `generations`: what the leader says of each app. `intruders`: who was answered by a service that it may not call."""

    at_s: float
    settled: bool
    why: str
    running: tuple[Running, ...]
    generations: Mapping[str, int]
    intruders: tuple[str, ...] = ()


@dataclass(frozen=True)
class Round:
    """From the first fault to the rest after it."""

    seed: int
    begin_s: float
    end_s: float


@dataclass(frozen=True)
class History:
    """`kinds`: for each app that no client changes, what becomes of its instances when their host is lost: keep, stop or
    replace. `lost_after_s`: silence after which a host counts as lost."""

    lost_after_s: float
    kinds: Mapping[str, str]
    rounds: tuple[Round, ...] = ()
    faults: tuple[Fault, ...] = ()
    tries: tuple[Try, ...] = ()
    reigns: tuple[Reign, ...] = ()
    specs: tuple[Spec, ...] = ()
    obeyed: tuple[Obeyed, ...] = ()
    happenings: tuple[Happening, ...] = ()
    rests: tuple[Rest, ...] = ()


_PARTS: Mapping[str, Any] = {
    "rounds": Round,
    "faults": Fault,
    "tries": Try,
    "reigns": Reign,
    "specs": Spec,
    "obeyed": Obeyed,
    "happenings": Happening,
    "rests": Rest,
}


def save(history: History, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(history), indent=1) + "\n")


def load(path: Path) -> History:
    """The inverse of `save`. Raises TypeError or KeyError for another form."""
    raw: dict[str, Any] = json.loads(path.read_text())
    for name, cls in _PARTS.items():
        raw[name] = tuple(
            cls(**{key: _frozen(value, key) for key, value in one.items()}) for one in raw[name]
        )
    assert set(raw) == {each.name for each in fields(History)}, f"{path} is no history"
    return History(**raw)


def _frozen(value: Any, key: str) -> Union[Any, tuple[Any, ...]]:
    if key == "running":
        return tuple(Running(**one) for one in value)
    return tuple(value) if isinstance(value, list) else value
