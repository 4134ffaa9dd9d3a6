"""Files for a load balancer of the shop's own on this host: where published ports answer, kept up to date.

The leader is asked every few seconds, only where agent.yaml names such a file. A file is replaced whole, and only when it would
have another content; while no leader says anything it stays as it is.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Callable

from hullmark import log
from hullmark.agentd import pulse
from hullmark.agentd.ledger import Ledger
from hullmark.agentd.link import Link
from hullmark.agentd.problems import Problems
from hullmark.config import AgentConfig
from hullmark.core import endpointfiles
from hullmark.errors import HullmarkError
from hullmark.model.services import (
    ENDPOINTS_PATH,
    EndpointsAnswer,
    EndpointsRequest,
    ServiceReach,
)
from hullmark.pki.files import write_file

PROBLEM = "services.export"
LOOK_S = 2.0
TIMEOUT_S = 10.0

Render = Callable[[Sequence[ServiceReach]], str]

_log = log.get("endpoints")


def files_of(config: AgentConfig) -> Mapping[Path, Render]:
    """What is to be written where."""
    asked = {
        config.services_export_hosts_file: endpointfiles.hosts_file,
        config.services_export_json: endpointfiles.json_text,
        config.services_export_haproxy: endpointfiles.haproxy_fragment,
    }
    return {Path(path): render for path, render in asked.items() if path}


class EndpointExport:
    """`run` and `turn` are one thread's."""

    def __init__(
        self, link: Link, ledger: Ledger, problems: Problems, files: Mapping[Path, Render]
    ) -> None:
        self._link = link
        self._ledger = ledger
        self._problems = problems
        self._files = files
        self._digest = ""
        self._texts: dict[Path, str] = {}

    def run(self, stopping: threading.Event) -> None:
        if not self._files:
            self._problems.clear(PROBLEM)  # of files that agent.yaml named before
        while not stopping.is_set():
            if self._files:
                self.turn()
            pulse.rest(stopping, LOOK_S)

    def turn(self) -> None:
        """Ask, then see to it that the files are as they should be: also where somebody else changed one."""
        try:
            self._ask()
        except HullmarkError as error:
            # That no leader answers, or that it is older than this question, is told elsewhere.
            _log.debug("not told where services answer", why=error.message)
        self._write()

    def _ask(self) -> None:
        request = EndpointsRequest(self._digest)
        answer, _ = self._link.call(ENDPOINTS_PATH, request, EndpointsAnswer, TIMEOUT_S)
        why = self._ledger.doubts(answer.epoch, answer.leader)
        if why or not answer.ready or answer.same:
            return
        self._digest = answer.digest
        self._texts = {path: render(answer.services) for path, render in self._files.items()}

    def _write(self) -> None:
        failed: list[tuple[Path, OSError]] = []
        for path, text in self._texts.items():
            try:
                if _content(path) != text.encode():
                    write_file(path, text.encode(), durable=False)
                    _log.info("written where services answer", path=str(path))
            except OSError as error:
                failed.append((path, error))
        if failed:
            path, why = failed[0]
            message = f"{path} can't be kept up to date: {why.strerror or why}"
            self._problems.set(PROBLEM, message, _remedy(path, why))
        else:
            self._problems.clear(PROBLEM)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _remedy(path: Path, error: OSError) -> str:
    if error.errno == errno.EROFS:
        return f"let the agent write there: systemctl edit hullmark-agent, [Service] ReadWritePaths={path.parent}"
    return f"ls -ld {path.parent}; df {path.parent}; the key services.export in agent.yaml names it"
