"""Log files: who may read them, what was taken out of them, how long they are kept, and our own chain."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given as by
from hypothesis import strategies as st

from hullmark.core.checks import JUDGES, Seen
from hullmark.model.audit import FIRST_PREV, Entry
from hullmark.model.auditline import line_of
from hullmark.model.checkkinds import KINDS
from hullmark.model.control import Finding, Reading, Status, Trouble
from tests.unit.core.checks.looks import DAY, NOW, given, judged, looks_of, missing, reading

KIND_NAMES = [kind for kind in KINDS if kind.startswith("logfiles.")]
LOG = "/var/log/syslog"

# -- who may read them


def open_to(*lines: str, errors: str = "", **changed: Any) -> Finding:
    text = "\n".join(line.replace(" ", "\t") for line in lines)
    files = reading("files", text, errors=errors, source="/var/log/syslog*")
    return judged("logfiles.permissions", files, **{"paths": (LOG,), **changed})


def test_logs_for_few() -> None:
    found = open_to(
        f"{LOG} 0640 100000 root adm",
        "/var/log/audit 0750 40000 root adm",
        "/var/log/journal/1 2750 40000 root systemd-journal",
        "/var/log/secure 0600 100000 root users",
        "/var/log/x 0740 100000 syslog adm",
        "/var/log/hullmark 0751 40000 root adm",
    )
    assert found == Finding(Status.PASS, 2, "6 files and folders")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (f"{LOG} 0644 100000 root adm", "has the mode 0644: others can read it"),
        (f"{LOG} 0642 100000 root adm", "others can change it"),
        (f"{LOG} 0666 100000 root adm", "others can change it"),
        (f"{LOG} 0660 100000 root adm", "the group adm can change it"),
        ("/var/log/audit 0755 40000 root adm", "others can read it"),
        ("/var/log/audit 0770 40000 root adm", "the group adm can change it"),
        (f"{LOG} 0640 100000 www-data adm", "belongs to www-data"),
        (f"{LOG} 0640 100000 root users", "can be read by the group users"),
    ],
)
def test_logs_for_many(line: str, reason: str) -> None:
    found = open_to("/var/log/a 0600 100000 root root", line)
    assert found.status is Status.FAIL
    assert reason in found.reason


def test_what_may_be_is_said() -> None:
    assert open_to(f"{LOG} 0640 100000 root adm", mode=0o600).status is Status.FAIL
    assert open_to(f"{LOG} 0644 100000 root adm", mode=0o644).status is Status.PASS
    line = f"{LOG} 0640 100000 splunk splunk"
    assert open_to(line, owners=("splunk",), groups=("splunk",)).status is Status.PASS


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (open_to(), Status.NOT_APPLICABLE),
        (open_to("garbled"), Status.ERROR),
        (open_to(f"{LOG} rw-r 100000 root adm"), Status.ERROR),
        (open_to(f"{LOG} 0640 100000 root adm", errors="/x: denied"), Status.ERROR),
        (judged("logfiles.permissions"), Status.ERROR),
    ],
)
def test_logs_that_are_not_known(found: Finding, status: Status) -> None:
    assert found.status is status


# -- what was taken out of them


def row(path: str, size: int, inode: int, mtime: float = NOW, log: str = LOG) -> str:
    return f"{log}\t{path}\t{size}\t8:{inode}\t{mtime}"


def files(*rows: str, at: float = NOW) -> Reading:
    return reading("files", "\n".join(rows), source=LOG, at=at)


def kept(before: list[str], now: list[str]) -> Finding:
    former = files(*before, at=NOW - 30)
    return judged("logfiles.truncation", files(*now), before=(former,), paths=(LOG,))


OLD = row(f"{LOG}.1", 900, 11, NOW - DAY)
BEFORE = [row(LOG, 500, 10, NOW - 30), OLD]


@pytest.mark.parametrize(
    "now",
    [
        [row(LOG, 500, 10), OLD],
        [row(LOG, 600, 10), OLD],
        [row(LOG, 5, 12), row(f"{LOG}.1", 510, 10), row(f"{LOG}.2", 900, 11, NOW - DAY)],
        [row(LOG, 5, 12), row(f"{LOG}.1", 510, 10), row(f"{LOG}.2.gz", 90, 13)],
        [row(LOG, 5, 12), row(f"{LOG}-20261129.gz", 90, 13), OLD],
        [row(LOG, 5, 10), row(f"{LOG}.1", 505, 13), row(f"{LOG}.2", 900, 11, NOW - DAY)],
        [row(LOG, 5, 10), row(f"{LOG}.1.gz", 90, 13), row(f"{LOG}.2.gz", 99, 14)],
        [row(f"{LOG}.1", 510, 10), OLD],
    ],
    ids=[
        "the same",
        "grown",
        "renamed",
        "renamed, the former packed",
        "packed at once",
        "copied and cut",
        "copied, packed and cut",
        "renamed, not made anew yet",
    ],
)
def test_a_log_that_is_kept(now: list[str]) -> None:
    assert kept(BEFORE, now).status is Status.PASS, kept(BEFORE, now)


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        ([row(LOG, 0, 10), OLD], "was cut to 0 bytes: it held 500 bytes before"),
        ([row(LOG, 499, 10), OLD], "was cut to 499 bytes"),
        ([row(LOG, 800, 12), OLD], "was replaced"),
        ([OLD], "is gone"),
        ([], "is gone"),
        ([row(LOG, 0, 12), row(f"{LOG}.1", 20, 10), OLD], "was replaced"),
        ([row(LOG, 0, 10), row(f"{LOG}.2", 900, 11, NOW - DAY)], "was cut"),
        ([row(LOG, 0, 10), row(f"{LOG}.2.gz", 90, 13)], "was cut"),
    ],
    ids=[
        "emptied",
        "a line was taken out",
        "replaced",
        "removed",
        "all removed",
        "renamed and cut",
        "cut, while an old one was renamed",
        "cut, while an old one was packed",
    ],
)
def test_a_log_that_lost_something(now: list[str], reason: str) -> None:
    found = kept(BEFORE, now)
    assert found.status is Status.FAIL
    assert reason in found.reason


def test_a_copy_in_the_making() -> None:
    """The look before saw the copy that copytruncate made, and the log not yet cut."""
    before = [row(LOG, 500, 10, NOW - 30), row(f"{LOG}.1", 500, 13, NOW - 31)]
    now = [row(LOG, 0, 10), row(f"{LOG}.1", 500, 13, NOW - 31)]
    assert kept(before, now).status is Status.PASS


def test_the_first_look() -> None:
    assert judged("logfiles.truncation", files(*BEFORE), paths=(LOG,)).status is Status.NOT_RUN
    absent = judged("logfiles.truncation", files(), paths=(LOG,))
    assert absent.status is Status.NOT_APPLICABLE
    assert kept([], []).status is Status.NOT_APPLICABLE
    assert kept([row(LOG, 0, 10)], [row(LOG, 0, 12)]).status is Status.PASS


def test_a_list_that_is_none() -> None:
    assert kept(BEFORE, ["garbled"]).status is Status.ERROR
    assert kept(BEFORE, [f"{LOG}\t{LOG}\tbig\t8:1\t1"]).status is Status.ERROR
    assert kept(["garbled"], BEFORE).status is Status.NOT_RUN


# -- how long they are kept


def rule(rotate: int = 4, days: int = 7, maxage: int = 0, size: str = "", log: str = LOG) -> str:
    return f"{log}\t{rotate}\t{days}\t{maxage}\t{size}\t/etc/logrotate.d/rsyslog"


def retained(*rules: str, rows: tuple[str, ...] = (BEFORE[0], OLD), **changed: Any) -> Finding:
    logrotate = reading("logrotate", "\n".join(rules), source="/etc/logrotate.conf")
    auditd = reading("auditd", changed.pop("auditd", ""))
    changed.setdefault("paths", (LOG,))
    return judged("logfiles.retention", files(*rows), logrotate, auditd, **changed)


def test_kept_for_long() -> None:
    found = retained(rule(13))
    assert (found.status, found.level) == (Status.PASS, 2)
    for each in (rule(3, 30), rule(-1), rule(90, 1), rule(200, 1, 95)):
        assert retained(each).status is Status.PASS
    assert retained(rule(), days=28).status is Status.PASS
    assert retained(rule(log="/var/log/other")).status is Status.PASS
    assert retained(rule(13, log="/var/log/sys*")).status is Status.PASS


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (rule(), "is kept for 28 days, less than 90: rotate 4 weekly in /etc/logrotate.d/rsyslog"),
        (rule(0), "is kept for 0 days"),
        (rule(200, 1, 30), "is kept for 30 days, less than 90: rotate 200 daily, maxage 30"),
        (rule(1, size="10M"), "goes back 1 days only, less than 90: rotate 1 10M"),
    ],
)
def test_kept_too_short(line: str, reason: str) -> None:
    found = retained(line)
    assert found.status is Status.FAIL
    assert reason in found.reason


def test_what_is_rotated_by_size_may_go_back_far() -> None:
    rows = (BEFORE[0], row(f"{LOG}.1", 1, 2, NOW - 100 * DAY))
    assert retained(rule(1, size="10M"), rows=rows).status is Status.PASS
    assert retained(rule(9, size="10M")).status is Status.PASS, "there is room for more"


def test_auditd_rotates_its_own() -> None:
    log = "/var/log/audit/audit.log"
    settings = "num_logs = 3\nmax_log_file_action = ROTATE\n"
    young = tuple(row(f"{log}{end}", 9, 1, NOW - 2 * DAY, log) for end in ("", ".1", ".2"))
    found = retained(rows=young, auditd=settings)
    assert found.reason == f"{log} goes back 2 days only, less than 90: num_logs = 3"
    assert retained(rows=young[:2], auditd=settings).status is Status.PASS
    keeps = settings.replace("ROTATE", "KEEP_LOGS")
    assert retained(rows=young, auditd=keeps).status is Status.PASS
    old = (*young[:2], row(f"{log}.2", 9, 1, NOW - 91 * DAY, log))
    assert retained(rows=old, auditd=settings).status is Status.PASS


def test_retention_that_is_not_known() -> None:
    assert retained(rows=()).status is Status.NOT_APPLICABLE
    assert retained("garbled").status is Status.ERROR
    assert retained(rows=("garbled",)).status is Status.ERROR
    denied = reading("logrotate", trouble=Trouble.DENIED)
    look = (files(*BEFORE), denied, missing("auditd"))
    assert judged("logfiles.retention", *look, paths=(LOG,)).status is Status.ERROR
    assert judged("logfiles.retention", paths=(LOG,)).status is Status.ERROR


# -- our own


def records(count: int) -> list[str]:
    found: list[str] = []
    prev = FIRST_PREV
    entry = Entry("controls.summary", "host")
    for seq in range(1, count + 1):
        at = "2026-11-29T12:00:00.000000Z"
        line = line_of(entry, seq=seq, prev=prev, log="log-1", boot="boot-1", at=at).decode()
        prev = line.rpartition('"hash":"')[2][:64]
        found.append(line)
    return found


def chained(
    lines: list[str],
    end: int = 0,
    *,
    log: str = "log-1",
    mtime: float = NOW - 60,
    free: object = 1 << 30,
    remembered: Trouble = Trouble.NONE,
) -> Finding:
    whole = records(end or 5)
    hashed = whole[-1].rpartition('"hash":"')[2][:64]
    return judged(
        "logfiles.own_chain",
        reading("remembered", log=log, seq=end or 5, hash=hashed, trouble=remembered),
        reading("log", "".join(lines), source="/var/log/hullmark/audit.log", mtime=mtime),
        reading("space", free_bytes=free),
    )


def test_our_own_log() -> None:
    whole = records(5)
    assert chained(whole[2:]) == Finding(Status.PASS, 2, "record 5")
    assert chained(records(6)[3:], end=5).status is Status.PASS, "it grew since"


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (chained(records(4)[1:]), "ends with record 4, and record 5 was written"),
        (chained([records(5)[2], records(5)[4]]), "record 5 near its end: record 4 is missing"),
        (chained([records(5)[4].replace("12:00", "13:00")]), "its bytes are not those"),
        (chained(["garbled\n"]), "it is no record of an audit log"),
        (chained(records(5)[2:], log="log-2"), "another log than the one whose end"),
        (chained(records(5)[2:], mtime=NOW - 3 * 3600), "is 3 h old, more than 2 h"),
        (chained(records(5)[2:], free=0), "is full"),
    ],
)
def test_our_own_log_is_not_sound(found: Finding, reason: str) -> None:
    assert found.status is Status.FAIL
    assert reason in found.reason


def test_our_own_log_is_not_there() -> None:
    kind = "logfiles.own_chain"
    remembered = reading("remembered", log="log-1", seq=5, hash="0" * 64)
    none = judged(kind, missing("remembered"), missing("log"))
    assert none.status is Status.ERROR
    assert "it was removed" in judged(kind, remembered, missing("log")).reason
    assert chained([]).status is Status.ERROR
    assert chained(records(5)[2:], remembered=Trouble.MISSING).status is Status.ERROR
    assert judged(kind).status is Status.ERROR


# -- of all of them


@by(st.data())
def test_nonsense_is_never_a_pass(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(KIND_NAMES))
    look = data.draw(looks_of(("files", "logrotate", "auditd", "remembered", "log", "space")))
    before = data.draw(looks_of(("files",)))
    found = JUDGES[kind](Seen(look, given(kind, paths=(LOG,)), 0.0, 2, before))
    assert found.status is not Status.PASS
    assert found.reason
