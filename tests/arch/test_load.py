"""The client that measures: what it calls a failure is none of its own."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from tests import load

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


@pytest.fixture
def closing(request: pytest.FixtureRequest) -> Iterator[int]:
    """The port of a server that says its last word and shuts its side at once, and then neither reads nor closes: so a proxy looks whose server is gone."""
    with socket.create_server(("127.0.0.1", 0)) as listener, contextlib.ExitStack() as stack:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    wire = stack.enter_context(listener.accept()[0])
                    answer: bytes = request.param
                    if answer:
                        wire.recv(65536)
                    # In one piece with the end, as it is seen by whoever comes to look a moment later.
                    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
                    wire.sendall(answer)
                    wire.shutdown(socket.SHUT_WR)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize("closing", [ANSWER], indirect=True)
def test_an_end_that_comes_with_the_answer_is_seen(
    closing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = run(closing, monkeypatch)
    assert outcome.failures == []
    assert outcome.answers == {"hi": 5}
    assert outcome.reopened > 0
    assert outcome.resent == 0


def test_a_request_that_is_lost_on_a_kept_connection_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    with listener.accept()[0] as wire:
                        wire.settimeout(1)
                        wire.recv(65536)
                        wire.sendall(ANSWER)
                        wire.recv(65536)  # and hangs up

        thread = threading.Thread(target=serve)
        thread.start()
        outcome = run(listener.getsockname()[1], monkeypatch)
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert outcome.answers == {"hi": 5}
    assert (outcome.reopened, outcome.resent) == (4, 4)


@pytest.mark.parametrize("closing", [b""], indirect=True)
def test_an_end_that_comes_before_the_request_is_seen(
    closing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = run(closing, monkeypatch)
    assert outcome.reasons == {"closed after 0 bytes of the answer": 5}


def run(port: int, monkeypatch: pytest.MonkeyPatch) -> load.Outcome:
    """Five requests, one after the other, over connections that are kept."""
    monkeypatch.setattr(load, "PATIENCE_S", 0.5)
    monkeypatch.setattr(load, "LANES", 1)
    client = load.Client(load.Aim("127.0.0.1", port, rate=20.0, kept=True))
    begin = client._begin

    def begun() -> None:
        begin()
        client.is_stopped = client.sent == 5

    monkeypatch.setattr(client, "_begin", begun)
    return client.run()
