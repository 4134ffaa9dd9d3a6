"""The client: what it sends, and what it makes of every kind of answer, and of none."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Callable

import pytest

from hullmark.cli.address import Address
from hullmark.cli.client import Client
from hullmark.errors import (
    BrokenState,
    Conflict,
    Forbidden,
    HullmarkError,
    InvalidInput,
    MasterUnavailable,
    NotFound,
    Refused,
    StaleEpoch,
    StoreUnavailable,
)
from hullmark.model.api import ApplyAnswer, ClusterStatus, LogRecord
from hullmark.model.wire import canonical, to_wire
from tests.unit.cli import answers
from tests.unit.cli.fakemaster import FakeMaster, Lines, Raw, Silence, Status, refusal

CHANGED = ApplyAnswer("shop", 2, True)


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def client(self, url: str, **how: Any) -> Client:
        path = url[len("unix://") :]
        return Client((Address(path=path),), clock=lambda: self.now, sleep=self.sleep, **how)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def scale(client: Client) -> ApplyAnswer:
    body = {"services": {"web": 2}, "request_id": "r1"}
    return client.decoded(ApplyAnswer, client.change("POST", "/v1/apps/shop/scale", body))


def test_a_question_and_its_answer(master: FakeMaster, clock: Clock) -> None:
    master.answers["GET /v1/status"] = answers.STATUS
    client = clock.client(master.url)
    query = {"a": "x y", "none": None, "empty": "", "no": False, "yes": True, "zero": 0}
    assert client.ask(ClusterStatus, "/v1/status", query) == answers.STATUS
    assert client.ask(ClusterStatus, "/v1/status") == answers.STATUS, "the connection is used again"
    assert master.requests[0].query == {"a": "x y", "yes": "true", "zero": "0"}
    assert master.requests[0].authorization == ""


def test_keys_of_a_newer_master_are_ignored(master: FakeMaster, clock: Clock) -> None:
    master.answers["GET /v1/status"] = {**to_wire(answers.STATUS), "mood": "fine"}
    assert clock.client(master.url).ask(ClusterStatus, "/v1/status") == answers.STATUS


@pytest.mark.parametrize(
    ("status", "name", "kind"),
    [
        (400, "InvalidInput", InvalidInput),
        (401, "Forbidden", Forbidden),
        (404, "NotFound", NotFound),
        (409, "Conflict", Conflict),
        (421, "StaleEpoch", StaleEpoch),
        (503, "StoreUnavailable", StoreUnavailable),
        (500, "BrokenState", BrokenState),
        (500, "SomethingNewer", Refused),
        (500, "EXIT_OK", Refused),
    ],
)
def test_an_error_keeps_its_kind(
    master: FakeMaster, clock: Clock, status: int, name: str, kind: type[HullmarkError]
) -> None:
    master.answers["GET /v1/status"] = refusal(name, "no", status, "do this")
    with pytest.raises(kind) as caught:
        clock.client(master.url).ask(ClusterStatus, "/v1/status")
    assert type(caught.value) is kind
    assert caught.value.message == "no"
    assert caught.value.remedy == "do this"


def test_problems_keep_their_places(master: FakeMaster, clock: Clock) -> None:
    problem = {"message": "not a port", "field": "ports[0]", "allowed": "1-65535"}
    master.answers["GET /v1/status"] = Status(
        400, {"error": "InvalidInput", "message": "x", "problems": [problem]}
    )
    with pytest.raises(InvalidInput) as caught:
        clock.client(master.url).ask(ClusterStatus, "/v1/status")
    assert str(caught.value) == "ports[0]: not a port (allowed: 1-65535)"


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n"


@pytest.mark.parametrize(
    "reply",
    [
        Raw(b""),
        Raw(b"SSH-2.0-OpenSSH_9.2\r\n"),
        Raw(HEAD + b'{"cluster_id"'),
        Raw(HEAD[:20]),
        Raw(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n"),
        Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"),
        Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"),
        Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\xff\xfe{}"),
        Raw(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n"),
        Raw(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000),
        {"not": "a status"},
        ["neither"],
        Status(502, "<html>"),
        Status(200, None),
    ],
)
def test_what_is_no_answer(master: FakeMaster, clock: Clock, reply: Any) -> None:
    master.answers["GET /v1/status"] = lambda _: reply
    with pytest.raises(MasterUnavailable) as caught:
        clock.client(master.url).ask(ClusterStatus, "/v1/status")
    assert master.url in caught.value.message
    assert caught.value.remedy


def test_deeply_nested_answer(master: FakeMaster, clock: Clock) -> None:
    body = b"[" * 200_000
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n"
    master.answers["GET /v1/status"] = Raw(head + body)
    with pytest.raises(MasterUnavailable):
        clock.client(master.url).ask(ClusterStatus, "/v1/status")


def test_silence(master: FakeMaster, clock: Clock) -> None:
    master.answers["GET /v1/status"] = Silence()
    with pytest.raises(MasterUnavailable, match=r"no answer within 0\.05 s"):
        clock.client(master.url, answer_s=0.05).ask(ClusterStatus, "/v1/status")


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hullmark.cli.client.QUICK_S", 0.1)
    for module in ("client", "transport"):
        monkeypatch.setattr(f"hullmark.cli.{module}.SIGN_S", 0.1)


@pytest.fixture
def frozen(tmp_path: Path) -> Iterator[str]:
    """The kernel takes connections for it, as for a master that SIGSTOP stopped."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "f.sock"))
        listening.listen()
        yield f"unix://{tmp_path}/f.sock"


