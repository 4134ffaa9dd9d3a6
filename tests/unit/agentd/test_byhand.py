"""From an engine's events to records and alerts, with clocks and an engine of our own."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from typing import Any

import pytest

from hullmark.agentd.byhand import (
    CHECKS,
    COUNTED_S,
    MORE,
    STOP_S,
    WAITING_MAX,
    ByHand,
    running_since,
)
from hullmark.agentd.outbox import Outbox
from hullmark.agentd.owndeeds import OwnDeeds
from hullmark.engine.protocol import Deed, DeedKind, EngineEvent, Passage
from hullmark.errors import AuditUnavailable, EngineUnavailable, NotFound
from hullmark.model.audit import BY_HAND, Actor, Entry, Record
from tests.unit.agentd.fakes import FakeEngine
from tests.unit.agentd.logbook import intent, record

NAME = "shop.web.1.g1"
CHECK = {"Config": {"Healthcheck": {"Test": ["CMD", "probe", "-q"]}}}


class Engine(FakeEngine):
    def __init__(self) -> None:
        super().__init__()
        self.known: dict[str, Mapping[str, Any]] = {}
        self.looked: list[str] = []
        self.away = False

    def inspected(self, container_id: str) -> Mapping[str, Any]:
        self.looked.append(container_id)
        if self.away:
            raise EngineUnavailable("gone")
        if container_id not in self.known:
            raise NotFound(container_id)
        return self.known[container_id]


class Scene:
    def __init__(self) -> None:
        self.now = 1000.0
        self.engine = Engine()
        self.own = OwnDeeds(self.clock)
        self.notes: list[Entry] = []
        self.outbox = Outbox("host h")
        self.left: list[Record] = []
        self.by_hand = ByHand(
            self.engine,
            self.own,
            self.notes.append,
            self.outbox,
            lambda: self.left,
            clock=self.clock,
            wall=self.clock,
        )

    def clock(self) -> float:
        return self.now

    def happens(
        self, *actions: str, name: str = NAME, container_id: str = "ab12", **fields: str
    ) -> None:
        for action in actions:
            self.by_hand.take(EngineEvent(action, container_id, name, self.now, fields))

    def later(self, seconds: float = 3.0) -> None:
        self.by_hand.turn()
        self.now += seconds
        self.by_hand.turn()

    def kinds(self) -> list[str]:
        return [one.kind for one in self.notes]

    def told(self) -> list[str]:
        return [one.kind for one in self.outbox.peek()]


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_command_is_recorded_and_told_once(scene: Scene) -> None:
    scene.happens("exec_create", detail="psql -c s3cret", execID="e1", image="db:1")
    scene.happens("exec_start", detail="psql -c s3cret", execID="e1")
    scene.happens("exec_die", execID="e1")
    scene.later()
    (entry,) = scene.notes
    assert (entry.kind, entry.subject) == ("unmanaged.exec", "shop/web.1")
    assert (entry.by, entry.actor, entry.container_id) == (BY_HAND, Actor.UNKNOWN, "ab12")
    assert (entry.fields["program"], entry.fields["words"]) == ("psql", "3")
    assert entry.fields["happened_at"] == "1970-01-01T00:16:40.000000Z"
    assert "s3cret" not in str(entry)
    (event,) = scene.outbox.peek()
    assert (event.kind, event.subject) == ("unmanaged.exec", "shop/web.1")
    assert "s3cret" not in str(event)


def test_health_checks_are_only_counted(scene: Scene) -> None:
    scene.engine.known["ab12"] = CHECK
    for number in range(5):
        scene.happens("exec_create", detail="probe -q", execID=str(number))
        scene.happens("exec_start", "exec_die", detail="probe -q", execID=str(number))
        scene.later()
    assert scene.notes == []
    assert scene.engine.looked == ["ab12"]
    scene.happens("exec_create", detail="probe -x", execID="x")
    scene.later()
    assert scene.kinds() == ["unmanaged.exec"]
    scene.later(COUNTED_S)
    (counted,) = scene.notes[1:]
    assert (counted.kind, counted.fields["runs"], counted.fields["containers"]) == (
        CHECKS,
        "5",
        "1",
    )
    scene.later(COUNTED_S)
    assert len(scene.notes) == 2


def test_podman_tells_of_a_check_without_a_command(scene: Scene) -> None:
    scene.happens("health_status", "exec_die")
    scene.happens("health_status", detail="healthy")
    scene.later(COUNTED_S)
    assert scene.kinds() == [CHECKS]
    assert scene.notes[0].fields["runs"] == "1"


def test_who_comes_and_goes_does_not_hold_up_the_record_of_a_network(scene: Scene) -> None:
    def happens(action: str, **fields: str) -> None:
        event = EngineEvent(action, "n1", "own", scene.now, fields, "network", ours=False)
        scene.by_hand.take(event)

    happens("create")
    for action in ("connect", "disconnect", "connect"):
        scene.later(1.0)
        happens(action, container="ab12")
    assert scene.kinds() == ["unmanaged.network-create"]
    scene.later()
    assert len(scene.notes) == 1


def test_a_commit_that_takes_its_time_is_no_pause(scene: Scene) -> None:
    scene.happens("pause")
    scene.later(STOP_S - 1.0)
    scene.happens("commit")
    scene.happens("unpause")
    scene.later()
    assert scene.kinds() == ["unmanaged.commit"]
    scene.happens("pause")
    scene.later(STOP_S)
    assert scene.kinds() == ["unmanaged.commit", "unmanaged.pause"]


RUNNING = {"Name": f"/{NAME}", "State": {"Status": "running", "StartedAt": "1970-01-01T00:10:00Z"}}


@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_a_network_that_a_container_is_put_on_is_recorded(scene: Scene, engine: str) -> None:
    """Podman has the container in the network's place."""
    network = {
        "docker": ("n1", "other_back", {"container": "ab12", "type": "bridge"}),
        "podman": ("ab12", NAME, {"name": NAME}),
    }
    subject_id, name, fields = network[engine]
    event = EngineEvent("connect", subject_id, name, scene.now, fields, "network", ours=False)
    scene.engine.known["ab12"] = RUNNING
    scene.by_hand.take(event)
    scene.later()
    (entry,) = scene.notes
    assert (entry.kind, entry.subject) == ("unmanaged.network-connect", "shop/web.1")
    assert (entry.container_id, entry.fields["name"]) == ("ab12", NAME)
    known = entry.fields.get("network"), entry.fields.get("network_id")
    assert known == (("other_back", "n1") if engine == "docker" else (None, None))
    assert scene.told() == ["unmanaged.network-connect"]


