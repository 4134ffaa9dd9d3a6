"""A site's own checks, as a controls file has them, against real commands, files, processes, ports and a syslog daemon."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hullmark.config import load_controls_file
from hullmark.core.checks import JUDGES, Seen
from hullmark.host.eye import Eye
from hullmark.host.probes import PROBES
from hullmark.model.control import Finding, Status
from tests.cluster import wait_until
from tests.integration.toolprocess import started

PASS, FAIL, ERROR = Status.PASS, Status.FAIL, Status.ERROR
CHECKOUT = Path(__file__).resolve().parents[2]


class Site:
    """One control of a site, with one check, looked at as the agent does."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "site.yaml"

    def look(self, check: str) -> Finding:
        self.file.write_text(
            "controls:\n- id: mine\n  function: site-edr\n  title: Mine\n  checks:\n"
            f"  - {{id: only, {check}}}\n"
        )
        controls = load_controls_file(str(self.file), str(CHECKOUT / "conf" / "controls.d"))
        (spec,) = (each for each in controls.specs if each.control_id == "mine")
        (one,) = spec.checks
        readings = PROBES[one.kind](Eye(timeout_s=one.timeout_s), one.given)
        return JUDGES[one.kind](Seen(readings, one.given, time.time(), one.level))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_command_that_says_that_it_is_well_and_then_not(site: Site, tmp_path: Path) -> None:
    status = tmp_path / "status"
    check = f"kind: command, argv: [/bin/cat, {status}], must_match: ^connected$, number: 'queue=(\\d+)', at_most: 5"
    assert site.look(check).status is FAIL  # cat: no such file
    status.write_text("connected\nqueue=5\n")
    assert site.look(check) == Finding(PASS, 2, "connected")
    status.write_text("connected\nqueue=6\n")
    assert site.look(check).reason == "6, more than 5: queue=6"
    status.write_text("lost\nqueue=1\n")
    assert site.look(check).status is FAIL
    status.write_text("connected\n")
    assert site.look(check).status is ERROR


def test_a_command_that_hangs_is_ended_with_its_children(site: Site) -> None:
    marker = f"7{os.getpid()}"
    found = site.look(
        f"kind: command, argv: [/bin/sh, -c, 'sleep {marker} & sleep {marker}'], timeout: 300ms"
    )
    assert (found.status, "timed out" in found.reason) == (ERROR, True)
    left = subprocess.run(["pgrep", "-f", f"sleep {marker}"], stdout=subprocess.PIPE, check=False)
    assert left.stdout == b""


def test_a_command_that_others_may_write_is_not_run(site: Site, tmp_path: Path) -> None:
    ran, script = tmp_path / "ran", tmp_path / "script"
    script.write_text(f"#!/bin/sh\ntouch {ran}\n")
    script.chmod(0o755)  # the way to it leads through /tmp
    found = site.look(f"kind: command, argv: [{script}]")
    assert found.status is ERROR
    assert "others than root may put another file in the place" in found.reason
    assert site.look(f"kind: command, argv: [/bin/sh, {script}]").status is ERROR
    assert not ran.exists()


def test_a_file_that_is_no_longer_written(site: Site, tmp_path: Path) -> None:
    report = tmp_path / "report.1"
    check = f"kind: file_age, path: '{tmp_path}/report.*', at_most: 1h"
    assert site.look(check).status is FAIL
    report.write_text("x")
    assert site.look(check) == Finding(PASS, 2)
    os.utime(report, (time.time() - 7200,) * 2)
    assert "2 h old" in site.look(check).reason


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A daemon that is its own program."""
    program = tmp_path / "hm-sleeper"
    program.write_bytes(Path("/bin/sleep").read_bytes())
    program.chmod(0o755)
    with started([str(program), "60"], tmp_path / "out") as process:
        yield process


def test_a_process_that_is_stopped_does_not_run(
    site: Site, tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    check = f"kind: process, name: hm-sleeper, executable: {tmp_path}/hm-sleeper"
    wait_until(lambda: site.look(check).status is PASS, "it runs")
    (tmp_path / "link").symlink_to(tmp_path / "hm-sleeper")
    linked = check.replace(f"{tmp_path}/hm-sleeper", f"{tmp_path}/link")
    assert site.look(linked).status is PASS
    sleeper.send_signal(signal.SIGSTOP)
    wait_until(lambda: "stopped by a signal" in site.look(check).reason, "it is stopped")
    sleeper.send_signal(signal.SIGCONT)
    wait_until(lambda: site.look(check).status is PASS, "it goes on")
    sleeper.kill()
    wait_until(lambda: "zombie" in site.look(check).reason, "nobody has waited for it")
    sleeper.wait()
    assert "no process hm-sleeper runs" in site.look(check).reason
    assert site.look("kind: process, name: hm-sleeper, executable: /bin/hm-none").status is FAIL


def test_a_port(site: Site) -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
        assert site.look(f"kind: listener, port: {port}").status is FAIL
        one.listen()
        assert site.look(f"kind: listener, port: {port}").status is PASS
        assert site.look(f"kind: listener, port: {port}, address: 127.0.0.2").status is FAIL
        found = site.look(f"kind: listener, port: {port}, listens: false")
        assert f"listens on tcp port {port} (127.0.0.1)" in found.reason
    assert site.look(f"kind: listener, port: {port}, listens: false").status is PASS


def test_a_unit_where_there_is_no_systemd(site: Site) -> None:
    if Path("/run/systemd/system").is_dir():
        pytest.skip("there is one")
    assert site.look("kind: unit, name: x.service").status is Status.NOT_APPLICABLE


def test_a_line_through_rsyslog(site: Site, tmp_path: Path) -> None:
    configuration = tmp_path / "rsyslog.conf"
    configuration.write_text(
        'module(load="imuxsock" SysSock.Use="off")\n'
        f'input(type="imuxsock" Socket="{tmp_path}/log")\n*.* {tmp_path}/messages\n'
    )
    check = (
        f"kind: log_canary, files: [{tmp_path}/messages], within: 2s, timeout: 10s,"
        f" socket: {tmp_path}/log"
    )
    by_command = f"{check}, write_by: [/usr/bin/logger, --socket, {tmp_path}/log, '{{text}}']"
    command = ["/usr/sbin/rsyslogd", "-n", "-f", str(configuration), "-i", f"{tmp_path}/pid"]
    with started(command, tmp_path / "out") as process:
        wait_until((tmp_path / "log").exists, "rsyslogd listens")
        assert site.look(check) == Finding(PASS, 3, f"seen in {tmp_path}/messages")
        assert site.look(by_command).status is PASS
        process.send_signal(signal.SIGSTOP)
        found = site.look(check)
        assert (found.status, "was not in" in found.reason) == (FAIL, True)
        process.send_signal(signal.SIGCONT)
        wait_until(lambda: site.look(check).status is PASS, "it goes on")
    assert site.look(check).status is FAIL
