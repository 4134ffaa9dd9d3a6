"""The hardware addresses of Podman's bridges."""

from __future__ import annotations

from typing import Any, Optional, cast

from hullmark.agentd.bridgekeeping import BridgeKeeping
from hullmark.engine.protocol import EngineInfo
from hullmark.errors import EngineUnavailable, Refused
from hullmark.model.proxy import Bridge


class Bed:
    def __init__(self, engine: str) -> None:
        self.engine = engine
        self.away = False
        self.refusal: Optional[Exception] = None
        self.kept: list[str] = []
        self.keeping = BridgeKeeping(cast(Any, self), self.keep)

    def info(self) -> EngineInfo:
        if self.away:
            raise EngineUnavailable("away")
        return EngineInfo(self.engine, "4.3.1", "unix:///x")

    def keep(self, name: str) -> None:
        self.kept.append(name)
        if self.refusal is not None:
            raise self.refusal


def bridge(index: int) -> Bridge:
    return Bridge("shop", "back", "br-1", index, "10.213.0.0/25", "10.213.0.1", internal=False)


def test_podmans_are_kept_once_from_when_they_are_first_seen() -> None:
    bed = Bed("podman")
    for _ in range(3):
        bed.keeping.follow([bridge(3)])
    assert bed.kept == ["br-1"]
    bed.keeping.follow([])
    bed.keeping.follow([bridge(3)])
    assert bed.kept == ["br-1", "br-1"]
    bed.keeping.follow([bridge(4)])
    assert bed.kept == ["br-1", "br-1", "br-1"], "one that was made anew is another"


def test_docker_keeps_them_itself() -> None:
    bed = Bed("docker")
    bed.keeping.follow([bridge(3)])
    assert bed.kept == []


def test_one_that_cannot_be_kept_is_tried_once() -> None:
    bed = Bed("podman")
    bed.refusal = Refused("no")
    for _ in range(3):
        bed.keeping.follow([bridge(3)])
    assert bed.kept == ["br-1"]


def test_an_engine_that_is_away_is_asked_again() -> None:
    bed = Bed("podman")
    bed.away = True
    bed.keeping.follow([bridge(3)])
    assert bed.kept == []
    bed.away = False
    bed.keeping.follow([bridge(3)])
    assert bed.kept == ["br-1"]
