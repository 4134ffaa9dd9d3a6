"""Change control: what a change needs at a moment, by the document's rules.

The first rule that fits decides. Where several things are missing all of them are said at once.
"""

from __future__ import annotations

import enum
import fnmatch
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Callable, Optional

from hullmark.core.freezewindows import ends_at, holds
from hullmark.core.ticketpattern import fits
from hullmark.model.changecontrol import (
    OF_APPS,
    Asker,
    ChangeKind,
    ControlDocument,
    ControlRule,
    FreezeWindow,
)

Local = Callable[[str, float], datetime]
"""(time zone, moment) to the time of day there, without a zone. What it raises is the caller's."""


class Verdict(enum.Enum):
    ALLOWED = "allowed"
    NEEDS_TICKET = "needs ticket"
    FROZEN = "frozen"
    WAITS = "waits for approval"


@dataclass(frozen=True)
class Wish:
    """A change that somebody asks for. `app` is empty for what is no app's."""

    kind: ChangeKind
    app: str = ""
    ticket: str = ""


@dataclass(frozen=True)
class Judgement:
    """`reasons` say what is missing, one line each, naming the rule."""

    verdict: Verdict
    rule: str = ""
    reasons: tuple[str, ...] = ()


FREE = Judgement(Verdict.ALLOWED)


def judge(
    document: Optional[ControlDocument],
    wish: Wish,
    now: float,
    local: Local,
    *,
    approved: bool = False,
    broken: bool = False,
) -> Judgement:
    """`approved`: a second person has. `broken`: a break-glass is open, so that neither approval nor window counts."""
    if document is None:
        return FREE
    ticketless = _own_ticket(wish)
    rule = rule_for(document, wish)
    if rule is None:
        return Judgement(Verdict.NEEDS_TICKET, "", ticketless) if ticketless else FREE
    missing = (*ticketless, *(() if ticketless else _ticket(rule, wish)))
    frozen = () if broken else tuple(_frozen(document, rule, now, local))
    if frozen or missing:
        verdict = Verdict.FROZEN if frozen else Verdict.NEEDS_TICKET
        return Judgement(verdict, rule.name, (*missing, *frozen))
    waits = rule.approval and not approved and not broken
    return Judgement(Verdict.WAITS if waits else Verdict.ALLOWED, rule.name)


def rule_for(document: ControlDocument, wish: Wish) -> Optional[ControlRule]:
    return next((rule for rule in document.rules if matches(rule, wish.kind, wish.app)), None)


def matches(rule: ControlRule, kind: ChangeKind, app: str) -> bool:
    if rule.changes and kind.value not in rule.changes:
        return False
    if not rule.apps:
        return True
    return kind in OF_APPS and any(fnmatch.fnmatchcase(app, pattern) for pattern in rule.apps)


def _own_ticket(wish: Wish) -> tuple[str, ...]:
    """The rules themselves are never changed without one."""
    if wish.kind is ChangeKind.CHANGE_CONTROL and not wish.ticket.strip():
        return ("a change of change control needs a ticket",)
    return ()


def _ticket(rule: ControlRule, wish: Wish) -> tuple[str, ...]:
    if not rule.ticket or fits(rule.ticket, wish.ticket):
        return ()
    if not wish.ticket:
        return (f"rule {rule.name!r} asks for a ticket such as {rule.ticket}",)
    return (
        f"rule {rule.name!r} asks for a ticket such as {rule.ticket}, not {wish.ticket[:64]!r}",
    )


def _frozen(
    document: ControlDocument, rule: ControlRule, now: float, local: Local
) -> Iterator[str]:
    for window in windows_of(document, rule):
        at = local(window.timezone or document.timezone, now)
        if holds(window, at):
            ends = ends_at(window, at)
            zone = window.timezone or document.timezone
            until = f" until {ends:%Y-%m-%d %H:%M} {zone}" if ends is not None else ""
            yield f"rule {rule.name!r} allows no change in the freeze window {window.name!r}{until}"


def windows_of(document: ControlDocument, rule: ControlRule) -> Sequence[FreezeWindow]:
    return [window for window in document.freezes if window.name in rule.freeze]


def frozen_now(document: ControlDocument, now: float, local: Local) -> tuple[str, ...]:
    """Names of the windows that hold."""
    return tuple(
        window.name
        for window in document.freezes
        if holds(window, local(window.timezone or document.timezone, now))
    )


def same_person(one: Asker, other: Asker) -> bool:
    """By the login's name, and by its user id: whoever became root by sudo is who he was. Two masters may have given one id to two
    users; they are taken for one person then, as nothing tells them apart from one user with two names."""
    if one.human != other.human:
        return False
    if one.who == other.who:
        return True
    return one.human and one.login_uid >= 0 and one.login_uid == other.login_uid
