"""What became of deeds in whose middle the agent was killed."""

from __future__ import annotations

import dataclasses
import threading

import pytest

from hullmark.agentd.aftermath import Aftermath, Became, became
from hullmark.agentd.auditing import Auditing
from hullmark.agentd.problems import Problems
from hullmark.engine.protocol import Container, ContainerState, DeedKind
from hullmark.errors import AuditUnavailable, EngineUnavailable, HullmarkError, Refused
from hullmark.model.audit import Entry, Outcome, Stage
from hullmark.model.ejection import EngineRestart
from hullmark.model.orders import InstanceId
from tests.unit.agentd.fakes import CLUSTER, EPOCH, FakeEngine
from tests.unit.agentd.logbook import Logbook, auditing_of, intent, record, refuses

WEB = InstanceId("shop", "web", 1, 1)
AT = "1970-01-01T00:16:40.000000Z"  # 1000 s
GONE, CREATED, RUNS, ENDED, ENDED_BEFORE = "gone", "created", "runs", "ended", "ended before"


def engine_with(state: str) -> FakeEngine:
    made = FakeEngine()
    states = {
        CREATED: (ContainerState.CREATED, 0.0),
        RUNS: (ContainerState.RUNNING, 1001.0),
        ENDED: (ContainerState.EXITED, 1001.0),
        ENDED_BEFORE: (ContainerState.EXITED, 900.0),
    }
    if state != GONE:
        container = Container(
            "c1d", WEB.container_name, WEB, CLUSTER, "5pec", EPOCH, *states[state][:1]
        )
        container = dataclasses.replace(container, started_at=states[state][1])
        # As engines do: by id and by name.
        made.containers = {"c1d": container, WEB.container_name: container}
    return made


def left(kind: DeedKind, **fields: str) -> Entry:
    name = fields.pop("name", WEB.container_name)
    return intent(kind.value, "shop/web.1", container_id="c1d", fields={"name": name, **fields})


@pytest.mark.parametrize(
    ("kind", "state", "outcome"),
    [
        (DeedKind.CONTAINER_CREATE, GONE, Outcome.FAILURE),
        (DeedKind.CONTAINER_CREATE, CREATED, Outcome.SUCCESS),
        (DeedKind.CONTAINER_START, CREATED, Outcome.FAILURE),
        (DeedKind.CONTAINER_START, RUNS, Outcome.SUCCESS),
        (DeedKind.CONTAINER_START, ENDED, Outcome.SUCCESS),
        (DeedKind.CONTAINER_START, ENDED_BEFORE, Outcome.FAILURE),
        (DeedKind.CONTAINER_START, GONE, Outcome.UNKNOWN),
        (DeedKind.CONTAINER_STOP, RUNS, Outcome.UNKNOWN),
        (DeedKind.CONTAINER_STOP, ENDED, Outcome.SUCCESS),
        (DeedKind.CONTAINER_STOP, GONE, Outcome.SUCCESS),
        (DeedKind.CONTAINER_REMOVE, ENDED, Outcome.FAILURE),
        (DeedKind.CONTAINER_REMOVE, GONE, Outcome.SUCCESS),
        (DeedKind.CONTAINER_EXEC, RUNS, Outcome.UNKNOWN),
    ],
)
def test_the_engine_tells_what_became_of_a_container(
    kind: DeedKind, state: str, outcome: Outcome
) -> None:
    assert became(left(kind), AT, engine_with(state)).outcome is outcome


@pytest.mark.parametrize(
    ("kind", "name", "there", "outcome"),
    [
        (DeedKind.IMAGE_PULL, "localhost/web:1", True, Outcome.SUCCESS),
        (DeedKind.IMAGE_PULL, "localhost/other:1", False, Outcome.FAILURE),
        (DeedKind.NETWORK_CREATE, "shop_front", True, Outcome.SUCCESS),
        (DeedKind.NETWORK_CREATE, "shop_front", False, Outcome.FAILURE),
        (DeedKind.NETWORK_REMOVE, "shop_front", True, Outcome.FAILURE),
        (DeedKind.NETWORK_REMOVE, "shop_front", False, Outcome.SUCCESS),
        (DeedKind.VOLUME_CREATE, "shop_front", True, Outcome.SUCCESS),
        (DeedKind.VOLUME_CREATE, "shop_front", False, Outcome.FAILURE),
        (DeedKind.VOLUME_REMOVE, "shop_front", True, Outcome.FAILURE),
        (DeedKind.VOLUME_REMOVE, "shop_front", False, Outcome.SUCCESS),
    ],
)
def test_the_engine_tells_what_became_of_the_rest(
    kind: DeedKind, name: str, there: bool, outcome: Outcome
) -> None:
    engine = FakeEngine()
    if there:
        engine.network_names = engine.volume_names = {("shop", "front")}
    assert became(left(kind, name=name), AT, engine).outcome is outcome


