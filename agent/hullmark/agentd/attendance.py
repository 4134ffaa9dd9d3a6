"""What the agent does for its host whomever it serves, also nobody: it looks at its controls, and looks after its audit log."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Optional

from hullmark.agentd.controlling import Controlling, Makings
from hullmark.agentd.controlrecords import Diary
from hullmark.agentd.definitions import Definitions
from hullmark.agentd.guard import Guard
from hullmark.agentd.lookers import assemble
from hullmark.agentd.looking import Looking
from hullmark.agentd.posturing import Posturing, Show
from hullmark.agentd.problems import Problems
from hullmark.agentd.results import Results
from hullmark.agentd.runner import Runner
from hullmark.agentd.supervisor import Supervisor
from hullmark.config import AgentConfig, shipped_controls
from hullmark.host.machineid import derived
from hullmark.model.control import ControlState, Mode
from hullmark.model.outage import Incident, Outage

STOP_S = 0.5
UNENROLLED = "unenrolled-"


def unenrolled_id() -> str:
    """By what the audit log of a host goes that no cluster has given an id."""
    return UNENROLLED + derived("hullmark audit log of a host that is not enrolled")


class Attendance:
    """Started once, stopped once; for as long as the process lives."""

    def __init__(self, config: AgentConfig, host: str, guard: Guard, problems: Problems) -> None:
        self._config = config
        self._guard = guard
        self._ending = threading.Event()
        note = guard.auditing.later
        looking = Looking(
            assemble(observing=lambda: self._config.mode == Mode.OBSERVE.value),
            self._ending,
        )
        self.controlling = Controlling(
            Makings(
                Definitions(shipped_controls(), problems, note),
                Runner(host, looking.look, budget=lambda: self._config.controls_budget / 100),
                Results(),
                Diary(note, lambda: guard.auditing.backlog),
                Posturing(host, problems),
                _Unkept(),
                time.time,
            ),
            config,
        )
        self._supervisor = Supervisor(
            {"audit": guard.auditing.run, "controls": self.controlling.run}, problems
        )

    def start(self) -> None:
        self._supervisor.start()

    def is_sound(self) -> bool:
        return self._supervisor.is_sound()

    def configure(self, config: AgentConfig) -> None:
        self._config = config
        self.controlling.configure(config)

    def show_to(self, show: Optional[Show]) -> None:
        """Who shows the host's posture to a leader from now on."""
        self.controlling.show_to(show)

    def serve(self, host_id: str) -> None:
        """The host's id in its cluster, empty while it has none."""
        log_of = host_id or unenrolled_id()
        before = self._guard.auditing.host_id
        if not before:
            self._guard.auditing.serve(log_of)
        elif before != log_of:
            self.controlling.end_log()
            self._guard.auditing.serve(log_of)
            self.controlling.begin_log()
        self.controlling.serve(enrolled=bool(host_id))

    def stop(self) -> None:
        self._ending.set()
        self._supervisor.stop(self.controlling.wake, STOP_S)
        self.controlling.close()


class _Unkept:
    """Makes no outages."""

    def take(self, states: Mapping[str, ControlState], now: float) -> Mapping[str, str]:
        return {}

    def outages(self) -> tuple[Outage, ...]:
        return ()

    def incidents(self) -> tuple[Incident, ...]:
        return ()
