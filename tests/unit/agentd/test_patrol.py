"""What runs already, held against the policy: said, and stopped only where the policy says so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hullmark.agentd.asked import current
from hullmark.agentd.observer import Observer
from hullmark.agentd.outbox import Outbox
from hullmark.agentd.patrol import Patrol, Told
from hullmark.agentd.problems import Problems
from hullmark.engine.protocol import Container, ContainerState
from hullmark.errors import EngineUnavailable, HullmarkError, PolicyRefused, Refused
from hullmark.model.audit import Entry
from hullmark.model.epoch import Epoch
from hullmark.model.orders import InstanceId
from hullmark.model.policy import REPORT, STOP, Policy, Violation
from tests.unit.agentd.fakes import CLUSTER, FakeEngine


class Folder:
    def __init__(self) -> None:
        self.policy = Policy(digest="1")
        self.broken = False

    def current(self) -> Policy:
        if self.broken:
            raise PolicyRefused("can't be read")
        return self.policy


class Word:
    """A policing whose judgement a test writes down: violations by container id."""

    def __init__(self) -> None:
        self.folder = Folder()
        self.forbidden: dict[str, str] = {}
        self.asked: list[str] = []
        self.unclear: dict[str, HullmarkError] = {}

    def of_container(self, inspected) -> tuple[Violation, ...]:
        self.asked.append(inspected["Id"])
        if inspected["Id"] in self.unclear:
            raise self.unclear[inspected["Id"]]
        rule = self.forbidden.get(inspected["Id"])
        return (Violation(rule, "not allowed here", "/etc/p.d/a.yaml", 3),) if rule else ()


class Beat:
    def __init__(self) -> None:
        self.engine, self.problems, self.word = FakeEngine(), Problems(), Word()
        self.outbox = Outbox("host box", lambda: None)
        self.notes: list[Entry] = []
        self.expected: list[str] = []
        self.observer = Observer(self.engine, CLUSTER, 60.0)
        told = Told(self.problems, self.outbox, self.notes.append, self.expected.append)
        self.patrol = Patrol(
            self.engine,
            self.observer,
            self.word,  # type: ignore[arg-type]
            told,
            spawn=lambda work: work(),
        )

    def add(self, slot: int, started_at: float = 1.0) -> str:
        one = InstanceId("shop", "web", slot, 1)
        made = Container(
            f"id{slot}",
            one.container_name,
            one,
            CLUSTER,
            "spec",
            Epoch(1, 1),
            ContainerState.RUNNING,
            started_at=started_at,
        )
        self.engine.containers[made.container_id] = made
        return made.container_id

    def look(self) -> None:
        for container_id in self.engine.containers:
            self.observer.mark(container_id)
        self.observer.look()
        self.patrol.look()

    @property
    def problem(self) -> str:
        return next((one.message for one in self.problems.all()), "")

    @property
    def events(self) -> list[tuple[str, str]]:
        return [(event.kind, event.subject) for event in self.outbox.peek()]


@pytest.fixture
def beat() -> Beat:
    return Beat()


def test_each_container_is_judged_once(beat: Beat) -> None:
    one, two = beat.add(1), beat.add(2)
    beat.look()
    beat.look()
    assert sorted(beat.word.asked) == [one, two]
    assert beat.problem == ""


def test_it_is_judged_again_after_a_start_and_after_a_change_of_policy(beat: Beat) -> None:
    one = beat.add(1)
    beat.look()
    beat.engine.containers[one] = replace(beat.engine.containers[one], started_at=2.0)
    beat.look()
    beat.word.folder.policy = Policy(digest="2")
    beat.look()
    assert beat.word.asked == [one] * 3


def test_a_violator_is_said_and_goes_on(beat: Beat) -> None:
    one = beat.add(1)
    beat.word.forbidden[one] = "privileged"
    beat.look()
    beat.look()
    words = "privileged: not allowed here (a.yaml:3)"
    assert beat.problem == f"shop.web.1.g1: {words}"
    assert beat.events == [("policy.violation", "shop/web.1")]
    (note,) = beat.notes
    assert (note.kind, note.subject, note.reason, note.container_id, note.outcome.value) == (
        "policy.violation",
        "shop/web.1",
        words,
        one,
        "failure",
    )
    assert beat.engine.calls == []
    beat.word.folder.policy, beat.word.forbidden = Policy(digest="2"), {}
    beat.look()
    assert beat.problem == ""


def test_another_violation_of_the_same_container_is_said_too(beat: Beat) -> None:
    one = beat.add(1)
    beat.word.forbidden[one] = "privileged"
    beat.look()
    beat.word.folder.policy, beat.word.forbidden[one] = Policy(digest="2"), "devices"
    beat.look()
    assert len(beat.notes) == 2


def test_many_are_counted(beat: Beat) -> None:
    beat.word.forbidden = {beat.add(slot): "privileged" for slot in range(1, 7)}
    beat.look()
    assert beat.problem.count("privileged") == 3
    assert beat.problem.endswith("; and 3 more containers")


def test_it_is_stopped_where_the_policy_says_so_and_once(
    beat: Beat, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = beat.add(1), beat.add(2)
    beat.word.forbidden[one] = "privileged"
    reasons: list[str] = []
    real = beat.engine.stop

    def stop(container_id: str) -> None:
        reasons.append(f"{current().by}: {current().reason}")
        real(container_id)

    monkeypatch.setattr(beat.engine, "stop", stop)
    for on_violation, stops in ((REPORT, 0), (STOP, 1), (STOP, 1)):
        beat.word.folder.policy = Policy(digest="1", on_violation=on_violation)
        beat.look()
        assert len(reasons) == stops
    assert reasons == ["hullmark: on_violation: stop; privileged: not allowed here (a.yaml:3)"]
    assert beat.expected == [one]
    assert beat.engine.containers[two].state is ContainerState.RUNNING
    assert ("instance.stopped", "shop/web.1") in beat.events


def test_while_the_policy_cannot_be_read_what_was_found_stands_and_nothing_is_stopped(
    beat: Beat,
) -> None:
    one = beat.add(1)
    beat.word.forbidden[one] = "privileged"
    beat.look()
    before = beat.problem
    beat.word.folder.policy, beat.word.folder.broken = Policy("", STOP, digest="2"), True
    beat.look()
    assert (beat.problem, beat.engine.calls) == (before, [])


def test_an_engine_that_does_not_answer_is_asked_again(beat: Beat) -> None:
    beat.add(1)
    beat.observer.look()
    beat.engine.trouble = lambda _method: EngineUnavailable("gone")
    beat.patrol.look()
    beat.engine.trouble = lambda _method: None
    beat.patrol.look()
    assert len(beat.word.asked) == 1


def test_a_container_that_is_gone_is_forgotten(beat: Beat) -> None:
    one = beat.add(1)
    beat.word.forbidden[one] = "privileged"
    beat.look()
    del beat.engine.containers[one]
    beat.observer.mark(one)
    beat.look()
    assert beat.problem == ""


@pytest.mark.parametrize("error", [Refused("no such driver"), EngineUnavailable("it is silent")])
def test_one_that_cannot_be_judged_hides_no_other(beat: Beat, error: HullmarkError) -> None:
    one, two = beat.add(1), beat.add(2)
    beat.word.unclear[one], beat.word.forbidden[two] = error, "privileged"
    beat.word.folder.policy = Policy(digest="1", on_violation=STOP)
    beat.look()
    found = {item.code: item for item in beat.problems.all()}
    assert found["policy.violation"].message.startswith("shop.web.2.g1: privileged: ")
    assert "can't be judged" not in found["policy.violation"].message
    assert beat.engine.containers[two].state is ContainerState.EXITED
    beat.look()
    (problem,) = beat.problems.all()
    assert problem.code == "policy.unjudged", "whether it breaks the policy nobody knows"
    assert problem.message == f"shop.web.1.g1: can't be judged: {error.message}"
    assert "change the app" not in problem.remedy
    assert beat.engine.containers[one].state is ContainerState.RUNNING
    beat.word.unclear.clear()
    beat.look()
    assert beat.problem == ""


def test_one_that_was_not_answered_for_once_is_asked_again_before_it_is_said(beat: Beat) -> None:
    one = beat.add(1)
    beat.word.unclear[one] = EngineUnavailable("it was silent")
    beat.look()
    assert beat.problem == ""
    beat.word.unclear.clear()
    beat.look()
    assert (beat.problem, beat.word.asked) == ("", [one, one])
    beat.word.folder.policy = Policy(digest="2")
    beat.word.unclear[one] = EngineUnavailable("it was silent")
    beat.look()
    assert beat.problem == "", "an answer in between begins the count anew"


def test_a_stop_that_fails_is_tried_again_and_keeps_no_other_running(
    beat: Beat, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = beat.add(1), beat.add(2)
    beat.word.forbidden = {one: "privileged", two: "privileged"}
    beat.word.folder.policy = Policy(digest="1", on_violation=STOP)
    real, fails = beat.engine.stop, [Refused("it hangs")]

    def stop(container_id: str) -> None:
        if container_id == one and fails:
            raise fails.pop()
        real(container_id)

    monkeypatch.setattr(beat.engine, "stop", stop)
    beat.look()
    assert beat.engine.containers[two].state is ContainerState.EXITED
    assert beat.engine.containers[one].state is ContainerState.RUNNING
    beat.look()
    assert beat.engine.containers[one].state is ContainerState.EXITED
