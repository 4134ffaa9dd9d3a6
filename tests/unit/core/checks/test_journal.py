"""systemd's journal: what counts as kept. Texts are what systemd 252 prints."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given as by
from hypothesis import strategies as st

from hullmark.core.checks import JUDGES, Seen
from hullmark.model import canary
from hullmark.model.checkkinds import KINDS
from hullmark.model.control import Finding, Reading, Status, Trouble
from tests.unit.core.checks.looks import (
    NOW,
    given,
    judged,
    looks_of,
    missing,
    process,
    program,
    reading,
)

NONCE = "0123456789abcdef0123456789abcdef"
KIND_NAMES = [kind for kind in KINDS if kind.startswith("journal.")]
BOOTED = reading("booted", source="/run/systemd/system")
FOLDER = reading("folder")
USAGE = "Archived and active journals take up 8.0M in the file system.\n"


def entry(message: str, **more: str) -> str:
    return json.dumps(
        {
            "__REALTIME_TIMESTAMP": str(int(NOW * 1e6)),
            "MESSAGE": message,
            "_HOSTNAME": "jrn",
            **more,
        }
    )


SUPPRESSED = entry(
    "Suppressed 2925 messages from flood.service",
    N_DROPPED="2925",
    MESSAGE_ID="a596d6fe7bfa4994828e72309e95d61e",
    OBJECT_SYSTEMD_UNIT="flood.service",
    _TRANSPORT="driver",
)
KERNEL = entry("Missed 17 kernel messages", MESSAGE_ID="e9bf28e6e834481bb6f48f548ad13606")


def running(state: str = "S") -> Reading:
    return reading(
        "processes", process(state, "systemd-journald"), source="processes: systemd-journald"
    )


def kept(
    text: str = entry(canary.make("jrn", NONCE)),
    *,
    state: str = "S",
    sent: Trouble = Trouble.NONE,
    settings: str = "",
    free: object = 1 << 30,
    code: int = 0,
    record: Trouble = Trouble.NONE,
) -> Finding:
    return judged(
        "journal.canary",
        program(),
        BOOTED,
        running(state),
        reading("sent", trouble=sent, source="/run/systemd/journal/socket", errors="refused"),
        reading("record", text, code=code, nonce=NONCE, waited_s="5.0", trouble=record),
        reading("settings", settings),
        reading("space", free_bytes=free, source="/var/log/journal"),
    )


def test_the_process() -> None:
    kind = "journal.daemon"
    assert judged(kind, program(), BOOTED, running()) == Finding(Status.PASS, 1)
    assert judged(kind, program(), BOOTED, running("T")).status is Status.FAIL
    assert judged(kind, program(), BOOTED, reading("processes")).status is Status.FAIL


def test_an_entry_is_kept() -> None:
    assert kept() == Finding(Status.PASS, 3, "read back by journalctl")


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (kept(""), "rate limit of the agent's own service"),
        (kept("", settings="Storage=none"), "Storage=none"),
        (kept("", free=4096), "the disk of /var/log/journal is full"),
        (kept(state="T"), "stopped by a signal"),
        (kept("", sent=Trouble.MISSING), "isn't there"),
        (kept("", sent=Trouble.TIMED_OUT), "nobody reads it"),
    ],
)
def test_it_is_not(found: Finding, reason: str) -> None:
    assert (found.status, found.level) == (Status.FAIL, -1)
    assert reason in found.reason


@pytest.mark.parametrize(
    "found",
    [
        kept("-- No entries --"),
        kept(entry(canary.make("jrn", NONCE[::-1]))),
        kept(entry("another")),
        kept("[1]"),
        kept("", code=1),
        kept(record=Trouble.TIMED_OUT),
        kept(record=Trouble.MISSING),
        kept(sent=Trouble.DENIED),
    ],
)
def test_nobody_can_tell(found: Finding) -> None:
    assert found.status is Status.ERROR


def thrown(
    told: str,
    newest: str = entry("any"),
    code: int = 0,
    before: tuple[Reading, ...] = (),
    **changed: Any,
) -> Finding:
    looked = (reading("newest", newest, code=0), reading("told", told, code=code))
    return judged("journal.suppressed", program(), BOOTED, *looked, before=before, **changed)


def earlier(message: str, seconds: float) -> str:
    return entry(message, __REALTIME_TIMESTAMP=str(int((NOW - seconds) * 1e6)))


def test_nothing_was_thrown_away() -> None:
    assert thrown("") == Finding(Status.PASS, 2)


def test_entries_that_were_thrown_away() -> None:
    found = thrown(f"{KERNEL}\n{SUPPRESSED}\n")
    assert found.status is Status.FAIL
    assert found.reason == (
        "journald threw 2942 entries away in the last 2 min: Suppressed 2925 messages from flood.service"
    )
    assert thrown(SUPPRESSED, at_most=2924).status is Status.FAIL
    assert thrown(SUPPRESSED, at_most=2925).status is Status.PASS


def test_how_long_ago_that_counts() -> None:
    said = "Suppressed 7 messages from flood.service"
    assert thrown(earlier(said, 119.0)).status is Status.FAIL
    assert thrown(earlier(said, 121.0)).status is Status.PASS
    before = (reading("newest", entry("any"), code=0, at=NOW - 400.0),)
    found = thrown(earlier(said, 399.0), before=before)
    assert found.reason == f"journald threw 7 entries away in the last 7 min: {said}"
    assert thrown(earlier(said, 401.0), before=before).status is Status.PASS


@pytest.mark.parametrize(
    "found",
    [
        thrown("", newest=""),
        thrown("", newest="-- No entries --"),
        thrown("", code=1),
        thrown("garbled"),
        thrown(entry("Suppressed some messages", N_DROPPED="some")),
        thrown(entry("Suppressed messages")),
        judged("journal.suppressed", program(), BOOTED, missing("newest"), missing("told")),
    ],
)
def test_nobody_can_tell_what_was_thrown_away(found: Finding) -> None:
    assert found.status is Status.ERROR


def on_disk(
    folder: Reading = FOLDER,
    files: str = "/var/log/journal/3d12/system.journal",
    settings: str = "",
    syslogs: str = "",
    **changed: Any,
) -> Finding:
    looked = (reading("files", files), reading("settings", settings))
    processes = reading("syslogs", syslogs, source="processes: rsyslogd, syslog-ng")
    return judged("journal.persistent", program(), BOOTED, folder, *looked, processes, **changed)


def test_it_is_on_the_disk() -> None:
    assert on_disk() == Finding(Status.PASS, 1)
    assert on_disk(missing("folder")).status is Status.FAIL
    assert on_disk(files="").status is Status.FAIL
    assert on_disk(settings="Storage=volatile").status is Status.FAIL
    assert on_disk(files="garbled").status is Status.ERROR
    assert on_disk(reading("folder", trouble=Trouble.DENIED)).status is Status.ERROR


def test_a_syslog_daemon_keeps_it() -> None:
    syslog = process(name="rsyslogd")
    assert on_disk(missing("folder"), syslogs=syslog).status is Status.NOT_APPLICABLE
    assert on_disk(missing("folder"), syslogs=syslog, or_syslog=False).status is Status.FAIL
    stopped = process("T", "rsyslogd")
    assert on_disk(missing("folder"), syslogs=stopped).status is Status.FAIL


def room(usage: str = USAGE, free: object = 900, settings: str = "", **changed: Any) -> Finding:
    looked = (reading("usage", usage, code=0), reading("settings", settings))
    place = reading("space", free_mib=free, source="/var/log/journal")
    return judged("journal.space", program(), BOOTED, *looked, place, **changed)


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (room(), Status.PASS),
        (room(most_mib=7), Status.FAIL),
        (room(most_mib=8), Status.PASS),
        (room(settings="SystemMaxUse=4M"), Status.FAIL),
        (room(settings="SystemMaxUse=1G"), Status.PASS),
        (room(settings="SystemMaxUse=4M", most_mib=9), Status.PASS),
        (room(free=99), Status.FAIL),
        (room(USAGE.replace("8.0M", "1.5G"), most_mib=1000), Status.FAIL),
        (room("garbled"), Status.ERROR),
        (room(""), Status.ERROR),
        (room(free="much"), Status.ERROR),
    ],
)
def test_room(found: Finding, status: Status) -> None:
    assert found.status is status, found


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_no_systemd_no_check(kind: str) -> None:
    assert judged(kind, missing("program")).status is Status.NOT_APPLICABLE
    assert judged(kind, program(), missing("booted")).status is Status.NOT_APPLICABLE
    assert judged(kind).status is Status.ERROR


@by(st.data())
def test_nonsense_is_never_a_pass(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(KIND_NAMES))
    names = ("processes", "sent", "record", "newest", "told", "folder", "files", "syslogs")
    look = data.draw(looks_of((*names, "settings", "usage", "space")))
    found = JUDGES[kind](Seen((program(), BOOTED, *look), given(kind), 0.0, 3))
    assert found.status is not Status.PASS
    assert found.reason
