"""What is seen of log files."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from hullmark.core.checks import JUDGES, Seen
from hullmark.host import auditlast
from hullmark.host.auditfile import Limits
from hullmark.host.auditlast import End, LastFile
from hullmark.host.eye import Eye
from hullmark.host.probes.logfiles import PROBES
from hullmark.model.control import Finding, Reading, Status, Trouble
from tests.unit.host.auditlog import NOW, Log, event


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


def judged(root: Path, now: float = NOW + 60) -> Finding:
    given = {"path": "/log/audit.log", "last": "/audit.last", "at_most": 7200.0}
    looked = tuple(look(root, "logfiles.own_chain", **given).values())
    return JUDGES["logfiles.own_chain"](Seen(looked, given, now, 2))


def test_a_log_as_the_agent_writes_it(tmp_path: Path) -> None:
    """Also while it is written, and right after one of its files was closed."""
    log = Log(tmp_path)
    log.folder.mkdir()
    with contextlib.closing(log.open()) as file:
        for number in range(40):
            file.append(event(number))
            for path in log.folder.iterdir():
                os.utime(path, (NOW, NOW))
            found = judged(tmp_path)
            assert found.status is Status.PASS, found
    assert len(list(log.folder.glob("audit-*.log"))) > 1, "none was closed"
    assert "is 3 h old" in judged(tmp_path, NOW + 3 * 3600).reason


def test_a_log_whose_end_was_cut_off(tmp_path: Path) -> None:
    log = Log(tmp_path, Limits())
    log.folder.mkdir()
    with contextlib.closing(log.open()) as file:
        for number in range(5):
            file.append(event(number))
    lines = log.path.read_bytes().splitlines(keepends=True)
    log.path.write_bytes(b"".join(lines[:-1]))
    os.utime(log.path, (NOW, NOW))
    assert "its end was cut off" in judged(tmp_path).reason
    log.path.write_bytes(b"".join([*lines[:-1], lines[-1].replace(b"shop", b"shed")]))
    assert "its bytes are not those" in judged(tmp_path).reason
    log.path.unlink()
    assert "it was removed" in judged(tmp_path).reason


def test_there_is_none(tmp_path: Path) -> None:
    found = look(tmp_path, "logfiles.own_chain", path="/audit.log", last="/audit.last")
    assert {found[name].trouble for name in ("log", "remembered")} == {Trouble.MISSING}


def test_our_own_log_set_aside_when_the_host_joins_a_cluster_is_not_lost(tmp_path: Path) -> None:
    kind, given = "logfiles.truncation", {"paths": ("/audit.log",)}

    def judged(before: dict[str, Reading]) -> Finding:
        seen = look(tmp_path, kind, **given)
        return JUDGES[kind](Seen(tuple(seen.values()), given, NOW, 2, tuple(before.values())))

    (tmp_path / "audit.log").write_text("of no cluster")
    before = look(tmp_path, kind, **given)
    former = tmp_path / "former-host-unenrolled-12-34-audit.log"
    (tmp_path / "audit.log").rename(former)
    (tmp_path / "audit.log").write_text("")
    assert judged(before).status is Status.PASS
    former.unlink()
    assert judged(before).status is Status.FAIL
