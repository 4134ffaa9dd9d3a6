"""What a site's checks look at, in a folder that stands for the host."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from hullmark.host.eye import Eye
from hullmark.host.probes import PROBES
from hullmark.model import canary
from hullmark.model.control import Reading, Trouble


def look(root: Path, kind: str, **given: object) -> dict[str, Reading]:
    seen = PROBES[kind](Eye(root=str(root), timeout_s=2.0), given)
    return {one.name: one for one in seen}


def test_the_newest_of_several_files(tmp_path: Path) -> None:
    for name, at in (("a.log", 100), ("b.log", 300), ("c.log", 200)):
        (tmp_path / name).write_text(name)
        os.utime(tmp_path / name, (at, at))
    seen = look(tmp_path, "file_age", path="/*.log")["file"]
    assert (seen.source, seen.facts["mtime"], seen.facts["size"]) == ("/b.log", "300.000", "5")
    assert look(tmp_path, "file_age", path="/*.txt")["file"].trouble is Trouble.MISSING
    assert look(tmp_path, "file_age", path="/c.log")["file"].facts["mtime"] == "200.000"


def test_a_files_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x\n")
    assert look(tmp_path, "file_content", path="/a")["file"].text == "x\n"


def test_processes_of_a_name_and_their_program(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    seen = look(tmp_path, "process", name="edr", executable="/opt/edr")
    assert seen["program"].trouble is Trouble.MISSING
    assert (seen["processes"].text, seen["processes"].trouble) == ("", Trouble.NONE)
    assert set(look(tmp_path, "process", name="edr", executable=None)) == {"processes"}


def test_without_systemd_nobody_is_asked(tmp_path: Path) -> None:
    seen = look(tmp_path, "unit", name="x.service")
    assert set(seen) == {"systemd"}
    assert seen["systemd"].trouble is Trouble.MISSING


def test_who_listens_on_a_port(tmp_path: Path) -> None:
    with socket.socket() as one, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        tcp, udp = one.getsockname()[1], other.getsockname()[1]
        assert look(tmp_path, "listener", port=tcp, protocol="tcp")["listeners"].text == ""
        one.listen()
        seen = look(tmp_path, "listener", port=tcp, protocol="tcp")["listeners"]
        assert seen.text.startswith("tcp\t127.0.0.1\t")
        assert seen.source == f"tcp port {tcp}"
        seen = look(tmp_path, "listener", port=udp, protocol="udp")["listeners"]
        assert seen.text.startswith("udp\t127.0.0.1\t")


@pytest.fixture
def daemon(tmp_path: Path) -> socket.socket:
    """What programs log to."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    made.bind(str(tmp_path / "log"))
    return made


def test_a_line_that_nobody_writes_on(tmp_path: Path, daemon: socket.socket) -> None:
    (tmp_path / "a.log").write_text("")
    seen = look(tmp_path, "log_canary", socket="/log", files=("/a.log",), within=0.1)
    (sent,) = canary.find(daemon.recv(4096).decode())
    assert seen["record"].text == ""
    assert seen["record"].facts["nonce"] == sent.nonce
    assert sent.host == os.uname().nodename
    daemon.close()


def test_a_socket_that_is_not_there(tmp_path: Path) -> None:
    seen = look(tmp_path, "log_canary", socket="/none", files=("/a.log",), within=5.0)
    assert seen["sent"].trouble is Trouble.MISSING
    assert seen["record"].facts["missing"] == "/a.log"
