"""What loading gives."""

from __future__ import annotations

from dataclasses import dataclass

from hullmark.model.app import App


@dataclass(frozen=True)
class Loaded:
    """`warnings` are lines of the form `FILE:LINE: field: message`."""

    app: App
    warnings: tuple[str, ...] = ()
