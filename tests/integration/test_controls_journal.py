"""Checks of the journal against systemd-journald itself, in folders of its own that only this process and its children see: well,
stopped, told to keep nothing, and throwing away what a service logs. Its unit is a control group that the test makes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from hullmark.core.checks import JUDGES, Seen
from hullmark.host.eye import Eye
from hullmark.host.probes import PROBES
from hullmark.model.checkkinds import KINDS
from hullmark.model.control import Finding, Status
from tests.cluster import wait_until
from tests.integration.toolprocess import started

FOLDERS = ("/run/systemd", "/run/log", "/var/log/journal")
CONFIGURATION = Path("/etc/systemd/journald.conf")
SOCKET = Path("/run/systemd/journal/socket")
BURST = 20
# Audit is left as it is: the kernel has one audit stream, and others may be at it.
SETTINGS = f"""[Journal]
Storage=persistent
RateLimitIntervalSec=2s
RateLimitBurst={BURST}
ReadKMsg=no
Audit=
ForwardToSyslog=no
SystemMaxUse=64M
"""
FLOOD = """
import os, socket, sys, time
open(sys.argv[1] + "/cgroup.procs", "w").write(str(os.getpid()))
journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
say = lambda text: journal.sendto(b"MESSAGE=" + text + b"\\nPRIORITY=5\\n", "/run/systemd/journal/socket")
for _ in range(300):
    say(b"flood")
time.sleep(2.5)
say(b"after the flood")
"""


def look(kind: str, **changed: Any) -> Finding:
    given = {name: one.default for name, one in KINDS[kind].parameters.items()}
    given.update(changed)
    readings = PROBES[kind](Eye(timeout_s=KINDS[kind].timeout_s), given)
    return JUDGES[kind](Seen(readings, given, time.time(), KINDS[kind].level))


def mount(*words: object) -> None:
    subprocess.run(["mount", *map(str, words)], check=True)


def unmount(path: Path) -> None:
    subprocess.run(["umount", "--lazy", path], check=True)


@contextlib.contextmanager
def own_folders(configuration: Path) -> Iterator[None]:
    """Nothing of the machine's own journal is touched: what it would write is on file systems of ours."""
    made: list[Path] = []
    with contextlib.ExitStack() as stack:
        for folder in map(Path, FOLDERS):
            if not folder.is_dir():
                folder.mkdir(parents=True)
                made.append(folder)
            mount("-t", "tmpfs", "-o", "size=100m", "tmpfs", folder)
            stack.callback(unmount, folder)
        mount("--bind", configuration, CONFIGURATION)
        stack.callback(unmount, CONFIGURATION)
        yield
    for folder in made:
        folder.rmdir()


@contextlib.contextmanager
def running(folder: Path, settings: str) -> Iterator[subprocess.Popen[bytes]]:
    (folder / "journald.conf").write_text(settings)
    with own_folders(folder / "journald.conf"):
        Path("/run/systemd/system").mkdir()
        SOCKET.parent.mkdir()
        # It keeps all on the disk from its beginning, as after `journalctl --flush`.
        (SOCKET.parent / "flushed").touch()
        with started(["/lib/systemd/systemd-journald"], folder / "out") as process:
            wait_until(SOCKET.exists, "journald listens")
            yield process


@pytest.fixture(scope="module")
def journald(tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[bytes]]:
    with running(tmp_path_factory.mktemp("journald"), SETTINGS) as process:
        yield process


def entries(*words: str) -> Sequence[str]:
    command = ["journalctl", "--quiet", "--output=cat", *words]
    told = subprocess.run(command, check=True, capture_output=True, text=True, timeout=10)
    return told.stdout.splitlines()


def test_a_host_without_systemd() -> None:
    """Before any journald of ours is there."""
    if Path("/run/systemd/system").exists():
        pytest.skip("this machine was booted by systemd")
    assert look("journal.canary").status is Status.NOT_APPLICABLE


