"""`hullmark plan`"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import click

from hullmark.cli import composefiles, door, failure, show
from hullmark.cli.composefiles import Project
from hullmark.cli.obstacles import alike, obstacle_lines
from hullmark.cli.options import Asked, online
from hullmark.cli.table import width, wrapped
from hullmark.cli.words import one_line
from hullmark.errors import EXIT_DEGRADED, EXIT_OK
from hullmark.model.api import Difference, PlanAnswer, PlanRequest
from hullmark.model.explanation import SlotExplanation
from hullmark.model.foresight import PolicyRefusal
from hullmark.model.wire import to_wire

EPILOG = """\b
Example:
  hullmark plan compose.yaml
  hullmark plan compose.yaml --output json

\b
Exit codes: 0 nothing would change, 1 something would.
"""
_CONTENT = re.compile(r"\b(content_b64|sha256|size_bytes)$")
NAMED = 5
"""Of the instances that lack the same."""
_SIGNS = {"create": "+", "remove": "-", "replace": "!", "scale": "~", "change": "~", "none": " "}


@click.command(epilog=EPILOG)
@composefiles.project
@online
def command(asked: Asked, project: Project) -> int:
    """Show what `apply` would change, and change nothing."""
    loaded = composefiles.load(project)
    client = door.client(asked)
    with composefiles.placing(loaded):
        text = client.change("POST", "/v1/plan", to_wire(PlanRequest(loaded.app)))
    answer = client.decoded(PlanAnswer, text)
    warnings = tuple(dict.fromkeys((*loaded.warnings, *answer.warnings)))
    if asked.json:
        fields = {
            "app": loaded.app.name,
            "changed": answer.changed,
            "generation": answer.generation,
            "differences": answer.differences,
            "unplaced": answer.unplaced,
            "stuck": answer.stuck,
            "refused": answer.refused,
            "unjudged": answer.unjudged,
            "warnings": warnings,
        }
        show.document("plan", fields)
    else:
        failure.warn(text for text in warnings if text not in loaded.notes)
        show.lines(*_lines(loaded.app.name, answer))
    return EXIT_DEGRADED if answer.changed else EXIT_OK


def _lines(app: str, answer: PlanAnswer) -> Iterator[str]:
    if not answer.changed:
        yield f"{app}  nothing would change, generation {answer.generation}"
        return
    yield f"{app}  would become generation {answer.generation}"
    for item in answer.differences:
        yield from _difference(item, width())
    for slots in alike(answer.stuck):
        yield from _stuck(slots, width())
    for refusal in answer.refused:
        yield from _refused(refusal, width())
    for text in answer.unjudged:
        yield from wrapped(f"what the policy would say is not known of {text}", width(), "")


def _stuck(slots: Sequence[SlotExplanation], columns: int) -> Iterator[str]:
    """Slots of one service that lack the same."""
    first = slots[0]
    names = ", ".join(slot.name.partition("/")[2] for slot in slots[:NAMED])
    names += f" and {len(slots) - NAMED} more" if len(slots) > NAMED else ""
    yield one_line(f"{names} would stay on {first.host}" if first.host else f"no place for {names}")
    if first.refusals:
        yield from (f"  {line}" for line in obstacle_lines(first.refusals, columns))
    else:
        yield from wrapped(first.why, columns)


def _refused(refusal: PolicyRefusal, columns: int) -> Iterator[str]:
    hosts = ", ".join(refusal.hosts[:NAMED])
    hosts += f" and {len(refusal.hosts) - NAMED} more" if len(refusal.hosts) > NAMED else ""
    yield one_line(f"{refusal.service} would be refused by the policy of {hosts}")
    for reason in refusal.reasons:
        yield from wrapped(reason, columns)


def _difference(item: Difference, columns: int) -> Iterator[str]:
    detail = f"  {item.detail}" if item.detail else ""
    yield one_line(f"{_SIGNS.get(item.action, '?')} {item.action:<8}").ljust(11) + one_line(
        f"{item.subject}{detail}"
    )
    if item.fields:
        yield from wrapped(", ".join(_plain(item.fields)), columns, " " * 13)


def _plain(fields: Iterable[str]) -> Iterator[str]:
    """A file's content is one thing for people; the model has it in three fields."""
    plain = (_CONTENT.sub("content", field) for field in fields)
    return iter(dict.fromkeys(plain))
