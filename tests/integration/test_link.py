"""A master that answers a byte at a time is left for the next one, and one that says nothing is not waited for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hullmark.agentd import link as module
from hullmark.agentd.deadline import SILENT_S, Adapter
from hullmark.agentd.enrolment import Enrolment
from hullmark.agentd.link import Link
from hullmark.errors import MasterUnavailable
from hullmark.model.protocol import REPORT_PATH, ReportAnswer
from tests.integration.slowmaster import SlowMaster

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n"


class FakeIdentity:
    def __init__(self, folder: Path, masters: tuple[str, ...]) -> None:
        self.folder = folder
        self._enrolled = Enrolment("c1", "h1", "box", masters, 0.0, 1e12)

    def usable(self) -> Any:
        return self._enrolled, ((1, 1),)


@pytest.fixture(params=[HEAD, HEAD[:17] + b"X: "], ids=["body", "head"])
def dripping(request: pytest.FixtureRequest) -> Iterator[SlowMaster]:
    with SlowMaster(request.param) as master:
        yield master


def link_to(tmp_path: Path, *masters: str) -> Link:
    for name in ("root.pem", "host.pem", "host.key"):
        (tmp_path / name).touch()
    identity: Any = FakeIdentity(tmp_path, masters)
    return Link(identity)


def test_a_dripping_master_is_left(
    dripping: SlowMaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AMONG_CONNECT_S", 0.3)
    monkeypatch.setattr(module, "ANSWER_S", 0.2)
    link = link_to(tmp_path, dripping.url, "http://127.0.0.1:9")
    began = time.monotonic()
    with pytest.raises(MasterUnavailable, match="not whole after 1 s"):
        link.call(REPORT_PATH, {}, ReportAnswer, 0.5)
    assert time.monotonic() - began < 3.0
    assert dripping.dripped >= 5, "it did send, so that no wait for a byte was long"
    with pytest.raises(MasterUnavailable, match="Connection refused"):
        link.call(REPORT_PATH, {}, ReportAnswer, 0.5)


def test_a_tasks_lines_may_take_their_time_and_what_follows_them_may_not(
    dripping: SlowMaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TASK_TIMEOUT_S", 0.5)
    monkeypatch.setattr(module, "ANSWER_S", 0.2)
    sent: list[float] = []

    def slow() -> Iterator[bytes]:
        for _ in range(3):
            yield b"{}\n"
            time.sleep(0.5)
        sent.append(time.monotonic())

    with pytest.raises(MasterUnavailable, match="stopped listening"):
        link_to(tmp_path, dripping.url).send_task("t1", slow())
    assert 0.5 < time.monotonic() - sent[0] < 3.0
    assert dripping.dripped >= 5


def test_no_connection_waits_without_end(dripping: SlowMaster) -> None:
    """Also where `requests` asks for none, as 2.25 does for a body that is streamed."""
    pool = Adapter().poolmanager.connection_from_url(dripping.url)
    connection = pool._new_conn()
    assert connection.timeout is None
    connection.connect()
    assert connection.sock.gettimeout() == SILENT_S
    connection.close()
