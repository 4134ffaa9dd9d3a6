"""`hullmark change-control`"""

from __future__ import annotations

from collections.abc import Iterator

import click

from hullmark.cli import door, failure, show
from hullmark.cli.client import new_request_id
from hullmark.cli.options import Asked, online, ticket
from hullmark.cli.words import count, dated, one_line, span
from hullmark.errors import InvalidInput
from hullmark.model.changecontrol import (
    ControlAnswer,
    ControlRemoval,
    ControlRequest,
    ControlRule,
    ControlView,
    FreezeWindow,
)
from hullmark.model.wire import to_wire

PATH = "/v1/change-control"


@click.group(
    no_args_is_help=False,
    epilog="""\b
Example:
  hullmark change-control apply rules.yaml --ticket CHG-881
  hullmark change-control show
""",
)
def command() -> None:
    """What changes need: a ticket, a second person, a time without freeze."""


@command.command(
    short_help="Apply the rules of a file.",
    epilog="""\b
Example:
  hullmark change-control apply rules.yaml --ticket CHG-881

\b
Exit codes: 0 applied, 1 it waits for a second person, as the rules
that hold ask for, 2 failed.
""",
)
@click.argument("file", metavar="FILE")
@ticket
@online
def apply(asked: Asked, file: str, ticket: str) -> None:
    """Apply the rules of FILE (YAML) in place of those that hold. A ticket is always needed."""
    from hullmark.config.changecontrol import load_change_control  # YAML takes its time

    read = load_change_control(file)
    client = door.client(asked)
    request = ControlRequest(read.document, new_request_id(), ticket)
    try:
        answer = client.decoded(ControlAnswer, client.change("PUT", PATH, to_wire(request)))
    except InvalidInput as error:
        raise InvalidInput(read.placed(error.problems), remedy=error.remedy) from error
    if asked.json:
        show.document("change-control-apply", answer)
        return
    failure.warn(answer.warnings)
    what = "applied" if answer.changed else "unchanged"
    show.lines(f"change control  {what}, {count(answer.rules, 'rule')}")


@command.command(
    name="show",
    short_help="Show the rules.",
    epilog="""\b
Example:
  hullmark change-control show
""",
)
@online
def show_rules(asked: Asked) -> None:
    """Show the rules that hold, and which freeze windows hold now."""
    view = door.client(asked).ask(ControlView, PATH)
    if asked.json:
        show.document("change-control", view)
        return
    show.lines(*map(one_line, _lines(view)))
    failure.warn(view.warnings)


@command.command(
    short_help="Ask nothing of changes any more.",
    epilog="""\b
Example:
  hullmark change-control remove --ticket CHG-900
""",
)
@ticket
@online
def remove(asked: Asked, ticket: str) -> None:
    """Remove the rules: changes need nothing any more. A ticket is always needed."""
    client = door.client(asked)
    request = ControlRemoval(new_request_id(), ticket)
    answer = client.decoded(ControlAnswer, client.change("DELETE", PATH, to_wire(request)))
    if asked.json:
        show.document("change-control-remove", answer)
    else:
        show.lines("change control  removed: changes need nothing any more")


def _lines(view: ControlView) -> Iterator[str]:
    if not view.applied:
        yield "there is no change control; next: hullmark change-control apply FILE --ticket TEXT"
        return
    document = view.document
    yield f"applied {dated(view.at)} by {view.by}, ticket {view.ticket}"
    kept, most = span(document.pending_for_s), span(document.break_glass_most_s)
    yield f"waiting changes expire after {kept}; break-glass for {most} at most"
    for rule in document.rules:
        yield f"rule {rule.name}: {_rule(rule)}"
    for window in document.freezes:
        now = "  FROZEN NOW" if window.name in view.frozen else ""
        yield f"freeze {window.name}: {_window(window, document.timezone)}{now}"


def _rule(rule: ControlRule) -> str:
    parts = [
        f"apps {', '.join(rule.apps)}" if rule.apps else "",
        f"changes {', '.join(rule.changes)}" if rule.changes else "any change",
        f"ticket {rule.ticket}" if rule.ticket else "",
        "a second person" if rule.approval else "",
        f"none in {', '.join(rule.freeze)}" if rule.freeze else "",
    ]
    asks = "" if any(parts[2:]) else "; nothing is asked"
    return "; ".join(part for part in parts if part) + asks


def _window(window: FreezeWindow, timezone: str) -> str:
    parts = [
        window.daily,
        f"on {', '.join(window.days)}" if window.days else "",
        f"from {window.begins}" if window.begins else "",
        f"until {window.ends}" if window.ends else "",
        window.timezone or timezone,
    ]
    return " ".join(part for part in parts if part)
