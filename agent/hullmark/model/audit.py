"""The audit log: what is recorded, the place of a record in its chain, and what vouches for the chain's end.

Each daemon keeps one log of its own: the agent of a host, and each master. A log is a chain of records, one JSON object a
line. A record's `hash` is over its own line and `prev`, the hash of the record before it, so that no record can be changed,
taken out or put in between without all later ones being made anew. `core/chain.py` has the exact bytes.

    {"seq": 8, "prev": "3f...", "log": "host:h1", "boot": "9c...", "at": "2026-11-29T05:40:01.123456Z",
     "kind": "container.start", "stage": "intent", "outcome": "pending", "by": "alice", "actor": "human",
     "origin": "10.0.0.7", "subject": "shop/api.2", ..., "hash": "a1..."}

Every record has what PCI DSS 10.2.2 asks for: the user (`by`), the type of event (`kind`), date and time (`at`), success or
failure (`outcome`), where it came from (`origin`) and what it affected (`subject`).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

DAEMON = "hullmark"
"""`by` of what a daemon does of itself."""
BY_HAND = "unknown"
"""`by` of what somebody did past Hullmark, who isn't known."""
ALGORITHM = "ecdsa-p256-sha256"
"""Of every signature here; the only one so far."""
FIRST_PREV = "0" * 64
"""`prev` of a log's first record."""


class Stage(enum.Enum):
    INTENT = "intent"  # durable before the action is begun
    OUTCOME = "outcome"  # of the intent that `of` names
    EVENT = "event"  # something that happened, or was refused before it began


class Outcome(enum.Enum):
    PENDING = "pending"  # of an intent
    SUCCESS = "success"
    FAILURE = "failure"
    REFUSED = "refused"
    UNKNOWN = "unknown"  # the process ended in the middle, and a look afterwards could not tell


class Actor(enum.Enum):
    """What `by` names."""

    HUMAN = "human"
    MACHINE = "machine"  # a token
    HOST = "host"
    MASTER = "master"
    SYSTEM = "system"  # the daemon itself
    UNKNOWN = "unknown"  # somebody who acted past Hullmark


@dataclass(frozen=True)
class Entry:
    """What is to be recorded. `origin` is an address, `local`, or the machine's name. `epoch` is text such as `1.41`.
    `of` is the sequence number of an outcome's intent, 0 for others. `fields` hold what only this kind has; never a
    secret, and never the value of a variable."""

    kind: str
    subject: str
    stage: Stage = Stage.EVENT
    outcome: Outcome = Outcome.SUCCESS
    by: str = DAEMON
    actor: Actor = Actor.SYSTEM
    origin: str = ""
    reason: str = ""
    ticket: str = ""
    request_id: str = ""
    epoch: str = ""
    container_id: str = ""
    image_digest: str = ""
    of: int = 0
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """An entry in its place. `log` is `host:HOST_ID` or `master:NAME`, `boot` the kernel's boot id, `at` RFC 3339 in UTC with
    microseconds. `seq` starts at 1 and has no gaps; hashes are SHA-256, 64 hexadecimal digits."""

    seq: int
    prev: str
    log: str
    boot: str
    at: str
    entry: Entry
    hash: str


@dataclass(frozen=True)
class Head:
    """The newest record of a log at one time. It vouches for every record before it. `at` is seconds since 1970."""

    log: str
    seq: int
    hash: str
    at: float


@dataclass(frozen=True)
class SignedHead:
    """`signature` is base64, over `wire.canonical` of the head, by the key of the certificate with this fingerprint."""

    head: Head
    certificate_sha256: str
    signature: str
    algorithm: str = ALGORITHM


@dataclass(frozen=True)
class Seal:
    """A master's countersignature: it keeps the head in entry `number` of its own chained file of heads, whose hash is
    `link`. `signature` is base64, over `wire.canonical` of the seal with an empty signature, by the key of the certificate with
    this fingerprint."""

    master: str
    head: Head
    number: int
    link: str
    at: float
    certificate_sha256: str
    signature: str = ""
    algorithm: str = ALGORITHM
