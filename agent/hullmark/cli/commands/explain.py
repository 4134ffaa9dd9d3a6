"""`hullmark explain`"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from hullmark.cli import door, show
from hullmark.cli.obstacles import alike, obstacle_lines, slot_names
from hullmark.cli.options import Asked, online
from hullmark.cli.table import width, wrapped
from hullmark.cli.target import parse
from hullmark.cli.words import count, one_line
from hullmark.errors import EXIT_DEGRADED, EXIT_OK
from hullmark.model.explanation import Explanation, ServiceExplanation, SlotExplanation

EPILOG = """\b
Example:
  hullmark explain shop
  hullmark explain shop/api
  hullmark explain shop/api --output json

\b
Exit codes: 0 all is as it should be, 1 not so.
"""
INDENT = "  "
GROUPS_SHOWN = 8
"""Of a service's slots that lack the same; the JSON document has all of them."""


@click.command(epilog=EPILOG)
@click.argument("what", metavar="APP[/SERVICE]")
@online
def command(asked: Asked, what: str) -> int:
    """Say why instances are not as they should be, filter by filter, and what would mend it."""
    app = parse(what).app
    query = {"service": what.partition("/")[2]}
    found = door.client(asked).ask(Explanation, f"/v1/apps/{app}/explain", query)
    if asked.json:
        show.document("explain", found)
    else:
        show.lines(*_lines(found, width()))
    well = not found.notes and not any(service.slots for service in found.services)
    return EXIT_OK if well and found.state != "failed" else EXIT_DEGRADED


def _lines(found: Explanation, columns: int) -> Iterator[str]:
    yield f"{found.app}  {found.state}, generation {found.generation}"
    for note in found.notes:
        yield from wrapped(note, columns)
    for service in found.services:
        yield from _service(found.app, service, columns)


def _service(app: str, service: ServiceExplanation, columns: int) -> Iterator[str]:
    numbers = f"{service.running} of {service.wanted} running"
    if service.serving < service.running:
        numbers += f", {service.serving} of them serve"
    done = not service.slots and service.running < service.wanted
    yield f"{app}/{service.service}  {'completed' if done else numbers}"
    groups = alike(service.slots)
    for group in groups[:GROUPS_SHOWN]:
        yield from _group(group, columns)
    if len(groups) > GROUPS_SHOWN:
        rest = sum(len(group) for group in groups[GROUPS_SHOWN:])
        yield f"  and {count(rest, 'more slot')}: hullmark ps {app}"


def _group(group: Sequence[SlotExplanation], columns: int) -> Iterator[str]:
    first = group[0]
    place = f" on {first.host}" if first.host else ""
    who = f"{slot_names([slot.slot for slot in group])}{place}: " if first.slot else ""
    yield from wrapped(f"{who}{first.why}", columns)
    inner = columns - len(INDENT) if columns else 0
    for line in obstacle_lines(first.refusals, inner):
        yield INDENT + line
    if first.nearest:
        yield from _titled("Nearest: ", first.nearest, columns)
    for number, text in enumerate(first.commands):
        yield INDENT + ("Or:      " if not number else " " * 9) + one_line(text)


def _titled(title: str, text: str, columns: int) -> Iterator[str]:
    head, *rest = wrapped(text, columns, INDENT + " " * len(title))
    yield f"{INDENT}{title}{head.strip()}"
    yield from rest
