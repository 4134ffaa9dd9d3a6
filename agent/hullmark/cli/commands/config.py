"""`hullmark config`"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Optional

import click

from hullmark.cli import show
from hullmark.cli.daemon import AGENT_FILE, MASTER_FILE
from hullmark.cli.options import Asked, offline
from hullmark.cli.table import table

_KIND = click.argument("kind", type=click.Choice(["agent", "master"]))
_FILE = click.argument("file", required=False)
STANDARD = {"agent": AGENT_FILE, "master": MASTER_FILE}


@click.group(no_args_is_help=False)
def command() -> None:
    """Check and show the configuration of the agent or the master on this machine."""


@command.command(
    epilog="""\b
Example:
  hullmark config check agent
  hullmark config check master ./master.yaml

\b
Exit codes: 0 valid, 2 not valid.
"""
)
@_KIND
@_FILE
@offline
def check(asked: Asked, kind: str, file: Optional[str]) -> None:
    """Check FILE with its drop-ins (FILE's name with .d/*.yaml) as the daemon reads them at its start.

    Without FILE: the standard place. Every problem is listed with its line.
    """
    path = file or STANDARD[kind]
    _rows(kind, path)
    if asked.json:
        show.document("config-check", {"kind": kind, "file": path, "valid": True})
    else:
        show.lines(f"{path}  valid")


@command.command(
    name="show",
    epilog="""\b
Example:
  hullmark config show agent
  hullmark config show master ./master.yaml --output json
""",
)
@_KIND
@_FILE
@offline
def show_values(asked: Asked, kind: str, file: Optional[str]) -> None:
    """Show every key with its value, and the file and line that it comes from."""
    path = file or STANDARD[kind]
    rows = _rows(kind, path)
    if asked.json:
        show.document("config", {"kind": kind, "file": path, "keys": rows})
    else:
        show.lines(*_lines(rows))


def _rows(kind: str, path: str) -> list[dict[str, Any]]:
    """Raises InvalidInput."""
    from hullmark import config  # imports a YAML reader

    loaded: Any = config.load_agent(path) if kind == "agent" else config.load_master(path)
    return config.shown(loaded, kind)


def _lines(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield from table(("KEY", "VALUE", "FROM"), [_row(row) for row in rows])


def _row(row: Mapping[str, Any]) -> tuple[str, str, str]:
    value = row["value"]
    if isinstance(value, list):
        text = ", ".join(value)
    else:
        text = f"{value:g}" if isinstance(value, float) else str(value)
    return str(row["key"]), text or '""', str(row["source"])
