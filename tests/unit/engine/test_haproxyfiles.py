"""The proxy's files."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
from pathlib import Path
from typing import Callable, NoReturn, Optional

import pytest

from hullmark.engine.haproxyfiles import ProxyFiles
from hullmark.engine.haproxyrecord import RECORD, Life
from hullmark.errors import ProxyUnavailable, ProxyUnwritten, Refused


def _full(_: int) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_leaves_what_was_there_and_is_nobodys_doing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = ProxyFiles(tmp_path, "haproxy")
    files.write({"haproxy.cfg": "first", "addresses": "10.214.0.1"})
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", _full)
        with pytest.raises(ProxyUnwritten, match="No space left"):
            files.write({"haproxy.cfg": "second"})
    assert files.tampered() == ()
    found = {one.name: one.read_text() for one in tmp_path.iterdir() if one.name != RECORD}
    assert found == {"haproxy.cfg": "first", "addresses": "10.214.0.1"}
    assert ProxyFiles(tmp_path, "haproxy").tampered() == ()


def test_what_somebody_else_wrote_is_known_and_put_back(tmp_path: Path) -> None:
    files = ProxyFiles(tmp_path, "haproxy")
    files.write({"haproxy.cfg": "first"})
    (tmp_path / "haproxy.cfg").write_text("another")
    assert files.tampered() == ("haproxy.cfg",)
    files.restore()
    assert (files.text("haproxy.cfg"), files.tampered()) == ("first", ())


@pytest.mark.parametrize(
    "said",
    [
        b"[NOTICE]   (%d) : haproxy version is 2.6.12\n[ALERT]    (%d) : config : no (7) : here\n",
        b"[WARNING]  (%d) : config : no (7) : here\n",
    ],
)
def test_what_is_refused_twice_is_refused_in_the_same_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    process = 32408

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        nonlocal process
        process += 9
        told = said.replace(b"%d", str(process).encode())
        return subprocess.CompletedProcess(command, 1, b"", told)

    monkeypatch.setattr(subprocess, "run", run)
    words = []
    for _ in range(2):
        with pytest.raises(Refused) as caught:
            ProxyFiles(tmp_path, "haproxy").check(FIRST)
        words.append(caught.value.message)
    assert words[0] == words[1]
    assert words[0].endswith("] config : no (7) : here"), "what it says is left as it is"


FIRST = {"addresses": "10.214.0.1", "haproxy.cfg": "first"}
SECOND = {"addresses": "10.214.0.2", "haproxy.cfg": "second"}


@pytest.fixture
def next_life(tmp_path: Path) -> Callable[[], ProxyFiles]:
    """Of the agent, after one that wrote."""
    ProxyFiles(tmp_path, "haproxy").write(FIRST)
    return lambda: ProxyFiles(tmp_path, "haproxy")


def test_what_was_changed_between_two_lives_is_known_until_it_is_written(
    tmp_path: Path, next_life: Callable[[], ProxyFiles]
) -> None:
    assert next_life().tampered() == ()
    assert next_life().own_text("haproxy.cfg") == "first"
    (tmp_path / "haproxy.cfg").write_text("another")
    files = next_life()
    assert (files.tampered(), files.own_text("haproxy.cfg")) == (("haproxy.cfg",), "")
    assert not files.restore(), "what it was is not known any more"
    assert (files.tampered(), files.is_known) == ((), False)
    assert next_life().tampered() == ("haproxy.cfg",), "a life that ended before it wrote"
    files.write(FIRST)
    assert (files.tampered(), files.is_known) == ((), True)
    assert next_life().tampered() == ()
    (tmp_path / "haproxy.cfg").write_text("another")
    assert files.tampered() == ("haproxy.cfg",), "of this life, too"


def test_what_was_taken_away_between_two_lives_is_known(
    tmp_path: Path, next_life: Callable[[], ProxyFiles]
) -> None:
    (tmp_path / "addresses").unlink()
    assert next_life().tampered() == ("addresses",)


def test_other_contents_of_another_release_are_nobodys_doing(
    next_life: Callable[[], ProxyFiles],
) -> None:
    files = next_life()
    assert (files.tampered(), files.write(SECOND)) == ((), True)
    assert next_life().tampered() == ()


@pytest.mark.parametrize("written", range(5))
def test_a_life_that_is_killed_while_it_writes_leaves_nothing_that_looks_like_somebody_elses(
    tmp_path: Path,
    next_life: Callable[[], ProxyFiles],
    monkeypatch: pytest.MonkeyPatch,
    written: int,
) -> None:
    real, left = Path.replace, [written]

    def replace(self: Path, target: Path) -> Path:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return real(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", replace)
        with contextlib.suppress(KeyboardInterrupt):
            next_life().write(SECOND)
    files = next_life()
    assert (files.tampered(), files.touched()) == ((), ())
    (tmp_path / "haproxy.cfg").write_text("another")
    assert next_life().tampered() == ("haproxy.cfg",)


def test_what_was_replaced_stays_the_former_only_until_all_is_written(
    tmp_path: Path, next_life: Callable[[], ProxyFiles]
) -> None:
    next_life().write(SECOND)
    (tmp_path / "haproxy.cfg").write_text(FIRST["haproxy.cfg"])
    assert next_life().tampered() == ("haproxy.cfg",), "rights that ended don't come back so"


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"files": 1}'])
def test_without_a_record_nothing_is_known(
    tmp_path: Path, next_life: Callable[[], ProxyFiles], content: Optional[str]
) -> None:
    (tmp_path / "haproxy.cfg").write_text("another")
    (tmp_path / RECORD).unlink()
    if content is not None:
        (tmp_path / RECORD).write_text(content)
    files = next_life()
    assert (files.tampered(), files.is_known) == ((), False)
    files.write(FIRST)
    assert next_life().is_known


def test_who_wrote_and_put_back_is_known_until_it_is_loaded_anew(
    tmp_path: Path, next_life: Callable[[], ProxyFiles]
) -> None:
    files = next_life()
    path = tmp_path / "haproxy.cfg"
    assert files.touched() == ()
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    assert (files.tampered(), files.touched()) == ((), ("haproxy.cfg",))
    files.write(FIRST)
    assert next_life().touched() == ("haproxy.cfg",)
    files.loaded(Life(1, 2.0), Life(3, 4.0))
    assert (files.touched(), next_life().touched()) == ((), ())
    assert next_life().kept.worker == Life(3, 4.0)


def test_the_record_is_as_private_as_the_rest(tmp_path: Path) -> None:
    ProxyFiles(tmp_path, "haproxy").write(FIRST)
    assert {one.name: one.stat().st_mode & 0o777 for one in tmp_path.iterdir()} == {
        "addresses": 0o600,
        "haproxy.cfg": 0o600,
        RECORD: 0o600,
    }


def test_the_program_is_asked_again_only_once_it_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, asked = tmp_path / "haproxy", []
    code = 0

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        asked.append(command)
        return subprocess.CompletedProcess(
            command, code, program.read_bytes(), b"libssl.so.3 missing"
        )

    monkeypatch.setattr(subprocess, "run", run)
    program.write_text("HAProxy version 2.4.30-0ubuntu0.22.04.4 2026/11/04")
    program.chmod(0o755)
    files = ProxyFiles(tmp_path / "state", str(program))
    assert [files.abilities().takes_servers for _ in range(3)] == [False] * 3
    assert asked == [[str(program), "-v"]]
    program.write_text("HAProxy version 2.8.30-0ubuntu0.24.04.2 2026/01/02")
    assert [files.abilities().takes_servers for _ in range(2)] == [True] * 2
    assert len(asked) == 2
    program.write_text("")
    code = 127
    for _ in range(2):
        with pytest.raises(ProxyUnavailable, match=r"libssl\.so\.3 missing"):
            files.abilities()
    last = files.last_abilities()
    assert last is not None
    assert last.takes_servers
    assert len(asked) == 4, "until it answers"
    code = 0
    program.write_text("HA-Proxy version 2.2.9-2+deb11u7 2025/01/01")
    with pytest.raises(Refused, match=r"2\.2\.9"):
        files.abilities()
