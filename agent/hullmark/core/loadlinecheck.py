"""What is wrong with a mark, or with a person's word against one, and what of it does nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from hullmark.errors import Problem
from hullmark.model.app import App
from hullmark.model.control import LEVELS
from hullmark.model.durations import age
from hullmark.model.loadline import (
    CONTROL_NAME,
    EVERY_CONTROL,
    OVERRIDE_LEAST_S,
    OVERRIDE_MOST_S,
    REQUIRED_MOST,
    LoadLine,
    OverrideRequest,
    Required,
    of_scope,
)
from hullmark.model.snapshot import Snapshot

DRAIN_AFTER_S = (0.0, 7 * 86400.0)
CONTROL_ALLOWED = "a control or a function, such as audit-trail: small letters, digits and -"
LEVEL_ALLOWED = ", ".join(f"{level} ({text})" for level, text in LEVELS.items())


def problems_of(line: LoadLine) -> Sequence[Problem]:
    """By field: `require[0].level`, `brake`."""
    found = list(_required(line.require))
    if not 0.0 <= line.brake <= 1.0:
        found.append(Problem(f"{line.brake:g}", field="brake", allowed="0 to 1, or 0% to 100%"))
    if not DRAIN_AFTER_S[0] <= line.drain_after_s <= DRAIN_AFTER_S[1]:
        allowed = f"0 s to {age(DRAIN_AFTER_S[1])}"
        found.append(Problem(age(line.drain_after_s), field="drain_after", allowed=allowed))
    return found


def _required(require: Sequence[Required]) -> Iterator[Problem]:
    if len(require) > REQUIRED_MOST:
        allowed = f"at most {REQUIRED_MOST}"
        yield Problem(f"{len(require)} of them", field="require", allowed=allowed)
    seen: set[str] = set()
    for index, each in enumerate(require[:REQUIRED_MOST]):
        field = f"require[{index}]"
        yield from required_problems(each, field)
        if each.control in seen:
            yield Problem(f"{each.control[:64]!r} is there twice", field=field, allowed="once")
        seen.add(each.control)


def required_problems(each: Required, field: str) -> Iterator[Problem]:
    if not CONTROL_NAME.fullmatch(each.control):
        what = f"not a control: {each.control[:64]!r}"
        yield Problem(what, field=f"{field}.control", allowed=CONTROL_ALLOWED)
    if each.level not in LEVELS:
        yield Problem(f"{each.level}", field=f"{field}.level", allowed=LEVEL_ALLOWED)


def override_problems(request: OverrideRequest) -> Iterator[Problem]:
    """Of which app it is, if of one, is for the caller to look up."""
    every = request.control == EVERY_CONTROL
    if every and not request.app:
        allowed = "one control, or one app with it"
        yield Problem("all controls of all apps", field="control", allowed=allowed)
    if not every and not CONTROL_NAME.fullmatch(request.control):
        what = f"not a control: {request.control[:64]!r}"
        yield Problem(what, field="control", allowed=CONTROL_ALLOWED)
    if not OVERRIDE_LEAST_S <= request.for_s <= OVERRIDE_MOST_S:
        allowed = f"{age(OVERRIDE_LEAST_S)} to {age(OVERRIDE_MOST_S)}"
        yield Problem(age(request.for_s), field="for_s", allowed=allowed)


def warnings_of(snapshot: Snapshot, names: Collection[str]) -> Iterator[str]:
    """Of required controls: those that no host has, so that nothing would be placed anywhere."""
    known = {
        name
        for state in snapshot.observed.values()
        for each in (state.posture.controls.values() if state.posture is not None else ())
        for name in (each.control_id, each.function)
    }
    for name in sorted(names):
        if snapshot.observed and name not in known:
            yield f"no host has a control {name}: nothing that needs it is placed"


def asked_for(snapshot: Snapshot, app: str = "") -> frozenset[str]:
    """The controls that the cluster or its apps require, or one app with the cluster; and what apps' scopes do."""
    found = {each.control for each in snapshot.loadline.line.require}
    for name, record in snapshot.apps.items():
        if app in ("", name) and not record.removing:
            found |= own_names(record.app)
    return frozenset(found)


def own_names(app: App) -> frozenset[str]:
    """Of what its services require, and what their scopes do."""
    return frozenset(
        each.control
        for service in app.services.values()
        for each in (*service.deploy.placement.require, *of_scope(service.container.scope))
    )
