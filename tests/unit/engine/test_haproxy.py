"""What a proxy is told where not all can be: its worker is one that only keeps what it is told."""

from __future__ import annotations

import errno
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from hullmark.core.proxyplan import plan
from hullmark.engine import haproxybinds, haproxyprocess
from hullmark.engine.haproxy import Haproxy
from hullmark.engine.haproxyconfig import ADMISSIONS, CALLERS, Rendered, render
from hullmark.engine.haproxyrecord import RECORD
from hullmark.engine.haproxyruntime import Processes, Running
from hullmark.errors import HullmarkError, ProxyUnavailable, ProxyUnwritten, Refused
from tests.unit.core.proxyworld import DIRECTORY, MEMBERS, SIGHT, THERE, seen

TWO_SIX = "HAProxy version 2.6.12-1+deb12u3 2025/10/03 - https://haproxy.org/"
TWO_FOUR = "HAProxy version 2.4.30-0ubuntu0.22.04.4 2026/11/04 - https://haproxy.org/"
ADMISSIONS_NOW = tuple(one for one in DIRECTORY.admissions if one.host_id != THERE)
REMOVED = seen(admissions=ADMISSIONS_NOW)
"""Of the other host nothing is admitted any more; the structure is as it was, but for backends that nobody else asks for."""


class FakeSockets:
    """A worker with what a plan says. `starts`: whether a new one does."""

    def __init__(self) -> None:
        self.worker = 7
        self.starts = False
        self.rendered = Rendered("", {}, {})
        self.version = ""
        self.told: list[str] = []
        self.reloads = 0
        self.refusal = "Success=0 it does not start"

    def info(self) -> dict[str, str]:
        return {
            "description": self.rendered.digest,
            "Pid": str(self.worker),
            "Version": self.version,
        }

    def servers(self) -> dict[str, dict[str, Running]]:
        return {
            backend: {name: Running(weight, False) for name, (_, weight) in servers.items()}
            for backend, servers in self.rendered.servers.items()
        }

    def tell(self, command: str) -> str:
        table = command.rpartition("/")[2]
        if command.startswith("show "):
            lines = self.rendered.files.get(table, "").splitlines()
            return "\n".join(f"0x1 {line}" for line in lines)
        self.told.append(command)
        return ""

    def processes(self) -> Processes:
        return Processes(1, self.worker)

    def tell_main(self, command: str, patience_s: float) -> str:
        self.reloads += 1
        if self.starts:
            self.worker += 1
            return ""
        return self.refusal

    @property
    def withdrawn(self) -> list[str]:
        return [one.split()[-1] for one in self.told if one.startswith("del ")]


