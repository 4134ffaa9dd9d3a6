"""What stands behind the cluster: its masters, and the members of its store."""

from __future__ import annotations

from dataclasses import dataclass

FRESH_S = 10.0
"""A standby tells of itself every two seconds or so."""


@dataclass(frozen=True)
class StoreMember:
    """One member of the store as this master sees it. `answers` False: `silent_s` says for how long it has not, as far as
    this master knows. Sizes in bytes, 0 where unknown; `size_bytes` is the file's, `used_bytes` what of it is in use. `trouble`
    is the member's own word, such as an alarm."""

    name: str
    endpoint: str
    answers: bool
    leads: bool = False
    version: str = ""
    size_bytes: int = 0
    used_bytes: int = 0
    silent_s: float = 0.0
    trouble: str = ""


@dataclass(frozen=True)
class StoreCondition:
    """`kind` is `sqlite`, `etcd` or `memory`. `members` is empty for an embedded store. `troubles` are for people, the
    worst first, each with what to do in `remedies` at the same place (may be empty). `quorum` False: nothing can be written."""

    kind: str
    quorum: bool = True
    members: tuple[StoreMember, ...] = ()
    troubles: tuple[str, ...] = ()
    remedies: tuple[str, ...] = ()


@dataclass(frozen=True)
class MasterView:
    """One master as the one that answers sees it. `role` is `leader`, `standby` or `absent`. `why` says why it doesn't lead,
    empty for the leader. `seen_s` is how long ago its last sign of life was seen; `hears` how many hosts call it."""

    name: str
    role: str
    why: str = ""
    seen_s: float = 0.0
    version: str = ""
    api_urls: tuple[str, ...] = ()
    hears: int = 0

    def is_ready(self, leader: str) -> bool:
        """Whether it would follow this leader at once: it is there, and nothing but the other's leading is why it doesn't
        lead."""
        waits = self.why in ("", waits_for(leader))
        return self.role == "standby" and self.seen_s <= FRESH_S and waits


def waits_for(leader: str) -> str:
    """Why a standby that lacks nothing does not lead."""
    return f"{leader} leads"
