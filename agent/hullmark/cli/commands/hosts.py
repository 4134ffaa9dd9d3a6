"""`hullmark hosts`"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from hullmark.cli import door, show
from hullmark.cli.options import Asked, online
from hullmark.cli.table import table, width, wrapped
from hullmark.cli.words import age, dated
from hullmark.errors import EXIT_DEGRADED, EXIT_OK
from hullmark.launchers import start_command
from hullmark.model import scope
from hullmark.model.api import HostList, HostView
from hullmark.model.host import Availability
from hullmark.model.sizes import in_words

EPILOG = """\b
Example:
  hullmark hosts
  hullmark hosts --output json

\b
Exit codes: 0 all hosts are ready and without problems, or in
maintenance, 1 not so.
"""
HEADS = ("HOST", "STATE", "HEARD", "INST", "CONTROLS", "ENGINE", "CPUS", "MEMORY", "OS")


@click.command(epilog=EPILOG)
@online
def command(asked: Asked) -> int:
    """List hosts, how they stand, and what is wrong on them."""
    hosts = door.client(asked).ask(HostList, "/v1/hosts").hosts
    if asked.json:
        show.document("hosts", {"hosts": hosts})
    elif hosts:
        show.lines(*_lines(hosts, width()))
    else:
        show.lines("no host is enrolled; next: hullmark invite HOST")
    well = all(
        host.maintenance is not None or (host.state == "ready" and not host.problems)
        for host in hosts
    )
    return EXIT_OK if well else EXIT_DEGRADED


def _lines(hosts: Sequence[HostView], columns: int) -> Iterator[str]:
    head, *rows = table(HEADS, [_row(host) for host in hosts], columns)
    yield head
    for host, row in zip(hosts, rows):
        yield row
        for text in (*_scope(host), *_set_aside(host), *_away(host)):
            yield from wrapped(text, columns)
        for problem in host.problems:
            yield from wrapped(problem.message, columns)
            if problem.remedy:
                yield from wrapped(f"fix: {problem.remedy}", columns)


def _scope(host: HostView) -> Iterator[str]:
    """Of a host that is no ordinary one."""
    if host.facts.scope == scope.CDE:
        yield "scope cde: only what is in the cardholder data environment runs here"
    elif host.facts.scope == scope.UNKNOWN:
        yield "its policy can't be read: nothing new is placed here"


def _set_aside(host: HostView) -> Iterator[str]:
    """What an operator said of the host, and how far that is."""
    work = host.maintenance
    if work is not None:
        ticket = f", {work.ticket}" if work.ticket else ""
        yield f"in maintenance until {dated(work.until)}, by {work.by}{ticket}"
    if host.availability is Availability.CORDONED:
        yield "cordoned: it keeps what it has, and gets nothing new"
    elif host.availability is Availability.DRAINING:
        yield f"draining: {host.drain}"


def _away(host: HostView) -> Iterator[str]:
    """Why the leader can't say how the host is, and what to do; of one in maintenance that is expected."""
    if host.maintenance is not None or host.state not in ("silent", "lost", "never"):
        return
    text = "not heard since this leader began"
    if host.heard_s is not None:
        text = f"not heard for {age(host.heard_s)}"
    if host.heard_s is not None or host.state == "lost":
        text += "; what runs there goes on"
    yield text
    if host.state != "silent":
        start = start_command("agentd")
        yield f"fix: on {host.name}: {start}, or see why it can't reach this master"


def _row(host: HostView) -> tuple[str, ...]:
    facts = host.facts
    return (
        host.name,
        host.word,
        "-" if host.heard_s is None else age(host.heard_s),
        str(host.instances),
        host.controls.word if host.controls is not None else "-",
        f"{facts.engine} {facts.engine_version}".strip(),
        str(facts.cpus or "-"),
        in_words(facts.memory_bytes) if facts.memory_bytes else "-",
        facts.os,
    )
