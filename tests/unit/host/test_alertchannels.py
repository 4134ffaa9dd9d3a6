"""What each channel says of an alert."""

from __future__ import annotations

import json
import re
import socket
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from hullmark.core.outagealerts import sentence
from hullmark.host import alertchannels
from hullmark.host.alertchannels import Journal, Syslog, Undelivered, document, mail
from hullmark.model.alert import Alert, AlertWord
from hullmark.model.outage import Outage

OUT = Outage(
    "a1b2",
    "web1",
    "audit-trail-auditd",
    "audit-trail",
    "Audit trail by auditd",
    1_800_000_000.0,
    'auditd is "stopped"]',
    passed_at=1_799_999_990.0,
    remedy="systemctl start auditd",
    requirements=("10.2.1", "10.7.2"),
)
AT = "2027-01-15T08:00:00.000000Z"


def alert(word: AlertWord = AlertWord.BEGAN, outage: Outage = OUT) -> Alert:
    return Alert(
        "a1b2-1", word, outage, 1_800_000_000.0, sentence(outage, word), "web1", incident=7
    )


@dataclass(frozen=True)
class Config:
    alerts_log: str = "none"
    alerts_webhook: str = ""
    alerts_mail_to: tuple[str, ...] = ()
    alerts_mail_from: str = ""
    alerts_mail_server: str = "localhost:25"


@pytest.fixture
def listener(tmp_path: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    made.bind(str(tmp_path / "log"))
    made.settimeout(5.0)
    return made


def test_only_what_is_configured() -> None:
    assert alertchannels.channels(Config(), "web1") == {}
    every = Config("syslog", "https://alerts.example/x", ("soc@example.org",))
    assert list(alertchannels.channels(every, "web1")) == ["syslog", "webhook", "mail"]
    assert list(alertchannels.channels(Config("journal"), "web1")) == ["journal"]


def test_the_journal_gets_fields(listener: socket.socket, tmp_path: Path) -> None:
    Journal(str(tmp_path / "log"))(alert())
    fields = dict(line.split("=", 1) for line in listener.recv(65536).decode().splitlines())
    assert fields["MESSAGE"].startswith("web1: Audit trail by auditd failed: auditd is")
    assert fields["MESSAGE_ID"] == alertchannels.OUT_ID
    assert fields["PRIORITY"] == "2"
    assert fields["SYSLOG_IDENTIFIER"] == "hullmark-agent-alert"
    assert fields["HULLMARK_REQUIREMENTS"] == "10.2.1, 10.7.2"
    assert fields["HULLMARK_INCIDENT"] == "7"
    assert fields["HULLMARK_BEGAN"] == AT
    over = alert(AlertWord.RECOVERED, replace(OUT, ended=1_800_000_060.0))
    Journal(str(tmp_path / "log"))(over)
    text = listener.recv(65536).decode()
    assert f"MESSAGE_ID={alertchannels.OVER_ID}\nPRIORITY=5\n" in text


def test_syslog_gets_rfc_5424(listener: socket.socket, tmp_path: Path) -> None:
    Syslog("web1", str(tmp_path / "log"))(alert())
    text = listener.recv(65536).decode()
    head = rf"<114>1 {AT} web1 hullmark-agent-alert [0-9]+ {alertchannels.OUT_ID} "
    assert re.match(head + r"\[hullmark@32473 alert=\"a1b2-1\" event=\"outage.began\" ", text)
    assert r'reason="auditd is \"stopped\"\]"' in text
    assert text.endswith("What to do: systemctl start auditd")


def test_a_socket_that_is_not_there_is_tried_again(tmp_path: Path) -> None:
    with pytest.raises(Undelivered) as found:
        Journal(str(tmp_path / "none"))(alert())
    assert found.value.again


def test_a_webhook_gets_json() -> None:
    found = json.loads(json.dumps(document(alert())))
    assert found["schema"] == "hullmark.alert/1"
    assert found["text"] == alert().text
    assert (found["alert"], found["event"], found["incident"]) == ("a1b2-1", "outage.began", 7)
    assert (found["control"], found["status"], found["planned"]) == (
        "audit-trail-auditd",
        "fail",
        False,
    )
    assert found["requirements"] == ["10.2.1", "10.7.2"]
    assert found["began"] == AT
    assert found["sender"] == {"machine": "web1", "part": "agent"}


def test_a_mail_has_no_header_that_an_alert_could_make() -> None:
    outage = replace(OUT, title="x\r\nBcc: eve@example.org", reason="a\nb" * 300)
    made = mail(alert(outage=outage), "hullmark@web1", ("soc@example.org", "ops@example.org"))
    text = made.as_bytes().decode()
    head, _, body = text.partition("\r\n\r\n")
    assert "Bcc:" not in made
    assert "\r\nBcc" not in head
    assert made["To"] == "soc@example.org, ops@example.org"
    assert made["Message-ID"] == "<a1b2-1@web1.hullmark>"
    assert made["Auto-Submitted"] == "auto-generated"
    assert len(made["Subject"]) < 200
    assert "hullmark outages show 7" in body
