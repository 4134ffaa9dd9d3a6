"""`hullmark mark`"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import click

from hullmark.cli import door, failure, show
from hullmark.cli.client import new_request_id
from hullmark.cli.options import Asked, online, ticket
from hullmark.cli.table import table, width, wrapped
from hullmark.cli.words import count, dated, duration, one_line, span
from hullmark.errors import EXIT_DEGRADED, EXIT_OK, InvalidInput, UsageError
from hullmark.model.control import LEVELS
from hullmark.model.loadline import (
    EVERY_CONTROL,
    BrakeView,
    LoadLine,
    LoadLineAnswer,
    LoadLineRemoval,
    LoadLineRequest,
    LoadLineView,
    MarkedHost,
    Override,
    OverrideEnd,
    OverrideRequest,
    Required,
    of_scope,
)
from hullmark.model.scope import CDE
from hullmark.model.wire import to_wire

PATH = "/v1/mark"
OVERRIDES = "/v1/mark/override"
HEADS = ("HOST", "LACKS", "WHY")


@click.group(
    no_args_is_help=False,
    epilog="""\b
Example:
  hullmark mark set mark.yaml --ticket CHG-881
  hullmark mark status
  hullmark mark override audit-trail --ticket INC-52 --for 4h
""",
)
def command() -> None:
    """Which controls a host has to prove before it gets new work."""


@command.command(
    name="show",
    short_help="Show what is asked for.",
    epilog="""\b
Example:
  hullmark mark show
""",
)
@online
def show_mark(asked: Asked) -> None:
    """Show what the cluster asks of its hosts. Apps may ask for more (x-hullmark.require), and what their scope needs is asked for
    by itself."""
    view = door.client(asked).ask(LoadLineView, PATH)
    if asked.json:
        show.document("mark", view)
        return
    show.lines(*map(one_line, _shown(view)))
    failure.warn(view.warnings)


@command.command(
    name="status",
    short_help="Show which hosts miss it, and what waits.",
    epilog="""\b
Example:
  hullmark mark status
  hullmark mark status --output json

\b
Exit codes: 0 all hosts prove it, 1 one does not, or the brake is on.
""",
)
@online
def status(asked: Asked) -> int:
    """Show which hosts get no new work and why, where the brake is on, and what is overridden."""
    view = door.client(asked).ask(LoadLineView, PATH)
    if asked.json:
        show.document("mark", view)
    else:
        show.lines(*_status(view, width()))
        failure.warn(view.warnings)
    return EXIT_DEGRADED if view.hosts or view.brakes else EXIT_OK


@command.command(
    name="set",
    short_help="Set it from a file.",
    epilog="""\b
Example:
  hullmark mark set mark.yaml --ticket CHG-881

\b
Exit codes: 0 set, 1 it waits for a second person, as change control
asks for, 2 failed.
""",
)
@click.argument("file", metavar="FILE")
@ticket
@online
def set_mark(asked: Asked, file: str, ticket: str) -> None:
    """Set the mark of FILE (YAML) in place of the one that holds. Nothing that runs is stopped by it."""
    from hullmark.config.loadline import load_mark  # YAML takes its time

    read = load_mark(file)
    client = door.client(asked)
    request = LoadLineRequest(read.line, new_request_id(), ticket)
    try:
        answer = client.decoded(LoadLineAnswer, client.change("PUT", PATH, to_wire(request)))
    except InvalidInput as error:
        raise InvalidInput(read.placed(error.problems), remedy=error.remedy) from error
    what = f"{count(len(read.line.require), 'control')} required"
    _tell(asked, "mark-set", answer, f"set, {what}" if answer.changed else f"unchanged, {what}")


@command.command(
    short_help="Ask nothing of hosts any more.",
    epilog="""\b
Example:
  hullmark mark clear --ticket CHG-900
""",
)
@ticket
@online
def clear(asked: Asked, ticket: str) -> None:
    """Clear the mark: the cluster asks for no control. What apps ask for themselves still counts."""
    answer = _changed(asked, "DELETE", PATH, LoadLineRemoval(new_request_id(), ticket))
    _tell(asked, "mark-clear", answer, "cleared: the cluster asks for no control")


@command.command(
    short_help="Let new work through for some time.",
    epilog="""\b
Example:
  hullmark mark override audit-trail --ticket INC-52
  hullmark mark override audit-trail --ticket INC-52 --for 2h --app shop
  hullmark mark override audit-trail --end
