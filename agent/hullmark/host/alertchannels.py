"""Where alerts go: the journal or syslog, a webhook, mail. Each sends one alert once, and says what came of it.

Nothing is contacted that is not configured. What an alert says was scrubbed before; what is said of a failure never has a webhook's
path, which may be a secret.
"""

from __future__ import annotations

import os
import smtplib
import ssl
from collections.abc import Mapping
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from typing import Any, Callable, Protocol

from hullmark.host.logsocket import (
    ENTERPRISE,
    JOURNAL,
    SYSLOG,
    LogSocket,
    destination,
    escaped,
    journal_field,
)
from hullmark.model.alert import Alert, AlertWord
from hullmark.model.moments import moment

SCHEMA = "hullmark.alert/1"
OUT_ID = "6f0ad7e4c1a84b3f9b5c3a0e52d1f020"
OVER_ID = "6f0ad7e4c1a84b3f9b5c3a0e52d1f021"
"""MESSAGE_ID of alerts that a control is out, and that one recovered. They never change: people search for them."""
CONNECT_S, ANSWER_S = 5.0, 10.0
_FACILITY = 14
"""Log alert (RFC 5424)."""
_CRITICAL, _NOTICE = 2, 5
_OK = range(200, 300)
_LATER = frozenset([408, 425, 429, *range(500, 600)])
_SUBJECT_MOST = 160


class Undelivered(Exception):
    """`again`: it may go well later."""

    def __init__(self, why: str, *, again: bool = True) -> None:
        super().__init__(why)
        self.why, self.again = why, again


class Configured(Protocol):
    """The keys of agent.yaml and master.yaml."""

    @property
    def alerts_log(self) -> str: ...
    @property
    def alerts_webhook(self) -> str: ...
    @property
    def alerts_mail_to(self) -> tuple[str, ...]: ...
    @property
    def alerts_mail_from(self) -> str: ...
    @property
    def alerts_mail_server(self) -> str: ...


Channel = Callable[[Alert], None]
"""Raises Undelivered. Called by one thread."""


def channels(config: Configured, host: str) -> Mapping[str, Channel]:
    """What is configured, by name."""
    found: dict[str, Channel] = {}
    log = destination(config.alerts_log)
    if log == "journal":
        found[log] = Journal()
    elif log == "syslog":
        found[log] = Syslog(host)
    if config.alerts_webhook:
        found["webhook"] = Webhook(config.alerts_webhook)
    if config.alerts_mail_to:
        sender = config.alerts_mail_from or f"hullmark@{host}"
        found["mail"] = Mail(config.alerts_mail_server, sender, config.alerts_mail_to)
    return found


def fields(alert: Alert) -> Mapping[str, str]:
    """What machines look for, without what is empty."""
    outage = alert.outage
    found = {
        "alert": alert.alert_id,
        "event": f"outage.{alert.word.value}",
        "host": outage.host,
        "control": outage.control_id,
        "function": outage.function,
        "title": outage.title,
        "status": "recovered" if outage.ended else outage.status,
        "reason": outage.reason,
        "remedy": outage.remedy,
        "outage": outage.outage_id,
        "incident": str(alert.incident or ""),
        "began": moment(outage.began),
        "passed_at": moment(outage.passed_at) if outage.passed_at else "",
        "ended": moment(outage.ended) if outage.ended else "",
        "planned": "yes" if outage.planned else "",
        "ticket": outage.ticket,
        "requirements": ", ".join(outage.requirements),
        "more": ", ".join(alert.more),
    }
    return {key: value for key, value in found.items() if value}


def _priority(alert: Alert) -> int:
    return _NOTICE if alert.word is AlertWord.RECOVERED else _CRITICAL


def _message_id(alert: Alert) -> str:
    return OVER_ID if alert.word is AlertWord.RECOVERED else OUT_ID


class Journal:
    def __init__(self, path: str = JOURNAL) -> None:
        self._socket = LogSocket(path)

    def __call__(self, alert: Alert) -> None:
        found = {
            "MESSAGE": alert.text,
            "MESSAGE_ID": _message_id(alert),
            "PRIORITY": str(_priority(alert)),
            "SYSLOG_FACILITY": str(_FACILITY),
            "SYSLOG_IDENTIFIER": f"hullmark-{alert.origin}-alert",
        }
        found.update((f"HULLMARK_{key.upper()}", value) for key, value in fields(alert).items())
        _put(self._socket, b"".join(journal_field(key, value) for key, value in found.items()))


