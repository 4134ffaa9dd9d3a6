"""Events: what happened, for `hullmark events`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Event:
    """One thing that happened. `kind` is `noun.verb` (`instance.started`, `order.refused`, `app.applied`);
    `subject` is what it happened to (`shop/api.2`, `host web3`); `by` is who asked, empty for the system.
    `at` is seconds since 1970, UTC, by the clock of the machine that saw it (`origin`)."""

    event_id: str
    at: float
    kind: str
    subject: str
    origin: str
    message: str = ""
    by: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
