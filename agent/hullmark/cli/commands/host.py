"""`hullmark host`"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence

import click

from hullmark.cli import door, failure, options, show
from hullmark.cli.client import Client, new_request_id
from hullmark.cli.draining import Drained, await_drained
from hullmark.cli.emptying import Departures, obstacles
from hullmark.cli.options import Asked, online, quiet, ticket, waiting
from hullmark.cli.polling import goes_on
from hullmark.cli.table import width, wrapped
from hullmark.cli.target import host_name, host_names
from hullmark.cli.words import age, count, dated, duration, moment, one_line
from hullmark.errors import EXIT_DEGRADED, EXIT_OK, UsageError
from hullmark.model.host import Availability
from hullmark.model.hostlife import (
    AvailabilityRequest,
    HostChange,
    HostChanges,
    HostDetail,
    LabelsRequest,
    RemovedHost,
    RemoveHostRequest,
)
from hullmark.model.wire import to_wire

PATH = "/v1/hosts"
AVAILABILITY = "/v1/availability"
ENDS = {
    "stays": "something stays, and runs on",
    "unplaced": "not empty, and no other host fits what is left; it goes once one does",
    "timeout": "not empty yet, and goes on",
    "superseded": "not drained any more",
}
"""How a drain ended that did not empty its hosts, by its outcome."""


@click.group(
    no_args_is_help=False,
    epilog="""\b
Example:
  hullmark host show web3
  hullmark host drain web3
  hullmark host label web3 zone=a
""",
)
def command() -> None:
    """What a host is used for; its labels, its end."""


@command.command(
    short_help="Place nothing new on hosts.",
    epilog="""\b
Example:
  hullmark host cordon web3
  hullmark host cordon web3 web4 --ticket CHG-881
""",
)
@options.hosts
@ticket
@online
def cordon(asked: Asked, hosts: tuple[str, ...], ticket: str) -> None:
    """Place nothing new on these hosts. What they have stays."""
    _tell(asked, _availability(door.client(asked), hosts, Availability.CORDONED, ticket))


@command.command(
    short_help="Use hosts again.",
    epilog="""\b
Example:
  hullmark host uncordon web3
""",
)
@options.hosts
@ticket
@online
def uncordon(asked: Asked, hosts: tuple[str, ...], ticket: str) -> None:
    """Use these hosts again, whether they were cordoned or drained. Nothing is moved back."""
    _tell(asked, _availability(door.client(asked), hosts, Availability.ACTIVE, ticket))


@command.command(
    short_help="Move off hosts what can go.",
    epilog="""\b
Example:
  hullmark host drain web3 --ticket CHG-881
  hullmark host drain web3 web4 --timeout 30m

\b
Exit codes: 0 nothing is left on them (with --no-wait: accepted),
1 something stays, no other host fits what is left, or time is over,
2 failed.
""",
)
@options.hosts
@waiting("10m")
@ticket
@quiet
@online
def drain(
    asked: Asked, hosts: tuple[str, ...], wait: bool, timeout: str, ticket: str, quiet: bool
) -> int:
    """Place nothing new on these hosts, and move what can go to others.

    What has local data stays, and keeps running. The wait ends early where no other host fits what is left: that goes
    once one does. What is in the way, and what to type for it, is said.
    """
    timeout_s = duration(timeout, "--timeout")
    client = door.client(asked)
    answer = _availability(client, hosts, Availability.DRAINING, ticket)
    if not wait:
        if asked.json:
            more = {"changed": answer.changed, "outcome": "accepted", "seconds": 0.0}
            show.document("host-drain", answer, **more)
        elif not quiet:
            show.lines(*map(_line, answer.hosts), "not waited for; see hullmark hosts")
        return EXIT_OK
    begin = time.monotonic()
    names = [change.host for change in answer.hosts]
    with goes_on(asked, "the drain", "hullmark hosts"):
        told = not (asked.json or quiet)
        seen = Departures().seen if told else _unseen
        drained = await_drained(client, names, timeout_s, seen, told)
    seconds = time.monotonic() - begin
    if asked.json:
        fields = {"hosts": drained.hosts, "outcome": drained.outcome, "seconds": round(seconds, 3)}
        show.document("host-drain", fields, changed=answer.changed)
    else:
        _tell_drained(client, drained, quiet, seconds)
    return EXIT_OK if drained.outcome == "settled" else EXIT_DEGRADED


def _unseen(detail: HostDetail) -> None:
    """For JSON and `--quiet`."""


def _tell_drained(client: Client, drained: Drained, quiet: bool, seconds: float) -> None:
    for detail in drained.hosts:
        sys.stderr.writelines(f"{line}\n" for line in obstacles(client, detail))
    if drained.outcome == "superseded":
        sys.stderr.write("somebody uses a host again that was being drained\n")
    if not quiet:
        names = ", ".join(detail.host.name for detail in drained.hosts)
        done = f"{names}: nothing left; done in {age(seconds)}"
        show.lines(done if drained.outcome == "settled" else f"{names}: {ENDS[drained.outcome]}")


@command.command(
    short_help="Set and remove labels.",
    epilog="""\b
Example:
  hullmark host label web3 zone=a disk=ssd
  hullmark host label web3 disk-
