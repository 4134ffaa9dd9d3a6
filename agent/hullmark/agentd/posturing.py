"""The host's posture, shown: in a file for people on the host, and to whoever reports it to a leader.

The file is written at most once a second where something changed, and every few seconds in any case, so that its age tells whether
the agent still looks.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from hullmark import __version__
from hullmark.agentd import pulse
from hullmark.agentd.hearing import boot_clock
from hullmark.agentd.problems import Problems
from hullmark.core.posture import settled
from hullmark.core.postures import unknown
from hullmark.model.control import ControlState, Mode, Posture
from hullmark.model.outage import Incident, Outage
from hullmark.model.wire import canonical, to_wire
from hullmark.pki.files import write_file

FILE = "posture.json"
SCHEMA = "hullmark.posture/1"
SOON_S, EVERY_S = 1.0, 5.0
LATE_S = 30.0
"""As long as the file on the host is believed."""
PROBLEM = "posture.write"

Show = Callable[[Posture, tuple[Outage, ...]], None]
"""Is given a settled posture when it is another than before."""


@dataclass(frozen=True)
class Standing:
    """What a posture is made of, beside times."""

    controls: Mapping[str, ControlState]
    outages: tuple[Outage, ...] = ()
    incidents: tuple[Incident, ...] = ()
    enrolled: bool = False
    problems: tuple[str, ...] = ()


class Posturing:
    """One thread's, but for `listen` and `watch`."""

    def __init__(
        self,
        host: str,
        problems: Problems,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = boot_clock,
    ) -> None:
        self._host = host
        self._problems = problems
        self._wall = wall
        self._clock = clock
        self._written_at = float("-inf")
        self._shown_at = clock()
        self._settled: Optional[Posture] = None
        self._outages: tuple[Outage, ...] = ()
        self._incidents: tuple[Incident, ...] = ()
        self._listener: Optional[Show] = None
        self._owed = False
        self._changed = False
        self._beside: object = None
        self._settled_at = float("-inf")

    def listen(self, listener: Optional[Show]) -> None:
        """Who shows it to a leader from now on; None: nobody. By any thread, which waits for nothing."""
        self._listener, self._owed = listener, True

    def watch(self, stopping: threading.Event) -> None:
        """Another thread's: a leader is not to believe what nobody looks at any more, as where the disk hangs that outages are written
        to, and the host is heard all the same."""
        while not stopping.is_set():
            pulse.rest(stopping, EVERY_S)
            self.doubt()

    def doubt(self) -> None:
        """Withdraw what a leader was told, if nothing was shown for too long."""
        at_rest, listener = self._settled, self._listener
        if at_rest is None or listener is None or self._clock() - self._shown_at <= LATE_S:
            return
        listener(unknown(at_rest, f"the agent has not looked for {LATE_S:.0f} s"), self._outages)
        self._owed = True  # last: whoever looks again meanwhile tells it once more

    def show(self, standing: Standing, folder: str, mode: Mode, *, moved: bool = False) -> None:
        """`moved`: a check has another status than when this was called last."""
        now = self._shown_at = self._clock()
        beside = (standing.enrolled, standing.problems, standing.outages, mode)
        self._changed |= standing.incidents != self._incidents
        self._incidents = standing.incidents
        tells = moved or self._owed or beside != self._beside
        tells |= now - self._settled_at >= EVERY_S
        since_s = now - self._written_at
        if not tells and not self._is_due(since_s):
            return
        posture = Posture(
            self._host,
            mode,
            standing.controls,
            self._wall(),
            EVERY_S,
            standing.enrolled,
            standing.problems,
            __version__,
        )
        if tells:
            self._beside, self._settled_at = beside, now
            self._tell(posture, standing.outages)
        if self._is_due(since_s):
            self._write(posture, standing, Path(folder))

    def _is_due(self, since_s: float) -> bool:
        """Whether the file is to be written, that long after it was."""
        return since_s >= EVERY_S or (self._changed and since_s >= SOON_S)

    def _tell(self, posture: Posture, outages: tuple[Outage, ...]) -> None:
        at_rest = settled(posture, self._settled)
        owed, self._owed = self._owed, False
        if (at_rest, outages) != (self._settled, self._outages):
            self._settled, self._outages, self._changed, owed = at_rest, outages, True, True
        listener = self._listener
        if owed and listener is not None:
            listener(at_rest, outages)

    def _write(self, posture: Posture, standing: Standing, folder: Path) -> None:
        document = {
            "schema": SCHEMA,
            "posture": to_wire(posture),
            "outages": [to_wire(one) for one in standing.outages],
            "incidents": [to_wire(one) for one in standing.incidents],
        }
        self._written_at, self._changed = self._clock(), False
        try:
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)
            write_file(folder / FILE, canonical(document), 0o640, durable=False)
        except OSError as error:
            self._problems.set(
                PROBLEM,
                f"what controls found can't be written to {folder}: {error.strerror}",
                "see run_dir in agent.yaml; what they find is looked at, recorded and alerted all the same",
            )
        else:
            self._problems.clear(PROBLEM)
