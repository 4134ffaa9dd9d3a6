"""Checks of fail2ban against a server of our own, whose only action writes to its own log: nobody is banned."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hullmark.core.checks import JUDGES, Seen
from hullmark.host.eye import Eye
from hullmark.host.probes import PROBES
from hullmark.model.checkkinds import KINDS
from hullmark.model.control import Finding, Status
from tests.integration.toolprocess import started, stopped, wait_for

SERVER = "/usr/bin/fail2ban-server"


class Fail2ban:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.etc = folder / "etc"
        shutil.copytree("/etc/fail2ban", self.etc)
        for path in (self.etc / "jail.d").iterdir():
            path.unlink()
        self.log = folder / "auth.log"
        self.log.touch()
        self.socket = folder / "fail2ban.sock"
        (self.etc / "fail2ban.local").write_text(
            f"[Definition]\nlogtarget = {folder}/fail2ban.log\nsocket = {self.socket}\n"
            f"pidfile = {folder}/fail2ban.pid\ndbfile = None\n"
        )

    def configure(self, jail: str = "sshd") -> None:
        (self.etc / "jail.local").write_text(
            f"[DEFAULT]\nbanaction = dummy\n[{jail}]\nenabled = true\nbackend = polling\n"
            f"logpath = {self.log}\n"
        )

    @property
    def command(self) -> list[str]:
        return ["/usr/bin/python3", SERVER, "-f", "-c", str(self.etc), "-s", str(self.socket)]

    def look(self, kind: str, **changed: object) -> Finding:
        given = {name: one.default for name, one in KINDS[kind].parameters.items()}
        given.update(changed, socket=str(self.socket))
        readings = PROBES[kind](Eye(timeout_s=KINDS[kind].timeout_s), given)
        return JUDGES[kind](Seen(readings, given, time.time(), KINDS[kind].level))


@pytest.fixture
def fail2ban(tmp_path) -> Iterator[Fail2ban]:
    one = Fail2ban(tmp_path)
    yield one
    log = tmp_path / "fail2ban.log"
    assert not log.exists() or " Ban " not in log.read_text()


def test_a_jail_and_its_log(fail2ban, monkeypatch) -> None:
    monkeypatch.setattr("hullmark.host.fail2banserver.ANSWER_S", 3.0)
    fail2ban.configure()
    with started(fail2ban.command, fail2ban.folder / "output") as process:
        found = wait_for(
            lambda: fail2ban.look("fail2ban.jails"), lambda found: found.status is Status.PASS
        )
        assert (found.level, found.reason) == (2, "jails: sshd")
        assert fail2ban.look("fail2ban.daemon") == Finding(Status.PASS, 1)
        assert fail2ban.look("fail2ban.jails", jails=("recidive",)).status is Status.FAIL

        fail2ban.log.unlink()
        found = fail2ban.look("fail2ban.jails")
        assert (found.status, "which is not there" in found.reason) == (Status.FAIL, True)
        fail2ban.log.touch()

        assert fail2ban.look("fail2ban.filter") == Finding(
            Status.PASS, 2, "the filter sshd finds the address"
        )
        assert fail2ban.look("fail2ban.filter", jail="nginx").status is Status.NOT_APPLICABLE
        broken = fail2ban.etc / "filter.d" / "broken.conf"
        sshd = (fail2ban.etc / "filter.d" / "sshd.conf").read_text()
        broken.write_text(re.sub(r"\bFailed\b", "Fehlgeschlagen", sshd))
        assert fail2ban.look("fail2ban.filter", filter=str(broken)).status is Status.FAIL
        assert fail2ban.look("fail2ban.filter", filter="/no/filter.conf").status is Status.ERROR

        with stopped(process.pid):
            assert fail2ban.look("fail2ban.daemon").status is Status.FAIL
            assert fail2ban.look("fail2ban.jails").reason.endswith("ping: no answer")
    assert fail2ban.look("fail2ban.daemon").status is Status.FAIL
    found = fail2ban.look("fail2ban.jails")
    assert (found.status, "can't be reached" in found.reason) == (Status.FAIL, True)
    assert fail2ban.look("fail2ban.filter").status is Status.ERROR


def test_no_jail(fail2ban) -> None:
    (fail2ban.etc / "jail.local").write_text("[DEFAULT]\nenabled = false\n")
    with started(fail2ban.command, fail2ban.folder / "output"):
        found = wait_for(
            lambda: fail2ban.look("fail2ban.jails"), lambda found: "no jail" in found.reason
        )
        assert found.status is Status.FAIL
        assert fail2ban.look("fail2ban.daemon").status is Status.PASS