class Syslog:
    def __init__(self, host: str, path: str = SYSLOG) -> None:
        self._host, self._socket = host, LogSocket(path)

    def __call__(self, alert: Alert) -> None:
        head = (
            f"<{_FACILITY * 8 + _priority(alert)}>1 {moment(alert.at)} {self._host} "
            f"hullmark-{alert.origin}-alert {os.getpid()} {_message_id(alert)}"
        )
        pairs = "".join(f' {key}="{escaped(value)}"' for key, value in fields(alert).items())
        text = f"{head} [hullmark@{ENTERPRISE}{pairs}] {alert.text}"
        _put(self._socket, text.encode("utf-8", "replace"))


def _put(to: LogSocket, data: bytes) -> None:
    try:
        to.send(data)
    except OSError as error:
        raise Undelivered(error.strerror or "the socket takes nothing") from error


def document(alert: Alert) -> Mapping[str, Any]:
    """What a webhook gets. `text` is there for chats that show just that."""
    found: dict[str, Any] = {"schema": SCHEMA, "text": alert.text, **fields(alert)}
    found["requirements"] = list(alert.outage.requirements)
    found["planned"] = alert.outage.planned
    found["more"] = list(alert.more)
    found["at"] = moment(alert.at)
    found["sender"] = {"machine": alert.sender, "part": alert.origin}
    if alert.incident:
        found["incident"] = alert.incident
    return found


class Webhook:
    def __init__(self, url: str) -> None:
        self._url = url

    def __call__(self, alert: Alert) -> None:
        import requests  # noqa: PLC0415 - half of what the thread needs in memory, and only where it is configured

        try:
            with requests.post(
                self._url,
                json=document(alert),
                headers={"User-Agent": f"hullmark-{alert.origin}"},
                timeout=(CONNECT_S, ANSWER_S),
                allow_redirects=False,
                auth=_unchanged,
                stream=True,
            ) as answer:
                code = answer.status_code
        except requests.exceptions.Timeout as error:
            raise Undelivered("no answer in time") from error
        except requests.exceptions.SSLError as error:
            raise Undelivered("its certificate is not accepted, or there is no TLS") from error
        except (requests.exceptions.RequestException, ValueError) as error:
            # Its own text would have the whole URL.
            raise Undelivered(f"can't be reached ({type(error).__name__})") from error
        if code not in _OK:
            raise Undelivered(f"it answered {code}", again=code in _LATER)


def _unchanged(request: Any) -> Any:
    """No user and password from a ~/.netrc."""
    return request


def mail(alert: Alert, sender: str, to: tuple[str, ...]) -> EmailMessage:
    made = EmailMessage(policy=SMTP)
    subject = (
        alert.text if len(alert.text) <= _SUBJECT_MOST else alert.text[: _SUBJECT_MOST - 3] + "..."
    )
    made["From"], made["To"], made["Subject"] = sender, ", ".join(to), f"[hullmark] {subject}"
    made["Date"] = formatdate(alert.at)
    made["Message-ID"] = f"<{alert.alert_id}@{alert.sender}.hullmark>"
    made["Auto-Submitted"] = "auto-generated"
    rows = "".join(f"{key + ':':<14}{_one_line(value)}\n" for key, value in fields(alert).items())
    asks = f"hullmark outages show {alert.incident or ''}".rstrip()
    made.set_content(f"{alert.text}\n\n{rows}\nMore: {asks}\n")
    return made


def _one_line(value: str) -> str:
    return "".join(each if each.isprintable() else " " for each in value)


class Mail:
    """TLS where the server offers it, as mail servers do among each other: without it being known who answers. There is nothing
    secret in an alert."""

    def __init__(self, server: str, sender: str, to: tuple[str, ...]) -> None:
        host, _, port = server.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        self._sender, self._to = sender, to

    def __call__(self, alert: Alert) -> None:
        message = mail(alert, self._sender, self._to)
        try:
            with smtplib.SMTP(self._host, self._port, timeout=ANSWER_S) as server:
                server.ehlo_or_helo_if_needed()
                if server.has_extn("starttls"):
                    server.starttls(context=_opportunistic())
                refused = server.send_message(message, self._sender, list(self._to))
        except smtplib.SMTPResponseException as error:
            again = 400 <= error.smtp_code < 500 or error.smtp_code < 0
            raise Undelivered(f"the server answered {error.smtp_code}", again=again) from error
        except smtplib.SMTPRecipientsRefused as error:
            again = any(400 <= code < 500 for code, _ in error.recipients.values())
            raise Undelivered("the server takes mail for none of them", again=again) from error
        except (smtplib.SMTPException, OSError, ValueError) as error:
            why = getattr(error, "strerror", "") or type(error).__name__
            raise Undelivered(f"the server can't be reached or does not answer ({why})") from error
        if refused:
            raise Undelivered(
                f"the server does not take mail for {len(refused)} of them", again=False
            )


def _opportunistic() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
