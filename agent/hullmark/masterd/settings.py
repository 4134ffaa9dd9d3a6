"""What a leader is told once, when its master starts."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import Callable, Optional, Protocol

from hullmark.model.alert import Alert
from hullmark.model.control import Framework
from hullmark.model.event import Event
from hullmark.model.snapshot import Strategy


class Alarm(Protocol):
    """Sends alerts, without waiting; `ended` is called with one that no channel has any more. See `alarm`."""

    ended: Callable[[Alert], None]

    def send(self, alert: Alert) -> None: ...


class NoAlarm:
    """Where nobody is to be alerted."""

    def __init__(self) -> None:
        self.ended: Callable[[Alert], None] = lambda _alert: None

    def send(self, alert: Alert) -> None:
        self.ended(alert)


@dataclass(frozen=True)
class Settings:
    """`silent_after_s`: the silence that people are told of. `events_kept` is a number of events, `events_kept_s` their
    age. `clock` is monotonic; `wall` is for records only. `store_name` is for people.

    `shared`: other masters may use the same store. `leader_ttl_s` is then the silence after which one follows the other.
    `happened` is called with each event that a leader tells, for its audit log.
    `framework` says which requirements an outage concerns, `alarm` tells people of it.
    `service_range` is where services get their addresses, the same on every master.
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
    service_range: str = "10.214.0.0/16"
    framework: Optional[Framework] = None
    alarm: Alarm = field(default_factory=NoAlarm)
    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    new_id: Callable[[], str] = lambda: uuid.uuid4().hex
