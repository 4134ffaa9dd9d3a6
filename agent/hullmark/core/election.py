"""Who leads, where masters share a store: a pure state machine over what the store said and a monotonic clock.

    step(state, observation, now) -> (state, actions)

Whoever carries this out reads the leader record and the pulse, hands in what it saw, and does what it is told: look, take,
pulse, stop. Only one thing makes it correct, and it is not here: a transaction that compares the leader record, which
each write of a leader is. What is here bounds how long two may believe that they lead, and how long nobody does.

    a standby takes    once it has seen neither record nor pulse change for `ttl_s`, or the record names nobody
    a leader stops     `deadline_s` after it sent the last pulse that the store took, asking nobody

`deadline_s` is shorter than `ttl_s`, and counted from before the pulse was sent, while the standby counts from after it
saw it: so a leader whose clock runs has stopped before another begins.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from dataclasses import dataclass
from typing import Optional, Union

from hullmark.model.redundancy import waits_for

BEGUN = "it has only just started"
TAKING = "it is about to lead"
UNHEARD_SHARE = 0.5
"""A leader that hears a smaller share of the hosts than its standby does steps down."""


@dataclass(frozen=True)
class Timing:
    """In seconds. For `calm_s` after a leader stepped down it leaves a record that names nobody to others for
    one `ttl_s` more."""

    ttl_s: float = 3.0
    calm_s: float = 30.0

    @property
    def renew_s(self) -> float:
        return self.ttl_s / 6

    @property
    def deadline_s(self) -> float:
        return self.ttl_s * 0.9


class Phase(enum.Enum):
    STANDBY = "standby"
    TAKING = "taking"
    LEADING = "leading"


@dataclass(frozen=True)
class Sight:
    """The leader record and the pulse as the store has them: their revisions, 0 where there is none, and who is named.
    `ours`: the record is of a term that this very process began, or tried to begin."""

    master: str = ""
    record: int = 0
    pulse: int = 0
    ours: bool = False


@dataclass(frozen=True)
class Ticked:
    """Time has passed."""


@dataclass(frozen=True)
class Saw:
    sight: Sight


@dataclass(frozen=True)
class Silent:
    """The store did not answer."""

    why: str


@dataclass(frozen=True)
class Took:
    """The taking of that number happened, and the record has this revision."""

    number: int
    record: int


@dataclass(frozen=True)
class NotTaken:
    """It did not happen, or whether it did is not known."""

    number: int
    why: str


@dataclass(frozen=True)
class Pulsed:
    number: int


@dataclass(frozen=True)
class NotPulsed:
    """The store did not take it, or whether it did is not known."""

    number: int
    why: str


@dataclass(frozen=True)
class Overtaken:
    """A fenced transaction failed: the record is another's."""

    why: str


@dataclass(frozen=True)
class Resigned:
    """Somebody, or this process itself, wants it to lead no more."""

    why: str
    give_back: bool = True


Observation = Union[Ticked, Saw, Silent, Took, NotTaken, Pulsed, NotPulsed, Overtaken, Resigned]


@dataclass(frozen=True)
class Look:
    """Read record and pulse anew."""


@dataclass(frozen=True)
class Take:
    """Begin a term, in a transaction that compares both revisions."""

    number: int
    record: int
    pulse: int


@dataclass(frozen=True)
class Pulse:
    """Show life, in a transaction that compares the leader record."""

    number: int


@dataclass(frozen=True)
class Stop:
    """Lead no more, at once. `give_back`: what is under way may end, and the record is to name nobody after it."""

    why: str
    give_back: bool = False


Action = Union[Look, Take, Pulse, Stop]
Step = tuple["State", tuple[Action, ...]]


@dataclass(frozen=True)
class State:
    """`changed_at`: when record or pulse were last seen to change. `before`: what they were before a taking that came to
    nothing, until the next look. `heard_at`: when the store answered last, and
    `silent_why` what it said if it has not since. `number` is of the newest taking or pulse, `sent_at` when it was sent,
    None once it is answered. `until`: the leader's own deadline. `record`: the revision of its own record."""

    timing: Timing
    heard_at: float
    phase: Phase = Phase.STANDBY
    why: str = BEGUN
    sight: Optional[Sight] = None
    before: Optional[Sight] = None
    changed_at: float = 0.0
    silent_why: str = ""
    number: int = 0
    sent_at: Optional[float] = None
    until: float = -math.inf
    pulse_at: float = math.inf
    retry_at: float = -math.inf
    calm_until: float = -math.inf
    record: int = 0

    def read_only(self, now: float) -> str:
        """Why nothing can be changed, as far as this master knows; empty where it leads, or another may."""
        silent = self.silent_why and now - self.heard_at >= self.timing.deadline_s
        return self.silent_why if silent and self.phase is not Phase.LEADING else ""

    def wakes_at(self) -> float:
        """When time alone brings something."""
        if self.phase is Phase.LEADING:
            return self.until if self.sent_at is not None else min(self.until, self.pulse_at)
        return _given_up_at(self) if self.phase is Phase.TAKING else _free_at(self)


def begin(timing: Timing, now: float) -> State:
    return State(timing, now)


def step(state: State, observation: Observation, now: float) -> Step:
    """`now` is monotonic, and never smaller than in the step before."""
    if state.phase is Phase.LEADING and now >= state.until:
        # Whatever was observed came too late to count for this term.
        return _expired(state, observation, now)
    if isinstance(observation, Saw):
        return _saw(state, observation.sight, now)
    if isinstance(observation, Silent):
        return dataclasses.replace(state, silent_why=observation.why), ()
    if isinstance(observation, Took):
        return _took(state, observation, now)
    if isinstance(observation, NotTaken):
        return _not_taken(state, observation, now)
    if isinstance(observation, (Pulsed, NotPulsed)):
        return _pulsed(state, observation, now)
    if isinstance(observation, Overtaken):
        return _stop(state, observation.why) if state.phase is Phase.LEADING else (state, ())
    if isinstance(observation, Resigned):
        return _resigned(state, observation, now)
    return _ticked(state, now)