""",
)
@click.argument("host")
@click.argument("labels", nargs=-1, required=True, metavar="KEY=VALUE|KEY-...")
@ticket
@online
def label(asked: Asked, host: str, labels: tuple[str, ...], ticket: str) -> None:
    """Set labels of HOST by KEY=VALUE, and remove them by KEY- for placement.

    What a constraint then no longer lets run on HOST is stopped at once, also where no other host fits it.
    """
    name, wanted = host_name(host), _labels(labels)
    request = LabelsRequest(new_request_id(), wanted[0], wanted[1], ticket)
    client = door.client(asked)
    text = client.change("POST", f"{PATH}/{name}/labels", to_wire(request))
    _tell(asked, HostChanges((client.decoded(HostChange, text),)))


def _labels(texts: Sequence[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Those to set, and those to remove. Raises UsageError."""
    found: dict[str, str] = {}
    removed: list[str] = []
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals and text.endswith("-"):
            key = text[:-1]
        if not key or not (equals or text.endswith("-")):
            raise UsageError(
                f"not a label: {text[:80]!r}", remedy="KEY=VALUE sets one, KEY- removes it"
            )
        if key in found or key in removed:
            raise UsageError(f"label {key[:80]!r} is named twice", remedy="name each label once")
        if equals:
            found[key] = value
        else:
            removed.append(key)
    return found, tuple(removed)


@command.command(
    name="show",
    short_help="Show one host.",
    epilog="""\b
Example:
  hullmark host show web3
  hullmark host show web3 --output json
""",
)
@click.argument("host")
@online
def show_host(asked: Asked, host: str) -> None:
    """Show HOST: labels, facts, what runs there, and what a drain would leave."""
    detail = door.client(asked).ask(HostDetail, f"{PATH}/{host_name(host)}")
    if asked.json:
        show.document("host", detail)
    else:
        show.lines(*_shown(detail))


def _shown(detail: HostDetail) -> Iterable[str]:
    host, facts = detail.host, detail.host.facts
    work = host.maintenance
    heard = "not heard since this leader began"
    if host.heard_s is not None:
        heard = f"heard {age(host.heard_s)} ago"
    rows = [
        ("host", f"{host.name} ({host.host_id})"),
        ("state", f"{host.state}, {heard}"),
        ("used", host.availability.value + (f": {host.drain}" if host.drain else "")),
        ("maintenance", f"until {dated(work.until)}, by {work.by} {work.ticket}" if work else ""),
        ("labels", " ".join(f"{key}={value}" for key, value in sorted(host.labels.items()))),
        ("enrolled", moment(detail.enrolled_at)),
        ("system", f"{facts.os} {facts.kernel} {facts.architecture}".strip()),
        ("engine", f"{facts.engine} {facts.engine_version}".strip()),
        ("agent", facts.agent_version),
        ("addresses", " ".join(facts.addresses)),
    ]
    for name, text in rows:
        if text.strip():
            yield f"{name:<12}{one_line(text.strip())}"
    for problem in host.problems:
        yield from wrapped(f"{problem.code}: {problem.message}", width())
        if problem.remedy:
            yield from wrapped(f"fix: {problem.remedy}", width())
    stays = {stay.name: stay.why for stay in detail.stays}
    for item in detail.instances:
        state = "-" if item.status is None else item.status.phase.value
        why = f"   stays in a drain: {stays[item.name]}" if item.name in stays else ""
        yield f"  {item.name}  {state}{why}"


@command.command(
    short_help="Take a host out of the cluster.",
    epilog="""\b
Example:
  hullmark host remove web3 --ticket CHG-881
  hullmark host remove web3 --force
""",
)
@click.argument("host")
@click.option("--force", is_flag=True, help="Also while it has instances: it is gone for good.")
@ticket
@online
def remove(asked: Asked, host: str, force: bool, ticket: str) -> None:
    """Take HOST out of the cluster; its certificate is worth nothing from then on.

    It must have no instances. With --force it may: those without local data are placed elsewhere, and whatever still
    runs on it goes on until somebody stops it there. Open invites for HOST are withdrawn, also where it never joined.
    """
    client = door.client(asked)
    request = RemoveHostRequest(new_request_id(), force, ticket)
    text = client.change("DELETE", f"{PATH}/{host_name(host)}", to_wire(request))
    answer = client.decoded(RemovedHost, text)
    if asked.json:
        show.document("host-remove", answer, changed=True)
        return
    failure.warn(iter(answer.warnings))
    invites = f"{count(answer.invites, 'open invite')} withdrawn" if answer.invites else ""
    if not answer.host_id:
        show.lines(f"{answer.host}  {invites}; there is no such host")
        return
    show.lines(f"{answer.host}  removed" + (f", {invites}" if invites else ""))
    if answer.elsewhere:
        show.lines(*wrapped(f"placed elsewhere: {', '.join(answer.elsewhere)}", width()))
    if answer.kept:
        show.lines(*wrapped(f"nowhere until hullmark move: {', '.join(answer.kept)}", width()))


def _availability(
    client: Client, hosts: Sequence[str], availability: Availability, ticket: str
) -> HostChanges:
    request = AvailabilityRequest(host_names(hosts), availability, new_request_id(), ticket)
    return client.decoded(HostChanges, client.change("POST", AVAILABILITY, to_wire(request)))


def _tell(asked: Asked, answer: HostChanges) -> None:
    if asked.json:
        show.document("host-change", answer, changed=answer.changed)
    else:
        show.lines(*map(_line, answer.hosts))


def _line(change: HostChange) -> str:
    labels = " ".join(f"{key}={value}" for key, value in sorted(change.labels.items()))
    same = "" if change.changed else "   (as before)"
    return f"{change.host}  {change.availability.value}  {labels}".rstrip() + same
