"""Which command line becomes a daemon: the packages' launcher, or the module of a clone."""

from __future__ import annotations

import importlib.util
import os
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Optional

import pytest

from hullmark import launchers
from hullmark.cli import daemon
from hullmark.errors import Refused


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The packages' private folder, with the agent's launcher in it."""
    monkeypatch.setattr(launchers, "__file__", str(tmp_path / "hullmark" / "launchers.py"))
    launcher = tmp_path / "agentd"
    launcher.write_text("#!/bin/false\n")
    return launcher


def test_the_launcher_is_started_where_there_is_one(installed: Path) -> None:
    assert daemon.command_line("agentd", ["run", "--config", "a"]) == [
        str(installed),
        "run",
        "--config",
        "a",
    ]


def test_a_clone_starts_its_own_module() -> None:
    line = daemon.command_line("agentd", ["run"])
    assert line[-3:] == ["-m", "hullmark.agentd", "run"]


@pytest.mark.parametrize(
    "left",
    [None, ModuleSpec("hullmark.masterd", None, is_package=True)],
    ids=["nothing", "an empty folder"],
)
def test_a_package_that_is_missing_is_named(
    installed: Path, monkeypatch: pytest.MonkeyPatch, left: Optional[ModuleSpec]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", {"hullmark.masterd": left}.__getitem__)
    with pytest.raises(Refused) as caught:
        daemon.become("masterd", ["run"])
    assert caught.value.message == "hullmark-master is not installed on this host"
    assert "apt-get install hullmark-master" in caught.value.remedy
    assert "dnf install hullmark-master" in caught.value.remedy


def test_a_launcher_that_does_not_start_is_named(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_path: str, _line: list[str]) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "execv", refuse)
    with pytest.raises(Refused, match="agentd can't be started: Permission denied"):
        daemon.become("agentd", ["run"])


@pytest.mark.usefixtures("installed")
def test_where_packages_are_installed_their_service_is_advised() -> None:
    """Also of the other daemon, whose package is on another host."""
    for name in ("agent", "master"):
        advised = launchers.start_command(f"{name}d")
        assert advised.startswith(f"systemctl start hullmark-{name}, or: service hullmark-{name}")
        assert f"journalctl -u hullmark-{name}" in advised


def test_in_a_clone_the_daemon_itself_is_advised() -> None:
    assert launchers.start_command("agentd") == "hullmark agent run"
    assert launchers.start_command("masterd") == "hullmark master run"
