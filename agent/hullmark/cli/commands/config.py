"""`hullmark config`"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Optional

import click

from hullmark.cli import show
from hullmark.cli.daemon import AGENT_FILE, MASTER_FILE
from hullmark.cli.options import Asked, offline
from hullmark.cli.table import table
from hullmark.cli.words import span
from hullmark.errors import InvalidInput

_KIND = click.argument("kind", type=click.Choice(["agent", "master"]))
_FILE = click.argument("file", required=False)
STANDARD = {"agent": AGENT_FILE, "master": MASTER_FILE}


@click.group(no_args_is_help=False)
def command() -> None:
    """Check and show the configuration of the agent or the master on this machine."""


@command.command(
    short_help="Check it as the daemon does at its start.",
    epilog="""\b
Example:
  hullmark config check agent
  hullmark config check master ./master.yaml

\b
Exit codes: 0 valid, 2 not valid.
""",
)
@_KIND
@_FILE
@offline
def check(asked: Asked, kind: str, file: Optional[str]) -> None:
    """Check FILE with its drop-ins (FILE's name with .d/*.yaml) as the daemon reads them at its start.

    Without FILE: the standard place. Every problem is listed with its line.
    """
    path = file or STANDARD[kind]
    rows = _rows(kind, path)
    if asked.json:
        show.document("config-check", {"kind": kind, "file": path, "valid": True})
    elif Path(path).exists():
        show.lines(f"{path}  valid")
    else:
        given = any(row["source"] != "default" for row in rows)
        show.lines(f"{path}  not there; " + ("its drop-ins are valid" if given else "all defaults"))


@command.command(
    name="show",
    short_help="Show every key, its value, and where that is from.",
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

    try:
        loaded: Any = config.load_agent(path) if kind == "agent" else config.load_master(path)
    except InvalidInput as error:
        raise InvalidInput(error.problems, remedy="mend the lines named") from error
    return config.shown(loaded, kind)


def _lines(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield from table(("KEY", "VALUE", "FROM"), [_row(row) for row in rows])


def _row(row: Mapping[str, Any]) -> tuple[str, str, str]:
    value = row["value"]
    if isinstance(value, list):
        text = ", ".join(value)
    else:
        # All numbers with a fraction are times in seconds.
        text = span(value) if isinstance(value, float) else str(value)
    return str(row["key"]), text or '""', str(row["source"])
