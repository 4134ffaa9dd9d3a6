"""An operator's word that slots are to leave their host."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from hullmark.core.explain import explanation
from hullmark.core.moves import move
from hullmark.core.schedule import plan
from hullmark.errors import Conflict, NotFound
from hullmark.model.app import (
    App,
    ContainerSpec,
    DeployMode,
    DeploySpec,
    HostLoss,
    Mount,
    MountKind,
    PortMode,
    PortSpec,
    Service,
    Volume,
)
from hullmark.model.change import Change
from hullmark.model.host import Availability, HostRecord, Maintenance
from hullmark.model.move import MovedSlot, MoveRequest
from hullmark.model.observed import HostState
from hullmark.model.records import Home, HomesRecord
from hullmark.model.snapshot import Snapshot
from tests.unit.core import fleets
from tests.unit.core.fleets import obeyed, planned

WORD = Change("anna", "r9", 2.0, "CHG-9")
DATA = Mount(MountKind.VOLUME, "/data", "data")
BIND = Mount(MountKind.BIND, "/srv", "/srv/shop")


def service(replicas: int = 1, *mounts: Mount, **deploy: Any) -> Service:
    return Service(ContainerSpec("x:1", mounts=mounts), DeploySpec(replicas=replicas, **deploy))


def fleet(web: Service, hosts: int = 3) -> Snapshot:
    """The app `shop`, placed on hosts `h1` and so on."""
    records = [HostRecord(f"id{number}", f"h{number}", 1.0) for number in range(1, hosts + 1)]
    app = App("shop", {"web": web}, volumes={"data": Volume()})
    apps = {"shop": fleets.next_record(None, app, fleets.CHANGE)}
    states = {record.host_id: HostState(fleets.X86) for record in records}
    return planned(fleets.snapshot(apps, records, states))


def asked(snapshot: Snapshot, **request: Any) -> tuple[tuple[MovedSlot, ...], dict[str, Home]]:
    made = move(snapshot, snapshot.apps["shop"], MoveRequest("web", "r9", **request), WORD)
    return made.slots, dict(made.homes.slots)


def with_homes(snapshot: Snapshot, homes: dict[str, Home]) -> Snapshot:
    return dataclasses.replace(snapshot, homes={"shop": HomesRecord(homes)})


def with_host(snapshot: Snapshot, host_id: str, **changes: Any) -> Snapshot:
    host = dataclasses.replace(snapshot.hosts[host_id], **changes)
    return dataclasses.replace(snapshot, hosts={**snapshot.hosts, host_id: host})


def test_a_slot_that_is_told_to_go_stays_until_it_can() -> None:
    """And what is said of that counts it as one that runs."""
    web = dataclasses.replace(service(3), ports=(PortSpec(80, 8080, 8080, mode=PortMode.HOST),))
    placed = obeyed(fleet(web, hosts=2), {})
    moved = with_homes(placed, asked(placed, slot=1, to="h2")[1])
    made = plan(moved)
    assert made.hosts == {}
    stuck = {item.slot: item for item in made.unplaced}
    assert (stuck[1].kept_on, stuck[3].kept_on) == ("h1", "")
    assert [item.text for item in stuck[1].refusals] == ["port 8080/tcp taken"]
    found = explanation(moved, made.unplaced, moved.apps["shop"])
    slots = {slot.slot: slot for slot in found.services[0].slots}
    assert slots[3].commands == ("hullmark scale shop/web=2",)
    assert slots[1].host == "h1"


def test_a_slot_that_is_told_where_to_go_goes_nowhere_else() -> None:
    placed = obeyed(fleet(service(1)), {})
    moved = with_homes(placed, asked(placed, to="h3")[1])
    away = fleets.silent(moved, ["id3"])
    (stuck,) = plan(away).unplaced
    assert ("an operator moves it to host h3", ("h2",)) in [
        (item.text, item.hosts) for item in stuck.refusals
    ]


def test_without_data_nothing_has_to_be_accepted() -> None:
    slots, homes = asked(fleet(service(2)), slot=2)
    assert slots == (MovedSlot("shop/web.2", "h2"),)
    assert homes == {"web.2": Home("", (), "id2", WORD, accepts_loss=False)}


def test_all_slots_of_a_service() -> None:
    slots, homes = asked(fleet(service(2)))
    assert [(moved.name, moved.leaves) for moved in slots] == [
        ("shop/web.1", "h1"),
        ("shop/web.2", "h2"),
    ]
    assert {key: home.leave for key, home in homes.items()} == {"web.1": "id1", "web.2": "id2"}


def test_to_one_host() -> None:
    slots, homes = asked(fleet(service(2)), to="h2")
    assert slots == (MovedSlot("shop/web.1", "h1", "h2"),)
    assert homes == {"web.1": Home("id2", (), "id1", WORD, accepts_loss=False)}


@pytest.mark.parametrize(
    ("mount", "what"), [(DATA, "volume data"), (BIND, "/srv/shop")], ids=["volume", "bind"]
)
def test_data_is_not_left_behind_by_mistake(mount: Mount, what: str) -> None:
    placed = fleet(service(1, mount))
    with pytest.raises(Conflict) as refused:
        asked(placed)
    assert refused.value.message == (
        f"nothing is copied, so this would be left behind:\nshop/web.1 on h1: {what}"
    )
    assert "--accept-data-loss" in refused.value.remedy
    slots, homes = asked(placed, accept_data_loss=True)
    assert slots == (MovedSlot("shop/web.1", "h1", "", (what,)),)
    assert homes["web.1"].leave == "id1"


def test_data_is_left_behind_also_by_what_is_entrusted_to_move() -> None:
    placed = fleet(service(1, DATA, on_host_lost=HostLoss.REPLACE))
    with pytest.raises(Conflict, match="volume data"):
        asked(placed)


def test_many_losses_are_told_in_a_few_lines() -> None:
    with pytest.raises(Conflict) as refused:
        asked(fleet(service(8, DATA)))
    lines = refused.value.message.splitlines()
    assert (len(lines), lines[-1]) == (7, "and 3 more")


def test_what_has_a_home_and_no_place_can_be_moved() -> None:
    """As when the host with its data was removed."""
    placed = fleet(service(1, DATA))
    lost = dataclasses.replace(
        with_homes(placed, {"web.1": Home("gone", ("old",))}), assignments={}
    )
    slots, homes = asked(lost, accept_data_loss=True)
    assert slots == (MovedSlot("shop/web.1", "gone", "", ("volume data", "volume old")),)
    assert homes == {"web.1": Home("", ("old",), "gone", WORD)}


def test_what_leaves_already_leaves_the_same_host_still() -> None:
    placed = with_homes(fleet(service(1, DATA)), {"web.1": Home("id2", ("data",), "id1", WORD)})
    slots, homes = asked(placed, to="h3", accept_data_loss=True)
    assert slots[0].leaves == "h1"
    assert homes == {"web.1": Home("id3", ("data",), "id1", WORD)}


def test_a_word_can_be_taken_back() -> None:
    placed = with_homes(fleet(service(1, DATA)), {"web.1": Home("", ("data",), "id1", WORD)})
    slots, homes = asked(placed, to="h1")
    assert slots == (MovedSlot("shop/web.1", "h1", "h1", withdrawn=True),)
    assert homes == {"web.1": Home("id1", ("data",), "", WORD)}
    free = with_homes(fleet(service(1)), {"web.1": Home("", (), "id1", WORD)})
    assert asked(free, to="h1")[1] == {}


def test_homes_of_other_slots_stay() -> None:
    other = Home("id3", ("data",))
    placed = with_homes(fleet(service(1)), {"db.1": other})
    assert asked(placed)[1]["db.1"] == other


def test_of_two_places_the_one_that_is_heard_is_left() -> None:
    """As long as a lost host's instance may still run beside its successor."""
    placed = fleet(service(1))
    orders = placed.assignments["id1"]
    twice = dataclasses.replace(placed, assignments={"id1": orders, "id2": orders})
    assert asked(fleets.silent(twice, ["id1"]))[0][0].leaves == "h2"


