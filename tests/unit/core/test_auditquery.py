"""What a query lets through, and that its sieve keeps nothing back that it lets through."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hullmark.core.auditquery import app_of, log_named, matches, needles
from hullmark.model.audit import FIRST_PREV, Actor, Entry, Outcome, Record
from hullmark.model.auditline import line_of, parse
from hullmark.model.audittrail import Query
from hullmark.model.moments import moment

TEXT = st.text(max_size=6)


def line(**more: Any) -> bytes:
    given = {
        "kind": "container.start",
        "subject": "shop/web.1",
        "by": "alice",
        "actor": Actor.HUMAN,
        "origin": "local",
        "request_id": "r1",
        "ticket": "T1",
        "container_id": "a" * 64,
        "outcome": Outcome.SUCCESS,
    }
    return line_of(
        Entry(**{**given, **more}), seq=1, prev=FIRST_PREV, log="host:1", boot="b", at=moment(1e9)
    )


def record(**more: Any) -> Record:
    return parse(line(**more))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (Query(), True),
        (Query(by="alice", app="shop", request="r1", ticket="T1", outcome="success"), True),
        (Query(by="ali"), False),
        (Query(app="sho"), False),
        (Query(container="aaaa"), True),
        (Query(container="ab"), False),
        (Query(kind="container"), True),
        (Query(kind="container."), True),
        (Query(kind="container.start"), True),
        (Query(kind="cont"), False),
        (Query(outcome="failure"), False),
        (Query(since=moment(1e9)), True),
        (Query(since=moment(1e9 + 1)), False),
        (Query(until=moment(1e9)), False),
        (Query(until=moment(1e9 + 1)), True),
    ],
)
def test_what_matches(query: Query, expected: bool) -> None:
    assert matches(record(), query) is expected


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, "shop"),
        ({"subject": "x", "fields": {"app": "blog"}}, "blog"),
        ({"kind": "request.apply", "subject": "shop"}, "shop"),
        ({"kind": "app.applied", "subject": "shop"}, "shop"),
        ({"kind": "request.set-labels", "subject": "host web1"}, ""),
        ({"kind": "image.pull", "subject": "registry/x y"}, ""),
        ({"kind": "agent.start", "subject": "web1"}, ""),
    ],
)
def test_whose_app_it_is(more: Any, expected: str) -> None:
    assert app_of(record(**more)) == expected


@given(TEXT, TEXT, TEXT, TEXT)
def test_the_needles_keep_nothing_back(by: str, ticket: str, app: str, request: str) -> None:
    more = {"by": by, "ticket": ticket, "request_id": request, "fields": {"app": app}}
    text = line(**more)
    query = Query(by=by, ticket=ticket, app=app, request=request)
    if matches(parse(text), query):
        assert all(each in text for each in needles(query))


def test_the_needles_keep_others_back() -> None:
    (needle,) = needles(Query(by="bob"))
    assert needle not in line()
    assert needles(Query(kind="container")) == ()


def test_a_log_is_found_by_its_name() -> None:
    names = {"host:1": "web1", "host:2": "web2", "master:m1": "m1"}
    assert log_named("web1", names) == ("host:1",)
    assert log_named("master:m1", names) == ("master:m1",)
    assert log_named("host:9", names) == ("host:9",)
    assert log_named("web9", names) == ()