class Bed:
    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder / "state"
        self.folder.mkdir()
        self.run_dir = folder / "run"
        self.sockets = FakeSockets()
        self.program = TWO_SIX
        self.code = 0
        monkeypatch.setattr(subprocess, "run", self._run)
        monkeypatch.setattr(haproxybinds, "taken", lambda binds: ())
        self.haproxy = self.begin()
        self.take()

    def begin(self) -> Haproxy:
        made = Haproxy(self.folder, self.run_dir)
        made._sockets = cast(Any, self.sockets)
        return made

    def take(self) -> None:
        """The worker has what the files of the program's version are, and these are there."""
        settings = replace(self.haproxy._settings, abilities=self.haproxy._files.abilities())
        self.sockets.rendered = render(plan(SIGHT), settings)
        self.haproxy._files.write(self.sockets.rendered.files)

    def _run(self, command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        if command[1] == "-v" and not self.code and not self.program:
            raise FileNotFoundError(errno.ENOENT, "none", command[0])
        return subprocess.CompletedProcess(command, self.code, self.program.encode(), b"no libssl")


@pytest.fixture
def bed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bed:
    return Bed(tmp_path, monkeypatch)


def keys_of(bed: Bed, name: str) -> set[str]:
    return {line.partition(" ")[0] for line in bed.haproxy._files.text(name).splitlines()}


def full(_: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_rights_are_taken_back_where_no_file_can_be_written(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = plan(replace(REMOVED, certificate="another"))
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ProxyUnavailable, match="can't be written"):
        bed.haproxy.apply(made)
    bed.sockets.told.clear()
    assert bed.haproxy.withdraw(made) == len(bed.sockets.withdrawn) > 0
    assert all(key.startswith(f"{THERE}@") for key in bed.sockets.withdrawn)
    assert bed.sockets.reloads == 0


def test_no_reload_is_asked_for_where_its_sockets_cannot_be_made(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its main process would end by it."""
    made = plan(replace(REMOVED, certificate="another"))
    with monkeypatch.context() as patched:
        patched.setattr(haproxyprocess, "shut", lambda folder, pid: "it can only be read")
        with pytest.raises(ProxyUnwritten, match=r"no sockets in .*: it can only be read"):
            bed.haproxy.apply(made)
    assert bed.sockets.reloads == 0
    with pytest.raises(Refused):
        bed.haproxy.apply(made)
    assert bed.sockets.reloads > 0


def test_a_start_that_fails_twice_is_told_in_the_same_words(bed: Bed) -> None:
    words = []
    for process in (4711, 4720):
        bed.sockets.refusal = (
            f"Success=0\n--\n[NOTICE]   ({process}) : New worker ({process + 1}) forked\n"
            f"[ALERT]    ({process}) : config : no (7) : here\n"
        )
        with pytest.raises(Refused) as caught:
            bed.haproxy.apply(plan(replace(SIGHT, certificate="another")))
        words.append(caught.value.message)
    assert words[0] == words[1]
    assert words[0].endswith("[NOTICE] New worker forked [ALERT] config : no (7) : here")


def test_former_files_come_back_without_the_rights_that_ended(bed: Bed) -> None:
    made = plan(replace(REMOVED, certificate="another"))
    before = {name: keys_of(bed, name) for name in (ADMISSIONS, CALLERS)}
    bed.haproxy.withdraw(made)
    with pytest.raises(Refused):
        bed.haproxy.apply(made)
    assert bed.sockets.reloads == 2, "that of the former files, too"
    after = {name: keys_of(bed, name) for name in (ADMISSIONS, CALLERS)}
    assert before[ADMISSIONS] - after[ADMISSIONS] == set(bed.sockets.withdrawn)
    assert after[CALLERS] == before[CALLERS]
    assert bed.haproxy._files.text("haproxy.cfg") == bed.sockets.rendered.files["haproxy.cfg"]


@pytest.mark.parametrize("code", [0, 127])
@pytest.mark.parametrize("version", [TWO_SIX, TWO_FOUR])
def test_a_program_that_cannot_be_asked_is_taken_for_what_runs(
    bed: Bed, version: str, code: int
) -> None:
    """Of an agent that has just begun: what needs no program goes on."""
    bed.program = version
    bed.haproxy = bed.begin()
    bed.take()
    bed.program, bed.code = "", code
    bed.sockets.version = version.split()[2]
    for haproxy in (bed.haproxy, bed.begin()):
        bed.sockets.told.clear()
        made = haproxy.apply(plan(seen(members=MEMBERS[:1])))
        assert not made.reloaded
        assert bed.sockets.told
    bed.sockets.version = ""
    with pytest.raises(HullmarkError, match="can't be asked"):
        bed.begin().apply(plan(SIGHT))


CONFIG = "haproxy.cfg"


def test_a_worker_is_its_own_until_another_is_there(bed: Bed) -> None:
    bed.sockets.starts = True
    bed.haproxy.load_again()
    assert not bed.haproxy.is_foreign(bed.haproxy.look())
    assert not bed.begin().is_foreign(bed.haproxy.look()), "the next life knows it"
    bed.sockets.worker += 1
    for haproxy in (bed.haproxy, bed.begin()):
        assert haproxy.is_foreign(haproxy.look())
        assert not haproxy.is_started(haproxy.look())
        assert haproxy.is_started(replace(haproxy.look(), pid=2))
        assert not haproxy.is_foreign(replace(haproxy.look(), up=False))


def test_nothing_is_foreign_where_it_is_not_known_what_should_be(bed: Bed) -> None:
    (bed.folder / CONFIG).write_text("another")
    haproxy = bed.begin()
    assert haproxy.is_foreign(haproxy.look())
    haproxy.restore()
    assert bed.sockets.reloads == 0, "it would load what somebody else wrote"
    assert not haproxy.is_foreign(haproxy.look())
    haproxy.apply(plan(SIGHT))
    assert haproxy.is_foreign(haproxy.look())


def test_a_reload_during_which_somebody_wrote_is_not_its_own(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    bed.sockets.starts = True
    reload = bed.sockets.tell_main

    def write(command: str, patience_s: float) -> str:
        path = bed.folder / CONFIG
        os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
        return reload(command, patience_s)

    monkeypatch.setattr(bed.sockets, "tell_main", write)
    bed.haproxy.load_again()
    assert bed.haproxy.is_foreign(bed.haproxy.look())
    assert bed.haproxy.touched() == (CONFIG,)


@pytest.mark.parametrize("line", ["bind :4444-4450", "bind", "bind x interface", "# interface x"])
def test_what_somebody_wrote_while_no_agent_ran_keeps_nothing_from_being_told(
    bed: Bed, line: str
) -> None:
    path, before = bed.folder / CONFIG, (bed.folder / CONFIG).read_text()
    for is_known in (True, False):
        path.write_text(f"{before}\nlisten door\n    {line}\n")
        if not is_known:
            (bed.folder / RECORD).unlink()
        bed.begin().apply(plan(SIGHT))
        assert path.read_text() == before


def test_what_somebody_wrote_while_no_agent_ran_does_not_come_back(bed: Bed) -> None:
    path = bed.folder / CONFIG
    path.write_text(f"{path.read_text()}\nlisten door\n    bind :4444\n")
    with pytest.raises(Refused):
        bed.begin().apply(plan(replace(SIGHT, certificate="another")))
    assert "door" not in path.read_text()
    assert bed.sockets.reloads == 1
