"""The rows of docs/operations/controls.md that follow from the code and the shipped files."""

from __future__ import annotations

from collections.abc import Iterator

from hullmark.cli.words import span
from hullmark.config import load_controls, shipped_controls
from hullmark.model.checkkinds import KINDS


def control_rows() -> Iterator[str]:
    for control in load_controls(shipped_controls(), "/nonexistent").specs:
        checks = ", ".join(
            f"{check.check_id} (`{check.kind}` {check.level})" for check in control.checks
        )
        yield f"| `{control.control_id}` | `{control.function}` | {checks} |"


def kind_rows() -> Iterator[str]:
    for name, kind in KINDS.items():
        each = span(float(kind.interval_s))
        yield f"| `{name}` | {kind.meaning} | {kind.level} | {each} | {kind.not_exercised or '-'} |"
