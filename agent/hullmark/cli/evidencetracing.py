"""From a requirement to the records that it rests on, and to the masters that sealed them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hullmark.cli.logparts import Part
from hullmark.errors import HullmarkError, NotFound
from hullmark.evidence.controlrecords import Result, result_of
from hullmark.evidence.slices import Standing
from hullmark.model.auditline import parse
from hullmark.model.control import LEVELS, Framework, Requirement


@dataclass(frozen=True)
class Traced:
    """A check's newest result, and what vouches for its record. `sealed_by`: masters that vouch for it."""

    control: str
    check: str
    function: str
    status: str
    level: int
    proves: str
    reason: str
    since: float
    at: float
    log: str
    seq: int
    hash: str
    sealed_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trace:
    """`chain`: `whole`, or what is wrong with the records from the first of these to the newest. `missing`: functions of which no
    result is in the records."""

    requirement: str
    title: str
    host: str
    functions: tuple[str, ...]
    results: tuple[Traced, ...]
    chain: str
    first: int
    last: int
    vouched_to: int
    vouched_by: Mapping[str, int] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    covers: str = ""
    gaps: str = ""

    @property
    def good(self) -> bool:
        return self.chain == "whole" and bool(self.results) and not self.missing


def requirement(of: Framework, wanted: str) -> Requirement:
    """Raises NotFound."""
    for each in of.requirements:
        if each.requirement_id == wanted:
            return each
    near = [
        each.requirement_id for each in of.requirements if each.requirement_id.startswith(wanted)
    ]
    raise NotFound(
        f"{of.name} has no requirement {wanted[:40]}",
        remedy=f"it has {', '.join(near[:12])}" if near else "its file lists them",
    )


def newest(lines: Iterable[bytes], of: Requirement) -> list[Result]:
    """Of each check of the controls that the requirement names, in the order of control and check."""
    found: dict[tuple[str, str], Result] = {}
    for line in lines:
        if b'"control.result"' not in line:
            continue
        try:
            result = result_of(parse(line))
        except HullmarkError:
            continue
        if result is not None and {result.function, result.control_id} & set(of.functions):
            found[result.key] = result
    return [found[key] for key in sorted(found)]


def trace(
    of: Requirement, host: str, part: Part, results: Sequence[Result], standing: Standing
) -> Trace:
    told = tuple(_traced(each, standing) for each in results)
    seen = {name for each in results for name in (each.function, each.control_id)}
    return Trace(
        of.requirement_id, of.title, host, of.functions, told, standing.words, standing.first, standing.last, standing.vouched_to,
        dict(standing.vouched_by), tuple(name for name in of.functions if name not in seen), of.covers, of.gaps,
    )  # fmt: skip


def _traced(one: Result, standing: Standing) -> Traced:
    sealed = tuple(name for name, seq in standing.vouched_by.items() if seq >= one.seq)
    return Traced(
        one.control_id, one.check_id, one.function, one.status.value, one.level, LEVELS.get(one.level, "nothing"), one.reason,
        one.since, one.at, one.log, one.seq, one.hash, sealed,
    )  # fmt: skip