def held(client: Client) -> object:
    return client.ask(ClusterStatus, "/v1/status", hold_s=20.0)


def logs(client: Client) -> object:
    return next(client.lines(LogRecord, "/v1/apps/shop/logs"))


@pytest.mark.parametrize("question", [held, logs])
def test_a_question_does_not_wait_long_for_a_frozen_master(
    frozen: str, clock: Clock, short: None, question: Callable[[Client], object]
) -> None:
    begun = time.monotonic()
    with pytest.raises(MasterUnavailable) as caught:
        question(clock.client(frozen))
    assert time.monotonic() - begun < 2
    assert caught.value.message == (
        f"{frozen}: it takes connections and does not answer: nothing within 0.1 s"
    )
    assert "see whether it is stopped or hangs: " in caught.value.remedy
    assert clock.slept == []


def test_nor_for_one_whose_queue_the_question_itself_fills(
    tmp_path: Path, clock: Clock, short: None
) -> None:
    """It is asked for a sign of life, and not even that connection is taken: nor is a frozen one's handshake over TLS ended."""
    begun = time.monotonic()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "f.sock"))
        listening.listen(0)
        with pytest.raises(MasterUnavailable, match=r"nothing within 0\.1 s"):
            held(clock.client(f"unix://{tmp_path}/f.sock"))
    assert time.monotonic() - begun < 2


def test_a_question_waits_for_a_master_that_works_on_its_answer(
    master: FakeMaster, clock: Clock, short: None
) -> None:
    """What it says to the other question doesn't matter: here, that there is no such thing."""
    asked = threading.Event()

    def answer(_: object) -> object:
        assert asked.wait(10)
        asked.clear()
        return answers.STATUS

    def sign(_: object) -> None:
        asked.set()

    master.answers["GET /v1/status"] = answer
    master.answers["GET /v1/ca"] = sign
    client = clock.client(master.url)
    assert client.ask(ClusterStatus, "/v1/status") == answers.STATUS
    assert client.ask(ClusterStatus, "/v1/status") == answers.STATUS
    assert [each.path for each in master.requests] == 2 * ["/v1/status", "/v1/ca"]


def test_a_change_waits_as_long_as_ever(frozen: str, clock: Clock, short: None) -> None:
    with pytest.raises(MasterUnavailable, match=r"no answer within 0\.5 s"):
        scale(clock.client(frozen, answer_s=0.5, retry_s=0.0))


def test_a_queue_that_is_full(tmp_path: Path, clock: Clock) -> None:
    with socket.socket(socket.AF_UNIX) as listening, ExitStack() as waiting:
        listening.bind(str(tmp_path / "f.sock"))
        listening.listen(0)
        waiting.enter_context(socket.socket(socket.AF_UNIX)).connect(str(tmp_path / "f.sock"))
        with pytest.raises(MasterUnavailable, match="it takes no more connections"):
            clock.client(f"unix://{tmp_path}/f.sock").ask(ClusterStatus, "/v1/status")


def test_nobody_there(tmp_path: Path, clock: Clock) -> None:
    client = clock.client(f"unix://{tmp_path}/none.sock")
    with pytest.raises(MasterUnavailable) as caught:
        client.ask(ClusterStatus, "/v1/status")
    assert "none.sock" in caught.value.message
    assert "hullmark master run" in caught.value.remedy
    with pytest.raises(MasterUnavailable):
        scale(client)
    assert clock.slept == [], "nothing was sent, so there is nothing to find out"


