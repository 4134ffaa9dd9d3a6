"""`hullmark controls`: what is proven of the security functions of this host, or of a cluster's, and what is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Optional

import click

from hullmark.cli import controlscluster, controlstext, show
from hullmark.cli.controlscluster import On
from hullmark.cli.controlsource import Place, is_local, of_the_cluster, this_host
from hullmark.cli.controlstext import Told
from hullmark.cli.daemon import AGENT_FILE
from hullmark.cli.options import Asked, online
from hullmark.cli.table import width
from hullmark.cli.words import one_line
from hullmark.errors import (
    EXIT_DEGRADED,
    EXIT_OK,
    EXIT_UNKNOWN,
    HullmarkError,
    NotFound,
    UsageError,
)

if TYPE_CHECKING:
    from hullmark.model.control import ControlState

EPILOG = """\b
Examples:
  hullmark controls
  hullmark controls audit-trail-auditd
  hullmark controls --host web3
  hullmark controls time --cluster
  hullmark controls --all --output json
  hullmark controls --nagios

\b
Exit codes: 0 all is proven, 1 something fails or is not proven,
2 failed, 3 nothing is known (the agent does not run, is not heard,
or no master answers), 64 wrong usage.
With --nagios: 0 ok, 1 warning, 2 critical, 3 unknown.
"""


@click.command(epilog=EPILOG)
@click.argument("control", required=False)
@click.option("--host", metavar="HOST", default="", help="This host of the cluster: ask a master.")
@click.option("--cluster", is_flag=True, help="All hosts: ask a master.")
@click.option("--local", is_flag=True, help="This host, by its own agent; no master is asked.")
@click.option("--all", "everything", is_flag=True, help="Also what does not apply to a host.")
@click.option("--nagios", is_flag=True, help="One line, and the exit codes of a Nagios plugin.")
@click.option(
    "--config", metavar="FILE", default="", help=f"This host's agent's, where not {AGENT_FILE}."
)
@online
def command(
    asked: Asked,
    control: Optional[str],
    host: str,
    cluster: bool,
    local: bool,
    everything: bool,
    nagios: bool,
    config: str,
) -> int:
    """Show each security function of a host, whether it works, and how far that was proven.

    On a host with an agent: of this host. It reads what the agent found; it looks at
    nothing itself. Elsewhere, and with --cluster: of all hosts, the worst first.
    With CONTROL, or the name of a function: each of its checks, when it was looked
    at last, and what it does not show; of all hosts, where it stands how. Proof:
    0 installed, 1 running, 2 the tool's own word, 3 a canary seen at its output,
    4 a canary seen on another host.
    """
    if nagios and (asked.json or control):
        raise UsageError("--nagios takes neither CONTROL nor --output json")
    if host and cluster:
        raise UsageError("--host is one host, --cluster all", remedy="give one of them")
    place = Place(host, cluster, local, config)
    here = is_local(place, asked)
    one = here or bool(host)
    try:
        found = (this_host(place, width()),) if here else of_the_cluster(place, asked, width())
    except HullmarkError as error:
        if not nagios or isinstance(error, UsageError):
            raise
        show.lines(controlstext.unknown(f"{error.message}; {error.remedy}"))
        return EXIT_UNKNOWN
    if nagios:
        line, code = controlstext.nagios(found[0]) if one else controlscluster.nagios(found)
        show.lines(line)
        return code
    if one:
        words = place if here else None
        return _one_host(asked, found[0], control, everything=everything, words=words)
    return _all_hosts(asked, found, control)


def _one_host(
    asked: Asked,
    told: Told,
    control: Optional[str],
    *,
    everything: bool,
    words: Optional[Place],
) -> int:
    """`words`: where definitions are that say more of a control; another host's are not known here."""
    chosen = _chosen(told, control)
    if asked.json:
        show.document("controls", _document(told, chosen))
    elif control:
        show.lines(*controlstext.head(told))
        for number, state in enumerate(chosen.values()):
            show.lines(*([""] if number else []))
            said = _words(words.config or AGENT_FILE, state) if words is not None else None
            show.lines(*controlstext.in_full(told, state, said))
    else:
        show.lines(*controlstext.overview(told, everything=everything))
    return _code(told, chosen if control else None)


