"""Checks of ClamAV against clamd itself, with small signatures of our own: some that know the EICAR test file, some that don't."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import os
import signal
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hullmark.core.checks import JUDGES, Seen
from hullmark.host.eye import Eye
from hullmark.host.probes import PROBES
from hullmark.host.probes.clamav import Canary, eicar_file
from hullmark.model.checkkinds import KINDS
from hullmark.model.control import Finding, Status
from tests.integration.toolprocess import started, state, stopped, wait_for

DAY = 86400.0
KNOWN = f"{hashlib.md5(eicar_file()).hexdigest()}:68:Eicar\n"
OTHER = "00112233445566778899aabbccddeeff:68:Other\n"


class Clamd:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.signatures = folder / "signatures"
        self.signatures.mkdir()
        self.config = folder / "clamd.conf"
        self.socket = folder / "clamd.sock"
        self.canary = Canary()
        self.config.write_text(
            f"LocalSocket {self.socket}\nDatabaseDirectory {self.signatures}\nPidFile {folder}/pid\n"
            f"LogFile {folder}/clamd.log\nForeground yes\nUser root\nSelfCheck 0\n"
        )

    @contextlib.contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        command = ["/usr/sbin/clamd", f"--config-file={self.config}"]
        with started(command, self.folder / "output") as process:
            wait_for(self.socket.exists, bool)
            yield process

    def look(self, kind: str, **changed: object) -> Finding:
        given = {name: one.default for name, one in KINDS[kind].parameters.items()}
        given.update(changed)
        if "configs" in given:
            given["configs"] = (str(self.config),)
        probe = self.canary if kind == "clamav.eicar" else PROBES[kind]
        readings = probe(Eye(timeout_s=KINDS[kind].timeout_s), given)
        return JUDGES[kind](Seen(readings, given, time.time(), KINDS[kind].level))

    def load(self, name: str, content: str) -> None:
        for path in self.signatures.iterdir():
            path.unlink()
        (self.signatures / name).write_text(content)

    def found(self) -> int:
        """How often the test file was found, by clamd's own log."""
        return (self.folder / "clamd.log").read_text().count("instream(local): Eicar")


@pytest.fixture
def clamd(tmp_path) -> Clamd:
    return Clamd(tmp_path)


def test_a_scanner_that_finds_and_one_that_does_not(clamd) -> None:
    """The daemon runs and answers all the time: only what it has loaded differs."""
    clamd.load("known.hdb", KNOWN)
    with clamd.running():
        found = clamd.look("clamav.eicar")
        assert (found.status, found.level) == (Status.PASS, 3)
        assert found.reason == "found Eicar.UNOFFICIAL"
        assert clamd.look("clamav.eicar").status is Status.PASS
        assert clamd.found() == 1
        clamd.load("other.hdb", OTHER)
        reload(clamd)
        found = wait_for(
            lambda: clamd.look("clamav.eicar"), lambda found: found.status is Status.FAIL
        )
        assert found.reason == "clamd takes the EICAR test file for clean"
        assert clamd.look("clamav.daemon") == Finding(Status.PASS, 1)
        clamd.load("known.hdb", KNOWN)
        reload(clamd)
        wait_for(lambda: clamd.look("clamav.eicar"), lambda found: found.status is Status.PASS)


def test_no_dated_signatures(clamd) -> None:
    clamd.load("known.hdb", KNOWN)
    with clamd.running():
        assert clamd.look("clamav.signatures").reason == "clamd has no daily signatures loaded"


def test_the_age_of_signatures(clamd, monkeypatch) -> None:
    monkeypatch.setattr("hullmark.host.probes.clamav.ANSWER_S", 2.0)
    daily(clamd.signatures, time.time() - 2 * DAY)
    with clamd.running() as process:
        found = clamd.look("clamav.signatures")
        assert (found.status, found.level) == (Status.PASS, 2)
        assert "signatures 27100" in found.reason
        assert clamd.look("clamav.signatures", max_age=DAY).status is Status.FAIL
        with stopped(process.pid):
            assert clamd.look("clamav.daemon").status is Status.FAIL
            kind = KINDS["clamav.signatures"]
            assert kind.interval_s + kind.timeout_s <= 60
            found = clamd.look("clamav.signatures")
            assert (found.status, found.reason) == (Status.FAIL, "clamd: VERSION: no answer")
    assert clamd.look("clamav.signatures").reason == "clamd: VERSION: there is no socket"
    assert clamd.look("clamav.eicar").status is Status.FAIL
    assert clamd.look("clamav.daemon").status is Status.FAIL


def test_a_socket_that_a_killed_one_left(clamd) -> None:
    clamd.load("known.hdb", KNOWN)
    with clamd.running() as process:
        process.kill()
        process.wait()
        found = clamd.look("clamav.eicar")
        assert (found.status, "Connection refused" in found.reason) == (Status.FAIL, True)


def test_freshclam(tmp_path) -> None:
    """It runs without a mirror that could be reached: its process is what is looked at."""
    config = tmp_path / "freshclam.conf"
    config.write_text(
        f"DatabaseDirectory {tmp_path}\nDatabaseMirror 127.0.0.1\nDNSDatabaseInfo no\nChecks 1\n"
        f"DatabaseOwner root\nUpdateLogFile {tmp_path}/freshclam.log\nForeground yes\nMaxAttempts 1\n"
    )
    command = ["/usr/bin/freshclam", "-d", "-F", f"--config-file={config}"]
    kind = "clamav.updater"

    def look() -> Finding:
        return JUDGES[kind](Seen(PROBES[kind](Eye(), {}), {}, time.time(), KINDS[kind].level))

    with started(command, tmp_path / "output") as process:
        wait_for(look, lambda found: found == Finding(Status.PASS, 1))
        with stopped(process.pid):
            assert look().status is Status.FAIL
        process.kill()
        wait_for(lambda: state(process.pid), lambda found: found == "Z")
        assert "is a zombie" in look().reason


def reload(clamd: Clamd) -> None:
    """As freshclam has it done after new signatures."""
    seen = (clamd.folder / "clamd.log").read_text().count("correctly reloaded")
    pid = int((clamd.folder / "pid").read_text())
    os.kill(pid, signal.SIGUSR2)
    wait_for(
        lambda: (clamd.folder / "clamd.log").read_text().count("correctly reloaded"),
        lambda count: count > seen,
    )


def daily(folder: Path, at: float, signatures: str = KNOWN) -> None:
    """The daily signatures, unsigned, made `at`."""
    made = time.strftime("%d %b %Y %H-%M +0000", time.gmtime(at))
    known = signatures.encode()
    lines = f"ClamAV-VDB:{made}:27100:1:90:X:X:test:{int(at)}\n"
    lines += f"daily.hdb:{len(known)}:{hashlib.sha256(known).hexdigest()}\n"
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        files = {"COPYING": b"none\n", "daily.info": lines.encode(), "daily.hdb": known}
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    body = gzip.compress(packed.getvalue())
    digest = hashlib.md5(body).hexdigest()
    head = f"ClamAV-VDB:{made}:27100:1:90:{digest}:none:test:{int(at)}"
    (folder / "daily.cud").write_bytes(head.ljust(512).encode() + body)
