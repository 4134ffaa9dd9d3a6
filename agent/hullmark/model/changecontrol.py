"""Change control: the document with its rules, changes that wait for a second person, and break-glass.

    GET    /v1/change-control                        -> ControlView
    PUT    /v1/change-control      ControlRequest    -> ControlAnswer
    DELETE /v1/change-control      ControlRemoval    -> ControlAnswer
    GET    /v1/changes                               -> PendingList     ?all=true&limit=: also those that are decided
    GET    /v1/changes/CHANGE                        -> PendingDetail   ?after=VERSION&hold_s=S: wait for a change
    POST   /v1/changes/CHANGE/approve  Decision      -> DecisionAnswer
    POST   /v1/changes/CHANGE/refuse   Decision      -> DecisionAnswer  the requester withdraws it so
    POST   /v1/changes/CHANGE/collect                -> the answer of the change that was asked for
    GET    /v1/break-glass                           -> BreakGlassList
    POST   /v1/break-glass         BreakGlassRequest -> BreakGlassView
    POST   /v1/break-glass/GLASS/close    Decision   -> BreakGlassView
    POST   /v1/break-glass/GLASS/sign-off Decision   -> BreakGlassView

Any other change may be answered with status 202 and `Held`: it waits. Asked again with the same request id and the same body it
gets `Held` again while it waits, and its own answer once it was approved.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from hullmark.model.change import Change

PENDING_FOR_S = 86400.0
BREAK_GLASS_S = 3600.0
BREAK_GLASS_MOST_S = 4 * 3600.0


class ChangeKind(enum.Enum):
    """What people change, as the document names it. `volumes`: an app is removed with its volumes."""

    APPLY = "apply"
    SCALE = "scale"
    REMOVE = "remove"
    VOLUMES = "volumes"
    MOVE = "move"
    ROLLOUT = "rollout"
    AVAILABILITY = "availability"
    LABELS = "labels"
    MAINTENANCE = "maintenance"
    HOST_REMOVE = "host-remove"
    INVITE = "invite"
    TOKEN = "token"  # noqa: S105
    MASTER = "master"
    CHANGE_CONTROL = "change-control"
    MARK = "mark"


OF_APPS = frozenset(
    {
        ChangeKind.APPLY,
        ChangeKind.SCALE,
        ChangeKind.REMOVE,
        ChangeKind.VOLUMES,
        ChangeKind.MOVE,
        ChangeKind.ROLLOUT,
    }
)
"""Kinds that change one app."""


@dataclass(frozen=True)
class FreezeWindow:
    """A time without changes, by the clock on the wall in `timezone` (empty: the document's). All that is said has to hold.
    `days` are those on which it begins, `mon` to `sun`; `daily` is `HH:MM-HH:MM`, over midnight where the second is not
    later; `begins` and `ends` are `YYYY-MM-DDTHH:MM`, the end no part of it."""

    name: str
    daily: str = ""
    days: tuple[str, ...] = ()
    begins: str = ""
    ends: str = ""
    timezone: str = ""


@dataclass(frozen=True)
class ControlRule:
    """The first rule that fits a change decides. `apps` are patterns with `*` and `?`; a rule that has some is for changes of
    these apps alone. `changes` are kinds; none: all. `ticket` is a pattern that the whole ticket has to fit. `freeze` names
    windows."""

    name: str
    apps: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    ticket: str = ""
    approval: bool = False
    freeze: tuple[str, ...] = ()


@dataclass(frozen=True)
class ControlDocument:
    """`pending_for_s`: how long a change waits for its approval. `break_glass_most_s`: for how long one may be opened."""

    rules: tuple[ControlRule, ...] = ()
    freezes: tuple[FreezeWindow, ...] = ()
    timezone: str = "UTC"
    pending_for_s: float = PENDING_FOR_S
    break_glass_most_s: float = BREAK_GLASS_MOST_S


@dataclass(frozen=True)
class ControlRecord:
    document: ControlDocument
    change: Change


@dataclass(frozen=True)
class Asker:
    """Who asked for a change that waits, or decided one: enough to know whether another is the same person, and to carry
    the change out in this one's name. `secret_sha256` is what its login is kept by, never shown."""

    who: str
    origin: str = ""
    role: str = ""
    human: bool = True
    user: str = ""
    uid: int = -1
    login_uid: int = -1
    secret_sha256: str = ""


class PendingState(enum.Enum):
    """`approved`: its requester has yet to collect it, because its answer holds a secret."""

    WAITING = "waiting"
    APPROVED = "approved"
    DONE = "done"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


OPEN = frozenset({PendingState.WAITING, PendingState.APPROVED})


@dataclass(frozen=True)
class PendingRecord:
    """A change that waits, whole: `method`, `path` (of the route), `names` and `body` are the request. The body goes once it is
    decided. `base` is a digest of what it was made for, and `stood` what that was for people. `digests` are
    what its images' tags were then, by `image platform pull-policy`. `size` is about that of the body, in bytes. `needs`: the roles of which its approver must have one."""

    change_id: str
    request_id: str
    kind: ChangeKind
    subject: str
    asker: Asker
    ticket: str
    at: float
    expires_at: float
    method: str
    path: str
    names: Mapping[str, str]
    body: object
    body_sha256: str
    rule: str
    summary: tuple[str, ...] = ()
    base: str = ""
    stood: str = ""
    digests: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    state: PendingState = PendingState.WAITING
    decided_by: str = ""
    decided_at: float = 0.0
    why: str = ""
    collected: bool = False
    size: int = 0


@dataclass(frozen=True)
class BreakGlassRecord:
    glass_id: str
    opener: Asker
    reason: str
    ticket: str
    opened_at: float
    until: float
    closed_by: str = ""
    signed_by: str = ""
    signed_at: float = 0.0
    note: str = ""


@dataclass(frozen=True)
class PendingView:
    """`change` is the id to type. `command` is what a second person types. Values of environments are masked in `summary`."""

    change: str
    request_id: str
    kind: ChangeKind
    subject: str
    by: str
    ticket: str
    at: float
    expires_at: float
    rule: str
    state: PendingState
    command: str = ""
    decided_by: str = ""
    decided_at: float = 0.0
    why: str = ""
    summary: tuple[str, ...] = ()
    collect: bool = False


@dataclass(frozen=True)
class Held:
    """The answer, with status 202, to a change that waits for a second person."""

    held: PendingView

    @property
    def pending_id(self) -> str:
        """For the audit log."""
        return self.held.change


@dataclass(frozen=True)
class PendingList:
    """The oldest first."""

    changes: tuple[PendingView, ...]


@dataclass(frozen=True)
class PendingDetail:
    """`shown` is the app of an `apply`, values of its environment masked. `stood` is what the change was made for."""

    change: PendingView
    version: int
    stood: str = ""
    shown: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Decision:
    request_id: str
    reason: str = ""


@dataclass(frozen=True)
class DecisionAnswer:
    change: PendingView

    @property
    def pending_id(self) -> str:
        """For the audit log."""
        return self.change.change


@dataclass(frozen=True)
class ControlRequest:
    document: ControlDocument
    request_id: str
    ticket: str = ""


@dataclass(frozen=True)
class ControlRemoval:
    request_id: str
    ticket: str = ""


@dataclass(frozen=True)
class ControlAnswer:
    """`warnings` are rules and windows that never do anything."""

    changed: bool
    rules: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class ControlView:
    """`applied` False: there is no change control. `frozen` are windows that hold now."""

    applied: bool
    document: ControlDocument = ControlDocument()
    by: str = ""
    at: float = 0.0
    ticket: str = ""
    frozen: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class BreakGlassRequest:
    request_id: str
    reason: str
    for_s: float = BREAK_GLASS_S
    ticket: str = ""


@dataclass(frozen=True)
class BreakGlassView:
    """`state` is `open`, `over` (nobody has signed it off) or `signed off`. `changes` are those made meanwhile, as far as events
    are still kept."""

    glass: str
    by: str
    reason: str
    ticket: str
    opened_at: float
    until: float
    state: str
    closed_by: str = ""
    signed_by: str = ""
    signed_at: float = 0.0
    note: str = ""
    changes: tuple[str, ...] = ()


@dataclass(frozen=True)
class BreakGlassList:
    """The newest first."""

    glasses: tuple[BreakGlassView, ...]
