"""`hullmark hosts`"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from hullmark.cli import door, show
from hullmark.cli.options import Asked, online
from hullmark.cli.table import table, width, wrapped
from hullmark.cli.words import age
from hullmark.errors import EXIT_DEGRADED, EXIT_OK
from hullmark.model.api import HostList, HostView
from hullmark.model.sizes import in_words

EPILOG = """\b
Example:
  hullmark hosts
  hullmark hosts --output json

\b
Exit codes: 0 all hosts are ready and without problems, 1 not so.
"""
HEADS = ("HOST", "STATE", "HEARD", "INST", "ENGINE", "CPUS", "MEMORY", "OS")


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
    well = all(host.state == "ready" and not host.problems for host in hosts)
    return EXIT_OK if well else EXIT_DEGRADED


def _lines(hosts: Sequence[HostView], columns: int) -> Iterator[str]:
    head, *rows = table(HEADS, [_row(host) for host in hosts], columns)
    yield head
    for host, row in zip(hosts, rows):
        yield row
        for text in _away(host):
            yield from wrapped(text, columns)
        for problem in host.problems:
            yield from wrapped(problem.message, columns)
            if problem.remedy:
                yield from wrapped(f"fix: {problem.remedy}", columns)


def _away(host: HostView) -> Iterator[str]:
    """Why the leader can't say how the host is, and what to do."""
    if host.state not in ("silent", "lost", "never"):
        return
    if host.heard_s is None:
        yield "not heard since this leader began"
    else:
        yield f"not heard for {age(host.heard_s)}; what runs there goes on"
    if host.state != "silent":
        yield f"fix: on {host.name}: hullmark agent run, or see why it can't reach this master"


def _state(host: HostView) -> str:
    """A host that can be heard and has problems is not simply ready."""
    return "troubled" if host.state == "ready" and host.problems else host.state


def _row(host: HostView) -> tuple[str, ...]:
    facts = host.facts
    return (
        host.name,
        _state(host),
        "-" if host.heard_s is None else age(host.heard_s),
        str(host.instances),
        f"{facts.engine} {facts.engine_version}".strip(),
        str(facts.cpus or "-"),
        in_words(facts.memory_bytes) if facts.memory_bytes else "-",
        facts.os,
    )
