"""What all commands that change an app share: send the change, wait for it, tell how it ended."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, Callable, Optional

from hullmark.cli import show
from hullmark.cli.client import Client
from hullmark.cli.options import Asked
from hullmark.cli.polling import goes_on
from hullmark.cli.progress import Progress, choose
from hullmark.cli.standing import numbers, told
from hullmark.cli.waiting import Outcome, Successor, Waited
from hullmark.cli.words import age, count, one_line
from hullmark.errors import EXIT_DEGRADED, EXIT_FAILED, EXIT_OK, HullmarkError
from hullmark.model.api import ApplyAnswer, InstanceView, LogRecord
from hullmark.model.records import RolloutState

LAST_LINES = 5
INSTANCES_TOLD = 3
OURS = "hullmark"
_EXITS = {
    Outcome.FAILED: EXIT_FAILED,
    Outcome.FAILING: EXIT_FAILED,
    Outcome.SUPERSEDED: EXIT_FAILED,
    Outcome.TIMEOUT: EXIT_DEGRADED,
    Outcome.UNPLACED: EXIT_DEGRADED,
    Outcome.STOPPED: EXIT_FAILED,
    Outcome.UNDONE: EXIT_FAILED,
}
_WORDS = {
    Outcome.SETTLED: "ok",
    Outcome.FAILED: "FAILED",
    Outcome.FAILING: "FAILING",
    Outcome.TIMEOUT: "not done yet",
    Outcome.UNPLACED: "not placed",
    Outcome.STOPPED: "STOPPED",
}


def wait(
    asked: Asked, app: str, quiet: bool, waiting: Callable[[Callable[[Any], None], bool], Waited]
) -> Waited:
    """Wait with progress. `waiting` gets who takes each answer, and whether somebody reads what is said meanwhile."""
    silent = asked.json or quiet
    progress: Progress = choose(silent=silent)
    with goes_on(asked, "the change", f"hullmark ps {app}"), progress:
        return waiting(progress.seen, not silent)


def tell(
    asked: Asked,
    client: Client,
    name: str,
    answer: ApplyAnswer,
    waited: Optional[Waited],
    quiet: bool,
    done: str,
) -> int:
    """The end of a change, on standard output; the exit code. `name` is the schema's, `done` the verb for people."""
    code = EXIT_OK if waited is None else _EXITS.get(waited.outcome, EXIT_OK)
    if asked.json:
        show.document(name, answer, **_fields(waited))
        return code
    line = _line(answer, waited, done)
    if not quiet:
        show.lines(line)
    if waited is not None and code != EXIT_OK:
        sys.stdout.flush()
        told = [line] if quiet else []
        told += _trouble(client, answer.app, waited)
        sys.stderr.write("".join(f"{text}\n" for text in told))
    return code


def _fields(waited: Optional[Waited]) -> dict[str, Any]:
    if waited is None:
        return {"outcome": "accepted", "seconds": 0.0, "instances": [], "replaced_by": None}
    detail = waited.detail
    return {
        "outcome": waited.outcome.value,
        "seconds": round(waited.seconds, 3),
        "instances": detail.instances if detail is not None else (),
        "replaced_by": waited.successor,
    }


def _line(answer: ApplyAnswer, waited: Optional[Waited], done: str) -> str:
    what = done if answer.changed else "unchanged"
    text = f"{answer.app}  {what}, generation {answer.generation}"
    if waited is None:
        return text if not answer.changed else f"{text}; not waited for"
    if waited.outcome is Outcome.GONE:
        return f"{answer.app}  {done} in {age(waited.seconds)}"
    if waited.successor is not None:
        return _replaced(answer, waited.successor)
    if waited.detail is None:
        return text
    good, wanted = numbers(waited.detail.summary)
    word = _WORDS[waited.outcome]
    return f"{text}; {word}: {good} of {count(wanted, 'instance')} after {age(waited.seconds)}"


def _replaced(answer: ApplyAnswer, successor: Successor) -> str:
    """By whom our change was overtaken."""
    if successor.reason:
        text = f"{answer.app}  generation {answer.generation} is taken back: {successor.reason}"
        return one_line(text)
    ticket = f"ticket {successor.ticket}" if successor.ticket else ""
    by = ", ".join(part for part in (f"by {successor.by}" if successor.by else "", ticket) if part)
    what = f"replaced by generation {successor.generation}" if successor.generation else "removed"
    who = f" ({by})" if by else ""
    return one_line(
        f"{answer.app}  generation {answer.generation} was {what}{who} before it was done"
    )


def _trouble(client: Client, app: str, waited: Waited) -> Iterable[str]:
    """Which instances are not where they should be, why, and what to do."""
    if waited.outcome is Outcome.SUPERSEDED:
        yield f"  what to do: see hullmark ps {app}, hullmark events; then decide which one is to stay"
        return
    if waited.outcome is Outcome.UNDONE:
        yield f"  what to do: hullmark rollout status {app}; mend the file, then apply it again"
        return
    instances = waited.detail.instances if waited.detail is not None else ()
    rollout = waited.detail.rollout if waited.detail is not None else None
    if rollout is not None and rollout.state is RolloutState.PAUSED:
        yield one_line(f"the change is paused: {rollout.reason}")
    wrong = [item for item in instances if item.why]
    for item in wrong[:INSTANCES_TOLD]:
        yield told(item)
        for line in _last_lines(client, item):
            yield f"  | {one_line(line)}"
    if len(wrong) > INSTANCES_TOLD:
        yield f"and {count(len(wrong) - INSTANCES_TOLD, 'more instance')}: hullmark ps {app}"
    yield f"  what to do: {_REMEDIES[waited.outcome].format(app=app)}"


_REMEDIES = {
    Outcome.FAILED: "hullmark logs {app}; mend the file, then apply it again",
    Outcome.FAILING: "it keeps failing, and the agent goes on trying; see hullmark logs {app}",
    Outcome.TIMEOUT: "it goes on; see hullmark ps {app}, hullmark logs {app}, hullmark status",
    Outcome.STOPPED: "hullmark logs {app}; then hullmark rollout undo {app}, or apply a better one",
    Outcome.UNPLACED: "hullmark explain {app}; the leader goes on looking for a place",
}


def _last_lines(client: Client, item: InstanceView) -> list[str]:
    """Of its output, as far as they can be had. What has not run yet, or isn't in reach, is not asked for."""
    if item.status is None or item.status.serving or not item.status.container_id:
        return []
    query = {"service": item.service, "slot": item.slot, "tail": LAST_LINES}
    try:
        found = list(client.lines(LogRecord, f"/v1/apps/{item.app}/logs", query))
    except HullmarkError:
        return []
    return [record.text for record in found if record.stream != OURS][-LAST_LINES:]
