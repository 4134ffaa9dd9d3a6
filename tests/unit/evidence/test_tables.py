"""Tables tell each action once, with how it ended, and no spreadsheet computes what stands in one."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hullmark.evidence.story import Table
from hullmark.evidence.tables import Actions, People, csv_of, of_story
from hullmark.model.audit import Actor, Entry, Outcome, Stage
from tests.unit.evidence.logbook import BEGINS, Log
from tests.unit.evidence.sample import cluster


def rows(table: Table) -> list[list[str]]:
    return list(csv.reader(io.StringIO(csv_of(table).decode())))


@given(
    st.lists(st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\r\n\0")))
)
def test_no_cell_begins_as_a_formula(texts: list[str]) -> None:
    found = rows(Table("t", "T", ("a",), tuple((text,) for text in texts)))
    cells = [row[0] if row else "" for row in found[1:]]
    assert not any(
        cell[:1] in ("=", "+", "@", "\t") or (cell[:1] == "-" and cell != "-") for cell in cells
    )
    assert [cell.lstrip("'") for cell in cells] == [text.lstrip("'") for text in texts]


def test_an_action_is_told_once_with_its_outcome() -> None:
    log, actions = Log("master:m1"), Actions()
    asked = Entry(
        "request.apply",
        "shop",
        Stage.INTENT,
        Outcome.PENDING,
        "alice",
        Actor.HUMAN,
        "10.0.0.7",
        ticket="CHG-1",
    )
    for entry in (
        asked,
        Entry("request.apply", "other", Stage.INTENT, Outcome.PENDING, "token:ci", Actor.MACHINE),
        Entry("app.changed", "shop"),
        Entry(
            "request.apply",
            "shop",
            Stage.OUTCOME,
            Outcome.REFUSED,
            "alice",
            Actor.HUMAN,
            of=1,
            reason="frozen",
        ),
        Entry("login.used", "alice", by="alice", actor=Actor.HUMAN, fields={"role": "admin"}),
    ):
        actions.take(log.add(entry, BEGINS + log.seq))
    told = actions.table().rows
    assert [(row[1], row[5], row[6], row[7], row[8]) for row in told] == [
        ("alice", "shop", "refused", "frozen", "CHG-1"),
        ("token:ci", "other", "pending", "", ""),
    ]
    assert told[0][-1] == "master:m1 #1"


def test_who_acted_has_the_role_of_the_newest_login() -> None:
    log, people = Log("master:m1"), People()
    for entry in (
        Entry("login.used", "alice", by="alice", actor=Actor.HUMAN, fields={"role": "viewer"}),
        Entry("login.used", "alice", by="alice", actor=Actor.HUMAN, fields={"role": "admin"}),
        Entry("request.apply", "shop", Stage.INTENT, by="alice", actor=Actor.HUMAN),
        Entry("request.apply", "shop", Stage.OUTCOME, by="alice", actor=Actor.HUMAN, of=3),
        Entry("agent.started", "agent"),
    ):
        people.take(log.add(entry, BEGINS))
    assert people.rows() == [
        ("alice", "admin", "the records", "2025-12-01T00:00:00Z", "2025-12-01T00:00:00Z", "1")
    ]


@pytest.mark.parametrize("hosts", [1, 8])
def test_every_row_of_a_story_has_its_columns(hosts: int) -> None:
    story = cluster(hosts, 2.0)
    tables = of_story(story)
    assert len({table.name for table in tables}) == len(tables)
    for table in tables:
        assert all(len(row) == len(table.columns) for row in table.rows), table.name
    checks = next(table for table in tables if table.name == "checks")
    assert all(row[-2].startswith("raw/") for row in checks.rows)
