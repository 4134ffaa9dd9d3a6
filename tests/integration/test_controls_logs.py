"""Checks of local logging against rsyslogd and syslog-ng themselves, each with a socket and files of its own: well, stopped, with a
full disk, with its file removed, held up by an output that can't be reached."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

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
UNPACKED = Path(os.environ.get("HULLMARK_CACHE", CHECKOUT / "build")) / "tools" / "syslog-ng"


def look(kind: str, before: tuple[Reading, ...] = (), **changed: Any) -> Finding:
    return judge(kind, see(kind, **changed), before, **changed)


def see(kind: str, **changed: Any) -> tuple[Reading, ...]:
    return PROBES[kind](Eye(timeout_s=KINDS[kind].timeout_s), given(kind, **changed))


def judge(
    kind: str, readings: tuple[Reading, ...], before: tuple[Reading, ...] = (), **changed: Any
) -> Finding:
    level = KINDS[kind].level
    return JUDGES[kind](Seen(readings, given(kind, **changed), time.time(), level, before))


def given(kind: str, **changed: Any) -> dict[str, Any]:
    return {**{name: one.default for name, one in KINDS[kind].parameters.items()}, **changed}


class Logger:
    """A syslog daemon that writes to a small file system of its own."""

    def __init__(self, daemon: str, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.daemon = daemon
        self.folder = folder
        self.process = process
        self.file = folder / "log" / "messages"
        self.socket = folder / "socket"
        self.configuration = folder / "daemon.conf"

    def line(self, within: float = 1.0) -> Finding:
        return look(
            "syslogs.canary",
            daemon=self.daemon,
            configuration=str(self.configuration),
            socket=str(self.socket),
            within=within,
        )

    def alive(self) -> Finding:
        return look("syslogs.daemon", daemon=self.daemon)

    def checked(self, configuration: Optional[Path] = None) -> Finding:
        path = str(configuration or self.configuration)
        return look("syslogs.configuration", daemon=self.daemon, configuration=path)


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextlib.contextmanager
def running(daemon: str, folder: Path, configuration: str, command: list[str]) -> Iterator[Logger]:
    with small_disk(folder / "log"):
        (folder / "daemon.conf").write_text(configuration)
        with started(command, folder / "out") as process:
            one = Logger(daemon, folder, process)
            wait_until(one.socket.exists, f"{daemon} listens")
            yield one


@contextlib.contextmanager
def rsyslogd(folder: Path, first: str = "") -> Iterator[Logger]:
    configuration = f"""
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="{folder}/socket")
{first}
*.info  {folder}/log/messages
"""
    command = ["/usr/sbin/rsyslogd", "-n", "-f", f"{folder}/daemon.conf", "-i", f"{folder}/pid"]
    with running("rsyslog", folder, configuration, command) as one:
        yield one


@contextlib.contextmanager
def unpacked(folder: Path) -> Iterator[None]:
    """syslog-ng, which can't be installed beside rsyslog, in its place as this process and its children see it."""
    shutil.copytree(UNPACKED / "usr", folder / "usr", symlinks=True)
    if not (UNPACKED / "lib").is_symlink():
        shutil.copytree(UNPACKED / "lib", folder / "usr/lib", symlinks=True, dirs_exist_ok=True)
    layers = f"lowerdir={folder}/usr:/usr"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, "/usr"], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", "/usr"], check=True)


@contextlib.contextmanager
def syslog_ng(folder: Path) -> Iterator[Logger]:
    configuration = f"""@version: 3.38
options {{ flush-lines(0); stats-freq(0); stats-level(1); time-reopen(1); }};
source s {{ unix-dgram("{folder}/socket"); }};
destination d {{ file("{folder}/log/messages"); }};
destination gone {{ network("127.0.0.1" port(9) log-fifo-size(1)); }};
filter lost {{ message("not for long"); }};
log {{ source(s); destination(d); }};
log {{ source(s); filter(lost); destination(gone); }};
"""
    command = ["/usr/sbin/syslog-ng", "-F", "--no-caps", "-f", f"{folder}/daemon.conf"]
    own = ["-R", f"{folder}/persist", "-c", f"{folder}/ctl", "-p", f"{folder}/pid"]
    with running("syslog-ng", folder, configuration, [*command, *own]) as one:
        yield one


@pytest.fixture(scope="module", params=["rsyslog", "syslog-ng"])
def logger(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Logger]:
    folder = tmp_path_factory.mktemp("logger")
    with contextlib.ExitStack() as stack:
        if request.param == "syslog-ng":
            stack.enter_context(unpacked(tmp_path_factory.mktemp("unpacked")))
        yield stack.enter_context(
            rsyslogd(folder) if request.param == "rsyslog" else syslog_ng(folder)
        )