def test_one_that_is_well(journald: subprocess.Popen[bytes]) -> None:
    assert look("journal.daemon") == Finding(Status.PASS, 1)
    assert look("journal.canary") == Finding(Status.PASS, 3, "read back by journalctl")
    assert look("journal.suppressed") == Finding(Status.PASS, 2)
    assert look("journal.persistent", or_syslog=False) == Finding(Status.PASS, 1)
    assert look("journal.space", least_free_mib=10).status is Status.PASS


def test_too_little_room(journald: subprocess.Popen[bytes]) -> None:
    assert "more than 1" in look("journal.space", most_mib=1).reason
    assert "are free" in look("journal.space", least_free_mib=101).reason


def test_one_that_is_stopped(journald: subprocess.Popen[bytes]) -> None:
    """systemctl would still say that it is active."""
    journald.send_signal(signal.SIGSTOP)
    try:
        wait_until(lambda: look("journal.daemon").status is Status.FAIL, "it is seen")
        found = look("journal.canary", within=0.3)
        assert found.reason.endswith(f"process {journald.pid} is stopped by a signal")
    finally:
        journald.send_signal(signal.SIGCONT)
    assert look("journal.canary").status is Status.PASS


def test_what_a_service_logged_is_thrown_away(journald: subprocess.Popen[bytes]) -> None:
    """journald runs, its own canary passes, and most of what the service said is gone."""
    with own_group() as group:
        subprocess.run([sys.executable, "-c", FLOOD, str(group)], check=True, timeout=30)
    found = look("journal.suppressed")
    assert found.status is Status.FAIL
    assert f"messages from {group.name}" in found.reason
    assert len(entries("MESSAGE=flood")) < 300, "the fault took no effect"
    assert look("journal.daemon").status is Status.PASS
    assert look("journal.canary").status is Status.PASS
    wait_until(lambda: look("journal.suppressed", window=1.0).status is Status.PASS, "it is over")


def test_what_the_agent_itself_logs_is_thrown_away(journald: subprocess.Popen[bytes]) -> None:
    script = (
        "import sys\nfrom tests.integration.test_controls_journal import look\n"
        "exec(sys.argv[2])\nprint(look('journal.canary', within=0.5).reason)"
    )
    flood = FLOOD.partition("time.sleep")[0]
    with own_group() as group:
        told = subprocess.run(
            [sys.executable, "-c", script, str(group), flood],
            check=True,
            capture_output=True,
            text=True,
            timeout=30,
            cwd=Path(__file__).resolve().parents[2],
        ).stdout
    assert "it may be held back by the rate limit of the agent's own service" in told
    assert look("journal.canary").status is Status.PASS, "of another service it comes through"


@contextlib.contextmanager
def own_group() -> Iterator[Path]:
    """As systemd has them for its services."""
    unified = [
        line.split()[1]
        for line in Path("/proc/mounts").read_text().splitlines()
        if " cgroup2 " in line
    ]
    root = Path(unified[0] if unified else "/sys/fs/cgroup/systemd")
    group = root / "system.slice" / f"hullmark-test-{os.getpid()}.service"
    is_new = not group.parent.exists()
    group.mkdir(parents=True)
    try:
        yield group
    finally:
        wait_until(lambda: not (group / "cgroup.procs").read_text(), "nothing is left in it")
        group.rmdir()
        if is_new:
            group.parent.rmdir()


def test_one_that_was_killed(journald: subprocess.Popen[bytes]) -> None:
    """The last of its tests: it stays dead."""
    journald.kill()
    journald.wait()
    for kind in ("journal.daemon", "journal.canary"):
        found = look(kind)
        assert found == Finding(Status.FAIL, reason="no process of systemd-journald runs")


def test_one_that_keeps_nothing(tmp_path: Path) -> None:
    with running(tmp_path, SETTINGS.replace("persistent", "none")):
        assert look("journal.daemon").status is Status.PASS
        found = look("journal.canary", within=1.0)
        assert found.reason == "journald runs, but keeps nothing: Storage=none in its configuration"
        assert not entries()


def test_one_that_keeps_all_in_memory(tmp_path: Path) -> None:
    with running(tmp_path, SETTINGS.replace("persistent", "volatile")):
        assert look("journal.canary").status is Status.PASS
        found = look("journal.persistent", or_syslog=False)
        assert found.reason == "the journal is not kept on the disk: Storage=volatile"
