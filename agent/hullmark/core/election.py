"""The election: when a master takes over, shows that it lives, and stops leading.

`step(state, seen, now)` takes what a master has just seen and gives its next state, and what to do. `now` and every time in
here are of the master's own monotonic clock, in seconds; no other clock is ever compared with it.

    standby --Take--> taking --(Taken)--> leading --Renew--> leading
       ^                 |                   |
       +--(NotTaken)-----+        Stop ------+------ HandOver, then (Left)

What two masters decide here at the same time can't do harm: a take-over compares the leader record and the pulse, and
every write of a leader compares the leader record. This page only decides how soon, and how rarely, leading changes.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, replace
from typing import Optional, Union

from hullmark.model.records import LeaderRecord

RENEWALS = 6.0
"""In one time to live: two may be lost on the way, and a store that elects its own leader for two seconds is outlasted."""
DEADLINE_SHARE = 0.9
"""Of the time to live: the leader's own clock may go that much slower than its standby's."""
REST_TTLS = 10.0
"""How many times to live a master leaves the lead to others after it has handed over."""
AGAIN_S = 0.1
"""Between tries where the store did not take a sign of life, or a take-over."""


@dataclass(frozen=True)
class Timing:
    """`ttl_s`: a leader whose record and pulse did not change for this long is followed. Infinite where the store is one
    master's alone: then it takes over at once, and owes nobody a sign of life."""

    ttl_s: float = 3.0

    @property
    def alone(self) -> bool:
        return math.isinf(self.ttl_s)

    @property
    def renew_s(self) -> float:
        return self.ttl_s / RENEWALS

    @property
    def deadline_s(self) -> float:
        return self.ttl_s * DEADLINE_SHARE


class Role(enum.Enum):
    STANDBY = "standby"
    TAKING = "taking"
    LEADING = "leading"


@dataclass(frozen=True)
class Standing:
    """What a reading of the store had: the leader record, and the revisions of it and of the pulse (0: there is none)."""

    leader: Optional[LeaderRecord]
    record_at: int
    pulse_at: int

    @property
    def vacant(self) -> bool:
        """Nobody leads, and whoever led has said so."""
        return self.leader is None or not self.leader.master


@dataclass(frozen=True)
class State:
    """`standing` is what was read last, and `changed_at` when it was first read so. Leading, `record_at` is the revision of
    the own leader record, `deadline` when this master stops by itself, `renew_at` when the next sign of life is due.
    `rests_until`: before that it takes over only from one that has gone silent. `silent`: the store did not answer last."""

    role: Role = Role.STANDBY
    standing: Optional[Standing] = None
    changed_at: float = 0.0
    record_at: int = 0
    deadline: float = 0.0
    renew_at: float = 0.0
    try_at: float = 0.0
    rests_until: float = -math.inf
    leaving: bool = False
    silent: str = ""
    why: str = "it has just begun, and looks who leads"


@dataclass(frozen=True)
class Read:
    """The store answered."""

    standing: Standing


@dataclass(frozen=True)
class Silent:
    """The store did not answer."""

    why: str


@dataclass(frozen=True)
class Taken:
    """The take-over is in the store; `sent_at` is from before it was sent."""

    record_at: int
    sent_at: float


@dataclass(frozen=True)
class NotTaken:
    """Another was faster, or it is not known whether it happened, or this master could not begin."""

    why: str


@dataclass(frozen=True)
class Renewed:
    """The store took a sign of life that was sent then."""

    sent_at: float


@dataclass(frozen=True)
class NotRenewed:
    """No answer to a sign of life."""

    why: str


@dataclass(frozen=True)
class Overtaken:
    """The store says that the leader record is not this master's any more."""


@dataclass(frozen=True)
class Failed:
    """Something that a leader needs has failed here."""

    why: str


@dataclass(frozen=True)
class Asked:
    """Somebody wants this master to hand over."""

    why: str


@dataclass(frozen=True)
class Left:
    """Leadership was given back, as far as the store could be told."""

    why: str


@dataclass(frozen=True)
class Tick:
    """Nothing but time has passed."""


Seen = Union[
    Read,
    Silent,
    Taken,
    NotTaken,
    Renewed,
    NotRenewed,
    Overtaken,
    Failed,
    Asked,
    Left,
    Tick,
]


@dataclass(frozen=True)
class Take:
    """Begin a term, if the store still has just this."""

    standing: Standing


@dataclass(frozen=True)
class Renew:
    """Put a sign of life, if the leader record is still of this revision."""

    record_at: int


@dataclass(frozen=True)
class Stop:
    """Stop leading at once; nothing more is written."""

    why: str


@dataclass(frozen=True)
class HandOver:
    """Finish what is under way, then give leadership back. Signs of life go on until then."""

    why: str


Action = Union[Take, Renew, Stop, HandOver]
Step = tuple[State, tuple[Action, ...]]


