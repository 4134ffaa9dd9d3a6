"""The daemons' logs: one event per line on standard error or to syslog, a constant message with fields.

    log = get("ledger")
    log.info("orders accepted", epoch="1.4", revision=8)

prints `2026-11-24T01:30:00Z info ledger: orders accepted epoch=1.4 revision=8`, or the same as a JSON object.
Under systemd a line begins with its priority (sd-daemon(3)) instead of the time; to syslog both go beside it (RFC 3164).
Secrets are never given to this module.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import time
from logging.handlers import SysLogHandler
from typing import Any, Callable, TextIO

SYSLOG = "/dev/log"
SYSLOG_S = 0.5
"""How long a line may wait for a syslog that reads slowly."""

AGAIN_S = 3600.0
"""After which a trouble that lasts is told again."""
KINDS_MOST = 20
"""Reasons of one trouble that are told within that time."""

_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}


class Log:
    """A named logger that takes fields. May be used from any thread."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(f"hullmark.{name}")

    def debug(self, message: str, **fields: Any) -> None:
        self._logger.debug(message, extra={"fields": fields})

    def info(self, message: str, **fields: Any) -> None:
        self._logger.info(message, extra={"fields": fields})

    def warning(self, message: str, **fields: Any) -> None:
        self._logger.warning(message, extra={"fields": fields})

    def error(self, message: str, **fields: Any) -> None:
        self._logger.error(message, extra={"fields": fields})

    def exception(self, message: str, **fields: Any) -> None:
        """With the traceback of the error being handled: for what should never happen."""
        self._logger.error(message, extra={"fields": fields}, exc_info=True)


def get(name: str) -> Log:
    return Log(name)


class Seldom:
    """Which lines of a trouble that lasts are told: the first of each kind, and each again hourly. By one thread at a time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told: dict[str, float] = {}

    def is_due(self, kind: str) -> bool:
        """To be told where it is."""
        now = self._clock()
        self._told = {one: at for one, at in self._told.items() if now - at < AGAIN_S}
        if kind in self._told or len(self._told) >= KINDS_MOST:
            return False
        self._told[kind] = now
        return True

    def clear(self) -> None:
        """It is over."""
        self._told.clear()


class Lasting:
    """What is tried again and again, and fails: one line when that begins, one for each other kind of reason, each again hourly while it
    lasts, and one when it is over. `begins` and `over` are the messages; a `grave` one begins as an error. By one thread at a time."""

    def __init__(
        self,
        log: Log,
        begins: str,
        over: str,
        *,
        grave: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._tell = log.error if grave else log.warning
        self._begins = begins
        self._over = over
        self._seldom = Seldom(clock)
        self._tries = 0

    def failed(self, why: str, kind: str = "", **fields: Any) -> None:
        """Reasons of one `kind` are alike, whatever their words."""
        self._tries += 1
        if not self._seldom.is_due(kind):
            return
        if self._tries > 1:
            fields["tries"] = self._tries
        self._tell(self._begins, why=why, **fields)

    def done(self) -> None:
        """Told only where it had failed, with how often."""
        if self._tries:
            self._log.info(self._over, tries=self._tries)
        self._tries = 0
        self._seldom.clear()


def setup(level: str, form: str = "text", to: str = "stderr", tag: str = "hullmark") -> None:
    """Send everything of `hullmark` to standard error, or with `to` `syslog` to syslog under this tag; `form` is `text` or
    `json`. May be called again."""
    under_systemd = _goes_to_the_journal(sys.stderr)
    handler: logging.Handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter(form, _JOURNAL if under_systemd else _PLAIN))
    if to == "syslog":
        handler = _Syslog(f"{tag}[{os.getpid()}]: ", handler)
        handler.setFormatter(_Formatter(form, _SYSLOG))
    logger = logging.getLogger("hullmark")
    for former in logger.handlers:
        former.close()
    logger.handlers = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False


class _Syslog(SysLogHandler):
    """What syslog does not take goes to standard error, so that no line is lost unseen."""

    append_nul = False
    socket: socket.socket  # typeshed leaves it out

    def __init__(self, ident: str, instead: logging.Handler) -> None:
        self.ident = ident
        self._instead = instead
        super().__init__(SYSLOG, SysLogHandler.LOG_DAEMON)

    def _connect_unixsocket(self, address: str) -> None:
        super()._connect_unixsocket(address)  # type: ignore[misc]  # typeshed leaves it out
        self.socket.settimeout(SYSLOG_S)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (logging's name)
        self._instead.handle(record)


def _goes_to_the_journal(stream: TextIO) -> bool:
    """Whether this very stream is the one that systemd connected to its journal (systemd.exec(5)): a shell
    below a unit inherits the variable, but may send our output elsewhere."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


_PLAIN, _JOURNAL, _SYSLOG = "plain", "journal", "syslog"


class _Formatter(logging.Formatter):
    """`reader`: who reads the lines, and so what he knows of them already."""

    def __init__(self, form: str, reader: str) -> None:
        super().__init__()
        self._json = form == "json"
        self._reader = reader

    def format(self, record: logging.LogRecord) -> str:
        level = record.levelname.lower()
        name = record.name.partition(".")[2]
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))
        fields = dict(getattr(record, "fields", {}))
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        message = record.getMessage()
        if self._json:
            line = {"at": at, "level": level, "part": name, "message": message}
            line.update((f"{key}_" if key in line else key, fields[key]) for key in fields)
            return json.dumps(line, default=str)
        tail = "".join(f" {key}={_quoted(value)}" for key, value in fields.items())
        if self._reader == _SYSLOG:
            return f"{name}: {message}{tail}"
        if self._reader == _JOURNAL:
            return f"<{_PRIORITIES.get(level, 6)}>{name}: {message}{tail}"
        return f"{at} {level} {name}: {message}{tail}"


def _quoted(value: Any) -> str:
    """One word as it is, anything else as a JSON string: a field can't begin a line of its own."""
    text = str(value)
    plain = text.isascii() and text.isprintable() and not set(text) & set(' "=')
    return text if text and plain else json.dumps(text)
