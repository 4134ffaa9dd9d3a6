"""What is seen of log files."""

from __future__ import annotations

import os
from pathlib import Path

from hullmark.host import auditlast
from hullmark.host.auditlast import End, LastFile
from hullmark.host.eye import Eye
from hullmark.host.probes.logfiles import PROBES
from hullmark.model.control import Reading, Trouble


def look(root: Path, kind: str, **given: object) -> dict[str, Reading]:
    return {each.name: each for each in PROBES[kind](Eye(root=str(root)), given)}


def test_modes_with_names(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.mkdir(mode=0o750)
    (log / "a").write_text("x")
    (log / "a").chmod(0o640)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(f"me:x:{os.getuid()}:1::/:\nother:x:{os.getuid()}:1::/:\n")
    (tmp_path / "etc/group").write_text("nobody:x:65534:\n")
    found = look(tmp_path, "logfiles.permissions", paths=("/log", "/log/*", "/log/a", "/none"))
    group = str(os.getgid())
    assert found["files"].text.splitlines() == [
        f"/log\t0750\t40000\tme\t{group}",
        f"/log/a\t0640\t100000\tme\t{group}",
    ]


def test_the_end_of_our_own(tmp_path: Path) -> None:
    (tmp_path / "audit.log").write_text("".join(f"line {number}\n" for number in range(9)) + "part")
    LastFile(tmp_path / "audit.last").keep(End("host:1", 9, "ab"), 100.0)
    assert auditlast.load(tmp_path / "audit.last") is not None
    found = look(tmp_path, "logfiles.own_chain", path="/audit.log", last="/audit.last")
    assert found["log"].text == "line 6\nline 7\nline 8\n"
    assert found["remembered"].facts == {"log": "host:1", "seq": "9", "hash": "ab"}
    assert int(found["space"].facts["free_bytes"]) > 0


def test_there_is_none(tmp_path: Path) -> None:
    found = look(tmp_path, "logfiles.own_chain", path="/audit.log", last="/audit.last")
    assert {found[name].trouble for name in ("log", "remembered")} == {Trouble.MISSING}