def test_one_that_is_well(logger: Logger) -> None:
    assert logger.alive() == Finding(Status.PASS, 1)
    found = logger.line(5.0)
    assert (found.status, found.level, found.reason) == (
        Status.PASS,
        3,
        f"seen in {logger.file}",
    )
    assert canary.find(logger.file.read_text())
    assert logger.checked().status is Status.PASS


def test_a_configuration_that_is_wrong(logger: Logger, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.conf"
    wrong.write_text(logger.configuration.read_text() + "\nfoo(\n")
    found = logger.checked(wrong)
    assert found.status is Status.FAIL
    assert "wrong.conf" in found.reason


def test_one_that_is_stopped(logger: Logger) -> None:
    logger.process.send_signal(signal.SIGSTOP)
    try:
        wait_until(lambda: logger.alive().status is Status.FAIL, "it is seen to be stopped")
        assert f"process {logger.process.pid} is stopped by a signal" in logger.line().reason
    finally:
        logger.process.send_signal(signal.SIGCONT)
    assert logger.line(5.0).status is Status.PASS


def test_a_full_disk(logger: Logger) -> None:
    """It runs and takes every line, and none is written."""
    filling = logger.file.parent / "filling"
    with contextlib.suppress(OSError), filling.open("wb") as file:
        file.write(bytes(4 << 20))
    # What is left of the last page of the file itself.
    with contextlib.suppress(OSError), logger.file.open("ab", buffering=0) as file:
        while file.write(b"\n"):
            pass
    try:
        size = logger.file.stat().st_size
        found = logger.line()
        assert found.status is Status.FAIL
        assert f"the disk of {logger.file} is full" in found.reason
        assert logger.file.stat().st_size == size, "the fault took no effect"
        assert logger.alive().status is Status.PASS, "nothing else tells it"
    finally:
        filling.unlink()
    wait_until(lambda: logger.line().status is Status.PASS, "it writes again", 60)


def test_a_removed_file(logger: Logger) -> None:
    """The daemon goes on to write into a file that nobody finds again."""
    kept = logger.file.with_name("kept")
    logger.file.rename(kept)
    try:
        found = logger.line(0.5)
        assert found.status is Status.FAIL
        assert f"a line did not come: {logger.file} isn't there" in found.reason
        assert canary.find(kept.read_text())
    finally:
        kept.rename(logger.file)
    assert logger.line(5.0).status is Status.PASS


def test_a_socket_without_a_daemon(logger: Logger, tmp_path: Path) -> None:
    found = look(
        "syslogs.canary",
        daemon=logger.daemon,
        configuration=str(logger.configuration),
        socket=str(tmp_path / "none"),
    )
    assert found.reason == f"{tmp_path}/none, where programs log, isn't there"


def test_one_that_was_killed(logger: Logger) -> None:
    """The last of each: it stays dead."""
    logger.process.kill()
    logger.process.wait()
    name = "rsyslogd" if logger.daemon == "rsyslog" else "syslog-ng"
    for found in (logger.alive(), logger.line(0.2)):
        assert found == Finding(Status.FAIL, reason=f"no process of {name} runs")


def test_one_that_an_output_holds_up(tmp_path: Path) -> None:
    """A log host that can't be reached, retried for ever before the file gets its turn: rsyslogd runs and takes every line."""
    forward = 'action(type="omfwd" target="127.0.0.1" port="9" protocol="tcp" action.resumeRetryCount="-1")'
    with rsyslogd(tmp_path, forward) as one:
        wait_until(lambda: one.line(0.3).status is Status.FAIL, "the line is held up")
        found = one.line()
        assert (one.alive().status, found.status) == (Status.PASS, Status.FAIL)
        assert found.reason.startswith("rsyslogd runs, but a line ")
        assert not one.file.exists() or not canary.find(one.file.read_text())


def test_what_syslog_ng_dropped(tmp_path: Path) -> None:
    with unpacked(tmp_path / "unpacked"), syslog_ng(tmp_path) as one:
        control = str(one.folder / "ctl")
        assert one.line(5.0).status is Status.PASS
        first = see("syslogs.dropped", control=control)
        assert judge("syslogs.dropped", first, control=control).status is Status.PASS
        for number in range(20):
            words = ["logger", "-u", str(one.socket), f"not for long {number}"]
            subprocess.run(words, check=True, timeout=10)
        assert one.line(5.0).status is Status.PASS
        found = look("syslogs.dropped", first, control=control)
        assert found.status is Status.FAIL
        assert "syslog-ng dropped" in found.reason
        assert look("syslogs.dropped", control=str(tmp_path / "none")).status is Status.ERROR


@pytest.mark.parametrize("daemon", ["rsyslog", "syslog-ng"])
def test_no_daemon_is_installed(daemon: str) -> None:
    kind = "syslogs.canary"
    absent = PROBES[kind](Eye(folders=("/nowhere",)), given(kind, daemon=daemon))
    assert JUDGES[kind](Seen(absent)).status is Status.NOT_APPLICABLE
