"""What the agent does for its host whomever it serves, also nobody: it looks at its controls, tells people what is out, and looks after
its audit log. A `Duty` that reports to a leader is given the host's posture for as long as it lasts."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Optional, Protocol

from hullmark.agentd import declaredports
from hullmark.agentd.alarm import Alarm
from hullmark.agentd.controlling import Controlling, Makings
from hullmark.agentd.controlrecords import Diary
from hullmark.agentd.definitions import Definitions
from hullmark.agentd.forwarding import Forwarding
from hullmark.agentd.guard import Guard, log_paths
from hullmark.agentd.link import Link
from hullmark.agentd.lookers import assemble, filled
from hullmark.agentd.looking import Looking
from hullmark.agentd.posturing import Posturing
from hullmark.agentd.problems import Problems
from hullmark.agentd.proxylook import ProxySights
from hullmark.agentd.results import Results
from hullmark.agentd.runner import Runner
from hullmark.agentd.supervisor import Supervisor
from hullmark.agentd.watchedfiles import UNCHANGED, WatchedFiles
from hullmark.config import AgentConfig, shipped_controls
from hullmark.engine import probes
from hullmark.host.machineid import derived
from hullmark.host.probes import PROBES
from hullmark.model.control import Mode, Posture
from hullmark.model.outage import Outage

STOP_S = 0.5
UNENROLLED = "unenrolled-"
RECEIPT = "forwarding.receipt"
OWN_CHAIN = "logfiles.own_chain"
SERVING = "proxy.serving"
ROUTING = "engines.routing"


def unenrolled_id() -> str:
    """By what the audit log of a host goes that no cluster has given an id."""
    return UNENROLLED + derived("hullmark's audit log of a host that is not enrolled")


class Reporting(Protocol):
    """Who reports to a leader; see `duty`."""

    @property
    def link(self) -> Link: ...

    def show_posture(self, posture: Posture, outages: tuple[Outage, ...]) -> None: ...

    def tell(self, kind: str, subject: str, message: str, fields: Mapping[str, str]) -> None: ...

    def proxy_troubles(self) -> tuple[str, ...]:
        """What was wrong with the host's proxy, and is mended, since this was asked last."""
        ...


class Attendance:
    """Started once, when the state folder is this agent's, and stopped once: for as long as the process lives."""

    def __init__(self, config: AgentConfig, host: str, guard: Guard, problems: Problems) -> None:
        self._config = config
        self._guard = guard
        self._host_id = ""
        self._reporting: Optional[Reporting] = None
        self._started = False
        self._ending = threading.Event()
        note = guard.auditing.later
        self._alarm = Alarm(config, host, problems, note=note, said=guard.auditing.note)
        self._forwarding = Forwarding(config.controls_receipts)
        self._watched = WatchedFiles(
            Path(config.state_dir),
            Path(config.run_dir),
            config.controls_watch,
            note,
            lambda: self._controlling.hurry(UNCHANGED),
        )
        of_engine = probes.looks(guard.engine, declaredports.sources(Path(config.state_dir)))
        looking = Looking(
            assemble(
                of_engine,
                {
                    ROUTING: filled(of_engine[ROUTING], self._range),
                    RECEIPT: self._forwarding.look,
                    OWN_CHAIN: filled(PROBES[OWN_CHAIN], self._own_log),
                    SERVING: ProxySights(self._proxy_places, self._proxy_troubles).look,
                    **self._watched.looks(),
                },
                observing=lambda: self._config.mode == Mode.OBSERVE.value,
            ),
            self._ending,
        )
        posturing = Posturing(host, problems)
        self._controlling = Controlling(
            Makings(
                Definitions(shipped_controls(), problems, note),
                Runner(host, looking.look, budget=lambda: self._config.controls_budget / 100),
                Results(),
                Diary(note, lambda: guard.auditing.backlog),
                posturing,
                self._alarm.keeper,
                problems,
                time.time,
            ),
            config,
        )
        self._supervisor = Supervisor(
            {
                "audit": guard.auditing.run,
                "controls": self._controlling.run,
                "posture": posturing.watch,
                "asks": self._alarm.run,
                "receipts": self._forwarding.run,
                "files": self._watched.run,
            },
            problems,
        )

    def _own_log(self) -> Mapping[str, object]:
        path, last = log_paths(self._config)
        return {"path": str(path), "last": str(last)}

    def _range(self) -> Mapping[str, object]:
        return {"range": self._config.engine_subnets}

    def _proxy_places(self) -> tuple[Path, Path]:
        return Path(self._config.proxy_folder), Path(self._config.proxy_run_dir)

    def _proxy_troubles(self) -> tuple[str, ...]:
        return self._reporting.proxy_troubles() if self._reporting is not None else ()

    def start(self) -> None:
        """Once; again it changes nothing."""
        if self._started:
            return
        self._started = True
        self._alarm.start()
        self._supervisor.start()

    def is_sound(self) -> bool:
        return self._supervisor.is_sound()

    def configure(self, config: AgentConfig) -> None:
        self._config = config
        self._alarm.configure(config)
        self._controlling.configure(config)

    def serve(self, host_id: str) -> None:
        """The host's id in its cluster, empty while it has none."""
        log_of = host_id or unenrolled_id()
        before = self._guard.auditing.host_id
        if not before:
            self._guard.auditing.serve(log_of)
        elif before != log_of:
            self._controlling.end_log()
            self._guard.auditing.serve(log_of)
            self._controlling.begin_log()
        self._host_id = host_id
        self._alarm.serve(enrolled=bool(host_id))
        self._controlling.serve(enrolled=bool(host_id))

    def report_by(self, reporting: Optional[Reporting]) -> None:
        """Who reports to a leader from now on; None: nobody."""
        self._reporting = reporting
        if reporting is None:
            self._alarm.serve(enrolled=bool(self._host_id))
            self._forwarding.serve(self._host_id, None)
            self._controlling.show_to(None)
            return
        self._alarm.serve(enrolled=True, tell=reporting.tell)
        self._forwarding.serve(self._host_id, reporting.link)
        self._controlling.show_to(reporting.show_posture)

    def stop(self) -> None:
        if not self._started:
            return
        self._ending.set()
        self._supervisor.stop(self._controlling.wake, STOP_S)
        self._controlling.close()
        self._alarm.close()
