"""How the mark stands, as people are told."""

from __future__ import annotations

import dataclasses

from hullmark.core.loadlinestanding import brakes, mark_findings, mark_view
from hullmark.model.app import Placement
from hullmark.model.control import Status
from hullmark.model.loadline import BrakeView, Lack, LoadLineRecord, Override, Required
from tests.unit.core.test_loadline import SET, marked, shop, state_of, web


def test_hosts_that_miss_it_are_named_with_what_they_lack() -> None:
    world = marked(6, 2)
    view = mark_view(world.snapshot())
    assert (view.applied, view.by, view.hosts_total) == (True, "alice", 6)
    ((name, misses),) = [(host.host, host.misses) for host in view.hosts]
    assert (name, [miss.lack for miss in misses]) == ("h2", [Lack.FAIL])
    assert misses[0].carrier == "audit-trail-auditd"
    (found,) = mark_findings(world.snapshot())
    text = '1 host gets no new work, by the mark: h2 (control "audit trail" FAILS)'
    assert found == (0, text, "hullmark mark status")


def test_many_are_counted_and_a_silent_one_is_told_elsewhere() -> None:
    world = marked(30, 1, 2, 3, 4, 5)
    world.machines["id9"].connected = False
    world.pass_s(7.0)
    (found,) = mark_findings(world.snapshot())
    assert found[1].startswith("5 hosts get no new work, by the mark: h1 (")
    assert found[1].endswith("and 2 more")
    silent = [host.host for host in mark_view(world.snapshot()).hosts if host.host == "h9"]
    assert silent == ["h9"]


def test_the_brake_is_said_first_and_what_waits_is_named() -> None:
    world = marked(6, 1, 2)
    world.apply(shop(("web", web()), ("db", web())))
    snapshot = world.snapshot()
    assert brakes(snapshot) == (BrakeView("audit-trail", 2, 6, ("shop/db", "shop/web")),)
    weight, note, command = next(iter(mark_findings(snapshot)))
    assert weight == 1
    assert note.startswith('the mark\'s brake is on: control "audit trail" fails on 2 of 6 hosts')
    assert note.endswith("new work that needs it waits")
    assert command.startswith("hullmark mark override audit-trail --ticket TEXT")


def test_the_worst_of_several_services_is_told() -> None:
    world = marked(10, 1, 2, record=LoadLineRecord())
    needs = (Required("audit-trail"),)
    for number in (1, 2, 3):
        world.change_host(f"id{number}", labels={"zone": "a"})
    few = Placement(("node.labels.zone == a",), require=needs)
    world.apply(shop(("few", web(placement=few)), ("all", web(placement=Placement(require=needs)))))
    assert brakes(world.snapshot()) == (BrakeView("audit-trail", 2, 3, ("shop/few",)),)


def test_words_in_force_are_told_until_they_are_over() -> None:
    world = marked(4, 1, 2)
    words = (
        Override("audit-trail", "ann", "CHG-1", world.now, world.now + 7200.0),
        Override("*", "bob", "CHG-2", world.now, world.now + 60.0, "shop"),
    )
    world.loadline = dataclasses.replace(SET, overrides=words)
    notes = [note for _, note, _ in mark_findings(world.snapshot())]
    assert notes[-2:] == [
        'control "audit trail" is not asked for: ann, ticket CHG-1, 2 h left',
        "every control is not asked for by app shop: bob, ticket CHG-2, 60 s left",
    ]
    assert not brakes(world.snapshot()), "a person has decided"
    world.pass_s(61.0)
    assert [word.by for word in mark_view(world.snapshot()).overrides] == ["ann"]


def test_nothing_is_told_where_nothing_is_asked() -> None:
    world = marked(3, 1, 2, record=LoadLineRecord())
    assert list(mark_findings(world.snapshot())) == []
    state_of(world, "id1", Status.ERROR)
    assert mark_view(world.snapshot()).hosts == ()
