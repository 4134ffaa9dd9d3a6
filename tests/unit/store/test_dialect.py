"""etcd's words, and what each means."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hullmark.store import dialect
from hullmark.store.dialect import Verdict
from hullmark.store.protocol import Change, Compare, Delete, Entry, Put


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("code", "message", "meaning"),
    [
        (16, "etcdserver: invalid auth token", Verdict.LOGIN),
        (7, "etcdserver: permission denied", Verdict.FORBIDDEN),
        (3, "etcdserver: user name is empty", Verdict.FORBIDDEN),
        (8, "etcdserver: mvcc: database space exceeded", Verdict.FULL),
        (11, "etcdserver: mvcc: required revision has been compacted", Verdict.COMPACTED),
        (11, "etcdserver: mvcc: required revision is a future revision", Verdict.AHEAD),
        (14, "etcdserver: no leader", Verdict.ELSEWHERE),
        (8, "etcdserver: too many requests", Verdict.ELSEWHERE),
        (3, "etcdserver: duplicate key given in txn request", Verdict.REFUSED),
        (14, "etcdserver: request timed out", Verdict.UNKNOWN),
        (
            14,
            "etcdserver: request timed out, possibly due to previous leader failure",
            Verdict.UNKNOWN,
        ),
        (14, "etcdserver: leader changed", Verdict.UNKNOWN),
        (2, "etcdserver: server stopped", Verdict.UNKNOWN),
        (0, "Bad Gateway", Verdict.UNKNOWN),
        (99, "words of a later version", Verdict.UNKNOWN),
    ],
)
def test_what_an_answer_means(code: int, message: str, meaning: Verdict) -> None:
    assert dialect.verdict(code, message) is meaning


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"error": "m", "message": "m", "code": 3}, (3, "m")),  # 3.4
        ({"code": 3, "message": "m"}, (3, "m")),  # 3.5
        ({"error": {"grpc_code": 14, "http_code": 503, "message": "m"}}, (14, "m")),  # a stream's
        ({"error": "m"}, (0, "m")),
        ({}, (0, "")),
    ],
)
def test_the_forms_of_an_error(answer: dict[str, object], said: tuple[int, str]) -> None:
    assert dialect.said(answer) == said


@given(st.text(min_size=1), st.text())
def test_a_range_holds_what_begins_with_the_prefix(prefix: str, other: str) -> None:
    try:
        keys = [(prefix + other).encode(), other.encode()]
        request = dialect.prefix_range(prefix)
    except UnicodeEncodeError:
        return
    first, end = (base64.b64decode(request[name]) for name in ("key", "range_end"))
    for key in keys:
        assert (first <= key < end) == key.startswith(prefix.encode())


def test_requests() -> None:
    assert dialect.prefix_range("") == {"key": "AA==", "range_end": "AA=="}
    assert dialect.compare_request(Compare("/a", 1 << 80))["mod_revision"] == str((1 << 63) - 1)
    assert dialect.write_request(Put("/a", b"v")) == {
        "request_put": {"key": b64("/a"), "value": b64("v")}
    }
    assert dialect.write_request(Delete("/a")) == {"request_delete_range": {"key": b64("/a")}}


def test_answers() -> None:
    pair = {"key": b64("/a"), "create_revision": "2", "mod_revision": "5"}
    assert dialect.entry_of({**pair, "value": b64("v")}) == Entry("/a", b"v", 2, 5)
    assert dialect.entry_of(pair).value == b""
    assert dialect.change_of({"kv": pair}) == Change("/a", b"", 5)
    gone = {"type": "DELETE", "kv": {"key": b64("/a"), "mod_revision": "6"}}
    assert dialect.change_of(gone) == Change("/a", None, 6)