@pytest.mark.parametrize(
    ("asked", "outcome"), [("unless-stopped", Outcome.SUCCESS), ("always", Outcome.FAILURE)]
)
def test_the_restart_policy_tells_whether_it_was_changed(asked: str, outcome: Outcome) -> None:
    engine = engine_with(RUNS)
    engine.policies = {"c1d": EngineRestart("unless-stopped")}
    assert became(left(DeedKind.CONTAINER_UPDATE, restart=asked), AT, engine).outcome is outcome


@pytest.mark.parametrize(
    ("networks", "outcome"), [({"shop_front": {}}, Outcome.SUCCESS), ({}, Outcome.FAILURE)]
)
def test_the_container_tells_whether_it_was_connected(
    networks: dict[str, object], outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_with(CREATED)
    inspected = {"NetworkSettings": {"Networks": networks}}
    monkeypatch.setattr(engine, "inspected", lambda container_id: inspected)
    deed = left(DeedKind.NETWORK_CONNECT, name="shop_front")
    assert became(deed, AT, engine).outcome is outcome


def test_a_kind_that_nobody_knows_is_unknown() -> None:
    assert became(intent("host.eject", "host box"), AT, FakeEngine()).outcome is Outcome.UNKNOWN


def test_every_kind_of_deed_has_a_look_or_says_that_nothing_tells() -> None:
    for kind in DeedKind:
        assert isinstance(became(left(kind), AT, engine_with(GONE)), Became)


def test_each_open_intent_gets_its_outcome_and_then_nothing_is_looked_at() -> None:
    begun = left(DeedKind.CONTAINER_START)
    begun = dataclasses.replace(begun, by="alice", request_id="r-1")
    book = Logbook([record(begun, 5), record(left(DeedKind.CONTAINER_EXEC), 6)])
    engine = engine_with(RUNS)
    aftermath = Aftermath(engine, auditing_of(book))
    aftermath.settle()
    first, second = book.entries
    assert (first.stage, first.of, first.outcome) == (Stage.OUTCOME, 5, Outcome.SUCCESS)
    assert (first.by, first.request_id) == ("alice", "r-1")
    assert first.fields["looked_afterwards"] == "yes"
    assert "ended in the middle" in first.reason
    assert (second.of, second.outcome) == (6, Outcome.UNKNOWN)
    asked = len(engine.asked)
    aftermath.settle()
    aftermath.run(threading.Event())
    assert len(engine.asked) == asked


def test_while_it_is_not_known_what_is_open_nothing_passes() -> None:
    log = Auditing(refuses(AuditUnavailable("no such folder")), Problems())
    log.serve("h1")
    with pytest.raises(AuditUnavailable):
        Aftermath(engine_with(RUNS), log).settle()


def test_an_engine_that_does_not_answer_is_waited_for() -> None:
    book = Logbook([record(left(DeedKind.CONTAINER_START), 5)])
    engine = engine_with(RUNS)
    engine.trouble = lambda method: EngineUnavailable("no answer")
    aftermath = Aftermath(engine, auditing_of(book))
    with pytest.raises(EngineUnavailable):
        aftermath.settle()
    assert book.entries == []
    engine.trouble = lambda method: None
    aftermath.settle()
    assert book.entries[0].outcome is Outcome.SUCCESS


@pytest.mark.parametrize("error", [EngineUnavailable("no answer"), Refused("it is odd")])
def test_an_engine_that_does_not_answer_about_one_thing_holds_up_nothing(
    error: HullmarkError,
) -> None:
    book = Logbook([record(left(DeedKind.CONTAINER_START), 5)])
    engine = engine_with(RUNS)
    engine.trouble = lambda method: error if method == "container" else None
    Aftermath(engine, auditing_of(book)).settle()
    assert book.entries[0].outcome is Outcome.UNKNOWN


def test_an_outcome_that_can_not_be_written_yet_is_not_looked_for_again() -> None:
    book = Logbook([record(left(DeedKind.CONTAINER_START), 5)])
    log = auditing_of(book)
    book.room = book.reserve = False
    aftermath = Aftermath(engine_with(RUNS), log)
    aftermath.settle()
    assert log.open_intents == ()
    book.room = True
    log.look()
    assert book.entries[0].of == 5