def _all_hosts(asked: Asked, found: Sequence[Told], control: Optional[str]) -> int:
    chosen = _on_hosts(found, control)
    if asked.json:
        by_host: dict[str, dict[str, ControlState]] = {}
        for on in chosen:
            by_host.setdefault(on.told.view.host, {})[on.state.control_id] = on.state
        hosts = [_document(told, by_host.get(told.view.host, {})) for told in found]
        show.document("controls-cluster", {"hosts": hosts})
    elif not found:
        show.lines("no host is enrolled; next: hullmark invite HOST")
    elif control:
        show.lines(*controlscluster.on_hosts(chosen, width()))
    else:
        show.lines(*controlscluster.overview(found, width()))
    if control is None:
        return controlscluster.code(found)
    codes = {_code(on.told, {on.state.control_id: on.state}) for on in chosen}
    if codes <= {EXIT_UNKNOWN}:
        return EXIT_UNKNOWN
    # A host that has no such control, or tells of none, does not prove it.
    everywhere = {on.told.view.host for on in chosen} == {told.view.host for told in found}
    return EXIT_OK if everywhere and codes == {EXIT_OK} else EXIT_DEGRADED


def _on_hosts(found: Sequence[Told], control: Optional[str]) -> list[On]:
    """Raises NotFound where no host has such a control."""

    def each() -> Iterator[On]:
        for told in found:
            for name, state in told.controls.items():
                if control is None or control in (name, state.function):
                    yield On(told, state)

    chosen = list(each())
    if control is not None and found and not chosen:
        known = {state.control_id for told in found for state in told.controls.values()}
        known |= {state.function for told in found for state in told.controls.values()}
        raise _no_control(control, known, "on any host")
    return chosen


def _chosen(told: Told, control: Optional[str]) -> Mapping[str, ControlState]:
    """All, the one of this id, or those of this function. Raises NotFound."""
    if control is None:
        return told.controls
    found = {
        name: state for name, state in told.controls.items() if control in (name, state.function)
    }
    if found:
        return {control: found[control]} if control in found else found
    known = {*told.controls, *(state.function for state in told.controls.values())}
    raise _no_control(control, known, f"on {told.view.host}")


def _no_control(control: str, known: set[str], where: str) -> NotFound:
    near = get_close_matches(control, sorted(known), n=1)
    hint = f"did you mean {one_line(near[0])}?" if near else "hullmark controls --all lists them"
    return NotFound(f"no control {control[:80]!r} {where}", remedy=hint)


def _words(file: str, state: ControlState) -> Optional[tuple[str, str]]:
    """Rationale and remediation as the definitions have them now; None where they can't be read."""
    from hullmark import config

    try:
        folder = config.load_agent(file).config.controls_dir
        specs = config.load_controls(config.shipped_controls(), folder).specs
    except HullmarkError:
        return None
    found = {spec.control_id: spec for spec in specs}.get(state.control_id)
    return (found.rationale, found.remediation) if found is not None else None


def _code(told: Told, chosen: Optional[Mapping[str, Any]]) -> int:
    from hullmark.core.coverage import tally
    from hullmark.core.postures import UNHEARD
    from hullmark.model.control import Status

    posture = told.view.posture
    if posture is None or told.view.state in UNHEARD or tally(posture).empty:
        return EXIT_UNKNOWN
    if chosen is None:
        return EXIT_DEGRADED if tally(posture).not_proven else EXIT_OK
    proven = all(state.status is Status.PASS for state in chosen.values())
    return EXIT_OK if proven else EXIT_DEGRADED


def _document(told: Told, chosen: Mapping[str, ControlState]) -> Mapping[str, Any]:
    """Of a host that has told nothing, `mode` is empty and `summary` null."""
    from hullmark.core.coverage import tally
    from hullmark.model.wire import full

    view, posture = told.view, told.view.posture
    return {
        "host": view.host,
        "state": view.state,
        "heard_s": view.heard_s,
        "mode": posture.mode if posture is not None else "",
        "enrolled": posture.enrolled if posture is not None else False,
        "at": (posture.at or told.now - (view.heard_s or 0.0)) if posture is not None else 0.0,
        "agent_version": posture.agent_version if posture is not None else "",
        "framework": told.framework.name if told.framework else "",
        "controls": [
            {**full(state), "requirements": controlstext.requirements(told, state)}
            for state in chosen.values()
        ],
        "summary": tally(posture) if posture is not None else None,
        "outages": view.outages,
        "incidents": view.incidents,
        "problems": posture.problems if posture is not None else (),
    }
