"""`hullmark audit`"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import click

from hullmark.cli import auditrecords, door, show
from hullmark.cli.auditrecords import PATH
from hullmark.cli.options import Asked, online
from hullmark.cli.words import duration, one_line
from hullmark.errors import EXIT_DEGRADED, EXIT_FAILED, EXIT_OK, EXIT_UNKNOWN

if TYPE_CHECKING:
    from hullmark.model.audittrail import Trace

OUTCOMES = ("pending", "success", "failure", "refused", "unknown")


@click.group(
    no_args_is_help=False,
    epilog="""\b
Example:
  hullmark audit show --by alice --since 2h
  hullmark audit trace shop
  hullmark audit verify
""",
)
def command() -> None:
    """The record of everything done: show, follow, export, trace, verify."""


def _filters(function: Callable[..., Any]) -> Callable[..., Any]:
    texts = (
        ("--log", "NAME", "Only one log: host:ID, master:NAME, or a host's or master's name."),
        ("--by", "WHO", "Only what this user, token, host or daemon did."),
        ("--app", "APP", "Only what is about this app."),
        ("--container", "ID", "Only what is about this container."),
        ("--request", "ID", "Only what belongs to this request."),
        ("--ticket", "TEXT", "Only what was asked for with this ticket."),
        ("--kind", "KIND", "Only this kind, such as container.start, or all of container."),
        ("--since", "WHEN", "Only since then: 15m, 2h, or 2026-11-24T01:30:00Z."),
        ("--until", "WHEN", "Only until then."),
    )
    function = click.option(
        "--outcome", type=click.Choice(OUTCOMES), help="Only with this outcome."
    )(function)
    for name, metavar, text in reversed(texts):
        function = click.option(name, metavar=metavar, help=text)(function)
    return function


@command.command(
    name="show",
    short_help="Show records of all logs.",
    epilog="""\b
Example:
  hullmark audit show --app shop --outcome refused
  hullmark audit show --log web1 --limit 20 --output json
""",
)
@_filters
@click.option(
    "-n", "--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, metavar="N",
    help="Only the newest N.",
)  # fmt: skip
@online
def show_records(asked: Asked, limit: int, **filters: Optional[str]) -> None:
    """Show who did what, when, from where and with what outcome, oldest first.

    The master answers from its own log and from what hosts and the other master have sent it so far.
    """
    client = door.client(asked)
    lines = client.raw_lines(PATH, {**auditrecords.query_of(filters), "limit": limit})
    if asked.json:
        found = [auditrecords.document(line) for line in lines]
        show.document("audit", {"records": found})
        return
    from hullmark.cli import audittext

    names, found_any = auditrecords.names_of(client), False
    for line in lines:
        show.lines(audittext.line(auditrecords.record_of(line), names))
        found_any = True
    if not found_any:
        show.lines("no records")


@command.command(
    short_help="Show records as they come.",
    epilog="""\b
Example:
  hullmark audit follow
  hullmark audit follow --kind unmanaged --output json
""",
)
@_filters
@click.option(
    "-n", "--limit", type=click.IntRange(1, 1000), default=10, show_default=True, metavar="N",
    help="Begin with the newest N.",
)  # fmt: skip
@online
def follow(asked: Asked, limit: int, **filters: Optional[str]) -> None:
    """Show records as they come, until Ctrl-C. It goes on where another master takes over.

    With --output json each record is a document on its own line.
    """
    from hullmark.cli import audittext

    client = door.client(asked)
    names: Mapping[str, str] = {} if asked.json else auditrecords.names_of(client)
    for line in auditrecords.followed(client, {**auditrecords.query_of(filters), "limit": limit}):
        if asked.json:
            show.record("audit-record", auditrecords.document(line))
        else:
            show.lines(audittext.line(auditrecords.record_of(line), names))
            show.flush()


@command.command(
    short_help="Write all records to standard output.",
    epilog="""\b
Example:
  hullmark audit export --since 90d > audit.jsonl
  hullmark audit export --log web1 > web1.log
  hullmark audit export --format csv --app shop > shop.csv
""",
)
@_filters
@click.option(
    "--format", "form", type=click.Choice(["json", "csv"]), default="json", show_default=True,
    help="json: each record as it stands in its log, one on each line.",
)  # fmt: skip
@online
def export(asked: Asked, form: str, **filters: Optional[str]) -> None:
    """Write records to standard output, oldest first, for other programs.

    As json each line is byte for byte as it stands in its log, so what has all of one log can be verified.
    """
    client = door.client(asked)
    lines = client.raw_lines(PATH, auditrecords.query_of(filters))
    if form == "json":
        for line in auditrecords.of_one_log(lines) if filters.get("log") else lines:
            sys.stdout.buffer.write(line + b"\n")
        return
    from hullmark.cli import audittext

    names = auditrecords.names_of(client)
    sys.stdout.write(audittext.csv_head())
    for line in lines:
        sys.stdout.write(audittext.csv_row(auditrecords.record_of(line), names))


@command.command(
    short_help="From a person to containers and processes, and back.",
    epilog="""\b
