"""What is read of AIDE's leavings, and what is asked of systemd."""

from __future__ import annotations

from pathlib import Path

from hullmark.host.probes.aide import see_database, see_last_run
from hullmark.model.control import Trouble
from tests.unit.host.probes.commands import Blinkered

GIVEN = {
    "paths": ("/db", "/db.gz"),
    "logs": ("/log", "/log.0"),
    "units": ("dailyaidecheck.service", "--version"),
}


def names(root: Path, eye: Blinkered) -> list[str]:
    return [one.name for one in see_last_run(eye, GIVEN)]


def test_the_first_database_that_is_there(tmp_path) -> None:
    eye = Blinkered(tmp_path)
    assert see_database(eye, GIVEN)[1].trouble is Trouble.MISSING
    (tmp_path / "db.gz").write_bytes(b"\x1f\x8b" + b"x" * 5000)
    database = see_database(eye, GIVEN)[1]
    assert (database.source, database.cut) == ("/db.gz", True)
    assert len(database.text) <= 300
    assert eye.ran == []


def test_a_long_log_is_read_at_both_ends(tmp_path) -> None:
    (tmp_path / "log").write_text("begin" + "x" * 200_000 + "end")
    seen = {one.name: one for one in see_last_run(Blinkered(tmp_path), GIVEN)}
    assert seen["log /log"].text.startswith("begin")
    assert seen["end /log"].text.endswith("end")
    assert set(seen) == {"program", "log /log", "end /log"}


def test_systemd_is_asked_where_it_is(tmp_path) -> None:
    eye = Blinkered(tmp_path, {"systemctl": "Id=x"})
    assert names(tmp_path, eye) == ["program"]
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    assert names(tmp_path, eye) == ["program", "uptime", "units"]
    (line,) = eye.ran
    assert line.startswith("systemctl show --property=Id,LoadState,")
    assert line.endswith(" dailyaidecheck.service")


def test_nothing_is_looked_at_where_it_is_not_installed(tmp_path) -> None:
    eye = Blinkered(tmp_path, absent=("aide",))
    assert names(tmp_path, eye) == ["program"]
    assert len(see_database(eye, GIVEN)) == 1
