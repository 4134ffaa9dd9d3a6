"""What is asked of time's daemons, and where."""

from __future__ import annotations

import pytest

from hullmark.core.checks import JUDGES, Seen
from hullmark.host.probes import clocks
from hullmark.model.control import Status, Trouble
from tests.unit.host.probes.commands import Blinkered


def test_chronyc_is_asked_where_the_file_says(tmp_path) -> None:
    eye = Blinkered(tmp_path, {"chronyc": "x"})
    clocks.see_chrony_tracking(eye, {"address": "127.0.0.2", "port": 4})
    assert eye.ran == [
        "chronyc -n -c -h 127.0.0.2 -p 4 tracking",
        "chronyc -n -c -h 127.0.0.2 -p 4 sources",
    ]
    eye = Blinkered(tmp_path, {"chronyc": "x"})
    clocks.see_chrony_tracking(eye, {"address": "", "port": 323})
    assert eye.ran == ["chronyc -n -c tracking", "chronyc -n -c sources"]


def test_sources_are_not_asked_for_where_nobody_answers(tmp_path) -> None:
    eye = Blinkered(tmp_path)
    seen = clocks.see_chrony_tracking(eye, {})
    assert [one.name for one in seen] == ["program", "tracking"]


@pytest.mark.parametrize("kind", [kind for kind in clocks.PROBES if "timesyncd" not in kind])
def test_nothing_is_run_for_what_is_not_installed(kind, tmp_path) -> None:
    eye = Blinkered(tmp_path, absent=("chronyd", "ntpd"))
    (program,) = clocks.PROBES[kind](eye, {})
    assert (program.trouble, eye.ran) == (Trouble.MISSING, [])


def test_timesyncd(tmp_path) -> None:
    kind = "clocks.timesyncd_synchronized"
    says = {"timedatectl show": "NTP=yes\nNTPSynchronized=yes\n"}

    def look() -> Status:
        eye = Blinkered(tmp_path, says)
        given = {"max_age": 7200.0}
        readings = clocks.PROBES[kind](eye, given)
        return JUDGES[kind](Seen(readings, given, eye.wall(), 2)).status

    assert look() is Status.NOT_APPLICABLE
    daemon = tmp_path / "usr/lib/systemd/systemd-timesyncd"
    daemon.parent.mkdir(parents=True)
    daemon.touch()
    process = tmp_path / "proc/40"
    process.mkdir(parents=True)
    assert look() is Status.FAIL
    (process / "comm").write_text("systemd-timesyn\n")
    (process / "status").write_text(
        "Name:\tsystemd-timesyn\nState:\tS (sleeping)\nUid:\t101\t101\t101\t101\n"
    )
    (process / "exe").symlink_to("/usr/lib/systemd/systemd-timesyncd")
    assert look() is Status.FAIL  # it has set no clock
    mark = tmp_path / "run/systemd/timesync/synchronized"
    mark.parent.mkdir(parents=True)
    mark.touch()
    assert look() is Status.PASS
    says["timedatectl show"] = "NTP=yes\nNTPSynchronized=no\n"
    assert look() is Status.FAIL
