"""The text of a canary: the harmless line that a check writes to a log, to see it again at the log's end.

It says what it is to whoever reads it there, and holds nothing that a tool would alert on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MARK = "hullmark-canary"
_CANARY = re.compile(rf"{MARK} host=([A-Za-z0-9._:-]{{1,255}}) nonce=([0-9a-f]{{32}})(?![0-9a-f])")
_NO_HOST = re.compile(r"[^A-Za-z0-9._:-]")


@dataclass(frozen=True)
class Canary:
    host: str
    nonce: str


def make(host: str, nonce: str) -> str:
    """One line. `host` is a name or an id: what else it has becomes `-`. `nonce` is `Eye.nonce()`."""
    name = _NO_HOST.sub("-", host)[:255] or "unknown"
    return f"{MARK} host={name} nonce={nonce} - synthetic test, no action needed"


def find(text: str) -> tuple[Canary, ...]:
    """All that are whole in this text, in order, whatever a log wrote around them."""
    return tuple(Canary(host, nonce) for host, nonce in _CANARY.findall(text))
