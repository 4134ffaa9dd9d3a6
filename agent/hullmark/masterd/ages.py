"""Ages: for how long each instance has served without a break, as far as this leader saw it.

Counted on the leader's own monotonic clock, from the report that first said so: hosts' clocks may be wrong, and a new
leader counts anew. A break is anything that is not serving, another container, another start or another restart. While
a host is silent, or can't see its own containers, nothing is counted: what happens there meanwhile isn't known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Callable

from hullmark.core.absence import engine_trouble
from hullmark.model.observed import HostState, InstanceStatus

_Life = tuple[str, float, int]
"""What tells one run of an instance from another: container, start, number of restarts."""


@dataclass(frozen=True)
class _Age:
    life: _Life
    since: float


@dataclass(frozen=True)
class _Host:
    """Replaced when it changes. `heard_at`: the newest call."""

    heard_at: float
    ages: Mapping[str, _Age] = field(default_factory=dict)


class Ages:
    """`silent_after_s`: a silence up to this is what lies between two calls of a host that is well."""

    def __init__(self, clock: Callable[[], float], *, silent_after_s: float) -> None:
        self._clock = clock
        self._silent_after_s = silent_after_s
        self._hosts: Mapping[str, _Host] = {}

    def heard(self, host_id: str) -> None:
        """The host called. A silence before that does not count."""
        now = self._clock()
        host = self._hosts.get(host_id, _Host(now))
        silence_s = now - host.heard_at
        ages = host.ages
        if silence_s > self._silent_after_s:
            ages = {name: _Age(age.life, age.since + silence_s) for name, age in ages.items()}
        self._hosts = {**self._hosts, host_id: _Host(now, ages)}

    def take(self, host_id: str, state: HostState) -> None:
        """What the host says of its instances now."""
        now = self._clock()
        host = self._hosts.get(host_id, _Host(now))
        blind = bool(engine_trouble(state))
        ages = {
            name: _Age(_life(status), _since(host, name, status, now))
            for name, status in state.instances.items()
            if status.serving and not blind
        }
        self._hosts = {**self._hosts, host_id: _Host(host.heard_at, ages)}

    def serving_s(self) -> Mapping[tuple[str, str], float]:
        """Seconds by (host id, container name), as of now. What comes later doesn't change it."""
        return _Serving(self._hosts, self._clock(), self._silent_after_s)


def _life(status: InstanceStatus) -> _Life:
    return status.container_id, status.started_at, status.restarts


def _since(host: _Host, name: str, status: InstanceStatus, now: float) -> float:
    known = host.ages.get(name)
    return known.since if known is not None and known.life == _life(status) else now


class _Serving(Mapping[tuple[str, str], float]):
    """Worked out only for what is asked for: a fleet has many instances, and few of them change."""

    def __init__(self, hosts: Mapping[str, _Host], now: float, silent_after_s: float) -> None:
        self._hosts = hosts
        self._now = now
        self._silent_after_s = silent_after_s

    def __getitem__(self, key: tuple[str, str]) -> float:
        host_id, name = key
        host = self._hosts[host_id]
        silent = self._now - host.heard_at > self._silent_after_s
        return max(0.0, (host.heard_at if silent else self._now) - host.ages[name].since)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return ((host_id, name) for host_id, host in self._hosts.items() for name in host.ages)

    def __len__(self) -> int:
        return sum(len(host.ages) for host in self._hosts.values())
