"""Whether changes of watched files would be seen, and whether others could write them."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Optional

from hullmark.core.checks.judge import Judge, Seen, error, failed, untold
from hullmark.model.control import RUNNING, Finding, Reading

WATCH, CANARY_READING, SAFE, CHANGES = "watch", "canary", "safe", "changes"
JUDGE_IT = (
    "find out whether it was meant: hullmark audit show --kind file says what became another, and when; who did it, logs of packages, "
    "configuration management and auditd may say"
)
NAMED = 3


def judge_watch(seen: Seen) -> Finding:
    watch = seen.find(WATCH)
    if watch is None:
        return error("it is not known yet how the files are")
    trouble = untold(watch)
    if trouble is not None:
        return trouble
    compared_at = _number(watch, "compared_at")
    if compared_at is None:
        return error("the files were not compared yet")
    age_s = seen.now - compared_at
    if age_s > seen.number("compared") or age_s < -60.0:
        return failed(f"the files were compared last {age_s / 60:.0f} minutes ago")
    if watch.text.strip():
        return failed(f"not all is watched: {_some(watch.text)}")
    if watch.facts.get("realtime") != "yes":
        why = watch.errors.strip() or "inotify can't be used"
        return seen.passed(f"compared at an interval only: {why}", RUNNING)
    canary = seen.find(CANARY_READING)
    if canary is None or canary.facts.get("seen") != "yes":
        return failed("a file that was made for the purpose was not noticed by inotify")
    return seen.passed()


def judge_unchanged(seen: Seen) -> Finding:
    reading = seen.find(CHANGES)
    if reading is None:
        return error("it is not known yet how the files are")
    trouble = untold(reading)
    if trouble is not None:
        return trouble
    newest, number = _number(reading, "newest"), _number(reading, "changes")
    if newest is None or number is None:
        return error("the files were not compared yet")
    # After a clock was set back the change lies ahead, and is as new as one can be.
    if number and seen.now - newest <= seen.number("quiet"):
        return failed(_some(reading.text) or f"{number:.0f} changes", JUDGE_IT)
    return seen.passed()


def judge_safe(seen: Seen) -> Finding:
    reading = seen.find(SAFE)
    if reading is None:
        return error("it is not known yet how the files are")
    trouble = untold(reading)
    if trouble is not None:
        return trouble
    if _number(reading, "files") is None:
        return error("the files were not looked at yet")
    if reading.text.strip():
        return failed(_some(reading.text), "make them root's alone: chown root, chmod go-w")
    return seen.passed()


def _some(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    more = len(lines) - NAMED
    return "; ".join(lines[:NAMED]) + (f"; and {more} more" if more > 0 else "")


def _number(reading: Reading, name: str) -> Optional[float]:
    try:
        found = float(reading.facts[name])
    except (KeyError, ValueError):
        return None
    return found if isfinite(found) else None


JUDGES: Mapping[str, Judge] = {
    "watchedfiles.watch": judge_watch,
    "watchedfiles.unchanged": judge_unchanged,
    "watchedfiles.safe": judge_safe,
}
