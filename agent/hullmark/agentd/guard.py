"""What stands between the agent and its engine: the gate, its judge and its log, and what an earlier process left open."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hullmark.agentd.aftermath import Aftermath
from hullmark.agentd.auditing import Auditing
from hullmark.agentd.engine_at_hand import EngineAtHand
from hullmark.agentd.gate import OpenJudge, RecordingGate
from hullmark.agentd.problems import Problems
from hullmark.config import AgentConfig
from hullmark.engine.protocol import Engine, Gate
from hullmark.errors import AuditUnavailable
from hullmark.host.auditfile import AuditFile, Limits
from hullmark.host.facts import boot_id

FILE = "audit.log"
LAST = "audit.last"
"""In the state folder: how far the log was, so that one that was removed or cut short is noticed."""


class Guard:
    """`find` makes an engine behind a gate. Where the log is holds for all of the process, whatever a reload brings."""

    def __init__(
        self, config: AgentConfig, problems: Problems, find: Callable[[Gate], Engine]
    ) -> None:
        self.auditing = Auditing(lambda host_id: open_log(config, host_id), problems)
        self.gate = RecordingGate(self.auditing, OpenJudge())
        self.engine = EngineAtHand(lambda: find(self.gate))
        self.aftermath = Aftermath(self.engine, self.auditing)
        self.gate.settle = self.aftermath.settle


def open_log(config: AgentConfig, host_id: str) -> AuditFile:
    """Raises AuditUnavailable, BrokenState."""
    folder = Path(config.audit_dir)
    try:
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    except OSError as error:
        raise AuditUnavailable(f"{folder}, where the audit log is: {error.strerror}") from error
    return AuditFile(
        folder / FILE,
        f"host:{host_id}",
        boot_id(),
        limits=Limits(config.audit_rotate_size, config.audit_keep, config.audit_reserve),
        last=Path(config.state_dir) / LAST,
    )