def step(state: State, seen: Seen, now: float, timing: Timing) -> Step:
    """What follows from what was seen. Leading is never begun but by `Taken`, and never kept past the deadline."""
    if state.role is Role.LEADING:
        return _leading(state, seen, now, timing)
    if state.role is Role.TAKING:
        return _taking(state, seen, now, timing)
    return _standby(state, seen, now, timing)


def begin(now: float) -> State:
    return State(changed_at=now)


def _standby(state: State, seen: Seen, now: float, timing: Timing) -> Step:
    if isinstance(seen, Silent):
        return replace(state, silent=seen.why, why=f"the store does not answer: {seen.why}"), ()
    if isinstance(seen, Read):
        state = _read(state, seen.standing, now)
    standing = state.standing
    # What the store has now is not known while it is silent: whoever leads may have shown signs of life.
    if standing is None or state.silent or now < state.try_at:
        return state, ()
    if not _may_take(state, standing, now, timing):
        return replace(state, why=_why_not(state, standing, now, timing)), ()
    return replace(state, role=Role.TAKING, why="it takes over just now"), (Take(standing),)


def _read(state: State, standing: Standing, now: float) -> State:
    """A standing that is as it was has been so since it was first seen; a silence of the store between counts, for what the
    leader did then would show now."""
    changed_at = state.changed_at if standing == state.standing else now
    return replace(state, standing=standing, changed_at=changed_at, silent="")


def _may_take(state: State, standing: Standing, now: float, timing: Timing) -> bool:
    if timing.alone:
        return True
    if standing.vacant and now >= state.rests_until:
        return True
    return now - state.changed_at >= timing.ttl_s


def _why_not(state: State, standing: Standing, now: float, timing: Timing) -> str:
    """Without what changes from moment to moment, so that it can be shown and compared."""
    if standing.leader is None or standing.vacant:
        return "it has handed over, and leaves the lead to the other master"
    return f"{standing.leader.master} leads, and shows that it lives"


def _taking(state: State, seen: Seen, now: float, timing: Timing) -> Step:
    if isinstance(seen, Taken):
        deadline = seen.sent_at + timing.deadline_s
        leads = replace(
            state,
            role=Role.LEADING,
            record_at=seen.record_at,
            deadline=deadline,
            renew_at=now,
            rests_until=-math.inf,
            leaving=False,
            why="",
        )
        return _leading(leads, Tick(), now, timing)
    if isinstance(seen, (NotTaken, Failed)):
        # What is in the store now has to be read before another try; the old standing is no ground for one.
        return replace(
            state,
            role=Role.STANDBY,
            standing=None,
            changed_at=now,
            try_at=now + AGAIN_S,
            why=seen.why,
        ), ()
    return state, ()


def _leading(state: State, seen: Seen, now: float, timing: Timing) -> Step:
    if isinstance(seen, Overtaken):
        return _stop(state, "another master leads since", now)
    if isinstance(seen, Failed):
        return _stop(state, seen.why, now, rests_s=timing.ttl_s * REST_TTLS)
    if isinstance(seen, Left):
        return _left(state, seen.why, now, timing)
    if isinstance(seen, Renewed):
        deadline = max(state.deadline, seen.sent_at + timing.deadline_s)
        due = max(now, seen.sent_at + timing.renew_s)
        state = replace(state, deadline=deadline, renew_at=due, silent="")
    elif isinstance(seen, NotRenewed):
        state = replace(state, renew_at=now + AGAIN_S, silent=seen.why)
    if now >= state.deadline:
        return _stop(state, _late(state), now)
    if isinstance(seen, Asked) and not state.leaving:
        return replace(state, leaving=True), (HandOver(seen.why),)
    if not timing.alone and now >= state.renew_at:
        # Until its answer is seen no other is sent.
        return replace(state, renew_at=math.inf), (Renew(state.record_at),)
    return state, ()


def _late(state: State) -> str:
    reason = f": {state.silent}" if state.silent else ""
    return f"the store has taken no sign of its life in time{reason}"


def _stop(state: State, why: str, now: float, rests_s: float = 0.0) -> Step:
    rests_until = now + rests_s if rests_s else state.rests_until
    return _standing_by(state, why, now, rests_until), (Stop(why),)


def _left(state: State, why: str, now: float, timing: Timing) -> Step:
    return _standing_by(state, why, now, now + timing.ttl_s * REST_TTLS), ()


def _standing_by(state: State, why: str, now: float, rests_until: float) -> State:
    return replace(
        state,
        role=Role.STANDBY,
        standing=None,
        changed_at=now,
        record_at=0,
        deadline=0.0,
        leaving=False,
        rests_until=rests_until,
        why=why,
    )


def wait_s(state: State, now: float, timing: Timing) -> float:
    """How long nothing but an observation can change anything."""
    if state.role is Role.LEADING:
        return max(0.0, min(state.deadline, state.renew_at) - now)
    if state.role is Role.TAKING or state.standing is None or state.silent:
        return math.inf
    due = state.changed_at + timing.ttl_s
    if state.standing.vacant:
        due = min(due, state.rests_until)
    return max(0.0, max(due, state.try_at) - now)
