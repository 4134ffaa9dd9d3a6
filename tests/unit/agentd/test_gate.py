"""The gate: what is judged, recorded and done, in which order, and what each failure leaves undone."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from hullmark.agentd import gate as gates
from hullmark.agentd.asked import Asked, asking, current, of_change
from hullmark.agentd.deedwords import entry_of, subject_of
from hullmark.agentd.gate import OpenJudge, RecordingGate
from hullmark.agentd.worker import asked_of
from hullmark.core.actions import (
    Action,
    Prepare,
    Remove,
    RemoveNetwork,
    RemoveVolume,
    Run,
    Start,
    Stop,
)
from hullmark.engine.protocol import CreateRequest, Deed, DeedKind
from hullmark.errors import (
    AuditUnavailable,
    EngineUnavailable,
    HullmarkError,
    NotFound,
    PolicyRefused,
    Refused,
)
from hullmark.model.audit import Actor, Entry, Outcome
from hullmark.model.change import Change
from hullmark.model.epoch import Epoch
from hullmark.model.orders import Assignment, InstanceId, Orders
from tests.unit.agentd.fakes import EPOCH, bundle_of
from tests.unit.agentd.logbook import Logbook, auditing_of

WEB = InstanceId("shop", "web", 1, 3)
START = Deed(DeedKind.CONTAINER_START, WEB.container_name, {}, "c0ffee")
CREATE = Deed(DeedKind.CONTAINER_CREATE, WEB.container_name, {"Image": "localhost/web:1"})
STOP = Deed(DeedKind.CONTAINER_STOP, WEB.container_name, {"t": 10}, "c0ffee")
ALICE = Asked("alice", Actor.HUMAN, "192.0.2.7", "", "CHG-7", "r-1", "1.4", "shop")


class Says:
    """A judge who raises what it is given."""

    def __init__(self, error: HullmarkError) -> None:
        self.error = error

    def judge(self, deed: Deed) -> None:
        raise self.error

    def ended(self, deed: Deed) -> None:
        raise AssertionError("it was not let pass")


class Counts(OpenJudge):
    def __init__(self) -> None:
        self.under_way = 0

    def judge(self, deed: Deed) -> None:
        self.under_way += 1

    def ended(self, deed: Deed) -> None:
        self.under_way -= 1


def passed(gate: RecordingGate, deed: Deed, error: BaseException | None = None) -> bool:
    """Whether the deed was done."""
    done = False
    with gate.passing(deed) as passage:
        done = True
        passage.fields["pid"] = "42"
        if error is not None:
            raise error
    return done


def test_the_intent_is_recorded_before_and_the_outcome_after_with_who_asked() -> None:
    book = Logbook()
    gate = RecordingGate(auditing_of(book), OpenJudge())
    with asking(ALICE), gate.passing(CREATE) as passage:
        assert book.short == [("container.create", "intent", "pending")]
        passage.container_id = "c0ffee"
        passage.image_digest = "sha256:ab"
    begun, ended = book.entries
    assert (ended.stage.value, ended.outcome, ended.of) == ("outcome", Outcome.SUCCESS, 1)
    assert (ended.container_id, ended.image_digest) == ("c0ffee", "sha256:ab")
    for one in (begun, ended):
        assert (one.by, one.actor, one.origin) == ("alice", Actor.HUMAN, "192.0.2.7")
        assert (one.ticket, one.request_id, one.epoch) == ("CHG-7", "r-1", "1.4")
        assert (one.subject, one.fields["name"]) == ("shop/web.1", "shop.web.1.g3")


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (Refused("no such image"), Outcome.FAILURE),
        (EngineUnavailable("no answer"), Outcome.UNKNOWN),
        (ValueError("odd"), Outcome.FAILURE),
        (KeyboardInterrupt(), Outcome.FAILURE),
    ],
)
def test_what_the_body_raises_is_the_outcome_and_goes_on(
    error: BaseException, outcome: Outcome
) -> None:
    book = Logbook()
    with pytest.raises(type(error)):
        passed(RecordingGate(auditing_of(book), OpenJudge()), START, error)
    assert book.entries[-1].outcome is outcome
    assert str(error) in book.entries[-1].reason
    assert book.entries[-1].fields["pid"] == "42"


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (PolicyRefused("privileged: not allowed here (50-pci.yaml:12)"), Outcome.REFUSED),
        (NotFound("no image to judge"), Outcome.FAILURE),
        (EngineUnavailable("nobody can look"), Outcome.FAILURE),
    ],
)
def test_what_the_judge_does_not_let_pass_is_recorded_and_not_done(
    error: HullmarkError, outcome: Outcome
) -> None:
    book = Logbook()
    gate = RecordingGate(auditing_of(book), Says(error))
    with pytest.raises(type(error)), asking(ALICE):
        assert not passed(gate, CREATE), "never reached"
    assert book.short == [("container.create", "event", outcome.value)]
    assert book.entries[0].reason == error.message
    assert book.entries[0].by == "alice"


def test_the_judge_is_told_when_a_deed_is_over_however_it_ends() -> None:
    book, counts = Logbook(), Counts()
    gate = RecordingGate(auditing_of(book), counts)
    with gate.passing(START):
        assert counts.under_way == 1
    with pytest.raises(NotFound):
        passed(gate, START, NotFound("gone"))
    book.room = False
    with pytest.raises(AuditUnavailable):
        passed(gate, CREATE)
    assert counts.under_way == 0


def test_nothing_new_is_begun_where_the_intent_can_not_be_written() -> None:
    book = Logbook()
    book.room = False
    gate = RecordingGate(auditing_of(book), OpenJudge())
    for deed in (CREATE, START, Deed(DeedKind.IMAGE_PULL, "localhost/web:1")):
        with pytest.raises(AuditUnavailable):
            passed(gate, deed)
    assert book.entries == []


def test_stops_and_restarts_are_recorded_in_the_reserve() -> None:
    book = Logbook()
    book.room = False
    gate = RecordingGate(auditing_of(book), OpenJudge())
    assert passed(gate, STOP)
    with asking(Asked(essential=True)):
        assert passed(gate, START)
    assert [one.kind for one in book.entries] == ["container.stop"] * 2 + ["container.start"] * 2
    book.reserve = False
    with pytest.raises(AuditUnavailable):
        passed(gate, STOP)


def test_what_others_count_on_is_done_without_a_log_and_recorded_when_there_is_one() -> None:
    book = Logbook()
    book.room = book.reserve = False
    auditing = auditing_of(book, wall=lambda: 1000.0)
    with asking(Asked(essential=True, anyhow=True)):
        assert passed(RecordingGate(auditing, OpenJudge()), STOP)
    assert book.entries == []
    book.room = True
    auditing.look()
    assert book.short == [("container.stop", "event", "success")]
    assert book.entries[0].fields["happened_at"] == "1970-01-01T00:16:40.000000Z"
    assert book.entries[0].fields["without_intent"] == "yes"


def test_what_others_count_on_does_not_wait_for_a_slow_disk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gates, "ANYHOW_S", 0.001)
    book, mended = Logbook(), threading.Event()

    def slowly(entry: Entry) -> None:
        mended.wait(5)

    book.appending = slowly
    gate = RecordingGate(auditing_of(book), OpenJudge())
    with asking(Asked(anyhow=True)), gate.passing(STOP):
        assert book.entries == [], "done before it is recorded"
        mended.set()
        while not book.entries:
            pass
    assert book.short[0] == ("container.stop", "intent", "pending")


def test_nothing_passes_before_it_is_settled_what_was_left_open() -> None:
    def can_not() -> None:
        raise EngineUnavailable("it can't be looked at")

    book = Logbook()
    with pytest.raises(EngineUnavailable):
        passed(RecordingGate(auditing_of(book), OpenJudge(), can_not), START)
    assert book.entries == []


def test_an_outcome_that_can_not_be_written_is_no_failure_of_what_was_done() -> None:
    book = Logbook()
    auditing = auditing_of(book)
    with RecordingGate(auditing, OpenJudge()).passing(START):
        book.room = book.reserve = False
    assert len(book.entries) == 1
    book.room = True
    auditing.look()
    assert book.entries[1].of == 1


# -- what is said of a deed


def entry(kind: DeedKind, name: str, body: dict[str, Any] | None = None) -> Entry:
    return entry_of(Deed(kind, name, body or {}), Asked())


def test_no_value_of_a_variable_a_label_or_an_option_is_recorded() -> None:
    secret = "s3cret-of-the-test"
    body = {
        "Image": "localhost/web:1",
        "Env": [f"PASSWORD={secret}"],
        "Labels": {"a": secret},
        "DriverOpts": {"o": f"password={secret}"},
        "Cmd": [secret],
        "Options": {"x": secret},
    }
    request = CreateRequest("c1", WEB, "5pec", EPOCH, bundle_of(environment={"PASSWORD": secret}))
    # Of what a person runs in a container the record does hold the command.
    for kind in set(DeedKind) - {DeedKind.CONTAINER_EXEC}:
        assert secret not in repr(entry_of(Deed(kind, "x", body, request=request), ALICE))


def test_subjects_are_what_people_call_it() -> None:
    assert subject_of(START) == "shop/web.1"
    assert subject_of(Deed(DeedKind.CONTAINER_STOP, "stranger")) == "stranger"
    assert subject_of(Deed(DeedKind.NETWORK_CREATE, "shop_default")) == "shop_default"


@pytest.mark.parametrize(
    ("deed", "digest"),
    [
        (Deed(DeedKind.IMAGE_PULL, "reg/web@sha256:ab"), "sha256:ab"),
        (Deed(DeedKind.IMAGE_PULL, "reg/web:1"), ""),
        (
            Deed(DeedKind.CONTAINER_START, "x", {"Config": {"Image": "reg/web@sha256:ab"}}),
            "sha256:ab",
        ),
        (START, ""),
    ],
)
def test_the_digest_is_that_of_the_image_reference(deed: Deed, digest: str) -> None:
    assert entry_of(deed, Asked()).image_digest == digest


def test_an_update_says_which_restart_policy_was_asked_for() -> None:
    body = {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}}
    assert entry(DeedKind.CONTAINER_UPDATE, "x", body).fields["restart"] == "on-failure:3"


@pytest.mark.parametrize(("became", "outcome"), [("always", "success"), ("no", "failure")])
def test_an_engine_that_keeps_the_policy_it_has_is_a_failure(became: str, outcome: str) -> None:
    book = Logbook()
    deed = Deed(DeedKind.CONTAINER_UPDATE, "x", {"RestartPolicy": {"Name": "always"}})
    with RecordingGate(auditing_of(book), OpenJudge()).passing(deed) as passage:
        passage.fields["became"] = became
    assert book.short[-1] == ("container.update", "outcome", outcome)


# -- who asked


def test_a_thread_that_said_nothing_acts_for_the_agent() -> None:
    assert current() == Asked()
    with asking(ALICE):
        with asking(Asked("bob")):
            assert current().by == "bob"
        assert current().by == "alice"
        other: list[Asked] = []
        thread = threading.Thread(target=lambda: other.append(current()))
        thread.start()
        thread.join()
        assert other == [Asked()]
    assert current() == Asked()


CHANGE = Change("alice", "r-1", 1.0, "CHG-7", "192.0.2.7")
BUNDLE = bundle_of()
ASSIGNED = Assignment(WEB, "5pec")


@pytest.mark.parametrize(
    ("action", "by", "essential", "anyhow"),
    [
        (Prepare(ASSIGNED, BUNDLE), "alice", False, False),
        (Run(ASSIGNED, BUNDLE), "alice", False, False),
        (Remove(WEB, "c0ffee", True, "scaled down"), "alice", False, False),
        (RemoveVolume("shop", "data"), "alice", False, False),
        (RemoveNetwork("shop", "default"), "hullmark", False, False),
        (Start(ASSIGNED, "c0ffee"), "hullmark", True, False),
        (Stop(WEB, "c0ffee", "run", 30.0), "hullmark", True, True),
    ],
)
def test_each_action_has_somebody_who_answers_for_it(
    action: Action, by: str, essential: bool, anyhow: bool
) -> None:
    orders = Orders("c1", "h1", EPOCH, "m1", asked={"shop": CHANGE})
    asked = asked_of(action, Epoch(1, 4), orders)
    assert (asked.by, asked.essential, asked.anyhow) == (by, essential, anyhow)
    assert (asked.app, asked.epoch) == ("shop", "1.4")
    assert (asked.ticket, asked.request_id) == ("CHG-7", "r-1")


@pytest.mark.parametrize(
    ("change", "by", "actor"),
    [
        (CHANGE, "alice", Actor.HUMAN),
        (Change("token:ci", "r", 1.0), "token:ci", Actor.MACHINE),
        (Change("hullmark", "", 1.0), "hullmark", Actor.MASTER),
        (Change("", "", 0.0), "m1", Actor.MASTER),
        (None, "m1", Actor.MASTER),
    ],
)
def test_whom_a_change_names(change: Change | None, by: str, actor: Actor) -> None:
    asked = of_change(change, "m1")
    assert (asked.by, asked.actor) == (by, actor)
