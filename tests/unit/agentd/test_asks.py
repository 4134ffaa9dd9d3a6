"""What people on a host that is in no cluster ask of its agent."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hullmark.agentd.asks import Asks
from hullmark.agentd.localincidents import LocalIncidents
from hullmark.model.audit import Entry
from hullmark.model.localask import (
    ACKNOWLEDGE,
    ANSWER,
    ASK,
    FOLDER,
    HEARD_S,
    NOTE,
    LocalAnswer,
    LocalAsk,
)
from hullmark.model.outage import Outage
from hullmark.pki.files import read_document, write_document


@dataclass
class Box:
    folder: Path
    notes: list[Entry] = field(default_factory=list)
    enrolled: bool = False

    def __post_init__(self) -> None:
        (self.folder / FOLDER).mkdir(mode=0o700)
        self.incidents = LocalIncidents(self.folder, self.notes.append)
        self.incidents.group([Outage("a", "web1", "trail", "f", "T", 1.0, "why")], 2.0)
        self.asks = Asks(self.folder, self.incidents, lambda: self.enrolled)

    def ask(self, ask: LocalAsk) -> LocalAnswer:
        path = self.folder / FOLDER / f"x{ASK}"
        write_document(path, ask)
        self.asks.look()
        assert not path.exists()
        answer = read_document(LocalAnswer, path.with_suffix(ANSWER))
        assert answer is not None
        return answer


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def test_it_is_done_recorded_and_answered(box: Box) -> None:
    assert box.ask(LocalAsk(ACKNOWLEDGE, 1, "alice")).done
    answer = box.ask(LocalAsk(NOTE, 1, "bob", "cause", "a full disk"))
    (incident,) = box.incidents.all()
    assert answer == LocalAnswer(True, incident)
    assert incident.acknowledged_by == "alice"
    assert incident.notes[0].text == "a full disk"
    assert [(one.kind, one.by) for one in box.notes] == [
        ("incident.acknowledged", "alice"),
        ("incident.noted", "bob"),
    ]


@pytest.mark.parametrize(
    ("ask", "why"),
    [
        (LocalAsk(ACKNOWLEDGE, 9, "alice"), "no incident 9"),
        (LocalAsk(NOTE, 1, "alice", "weather", "rain"), "no such topic"),
        (LocalAsk(NOTE, 1, "alice", "", "  "), "does not know"),
        (LocalAsk("delete", 1, "alice"), "does not know"),
        (LocalAsk(ACKNOWLEDGE, 1, ""), "nobody is named"),
    ],
)
def test_what_cant_be_done_is_answered_too(box: Box, ask: LocalAsk, why: str) -> None:
    answer = box.ask(ask)
    assert not answer.done
    assert why in answer.why
    assert box.notes == []


def test_a_cluster_keeps_the_incidents_of_its_hosts(box: Box) -> None:
    box.enrolled = True
    assert "cluster" in box.ask(LocalAsk(ACKNOWLEDGE, 1, "alice")).why


def test_what_nobody_waits_for_any_more_is_not_done(box: Box) -> None:
    path = box.folder / FOLDER / f"x{ASK}"
    write_document(path, LocalAsk(ACKNOWLEDGE, 1, "alice"))
    then = time.time() - HEARD_S - 1
    os.utime(path, (then, then))
    box.asks.look()
    assert list((box.folder / FOLDER).iterdir()) == []
    assert box.notes == []


@pytest.mark.parametrize("what", ["link", "others' to write", "garbled", "pipe"])
def test_what_is_not_roots_own_plain_file_is_not_read(box: Box, what: str) -> None:
    path, real = box.folder / FOLDER / f"x{ASK}", box.folder / "real"
    write_document(real, LocalAsk(ACKNOWLEDGE, 1, "alice"))
    if what == "link":
        path.symlink_to(real)
    elif what == "pipe":
        os.mkfifo(path)
    else:
        path.write_bytes(real.read_bytes() if what == "others' to write" else b"{")
        path.chmod(0o622 if what == "others' to write" else 0o600)
    box.asks.look()
    assert list((box.folder / FOLDER).iterdir()) == []
    assert box.notes == []


def test_answers_that_nobody_took_are_forgotten(box: Box) -> None:
    box.ask(LocalAsk(ACKNOWLEDGE, 1, "alice"))
    (path,) = (box.folder / FOLDER).iterdir()
    os.utime(path, (1.0, 1.0))
    box.asks.look()
    assert not path.exists()


def test_without_the_folder_nobody_asked(tmp_path: Path) -> None:
    Asks(tmp_path, LocalIncidents(tmp_path, print), lambda: False).look()
