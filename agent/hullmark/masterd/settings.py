"""What a leader is told once, when its master starts."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import Callable

from hullmark.model.event import Event
from hullmark.model.snapshot import Strategy


@dataclass(frozen=True)
class Settings:
    """`silent_after_s`: the silence that people are told of. `events_kept` is a number of events, `events_kept_s` their
    age. `clock` is monotonic; `wall` is for records only. `store_name` is for people.

    `shared`: other masters may use the same store. `leader_ttl_s` is then the silence after which one follows the other.
    `happened` is called with each event that a leader tells, for its audit log.
    `agents_urls`, `api_urls` and `api_address` (`HOST:PORT`) are where this master is reached, the preferred one first."""

    lost_after_s: float = 10.0
    silent_after_s: float = 8.0
    strategy: Strategy = Strategy.SPREAD
    events_kept: int = 10_000
    events_kept_s: float = 30 * 86400.0
    store_name: str = "sqlite"
    shared: bool = False
    leader_ttl_s: float = 3.0
    agents_urls: tuple[str, ...] = ()
    api_urls: tuple[str, ...] = ()
    api_address: str = ""
    happened: Callable[[Event], None] = lambda event: None
    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    new_id: Callable[[], str] = lambda: uuid.uuid4().hex
