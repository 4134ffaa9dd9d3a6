"""Checks of the audit trail against auditd itself, on this machine's kernel: well, stopped, suspended by a full disk, and silenced
by rules. The kernel has one audit stream, so one such run at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hullmark.core.checks import JUDGES, Seen
from hullmark.host.eye import Eye
from hullmark.host.probes import PROBES
from hullmark.model import canary
from hullmark.model.checkkinds import KINDS
from hullmark.model.control import Finding, Reading, Status
from tests.cluster import wait_until
from tests.integration.toolprocess import started

CHECKOUT = Path(__file__).resolve().parents[2]
LOCK = Path("/tmp/hullmark-auditd.lock")
WATCH = ("-w", "/etc/hullmark-test-shadow", "-p", "wa", "-k", "hullmark-test")
# Of 6 MiB in all: below 2 it suspends writing.
SETTINGS = {"space_left": "3", "admin_space_left": "2", "max_log_file": "1", "flush": "NONE"}


def look(kind: str, before: tuple[Reading, ...] = (), **changed: Any) -> Finding:
    given = {name: one.default for name, one in KINDS[kind].parameters.items()}
    given.update(changed)
    readings = PROBES[kind](Eye(timeout_s=KINDS[kind].timeout_s), given)
    return JUDGES[kind](Seen(readings, given, time.time(), KINDS[kind].level, before))


def auditctl(*words: str) -> str:
    return subprocess.run(
        ["auditctl", *words], check=True, capture_output=True, text=True, timeout=10
    ).stdout


class Auditd:
    """One that writes to a small file system of its own."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.folder = folder
        self.process = process
        self.log = folder / "log" / "audit.log"

    def trail(self, within: float = 1.0) -> Finding:
        return look(
            "audittrail.canary", configuration=str(self.folder / "auditd.conf"), within=within
        )

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        self.process.send_signal(signal.SIGSTOP)
        try:
            wait_until(lambda: state(self.process.pid) == "T", "auditd is stopped")
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.fixture(scope="module")
def alone() -> Iterator[None]:
    with LOCK.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = auditctl("-s")
        if re.search(r"^pid [1-9]", before, re.MULTILINE):
            pytest.fail("an auditd runs on this machine: the kernel has one audit stream")
        yield
        auditctl("-e", "1" if "enabled 1" in before else "0")
        auditctl("--reset-lost")


@pytest.fixture(scope="module")
def auditd(alone: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Auditd]:
    folder = tmp_path_factory.mktemp("auditd")
    log = folder / "log"
    log.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", log], check=True)
    lines = []
    for line in Path("/etc/audit/auditd.conf").read_text().splitlines():
        key = line.partition("=")[0].strip()
        lines.append(f"{key} = {SETTINGS[key]}" if key in SETTINGS else line)
    text = "\n".join(lines).replace("/var/log/audit/audit.log", f"{log}/audit.log")
    configuration = folder / "auditd.conf"
    configuration.write_text(text + "\n")
    configuration.chmod(0o640)
    try:
        with started(["/usr/sbin/auditd", "-n", "-c", str(folder)], folder / "out") as process:
            one = Auditd(folder, process)
            wait_until(lambda: f"pid {process.pid}" in auditctl("-s"), "auditd takes records")
            auditctl("-e", "1")
            auditctl(*WATCH)
            yield one
    finally:
        auditctl("-D")
        subprocess.run(["umount", log], check=True)


def test_one_that_is_well(auditd: Auditd) -> None:
    assert look("audittrail.daemon") == Finding(Status.PASS, 1)
    kernel = look("audittrail.kernel")
    assert (kernel.status, kernel.level) == (Status.PASS, 2), kernel
    assert look("audittrail.rules", keys=("hullmark-test",)).status is Status.PASS
    assert auditd.trail() == Finding(Status.PASS, 3, f"seen in {auditd.log}")
    assert canary.find(auditd.log.read_text())


def test_across_its_rotation(auditd: Auditd) -> None:
    auditd.process.send_signal(signal.SIGUSR1)
    wait_until(lambda: Path(f"{auditd.log}.1").exists(), "the log is rotated")
    assert auditd.trail().status is Status.PASS


def test_one_that_is_stopped(auditd: Auditd) -> None:
    with auditd.stopped():
        for found in (look("audittrail.daemon"), look("audittrail.kernel"), auditd.trail()):
            assert found.status is Status.FAIL
            assert f"process {auditd.process.pid} is stopped by a signal" in found.reason
    wait_until(lambda: auditd.trail().status is Status.PASS, "it passes again")


def test_one_that_a_full_disk_suspended(auditd: Auditd) -> None:
    """It runs, the kernel gives it all records, and none of them is written."""
    filling = auditd.log.parent / "filling"
    with contextlib.suppress(OSError), filling.open("wb") as file:
        file.write(bytes(16 << 20))
    try:
        wait_until(lambda: auditd.trail(0.2).status is Status.FAIL, "it is suspended")
        size = auditd.log.stat().st_size
        found = auditd.trail()
        assert "0 MiB are free" in found.reason
        assert "suspended writing" in found.reason
        assert auditd.log.stat().st_size == size, "the fault took no effect"
        assert look("audittrail.daemon").status is Status.PASS, "nothing else tells it"
        assert look("audittrail.kernel").status is Status.PASS
    finally:
        filling.unlink(missing_ok=True)
    assert "though its disk has room" in auditd.trail(0.3).reason, "it does not go on by itself"
    auditd.process.send_signal(signal.SIGUSR2)
    wait_until(lambda: auditd.trail(0.3).status is Status.PASS, "it went on")


