"""`hullmark outages`"""

from __future__ import annotations

import sys
import time
from typing import Any, Optional

import click

from hullmark.cli import show
from hullmark.cli.daemon import AGENT_FILE
from hullmark.cli.options import Asked, Decorated, online, ticket
from hullmark.cli.outagesource import Source, source
from hullmark.cli.outagetext import HEADS, check, is_bad, lines, row
from hullmark.cli.table import table, width
from hullmark.cli.words import duration
from hullmark.errors import EXIT_DEGRADED, EXIT_OK, EXIT_UNKNOWN, HullmarkError, UsageError
from hullmark.model.outage import NOTE_LENGTH_MOST, NOTES

LISTED = 200
_META = "hullmark.outages."


def _keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Before the command's name or after it."""
    if value:
        context.meta[_META + str(parameter.name)] = value


def local(function: Decorated) -> Decorated:
    """Which host's, where no master is asked."""
    here = click.option(
        "--local",
        is_flag=True,
        expose_value=False,
        callback=_keep,
        help="Of this host, by its own agent; no master is asked.",
    )
    config = click.option(
        "--config",
        metavar="FILE",
        expose_value=False,
        callback=_keep,
        help=f"This host's agent's, where that is not {AGENT_FILE}.",
    )
    return config(here(function))


NUMBER = click.IntRange(1, 999_999_999)


@click.group(
    invoke_without_command=True,
    no_args_is_help=False,
    epilog="""\b
Example:
  hullmark outages
  hullmark outages show 12
  hullmark outages ack 12
  hullmark outages note 12 --topic cause 'logrotate filled /var'

\b
Exit codes of the list: 0 no control is out, 1 one is, 3 nobody
answers.
""",
)
@local
@online
@click.pass_context
def command(context: click.Context, asked: Asked) -> None:
    """Incidents: the times in which controls failed, and what people said of them. Without a command those that last are listed.

    Without a master on this machine, and without --master, this host's own are listed.
    """
    if context.invoked_subcommand is None:
        # What a group returns is lost in click 8.0, which Ubuntu 22.04 has.
        context.exit(_list(asked, {"open": True}, nagios=False))


@command.command(
    name="list",
    short_help="List those that last; with --all others too.",
    epilog="""\b
Example:
  hullmark outages list --all --since 7d
  hullmark outages list --host web1
  hullmark outages list --nagios

\b
Exit codes: 0 no control is out, 1 one is, 3 nobody answers. With
--nagios: 0 none, 1 all that are out are acknowledged, 2 one is not,
3 nobody answers.
Planned ones count for neither.
""",
)
@click.option("--all", "every", is_flag=True, help="Also those that are over.")
@click.option(
    "--since", metavar="DURATION", help="With --all: that lasted in this time, such as 7d."
)
@click.option("--host", metavar="HOST", default="", help="Only those of this host.")
@click.option("--limit", type=click.IntRange(1, 1000), default=LISTED, show_default=True)
@click.option("--nagios", is_flag=True, help="One line, and exit codes as monitoring systems have.")
@local
@online
def list_outages(
    asked: Asked,
    every: bool,
    since: Optional[str],
    host: str,
    limit: int,
    nagios: bool,
) -> int:
    """List incidents, the newest first."""
    began = time.time() - duration(since, "--since") if since else 0.0
    query = {"open": not every, "host": host, "since": began, "limit": limit}
    return _list(asked, query, nagios=nagios)


def _source(asked: Asked) -> Source:
    said = click.get_current_context().meta
    config = said.get(f"{_META}config")
    return source(asked, local=f"{_META}local" in said or bool(config), config=config or AGENT_FILE)


def _list(asked: Asked, query: dict[str, object], *, nagios: bool) -> int:
    if nagios:
        return _check(asked, query)
    found = _source(asked).listed(query)
    if asked.json:
        show.document("outages", found)
    elif found.incidents:
        now = time.time()
        show.lines(*table(HEADS, (row(one, now) for one in found.incidents), width()))
        if found.more:
            show.lines("there are older ones: --limit, --since")
    else:
        show.lines("no control is out" if query.get("open") else "there are none")
    return EXIT_DEGRADED if any(map(is_bad, found.incidents)) else EXIT_OK


def _check(asked: Asked, query: dict[str, object]) -> int:
    """Whoever reads this looks at standard output and at the exit code alone."""
    try:
        found = _source(asked).listed({**query, "open": True, "limit": 1000})
    except UsageError:
        raise
    except HullmarkError as error:
        show.lines(f"OUTAGES UNKNOWN - {' '.join(error.message.split())}")
        return EXIT_UNKNOWN
    code, text = check(found.incidents, time.time())
    show.lines(text)
    return code


@command.command(
    name="show",
    short_help="Show one, with what is missing of its record.",
    epilog="""\b
Example:
  hullmark outages show 12
""",
)
@click.argument("number", type=NUMBER)
@local
@online
def show_outage(asked: Asked, number: int) -> None:
    """Show incident NUMBER: its outages, and what PCI DSS 10.7.3 asks to be recorded of it. OPEN is what nobody has told yet."""
    found = _source(asked).shown(number)
    if asked.json:
        show.document("incident", found)
    else:
        show.lines(*lines(found, time.time(), width()))


@command.command(
    short_help="Acknowledge one: you deal with it.",
    epilog="""\b
Example:
  hullmark outages ack 12
  hullmark outages ack 12 --ticket INC-4711
""",
)
@click.argument("number", type=NUMBER)
@ticket
@local
@online
def ack(asked: Asked, number: int, ticket: str) -> None:
    """Acknowledge incident NUMBER. It is not alerted each day any more; it lasts until its controls pass."""
    found = _source(asked).acknowledge(number, ticket)
    if asked.json:
        show.document("incident", found, changed=True)
    else:
        show.lines(f"incident {found.number} is acknowledged by {found.acknowledged_by}")


@command.command(
    short_help="Add a note: cause, remediation, ...",
    epilog="""\b
Example:
  hullmark outages note 12 --topic cause 'logrotate filled /var'
  hullmark outages note 12 --topic prevention - < prevention.txt
  hullmark outages note 12 'vendor case 883'

\b
Topics: cause, remediation, issues (security issues that arose, and how
they were addressed), risk (whether more has to be done), prevention.
""",
)
@click.argument("number", type=NUMBER)
@click.argument("text")
@click.option("--topic", type=click.Choice(list(NOTES)), help="What it tells; left out: a remark.")
@local
@online
def note(asked: Asked, number: int, text: str, topic: Optional[str]) -> None:
    """Add TEXT to the record of incident NUMBER; `-` reads it from standard input. Notes are not changed or removed later."""
    said = sys.stdin.read(NOTE_LENGTH_MOST + 1) if text == "-" else text
    if not said.strip() or len(said) > NOTE_LENGTH_MOST:
        raise UsageError(f"a note has 1 to {NOTE_LENGTH_MOST} characters")
    found = _source(asked).put_note(number, topic or "", said.strip())
    if asked.json:
        show.document("incident", found, changed=True)
        return
    left = [one for one in found.missing if one in NOTES]
    show.lines(f"noted; still open: {', '.join(left)}" if left else "noted; its record is complete")
