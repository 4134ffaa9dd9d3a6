"""What chrony, timesyncd and ntpd print, well and not."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest
from hypothesis import given

from hullmark.core.checks import JUDGES, Seen
from hullmark.model.checkkinds import KINDS
from hullmark.model.control import Finding, Reading, Status, Trouble
from tests.unit.core.checks.looks import (
    HOUR,
    NOW,
    judged,
    looks_of,
    missing,
    process,
    program,
    reading,
)
from tests.unit.core.checks.looks import given as given_to

TRACKING = (
    "7F000001,127.0.0.1,4,{at},-0.000001850,0.000000241,0.000000725,-0.002,0.005,1.107,"
    "0.000006024,0.000005149,1.0,Normal\n"
)
ALONE = (
    "00000000,,0,0.000000000,0.000000000,0.000000000,0.000000000,0.000,0.000,0.000,"
    "1.000000000,1.000000000,0.0,Not synchronised\n"
)
SOURCE = "^,*,127.0.0.1,3,0,377,1,0.000000711,0.000000952,0.000004576\n"
SILENT = "^,?,192.0.2.77,0,6,0,4294967295,0.000000000,0.000000000,0.000000000\n"


def chrony(tracking: str = "", sources: str = SOURCE, code: int = 0, **changed: Any) -> Finding:
    return judged(
        "clocks.chrony_tracking",
        program(),
        reading("tracking", tracking or TRACKING.format(at=NOW - 60), code=code),
        reading("sources", sources, code=0),
        **changed,
    )


def test_chrony_follows_a_source() -> None:
    found = chrony()
    assert (found.status, found.level) == (Status.PASS, 2)
    assert found.reason == "stratum 4, 0.002 ms off, 1 of 1 sources answer"


@pytest.mark.parametrize(
    ("tracking", "sources", "reason"),
    [
        (ALONE, SILENT, "chronyd is not synchronised: it follows no source"),
        (
            TRACKING.format(at=NOW).replace(",4,", ",16,"),
            SOURCE,
            "chronyd has stratum 16: it follows no source",
        ),
        (
            TRACKING.format(at=NOW).replace(",4,", ",0,"),
            SOURCE,
            "chronyd has stratum 0: it follows no source",
        ),
        (
            TRACKING.format(at=NOW).replace("7F000001,127.0.0.1", "7F7F0101,"),
            SOURCE,
            "chronyd takes the host's own clock for its reference",
        ),
        (
            TRACKING.format(at=NOW - 3 * HOUR),
            SOURCE,
            "the last measurement is 3 h old, more than 2 h",
        ),
        (
            TRACKING.format(at=NOW).replace("-0.000001850", "-2.500000000"),
            SOURCE,
            "the clock is 2500 ms off, more than 1000 ms",
        ),
        ("", SILENT, "0 of 1 time sources answer"),
        ("", "", "0 of 0 time sources answer"),
    ],
)
def test_chrony_follows_nothing(tracking, sources, reason) -> None:
    found = chrony(tracking, sources)
    assert (found.status, found.reason.replace("120 min", "2 h")) == (Status.FAIL, reason)


def test_chrony_needs_more_sources() -> None:
    assert chrony(sources=SOURCE + SILENT, min_sources=2).status is Status.FAIL
    assert chrony(sources=SOURCE * 2, min_sources=2).status is Status.PASS


def test_a_time_server_of_its_own_clock() -> None:
    own = TRACKING.format(at=NOW).replace("7F000001,127.0.0.1", "7F7F0101,")
    found = chrony(own, "", local_allowed=True)
    assert found.status is Status.PASS
    assert "own clock" in found.reason


def test_chronyd_does_not_answer() -> None:
    assert chrony("506 Cannot talk to daemon\n", code=1).status is Status.FAIL
    late = reading("tracking", trouble=Trouble.TIMED_OUT)
    assert judged("clocks.chrony_tracking", program(), late).status is Status.FAIL


@pytest.mark.parametrize(
    "tracking",
    [
        "no idea",
        "\n",
        TRACKING.format(at="soon"),
        TRACKING.format(at=NOW).replace("Normal", "Fine"),
        TRACKING.format(at=NOW).replace(",4,", ",four,"),
        TRACKING.format(at=NOW).replace("7F000001", "beef"),
        TRACKING.format(at=NOW) * 2,
        TRACKING.format(at=NOW + HOUR),
    ],
)
def test_chronyc_says_what_nobody_knows(tracking) -> None:
    assert chrony(tracking).status is Status.ERROR


@pytest.mark.parametrize("sources", ["what?", SOURCE.replace("377", "999"), SOURCE + "x"])
def test_sources_that_nobody_knows(sources) -> None:
    assert chrony(sources=sources).status is Status.ERROR


def test_chronyc_is_missing() -> None:
    assert judged("clocks.chrony_tracking", program(), missing("tracking")).status is Status.ERROR


MARK = reading("synchronized", mtime=NOW - HOUR)
RUNNING = process()


def timesyncd(
    said: str = "NTP=yes\nNTPSynchronized=yes\n",
    mark: Reading = MARK,
    processes: str = RUNNING,
    others: str = "",
    code: int = 0,
) -> Finding:
    return judged(
        "clocks.timesyncd_synchronized",
        program(),
        reading("processes", processes),
        reading("others", others),
        mark,
        reading("timedatectl", said, code=code),
    )


def test_timesyncd_has_set_the_clock() -> None:
    assert timesyncd() == Finding(Status.PASS, 2)


@pytest.mark.parametrize(
    "found",
    [
        timesyncd("NTP=no\nNTPSynchronized=yes\n"),
        timesyncd("NTP=yes\nNTPSynchronized=no\n"),
        timesyncd(mark=missing("synchronized")),
        timesyncd(mark=reading("synchronized", mtime=NOW - 3 * HOUR)),
        timesyncd(processes=""),
        timesyncd(processes=process("T")),
    ],
)
def test_timesyncd_has_not(found) -> None:
    assert found.status is Status.FAIL


@pytest.mark.parametrize(
    "found",
    [
        timesyncd("NTP=perhaps\nNTPSynchronized=yes\n"),
        timesyncd(""),
        timesyncd("Failed to connect to bus: Host is down", code=1),
        timesyncd(mark=reading("synchronized", mtime="x")),
        timesyncd(processes="?"),
    ],
)
def test_timesyncd_says_what_nobody_knows(found) -> None:
    assert found.status is Status.ERROR


def test_another_daemon_keeps_the_time() -> None:
    assert timesyncd(processes="", others=process()).status is Status.NOT_APPLICABLE
    found = [
        program(),
        reading("processes", ""),
        reading("others", process("T")),
    ]
    assert judged("clocks.timesyncd_running", *found).status is Status.FAIL


SINCE_1900 = 2_208_988_800
RV = (
    "associd=0 status=0615 leap_none, sync_ntp, 1 event, clock_sync,\n"
    'version="ntpd 4.2.8p15@1.3728-o", processor="x86_64", leap=00, stratum=3,\n'
    "precision=-24, rootdelay=10.212, rootdisp=22.1, refid=192.0.2.9,\n"
    f"reftime={int(NOW) + SINCE_1900 - 60:08x}.00000000 2026-11-29T12:37:54.000Z, tc=6,\n"
    "offset=-0.270129, frequency=-10.4, sys_jitter=0.39\n"
)
RV_ALONE = """\
associd=0 status=c016 leap_alarm, sync_unspec, 1 event, restart,
leap=11, stratum=16, precision=-24, rootdelay=0.0, rootdisp=0.015,
refid=INIT, reftime=00000000.00000000 2036-02-07T06:28:16.000Z, tc=0, peer=0,
offset=0.0, frequency=0.0, sys_jitter=0.0, clk_jitter=6e-05,
clock=eeb6a142.eb6ca6ee 2026-11-29T13:04:02.919Z, processor="x86_64",
system="Linux/6.1", version="ntpd ntpsec-1.2.2", clk_wander=0.0,
mintc=0
"""


def ntpd(said: str, errors: str = "", code: int = 0, **more: Any) -> Finding:
    variables = reading("variables", said, errors=errors, code=code, **more)
    return judged("clocks.ntpd_tracking", program(), variables)


def test_ntpd_follows_a_source() -> None:
    assert ntpd(RV) == Finding(Status.PASS, 2, "stratum 3, 0.270 ms off")


@pytest.mark.parametrize(
    "found",
    [
        ntpd(RV_ALONE),
        ntpd(RV.replace("stratum=3", "stratum=16")),
        ntpd(RV.replace("leap=00", "leap=11")),
        ntpd(RV.replace("-0.270129", "4000.1")),
        ntpd(re.sub("reftime=.{8}", f"reftime={int(NOW) + SINCE_1900 - 8000:08x}", RV)),
        ntpd("", "***Socket error; probably ntpd is not running\n"),
        ntpd("", "***Request timed out\n"),
        ntpd("", "ntpq: read: Connection refused", code=1),
        ntpd("", "localhost: timed out, nothing received\n***Request timed out"),
        ntpd("", trouble=Trouble.TIMED_OUT),
    ],
)
def test_ntpd_follows_nothing(found) -> None:
    assert found.status is Status.FAIL


@pytest.mark.parametrize(
    "found",
    [
        ntpd(RV.replace("stratum=3", "")),
        ntpd(RV.replace("reftime", "time")),
        ntpd(RV.replace("leap=", "hop=")),
        ntpd(RV.replace("offset=-0.270129", "offset=-.-")),
        ntpd("hello"),
        ntpd("", code=1),
        ntpd("", trouble=Trouble.MISSING),
    ],
)
def test_ntpq_says_what_nobody_knows(found) -> None:
    assert found.status is Status.ERROR


OURS = [kind for kind in KINDS if kind.startswith("clocks.")]


@pytest.mark.parametrize("kind", OURS)
def test_it_is_not_installed(kind) -> None:
    assert judged(kind, missing("program")).status is Status.NOT_APPLICABLE


@pytest.mark.parametrize("kind", [kind for kind in OURS if kind.endswith("_running")])
def test_daemons(kind) -> None:
    others = reading("others", "")
    assert judged(kind, program(), reading("processes", process()), others).status is Status.PASS
    for broken in ("", process("T"), process("Z")):
        found = judged(kind, program(), reading("processes", broken), others)
        assert found.status is Status.FAIL
    assert judged(kind, program(), reading("processes", "x"), others).status is Status.ERROR


@pytest.mark.parametrize("kind", OURS)
@given(
    look=looks_of(
        ("tracking", "sources", "processes", "others", "synchronized", "variables", "timedatectl")
    )
)
def test_nonsense_is_never_a_pass(kind, look) -> None:
    seen = Seen((program(), *look), given_to(kind), NOW, 2)
    assert JUDGES[kind](seen).status is not Status.PASS


def test_a_level_is_never_raised() -> None:
    seen = Seen(
        (program(), reading("processes", process())), given_to("clocks.chrony_running"), NOW, 0
    )
    assert JUDGES["clocks.chrony_running"](seen) == dataclasses.replace(
        Finding(Status.PASS), level=0
    )
