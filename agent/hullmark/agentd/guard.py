"""What stands between the agent and its engine: the gate, its judge and its log, and what an earlier process left open."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Optional

from hullmark.agentd.aftermath import Aftermath
from hullmark.agentd.asked import LOCAL
from hullmark.agentd.auditing import Auditing
from hullmark.agentd.engine_at_hand import EngineAtHand
from hullmark.agentd.gate import RecordingGate
from hullmark.agentd.policing import Policing
from hullmark.agentd.policyfolder import PolicyFolder
from hullmark.agentd.problems import Problems
from hullmark.agentd.sights import Viewpoint
from hullmark.config import AgentConfig
from hullmark.engine.protocol import Engine, Gate
from hullmark.errors import AuditUnavailable
from hullmark.host.auditcopies import Copies
from hullmark.host.auditdisk import make_folder
from hullmark.host.auditfile import AuditFile, Limits
from hullmark.host.facts import boot_id
from hullmark.model.audit import Entry, Outcome
from hullmark.model.policy import Policy

FILE = "audit.log"
POLICY_READ = "policy.read"
"""The kind of the record that says which policy is in force from now on, or that none can be read."""
LAST = "audit.last"
"""In the state folder: how far the log was, so that one that was removed or cut short is noticed."""


class Guard:
    """`find` makes an engine behind a gate. Where the log is holds for all of the process, whatever a reload brings."""

    def __init__(
        self, config: AgentConfig, problems: Problems, find: Callable[[Gate], Engine]
    ) -> None:
        self.auditing = Auditing(lambda host_id: open_log(config, host_id), problems)
        self._problems = problems
        self._find = find
        self.engine = EngineAtHand(lambda: self._find(self.gate))
        self.policing = self._police(config)
        self.gate = RecordingGate(self.auditing, self.policing)
        self.aftermath = Aftermath(self.engine, self.auditing)
        self.gate.settle = self.aftermath.settle

    def police(self, config: AgentConfig) -> Policing:
        """By the policy and the paths of this configuration from now on."""
        self.gate.judge = self.policing = self._police(config)
        return self.policing

    def _police(self, config: AgentConfig) -> Policing:
        folder = PolicyFolder(config.policy_dir, self._problems, self._note_policy)
        return Policing(Viewpoint(config, self.engine), folder)

    def _note_policy(self, policy: Optional[Policy], why: str) -> None:
        fields = {} if policy is None else {"digest": policy.digest, "scope": policy.scope}
        outcome = Outcome.SUCCESS if policy is not None else Outcome.FAILURE
        files = "" if policy is None else ", ".join(policy.files)
        given = {name: text for name, text in {**fields, "files": files}.items() if text}
        self.auditing.note(
            Entry(POLICY_READ, "policy", outcome=outcome, origin=LOCAL, reason=why, fields=given)
        )


def log_paths(config: AgentConfig) -> tuple[Path, Path]:
    """The file that grows, and where its end is remembered."""
    return Path(config.audit_dir) / FILE, Path(config.state_dir) / LAST


def open_log(config: AgentConfig, host_id: str) -> AuditFile:
    """Raises AuditUnavailable, BrokenState."""
    path, last = log_paths(config)
    folder = path.parent
    try:
        make_folder(folder)
    except OSError as error:
        raise AuditUnavailable(f"{folder}, where the audit log is: {error.strerror}") from error
    return AuditFile(
        path,
        f"host:{host_id}",
        boot_id(),
        limits=Limits(config.audit_rotate_size, config.audit_keep, config.audit_reserve),
        last=last,
        copy=Copies(config.audit_copies, "hullmark-agent").take,
    )
