"""Which process speaks for a host: one life of its agent at a time, so that two machines never share one identity.

A machine that was cloned with its certificate has two agents that both say they are this host. The one that stands
stays: whoever comes beside it is refused, and people are told.

    a restarted agent      the kernel has closed the connection of the one before: taken at once
    a host behind a cut    its old connection is half open: taken once that has not been heard for its hold + 2 s
    a clone                the standing one's connection is open, and heard: refused
    a copied memory        both have the same run; the one that stood polls again on the connection that the other
                           one's took over from: the other one's is refused
    words long under way   after a cut of one way, what was said on a connection that its agent has given up comes, and
                           its end right behind it: its poll counts if the connection is still open a moment later

Nothing of this is stored: after a change of leader the first to call stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Callable, Optional

from hullmark.errors import Forbidden
from hullmark.masterd.lines import Line
from hullmark.model.observed import HostProblem

GRACE_S = 2.0
"""How much later than the end of its hold a poll may be followed by the next."""
ALARM_S = 60.0
"""A clone that has not called for this long is gone."""
NEXT = (
    "stop one of the two; a machine that was copied is a host of its own: hullmark invite NAME, and there"
    " hullmark agent enroll --force --token-file FILE"
)
LINES_MOST = 32
HOLD_MOST_S = 60.0
LATE_S = 1.0
"""Within which the end of a connection follows what was said on it last: a host's kernel sends both again in one go."""


@dataclass(frozen=True)
class Alarm:
    """Two say that they are this host: from where the one that stands calls, and the one that is refused."""

    standing: str
    refused: str


def cloned(alarm: Alarm) -> HostProblem:
    """What people are shown of it."""
    return HostProblem(
        "host.cloned",
        f"two agents have this host's certificate: {alarm.standing} stands, {alarm.refused} is refused",
        NEXT,
    )


@dataclass
class _Standing:
    """`spoken` is what its first report came by, if that was before its first poll."""

    run: str
    heard_at: float
    spoken: Optional[Line] = None
    line: Optional[Line] = None
    hold_s: float = 0.0
    former_lines: list[Line] = field(default_factory=list)
    refused_lines: list[Line] = field(default_factory=list)

    @property
    def last(self) -> Optional[Line]:
        return self.line or self.spoken


class Runs:
    """`cloned` is called with a host id and the alarm when one begins."""

    def __init__(self, clock: Callable[[], float], cloned: Callable[[str, Alarm], None]) -> None:
        self._clock = clock
        self._cloned = cloned
        self._hosts: dict[str, _Standing] = {}
        self._alarms: dict[str, tuple[float, Alarm]] = {}

    def poll(self, host_id: str, run: str, line: Line, hold_s: float) -> None:
        """Raises Forbidden for a process beside the one that stands."""
        now = self._clock()
        standing = self._hosts.get(host_id)
        if standing is None or standing.run != run:
            if standing is not None and self._is_alive(standing, now):
                raise self._refusal(host_id, standing, line)
            standing = self._hosts[host_id] = _Standing(run, now)
        elif line is not standing.line:
            self._judge(host_id, standing, line, now)
        if line is not standing.line:
            if standing.line is not None:
                standing.former_lines = _open([*standing.former_lines, standing.line])
            standing.line = line
        standing.heard_at = now
        standing.hold_s = min(max(hold_s, 0.0), HOLD_MOST_S)

    def is_late(self, host_id: str, run: str, line: Line) -> bool:
        """Whether a poll comes by a connection that another one of the same run has taken over from."""
        standing = self._hosts.get(host_id)
        return standing is not None and standing.run == run and line in standing.former_lines

    def speak(self, host_id: str, run: str, line: Line) -> None:
        """A report, or with `run` empty a request that does not name one. Raises Forbidden."""
        now = self._clock()
        standing = self._hosts.get(host_id)
        if standing is None or not run or standing.run == run:
            alarm = self.alarms().get(host_id)
            if standing is not None and alarm is not None and line.address != alarm.standing:
                raise self._refusal(host_id, standing, line)
        elif self._is_alive(standing, now):
            raise self._refusal(host_id, standing, line)
        if run and (standing is None or standing.run != run):
            self._hosts[host_id] = _Standing(run, now, line)

    def alarms(self) -> Mapping[str, Alarm]:
        """By host id, until no refused one has called for a while."""
        now = self._clock()
        return {
            host_id: alarm for host_id, (at, alarm) in self._alarms.items() if now - at < ALARM_S
        }

    def forget(self, host_id: str) -> None:
        """It was removed, or has enrolled again."""
        self._hosts.pop(host_id, None)
        self._alarms.pop(host_id, None)

    def _judge(self, host_id: str, standing: _Standing, line: Line, now: float) -> None:
        """A poll of the standing run on another connection than its last one. Raises Forbidden."""
        alive = self._is_alive(standing, now)
        if alive and line in standing.refused_lines:
            raise self._refusal(host_id, standing, line)
        if alive and line in standing.former_lines and standing.line is not None:
            # It was not lost: another one took over from it, and goes on beside it.
            other = standing.line
            standing.refused_lines = _open([*standing.refused_lines, other])
            standing.former_lines = [one for one in standing.former_lines if one is not line]
            standing.line = line
            self._alarm(host_id, Alarm(line.address, other.address))

    def _is_alive(self, standing: _Standing, now: float) -> bool:
        is_open = standing.last is None or standing.last.is_open()
        return is_open and now - standing.heard_at <= standing.hold_s + GRACE_S

    def _refusal(self, host_id: str, standing: _Standing, line: Line) -> Forbidden:
        where = standing.last.address if standing.last is not None else ""
        self._alarm(host_id, Alarm(where, line.address))
        return Forbidden(
            "another agent with this host's certificate is connected",
            remedy=NEXT,
        )

    def _alarm(self, host_id: str, alarm: Alarm) -> None:
        known = host_id in self.alarms()
        self._alarms[host_id] = (self._clock(), alarm)
        if not known:
            self._cloned(host_id, alarm)


def _open(lines: list[Line]) -> list[Line]:
    return [line for line in lines if line.is_open()][-LINES_MOST:]
