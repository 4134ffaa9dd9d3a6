"""What the store keeps, one dataclass per kind of key (keys: `names`)."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Optional

from hullmark.model.app import App
from hullmark.model.change import Change
from hullmark.model.epoch import Epoch
from hullmark.model.event import Event
from hullmark.model.incarnation import IncarnationProof
from hullmark.model.orders import Assignment, Tombstone, VolumeRemoval


@dataclass(frozen=True)
class ClusterRecord:
    """`proof` is of the incarnation; the first one needs none."""

    cluster_id: str
    created_at: float
    incarnation: int = 1
    proof: Optional[IncarnationProof] = None


@dataclass(frozen=True)
class RestoringRecord:
    """A snapshot is being restored into this store: `run` names one try, `sha256` is the snapshot's. No cluster's record is
    there until it is done."""

    run: str
    sha256: str
    at: float
    by: str


@dataclass(frozen=True)
class LeaderRecord:
    """Who leads. Every write of a leader compares that this record is still its own.

    `mark` is drawn anew for each term: two masters on copies of one store have the same epoch and,
    perhaps, the same name, but not the same mark. `address` is `HOST:PORT` of its agents' port, `api_address` of its
    API. `master` empty: whoever led has given leadership back.
    """

    epoch: Epoch
    master: str
    address: str
    since: float
    mark: str = ""
    api_address: str = ""

    @property
    def leader(self) -> str:
        """What agents know the leader of this term by, such as `m1@5f0c2a9e`."""
        return f"{self.master}@{self.mark}"


@dataclass(frozen=True)
class PulseRecord:
    """The leader's sign of life, renewed by compare-and-set on the leader record. A key of its own, so that the leader
    record changes with terms only and every fenced write may compare it. `mark` is the leader record's."""

    mark: str
    count: int


@dataclass(frozen=True)
class MasterRecord:
    """What a master says of itself, in a key of its own that nobody else writes. `run` names one life of its process, and
    `beat` grows with every writing. `hears` is the number of hosts that called it lately, `why` why it doesn't lead (empty
    while it does). Its file of heads ends at entry `heads`, whose link is `heads_link`; `refuses` are logs that don't go on as it knew
    them."""

    name: str
    run: str
    version: str
    agents_urls: tuple[str, ...]
    api_urls: tuple[str, ...]
    started_at: float
    beat: int = 0
    hears: int = 0
    why: str = ""
    heads: int = 0
    heads_link: str = ""
    refuses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Term:
    """One term, whose leader record was written at revision `began` of the store. Orders of the terms before it
    have lower revisions than that."""

    epoch: Epoch
    leader: str
    began: int


@dataclass(frozen=True)
class TermsRecord:
    """The terms so far, the newest last: what shows an agent that a later leader's store is the one
    whose orders it accepted, and not an old copy of it."""

    terms: tuple[Term, ...] = ()


@dataclass(frozen=True)
class AppRecord:
    """An app's spec with its generation.

    `generations` gives for each service the generation in which its instances' spec last changed, so
    that an unchanged service keeps its containers. A one-shot's moves whenever any service's does.
    `rolled_back_to` above 0: this generation took back the spec of that one, at `rollback_config`'s pace.
    `removing`: a person removed it; the record goes once every host has its tombstones (and, with
    `remove_volumes`, its volume removals).
    """

    app: App
    generation: int
    change: Change
    generations: Mapping[str, int] = field(default_factory=dict)
    spec_hashes: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    rolled_back_to: int = 0
    removing: bool = False
    remove_volumes: bool = False


@dataclass(frozen=True)
class HostAssignments:
    """All that one host is to run and to remove: one key per host."""

    assignments: tuple[Assignment, ...] = ()
    tombstones: tuple[Tombstone, ...] = ()
    volume_removals: tuple[VolumeRemoval, ...] = ()


NO_ASSIGNMENTS = HostAssignments()


@dataclass(frozen=True)
class Home:
    """Where a slot's local data is: the host, and the named volumes there by their keys in the app (none
    where it has binds only). `leave` is an operator's word that the slot is to go from that host, whatever
    becomes of the data: it goes with the slot's next placement, to `host_id` where that is set. Without
    `accepts_loss` it was said when there was no data, and holds only as long as there is none."""

    host_id: str
    volumes: tuple[str, ...] = ()
    leave: str = ""
    change: Optional[Change] = None
    accepts_loss: bool = True


