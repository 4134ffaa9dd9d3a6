"""`hullmark rollout`"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import click

from hullmark.cli import changing, door, show
from hullmark.cli.absentees import AFTER_S, Absentees, unseen
from hullmark.cli.client import Client, new_request_id
from hullmark.cli.options import Asked, online, quiet, ticket, waiting
from hullmark.cli.polling import HOLD_S, newer
from hullmark.cli.table import table, width, wrapped
from hullmark.cli.target import app_name
from hullmark.cli.waiting import settle
from hullmark.cli.words import duration, moment, one_line
from hullmark.errors import EXIT_DEGRADED, EXIT_OK, HullmarkError
from hullmark.model.api import AppDetail, ApplyAnswer, InstanceView
from hullmark.model.change import Change
from hullmark.model.records import RolloutState
from hullmark.model.rollout import (
    GenerationView,
    HistoryList,
    RolloutAction,
    RolloutAnswer,
    RolloutRequest,
    RolloutView,
)
from hullmark.model.wire import to_wire

HEADS = ("SERVICE", "UPDATED", "GOOD", "FAILED", "OLD", "NEXT")
HISTORY_HEADS = ("GENERATION", "STATE", "WHEN", "BY", "TICKET")
GOES_ON = (RolloutState.ROLLING.value, RolloutState.UNDOING.value)


@click.group(
    no_args_is_help=False,
    epilog="""\b
Example:
  hullmark rollout status shop
  hullmark rollout pause shop
  hullmark rollout undo shop
""",
)
def command() -> None:
    """Changes on their way: see, pause, resume, undo; and the former ones."""


@command.command(
    short_help="How far a change has come.",
    epilog="""\b
Example:
  hullmark rollout status shop
  hullmark rollout status shop --wait --timeout 30m

\b
Exit codes: 0 done, 1 still under way or paused.
""",
)
@click.argument("app")
@click.option("--wait", is_flag=True, help="Wait until it is done, or paused.")
@click.option(
    "--timeout",
    default="10m",
    show_default=True,
    metavar="DURATION",
    help="How long to wait, such as 90s or 5m.",
)
@online
def status(asked: Asked, app: str, wait: bool, timeout: str) -> int:
    """Show how far the newest change of APP has come, service by service, and what it waits for."""
    timeout_s = duration(timeout, "--timeout") if wait else 0.0
    found = _seen(door.client(asked), app_name(app), timeout_s, told=not asked.json)
    if asked.json:
        show.document("rollout", found)
    else:
        show.lines(*_lines(found, width()))
    return EXIT_OK if found.state == RolloutState.DONE.value else EXIT_DEGRADED


@command.command(
    short_help="Stop before the next slots.",
    epilog="""\b
Example:
  hullmark rollout pause shop --ticket CHG-881
""",
)
@click.argument("app")
@ticket
@online
def pause(asked: Asked, app: str, ticket: str) -> None:
    """Stop the change of APP where it is: what has begun goes on, and nothing more is replaced."""
    _change(asked, app, RolloutAction.PAUSE, ticket)


@command.command(
    short_help="Let a paused change go on.",
    epilog="""\b
Example:
  hullmark rollout resume shop
""",
)
@click.argument("app")
@ticket
@online
def resume(asked: Asked, app: str, ticket: str) -> None:
    """Let the paused change of APP go on. What has failed so far does not stop it again; what fails then does."""
    _change(asked, app, RolloutAction.RESUME, ticket)


@command.command(
    short_help="Go back to a former generation.",
    epilog="""\b
Example:
  hullmark rollout undo shop --ticket CHG-882
  hullmark rollout undo shop --to 7

\b
Exit codes: 0 done (with --no-wait: accepted), 1 time is over and
something is still under way, 2 failed, or somebody changed the app
meanwhile.
""",
)
@click.argument("app")
@click.option(
    "--to",
    type=click.IntRange(min=1),
    metavar="GENERATION",
    help="The one to go back to. Without it: the newest one before that was done.",
)
@waiting("10m")
@ticket
@quiet
@online
def undo(
    asked: Asked, app: str, to: int, wait: bool, timeout: str, ticket: str, quiet: bool
) -> int:
    """Make APP what it was in a former generation, as a new one, at the pace of rollback_config.

    Instances that were not replaced since are left alone. Data is not taken back.
    """
    timeout_s = duration(timeout, "--timeout")
    name, client = app_name(app), door.client(asked)
    taken = _asked(
        client, name, RolloutRequest(RolloutAction.UNDO, new_request_id(), to or 0, ticket)
    )
    answer = ApplyAnswer(taken.app, taken.generation, taken.changed)
    waited = None
    if wait:
        waited = changing.wait(
            asked,
            name,
            quiet,
            lambda *seen: settle(client, name, answer.generation, timeout_s, *seen),
        )
    done = f"as in generation {taken.taken_back} again"
    return changing.tell(asked, client, "rollout-undo", answer, waited, quiet, done)


@command.command(
    short_help="List generations.",
    epilog="""\b