@pytest.mark.parametrize(
    ("request_made", "kind", "words"),
    [
        ({"slot": 2}, NotFound, "shop/web has no slot 2"),
        ({"slot": -1}, NotFound, "has no slot -1"),
        ({"to": "h9"}, NotFound, "host h9 is not enrolled"),
        ({"to": "h1"}, Conflict, "shop/web is on host h1 already"),
        ({"to": "h1", "slot": 1}, Conflict, "shop/web.1 is on host h1 already"),
    ],
)
def test_what_cannot_be(request_made: dict[str, Any], kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        asked(fleet(service(1)), **request_made)


def test_an_unknown_service_is_named_with_those_that_there_are() -> None:
    placed = fleet(service(1))
    with pytest.raises(NotFound, match="app shop has no service db") as refused:
        move(placed, placed.apps["shop"], MoveRequest("db", "r9"), WORD)
    assert refused.value.remedy == "it has web"


def test_what_runs_on_every_host_has_no_other() -> None:
    with pytest.raises(Conflict, match="runs on every host that fits"):
        asked(fleet(service(1, mode=DeployMode.GLOBAL)))


@pytest.mark.parametrize("mounts", [(), (DATA,)], ids=["free", "with data"])
def test_where_there_is_one_host_nothing_is_moved(mounts: tuple[Mount, ...]) -> None:
    """And nobody is asked to give up data for that."""
    placed = fleet(service(1, *mounts), hosts=1)
    for state in (placed, fleets.silent(placed, ["id1"])):
        with pytest.raises(Conflict, match=r"shop/web\.1 can't leave host h1") as refused:
            asked(state)
        assert refused.value.message.endswith("there is no other host")
        assert refused.value.remedy.endswith("hullmark invite HOST")
    pending = with_homes(placed, {"web.1": Home("", (), "id1", WORD)})
    assert asked(pending, to="h1")[0][0].withdrawn, "a word from before is taken back all the same"


def test_what_is_nowhere_has_nothing_to_leave() -> None:
    placed = dataclasses.replace(fleet(service(1)), assignments={})
    with pytest.raises(Conflict, match="is placed nowhere, and has no data anywhere") as refused:
        asked(placed)
    assert "hullmark explain shop/web" in refused.value.remedy


def test_the_host_to_go_to_has_to_take_something() -> None:
    placed = fleet(service(1))
    for word in (Availability.CORDONED, Availability.DRAINING):
        with pytest.raises(Conflict, match=f"host h2 is {word.value}"):
            asked(with_host(placed, "id2", availability=word), to="h2")
    with pytest.raises(Conflict, match="host h2 is not heard"):
        asked(fleets.silent(placed, ["id2"]), to="h2")
    busy = with_host(placed, "id2", maintenance=Maintenance(0.0, 10.0, "anna"))
    with pytest.raises(Conflict, match="in maintenance"):
        asked(dataclasses.replace(busy, now=9.0), to="h2")
    assert asked(dataclasses.replace(busy, now=11.0), to="h2")[0][0].to == "h2"
