"""The agent's process: it starts whatever is wrong with its host, and goes on by itself when that is mended.

Only a wrong configuration, or another agent on the same folder, ends it. Everything else is a problem: said once, in the
log and (where there is one) to the leader, looked at again until it is over.
"""

from __future__ import annotations

import signal
import socket
import threading
from pathlib import Path
from types import FrameType
from typing import Optional

from hullmark import __version__, log
from hullmark.agentd.duty import Duty
from hullmark.agentd.engine_at_hand import EngineAtHand
from hullmark.agentd.identity import Who, who
from hullmark.agentd.lock import FolderLock
from hullmark.agentd.problems import Problems
from hullmark.config import AgentConfig
from hullmark.engine.docker_api import DockerApiEngine, find_engine
from hullmark.engine.protocol import Engine
from hullmark.errors import HullmarkError
from hullmark.host.routes import known_networks

_log = log.get("agent")

LOOK_S = 1.0
"""How often it is looked whether the host was enrolled, and as whom."""


class Agent:
    """`run` returns after `end`, which may be called from any thread or signal handler."""

    def __init__(self, config: AgentConfig, config_file: str) -> None:
        self._config = config
        self._config_file = config_file
        self._folder = Path(config.state_dir)
        self._host = config.host_name or socket.gethostname().lower()
        self._ending = threading.Event()
        self._problems = Problems()
        self._engine = EngineAtHand(self._find_engine)

    def end(self) -> None:
        self._ending.set()

    def run(self) -> None:
        """Raises Conflict where another agent uses the state folder."""
        lock = self._lock()
        _log.info("started", version=__version__, host=self._host, state_dir=self._folder)
        try:
            while not self._ending.is_set():
                identity = self._known()
                if identity is not None:
                    self._serve(identity)
        finally:
            if lock is not None:
                lock.release()
        _log.info("ended; containers run on")

    def _lock(self) -> Optional[FolderLock]:
        """Waits for the folder while it can't be made or opened. None where the agent ends meanwhile."""
        while not self._ending.is_set():
            try:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                lock = FolderLock(self._folder)
            except OSError as error:
                self._problems.set(
                    "state.write",
                    f"{self._folder}: {error.strerror}",
                    f"make it a folder that this user can write; free space: df {self._folder}",
                )
                self._ending.wait(LOOK_S)
                continue
            self._problems.clear("state.write")
            return lock
        return None

    def _known(self) -> Optional[Who]:
        """Waits until the host is enrolled. None where the agent ends meanwhile."""
        while not self._ending.is_set():
            try:
                found = who(self._folder)
            except HullmarkError as error:
                self._problems.set("host.unenrolled", error.message, self._how_to_enroll(error))
                self._ending.wait(LOOK_S)
                continue
            self._problems.clear("host.unenrolled")
            return found
        return None

    def _serve(self, identity: Who) -> None:
        """Until the agent ends, or the host becomes another one."""
        _log.info("serving", cluster=identity.cluster_id, host_id=identity.host_id)
        duty = Duty(
            self._config, self._config_file, identity, self._host, self._engine, self._problems
        )
        duty.start()
        try:
            while not self._ending.wait(LOOK_S):
                if self._became(identity):
                    _log.info("this host was enrolled anew")
                    return
        finally:
            duty.stop()

    def _became(self, identity: Who) -> bool:
        try:
            return who(self._folder) != identity
        except HullmarkError:
            return False  # files that can't be read for the moment change nothing

    def _how_to_enroll(self, error: HullmarkError) -> str:
        return error.remedy.replace("invite HOST", f"invite {self._host}")

    def _find_engine(self) -> Engine:
        config = self._config
        return DockerApiEngine(
            find_engine(config.engine_socket),
            registries=Path(config.registries_dir),
            subnet_pool=config.engine_subnets,
            subnet_prefix=config.engine_subnet_prefix,
            host_networks=known_networks,
        )


def end_on_signals(agent: Agent) -> None:
    """SIGTERM and SIGINT end the agent. Called in the main thread."""

    def handle(_number: int, _frame: Optional[FrameType]) -> None:
        agent.end()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