def test_a_lost_answer_is_asked_for_with_the_same_request_id(
    master: FakeMaster, clock: Clock
) -> None:
    store = refusal("StoreUnavailable", "the store does not answer", 503)
    master.answers["POST /v1/apps/shop/scale"] = [Raw(b""), Raw(HEAD), store, CHANGED]
    assert scale(clock.client(master.url)) == CHANGED
    assert [request.body["request_id"] for request in master.requests] == ["r1"] * 4
    assert len(clock.slept) == 3
    assert all(seconds > 0 for seconds in clock.slept)


def test_retries_end(master: FakeMaster, clock: Clock) -> None:
    master.answers["POST /v1/apps/shop/scale"] = Raw(b"")
    with pytest.raises(MasterUnavailable):
        scale(clock.client(master.url, retry_s=8.0))
    assert 4.0 < clock.now <= 8.0
    assert len(master.requests) == len(clock.slept) + 1


def test_a_master_that_went_away_after_it_was_asked(master: FakeMaster, clock: Clock) -> None:
    """The lost answer is what counts: that nobody listens any more says nothing about the change."""
    client = clock.client(master.url)
    real, calls = client._transport._connect, []

    def connect() -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise ConnectionRefusedError
        return real()

    master.answers["POST /v1/apps/shop/scale"] = [Raw(b""), CHANGED]
    client._transport._connect = connect  # type: ignore[method-assign]
    assert scale(client) == CHANGED


def test_a_refusal_is_not_repeated(master: FakeMaster, clock: Clock) -> None:
    master.answers["POST /v1/apps/shop/scale"] = refusal("Conflict", "no", 409)
    with pytest.raises(Conflict):
        scale(clock.client(master.url))
    assert len(master.requests) == 1


def test_lines(master: FakeMaster, clock: Clock) -> None:
    found = (answers.line("one"), answers.line("two\u2028three"))
    master.answers["GET /v1/apps/shop/logs"] = Lines(found)
    client = clock.client(master.url)
    assert tuple(client.lines(LogRecord, "/v1/apps/shop/logs")) == found


def test_lines_that_are_cut_off(master: FakeMaster, clock: Clock) -> None:
    master.answers["GET /v1/apps/shop/logs"] = Lines((answers.line("one"),), cut=True)
    lines = clock.client(master.url).lines(LogRecord, "/v1/apps/shop/logs")
    assert next(lines).text == "one"
    with pytest.raises(MasterUnavailable):
        next(lines)


def test_no_lines(master: FakeMaster, clock: Clock) -> None:
    with pytest.raises(NotFound):
        next(clock.client(master.url).lines(LogRecord, "/v1/apps/shop/logs"))


def test_questions_wait_for_another_master_to_lead(master: FakeMaster, clock: Clock) -> None:
    nobody = refusal("StaleEpoch", "this master does not lead", 421)
    master.answers["GET /v1/status"] = [nobody, nobody, answers.STATUS]
    assert clock.client(master.url).ask(ClusterStatus, "/v1/status") == answers.STATUS
    assert len(clock.slept) == 2


def test_changes_wait_for_another_master_to_lead(master: FakeMaster, clock: Clock) -> None:
    """Longer than a failover takes at worst, and with one request id."""
    nobody = refusal("StaleEpoch", "this master does not lead", 421)

    def answer(_: object) -> object:
        return CHANGED if clock.now > 8.0 else nobody

    master.answers["POST /v1/apps/shop/scale"] = answer
    assert scale(clock.client(master.url)) == CHANGED
    assert {request.body["request_id"] for request in master.requests} == {"r1"}


def several(clock: Clock, *paths: str, **how: Any) -> Client:
    addresses = tuple(Address(path=path[len("unix://") :]) for path in paths)
    return Client(addresses, clock=lambda: clock.now, sleep=clock.sleep, **how)


def test_of_several_masters_the_next_is_asked_where_one_is_not_reached(
    master: FakeMaster, clock: Clock, tmp_path: Path
) -> None:
    master.answers["GET /v1/status"] = answers.STATUS
    master.answers["POST /v1/apps/shop/scale"] = CHANGED
    client = several(clock, f"unix://{tmp_path}/none.sock", master.url)
    assert client.ask(ClusterStatus, "/v1/status") == answers.STATUS
    assert scale(client) == CHANGED
    assert clock.slept == []
    assert str(client.address) == master.url, "it stays with the one that leads"


