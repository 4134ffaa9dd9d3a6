"""Restart policy: what an ended container means, and when it is tried again."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

from hullmark.core.found import Found
from hullmark.model.app import ContainerSpec, Restart, RestartCondition

MAX_DELAY_S = 60.0
"""A container that keeps failing is tried once a minute: seldom enough not to load the host, often enough
that it is back soon after its cause is mended."""


@dataclass(frozen=True)
class Attempt:
    """What is remembered of an instance's failures. `failures` in a row; `restarts` in all; `not_before`:
    the next try; `ended`: the end that was counted last (`Found.ended_key`); `halted`: the run that the agent
    itself ends or has ended (`Found.run_key`), whose end says nothing of the container."""

    failures: int = 0
    restarts: int = 0
    not_before: float = 0.0
    reason: str = ""
    ended: str = ""
    halted: str = ""


class Verdict(enum.Enum):
    AGAIN = "again"
    COMPLETED = "completed"
    FAILED = "failed"


def judge(spec: ContainerSpec, found: Found, attempt: Attempt) -> tuple[Verdict, str]:
    """What the end of a container means for its instance, and why, for people."""
    why = end_of(found)
    policy = spec.restart
    if found.exit_code == 0:
        if spec.one_shot or policy.condition is not RestartCondition.ANY:
            return Verdict.COMPLETED, why
        return Verdict.AGAIN, why
    if policy.condition is RestartCondition.NONE:
        return Verdict.FAILED, why
    # The end at hand may have been counted already: the limit is on starts after the first.
    tried = attempt.failures - (1 if attempt.ended == found.ended_key else 0)
    if policy.max_attempts and tried >= policy.max_attempts:
        return Verdict.FAILED, f"{why}; gave up after {policy.max_attempts} restarts"
    return Verdict.AGAIN, why


def end_of(found: Found) -> str:
    if found.oom_killed:
        return "killed for using too much memory (exit code 137)"
    text = f"ended with exit code {found.exit_code}"
    return f"{text}: {found.error}" if found.error else text


def why_waiting(attempt: Attempt, found: Found, why: str) -> str:
    """Why it isn't started again right now; `why` it ended. A start that failed since then is told first."""
    tried = attempt.ended == found.ended_key and attempt.reason not in ("", why)
    return f"{attempt.reason}; before that it {why}" if tried else why


def after_end(policy: Restart, found: Found, attempt: Attempt, now: float) -> Attempt:
    """Count an end; the delay doubles with each failure in a row, and starts anew after a good run."""
    ran_s = max(0.0, found.finished_at - found.started_at)
    failures = 1 if ran_s >= max(policy.window_s, 0.1) else attempt.failures + 1
    return replace(
        attempt,
        failures=failures,
        not_before=now + delay_s(policy.delay_s, failures),
        reason=end_of(found),
        ended=found.ended_key,
    )


def after_error(
    attempt: Attempt, reason: str, now: float, longest_s: float = MAX_DELAY_S
) -> Attempt:
    """Count a failed call to the engine or a failed pull."""
    failures = attempt.failures + 1
    wait_s = min(delay_s(1.0, failures), longest_s)
    return replace(attempt, failures=failures, not_before=now + wait_s, reason=reason)


def delay_s(first_s: float, failures: int) -> float:
    """The wait before try number `failures` + 1. Without a delay the first is at once; later ones double
    from a tenth of a second, so that what always fails doesn't keep the engine busy."""
    if failures <= 1:
        return first_s
    return min(max(first_s, 0.1) * 2.0 ** min(failures - 1, 16), max(MAX_DELAY_S, first_s))