Example:
  hullmark rollout history shop
  hullmark rollout history shop --output json
""",
)
@click.argument("app")
@online
def history(asked: Asked, app: str) -> None:
    """List the newest generations of APP: who made each, when, with which ticket, and what it changed."""
    found = door.client(asked).ask(HistoryList, f"/v1/apps/{app_name(app)}/history")
    if asked.json:
        show.document("history", found)
        return
    rows = [_generation(item) for item in found.generations]
    head, *lines = table(HISTORY_HEADS, rows, width())
    show.lines(head)
    for line, item in zip(lines, found.generations):
        show.lines(line)
        for text in item.differences:
            show.lines(*wrapped(text, width()))


def _asked(client: Client, app: str, request: RolloutRequest) -> RolloutAnswer:
    path = f"/v1/apps/{app}/rollout"
    return client.decoded(RolloutAnswer, client.change("POST", path, to_wire(request)))


def _change(asked: Asked, app: str, action: RolloutAction, ticket: str) -> None:
    name, client = app_name(app), door.client(asked)
    answer = _asked(client, name, RolloutRequest(action, new_request_id(), 0, ticket))
    if asked.json:
        show.document("rollout-change", answer)
        return
    already = "" if answer.changed else " already"
    show.lines(f"{answer.app}  generation {answer.generation} is {answer.state}{already}")


def _seen(client: Client, app: str, timeout_s: float, *, told: bool) -> RolloutView:
    """How it stands now, or once it stands still, or time is over. `told`: a host that is lost, and waited for, is named on standard error."""
    path, deadline = f"/v1/apps/{app}/rollout", time.monotonic() + timeout_s
    absentees = Absentees(client if told else None, timeout_s)
    found = client.ask(RolloutView, path)
    while found.state in GOES_ON and time.monotonic() < deadline:
        hold_s = min(HOLD_S, absentees.left_s if absentees.is_due else AFTER_S)
        found = newer(client, RolloutView, path, found.version, hold_s, deadline)
        if told and found.state in GOES_ON and absentees.is_due:
            absentees.awaited(unseen(_instances(client, app)))
    return found


def _instances(client: Client, app: str) -> Sequence[InstanceView]:
    """None where nobody can say."""
    try:
        return client.ask(AppDetail, f"/v1/apps/{app}").instances
    except HullmarkError:
        return ()


def _lines(found: RolloutView, columns: int) -> Iterator[str]:
    yield f"{found.app}  generation {found.generation}  {found.state}{_who(found.change)}"
    if found.undid:
        text = f"generation {found.undid} failed and is taken back: {found.reason}"
        yield from wrapped(text, columns)
    elif found.rolled_back_to:
        yield f"  goes back to generation {found.rolled_back_to}"
    rows = [
        (
            item.service,
            f"{item.updated}/{item.wanted}",
            str(item.good),
            str(item.failed),
            str(item.old + item.away),
            item.next,
        )
        for item in found.services
    ]
    yield from table(HEADS, rows, columns)
    if found.state == RolloutState.PAUSED.value:
        since = f"paused at {moment(found.at)}" if found.at else "paused"
        yield one_line(f"{since}: {found.reason}" if found.reason else since)
        app = found.app
        yield f"  what to do: hullmark rollout resume {app}, or hullmark rollout undo {app}"


def _who(change: Change) -> str:
    ticket = f", ticket {change.ticket}" if change.ticket else ""
    return f"  by {change.by}{ticket}" if change.by else ""


def _generation(item: GenerationView) -> tuple[str, ...]:
    state = item.state
    if item.rolled_back_to:
        state = f"{state}, as {item.rolled_back_to}".lstrip(", ")
    change = item.change
    return str(item.generation), state, moment(change.at), change.by, change.ticket
