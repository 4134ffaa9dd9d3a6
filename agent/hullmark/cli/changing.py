"""What all commands that change an app share: send the change, wait for it, tell how it ended."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, Callable, Optional

import click

from hullmark.cli import failure, show
from hullmark.cli.client import Client
from hullmark.cli.options import Asked
from hullmark.cli.progress import Progress, choose
from hullmark.cli.standing import numbers, told
from hullmark.cli.waiting import Outcome, Waited
from hullmark.cli.words import age, count, one_line
from hullmark.errors import EXIT_DEGRADED, EXIT_FAILED, EXIT_OK, HullmarkError
from hullmark.model.api import ApplyAnswer, InstanceView, LogRecord

LAST_LINES = 5
INSTANCES_TOLD = 3
_EXITS = {Outcome.FAILED: EXIT_FAILED, Outcome.TIMEOUT: EXIT_DEGRADED}


def wait(
    asked: Asked, app: str, quiet: bool, waiting: Callable[[Callable[[Any], None]], Waited]
) -> Waited:
    """Wait with progress. Ctrl-C ends the wait and not the change, and says so."""
    progress: Progress = choose(silent=asked.json or quiet)
    try:
        with progress:
            return waiting(progress.seen)
    except KeyboardInterrupt:
        if not asked.json:
            sys.stderr.write(f"the change goes on; see how it stands: hullmark ps {app}\n")
        raise click.Abort from None


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
    if asked.json:
        show.document(name, answer, **_fields(waited))
    else:
        for warning in answer.warnings:
            failure.warn(one_line(warning))
        if not quiet:
            show.lines(_line(answer, waited, done))
        if waited is not None and waited.outcome in _EXITS:
            sys.stdout.flush()
            sys.stderr.write("".join(f"{line}\n" for line in _trouble(client, answer.app, waited)))
    return EXIT_OK if waited is None else _EXITS.get(waited.outcome, EXIT_OK)


def _fields(waited: Optional[Waited]) -> dict[str, Any]:
    if waited is None:
        return {"outcome": "accepted", "seconds": 0.0, "instances": []}
    detail = waited.detail
    return {
        "outcome": waited.outcome.value,
        "seconds": round(waited.seconds, 3),
        "instances": detail.instances if detail is not None else (),
    }


def _line(answer: ApplyAnswer, waited: Optional[Waited], done: str) -> str:
    what = done if answer.changed else "unchanged"
    text = f"{answer.app}  {what}, generation {answer.generation}"
    if waited is None:
        return text if not answer.changed else f"{text}; not waited for"
    if waited.outcome is Outcome.GONE:
        return f"{answer.app}  {done} in {age(waited.seconds)}"
    if waited.detail is None:
        return text
    good, wanted = numbers(waited.detail.summary)
    word = {Outcome.SETTLED: "ok", Outcome.FAILED: "FAILED", Outcome.TIMEOUT: "not done yet"}[
        waited.outcome
    ]
    return f"{text}; {word}: {good} of {count(wanted, 'instance')} after {age(waited.seconds)}"


def _trouble(client: Client, app: str, waited: Waited) -> Iterable[str]:
    """Which instances are not where they should be, why, and what to do."""
    instances = waited.detail.instances if waited.detail is not None else ()
    wrong = [item for item in instances if item.why]
    for item in wrong[:INSTANCES_TOLD]:
        yield told(item)
        if waited.outcome is Outcome.FAILED and item.status is not None:
            for line in _last_lines(client, item):
                yield f"  | {one_line(line)}"
    if len(wrong) > INSTANCES_TOLD:
        yield f"and {count(len(wrong) - INSTANCES_TOLD, 'more instance')}: hullmark ps {app}"
    if waited.outcome is Outcome.TIMEOUT:
        yield f"  what to do: it goes on; see hullmark ps {app}, hullmark status"
    else:
        yield f"  what to do: hullmark logs {app}; mend the file, then apply it again"


def _last_lines(client: Client, item: InstanceView) -> list[str]:
    """Of its output, as far as they can be had."""
    query = {"service": item.service, "slot": item.slot, "tail": LAST_LINES}
    try:
        found = list(client.lines(LogRecord, f"/v1/apps/{item.app}/logs", query))
    except HullmarkError:
        return []
    return [record.text for record in found][-LAST_LINES:]
