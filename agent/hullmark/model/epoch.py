"""Epochs: which leader an order comes from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Epoch:
    """(incarnation, term), compared in that order.

    The term grows with every change of leader. The incarnation grows only when an operator restores
    or reclaims a cluster. An agent persists the highest epoch that it accepted, and obeys nothing lower.
    """

    incarnation: int
    term: int

    def __str__(self) -> str:
        return f"{self.incarnation}.{self.term}"

    @classmethod
    def parse(cls, text: str) -> Epoch:
        """Read `1.41` back. Raises ValueError for anything else."""
        incarnation, _, term = text.partition(".")
        if not (text.isascii() and incarnation.isdecimal() and term.isdecimal()):
            raise ValueError(f"not an epoch: {text!r}")
        return cls(int(incarnation), int(term))


NO_EPOCH = Epoch(0, 0)
"""Lower than any leader's epoch: what an agent that has never heard a leader holds."""