def hears_too_few(own: int, standby: int) -> bool:
    """Whether a leader that hears `own` hosts is worse placed than its standby: both as they were just now."""
    return own < standby * UNHEARD_SHARE


def _ticked(state: State, now: float) -> Step:
    number = state.number + 1
    if state.phase is Phase.LEADING:
        if state.sent_at is None and now >= state.pulse_at:
            return dataclasses.replace(state, number=number, sent_at=now), (Pulse(number),)
    elif state.phase is Phase.TAKING:
        if now >= _given_up_at(state):
            return _back(state, "the store did not say in time whether it took the lead", now)
    elif state.sight is not None and now >= _free_at(state):
        taking = dataclasses.replace(
            state, phase=Phase.TAKING, why=TAKING, number=number, sent_at=now
        )
        return taking, (Take(number, state.sight.record, state.sight.pulse),)
    return state, ()


def _free_at(state: State) -> float:
    """When a standby may take."""
    sight = state.sight
    if sight is None or state.silent_why:
        return math.inf
    vacant = not sight.master or sight.ours
    free_at = state.changed_at + (0.0 if vacant else state.timing.ttl_s)
    if vacant and free_at < state.calm_until:
        free_at = min(state.calm_until, free_at + state.timing.ttl_s)
    return max(free_at, state.retry_at)


def _given_up_at(state: State) -> float:
    assert state.sent_at is not None
    return state.sent_at + state.timing.deadline_s


def _saw(state: State, sight: Sight, now: float) -> Step:
    changed_at = state.changed_at if sight in (state.sight, state.before) else now
    state = dataclasses.replace(
        state, heard_at=now, silent_why="", sight=sight, before=None, changed_at=changed_at
    )
    if state.phase is Phase.LEADING and sight.record > state.record:
        return _stop(state, "another master leads since")
    if state.phase is Phase.STANDBY and sight.master and not sight.ours:
        # Another one leads: who made room for it has done so, and follows at once where that one hands over.
        why = waits_for(sight.master)
        return dataclasses.replace(state, why=why, calm_until=-math.inf), ()
    return state, ()


def _took(state: State, observation: Took, now: float) -> Step:
    if state.phase is not Phase.TAKING or observation.number != state.number:
        # It was given up. The record names this process, which a look shows: it is as good as vacant.
        return state, (Look(),)
    if now >= _given_up_at(state):
        return _back(state, "the store took too long to take the lead", now)
    leading = dataclasses.replace(state, phase=Phase.LEADING, why="", record=observation.record)
    return _renewed(leading, now), ()


def _renewed(state: State, now: float) -> State:
    """The store took what was sent at `sent_at`: the deadline counts from then."""
    assert state.sent_at is not None
    return dataclasses.replace(
        state,
        heard_at=now,
        silent_why="",
        until=state.sent_at + state.timing.deadline_s,
        pulse_at=state.sent_at + state.timing.renew_s,
        sent_at=None,
    )


def _not_taken(state: State, observation: NotTaken, now: float) -> Step:
    if state.phase is not Phase.TAKING or observation.number != state.number:
        return state, ()
    return _back(state, observation.why, now)


def _back(state: State, why: str, now: float) -> Step:
    """To standby after a taking that did not come to its end; it may take again after another look and a moment. Where that
    look shows what was there before, nobody has led meanwhile: it need not wait for as long again."""
    back = dataclasses.replace(
        state,
        phase=Phase.STANDBY,
        why=why,
        sight=None,
        before=state.sight,
        sent_at=None,
        retry_at=now + state.timing.renew_s / 2,
    )
    return back, (Look(),)


def _pulsed(state: State, observation: Union[Pulsed, NotPulsed], now: float) -> Step:
    if state.phase is not Phase.LEADING or observation.number != state.number:
        return state, ()
    if isinstance(observation, Pulsed):
        return _renewed(state, now), ()
    again_at = now + state.timing.renew_s / 2
    return dataclasses.replace(
        state, silent_why=observation.why, sent_at=None, pulse_at=again_at
    ), ()


def _expired(state: State, observation: Observation, now: float) -> Step:
    """The own deadline passed. What the store said meanwhile still counts for what comes next."""
    trouble = f": {state.silent_why}" if state.silent_why else ""
    why = f"the store took no sign of life for {state.timing.deadline_s:.1f} s{trouble}"
    stopped, actions = _stop(state, why)
    if isinstance(observation, (Saw, Silent)):
        stopped, more = step(stopped, observation, now)
        actions = (*actions, *more)
    return stopped, actions


def _resigned(state: State, observation: Resigned, now: float) -> Step:
    calm = dataclasses.replace(state, calm_until=now + state.timing.calm_s)
    if state.phase is not Phase.LEADING:
        return calm, ()
    return _stop(calm, observation.why, give_back=observation.give_back)


def _stop(state: State, why: str, *, give_back: bool = False) -> Step:
    """It looks anew before it may take: what it saw while it led is its own doing."""
    stopped = dataclasses.replace(
        state,
        phase=Phase.STANDBY,
        why=why,
        sight=None,
        before=None,
        sent_at=None,
        until=-math.inf,
    )
    return stopped, (Stop(why, give_back), Look())
