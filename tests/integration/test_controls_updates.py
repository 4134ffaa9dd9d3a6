"""Checks of updates against apt itself, with lists, packages and configuration of our own: nothing of the machine's is looked at."""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from email.utils import formatdate
from pathlib import Path

import pytest

from hullmark.core.checks import JUDGES, Seen
from hullmark.host.eye import Eye
from hullmark.host.probes import PROBES
from hullmark.host.probes.updates import UNATTENDED_STAMP
from hullmark.model.checkkinds import KINDS
from hullmark.model.control import Finding, Status

DAY = 86400.0
PACKAGE = """\
Package: hullmark-trial
Version: {}
Architecture: all
Maintainer: nobody <nobody@example.com>
Description: trial
"""


class Host:
    """With one package, and an archive that has another version of it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in ("lists/partial", "periodic"):
            (root / "var/lib/apt" / folder).mkdir(parents=True)
        for folder in ("var/lib/dpkg", "var/cache/apt/archives/partial", "etc/apt/apt.conf.d"):
            (root / folder).mkdir(parents=True)
        self.config = root / "apt.conf"
        self.configure()
        self.packages = root / "var/lib/dpkg/status"
        self.has("1.0")

    def configure(self, *lines: str) -> None:
        own = (f'Dir "{self.root}/";', f'Dir::State::status "{self.root}/var/lib/dpkg/status";')
        self.config.write_text("\n".join([*own, *lines]) + "\n")

    def has(self, version: str) -> None:
        installed = "Status: install ok installed\n" + PACKAGE.format(version)
        self.packages.write_text(installed + "\n")

    def offers(
        self, version: str, label: str = "Debian-Security", suite: str = "-security"
    ) -> None:
        """The archive has that version, and apt has fetched its lists."""
        archive = self.root / f"debian{suite}"
        archive.mkdir(exist_ok=True)
        files = f"Filename: ./trial.deb\nSize: 1\nSHA256: {'0' * 64}\n"
        listed = (PACKAGE.format(version) + files + "\n").encode()
        (archive / "Packages").write_bytes(listed)
        (archive / "Release").write_text(
            f"Origin: Debian\nLabel: {label}\nSuite: stable{suite}\nVersion: 12\n"
            f"Codename: bookworm{suite}\nDate: {formatdate(usegmt=True)}\n"
            f"SHA256:\n {hashlib.sha256(listed).hexdigest()} {len(listed)} Packages\n"
        )
        sources = self.root / "etc/apt/sources.list"
        sources.write_text(f"deb [trusted=yes] file:{archive} ./\n")
        command = ["/usr/bin/apt-get", "-qq", "-c", str(self.config), "update"]
        subprocess.run(command, check=True, capture_output=True)

    def ran(self, ago_s: float = 0.0) -> None:
        stamp = self.root / UNATTENDED_STAMP.lstrip("/")
        stamp.touch()
        os.utime(stamp, (time.time() - ago_s,) * 2)

    def look(self, kind: str = "updates.pending", **changed: object) -> Finding:
        given = {name: one.default for name, one in KINDS[kind].parameters.items()}
        given.update(changed, config=str(self.config))
        readings = PROBES[kind](Eye(root=str(self.root), timeout_s=30), given)
        return JUDGES[kind](Seen(readings, given, time.time(), KINDS[kind].level))


@pytest.fixture
def host(tmp_path) -> Host:
    return Host(tmp_path)


def test_a_security_update(host) -> None:
    host.offers("1.0")
    assert host.look() == Finding(Status.PASS, 2, "none is pending")
    host.offers("1.1")
    host.ran(ago_s=60)
    found = host.look()
    assert found.reason == "1 security updates are pending (hullmark-trial)"
    assert found.status is Status.PASS
    host.ran()
    found = host.look()
    assert (found.status, "left them behind" in found.reason) == (Status.FAIL, True)
    host.has("1.1")
    assert host.look().status is Status.PASS


def test_one_that_waits_where_no_tool_installs(host) -> None:
    host.offers("1.1")
    assert host.look().status is Status.PASS
    os.utime(host.packages, (time.time() - 31 * DAY,) * 2)
    assert "no package has changed for 31 d" in host.look().reason


def test_an_update_that_is_not_for_security(host) -> None:
    host.offers("1.1", label="Debian", suite="-updates")
    assert host.look().reason == "apt has no list of an archive that is called security"
    assert "1 security updates" in host.look(source="updates").reason


def test_lists_that_are_old(host) -> None:
    host.offers("1.0")
    for path in ("lists", "lists/partial"):
        os.utime(host.root / "var/lib/apt" / path, (time.time() - 4 * DAY,) * 2)
    assert "the list of packages is 4 d old" in host.look().reason


def test_a_configuration_that_is_none(host) -> None:
    host.offers("1.0")
    host.configure("what is this {")
    assert host.look().status is Status.ERROR


def test_nothing_is_written(host) -> None:
    host.offers("1.1")
    before = _state(host.root)
    host.look()
    assert _state(host.root) == before
    host.configure('APT::Get::Simulate "false";', 'APT::Get::Assume-Yes "true";')
    before = _state(host.root)
    assert "are pending" in host.look().reason
    assert _state(host.root) == before


def test_what_unattended_upgrades_is_told(host) -> None:
    kind = "updates.unattended"
    on = ('APT::Periodic::Update-Package-Lists "1";', 'APT::Periodic::Unattended-Upgrade "1";')
    origin = 'Unattended-Upgrade::Origins-Pattern:: "origin=Debian,label=Debian-Security";'
    host.configure(*on, origin)
    assert host.look(kind) == Finding(Status.PASS, 0)
    host.configure(*on, origin, 'APT::Periodic::Enable "0";')
    assert "switched off" in host.look(kind).reason
    host.configure(*on, 'APT::Periodic::Unattended-Upgrade "0";', origin)
    assert host.look(kind).status is Status.FAIL
    host.configure(*on, "#clear Unattended-Upgrade;")
    assert host.look(kind).reason == "unattended-upgrades is told of no origin: it installs nothing"
    host.configure("what is this {")
    assert host.look(kind).status is Status.ERROR


def _state(root: Path) -> dict[str, float]:
    return {str(path): path.stat().st_mtime for path in root.rglob("*")}
