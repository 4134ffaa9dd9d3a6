"""An ejection in the host's log: who did it, and what it changed."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import cast

import pytest

from hullmark.agentd.auditing import Auditing
from hullmark.agentd.ejectionrecord import recorded
from hullmark.agentd.gate import OpenJudge, RecordingGate
from hullmark.agentd.guard import Guard, open_log
from hullmark.agentd.problems import Problems
from hullmark.config import load_agent
from hullmark.engine.protocol import Deed, DeedKind
from hullmark.errors import AuditUnavailable, Refused
from hullmark.host.auditfile import AuditFile
from hullmark.model.audit import Actor, Outcome
from tests.unit.agentd.logbook import Logbook


class Guarded:
    def __init__(self, book: Logbook) -> None:
        self.auditing = Auditing(lambda host_id: cast(AuditFile, book), Problems())
        self.gate = RecordingGate(self.auditing, OpenJudge())


def test_the_person_is_named_in_each_record() -> None:
    book = Logbook()
    guard = cast(Guard, Guarded(book))
    deed = Deed(DeedKind.CONTAINER_UPDATE, "shop.web.1.g1")
    with recorded(guard, "h1", "box", "alice"), guard.gate.passing(deed):
        pass
    assert book.short == [
        ("host.eject", "intent", "pending"),
        ("container.update", "intent", "pending"),
        ("container.update", "outcome", "success"),
        ("host.eject", "outcome", "success"),
    ]
    assert {(one.by, one.actor, one.origin) for one in book.entries} == {
        ("alice", Actor.HUMAN, "local")
    }
    assert book.entries[-1].of == 1
    assert book.closed


def test_an_ejection_that_fails_says_why() -> None:
    book = Logbook()
    with pytest.raises(Refused), recorded(cast(Guard, Guarded(book)), "h1", "box", "alice"):
        raise Refused("the engine says no")
    assert (book.entries[-1].outcome, book.entries[-1].reason) == (
        Outcome.FAILURE,
        "the engine says no",
    )


def test_without_a_log_the_engine_is_left_alone() -> None:
    book = Logbook()
    book.room = book.reserve = False
    unwritable = pytest.raises(AuditUnavailable, match="not changed yet")
    with unwritable as raised, recorded(cast(Guard, Guarded(book)), "h1", "box", "alice"):
        raise AssertionError("never reached")
    assert "repeat this" in raised.value.remedy


def test_a_log_whose_folder_can_not_be_made_is_no_crash(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    file = tmp_path / "agent.yaml"
    file.write_text(f"state_dir: {tmp_path}/state\n")
    config = dataclasses.replace(
        load_agent(str(file)).config, audit_dir=str(tmp_path / "file" / "log")
    )
    with pytest.raises(AuditUnavailable, match="log"):
        open_log(config, "h1")