Example:
  hullmark audit trace alice
  hullmark audit trace shop/api.2
  hullmark audit trace 3f2a9c1d04b7 --output json

\b
Exit codes: 0 found, 1 there is nothing of it in the logs.
""",
)
@click.argument("what", metavar="WHAT")
@online
def trace(asked: Asked, what: str) -> int:
    """Follow WHAT through all logs: a container's id (or its beginning) or name, APP/SERVICE.SLOT, an app, a user, a token,
    a request's id, a ticket, or the id of a change that waited or of a break-glass.

    It shows who asked for what at which master, and what hosts did because of that: containers, their processes' ids
    as they were started, and what was refused or failed.
    """
    from hullmark.model.audittrail import Trace

    client = door.client(asked)
    found = client.ask(Trace, f"{PATH}/trace", {"what": what}, hold_s=300.0)
    if asked.json:
        show.document("audit-trace", found)
    else:
        from hullmark.cli import audittext

        show.lines(
            *audittext.trace_lines(found)
            if _is_found(found)
            else (f"no log has anything of {one_line(what)}",)
        )
    return EXIT_OK if _is_found(found) else EXIT_DEGRADED


def _is_found(found: Trace) -> bool:
    return bool(found.requests or found.containers or found.failures)


@command.command(
    short_help="What masters vouch for; keep it elsewhere.",
    epilog="""\b
Example:
  hullmark audit heads
  hullmark audit heads --save heads-2026-11-29
  hullmark audit heads --master https://m1:7442,https://m2:7442

\b
Exit codes: 0 all masters that were named answered, 1 some did not,
2 a file of heads was changed, 3 none answered.
""",
)
@click.option("--save", metavar="FILE", help="Write the masters' files of heads to this new file.")
@online
def heads(asked: Asked, save: Optional[str]) -> int:
    """Show the newest head that each master named by --master vouches for, of each log.

    A file that was written with --save and is kept away from hosts and masters shows later whether a log, or a master's own file,
    was changed since: hullmark audit verify --heads FILE.
    """
    from hullmark.cli import auditheads, auditshelf

    if save:
        found = auditshelf.save(asked, Path(save))
    else:
        found = auditheads.Heads()
        found.ask(asked)
    if asked.json:
        show.document("audit-heads", auditshelf.document(found, save or ""))
    else:
        show.lines(*auditshelf.text(found, save or ""))
    if found.troubles:
        return EXIT_FAILED
    if not found.silent:
        return EXIT_OK
    return EXIT_DEGRADED if found.masters else EXIT_UNKNOWN


@command.command(
    short_help="Check logs against themselves and the masters.",
    epilog="""\b
Example:
  hullmark audit verify
  hullmark audit verify --master https://m1:7442,https://m2:7442
  hullmark audit verify web1/audit.log --heads heads-2026-11-29

\b
Exit codes: 0 nothing was changed, as far as masters vouch for it,
2 something was changed, removed or replaced, 3 the chain is whole, and
nobody was there to vouch for it.
""",
)
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option(
    "--heads",
    "kept",
    multiple=True,
    metavar="FILE",
    help="Heads that were saved; no master is asked.",
)
@click.option(
    "--log",
    "expected",
    metavar="NAME",
    default="",
    help="It has to be this log: host:ID or master:NAME.",
)
@click.option(
    "--keep",
    metavar="DURATION",
    default="365d",
    show_default=True,
    help="For how long records have to be kept: those removed earlier are missed.",
)
@online
def verify(
    asked: Asked, files: tuple[str, ...], kept: tuple[str, ...], expected: str, keep: str
) -> int:
    """Check that audit logs are whole and unchanged: each record against the one before, and all against the heads that masters
    vouch for.

    Without FILE: the logs of this machine. A file audit.log stands for the closed ones beside it too. Whoever is root where the
    log is could have changed this command as well: verify a copy elsewhere.
    """
    from hullmark.cli import auditfiles, auditheads, audittext, auditverifying

    keep_s = duration(keep, "--keep")
    groups = auditfiles.groups(files)
    known = auditheads.from_files(kept)
    if not kept:
        for log in sorted({auditfiles.log_of(group) for group in groups}):
            known.ask(asked, log)
    verdicts = [
        auditverifying.verify(group, known.of(auditfiles.log_of(group)), expected, keep_s)
        for group in groups
    ]
    for verdict in verdicts:
        verdict.findings += known.troubles
        verdict.notes += [f"not asked: {text}" for text in known.silent if verdict.vouched_to]
    why = "; ".join(dict.fromkeys(known.silent)) or (
        f"none of it is in {', '.join(kept)}" if kept else ""
    )
    if asked.json:
        told = [{**vars(verdict), "verdict": verdict.word} for verdict in verdicts]
        show.document("audit-verify", {"logs": told, "silent": known.silent})
    else:
        for verdict in verdicts:
            show.lines(*audittext.verdict_lines(verdict, why))
    return auditverifying.worst(verdicts)
