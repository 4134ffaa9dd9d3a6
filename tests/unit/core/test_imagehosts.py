"""Whom to ask what an image is, and what is said where nobody has it."""

from __future__ import annotations

import dataclasses

from hullmark.core.imagehosts import ordered, refusal
from hullmark.model.app import App, ContainerSpec, DeploySpec, Placement, Service
from hullmark.model.protocol import ResolveAnswer
from tests.unit.core.serviceworld import World

ALL = ("h1", "h2", "h3", "h4")
EDGE = Placement(("node.labels.edge == yes",))
APP = App("shop", {"web": Service(ContainerSpec("web:1"), DeploySpec(placement=EDGE))})
NO = ResolveAnswer(error="it is not on this host", remedy="load it")


def world() -> World:
    """h3 may run the app by its label, and h4 runs it already."""
    made = World([APP], 4)
    made.hosts["h3"] = dataclasses.replace(made.hosts["h3"], labels={"edge": "yes"})
    made.assign("h4", "shop/web")
    return made


def test_who_runs_the_app_and_who_may_is_asked_first() -> None:
    assert ordered(world().snapshot(), APP, "web:1", "", ALL) == ["h4", "h3", "h1", "h2"]
    assert ordered(world().snapshot(), APP, "web:1", "", ("h2", "h3")) == ["h3", "h2"]
    assert ordered(world().snapshot(), APP, "web:1", "linux/arm64", ALL)[0] == "h4"
    assert ordered(world().snapshot(), APP, "web:1", "linux/arm64", ("h2", "h3"))[0] == "h2"


def test_what_each_said_is_told_with_its_name() -> None:
    found = refusal(world().snapshot(), {"h1": NO, "h3": None, "h2": NO}, 7)
    assert found.error == ("h1, h2: it is not on this host; h3: no answer; 7 more were not asked")
    assert found.remedy == "load it"


def test_many_hosts_are_not_all_named() -> None:
    many = World([APP], 9)
    found = refusal(many.snapshot(), dict.fromkeys(many.hosts, NO), 0)
    assert found.error == "h1, h2, h3, h4, h5 and 4 more: it is not on this host"


def test_hosts_that_gave_no_answer_have_refused_nothing() -> None:
    found = refusal(world().snapshot(), {"h1": None, "h2": None}, 0)
    assert (found.error, found.note) == ("", "h1, h2: no answer")
