"""Webhook and mail by real sockets: what counts as delivered, what is tried again, and what is said of it."""

from __future__ import annotations

import dataclasses
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Callable

import pytest

from hullmark.core.outagealerts import sentence
from hullmark.host import alertchannels
from hullmark.host.alertchannels import Mail, Undelivered, Webhook
from hullmark.model.alert import Alert, AlertWord
from hullmark.model.outage import Outage
from tests.cluster import free_port
from tests.e2e.alertreceivers import Receivers, receivers

OUT = Outage("a1", "web1", "trail", "audit-trail", "Audit trail", 1000.0, "stopped: é\n.\nQUIT")
ALERT = Alert("a1-1", AlertWord.BEGAN, OUT, 1000.0, sentence(OUT, AlertWord.BEGAN), "web1")
TO = ("soc@example.org", "ops@example.org")


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Receivers]:
    with receivers(tmp_path) as made:
        yield made


def undelivered(send: Callable[[], None]) -> Undelivered:
    with pytest.raises(Undelivered) as found:
        send()
    assert "s3cret" not in found.value.why
    return found.value


def test_a_webhook_that_takes_it(told: Receivers) -> None:
    told.hook.answers = [204]
    Webhook(told.hook.url)(ALERT)
    Webhook(told.hook.url)(ALERT)
    (got,) = told.hook.got
    assert got["reason"] == OUT.reason


@pytest.mark.parametrize(
    ("code", "again"), [(500, True), (503, True), (429, True), (404, False), (302, False)]
)
def test_a_webhook_that_does_not(told: Receivers, code: int, again: bool) -> None:
    told.hook.answers = [code]
    error = undelivered(lambda: Webhook(told.hook.url)(ALERT))
    assert (error.why, error.again) == (f"it answered {code}", again)


def test_a_webhook_that_is_not_there_or_has_no_tls(told: Receivers) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}/s3cret"
    assert undelivered(lambda: Webhook(nowhere)(ALERT)).again
    no_tls = undelivered(lambda: Webhook(told.hook.url.replace("http:", "https:"))(ALERT))
    assert no_tls.why.startswith("its certificate is not accepted")
    assert undelivered(lambda: Webhook("https://none.invalid/s3cret")(ALERT)).again


def test_nobodys_password_is_sent_along(
    told: Receivers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login root password hunter2\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    Webhook(told.hook.url)(ALERT)
    assert "Authorization" not in told.hook.headers


def test_a_silent_server_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alertchannels, "ANSWER_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        late = undelivered(lambda: Webhook(f"http://127.0.0.1:{port}/s3cret")(ALERT))
        assert (late.why, late.again) == ("no answer in time", True)
        assert undelivered(lambda: Mail(f"127.0.0.1:{port}", "a@b.c", TO)(ALERT)).again


def test_a_mail_server_that_takes_it(told: Receivers) -> None:
    Mail(told.post.address, "hullmark@web1", TO)(ALERT)
    (got,) = told.post.got
    assert told.post.to == ["<soc@example.org>", "<ops@example.org>"]
    assert got["Message-ID"] == "<a1-1@web1.hullmark>"
    body = got.get_payload(decode=True)
    assert isinstance(body, bytes)
    assert "reason:       stopped: é . QUIT" in body.decode()


@pytest.mark.parametrize(
    ("greeting", "again"),
    [("421 too busy", True), ("554 no service", False), ("hello", True), ("", True)],
)
def test_a_mail_server_that_does_not(greeting: str, again: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            there, _ = listening.accept()
            with there:
                there.sendall(f"{greeting}\r\n".encode() if greeting else b"")

        threading.Thread(target=answer, daemon=True).start()
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        assert undelivered(lambda: Mail(address, "a@b.c", TO)(ALERT)).again is again


def test_recipients_that_are_refused(told: Receivers) -> None:
    told.post.refuses = {"ops@example.org": "550 nobody here"}
    error = undelivered(lambda: Mail(told.post.address, "a@b.c", TO)(ALERT))
    assert (error.why, error.again) == ("the server does not take mail for 1 of them", False)
    assert len(told.post.got) == 1, "the others have it"
    told.post.refuses = dict.fromkeys(TO, "450 later")
    assert undelivered(lambda: Mail(told.post.address, "a@b.c", TO)(ALERT)).again


def test_what_is_sent_twice_has_the_same_id(told: Receivers) -> None:
    for _ in range(2):
        Webhook(told.hook.url)(dataclasses.replace(ALERT))
    assert [got["alert"] for got in told.hook.got] == ["a1-1", "a1-1"]
