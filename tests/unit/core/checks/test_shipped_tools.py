"""Each check of the files that are shipped for AIDE, ClamAV, fail2ban, time and updates, with what the file gives it: it passes
for a tool that is well; what is broken fails, what can't be read is an error, and what isn't there does not apply."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hullmark.config.controls import load_controls
from hullmark.core.checks import JUDGES, Seen
from hullmark.model.control import CheckSpec, Finding, Reading, Status, Trouble
from tests.unit.core.checks import test_aide as aide
from tests.unit.core.checks import test_clamav as clamav
from tests.unit.core.checks import test_clocks as clocks
from tests.unit.core.checks import test_fail2ban as fail2ban
from tests.unit.core.checks import test_updates as updates
from tests.unit.core.checks.looks import DAY, NOW, missing, process, program, reading

SHIPPED = Path(__file__).parents[4] / "conf" / "controls.d"
OURS = ("aide", "clamav", "fail2ban", "clocks", "updates")


class Case(NamedTuple):
    """`well` are readings beside `program`; each of `broken` and `garbled` takes the place of those of the same name."""

    well: tuple[Reading, ...]
    broken: tuple[Reading, ...]
    garbled: tuple[Reading, ...]


ALIVE = Case(
    (reading("processes", process()), reading("others", "")),
    (
        reading("processes", ""),
        reading("processes", process("T")),
        reading("processes", process("Z")),
    ),
    (reading("processes", "x"), reading("processes", trouble=Trouble.FAILED)),
)
BASELINE: Mapping[str, Any] = {"size": 9, "mode": "0600", "mtime": NOW - DAY}
CASES: Mapping[str, Case] = {
    "aide.database": Case(
        (reading("database", aide.BEGIN, **BASELINE),),
        (
            missing("database"),
            reading("database", aide.BEGIN, **{**BASELINE, "mtime": NOW - 400 * DAY}),
            reading("database", aide.BEGIN, **{**BASELINE, "mode": "0660"}),
        ),
        (reading("database", "x", **BASELINE),),
    ),
    "aide.last_run": Case(
        (aide.log(aide.DIFFERENT),),
        (
            aide.log(aide.DIFFERENT, 8 * DAY),
            aide.log(aide.SCRIPT_BROKEN),
            aide.log(aide.INITIALISED),
        ),
        (aide.log("x"),),
    ),
    "clamav.daemon": ALIVE,
    "clamav.updater": ALIVE,
    "clamav.signatures": Case(
        (clamav.CONFIG, clamav.version()),
        (
            clamav.version("ClamAV 1.4.3"),
            clamav.version(clamav.YOUNG.replace("27 12", "23 12")),
            clamav.version("", trouble=Trouble.TIMED_OUT),
            clamav.version("", trouble=Trouble.MISSING),
        ),
        (clamav.version("PONG"),),
    ),
    "clamav.eicar": Case(
        (clamav.CONFIG, clamav.version(), reading("eicar", clamav.FOUND)),
        (
            reading("eicar", "stream: OK"),
            reading("eicar", clamav.FOUND, at=NOW - 2 * DAY),
            reading("eicar", trouble=Trouble.TIMED_OUT),
            clamav.version("", trouble=Trouble.MISSING),
        ),
        (reading("eicar", "x"),),
    ),
    "fail2ban.daemon": ALIVE,
    "fail2ban.jails": Case(
        (
            fail2ban.PING,
            reading("status", fail2ban.TWO, code=0),
            fail2ban.SSHD,
            fail2ban.NGINX,
            fail2ban.THERE,
        ),
        (
            reading("ping", errors=fail2ban.NO_SERVER, code=255),
            reading("status", fail2ban.STATUS.format(0, ""), code=0),
            fail2ban.jail("sshd", "File list:\t"),
            fail2ban.GONE,
        ),
        (reading("ping", "x", code=0), reading("status", "x", code=0), reading("jail sshd", "x")),
    ),
    "fail2ban.filter": Case(
        (reading("status", fail2ban.TWO, code=0), reading("match", fail2ban.MATCHED, code=0)),
        (reading("match", fail2ban.MATCHED.replace("1 matched", "0 matched"), code=0),),
        (reading("match", "x", code=0), reading("status", "x", code=0)),
    ),
    "clocks.chrony_running": ALIVE,
    "clocks.chrony_tracking": Case(
        (
            reading("tracking", clocks.TRACKING.format(at=NOW), code=0),
            reading("sources", clocks.SOURCE, code=0),
        ),
        (
            reading("tracking", clocks.ALONE, code=0),
            reading("tracking", "506 Cannot talk to daemon\n", code=1),
            reading("tracking", clocks.TRACKING.format(at=NOW - DAY), code=0),
            reading("sources", clocks.SILENT, code=0),
        ),
        (reading("tracking", "x", code=0), reading("sources", "x", code=0)),
    ),
    "clocks.timesyncd_running": ALIVE,
    "clocks.timesyncd_synchronized": Case(
        (
            *ALIVE.well,
            clocks.MARK,
            reading("timedatectl", "NTP=yes\nNTPSynchronized=yes\n", code=0),
        ),
        (
            *ALIVE.broken,
            missing("synchronized"),
            reading("synchronized", mtime=NOW - DAY),
            reading("timedatectl", "NTP=no\nNTPSynchronized=yes\n", code=0),
            reading("timedatectl", "NTP=yes\nNTPSynchronized=no\n", code=0),
        ),
        (*ALIVE.garbled, reading("timedatectl", "x", code=0)),
    ),
    "clocks.ntpd_running": ALIVE,
    "clocks.ntpd_tracking": Case(
        (reading("variables", clocks.RV, code=0),),
        (
            reading("variables", clocks.RV_ALONE, code=0),
            reading("variables", errors="***Request timed out\n", code=0),
        ),
        (reading("variables", "x", code=0),),
    ),
    "updates.unattended": Case(
        (
            reading("periodic", updates.PERIODIC, code=0),
            reading("origins", updates.ORIGINS, code=0),
        ),
        (
            reading("periodic", updates.PERIODIC.replace('"1"', '"0"'), code=0),
            reading("origins", "", code=0),
        ),
        (reading("periodic", "x", code=0), reading("origins", "x", code=0)),
    ),
    "updates.last_run": Case(
        (updates.stamp(DAY), updates.fetched()),
        (updates.stamp(5 * DAY), missing("stamp"), updates.fetched(5 * DAY)),
        (reading("stamp", mtime="x"),),
    ),
    "updates.reboot": Case(
        (missing("reboot"),),
        (reading("reboot", mtime=NOW - 8 * DAY),),
        (reading("reboot", mtime="x"),),
    ),
    "updates.pending": Case(
        (
            updates.stamp(DAY),
            updates.fetched(),
            reading("lists", mtime=NOW - 2 * DAY),
            reading("packages", mtime=NOW - DAY),
            reading("security", "/var/lib/apt/lists/x-security_InRelease"),
            reading("upgrade", updates.USUAL, code=0),
        ),
        (
            reading("upgrade", updates.SECURITY, code=0),
            reading("security", ""),
            updates.fetched(5 * DAY),
        ),
        (reading("upgrade", "x", code=0),),
    ),
    "updates.dnf_automatic": Case(
        (
            reading("timers", updates.WANTS + "dnf-automatic.timer"),
            reading("config", updates.DNF.format("yes")),
        ),
        (reading("timers", ""), reading("config", updates.DNF.format("no"))),
        (reading("config", "x"),),
    ),
}

SHIPPED_CHECKS = [
    pytest.param(check, id=f"{control.control_id}/{check.check_id}")
    for control in load_controls(str(SHIPPED), "/none").specs
    for check in control.checks
    if check.kind.partition(".")[0] in OURS
]


def judged(check: CheckSpec, *readings: Reading) -> Finding:
    return JUDGES[check.kind](Seen(readings, check.given, NOW, check.level))


def with_one(case: Case, other: Reading) -> tuple[Reading, ...]:
    kept = [one for one in case.well if one.name != other.name]
    return (program(), other, *kept)


def test_there_is_a_case_for_each() -> None:
    assert {param.values[0].kind for param in SHIPPED_CHECKS} == set(CASES)  # type: ignore[union-attr]


@pytest.mark.parametrize("check", SHIPPED_CHECKS)
def test_a_shipped_check(check) -> None:
    case = CASES[check.kind]
    well = judged(check, program(), *case.well)
    assert (well.status, well.level) == (Status.PASS, check.level)
    for one in case.broken:
        assert judged(check, *with_one(case, one)).status is Status.FAIL, one
    for one in case.garbled:
        assert judged(check, *with_one(case, one)).status is Status.ERROR, one
    assert judged(check, missing("program"), *case.well).status is Status.NOT_APPLICABLE
    assert judged(check).status is Status.ERROR
    assert judged(check, program()).status in (Status.ERROR, Status.FAIL)


@given(data=st.data())
def test_almost_right_never_raises(data) -> None:
    """Output that a tool might print one day: what is known, with some of it gone, doubled or replaced."""
    kind = data.draw(st.sampled_from(sorted(CASES)))
    case = CASES[kind]
    one = data.draw(st.sampled_from([*case.well, *case.broken, *case.garbled]))
    begin = data.draw(st.integers(0, len(one.text)))
    end = data.draw(st.integers(begin, min(len(one.text), begin + 20)))
    other = data.draw(
        st.sampled_from(["", "-", "9" * 5000, "\u0663", "\u00b2", "\0", "\n", one.text])
    )
    changed = replace(one, text=one.text[:begin] + other + one.text[end:])
    check = next(each.values[0] for each in SHIPPED_CHECKS if each.values[0].kind == kind)  # type: ignore[union-attr]
    judged(check, *with_one(case, changed))  # type: ignore[arg-type]
