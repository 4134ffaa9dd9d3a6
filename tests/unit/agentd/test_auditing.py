"""The agent's log when it can't be written: what is kept, in which order it comes, and what the host says of it."""

from __future__ import annotations

import threading
from typing import cast

import pytest

from hullmark.agentd import auditing as module
from hullmark.agentd.auditing import PROBLEM, Auditing
from hullmark.agentd.problems import Problems
from hullmark.errors import AuditUnavailable, BrokenState, HullmarkError
from hullmark.host.auditfile import AuditFile
from hullmark.model.audit import Entry, Stage
from tests.unit.agentd.logbook import Logbook, auditing_of, intent, record, refuses


def codes(problems: Problems) -> list[str]:
    return [one.code for one in problems.all()]


def test_what_could_not_be_written_comes_later_and_in_its_order() -> None:
    book, problems = Logbook(), Problems()
    log = auditing_of(book, problems)
    book.room = book.reserve = False
    log.note(Entry("one", "x"))
    log.conclude(Entry("two", "x", Stage.OUTCOME, of=7))
    assert codes(problems) == [PROBLEM]
    book.room = True
    assert log.intend(Entry("three", "x")) == 3
    assert [one.kind for one in book.entries] == ["one", "two", "three"]
    assert [bool(one.fields) for one in book.entries] == [True, True, False]
    assert book.entries[1].of == 7
    assert codes(problems) == []


def test_while_only_the_reserve_has_room_the_problem_stays() -> None:
    book, problems = Logbook(), Problems()
    log = auditing_of(book, problems)
    book.room = False
    log.intend(Entry("stop", "x"), essential=True)
    assert codes(problems) == [PROBLEM]
    log.look()
    assert codes(problems) == [PROBLEM]
    book.room = True
    log.look()
    assert codes(problems) == []


def test_what_is_more_than_memory_keeps_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITING_MAX", 2)
    book = Logbook()
    log = auditing_of(book)
    book.room = book.reserve = False
    for number in range(5):
        log.note(Entry(f"e{number}", "x"))
    book.room = True
    log.look()
    assert [one.kind for one in book.entries] == ["e0", "e1", "audit.lost"]
    assert book.entries[-1].fields["records"] == "3"


@pytest.mark.parametrize("error", [AuditUnavailable("no such folder"), BrokenState("damaged")])
def test_a_log_that_can_not_be_opened_is_a_problem_and_is_tried_again(error: HullmarkError) -> None:
    problems, book = Problems(), Logbook()
    opens = [refuses(error), refuses(error), lambda host_id: cast(AuditFile, book)]

    def opened(host_id: str) -> AuditFile:
        return opens.pop(0)(host_id)

    log = Auditing(opened, problems)
    log.serve("h1")
    log.look()
    (problem,) = problems.all()
    assert (problem.code, problem.message) == (PROBLEM, error.message)
    with pytest.raises(AuditUnavailable):
        log.intend(Entry("container.create", "x"))
    log.look()
    assert codes(problems) == []
    log.intend(Entry("container.create", "x"))


def test_until_it_is_known_whose_host_it_is_nothing_is_recorded() -> None:
    problems = Problems()
    log = Auditing(refuses(AssertionError()), problems)  # type: ignore[arg-type]
    with pytest.raises(AuditUnavailable):
        log.intend(Entry("container.create", "x"))
    assert problems.all() == (), "that it isn't known is said elsewhere"


def test_another_host_has_another_log() -> None:
    books: dict[str, Logbook] = {"h1": Logbook(), "h2": Logbook()}
    log = Auditing(lambda host_id: cast(AuditFile, books[host_id]), Problems())
    log.serve("h1")
    log.look()
    log.serve("h1")
    assert not books["h1"].closed
    log.serve("h2")
    assert books["h1"].closed
    log.note(Entry("agent.start", "host box"))
    assert books["h2"].short == [("agent.start", "event", "success")]


def test_what_this_very_process_has_under_way_was_not_left_by_another() -> None:
    entry = intent("container.start", "shop/web.1")
    book = Logbook()
    log = auditing_of(book)
    seq = log.intend(entry)
    book.left_open = (record(entry, seq), record(entry, 99))
    log.serve("h2")
    log.look()
    assert [one.seq for one in log.open_intents] == [99]


def test_what_somebody_did_to_its_files_is_a_problem_of_the_host() -> None:
    book, problems = Logbook(), Problems()
    log = auditing_of(book, problems)
    book.findings = ("audit.shortened: first 3, last 9",)
    log.look()
    (problem,) = problems.all()
    assert problem.code == "audit.changed"
    assert "first 3, last 9" in problem.message
    assert "hullmark audit verify" in problem.remedy


def test_what_nobody_waits_for_is_written_before_whatever_comes_next() -> None:
    book = Logbook()
    log = auditing_of(book)
    log.later(Entry("agent.started", "host box"))
    assert book.entries == []
    log.intend(Entry("container.create", "x", Stage.INTENT))
    assert [one.kind for one in book.entries] == ["agent.started", "container.create"]
    assert not book.entries[0].fields
    log.later(Entry("agent.reloaded", "host box"))
    log.look()
    assert len(book.entries) == 3


def test_a_look_is_taken_until_it_is_told_to_end() -> None:
    book = Logbook()
    log = auditing_of(book)
    book.room = book.reserve = False
    log.note(Entry("one", "x"))
    book.room = True
    stopping = threading.Event()
    stopping.set()
    log.run(stopping)
    assert book.entries == []
    log.look()
    assert len(book.entries) == 1
