"""Changes that wait for a second person, as people read them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hullmark.cli.words import dated, moment, one_line
from hullmark.errors import UsageError
from hullmark.model.changecontrol import ChangeKind, PendingDetail, PendingState, PendingView

HEADS = ("CHANGE", "STATE", "WHAT", "BY", "TICKET", "UNTIL", "DECIDED BY")
_ID = re.compile(r"[0-9a-f]{8}")
_SEE = {
    ChangeKind.APPLY: "hullmark ps {subject}",
    ChangeKind.SCALE: "hullmark ps {subject}",
    ChangeKind.MOVE: "hullmark ps {subject}",
    ChangeKind.ROLLOUT: "hullmark rollout status {subject}",
    ChangeKind.CHANGE_CONTROL: "hullmark change-control show",
    ChangeKind.MARK: "hullmark mark show",
}


def change_id(text: str) -> str:
    """Raises UsageError."""
    if not _ID.fullmatch(text):
        raise UsageError(f"not a change: {text[:80]!r}", remedy="hullmark changes")
    return text


def row(change: PendingView) -> tuple[str, ...]:
    return (
        change.change,
        change.state.value,
        f"{change.kind.value} {change.subject}",
        change.by,
        change.ticket or "-",
        dated(change.expires_at),
        change.decided_by or "-",
    )


def decided(change: PendingView) -> Iterator[str]:
    """After a decision."""
    what = one_line(f"{change.subject}  {change.kind.value} of {change.by}")
    if change.state is PendingState.DONE:
        yield f"{what} approved, and done"
        see = _SEE.get(change.kind)
        if see is not None:
            yield f"next      {see.format(subject=change.subject)}"
    elif change.state is PendingState.APPROVED:
        yield f"{what} approved; {change.by} collects it: hullmark changes collect {change.change}"
    else:
        yield f"{what} {change.state.value}"


def lines(detail: PendingDetail) -> Iterator[str]:
    """All of one."""
    change = detail.change
    yield one_line(f"{change.change}  {change.kind.value} {change.subject}: {change.state.value}")
    facts = {
        "by": f"{change.by} at {moment(change.at)}",
        "ticket": change.ticket,
        "rule": change.rule,
        "until": moment(change.expires_at) if change.state is PendingState.WAITING else "",
        "decided": f"{change.decided_by} at {moment(change.decided_at)}"
        if change.decided_by
        else "",
        "why": change.why,
        "made for": detail.stood,
    }
    for name, text in facts.items():
        if text:
            yield one_line(f"{name:<10}{text}")
    for index, text in enumerate(change.summary):
        yield one_line(f"{'does' if not index else '':<10}{text}")
    if change.command:
        yield f"next      another person than {change.by}: {change.command}"
    elif change.state is PendingState.APPROVED:
        yield f"next      {change.by}: hullmark changes collect {change.change}"
