"""The link to the leader: what each answer means, without a network."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, Optional

import pytest
import requests

from hullmark.agentd.enrolment import Enrolment
from hullmark.agentd.link import AMONG_CONNECT_S, CONNECT_S, Elsewhere, Leaderless, Link
from hullmark.errors import (
    BrokenState,
    Forbidden,
    HullmarkError,
    MasterUnavailable,
    NotFound,
    Refused,
)
from hullmark.model.epoch import Epoch
from hullmark.model.protocol import REPORT_PATH, ReportAnswer

M1, M2 = "https://m1:7441", "https://m2:7441"
ANSWER = {"epoch": {"incarnation": 1, "term": 2}, "leader": "m1"}


class FakeIdentity:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.signature = ((1, 1),)
        self.error: Optional[HullmarkError] = None

    def usable(self) -> Any:
        if self.error is not None:
            raise self.error
        return Enrolment("c1", "h1", "box", (M1, M2), 0.0, 1e12), self.signature


class Wire:
    """In place of `requests.Session`: `answers` by master, (status, body), an error, or what gives one of them."""

    answers: dict[str, Any]
    asked: list[str]
    timeouts: list[Any]
    sessions: list[Wire]

    def __init__(self) -> None:
        self.trust_env = True
        self.verify: Any = None
        self.cert: Any = None
        self.closed = False
        self.sessions.append(self)

    def post(self, url: str, timeout: Any = None, **_: Any) -> requests.Response:
        self.timeouts.append(timeout)
        assert self.trust_env is False, "no proxy of the environment stands between"
        master = url[: url.index("/agent")]
        self.asked.append(master)
        answer = self.answers[master]
        if callable(answer):
            answer = answer()
        if isinstance(answer, Exception):
            raise answer
        response = requests.Response()
        response.status_code = answer[0]
        response.raw = io.BytesIO(json.dumps(answer[1]).encode())
        return response

    def mount(self, *_: Any) -> None:
        pass

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> type[Wire]:
    Wire.answers, Wire.asked, Wire.sessions = {M1: (200, ANSWER), M2: (200, ANSWER)}, [], []
    Wire.timeouts = []
    monkeypatch.setattr(requests, "Session", Wire)
    return Wire


@pytest.fixture
def identity(tmp_path: Path) -> FakeIdentity:
    return FakeIdentity(tmp_path)


def link_of(identity: FakeIdentity, masters: tuple[str, ...] = ()) -> Link:
    stand_in: Any = identity
    return Link(stand_in, masters)


def call(link: Link) -> ReportAnswer:
    return link.call(REPORT_PATH, {}, ReportAnswer, 5.0)[0]


def test_an_answer_is_read_and_unknown_fields_are_fine(
    wire: type[Wire], identity: FakeIdentity
) -> None:
    wire.answers[M1] = (200, {**ANSWER, "of_a_later_version": 1})
    assert call(link_of(identity)) == ReportAnswer(Epoch(1, 2), "m1")
    (session,) = wire.sessions
    assert session.verify == str(identity.folder / "root.pem")
    assert session.cert == (str(identity.folder / "host.pem"), str(identity.folder / "host.key"))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, Forbidden),
        (403, Forbidden),
        (404, NotFound),
        (409, Refused),
        (400, Refused),
        (500, MasterUnavailable),
        (503, Leaderless),
    ],
)
def test_a_no_is_told_in_the_masters_words(
    wire: type[Wire], identity: FakeIdentity, status: int, kind: type[HullmarkError]
) -> None:
    wire.answers[M1] = (status, {"message": "such is life", "remedy": "live with it"})
    with pytest.raises(kind, match="such is life") as caught:
        call(link_of(identity))
    assert caught.value.remedy == "live with it"
    assert isinstance(caught.value, Leaderless) == (status == 503)


def test_something_that_is_no_master_is_not_believed(
    wire: type[Wire], identity: FakeIdentity
) -> None:
    wire.answers[M1] = (200, ["hello"])
    with pytest.raises(Refused, match="something else"):
        call(link_of(identity))


def test_a_standby_sends_to_the_next(wire: type[Wire], identity: FakeIdentity) -> None:
    link = link_of(identity)
    wire.answers[M1] = (421, {"leader": "m2"})
    with pytest.raises(Leaderless, match="does not lead; m2 does"):
        call(link)
    call(link)
    assert wire.asked == [M1, M2]


def test_with_no_master_there_the_text_stays_the_same(
    wire: type[Wire], identity: FakeIdentity
) -> None:
    link = link_of(identity)
    wire.answers = {M1: requests.ConnectionError("refused"), M2: requests.Timeout("timed out")}
    said = []
    for _ in range(6):
        with pytest.raises(MasterUnavailable) as caught:
            call(link)
        assert not isinstance(caught.value, Leaderless), "nobody answers"
        said.append(caught.value.message)
    assert wire.asked == [M1, M2] * 3
    assert len(set(said[1:])) == 1
    assert "m1:7441: refused" in said[-1]
    assert "m2:7441: timed out" in said[-1]
    wire.answers[M1] = (200, ANSWER)
    call(link)


def test_configured_masters_come_before_those_of_the_enrolment(
    wire: type[Wire], identity: FakeIdentity
) -> None:
    wire.answers["https://m9:1"] = (200, ANSWER)
    call(link_of(identity, ("https://m9:1",)))
    assert wire.asked == ["https://m9:1"]


def test_a_new_certificate_is_used_from_the_next_request_on(
    wire: type[Wire], identity: FakeIdentity
) -> None:
    link = link_of(identity)
    call(link)
    call(link)
    assert len(wire.sessions) == 1
    identity.signature = ((2, 2),)
    call(link)
    assert [session.closed for session in wire.sessions] == [True, False]


def test_a_request_that_was_on_its_way_while_the_certificate_was_renewed_is_sent_again(
    wire: type[Wire], identity: FakeIdentity
) -> None:
    def refused() -> tuple[int, Any]:
        if len(wire.asked) > 1:
            return 200, ANSWER
        identity.signature = ((2, 2),)
        return 403, {"message": "a newer one was made"}

    wire.answers[M1] = refused
    assert call(link_of(identity)) == ReportAnswer(Epoch(1, 2), "m1")
    assert wire.asked == [M1, M1]


def test_a_certificate_whose_file_goes_while_it_is_renewed_is_no_trouble_of_the_masters(
    wire: type[Wire], identity: FakeIdentity
) -> None:
    def gone() -> OSError:
        identity.signature = ((2, 2),)
        return OSError("Could not find the TLS certificate file")

    only = link_of(identity, (M1,))
    wire.answers[M1] = lambda: gone() if len(wire.asked) == 1 else (200, ANSWER)
    assert call(only) == ReportAnswer(Epoch(1, 2), "m1")
    assert len(wire.asked) == 2
    wire.answers[M1] = OSError("Could not find the TLS certificate file")
    with pytest.raises(MasterUnavailable, match="Could not find"):
        call(only)
    assert len(wire.asked) == 3, "nothing was renewed, so it is not tried again"


def test_a_refusal_with_the_newest_certificate_stands(
    wire: type[Wire], identity: FakeIdentity
) -> None:
    wire.answers[M1] = (403, {"message": "not enrolled"})
    with pytest.raises(Forbidden, match="not enrolled"):
        call(link_of(identity))
    assert wire.asked == [M1]


def test_files_that_cannot_be_used_are_the_hosts_own_trouble(
    wire: type[Wire], identity: FakeIdentity
) -> None:
    identity.error = BrokenState("expired")
    with pytest.raises(BrokenState):
        call(link_of(identity))
    assert wire.asked == []


def test_the_leader_that_a_standby_names_is_called_next(
    wire: type[Wire], identity: FakeIdentity
) -> None:
    link = link_of(identity)
    wire.answers[M1] = (421, {"leader": "m3", "address": "m3:7441"})
    wire.answers["https://m3:7441"] = (200, ANSWER)
    with pytest.raises(Elsewhere, match="does not lead; m3 does"):
        call(link)
    call(link)
    assert wire.asked == [M1, "https://m3:7441"]


def test_a_leader_that_does_not_answer_is_not_gone_back_to_while_the_standby_names_it(
    wire: type[Wire], identity: FakeIdentity
) -> None:
    link = link_of(identity)
    wire.answers[M1] = requests.ConnectionError("refused")
    wire.answers[M2] = (421, {"leader": "m1", "address": "m1:7441"})
    for _ in range(4):
        with pytest.raises(MasterUnavailable) as caught:
            call(link)
        assert not isinstance(caught.value, Elsewhere)
    assert wire.asked == [M1, M2, M2, M2]


def test_what_the_leader_tells_of_masters_is_used(wire: type[Wire], identity: FakeIdentity) -> None:
    link = link_of(identity)
    assert link.number == 2
    link.learn(("https://m9:1",))
    assert link.number == 3
    wire.answers["https://m9:1"] = (200, ANSWER)
    call(link_of(identity))
    assert wire.asked == ["https://m9:1"], "by an agent that was started again"


def test_where_there_is_another_master_a_connection_is_not_waited_for_long(
    wire: type[Wire], identity: FakeIdentity
) -> None:
    call(link_of(identity))
    call(link_of(identity, (M1,)))
    assert wire.timeouts == [(AMONG_CONNECT_S, 5.0), (CONNECT_S, 5.0)]
