"""A drill's report: dated, readable by itself, for whoever keeps the evidence of it. Markdown, which is text too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

from hullmark.cli.words import count, one_line, utc
from hullmark.model.drill import DEGRADED, FAILED, KILL, PASSED, Drill

_DEEDS = {True: "the leader's process was killed (SIGKILL)", False: "the leader handed over"}
_VERDICTS = {
    PASSED: "PASSED: another master took over, nothing was lost, and all is as it was before.",
    DEGRADED: "DEGRADED: another master took over and nothing was lost; something is not back yet.",
    FAILED: "FAILED: see below what did not hold.",
}


def text(drill: Drill) -> str:
    return "".join(f"{line}\n" for line in _lines(drill))


def _lines(drill: Drill) -> Iterator[str]:
    yield f"# Failover drill of {utc(drill.began_at)}"
    yield ""
    yield _VERDICTS[drill.outcome]
    yield ""
    for name, value in _facts(drill):
        yield f"- {name}: {one_line(value)}"
    yield ""
    yield "## Figures"
    yield ""
    yield f"- from asking for it to the next accepted write: {_seconds(drill.failover_s)}"
    yield f"- longest time between two accepted writes: {_seconds(drill.gap_s)}"
    yield f"- a write before that took (median): {_seconds(drill.usual_s)}"
    yield f"- writes accepted: {drill.writes}, of {count(drill.tries, 'request')}"
    yield ""
    yield "## Checks"
    yield ""
    for check in drill.checks:
        word = "passed" if check.passed else "FAILED" if check.grave else "not yet"
        detail = f" ({one_line(check.detail)})" if check.detail else ""
        yield f"- {word}: {check.what}{detail}"


def _facts(drill: Drill) -> Iterator[tuple[str, str]]:
    yield "what was done", _DEEDS[drill.kind == KILL]
    yield "cluster", f"{drill.cluster_id}, Hullmark {drill.version}"
    yield "by", drill.by + (f", ticket {drill.ticket}" if drill.ticket else "")
    yield "began", utc(drill.began_at)
    yield "ended", utc(drill.ended_at)
    yield "led before", f"{drill.former}, epoch {drill.former_epoch}"
    yield "leads now", f"{drill.leader}, epoch {drill.epoch}" if drill.leader else "nobody"
    yield (
        "running meanwhile",
        f"{count(drill.instances, 'instance')} on {count(drill.hosts, 'host')}",
    )


def _seconds(value: Optional[float]) -> str:
    return "none" if value is None else f"{value:.3f} s"
