"""Which files are looked at, where no program is needed for it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hullmark.core.checks import JUDGES, Seen
from hullmark.host.eye import Eye
from hullmark.host.probes import updates
from hullmark.model.control import Finding, Status

NOW = 1_000_000_000.0


class Host:
    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "bin").mkdir()

    def file(self, path: str, text: str = "") -> Path:
        found = self.root / path.lstrip("/")
        found.parent.mkdir(parents=True, exist_ok=True)
        found.write_text(text)
        return found

    def look(self, kind: str) -> Finding:
        eye = Eye(root=str(self.root), folders=[str(self.root / "bin")])
        readings = updates.PROBES[kind](eye, {})
        given = {"max_age": 7 * 86400, "max_list_age": 3 * 86400}
        return JUDGES[kind](Seen(readings, given, eye.wall(), 2))


@pytest.fixture
def host(tmp_path) -> Host:
    return Host(tmp_path)


def test_a_restart(host) -> None:
    assert host.look("updates.reboot").status is Status.NOT_APPLICABLE
    host.file(updates.REBOOT_TELLERS[0])
    assert host.look("updates.reboot").status is Status.PASS
    wish = host.file("/run/reboot-required", "*** System restart required ***\n")
    assert "wished for" in host.look("updates.reboot").reason
    _age(wish)
    assert host.look("updates.reboot").status is Status.FAIL


def test_the_last_run(host) -> None:
    host.file("/bin/unattended-upgrade").chmod(0o755)
    (host.root / "var/lib/apt/lists/partial").mkdir(parents=True)
    assert "never" in host.look("updates.last_run").reason
    stamp = host.file(updates.UNATTENDED_STAMP)
    assert host.look("updates.last_run").status is Status.PASS
    _age(stamp)
    assert host.look("updates.last_run").status is Status.FAIL


def test_dnf_automatic(host) -> None:
    assert host.look("updates.dnf_automatic").status is Status.NOT_APPLICABLE
    host.file("/bin/dnf-automatic").chmod(0o755)
    assert "no timer" in host.look("updates.dnf_automatic").reason
    host.file("/etc/systemd/system/timers.target.wants/dnf-automatic.timer")
    assert host.look("updates.dnf_automatic").status is Status.FAIL
    config = host.file("/etc/dnf/automatic.conf", "[commands]\napply_updates = no\n")
    assert "apply_updates is off" in host.look("updates.dnf_automatic").reason
    config.write_text("[commands]\napply_updates = yes\n")
    assert host.look("updates.dnf_automatic").status is Status.PASS


def _age(path: Path) -> None:
    os.utime(path, (NOW, NOW))