def test_what_the_agent_itself_connects_is_not_recorded_and_what_goes_on_is(scene: Scene) -> None:
    scene.engine.known["ab12"] = RUNNING
    deed = Deed(DeedKind.NETWORK_CONNECT, "shop_back", {}, "ab12")

    def happens(action: str) -> None:
        fields = {"container": "ab12"}
        event = EngineEvent(action, "n1", "back", scene.now, fields, "network", ours=False)
        scene.by_hand.take(event)
        scene.later(1.5)

    with scene.own.doing(deed, Passage()):
        happens("connect")
    scene.later(5.0)
    assert scene.kinds() == []
    for action in ("disconnect", "connect", "disconnect", "connect"):
        happens(action)
    assert len(scene.notes) >= 2, "who goes on with it doesn't put the record off"


def test_networks_of_a_container_that_starts_or_ends_are_none_of_anybodys_doing(
    scene: Scene,
) -> None:
    fields = {"container": "ab12"}
    for state in ({"Status": "exited"}, {"Status": "running", "StartedAt": "1970-01-01T01:00:00Z"}):
        scene.engine.known["ab12"] = {**RUNNING, "State": state}
        for action in ("disconnect", "connect"):
            event = EngineEvent(action, "n1", "back", scene.now, fields, "network", ours=False)
            scene.by_hand.take(event)
        scene.later()
    scene.engine.away = True
    scene.by_hand.take(
        EngineEvent("connect", "n1", "back", scene.now, fields, "network", ours=False)
    )
    scene.later()
    assert scene.kinds() == []


@pytest.mark.parametrize("status", ["restarting", "exited", "dead", "created", ""])
def test_a_container_that_waits_to_be_restarted_does_not_run(status: str) -> None:
    """Docker says of it that it does."""
    state = {"Status": status, "Running": True, "StartedAt": "1970-01-01T00:10:00Z"}
    assert running_since({"State": state}) == math.inf
    assert running_since(RUNNING) == 600.0


def test_a_command_where_the_container_cannot_be_looked_up_is_recorded(scene: Scene) -> None:
    scene.engine.away = True
    scene.happens("exec_create", detail="probe -q", execID="1")
    scene.later()
    assert scene.kinds() == ["unmanaged.exec"]
    scene.engine.away = False
    scene.engine.known["ab12"] = CHECK
    scene.happens("exec_create", detail="probe -q", execID="2")
    scene.later()
    assert len(scene.notes) == 1


def test_own_deeds_are_nobody_elses(scene: Scene) -> None:
    with scene.own.doing(Deed(DeedKind.CONTAINER_CREATE, NAME), made := Passage()):
        scene.happens("create")
        made.container_id = "ab12"
    with scene.own.doing(Deed(DeedKind.CONTAINER_START, NAME, {}, "ab12"), Passage("ab12")):
        scene.happens("start")
    with scene.own.doing(Deed(DeedKind.CONTAINER_STOP, NAME, {}, "ab12"), Passage("ab12")):
        scene.happens("kill", "die", "stop")
    with scene.own.doing(Deed(DeedKind.CONTAINER_REMOVE, NAME, {}, "ab12"), Passage("ab12")):
        scene.happens("destroy")
    scene.later()
    assert scene.notes == []
    scene.later(10)
    scene.happens("start")
    scene.later()
    assert scene.kinds() == ["unmanaged.start"]


