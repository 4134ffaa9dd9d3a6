"""What a failed request to etcd means, on servers that answer as a test says."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Optional

import pytest

from hullmark.errors import BrokenState, Forbidden, OutcomeUnknown, Refused, StoreUnavailable
from hullmark.store import gateway as module
from hullmark.store.gateway import Access, Gateway

NO_LEADER = (503, {"code": 14, "message": "etcdserver: no leader"})
TIMED_OUT = (503, {"code": 14, "message": "etcdserver: request timed out"})
NO_TOKEN = (401, {"code": 16, "message": "etcdserver: invalid auth token"})
DENIED = (403, {"code": 7, "message": "etcdserver: permission denied"})
FULL = (429, {"code": 8, "message": "etcdserver: mvcc: database space exceeded"})
WRONG = (400, {"code": 3, "message": "etcdserver: duplicate key given in txn request"})
GOOD = (200, {"succeeded": True})

Answer = tuple[int, dict[str, Any]]

LOST: Answer = (0, {})


class Member:
    """Gives its answers one after the other, the last for ever; `asked` are the paths and tokens."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str]] = []
        self.before: Optional[threading.Event] = None
        self.login: Optional[Answer] = None
        member = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                member.asked.append((self.path, self.headers.get("Authorization", "")))
                if member.before is not None:
                    member.before.wait(5.0)
                code, document = member.answer(self.path)
                if not code:
                    self.close_connection = True
                    return
                content = json.dumps(document).encode()
                self.send_response(code)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, path: str) -> Answer:
        if path.endswith("/authenticate"):
            return self.login or (200, {"token": f"token {len(self.asked)}"})
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def members() -> Iterator[Callable[..., Member]]:
    with ExitStack() as stack:

        def start(*answers: Answer) -> Member:
            member = Member(*answers)
            thread = threading.Thread(target=member.server.serve_forever, args=(0.01,))
            thread.start()
            stack.callback(thread.join)
            stack.callback(member.server.server_close)
            stack.callback(member.server.shutdown)
            return member

        yield start


def gateway(*members: Member, user: str = "") -> Gateway:
    return Gateway(Access(tuple(one.url for one in members), user=user, password=lambda: "words"))


@pytest.mark.parametrize("failure", [NO_LEADER, TIMED_OUT, LOST])
def test_a_read_goes_on_to_the_next(members: Callable[..., Member], failure: Answer) -> None:
    one, other = members(failure), members(GOOD)
    calls = gateway(one, other)
    assert calls.read("/v3/kv/range", {}) == GOOD[1]
    assert calls.read("/v3/kv/range", {}) == GOOD[1]
    assert len(one.asked) == 1, "whoever answered last is asked first"


def test_a_write_goes_on_only_where_nothing_was_done(members: Callable[..., Member]) -> None:
    one, other = members(NO_LEADER), members(GOOD)
    assert gateway(one, other).write("/v3/kv/txn", {}) == GOOD[1]
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    refused = Gateway(Access((f"http://127.0.0.1:{port}", other.url)))
    assert refused.write("/v3/kv/txn", {}) == GOOD[1]


@pytest.mark.parametrize("failure", [TIMED_OUT, LOST])
def test_else_its_outcome_is_unknown(members: Callable[..., Member], failure: Answer) -> None:
    one, other = members(failure), members(GOOD)
    with pytest.raises(OutcomeUnknown):
        gateway(one, other).write("/v3/kv/txn", {})
    assert other.asked == []


@pytest.mark.parametrize(("failure", "error"), [(DENIED, Forbidden), (WRONG, Refused)])
def test_a_no_is_no_members_fault(
    members: Callable[..., Member], failure: Answer, error: type[Exception]
) -> None:
    one, other = members(failure), members(GOOD)
    calls = gateway(one, other)
    for ask in (calls.read, calls.write):
        with pytest.raises(error) as caught:
            ask("/v3/kv/txn", {})
        assert not isinstance(caught.value, OutcomeUnknown)
    assert other.asked == []


def test_a_member_that_is_full_may_have_written(members: Callable[..., Member]) -> None:
    """The transaction that passes the quota is answered like those that come after it."""
    one, other = members(FULL), members(GOOD)
    with pytest.raises(OutcomeUnknown, match="full") as caught:
        gateway(one, other).write("/v3/kv/txn", {})
    assert "defrag" in caught.value.remedy
    assert other.asked == []


def test_a_token_is_kept_and_renewed(members: Callable[..., Member]) -> None:
    member = members(GOOD, NO_TOKEN, GOOD)
    calls = gateway(member, user="hullmark")
    for _ in range(3):
        assert calls.write("/v3/kv/txn", {}) == GOOD[1]
    tokens = [token for path, token in member.asked if path == "/v3/kv/txn"]
    assert tokens == ["token 1", "token 1", "token 4", "token 4"]


def test_a_token_that_is_never_taken_is_no_unknown_outcome(members: Callable[..., Member]) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        gateway(members(NO_TOKEN), user="hullmark").write("/v3/kv/txn", {})
    assert not isinstance(caught.value, OutcomeUnknown)


class Waited:
    """A lock that tells how many have come to it."""

    def __init__(self, lock: threading.Lock) -> None:
        self.lock = lock
        self.came = threading.Semaphore(0)

    def __enter__(self) -> None:
        self.came.release()
        self.lock.acquire()

    def __exit__(self, *_: object) -> None:
        self.lock.release()


def test_whoever_waits_for_a_login_that_is_not_answered_does_not_try_again(
    members: Callable[..., Member], monkeypatch: pytest.MonkeyPatch
) -> None:
    member = members(GOOD)
    member.login, member.before = LOST, threading.Event()
    calls = gateway(member, user="hullmark")
    login = Waited(threading.Lock())
    monkeypatch.setattr(calls, "_login", login)
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(calls.read, "/v3/kv/range", {}) for _ in range(4)]
        for _ in asked:
            assert login.came.acquire(timeout=10.0)
        member.before.set()
        for one in asked:
            with pytest.raises(StoreUnavailable):
                one.result()
    assert len(member.asked) == 1
    member.login = None
    assert calls.read("/v3/kv/range", {}) == GOOD[1]


def test_a_password_that_can_not_be_read(members: Callable[..., Member]) -> None:
    def unreadable() -> str:
        raise BrokenState("the file is gone", remedy="put it back")

    calls = Gateway(Access((members(GOOD).url,), user="hullmark", password=unreadable))
    with pytest.raises(StoreUnavailable, match="the file is gone") as caught:
        calls.write("/v3/kv/txn", {})
    assert caught.value.remedy == "put it back"


def test_nothing_is_sent_once_it_is_closed(members: Callable[..., Member]) -> None:
    member = members(GOOD)
    calls = gateway(member)
    calls.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        calls.read("/v3/kv/range", {})
    assert member.asked == []


def test_a_member_that_keeps_one_request_waiting_is_not_asked_by_others(
    members: Callable[..., Member], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SLOW_S", 0.02)
    slow, good = members(GOOD), members(GOOD)
    answered = threading.Event()
    slow.before = answered
    store = gateway(slow, good)
    first = threading.Thread(target=store.write, args=("/v3/kv/txn", {}))
    first.start()
    try:
        while not slow.asked:
            threading.Event().wait(0.001)
        threading.Event().wait(0.03)
        store.write("/v3/kv/txn", {})
        assert len(good.asked) == 1
    finally:
        answered.set()
        first.join()
    assert len(slow.asked) == 1
