"""`hullmark controls`: what is proven of this host's security functions, and what is not."""

from __future__ import annotations

import time
from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Optional

import click

from hullmark.cli import controlstext, failure, posturefile, show
from hullmark.cli.controlstext import Told
from hullmark.cli.daemon import AGENT_FILE
from hullmark.cli.options import Asked, offline
from hullmark.cli.table import width
from hullmark.errors import (
    EXIT_DEGRADED,
    EXIT_OK,
    EXIT_UNKNOWN,
    HullmarkError,
    NotFound,
    UsageError,
)

if TYPE_CHECKING:
    from hullmark.config import AgentConfig
    from hullmark.model.control import ControlState, Framework

EPILOG = """\b
Examples:
  hullmark controls
  hullmark controls audit-trail-auditd
  hullmark controls --all --output json
  hullmark controls --nagios

\b
Exit codes: 0 all is proven, 1 something fails or is not proven,
2 failed, 3 nothing is known (the agent does not run), 64 wrong usage.
With --nagios: 0 ok, 1 warning, 2 critical, 3 unknown.
"""


@click.command(epilog=EPILOG)
@click.argument("control", required=False)
@click.option("--all", "everything", is_flag=True, help="Also what does not apply to this host.")
@click.option("--nagios", is_flag=True, help="One line, and the exit codes of a Nagios plugin.")
@click.option(
    "--config", metavar="FILE", default=AGENT_FILE, show_default=True, help="The agent's."
)
@offline
def command(
    asked: Asked, control: Optional[str], everything: bool, nagios: bool, config: str
) -> int:
    """Show each security function of this host, whether it works, and how far that was proven.

    With CONTROL, or the name of a function: each of its checks, when it was looked
    at last, and what it does not show. It reads what the agent found; it looks at
    nothing itself. Proof: 0 installed, 1 running, 2 the tool's own word, 3 a
    canary seen at its output, 4 a canary seen on another host.
    """
    if nagios and (asked.json or control):
        raise UsageError("--nagios takes neither CONTROL nor --output json")
    try:
        told = _told(config, width())
    except HullmarkError as error:
        if not nagios:
            raise
        show.lines(controlstext.unknown(f"{error.message}; {error.remedy}"))
        return EXIT_UNKNOWN
    if nagios:
        line, code = controlstext.nagios(told)
        show.lines(line)
        return code
    chosen = _chosen(told, control)
    if asked.json:
        _tell_json(told, chosen)
    elif control:
        show.lines(*controlstext.head(told))
        for number, state in enumerate(chosen.values()):
            show.lines(*([""] if number else []))
            show.lines(*controlstext.in_full(told, state, _words(config, state)))
    else:
        show.lines(*controlstext.overview(told, everything=everything))
    return _code(told, chosen if control else None)


def _told(file: str, columns: int) -> Told:
    """Raises what reading the configuration or the posture raises."""
    from hullmark.config import load_agent

    config = load_agent(file).config
    view = posturefile.read(config.run_dir)
    return Told(view, time.time(), _framework(config), columns)


def _framework(config: AgentConfig) -> Optional[Framework]:
    """None where it can't be read: what controls found is shown all the same."""
    from hullmark.config import load_framework

    try:
        return load_framework(config.framework)
    except HullmarkError as error:
        failure.warn([f"requirements are not shown: {error.message}"])
        return None


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
    near = get_close_matches(control, sorted(known), n=1)
    hint = f"did you mean {near[0]}?" if near else "hullmark controls --all lists them"
    raise NotFound(f"no control {control[:80]!r} on this host", remedy=hint)


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
    if posture is None or told.view.state in UNHEARD:
        return EXIT_UNKNOWN
    if chosen is None:
        return EXIT_DEGRADED if tally(posture).not_proven else EXIT_OK
    proven = all(state.status is Status.PASS for state in chosen.values())
    return EXIT_OK if proven else EXIT_DEGRADED


def _tell_json(told: Told, chosen: Mapping[str, ControlState]) -> None:
    from hullmark.core.coverage import tally
    from hullmark.model.wire import full

    view, posture = told.view, told.view.posture
    if posture is None:
        return
    show.document(
        "controls",
        {
            "host": view.host,
            "state": view.state,
            "mode": posture.mode,
            "enrolled": posture.enrolled,
            "at": posture.at,
            "agent_version": posture.agent_version,
            "framework": told.framework.name if told.framework else "",
            "controls": [
                {
                    **full(state),
                    "requirements": controlstext.requirements(told, state),
                }
                for state in chosen.values()
            ],
            "summary": tally(posture),
            "outages": view.outages,
            "incidents": view.incidents,
            "problems": posture.problems,
        },
    )
