"""What commands did beside the daemon comes into its log, once, in their order."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from hullmark.errors import AuditUnavailable, Refused
from hullmark.masterd import verbnotes
from hullmark.model.audit import Actor, Entry, Outcome
from tests.unit.masterd.serving import Served, serve
from tests.unit.masterd.test_auditing import of_kind


def kinds(folder: Path) -> list[tuple[str, Outcome]]:
    return [(entry.kind, entry.outcome) for entry in verbnotes.waiting(folder)]


def test_a_note_is_made_before_and_after(tmp_path: Path) -> None:
    with verbnotes.noted(tmp_path, "cluster.restore", "cluster", "alice"):
        assert kinds(tmp_path) == [("cluster.restore", Outcome.PENDING)]
    refused: Any = Refused("the store is not empty")
    with pytest.raises(Refused), verbnotes.noted(tmp_path, "cluster.restore", "cluster", "alice"):
        raise refused
    found = verbnotes.waiting(tmp_path)
    assert [each.outcome for each in found] == [
        Outcome.PENDING,
        Outcome.SUCCESS,
        Outcome.PENDING,
        Outcome.FAILURE,
    ]
    assert found[3].reason == "the store is not empty"
    assert {(each.by, each.actor, each.origin) for each in found} == {
        ("alice", Actor.HUMAN, "local")
    }
    assert all(each.fields["happened_at"] for each in found)
    assert (tmp_path / "audit.notes").stat().st_mode & 0o777 == 0o600


def test_nothing_is_begun_that_cant_be_noted(tmp_path: Path) -> None:
    (tmp_path / "audit.notes").mkdir()
    begun = []
    noted = verbnotes.noted(tmp_path, "cluster.restore", "cluster", "alice")
    with pytest.raises(AuditUnavailable), noted:
        begun.append(True)
    assert begun == []


def test_what_was_taken_goes_and_what_came_meanwhile_stays(tmp_path: Path) -> None:
    for number in range(3):
        verbnotes.leave(tmp_path, Entry(f"a.{number}", "x"))
    with (tmp_path / "audit.notes").open("ab") as file:
        file.write(b"no note\n")
    assert len(verbnotes.waiting(tmp_path)) == 3
    verbnotes.taken(tmp_path, 2)
    assert [kind for kind, _ in kinds(tmp_path)] == ["a.2"]
    verbnotes.taken(tmp_path, 1)
    assert not (tmp_path / "audit.notes").exists()
    assert verbnotes.waiting(tmp_path) == []


def test_no_note_is_lost_between_two_processes(tmp_path: Path) -> None:
    """Threads stand for processes: each opens the file anew, and locks what it opened."""
    seen: list[str] = []
    ended = threading.Event()

    def take() -> None:
        while not ended.is_set() or (tmp_path / "audit.notes").exists():
            found = verbnotes.waiting(tmp_path)
            seen.extend(entry.kind for entry in found)
            if found:
                verbnotes.taken(tmp_path, len(found))

    taker = threading.Thread(target=take)
    taker.start()
    for number in range(200):
        verbnotes.leave(tmp_path, Entry(f"a.{number}", "x"))
    ended.set()
    taker.join(10)
    assert seen == [f"a.{number}" for number in range(200)]


def test_the_daemon_takes_notes_into_its_log(tmp_path: Path) -> None:
    (tmp_path / "master").mkdir()
    verbnotes.done(tmp_path / "master", "master.init", "m1", "alice")

    async def test(served: Served) -> None:
        (found,) = of_kind(tmp_path, "master.init")
        assert (found["by"], found["subject"]) == ("alice", "master m1")
        assert json.dumps(found["fields"]).startswith('{"happened_at": "20')
        assert not (tmp_path / "master" / "audit.notes").exists()

    serve(tmp_path, test)
