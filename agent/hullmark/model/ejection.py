"""What an engine itself does about a container that ended: once the agent has left, nobody else does."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EngineRestart:
    """`name` is `no`, `on-failure`, `unless-stopped` or `always`, as both engines call them. `attempts` is of
    `on-failure` alone; 0: without end."""

    name: str = "no"
    attempts: int = 0

    def __str__(self) -> str:
        """As Compose writes it."""
        return f"{self.name}:{self.attempts}" if self.attempts else self.name


NO_RESTART = EngineRestart()
