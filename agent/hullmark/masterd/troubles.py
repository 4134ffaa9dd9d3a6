"""When each problem of a host began and ended, as events: `host.problem` and `host.problem-over`.

What is open is read back from the events of former leaders, so that a problem which lasts through a change of leader
is told once, and one that began or ended meanwhile is told by the next leader's first full picture of the host.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hullmark.model.event import Event
from hullmark.model.observed import HostProblem

BEGAN, OVER = "host.problem", "host.problem-over"


@dataclass(frozen=True)
class Told:
    """An event to record about one host."""

    kind: str
    message: str
    fields: dict[str, str]


class Troubles:
    """Open problems by host and code, with their beginning in seconds since 1970."""

    def __init__(self) -> None:
        self._open: dict[str, dict[str, float]] = {}

    def load(self, events: Iterable[Event]) -> None:
        """Events of former leaders, the oldest first."""
        for event in events:
            host_id, code = event.fields.get("host_id", ""), event.fields.get("code", "")
            if event.kind == BEGAN:
                self._open.setdefault(host_id, {})[code] = event.at
            elif event.kind == OVER:
                self._open.get(host_id, {}).pop(code, None)

    def compare(self, host_id: str, problems: Iterable[HostProblem], now: float) -> Sequence[Told]:
        """What is new against what is open. A problem whose message only changed goes on."""
        known = self._open.setdefault(host_id, {})
        found = {problem.code: problem for problem in problems}
        told = []
        for code in sorted(set(known) - set(found)):
            lasted_s = max(0.0, now - known.pop(code))
            fields = {"host_id": host_id, "code": code, "lasted_s": f"{lasted_s:.0f}"}
            told.append(Told(OVER, f"{code}: it lasted {lasted_s:.0f} s", fields))
        for code in sorted(set(found) - set(known)):
            known[code] = now
            fields = {"host_id": host_id, "code": code}
            told.append(Told(BEGAN, f"{code}: {found[code].message}", fields))
        return told