""",
)
@click.argument("control", metavar="CONTROL")
@click.option(
    "--for", "life", metavar="DURATION", default="8h", show_default=True, help="For how long."
)
@click.option("--app", metavar="APP", default="", help="For new work of this app alone.")
@click.option("--end", is_flag=True, help="End it before its time.")
@ticket
@online
def override(asked: Asked, control: str, life: str, app: str, end: bool, ticket: str) -> None:
    """Place new work as if CONTROL were not asked for: where the brake is on and the check is wrong, or in an emergency. A ticket
    is always needed; it is recorded, and stays in the status until it is over."""
    if end:
        body: Any = OverrideEnd(control, new_request_id(), ticket, app)
        _tell(asked, "mark-override", _changed(asked, "DELETE", OVERRIDES, body), "ended")
        return
    if not ticket.strip():
        raise UsageError("an override needs a ticket", remedy="--ticket TEXT")
    body = OverrideRequest(control, new_request_id(), ticket, duration(life, "--for"), app)
    answer = _changed(asked, "POST", OVERRIDES, body)
    whom = f" by app {app}" if app else ""
    _tell(
        asked, "mark-override", answer, f"{control} is not asked for{whom}, for {span(body.for_s)}"
    )


def _changed(asked: Asked, method: str, path: str, body: Any) -> LoadLineAnswer:
    client = door.client(asked)
    return client.decoded(LoadLineAnswer, client.change(method, path, to_wire(body)))


def _tell(asked: Asked, kind: str, answer: LoadLineAnswer, text: str) -> None:
    if asked.json:
        show.document(kind, answer)
        return
    failure.warn(answer.warnings)
    show.lines(f"mark  {text}")


def _shown(view: LoadLineView) -> Iterator[str]:
    if not view.applied:
        yield "no mark is set; next: hullmark mark set FILE"
    else:
        yield f"set {dated(view.at)} by {view.by}" + (
            f", ticket {view.ticket}" if view.ticket else ""
        )
        yield from _line(view.line)
    for each in of_scope(CDE):
        yield f"scope {CDE} requires {_required(each)}: always, for x-hullmark.scope: {CDE}"
    yield from map(_override, view.overrides)


def _line(line: LoadLine) -> Iterator[str]:
    for each in line.require:
        yield f"require {_required(each)}"
    if not line.require:
        yield "nothing is required"
    yield f"brake: more than {line.brake * 100:g} % of the hosts that would do fail one control"
    after = f"what may run elsewhere leaves a host that fails for {span(line.drain_after_s)}"
    yield f"drain: {after if line.drain else 'nothing leaves a host because of it'}"


def _required(each: Required) -> str:
    level = LEVELS.get(each.level, "?")
    return f"{each.control}, level {each.level} ({level}) at least" if each.level else each.control


def _override(word: Override) -> str:
    what = "every control" if word.control == EVERY_CONTROL else word.control
    whom = f" by app {word.app}" if word.app else ""
    until = dated(word.until)
    return f"override: {what} is not asked for{whom} until {until}: {word.by}, ticket {word.ticket}"


def _status(view: LoadLineView, columns: int) -> Iterator[str]:
    if not view.applied:
        yield "no mark is set; what apps ask for themselves (x-hullmark.require), and what their scope needs, counts"
    for brake in view.brakes:
        yield from wrapped(_brake(brake), columns, "")
        yield f"  next: hullmark mark override {brake.control} --ticket TEXT   (if the check is wrong)"
    good = view.hosts_total - len(view.hosts)
    if view.applied:
        yield f"{good} of {count(view.hosts_total, 'host')} prove what the cluster asks for"
    if view.hosts:
        yield from table(HEADS, _rows(view.hosts), columns)
    yield from map(one_line, map(_override, view.overrides))


def _brake(brake: BrakeView) -> str:
    waits = f"; new work of {', '.join(brake.services)} waits" if brake.services else ""
    numbers = f"{brake.failing} of {brake.eligible} hosts that would do"
    return f"BRAKE: {brake.control} fails on {numbers}{waits}"


def _rows(hosts: Sequence[MarkedHost]) -> Iterator[tuple[str, str, str]]:
    for host in hosts:
        for miss in host.misses:
            number = f" (incident #{miss.incident})" if miss.incident else ""
            yield (
                host.host,
                miss.control,
                f"{miss.text}{number}" + (f": {miss.reason}" if miss.reason else ""),
            )