def test_beside_a_command_of_our_own_another_one_is_told(scene: Scene) -> None:
    deed = Deed(DeedKind.CONTAINER_EXEC, NAME, {}, "ab12")
    with scene.own.doing(deed, passage := Passage("ab12")):
        scene.happens("exec_create", detail="sh", execID="ours")
        passage.fields["exec_id"] = "ours"
        scene.happens("exec_create", detail="rm -rf", execID="theirs")
    scene.later()
    assert [one.fields["program"] for one in scene.notes] == ["rm"]


def test_where_no_command_has_an_id_one_of_two_is_told(scene: Scene) -> None:
    deed = Deed(DeedKind.CONTAINER_EXEC, NAME, {}, "ab12")
    with scene.own.doing(deed, passage := Passage("ab12")):
        scene.happens("exec_create")
        scene.now += 0.1
        scene.happens("exec_create")
        passage.fields["exec_id"] = "ours"
    scene.later()
    assert scene.kinds() == ["unmanaged.exec"]


def test_what_the_engine_did_without_an_answer_is_still_ours(scene: Scene) -> None:
    with (
        pytest.raises(EngineUnavailable),
        scene.own.doing(Deed(DeedKind.CONTAINER_STOP, NAME, {}, "ab12"), Passage("ab12")),
    ):
        raise EngineUnavailable("no answer")
    scene.later(60)
    scene.happens("kill", "die", "stop")
    scene.later()
    assert scene.notes == []


def test_what_another_process_of_the_agent_began_is_still_ours(scene: Scene) -> None:
    fields = {"name": NAME}
    scene.left = [
        record(intent("container.stop", "shop/web.1", container_id="ab12", fields=fields))
    ]
    scene.by_hand.turn()
    scene.left = []
    scene.happens("kill", "die", "stop")
    scene.later()
    assert scene.notes == []


def test_a_stop_waits_for_its_end(scene: Scene) -> None:
    scene.happens("kill", signal="15")
    scene.later(10)
    assert scene.notes == []
    scene.happens("kill", "die", "stop")
    scene.later()
    assert scene.kinds() == ["unmanaged.stop"]
    scene.happens("kill", signal="1")
    scene.later(16)
    assert scene.kinds()[1:] == ["unmanaged.kill"]
    assert scene.notes[1].fields["signal"] == "1"


def test_a_restart_by_the_engines_policy_is_nobodys_act(scene: Scene) -> None:
    scene.now += 100
    scene.engine.known["cd34"] = {"HostConfig": {"RestartPolicy": {"Name": "always"}}}
    scene.happens("die", container_id="cd34", name="other")
    scene.later(30)
    scene.happens("start", container_id="cd34", name="other")
    scene.later()
    assert scene.notes == []
    scene.later(100)
    scene.happens("start", container_id="cd34", name="other")
    scene.later()
    assert [one.subject for one in scene.notes] == ["other"]


def test_a_flood_is_recorded_in_part_and_counted(scene: Scene) -> None:
    for number in range(1000):
        scene.happens("exec_create", detail="sh", execID=str(number), container_id=str(number))
    scene.later()
    assert 200 <= len(scene.notes) <= 270
    assert 50 <= len(scene.told()) <= 53
    scene.later(30)
    (more,) = [one for one in scene.notes if one.kind == MORE]
    counted = len([one for one in scene.notes if one.kind != MORE])
    assert int(more.fields["kept_back"]) + counted == 1000
    untold = [one for one in scene.outbox.peek(999) if one.kind == MORE]
    assert sum(int(one.fields["kept_back"]) for one in untold) + 50 == 1000


def test_more_events_than_can_wait_are_counted(scene: Scene) -> None:
    for number in range(WAITING_MAX + 7):
        scene.happens("rename", container_id=str(number))
    scene.later()
    scene.later(1000)
    kept = sum(int(one.fields["kept_back"]) for one in scene.notes if one.kind == MORE)
    assert kept + len([one for one in scene.notes if one.kind != MORE]) == WAITING_MAX + 7


def test_what_waits_is_told_before_the_end(scene: Scene) -> None:
    stopping = threading.Event()
    stopping.set()
    scene.happens("rename", oldName="/before")
    scene.happens("health_status")
    scene.by_hand.run(stopping)
    assert scene.kinds() == ["unmanaged.rename", CHECKS]
    assert scene.notes[0].fields["old_name"] == "before"


def test_a_log_that_is_not_open_keeps_nobody_from_looking(scene: Scene) -> None:
    def closed() -> list[Record]:
        raise AuditUnavailable("not open")

    by_hand = ByHand(scene.engine, scene.own, scene.notes.append, scene.outbox, closed)
    by_hand.turn()
