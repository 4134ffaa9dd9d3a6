"""Questions and answers of the masters' API, for people and automation.

Every answer is the wire form of one of these dataclasses. Environment values and file contents are
masked before an answer is made; nothing here carries one back to a person.

    GET    /v1/openapi.json                                        the document of this API; no login
    GET    /v1/ca                          -> Authority            no login
    POST   /v1/enroll        EnrollRequest -> EnrollAnswer         an invite's secret is the login
    GET    /v1/status                      -> ClusterStatus
    GET    /v1/apps                        -> AppList
    POST   /v1/plan          PlanRequest   -> PlanAnswer           what `apply` would change
    PUT    /v1/apps/APP      ApplyRequest  -> ApplyAnswer
    GET    /v1/apps/APP                    -> AppDetail            ?after=VERSION&hold_s=S: wait for a change
    POST   /v1/apps/APP/scale ScaleRequest -> ApplyAnswer
    DELETE /v1/apps/APP      RemoveRequest -> ApplyAnswer
    GET    /v1/apps/APP/logs               -> JSON lines of LogRecord   ?service=&slot=&tail=&since=&follow=
    GET    /v1/instances                   -> InstanceList         ?app=
    GET    /v1/hosts                       -> HostList
    GET    /v1/events                      -> EventList            ?after=&limit=&hold_s=
    GET    /v1/orphans                     -> OrphanList
    POST   /v1/invites       InviteRequest -> InviteAnswer
    POST   /v1/sessions      SessionRequest-> SessionAnswer        only over the Unix socket

Every change carries a `request_id`: the same id with the same body gets the same answer again and does
nothing twice; the same id with another body is a conflict. An error is `ErrorAnswer` with status 400
(wrong input), 401 (not logged in), 403 (may not), 404, 409 (conflict), 413 (too large), 421 (not the leader)
or 503 (no store, or no answer from it in time).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Optional

from hullmark.model.app import App
from hullmark.model.change import Change
from hullmark.model.event import Event
from hullmark.model.explanation import SlotExplanation
from hullmark.model.foresight import PolicyRefusal
from hullmark.model.host import NO_FACTS, Availability, HostFacts, Maintenance
from hullmark.model.incidentapi import IncidentNumbers
from hullmark.model.observed import HostProblem, InstanceStatus
from hullmark.model.postureview import ControlNumbers
from hullmark.model.records import Rollout
from hullmark.model.redundancy import MasterView, StoreCondition

APPLY_BODY_MAX_BYTES = 2 << 20
"""Largest body of a change; a spec must fit one store transaction of 1 MiB."""


@dataclass(frozen=True)
class ErrorProblem:
    """One entry of `errors.Problem` on the wire."""

    message: str
    file: str = ""
    line: Optional[int] = None
    field: str = ""
    allowed: str = ""


@dataclass(frozen=True)
class ErrorAnswer:
    """`error` is the name of the class in `errors`; `message` and `remedy` are for people. `leader` is the URL of the leader's
    API, in the answer (421) of a master that doesn't lead and knows who does."""

    error: str
    message: str
    remedy: str = ""
    problems: tuple[ErrorProblem, ...] = ()
    leader: str = ""


@dataclass(frozen=True)
class Authority:
    """The root certificate, PEM; its SHA-256 is what an invite carries."""

    root_pem: str
    cluster_id: str


@dataclass(frozen=True)
class EnrollRequest:
    """`csr_pem` is the signing request; the private key stays on the host."""

    host: str
    secret: str
    csr_pem: str
    facts: HostFacts = NO_FACTS


@dataclass(frozen=True)
class EnrollAnswer:
    """`chain_pem`: the host's certificate, then the intermediate. `masters`: URLs of the agents' port."""

    host_id: str
    cluster_id: str
    chain_pem: str
    root_pem: str
    masters: tuple[str, ...]