@dataclass(frozen=True)
class HomesRecord:
    """The homes of an app's slots, keyed `service.slot`. They outlive the app until its volumes are removed:
    whoever applies it again finds the data."""

    slots: Mapping[str, Home] = field(default_factory=dict)


class RolloutState(enum.Enum):
    ROLLING = "rolling"
    PAUSED = "paused"  # by a person, or because too many of the new instances failed
    UNDOING = (
        "undoing"  # too many failed: the leader is about to take back the last good generation
    )
    DONE = "done"


@dataclass(frozen=True)
class Rollout:
    """How far an app's generation has come. `good` is the newest generation whose rollout was done, and `former` the
    one before it; 0 where there is none. `reason` says why it stopped, `by` who stopped it: empty for the leader itself.

    `undid` is the generation that failed, where the leader took it back with this one by itself; `reason` is then why.
    `services` are those whose instances the change replaces, each with the number of slots that it had before.
    `forgiven` are instances, by container name, that had failed when a person told it to go on.
    """

    generation: int
    state: RolloutState = RolloutState.ROLLING
    good: int = 0
    reason: str = ""
    by: str = ""
    at: float = 0.0
    former: int = 0
    services: Mapping[str, int] = field(default_factory=dict)
    forgiven: tuple[str, ...] = ()
    undid: int = 0


@dataclass(frozen=True)
class ServiceAddresses:
    """`given` is by `APP/SERVICE`. The first `fresh` addresses of the range have been given, or passed over, at some time;
    `released` are those that no service has any more, the one that has been free for longest first."""

    range: str = ""
    given: Mapping[str, str] = field(default_factory=dict)
    fresh: int = 0
    released: tuple[str, ...] = ()


NO_ADDRESSES = ServiceAddresses()
"""Before the first service has one."""


@dataclass(frozen=True)
class ProxyRecord:
    """What a leader last knew of a host's proxy: its TLS port is at `address`:`port`. `serving` are container names of instances there that
    served, of services with an address, in order. There is none of a host without a proxy."""

    address: str
    port: int
    serving: tuple[str, ...] = ()


@dataclass(frozen=True)
class GenerationRecord:
    """One generation of an app as history keeps it. `differences` are for people, values masked."""

    record: AppRecord
    differences: tuple[str, ...] = ()


@dataclass(frozen=True)
class TokenRecord:
    """A machine's login, kept by the SHA-256 of its secret. `networks` are the sources that it may come
    from, in CIDR notation; none: any. `request_id` is of the request that made it. `person` is who made it, or the token that
    made it, and so on: nobody approves a change that his own token asks for."""

    name: str
    role: str
    created_at: float
    expires_at: float
    by: str
    networks: tuple[str, ...] = ()
    request_id: str = ""
    person: str = ""


@dataclass(frozen=True)
class RequestRecord:
    """The answer given to a request id, so that a retry gets the same one. `answer` is JSON text."""

    request_id: str
    at: float
    body_sha256: str
    answer: str


@dataclass(frozen=True)
class InviteRecord:
    """A one-time enrolment token, kept by the SHA-256 of its secret. `kind` says who is invited, `host` by which name: a `host`,
    or another `master`.

    `key_sha256` is of the public key that it was used with: the same key may use it again until it
    expires, so that an enrolment whose answer was lost can be repeated.
    """

    host: str
    created_at: float
    expires_at: float
    by: str
    used_at: float = 0.0
    labels: Mapping[str, str] = field(default_factory=dict)
    key_sha256: str = ""
    kind: str = "host"


@dataclass(frozen=True)
class SessionRecord:
    """A person's login, kept by the SHA-256 of its token. `role` is the one at that time; what counts is what the
    user (`user`, `uid`) may do when it is used. `login_uid` is the user that `who` names: another one under sudo; `login_known`: by
    the kernel's record of the login, without which nobody approves anything."""

    who: str
    role: str
    created_at: float
    expires_at: float
    user: str = ""
    uid: int = -1
    login_uid: int = -1
    login_known: bool = False


@dataclass(frozen=True)
class EventBatch:
    events: tuple[Event, ...]
