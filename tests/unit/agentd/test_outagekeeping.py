from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hullmark.agentd.localincidents import LocalIncidents
from hullmark.agentd.outagekeeping import FILE, PASSES_S, Keeper
from hullmark.core.outagealerts import DAY_S
from hullmark.errors import Conflict, NotFound
from hullmark.model.alert import Alert, AlertWord
from hullmark.model.audit import Actor, Entry, Outcome
from hullmark.model.control import Framework, Requirement, Status
from tests.unit.core.outageworld import Looked

FRAMEWORK = Framework("f", "F", (Requirement("10.2.1", "logs", "direct", ("function-trail",)),))
PASS, FAIL = Status.PASS, Status.FAIL


@dataclass
class House:
    """A host whose controls are looked at, with the agent's files in `folder`."""

    folder: Path
    host: Looked = field(default_factory=Looked)
    notes: list[Entry] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.keeper = Keeper(
            self.folder,
            self.notes.append,
            self.alerts.append,
            host="web1",
            framework=FRAMEWORK,
            wall=lambda: self.host.now,
        )
        self.keeper.load()

    def look(self, *statuses: Status, after_s: float = 10.0) -> dict[str, str]:
        found: dict[str, str] = {}
        for status in statuses:
            self.host.look(status, after_s)
            found = dict(self.keeper.take(self.host.states, self.host.now))
        return found

    def again(self) -> House:
        """The agent was killed, and started again."""
        after = House(self.folder, self.host)
        after.host.restart()
        after.keeper.take(after.host.states, after.host.now)
        return after


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def kinds(house: House) -> list[str]:
    return [entry.kind for entry in house.notes]


def words(house: House) -> list[AlertWord]:
    return [alert.word for alert in house.alerts]


def test_from_fail_to_recovery(house: House) -> None:
    assert house.look(PASS) == {}
    (outage_id,) = house.look(FAIL, FAIL).values()
    began = house.host.now - 10.0
    assert house.look(PASS, PASS) == {}
    assert kinds(house) == ["outage.began", "outage.recovered"]
    assert words(house) == [AlertWord.BEGAN, AlertWord.RECOVERED]
    entry = house.notes[0]
    assert (entry.outcome, entry.subject) == (Outcome.FAILURE, "control trail")
    assert entry.fields["requirements"] == "10.2.1"
    assert entry.fields["outage"] == outage_id
    (outage,) = house.keeper.outages()
    assert (outage.began, outage.ended) == (began, began + 20.0)
    assert outage.requirements == ("10.2.1",)
    (incident,) = house.keeper.incidents()
    assert (incident.number, incident.ended) == (1, outage.ended)
    assert house.alerts[0].incident == 1


def test_an_open_one_survives_restarts_and_nobody_is_alerted_twice(house: House) -> None:
    house.look(PASS, FAIL)
    house.keeper.sent(house.alerts[0])
    after = house.again()
    assert after.look(FAIL, FAIL) == {"trail": house.keeper.outages()[0].outage_id}
    assert ([one.kind for one in after.notes], after.alerts) == (["outage.lasts"], [])
    last = after.again()
    last.look(PASS, PASS)
    assert kinds(last) == ["outage.lasts", "outage.recovered"]
    assert words(last) == [AlertWord.RECOVERED]
    assert last.keeper.outages()[0].passed_at > 0.0


def test_an_agent_that_was_killed_before_it_recorded_an_outage_records_it_later(
    house: House,
) -> None:
    house.look(PASS, PASS, FAIL)
    began = next(one for one in house.notes if one.kind == "outage.began")
    after = house.again()  # nothing of what the first one noted may have reached the disk
    assert [one.kind for one in after.notes] == ["outage.lasts"]
    lasts = after.notes[0]
    assert (lasts.outcome, lasts.fields, lasts.subject) == (
        Outcome.FAILURE,
        began.fields,
        began.subject,
    )
    after.look(PASS, PASS, PASS)
    assert "outage.lasts" not in [one.kind for one in after.again().notes]