@dataclass(frozen=True)
class HostView:
    """`state` is `ready`, `silent`, `lost` or `never` (not heard by this leader, which waits for it yet, or under which it was enrolled).
    Seconds are since it really called; None where there was none, also for a host that is lost since before this leader began. `maintenance` is there while it lasts, and `drain`
    says how far it is: `2 left, 1 stays: local data`. `controls` is None for a host that has told nothing of them."""

    host_id: str
    name: str
    state: str
    heard_s: Optional[float] = None
    instances: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    facts: HostFacts = NO_FACTS
    problems: tuple[HostProblem, ...] = ()
    availability: Availability = Availability.ACTIVE
    maintenance: Optional[Maintenance] = None
    drain: str = ""
    controls: Optional[ControlNumbers] = None

    @property
    def word(self) -> str:
        """What is said of it first: one that is heard may have problems, or be set aside."""
        if self.maintenance is not None:
            return "maintenance"
        if self.state != "ready":
            return self.state
        if self.problems:
            return "troubled"
        active = self.availability is Availability.ACTIVE
        return self.state if active else self.availability.value


@dataclass(frozen=True)
class HostGroup:
    """How many hosts are alike: `ok`, `draining`, `cordoned`, `maintenance`, `troubled`, `silent`, `lost` or `never`.
    `detail` is for people."""

    word: str
    number: int
    detail: str = ""


@dataclass(frozen=True)
class HostList:
    hosts: tuple[HostView, ...]


@dataclass(frozen=True)
class ServiceView:
    """How one service stands. `why` explains in one line each what keeps an instance from serving."""

    service: str
    image: str
    digest: str
    generation: int
    wanted: int
    running: int
    serving: int
    one_shot: bool = False
    completed: int = 0
    failed: int = 0
    why: tuple[str, ...] = ()


@dataclass(frozen=True)
class InstanceView:
    """An instance with its host's name; `status` None: not placed, or not yet heard of. `unplaced`: no host fits it.
    `held`: its dependencies don't hold yet. `seen` False: its host, or the host's engine, doesn't answer, so that
    its status is as it was when it last did. `note` is to be known of one that serves."""

    name: str
    app: str
    service: str
    slot: int
    generation: int
    host: str = ""
    removing: bool = False
    status: Optional[InstanceStatus] = None
    why: str = ""
    unplaced: bool = False
    held: bool = False
    seen: bool = True
    note: str = ""


@dataclass(frozen=True)
class AppSummary:
    """`state`: `running` (all serve, or completed), `changing`, `degraded`, `failed` or `removing`."""

    name: str
    state: str
    generation: int
    change: Change
    services: tuple[ServiceView, ...] = ()


@dataclass(frozen=True)
class AppList:
    apps: tuple[AppSummary, ...]


@dataclass(frozen=True)
class AppDetail:
    """`version` grows with every change of the answer: pass it as `after` to wait for the next one.
    `settled`: nothing is left to do for this generation. `failed`: something ended in a way that
    waiting won't mend. `app` is masked (see `compose.shown`). `rollout`: how far this generation has come."""

    summary: AppSummary
    version: int
    settled: bool
    failed: bool
    instances: tuple[InstanceView, ...] = ()
    warnings: tuple[str, ...] = ()
    app: Mapping[str, object] = field(default_factory=dict)
    rollout: Optional[Rollout] = None


@dataclass(frozen=True)
class InstanceList:
    instances: tuple[InstanceView, ...]


@dataclass(frozen=True)
class PlanRequest:
    app: App


@dataclass(frozen=True)
class Difference:
    """`action`: `create`, `replace`, `remove`, `scale`, `change` (no container is touched) or `none`.
    `fields` names what differs, values masked."""

    action: str
    subject: str
    detail: str = ""
    fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class PlanAnswer:
    """`changed` False: applying would do nothing. `unplaced` explains in one line each the instances that would not
    be where they should, and `stuck` says the same filter by filter. `refused` is what policies of hosts would refuse,
    `unjudged` which of the hosts could not say that, and why."""

    changed: bool
    generation: int
    differences: tuple[Difference, ...] = ()
    unplaced: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    stuck: tuple[SlotExplanation, ...] = ()
    refused: tuple[PolicyRefusal, ...] = ()
    unjudged: tuple[str, ...] = ()


