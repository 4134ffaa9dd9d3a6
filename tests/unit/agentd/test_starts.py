"""Starts of which one could lead the other astray are not made at the same time."""

from __future__ import annotations

import threading

import pytest

from hullmark.agentd import starts
from hullmark.agentd.sights import may_be_root
from hullmark.agentd.starts import Flight, Starts
from hullmark.errors import Conflict
from hullmark.host.mounts import Place

READER = Flight(through=(Place("8:1", "/"), Place("8:1", "/srv"), Place("8:1", "/srv/data")))
WRITER = Flight(through=(Place("8:1", "/"),), writes=(Place("8:1", "/srv/data"),))
APART = Flight(through=(Place("8:1", "/"),), writes=(Place("8:2", "/srv/data"),))


@pytest.mark.parametrize(("one", "other"), [(READER, WRITER), (WRITER, READER)])
def test_who_writes_waits_for_who_is_led_through_and_the_other_way_round(
    one: Flight, other: Flight, monkeypatch: pytest.MonkeyPatch
) -> None:
    under_way = Starts()
    under_way.begin("a", one)
    under_way.begin("b", APART)
    begun = threading.Event()

    def begin() -> None:
        under_way.begin("c", other)
        begun.set()

    thread = threading.Thread(target=begin)
    thread.start()
    assert not begun.wait(0.05)
    under_way.end("b")
    assert not begun.wait(0.05)
    under_way.end("a")
    assert begun.wait(5.0)
    thread.join()
    monkeypatch.setattr(starts, "WAIT_S", 0.01)
    with pytest.raises(Conflict, match="container abc waits for another"):
        under_way.begin("abc", one)


def test_a_writer_of_other_things_and_two_readers_wait_for_nobody() -> None:
    under_way = Starts()
    for name, flight in (("a", READER), ("b", READER), ("c", APART), ("d", Flight())):
        under_way.begin(name, flight)


@pytest.mark.parametrize(
    ("user", "options", "root"),
    [
        ("", ["no-new-privileges"], True),
        ("0:5", ["no-new-privileges"], True),
        ("app", ["no-new-privileges:true"], True),
        ("1000:1000", ["no-new-privileges:true"], False),
        ("1000", ["no-new-privileges"], False),
        ("1000", ["no-new-privileges:false"], True),
        ("1000", [], True),
    ],
)
def test_who_may_be_root_inside(user: str, options: list[str], root: bool) -> None:
    host = {"SecurityOpt": options}
    assert may_be_root({"Config": {"User": user}, "HostConfig": host}) is root
    assert may_be_root({"Config": {"User": user}, "HostConfig": {**host, "Privileged": True}})
