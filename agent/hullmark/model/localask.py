"""What a person on a host that is in no cluster asks of its agent, by a file that only root can put there, and the answer beside it.

STATE_DIR/asks/ID.ask     {"form": 1, "verb": "acknowledge", "incident": 3, "by": "alice"}
STATE_DIR/asks/ID.answer  {"form": 1, "done": true, "number": 3}
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from hullmark.model.outage import Incident

FOLDER = "asks"
ASK, ANSWER = ".ask", ".answer"
ACKNOWLEDGE, NOTE = "acknowledge", "note"
HEARD_S = 5.0
"""How long whoever asks waits; an ask that is older than that is done no more."""
ASK_BYTES = 64 * 1024


@dataclass(frozen=True)
class LocalAsk:
    """`verb` is ACKNOWLEDGE or NOTE. `by` is the person who typed the command."""

    verb: str
    incident: int
    by: str
    topic: str = ""
    text: str = ""
    form: int = 1


@dataclass(frozen=True)
class LocalAnswer:
    """`incident` is as it is now; another one, where it had become part of that. Not `done`: `why`, and what to do."""

    done: bool
    incident: Optional[Incident] = None
    why: str = ""
    remedy: str = ""
    form: int = 1