@dataclass(frozen=True)
class ApplyRequest:
    """`expected_generation`: refuse with a conflict unless the app is at it (0: must not exist). `override_mark`: for some hours
    the app's new work needs no control; an administrator's word, with a ticket."""

    app: App
    request_id: str
    ticket: str = ""
    expected_generation: Optional[int] = None
    override_mark: bool = False


@dataclass(frozen=True)
class ScaleRequest:
    """Replicas by service name. `override_mark` as in `ApplyRequest`."""

    services: Mapping[str, int]
    request_id: str
    ticket: str = ""
    override_mark: bool = False


@dataclass(frozen=True)
class RemoveRequest:
    """`volumes`: also remove the app's named volumes, with what is in them."""

    request_id: str
    ticket: str = ""
    volumes: bool = False


@dataclass(frozen=True)
class ApplyAnswer:
    """`changed` False: the app was like this already, and its generation stayed."""

    app: str
    generation: int
    changed: bool
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class LogRecord:
    """One line of one instance's output. `stream` is `stdout`, `stderr` or `hullmark` (a remark of
    ours, such as: the host does not answer)."""

    instance: str
    host: str
    stream: str
    at: str
    text: str


@dataclass(frozen=True)
class EventList:
    """`last` is the cursor to pass as `after`."""

    events: tuple[Event, ...]
    last: int


@dataclass(frozen=True)
class OrphanView:
    """`why` no order names it. `take_in` is the command after which it is an instance again, as it runs; empty: there is
    none. `remove` is the engine's own, on its host."""

    host: str
    name: str
    status: InstanceStatus
    why: str = ""
    take_in: str = ""
    remove: str = ""


@dataclass(frozen=True)
class OrphanList:
    orphans: tuple[OrphanView, ...]


@dataclass(frozen=True)
class InviteRequest:
    """`request_id` is for change control: an invite itself is another one each time that it is asked for."""

    host: str
    valid_s: float = 3600.0
    labels: Mapping[str, str] = field(default_factory=dict)
    request_id: str = ""
    ticket: str = ""


@dataclass(frozen=True)
class InviteAnswer:
    """`token` is shown this once; the store keeps its hash."""

    host: str
    token: str
    expires_at: float


@dataclass(frozen=True)
class SessionRequest:
    valid_s: float = 28800.0


@dataclass(frozen=True)
class SessionAnswer:
    token: str
    who: str
    role: str
    expires_at: float


@dataclass(frozen=True)
class ClusterStatus:
    """`state`: `ok`, `degraded` or `failed`. `next` is the next thing to type, empty if nothing is. `hosts` has each
    host once. `masters` has the leader first. `redundancy` says what another loss would do. `read_only` says why nothing can be
    changed now, empty where changes are taken; what is shown is then of `stale_s` seconds ago. `known` False: the master that
    answers knows nothing of hosts and apps now, and their numbers are 0."""

    cluster_id: str
    state: str
    master: str
    epoch: str
    leading_s: float
    store: str
    hosts_total: int
    hosts_ready: int
    apps_total: int
    apps_ok: int
    version: str
    notes: tuple[str, ...] = ()
    next: str = ""
    orphans: int = 0
    hosts: tuple[HostGroup, ...] = ()
    masters: tuple[MasterView, ...] = ()
    store_condition: Optional[StoreCondition] = None
    redundancy: str = ""
    read_only: str = ""
    stale_s: float = 0.0
    known: bool = True
    incidents: Optional[IncidentNumbers] = None