@pytest.mark.parametrize(
    "rule",
    [
        ("-a", "never,task"),
        ("-A", "never,exit", "-F", "arch=b64", "-S", "all"),
        ("-a", "never,exclude", "-F", "msgtype=USER"),
    ],
    ids=" ".join,
)
def test_a_rule_that_silences(auditd: Auditd, rule: tuple[str, ...]) -> None:
    auditctl(*rule)
    try:
        found = look("audittrail.rules")
        assert found.status is Status.FAIL
        assert rule[1] in found.reason
        if "msgtype=USER" in rule:
            assert "a rule keeps user messages out" in auditd.trail(0.3).reason
    finally:
        auditctl("-d", *rule[1:])
    assert look("audittrail.rules").status is Status.PASS


def test_rules_that_are_gone(auditd: Auditd) -> None:
    auditctl("-D")
    try:
        assert look("audittrail.rules").reason == "no audit rule is in the kernel"
    finally:
        auditctl(*WATCH)


def test_a_rule_that_was_taken_out(auditd: Auditd, tmp_path: Path) -> None:
    """One of those that auditd's start loads, with others left."""
    more = ("always,exit", "-F", "arch=b64", "-S", "sethostname", "-F", "key=hullmark-test")
    file = tmp_path / "audit.rules"
    file.write_text(f"-D\n{' '.join(WATCH)}\n-a {' '.join(more)}\n")
    auditctl("-a", *more)
    try:
        assert look("audittrail.rules", file=str(file)).reason == "2 rules"
    finally:
        auditctl("-d", *more)
    found = look("audittrail.rules", file=str(file))
    assert found.status is Status.FAIL
    assert found.reason == f"1 audit rules are in the kernel, and 2 in {file}"


def test_an_audit_that_is_switched_off(auditd: Auditd) -> None:
    auditctl("-e", "0")
    try:
        assert look("audittrail.kernel").reason == "the kernel's audit is switched off"
        assert auditd.trail(0.3).status is Status.FAIL
    finally:
        auditctl("-e", "1")


def test_records_that_the_kernel_lost(auditd: Auditd) -> None:
    """auditd does not keep up: it is stopped until the kernel's queue is full, and then goes on. The calls are a child's, which is begun once
    audit is on: of a process that is older than that the kernel records none."""
    calls = "import os; [os.getpriority(os.PRIO_PROCESS, 0) for _ in range(20_000)]"
    rule = ("always,exit", "-F", "arch=b64", "-S", "getpriority", "-F", f"ppid={os.getpid()}")
    given = {name: one.default for name, one in KINDS["audittrail.kernel"].parameters.items()}
    before = PROBES["audittrail.kernel"](Eye(), given)
    auditctl("--backlog_wait_time", "0")
    auditctl("-a", *rule)
    try:
        with auditd.stopped():
            subprocess.run([sys.executable, "-c", calls], check=True)
            assert "\nlost 0\n" not in auditctl("-s"), "the fault took effect"
    finally:
        auditctl("-d", *rule)
        auditctl("--backlog_wait_time", "15000")
    wait_until(lambda: "backlog 0\n" in auditctl("-s"), "the queue is empty")
    found = look("audittrail.kernel", before)
    assert found.status is Status.FAIL
    assert re.match("the kernel lost [0-9]+ audit records since the look before", found.reason)
    assert look("audittrail.kernel").status is Status.PASS, "the first look only knows the number"


def test_a_removed_log(auditd: Auditd) -> None:
    """auditd goes on to write into a file that nobody finds again."""
    kept = auditd.log.with_name("kept")
    auditd.log.rename(kept)
    try:
        found = auditd.trail(0.3)
        assert found.reason == f"auditd runs, but {auditd.log} isn't there"
    finally:
        kept.rename(auditd.log)
    assert auditd.trail().status is Status.PASS


KINDS_HERE = [kind for kind in KINDS if kind.startswith("audittrail.")]
UNIT = CHECKOUT / "packaging/files/hullmark-agent.service"


def looked_with(rights: str, auditd: Auditd) -> list[str]:
    """What a process with these rights, as `setpriv` has them, finds by each kind."""
    script = (
        "from tests.integration.test_controls_audit import KINDS_HERE, look\n"
        f"where = {{'configuration': {str(auditd.folder / 'auditd.conf')!r}, 'within': 1.0}}\n"
        "print(*(look(kind, **where).status.value for kind in KINDS_HERE))"
    )
    command = ["setpriv", f"--bounding-set={rights}", sys.executable, "-c", script]
    return subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=CHECKOUT
    ).stdout.split()


def test_with_the_rights_of_the_unit(auditd: Auditd) -> None:
    told = re.search("^CapabilityBoundingSet=(.*)$", UNIT.read_text(), re.MULTILINE)
    assert told is not None
    names = [name.replace("CAP_", "+").lower() for name in told.group(1).split()]
    assert looked_with(",".join(["-all", *names]), auditd) == ["pass"] * 4


def test_who_may_not_look(auditd: Auditd) -> None:
    """What the kernel refuses is an error, and never a pass."""
    found = dict(zip(KINDS_HERE, looked_with("-audit_control,-audit_write", auditd)))
    assert found.pop("audittrail.daemon") == "pass"
    assert set(found.values()) == {"error"}


def test_no_auditd_is_installed() -> None:
    kind = "audittrail.daemon"
    absent = PROBES[kind](Eye(folders=("/nowhere",)), {})
    assert JUDGES[kind](Seen(absent)).status is Status.NOT_APPLICABLE


def test_one_that_was_killed(auditd: Auditd) -> None:
    """The last of them: it stays dead."""
    auditd.process.kill()
    auditd.process.wait()
    for found in (look("audittrail.daemon"), look("audittrail.kernel"), auditd.trail(0.2)):
        assert found == Finding(Status.FAIL, reason="no process of auditd runs")
