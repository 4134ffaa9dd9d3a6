"""The answer to a change that waits for a second person. Nothing is imported for it: nearly no command meets it."""

from __future__ import annotations


class HeldError(Exception):
    """A change was not carried out, and not refused: it waits, as the shop's own rules ask for. `body` is the master's answer
    (`model.changecontrol.Held`)."""

    def __init__(self, body: bytes) -> None:
        super().__init__("it waits for approval")
        self.body = body
