"""How each kind of check looks on this host: by probes of the host, of its engine, and by parts of the agent itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Callable, Optional

from hullmark.host.eye import Eye
from hullmark.host.probes import PROBES
from hullmark.model.checkkinds import KINDS
from hullmark.model.control import Reading

Look = Callable[[Eye, Mapping[str, object]], tuple[Reading, ...]]
"""As a probe: it looks, with what a controls file gave, and raises nothing for what a host is like."""

ENGINE = "engine"
NO_ENGINE = "mode observe has no engine"
NONE_HERE = "this agent has nothing that looks in this way"


class Lookers:
    """`looks` by kind. While `observing`, nothing that needs an engine is looked at."""

    def __init__(self, looks: Mapping[str, Look], *, observing: Callable[[], bool]) -> None:
        self._looks = looks
        self._observing = observing

    def find(self, kind: str) -> tuple[Optional[Look], str]:
        """How to look, or why that can't be done."""
        known = KINDS.get(kind)
        if self._observing() and known is not None and known.needs == ENGINE:
            return None, NO_ENGINE
        look = self._looks.get(kind)
        return look, "" if look is not None else NONE_HERE


def filled(look: Look, known: Callable[[], Mapping[str, object]]) -> Look:
    """It is given what the agent knows, where a controls file says nothing of it."""

    def look_with(eye: Eye, given: Mapping[str, object]) -> tuple[Reading, ...]:
        said = {name: value for name, value in given.items() if value is not None}
        return look(eye, {**known(), **said})

    return look_with


def assemble(*parts: Mapping[str, Look], observing: Callable[[], bool]) -> Lookers:
    """The host's probes, and other parts': the engine's, watched files, receipts."""
    looks: dict[str, Look] = dict(PROBES)
    for part in parts:
        looks.update(part)
    return Lookers(looks, observing=observing)
