"""Whether an incarnation was begun by the cluster's own authority: by the root that this host was enrolled with.

An operator restores or reclaims a cluster once in years, so the library for it is loaded here and only then; it stays in
the agent's memory until its next start.
"""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Optional

from hullmark.agentd import enrolment
from hullmark.errors import HullmarkError
from hullmark.model.incarnation import IncarnationProof

Doubt = Callable[[str, int, Optional[IncarnationProof]], str]
"""(cluster, incarnation, proof): why the incarnation isn't believed; empty where it is."""


def doubt_by(folder: Path) -> Doubt:
    """By the root in the agent's state folder."""

    def doubt(cluster_id: str, incarnation: int, proof: Optional[IncarnationProof]) -> str:
        if proof is None:
            return f"incarnation {incarnation} is not proven: no signature of the cluster's came with it"
        from hullmark.pki import statements  # noqa: PLC0415 - see the head of this module

        path = folder / enrolment.ROOT
        try:
            statements.check_incarnation(proof, path.read_bytes(), cluster_id, incarnation)
        except HullmarkError as error:
            return f"incarnation {incarnation} is not proven: {error.message}"
        except OSError as error:
            return f"incarnation {incarnation} can't be checked: {path}: {error.strerror}"
        return ""

    return doubt