def test_an_alert_that_was_on_its_way_is_sent_again_with_the_same_id(house: House) -> None:
    house.look(FAIL)
    after = House(house.folder, house.host)
    assert [one.alert_id for one in after.alerts] == [house.alerts[0].alert_id]
    after.keeper.sent(after.alerts[0])
    assert House(house.folder, house.host).alerts == []


def test_when_it_had_passed_last_is_known_after_a_start_too(house: House) -> None:
    house.look(PASS, PASS)
    passed = house.host.now
    house.look(PASS, after_s=PASSES_S / 2)
    after = house.again()
    after.look(FAIL)
    (outage,) = after.keeper.outages()
    assert passed - PASSES_S <= outage.passed_at < outage.began


def test_who_acknowledged_hears_no_more_of_it(house: House) -> None:
    house.look(FAIL)
    house.look(FAIL, after_s=DAY_S)
    house.look(FAIL)
    assert words(house) == [AlertWord.BEGAN, AlertWord.LASTS]
    house.keeper.local.acknowledge(1, "alice")
    house.look(FAIL, after_s=DAY_S)
    assert len(house.alerts) == 2
    assert kinds(house) == ["outage.began", "incident.acknowledged"]
    said = house.notes[1]
    assert (said.by, said.actor, said.fields) == ("alice", Actor.HUMAN, {"incident": "1"})


def test_what_people_say_is_kept_and_recorded(house: House) -> None:
    house.look(FAIL)
    house.keeper.local.put_note(1, "bob", "cause", "the disk was full")
    local = LocalIncidents(house.folder, house.notes.append)
    local.load()
    kept = local.named(1)
    assert [(note.by, note.topic, note.text) for note in kept.notes] == [
        ("bob", "cause", "the disk was full")
    ]
    assert house.notes[-1].fields == {"incident": "1", "topic": "cause"}
    house.keeper.local.acknowledge(1, "alice")
    with pytest.raises(Conflict, match="acknowledged by alice"):
        house.keeper.local.acknowledge(1, "bob")
    with pytest.raises(NotFound, match="no incident 2"):
        house.keeper.local.put_note(2, "bob", "", "x")


def test_an_enrolled_host_has_no_incidents_of_its_own(house: House) -> None:
    events = []
    house.keeper.enrolled = True
    house.keeper.tell = lambda *event: events.append(event)
    house.look(FAIL)
    assert house.keeper.incidents() == ()
    assert house.alerts[0].incident == 0
    ((kind, subject, _, fields),) = events
    assert (kind, subject, fields["function"]) == (
        "outage.began",
        "control trail",
        "function-trail",
    )


def test_a_control_that_was_switched_off_or_taken_away(house: House) -> None:
    house.look(FAIL)
    assert house.keeper.take({}, house.host.now) != {}  # its files can't be read: nothing is known
    other = Looked()
    other.look(PASS)
    house.keeper.take({"other": other.states["trail"]}, house.host.now)
    assert kinds(house)[-1] == "outage.withdrawn"
    assert house.keeper.outages()[0].ended


def test_a_file_that_cant_be_read_is_set_aside(house: House) -> None:
    house.look(FAIL)
    (house.folder / FILE).write_text("{")
    after = House(house.folder, house.host)
    assert after.keeper.outages() == ()
    assert (house.folder / (FILE + ".damaged")).read_text() == "{"
    after.look(FAIL)
    assert words(after) == [AlertWord.BEGAN]


def test_a_folder_that_cant_be_written_loses_nothing_in_memory(house: House) -> None:
    house.folder.joinpath(f".{FILE}.new").mkdir()
    house.look(FAIL)
    assert len(house.alerts) == 1
    assert not (house.folder / FILE).exists()
    house.folder.joinpath(f".{FILE}.new").rmdir()
    house.look(FAIL)
    assert json.loads((house.folder / FILE).read_text())["known"]["outages"]
