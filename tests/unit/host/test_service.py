"""How the service that the packages installed is started, on a host of any init."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import pytest

from hullmark.errors import Refused
from hullmark.host import service
from hullmark.host.service import Service, start, stop


class Host:
    """A host's root folder, and what its commands answer: exit codes by the command's last but one and last words."""

    def __init__(self, root: Path, *, runs: bool = False, starts: int = 0) -> None:
        self.root = root
        self.runs = runs
        self.starts = starts
        self.lines: list[list[str]] = []

    def with_systemd(self) -> Host:
        (self.root / "run/systemd/system").mkdir(parents=True)
        return self

    def with_script(self, name: str) -> Host:
        (self.root / "etc/init.d").mkdir(parents=True)
        (self.root / "etc/init.d" / name).write_text("#!/bin/sh\n")
        return self

    def run(self, line: Sequence[str]) -> tuple[int, str]:
        self.lines.append(list(line))
        if "start" in line:
            return self.starts, "Job failed.\nSee the journal.\n" if self.starts else ""
        return (0 if self.runs else 3), ""


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "launcher", lambda daemon: Path("/usr/share/hullmark") / daemon)
    monkeypatch.setattr(os, "geteuid", lambda: 0)


@pytest.mark.usefixtures("installed")
def test_systemd_starts_it(tmp_path: Path) -> None:
    host = Host(tmp_path).with_systemd().with_script("hullmark-agent")
    assert start("agentd", tmp_path, host.run) is Service.STARTED
    assert host.lines == [
        ["systemctl", "is-active", "--quiet", "hullmark-agent"],
        ["systemctl", "start", "hullmark-agent"],
    ]


@pytest.mark.usefixtures("installed")
def test_without_systemd_its_script_does(tmp_path: Path) -> None:
    host = Host(tmp_path).with_script("hullmark-master")
    assert start("masterd", tmp_path, host.run) is Service.STARTED
    script = str(tmp_path / "etc/init.d/hullmark-master")
    assert host.lines == [[script, "status"], [script, "start"]]


@pytest.mark.usefixtures("installed")
def test_one_that_runs_is_left_alone(tmp_path: Path) -> None:
    host = Host(tmp_path, runs=True).with_systemd()
    assert start("agentd", tmp_path, host.run) is Service.RUNNING
    assert len(host.lines) == 1


@pytest.mark.usefixtures("installed")
def test_one_that_does_not_start_is_told_with_where_to_look(tmp_path: Path) -> None:
    host = Host(tmp_path, starts=1).with_systemd()
    with pytest.raises(Refused, match=r"does not start: Job failed\. See the journal\.") as caught:
        start("agentd", tmp_path, host.run)
    assert "journalctl -u hullmark-agent" in caught.value.remedy


@pytest.mark.usefixtures("installed")
def test_a_command_that_is_missing_is_told(tmp_path: Path) -> None:
    def run(_line: Sequence[str]) -> tuple[int, str]:
        raise FileNotFoundError(2, "No such file or directory", "systemctl")

    Host(tmp_path).with_systemd()
    with pytest.raises(Refused, match="was not started"):
        start("agentd", tmp_path, run)


@pytest.mark.parametrize(
    ("launcher", "user"), [(None, 0), (Path("/usr/share/hullmark/agentd"), 1000)]
)
def test_nothing_is_started_from_a_clone_or_for_a_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, launcher: Optional[Path], user: int
) -> None:
    monkeypatch.setattr(service, "launcher", lambda daemon: launcher)
    monkeypatch.setattr(os, "geteuid", lambda: user)
    host = Host(tmp_path).with_systemd()
    assert start("agentd", tmp_path, host.run) is Service.NOT_INSTALLED
    assert host.lines == []


@pytest.mark.usefixtures("installed")
def test_a_host_without_a_service_manager_starts_nothing(tmp_path: Path) -> None:
    assert start("agentd", tmp_path, Host(tmp_path).run) is Service.NOT_INSTALLED


@pytest.mark.usefixtures("installed")
def test_it_is_stopped_by_what_started_it(tmp_path: Path) -> None:
    host = Host(tmp_path, runs=True).with_script("hullmark-agent")
    stop("agentd", tmp_path, host.run)
    host.with_systemd()
    stop("agentd", tmp_path, host.run)
    assert host.lines == [
        [str(tmp_path / "etc/init.d/hullmark-agent"), "stop"],
        ["systemctl", "stop", "hullmark-agent"],
    ]


@pytest.mark.usefixtures("installed")
def test_one_that_does_not_stop_is_told_of(tmp_path: Path) -> None:
    host = Host(tmp_path, runs=False).with_systemd()
    with pytest.raises(Refused, match="hullmark-agent does not stop: exit code 3"):
        stop("agentd", tmp_path, host.run)


def test_a_clone_has_no_service_to_stop(tmp_path: Path) -> None:
    host = Host(tmp_path).with_systemd()
    stop("agentd", tmp_path, host.run)
    assert host.lines == []
