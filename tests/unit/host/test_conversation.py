"""Questions to a daemon, and each way in which it doesn't answer."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

import pytest

from hullmark.host.conversation import ask
from hullmark.host.eye import Eye
from hullmark.model.control import Reading, Trouble


class Daemon:
    """Answers one question with one answer; with None never."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen(1)
        self.asked = b""

    def answer(self, answer: Optional[bytes], *, stays: bool = False) -> Reading:
        thread = threading.Thread(target=self._serve, args=(answer, stays))
        if answer is not None:
            thread.start()
        found = ask(
            Eye(), "answer", "daemon: HELLO", str(self.path), b"HELLO\0", end=b"\0", timeout_s=0.3
        )
        if answer is not None:
            thread.join()
        return found

    def _serve(self, answer: bytes, stays: bool) -> None:
        connection, _ = self._socket.accept()
        with connection:
            self.asked = connection.recv(100)
            connection.sendall(answer)
            if stays:
                connection.recv(100)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def daemon(tmp_path) -> Iterator[Daemon]:
    one = Daemon(tmp_path / "s")
    yield one
    one.close()


def test_an_answer(daemon) -> None:
    seen = daemon.answer(b"WORLD\0", stays=True)
    assert (seen.text, seen.trouble, daemon.asked) == ("WORLD", Trouble.NONE, b"HELLO\0")
    assert seen.facts == {"peer": str(os.getpid())}


def test_an_answer_that_ends_without_its_end(daemon) -> None:
    assert daemon.answer(b"WOR").text == "WOR"


def test_one_that_never_ends_is_cut(daemon) -> None:
    seen = daemon.answer(b"x" * 20_000)
    assert seen.cut
    assert len(seen.text) == 16 << 10


def test_none(daemon) -> None:
    seen = daemon.answer(None)
    assert (seen.text, seen.trouble) == ("", Trouble.TIMED_OUT)


def test_nobody_listens(daemon) -> None:
    daemon.close()
    assert daemon.answer(None).trouble is Trouble.FAILED


def test_no_socket(tmp_path) -> None:
    seen = ask(Eye(), "answer", "", str(tmp_path / "none"), b"", end=b"\0")
    assert seen.trouble is Trouble.MISSING


@pytest.mark.parametrize("address", [("127.0.0.1", 70_000), ("a..b", 1), "/x" * 200])
def test_an_address_that_is_none(address) -> None:
    seen = ask(Eye(), "answer", "", address, b"", end=b"\0")
    assert seen.trouble is Trouble.FAILED
    assert seen.errors


def test_by_port() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        seen = ask(Eye(), "answer", "", ("127.0.0.1", port), b"", end=b"\0")
        assert seen.trouble is Trouble.FAILED