@pytest.mark.parametrize("error", ["StoreUnavailable", "MasterUnavailable"])
def test_of_several_masters_the_next_is_asked_where_one_is_cut_off(
    master: FakeMaster, clock: Clock, tmp_path: Path, error: str
) -> None:
    cut_off = FakeMaster(f"{tmp_path}/other.sock")
    cut_off.answers["POST /v1/apps/shop/scale"] = refusal(error, "cut off", 503)
    master.answers["POST /v1/apps/shop/scale"] = CHANGED
    try:
        assert scale(several(clock, cut_off.url, master.url)) == CHANGED
    finally:
        cut_off.stop()
    assert clock.slept == []


def test_of_several_masters_none_there(clock: Clock, tmp_path: Path) -> None:
    with pytest.raises(MasterUnavailable):
        scale(several(clock, f"unix://{tmp_path}/a.sock", f"unix://{tmp_path}/b.sock"))
    assert clock.slept == []


def test_of_several_masters_one_that_is_frozen_is_not_waited_for(
    master: FakeMaster, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hullmark.cli.client.QUICK_S", 0.05)
    frozen = socket.socket(socket.AF_UNIX)
    frozen.bind(str(tmp_path / "f.sock"))
    frozen.listen()
    master.answers["POST /v1/apps/shop/scale"] = CHANGED
    with frozen:
        assert scale(several(clock, f"unix://{tmp_path}/f.sock", master.url)) == CHANGED
    assert [request.body["request_id"] for request in master.requests] == ["r1"]


@pytest.mark.parametrize("question", [held, logs])
def test_several_masters_that_hang_share_the_time_of_one_and_are_all_named(
    clock: Clock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    question: Callable[[Client], object],
) -> None:
    monkeypatch.setattr("hullmark.cli.client.QUICK_S", 0.6)
    monkeypatch.setattr("hullmark.cli.client.QUIET_LEAST_S", 0.0)
    for module in ("client", "transport"):
        monkeypatch.setattr(f"hullmark.cli.{module}.SIGN_S", 0.2)
    urls = [f"unix://{tmp_path}/{name}.sock" for name in "ab"]
    with ExitStack() as stack:
        for url in urls:
            hangs = stack.enter_context(socket.socket(socket.AF_UNIX))
            hangs.bind(url[len("unix://") :])
            hangs.listen()
        begun = time.monotonic()
        with pytest.raises(MasterUnavailable) as caught:
            question(several(clock, *urls, retry_s=0.0))
        took_s = time.monotonic() - begun
    hangs_so = "it takes connections and does not answer: nothing within 0.2 s"
    assert caught.value.message == f"{urls[0]}: {hangs_so}; {urls[1]}: {hangs_so}"
    assert "see whether it is stopped or hangs: " in caught.value.remedy
    assert 0.75 < took_s < 1.1, "0.6 s and 0.2 s are what one is given"


def test_of_several_masters_one_that_works_on_its_answer_is_waited_for(
    master: FakeMaster, clock: Clock, tmp_path: Path, short: None
) -> None:
    asked = threading.Event()

    def answer(_: object) -> object:
        assert asked.wait(10)
        return answers.STATUS

    def sign(_: object) -> None:
        asked.set()

    master.answers["GET /v1/status"] = answer
    master.answers["GET /v1/ca"] = sign
    with socket.socket(socket.AF_UNIX) as hangs:
        hangs.bind(str(tmp_path / "f.sock"))
        hangs.listen()
        client = several(clock, f"unix://{tmp_path}/f.sock", master.url)
        assert client.ask(ClusterStatus, "/v1/status") == answers.STATUS


def test_what_a_master_that_does_not_lead_knows_is_second_best(
    master: FakeMaster, clock: Clock, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = canonical(to_wire(ApplyAnswer("shop", 1, False)))
    head = f"HTTP/1.1 200 OK\r\nHullmark-Stale: 12.5\r\nContent-Length: {len(old)}\r\n\r\n"
    with ExitStack() as stack:
        cut_off = FakeMaster(master.url[len("unix://") :] + "2")
        stack.callback(cut_off.stop)
        cut_off.answers["GET /v1/apps/shop"] = Raw(head.encode() + old)
        master.answers["GET /v1/apps/shop"] = CHANGED
        client = several(clock, cut_off.url, master.url)
        assert client.ask(ApplyAnswer, "/v1/apps/shop") == CHANGED
        assert capsys.readouterr().err == ""
        client = several(clock, cut_off.url, f"unix://{tmp_path}/none.sock")
        for _ in range(2):
            assert client.ask(ApplyAnswer, "/v1/apps/shop").generation == 1
        said = capsys.readouterr().err
        assert said.count("warning: ") == 1
        assert f"{cut_off.url} tells what it knew 12.5 s ago" in said
