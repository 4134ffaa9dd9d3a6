"""`hullmark exec`"""

from __future__ import annotations

import base64
import binascii
import sys
from typing import BinaryIO, Optional

import click

from hullmark.cli import door, show
from hullmark.cli.client import new_request_id
from hullmark.cli.options import Asked, online
from hullmark.cli.options import ticket as with_ticket
from hullmark.cli.target import parse
from hullmark.cli.words import duration
from hullmark.errors import MasterUnavailable, UsageError, by_name
from hullmark.model.execution import LIMIT_MOST_S, LIMIT_S, ExecRecord, ExecRequest
from hullmark.model.wire import to_wire

EPILOG = """\b
Example:
  hullmark exec shop/web -- ls -l /srv
  hullmark exec shop/db.1 --ticket OPS-7 --timeout 10m -- pg_dump shop

\b
Exit codes: those of the command. Where it was not run, or not to its end,
standard error says so: 2 refused or failed, 3 no answer, 64 wrong usage.
"""


def _no_terminal(context: click.Context, option: click.Parameter, given: bool) -> None:
    if given and not context.resilient_parsing:
        raise UsageError(
            "there is no terminal and no input for a command here",
            remedy="leave -i and -t away, and give the command all that it needs as its arguments",
        )


@click.command(epilog=EPILOG)
@click.argument("target", metavar="TARGET")
@click.argument("words", nargs=-1, required=True, metavar="-- CMD [ARG]...")
@with_ticket
@click.option("--reason", default="", metavar="TEXT", help="Why, in words, for the record.")
@click.option(
    "--timeout",
    default="",
    metavar="DURATION",
    help=f"Kill it after so long, {LIMIT_MOST_S / 60:g}m at most; {LIMIT_S:g}s if not given.",
)
@click.option(
    "--user", default="", metavar="USER[:GROUP]", help="As whom; the container's own if not given."
)
@click.option("--workdir", default="", metavar="DIR", help="In which folder of the container.")
@click.option("-i", "-t", is_flag=True, hidden=True, expose_value=False, callback=_no_terminal)
@online
def command(
    asked: Asked,
    target: str,
    words: tuple[str, ...],
    ticket: str,
    reason: str,
    timeout: str,
    user: str,
    workdir: str,
) -> int:
    """Run CMD in a container of TARGET: APP/SERVICE, or APP/SERVICE.SLOT.

    Only where the policy of its host allows it. It gets no input and no terminal. The audit log keeps who ran what, why and
    how it ended; what it writes is kept nowhere. With --output json each part of it is a document.
    """
    found = parse(target)
    if not found.service:
        raise UsageError(f"which service of {found.app}?", remedy=f"hullmark ps {found.app}")
    request = ExecRequest(
        found.service,
        words,
        new_request_id(),
        found.slot,
        user,
        workdir,
        duration(timeout, "--timeout") if timeout else LIMIT_S,
        ticket,
        reason,
    )
    client = door.client(asked)
    say = _document if asked.json else _output
    for record in client.once(ExecRecord, f"/v1/apps/{found.app}/exec", to_wire(request)):
        if record.error:
            raise by_name(record.kind, record.error, record.remedy)
        say(record)
        if record.exit_code is not None:
            return record.exit_code
    raise MasterUnavailable(
        "the answer ended before the command did; whether it goes on is not known",
        remedy="look in the audit log of its host",
    )


def _document(record: ExecRecord) -> None:
    show.record("exec", record)


def _output(record: ExecRecord) -> None:
    """Bytes as they are: what is written may be no text."""
    stream: Optional[BinaryIO] = {"stdout": sys.stdout.buffer, "stderr": sys.stderr.buffer}.get(
        record.stream
    )
    if stream is not None:
        stream.write(_bytes(record))
        stream.flush()


def _bytes(record: ExecRecord) -> bytes:
    try:
        return base64.b64decode(record.data, validate=True)
    except (ValueError, binascii.Error):
        return b""
