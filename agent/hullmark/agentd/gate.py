"""The agent's gate to the engine: each deed is judged, its intent recorded, done, and its outcome recorded."""

from __future__ import annotations

from typing import Protocol

from hullmark.engine.protocol import Deed


class Judge(Protocol):
    """What the host's own policy says of a deed. May be asked from any thread."""

    def judge(self, deed: Deed) -> None:
        """Raises PolicyRefused, naming the rule with its file and line."""
        ...


class OpenJudge:
    """Refuses nothing: for a host without a policy, and for tests."""

    def judge(self, deed: Deed) -> None:
        """Nothing is forbidden."""
