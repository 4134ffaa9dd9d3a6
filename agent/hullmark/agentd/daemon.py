"""The agent's process: it starts whatever is wrong with its host, and goes on by itself when that is mended.

Only what `preconditions` refuses, or another agent on the same folder, ends it. Everything else is a problem: said once, in
the log and (where there is one) to the leader, looked at again until it is over.

A reload (SIGHUP) reads the configuration afresh. Where it is good and another one, the agent's duty starts anew with it, in the
same process; where it is bad, the one in force stays, and that is a problem of the host until a reload goes well.
"""

from __future__ import annotations

import signal
import socket
import threading
import uuid
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Optional, Union

from hullmark import __version__, log
from hullmark.agentd import preconditions
from hullmark.agentd.asked import LOCAL
from hullmark.agentd.attendance import Attendance
from hullmark.agentd.bell import Bell
from hullmark.agentd.duty import Duty
from hullmark.agentd.ejected import is_ejected
from hullmark.agentd.enrolment import BACK
from hullmark.agentd.guard import Guard
from hullmark.agentd.identity import Who, who
from hullmark.agentd.lock import FolderLock
from hullmark.agentd.lookers import NO_ENGINE
from hullmark.agentd.observing import Observing
from hullmark.agentd.problems import Problems
from hullmark.config import AgentConfig
from hullmark.engine.docker_api import DockerApiEngine, find_engine
from hullmark.engine.protocol import Engine, Gate
from hullmark.errors import EngineUnavailable, HullmarkError, InvalidInput, NotFound
from hullmark.host.notify import ServiceManager
from hullmark.host.routes import known_networks
from hullmark.model.audit import Entry, Outcome
from hullmark.model.control import Mode

_log = log.get("agent")

TAG = "hullmark-agent"
"""Whose lines these are, in syslog."""
LOOK_S = 1.0
"""How often it is looked whether the host was enrolled, and as whom."""
RELOAD_AGAIN = (
    "mend it, then: systemctl reload hullmark-agent (or send the agent SIGHUP); until then the "
    "configuration that was read before stays in force"
)


