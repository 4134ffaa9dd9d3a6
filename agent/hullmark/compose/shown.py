"""An app as people may see it: every field of it, without what could be a secret.

Values of variables are masked, the content of configs is left out, and so are passwords among the
options of volumes, networks and log drivers. Commands, labels and paths stay.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from hullmark.model.app import App
from hullmark.model.wire import full

MASK = "***"

_SECRET_OPTION = re.compile(
    r"pass|pwd|secret|token|cred|(^|[._-])(api|access|auth|private|shared)?[._-]?key$",
    re.IGNORECASE,
)
_SECRET_IN_URL = re.compile(r"(://[^:/@\s]*):[^@\s]+@")


def shown(app: App) -> Mapping[str, object]:
    """The app with defaults written out, masked."""
    whole: dict[str, Any] = full(app)
    for service in whole["services"].values():
        container = service["container"]
        container["environment"] = dict.fromkeys(container["environment"], MASK)
        container["logging"]["options"] = _masked(container["logging"]["options"])
    for kind in ("volumes", "networks"):
        for item in whole[kind].values():
            item["driver_options"] = _masked(item["driver_options"])
    for config in whole["configs"].values():
        del config["content_b64"]
    return whole


def _masked(options: Mapping[str, str]) -> dict[str, str]:
    return {
        name: MASK if _SECRET_OPTION.search(name) else _masked_inside(value)
        for name, value in options.items()
    }


def _masked_inside(value: str) -> str:
    """`NAME=VALUE,NAME=VALUE`, as mount options are written, with the secret ones masked. The last
    secret one takes what follows up to the next name: a password may hold a comma."""
    parts: list[str] = []
    hidden = False
    for part in value.split(","):
        name, equals, _ = part.partition("=")
        if equals:
            hidden = _SECRET_OPTION.search(name) is not None
            parts.append(f"{name}={MASK}" if hidden else part)
        elif not hidden:
            parts.append(part)
    return _SECRET_IN_URL.sub(rf"\1:{MASK}@", ",".join(parts))
