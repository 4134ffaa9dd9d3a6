"""What is wrong with a change control document, and what of it never does anything."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Callable, Optional

from hullmark.core.freezewindows import DAYS, minutes_of, moment_of
from hullmark.core.ticketpattern import ALLOWED, pattern_problem
from hullmark.errors import Problem
from hullmark.model.changecontrol import ChangeKind, ControlDocument, ControlRule, FreezeWindow
from hullmark.model.durations import age

RULES_MOST = 100
WINDOWS_MOST = 100
APPS_MOST = 100
PENDING_FOR_S = (60.0, 30 * 86400.0)
BREAK_GLASS_S = (60.0, 24 * 3600.0)
KINDS = tuple(kind.value for kind in ChangeKind)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}")
_PATTERN = re.compile(r"[a-z0-9_*?-]{1,63}")
_STARS_MOST = 4

ZoneKnown = Callable[[str], bool]


def problems_of(document: ControlDocument, zone_known: ZoneKnown) -> Sequence[Problem]:
    """By field: `rules[0].ticket`, `freezes.nights.daily`."""
    return [*_general(document, zone_known), *_rules(document), *_windows(document, zone_known)]


def _general(document: ControlDocument, zone_known: ZoneKnown) -> Iterator[Problem]:
    yield from _zone(document.timezone, "timezone", zone_known)
    yield from _within("pending_for", document.pending_for_s, PENDING_FOR_S)
    yield from _within("break_glass_at_most", document.break_glass_most_s, BREAK_GLASS_S)
    for field, number, most in (
        ("rules", len(document.rules), RULES_MOST),
        ("freezes", len(document.freezes), WINDOWS_MOST),
    ):
        if number > most:
            yield Problem(f"{number} of them", field=field, allowed=f"at most {most}")


def _zone(zone: str, field: str, known: ZoneKnown) -> Iterator[Problem]:
    if not known(zone):
        allowed = "UTC, or a name such as Europe/Berlin that this master's tzdata has"
        yield Problem(f"no time zone: {zone[:64]!r}", field=field, allowed=allowed)


def _within(field: str, seconds: float, bounds: tuple[float, float]) -> Iterator[Problem]:
    if not bounds[0] <= seconds <= bounds[1]:
        allowed = f"{age(bounds[0])} to {age(bounds[1])}"
        yield Problem(age(seconds), field=field, allowed=allowed)


def _rules(document: ControlDocument) -> Iterator[Problem]:
    windows = [window.name for window in document.freezes]
    seen: set[str] = set()
    for index, rule in enumerate(document.rules[:RULES_MOST]):
        field = f"rules[{index}]"
        yield from _named(rule.name, f"{field}.name", seen)
        yield from _apps(rule, field)
        yield from _each(rule.changes, f"{field}.changes", KINDS)
        yield from _each(rule.freeze, f"{field}.freeze", windows or ["the names under freezes"])
        why = pattern_problem(rule.ticket)
        if why:
            yield Problem(why, field=f"{field}.ticket", allowed=ALLOWED)


def _named(name: str, field: str, seen: set[str]) -> Iterator[Problem]:
    if not _NAME.fullmatch(name):
        allowed = "at most 64 letters, digits, spaces and . _ -"
        yield Problem(f"not a name: {name[:64]!r}", field=field, allowed=allowed)
    if name in seen:
        yield Problem(f"{name[:64]!r} is there twice", field=field, allowed="each name once")
    seen.add(name)


def _apps(rule: ControlRule, field: str) -> Iterator[Problem]:
    if len(rule.apps) > APPS_MOST:
        allowed = f"at most {APPS_MOST}"
        yield Problem(f"{len(rule.apps)} apps", field=f"{field}.apps", allowed=allowed)
    for number, pattern in enumerate(rule.apps[:APPS_MOST]):
        if not _PATTERN.fullmatch(pattern) or pattern.count("*") > _STARS_MOST:
            allowed = f"an app's name, with * and ?; at most {_STARS_MOST} *"
            text = f"not a pattern of apps: {pattern[:64]!r}"
            yield Problem(text, field=f"{field}.apps[{number}]", allowed=allowed)


def _each(given: Sequence[str], field: str, allowed: Collection[str]) -> Iterator[Problem]:
    for number, value in enumerate(given[:APPS_MOST]):
        if value not in allowed:
            text = f"not known: {value[:64]!r}"
            yield Problem(text, field=f"{field}[{number}]", allowed=", ".join(allowed))


def _windows(document: ControlDocument, zone_known: ZoneKnown) -> Iterator[Problem]:
    seen: set[str] = set()
    for window in document.freezes[:WINDOWS_MOST]:
        field = f"freezes.{window.name[:64]}"
        yield from _named(window.name, field, seen)
        if window.timezone:
            yield from _zone(window.timezone, f"{field}.timezone", zone_known)
        yield from _each(window.days, f"{field}.days", DAYS)
        yield from _times(window, field)


def _times(window: FreezeWindow, field: str) -> Iterator[Problem]:
    if window.daily and minutes_of(window.daily) is None:
        allowed = "HH:MM-HH:MM, such as 22:00-06:00"
        yield Problem("not a time of day", field=f"{field}.daily", allowed=allowed)
    for name, text in (("begins", window.begins), ("ends", window.ends)):
        if text and moment_of(text) is None:
            allowed = "YYYY-MM-DDTHH:MM"
            yield Problem("not a moment", field=f"{field}.{name}", allowed=allowed)
    begins, ends = moment_of(window.begins), moment_of(window.ends)
    if begins is not None and ends is not None and ends <= begins:
        yield Problem("it ends before it begins", field=f"{field}.ends", allowed="a later moment")
    if not (window.daily or window.days or window.begins or window.ends):
        allowed = "daily, days, begins, ends"
        yield Problem("it says no time, so it would never end", field=field, allowed=allowed)


def warnings_of(
    document: ControlDocument, apps: Collection[str], ended: Mapping[str, bool]
) -> Sequence[str]:
    """No rules at all, rules that fit nothing, and windows that never hold. `apps` are those that there are; `ended` says of windows whether
    they are over for good."""
    idle = (_idle(document, rule, apps) for rule in document.rules)
    found = [text for text in idle if text]
    if not document.rules:
        found.append("there are no rules in it: nothing is asked of any change")
    used = {name for rule in document.rules for name in rule.freeze}
    for window in document.freezes:
        if window.name not in used:
            found.append(f"freeze window {window.name!r} is in no rule")
        elif ended.get(window.name):
            found.append(f"freeze window {window.name!r} is over")
    return found


def _idle(document: ControlDocument, rule: ControlRule, apps: Collection[str]) -> Optional[str]:
    if not (rule.ticket or rule.approval or rule.freeze):
        later = document.rules[-1] is not rule
        return None if later else f"rule {rule.name!r} is the last one, and asks for nothing"
    for former in document.rules[: document.rules.index(rule)]:
        if _covers(former, rule):
            return f"rule {rule.name!r} is never reached: {former.name!r} fits all of it before"
    unmatched = [
        pattern
        for pattern in rule.apps
        if not any(fnmatch.fnmatchcase(app, pattern) for app in apps)
    ]
    if unmatched:
        return f"rule {rule.name!r}: there is no app {', '.join(unmatched)} now"
    return None


def _covers(former: ControlRule, rule: ControlRule) -> bool:
    """Whether everything that fits the rule fits the former one: told where it is plain to see."""
    kinds = not former.changes or (bool(rule.changes) and set(rule.changes) <= set(former.changes))
    apps = not former.apps or ("*" in former.apps and bool(rule.apps))
    return kinds and (apps or (bool(rule.apps) and set(rule.apps) <= set(former.apps)))
