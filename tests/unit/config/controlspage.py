"""The rows of docs/operations/controls.md and check-kinds.md that follow from the code and the shipped files."""

from __future__ import annotations

from collections.abc import Iterator

from hullmark.cli.words import span
from hullmark.config import load_controls, shipped_controls
from hullmark.model.checkkinds import KINDS, Form, Parameter


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


def key_rows() -> Iterator[str]:
    for name, kind in KINDS.items():
        for key, parameter in kind.parameters.items():
            form = ", ".join(parameter.choices) or parameter.form.value
            default = "has to be said" if parameter.required else _default(parameter)
            yield f"| `{name}` | `{key}` | {form} | {default} | {_cell(parameter.meaning)} |"


def _default(parameter: Parameter) -> str:
    value = parameter.default
    if value is None or value in ((), ""):
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (tuple, list)):
        return ", ".join(f"`{_cell(str(each))}`" for each in value)
    if parameter.form is Form.DURATION and isinstance(value, (int, float)):
        return span(float(value))
    if parameter.form is Form.MODE and isinstance(value, int):
        return f"`{value:04o}`"
    return f"`{_cell(str(value))}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
