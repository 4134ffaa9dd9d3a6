"""Telling a master that works on its answer from one that is frozen: both take connections, and only one of them says anything.

After `quiet_s` without a word it is asked something else, on a connection of its own. What it says to that doesn't matter.
"""

from __future__ import annotations

import io
import socket
from dataclasses import dataclass
from typing import Callable, Optional

from hullmark.launchers import look_command

SIGN_S = 2.0
"""How long a sign of life is waited for."""


class StillError(OSError):
    """It takes connections, and gave no sign of life either."""


@dataclass(frozen=True)
class Patience:
    """How long an answer's beginning is waited for. After `quiet_s` of that `lives` has to tell true."""

    timeout_s: float
    quiet_s: float
    lives: Callable[[], bool]


class Ear(io.RawIOBase):
    """What a connection says, for a BufferedReader, which could not go on after a wait that was cut in two."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__()
        self._connection = connection
        self.patience: Optional[Patience] = None
        """For the next read alone. Without one, the connection's own timeout holds."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]  # any writable buffer: Python 3.9 has no name for it
        """Raises StillError, and what the connection raises."""
        patience, self.patience = self.patience, None
        if patience is None or patience.quiet_s >= patience.timeout_s:
            return self._connection.recv_into(buffer)
        try:
            self._connection.settimeout(patience.quiet_s)
            return self._connection.recv_into(buffer)
        except socket.timeout:
            if not patience.lives():
                raise StillError(still(patience.quiet_s)) from None
            self._connection.settimeout(patience.timeout_s - patience.quiet_s)
            return self._connection.recv_into(buffer)
        finally:
            self._connection.settimeout(patience.timeout_s)


def still(seconds: float) -> str:
    return f"it takes connections and does not answer: nothing within {seconds:g} s"


def remedy() -> str:
    return f"see whether it is stopped or hangs: {look_command('masterd')}"
