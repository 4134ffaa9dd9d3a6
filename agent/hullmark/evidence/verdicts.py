"""What is said of a requirement: the worst of its functions on all hosts, with the time that it was not proven."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hullmark.evidence import story, timeline
from hullmark.evidence.story import ControlStory, FunctionStory, RequirementStory
from hullmark.evidence.timeline import Span
from hullmark.model.control import NOTHING_PROVEN, Requirement, Status
from hullmark.model.functions import FUNCTIONS, ONLY_WHERE_THERE

GAP_S = 60.0
GAP_SHARE = 0.001
"""Of the time on a host this much, or a minute, may not have been looked at where a requirement is `proven`: agents are restarted.
It is told nevertheless."""
NAMED_MOST = 8


@dataclass(frozen=True)
class HostSpans:
    """A host's controls by id, and which function each carries. `begins` and `ends`: when the host was there in the period."""

    name: str
    begins: float
    ends: float
    spans: Mapping[str, Sequence[Span]] = field(default_factory=dict)
    functions: Mapping[str, str] = field(default_factory=dict)

    def named(self, name: str) -> tuple[str, ...]:
        """Controls of that function or id."""
        return tuple(one for one, function in self.functions.items() if name in (one, function))


def requirement(
    of: Requirement, hosts: Sequence[HostSpans], controls: Sequence[ControlStory]
) -> RequirementStory:
    by_key = {(one.host, one.control_id): one for one in controls}
    functions = tuple(_function(host, name, by_key) for name in of.functions for host in hosts)
    used = tuple(
        dict.fromkeys(
            (host.name, control)
            for name in of.functions
            for host in hosts
            for control in host.named(name)
            if by_key[host.name, control].applies
        )
    )
    verdict, why = _verdict(of, functions)
    passed = [one.level for one in functions if one.span_s >= 1]
    return RequirementStory(
        of.requirement_id,
        of.title,
        of.coverage,
        verdict,
        of.covers,
        of.gaps,
        used,
        of.sources,
        why,
        min(passed, default=NOTHING_PROVEN),
        functions,
    )


def _function(
    host: HostSpans, name: str, controls: Mapping[tuple[str, str], ControlStory]
) -> FunctionStory:
    carried = host.named(name)
    spans = timeline.function_spans([host.spans[one] for one in carried])
    told = [controls[host.name, one] for one in carried]
    span_s = max(0.0, host.ends - host.begins)
    ending = timeline.status_at(spans, host.ends)
    proven_s, failed_s, absent_s = (
        timeline.total_s(spans, host.begins, host.ends, *statuses)
        for statuses in ((Status.PASS,), timeline.BAD, (Status.NOT_APPLICABLE,))
    )
    passing = ending is Status.PASS
    if name in ONLY_WHERE_THERE:
        # Without containers there is nothing to be missed; that nobody looked for them is another thing.
        span_s, absent_s = span_s - absent_s, 0.0
        passing = passing or ending is Status.NOT_APPLICABLE
    elif not carried:
        absent_s = span_s
    return FunctionStory(
        host.name,
        name,
        proven_s,
        failed_s,
        absent_s,
        span_s,
        passing,
        max((one.level for one in told), default=NOTHING_PROVEN),
        any(one.seen_elsewhere for one in told),
    )


def _verdict(of: Requirement, functions: Sequence[FunctionStory]) -> tuple[str, str]:
    if not of.functions:
        verdict = story.ELSEWHERE if of.sources else story.NOT_COVERED
        return verdict, ""
    if not functions:
        return story.NOT_PROVEN, "no host is told of"
    if not any(one.span_s >= 1 for one in functions):
        return story.NOT_PROVEN, "nothing was there that it applies to"
    worst = max((_rank(one) for one in functions), default=0)
    texts = list(_texts(functions))
    shown = texts[:NAMED_MOST]
    more = len(texts) - len(shown)
    why = "; ".join([*shown, *([f"and {more} more"] if more else [])])
    return (story.PROVEN, story.INTERRUPTED, story.NOT_PROVEN)[worst], why


def _rank(one: FunctionStory) -> int:
    """0: proven, 1: interrupted, 2: not proven."""
    if one.span_s < 1:
        return 0
    if not one.passing or not one.proven_s or one.absent_s > _allowed_s(one):
        return 2
    return int(one.failed_s > 0 or one.unlooked_s > _allowed_s(one))


def _allowed_s(one: FunctionStory) -> float:
    return max(GAP_S, GAP_SHARE * one.span_s)


def _texts(functions: Sequence[FunctionStory]) -> Iterator[str]:
    """The worst first."""
    for one in sorted(functions, key=lambda each: (-_rank(each), each.host, each.function)):
        parts = []
        if one.absent_s >= 1:
            whole = one.absent_s >= one.span_s - 1
            parts.append("nothing carries it" + ("" if whole else f" for {span(one.absent_s)}"))
        if one.failed_s > 0:
            parts.append(f"failed for {span(one.failed_s)}")
        if one.unlooked_s >= 1:
            whole = one.unlooked_s >= one.span_s - 1
            parts.append("not looked at" + (" at all" if whole else f" for {span(one.unlooked_s)}"))
        if not one.passing and one.proven_s:
            parts.append("does not pass at the end")
        if parts:
            yield f"{one.host}, {word_of(one.function)}: {', '.join(parts)}"


def word_of(function: str) -> str:
    """For people."""
    return FUNCTIONS.get(function, function)


def span(seconds: float) -> str:
    """For people: the two largest units, such as `2 d 3 h`."""
    left = round(seconds)
    if left < 1:
        return f"{seconds:.1f} s" if seconds > 0 else "0 s"
    parts = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        if left >= size:
            parts.append(f"{left // size} {unit}")
            left %= size
        elif parts:
            break
    return " ".join(parts[:2])