class Agent:
    """`run` returns after `end`. `end` and `reload` may be called from any thread or signal handler."""

    def __init__(
        self,
        config: AgentConfig,
        config_file: str,
        manager: Optional[ServiceManager] = None,
    ) -> None:
        self._config = config
        self._config_file = config_file
        self._folder = Path(config.state_dir)
        self._manager = manager or ServiceManager()
        self._run = uuid.uuid4().hex
        self._bell = Bell()
        self._ending = False
        self._reload_asked = False
        self._is_ready = False
        self._duty: Union[Duty, Observing, None] = None
        self._serving: Optional[Who] = None
        self._began_as: Optional[str] = None
        self._problems = Problems()
        self._guard = Guard(config, self._problems, self._find_engine)
        self._attendance = Attendance(config, self._host, self._guard, self._problems)

    def end(self) -> None:
        self._ending = True
        self._bell.ring()

    def reload(self) -> None:
        """Read the configuration afresh, as soon as the agent gets to it."""
        self._reload_asked = True
        self._bell.ring()

    def run(self) -> None:
        """Raises Conflict where another agent uses the state folder."""
        lock = self._lock()
        _log.info("started", version=__version__, host=self._host, state_dir=self._folder)
        try:
            while not self._ending:
                identity = self._known()
                if identity is not None:
                    self._serve(identity)
        finally:
            self._manager.stopping()
            self._attendance.stop()
            self._guard.auditing.note(self._entry("agent.stopped"))
            self._guard.auditing.close()
            if lock is not None:
                lock.release()
        _log.info("ended; containers run on")

    def _record(
        self, kind: str, outcome: Outcome = Outcome.SUCCESS, why: str = "", **fields: str
    ) -> None:
        """Without waiting for the disk: the service manager hears nothing of an agent whose main thread waits."""
        self._guard.auditing.later(self._entry(kind, outcome, why, **fields))

    def _entry(
        self, kind: str, outcome: Outcome = Outcome.SUCCESS, why: str = "", **fields: str
    ) -> Entry:
        subject = f"host {self._host}"
        return Entry(kind, subject, outcome=outcome, origin=LOCAL, reason=why, fields=fields)

    @property
    def _host(self) -> str:
        return self._config.host_name or socket.gethostname().lower()

    def _lock(self) -> Optional[FolderLock]:
        """Waits for the folder while it can't be made or opened, and while the host is ejected, so that `eject` has it.
        None where the agent ends meanwhile."""
        while not self._ending:
            if is_ejected(self._folder):
                self._problems.set("host.ejected", "this host was ejected", BACK)
                self._pause()
                continue
            self._problems.clear("host.ejected")
            try:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                lock = FolderLock(self._folder)
            except OSError as error:
                self._problems.set(
                    "state.write",
                    f"{self._folder}: {error.strerror}",
                    f"make it a folder that this user can write; free space: df {self._folder}",
                )
                self._pause()
                continue
            self._problems.clear("state.write")
            return lock
        return None

    def _known(self) -> Optional[Who]:
        """Waits until the host is enrolled, and only checks it until then. None where the agent ends meanwhile."""
        while not self._ending:
            try:
                found = who(self._folder)
            except NotFound as error:
                self._problems.clear("host.unenrolled")
                self._only_check(error)
                self._pause()
                continue
            except HullmarkError as error:
                self._problems.set("host.unenrolled", error.message, self._how_to_enroll(error))
                self._attendance.start()
                self._pause()
                continue
            self._problems.clear("host.unenrolled")
            return found
        return None

    def _only_check(self, error: HullmarkError) -> None:
        """A host that was never enrolled, or was moved away from: nothing is wrong with it."""
        if self._began_as == "":
            return
        _log.info("not enrolled: this host is only checked", how=self._how_to_enroll(error))
        self._begin_as(None)

    def _begin_as(self, identity: Optional[Who]) -> None:
        """As this host of a cluster, or as none."""
        host_id = "" if identity is None else identity.host_id
        self._attendance.serve(host_id)
        if host_id != self._began_as:
            self._began_as = host_id
            of = {} if identity is None else {"cluster": identity.cluster_id}
            fields = {"version": __version__, "run": self._run, **of}
            self._record("agent.started", Outcome.SUCCESS, "", **fields)
        self._attendance.start()

    def _serve(self, identity: Who) -> None:
        """Until the agent ends, has another configuration, or the host becomes another one."""
        _log.info("serving", cluster=identity.cluster_id, host_id=identity.host_id)
        config = self._config
        self._begin_as(identity)
        of_mode = Observing if config.mode == Mode.OBSERVE.value else Duty
        duty = of_mode(config, identity, self._host, self._guard, self._problems, run=self._run)
        duty.start()
        self._attendance.report_by(duty)
        self._duty, self._serving = duty, identity
        try:
            while not self._ending and config is self._config:
                self._pause()
                if is_ejected(self._folder):
                    _log.info("this host was ejected")
                    self.end()
                elif self._became(identity):
                    _log.info("this host was enrolled anew")
                    return
        finally:
            self._duty = self._serving = None
            self._attendance.report_by(None)
            duty.stop()

    def _became(self, identity: Who) -> bool:
        try:
            return who(self._folder) != identity
        except HullmarkError:
            return False  # files that can't be read for the moment change nothing

    def _pause(self) -> None:
        """One look's time, or until somebody calls. All that the service manager is told is told from here, so that it hears
        nothing of an agent whose main thread stands still."""
        if not self._is_ready:
            self._manager.ready()
            self._is_ready = True
        self._manager.status(self._standing())
        if self._is_sound():
            self._manager.beat()
        self._bell.wait(min(LOOK_S, self._manager.beat_s or LOOK_S))
        if self._reload_asked and not self._ending:
            self._reload_asked = False
            self._reload()

    def _is_sound(self) -> bool:
        """Whether every loop lives."""
        attends = self._attendance.is_sound()
        return (self._duty is None or self._duty.is_sound()) and attends

    def _standing(self) -> str:
        """In one sentence."""
        problems = self._problems.all()
        if self._serving is None:
            only = "Only checks this host, which is not enrolled"
            doing = only if self._began_as == "" else "Waits to serve"
        elif isinstance(self._duty, Observing):
            doing = f"Observes host {self._host} of cluster {self._serving.cluster_id}"
        else:
            doing = f"Serves host {self._host} of cluster {self._serving.cluster_id}"
        if not problems:
            return f"{doing}; no problems."
        others = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
        return f"{doing}; {problems[0].code}: {problems[0].message}{others}."

    def _reload(self) -> None:
        """The service manager is told that it is over once the file is read: what tools see of a service meanwhile is that it does not run."""
        self._manager.reloading()
        try:
            self._read_afresh()
        finally:
            self._manager.ready()

    def _read_afresh(self) -> None:
        try:
            config = preconditions.reread(self._config_file, self._config)
        except InvalidInput as error:
            self._problems.set("config.invalid", preconditions.in_short(error), RELOAD_AGAIN)
            self._record("agent.reloaded", Outcome.FAILURE, preconditions.in_short(error))
            return
        self._problems.clear("config.invalid")
        self._attendance.configure(config)
        if config == self._config:
            _log.info("configuration read afresh: no value is another")
            return
        log.setup(config.log_level, config.log_form, config.log_to, TAG)
        _log.info("configuration read afresh", host=config.host_name or self._host)
        self._record("agent.reloaded", changed=", ".join(_changed(self._config, config)))
        was, self._config = self._config, config
        if config.mode != was.mode:
            # What was found in the other mode is not asked any more; closing it may take its time.
            threading.Thread(target=self._guard.engine.close, name="close", daemon=True).start()

    def _how_to_enroll(self, error: HullmarkError) -> str:
        return error.remedy.replace("invite HOST", f"invite {self._host}")

    def _find_engine(self, gate: Gate) -> Engine:
        config = self._config
        if config.mode == Mode.OBSERVE.value:
            raise EngineUnavailable(NO_ENGINE)
        return DockerApiEngine(
            find_engine(config.engine_socket),
            registries=Path(config.registries_dir),
            subnet_pool=config.engine_subnets,
            subnet_prefix=config.engine_subnet_prefix,
            host_networks=known_networks,
            gate=gate,
        )


def _changed(old: AgentConfig, new: AgentConfig) -> list[str]:
    """The fields whose values differ."""
    before, after = asdict(old), asdict(new)
    return sorted(name for name in after if after[name] != before[name])


def heed_signals(agent: Agent) -> None:
    """SIGTERM and SIGINT end the agent, SIGHUP has it read its configuration afresh. Called in the main thread."""

    def end(_number: int, _frame: Optional[FrameType]) -> None:
        agent.end()

    def reload(_number: int, _frame: Optional[FrameType]) -> None:
        agent.reload()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGHUP, reload)
