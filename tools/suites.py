"""Run the named suites one after the other, then print a table; the exit code says whether all passed.

    python tools/suites.py [--full] check roots integration e2e fleet

With --full the suites also run the combinations that are not in every run. A suite is the make target `check`, or `test-NAME`. It fails when its command fails, when it ran no test
at all, or when it takes longer than its limit (its whole process group is then killed).
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass

LIMIT_S = 1500.0
FULL = "--full"
FULL_LIMIT_S = 5400.0
COUNT = re.compile(r"\b(\d+) (passed|failed|error|errors|skipped)\b")
# pytest's last line, with or without its frame of `=`.
LAST_LINE = re.compile(r"^(?:=+ )?\d+ (?:passed|failed|error|errors|skipped).* in [\d.]+s")


@dataclass(frozen=True)
class Outcome:
    """How a suite went. `reason` is empty where it passed."""

    name: str
    passed: int
    failed: int
    skipped: int
    seconds: float
    reason: str


def run(name: str, *, full: bool) -> Outcome:
    target = name if name == "check" else f"test-{name}"
    limit_s = FULL_LIMIT_S if full else LIMIT_S
    print(f"\n=== {name}: make {target}", flush=True)
    began = time.monotonic()
    process = subprocess.Popen(
        ["make", "--no-print-directory", target, *([f"ARGS={FULL}"] if full else [])],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    late = threading.Event()

    def stop() -> None:
        late.set()
        os.killpg(process.pid, signal.SIGKILL)

    timer = threading.Timer(limit_s, stop)
    timer.start()
    try:
        counts = _echo_and_count(process)
        code = process.wait()
    except KeyboardInterrupt:
        os.killpg(process.pid, signal.SIGTERM)
        raise
    finally:
        timer.cancel()
    seconds = time.monotonic() - began
    print(f"=== {name}: {seconds:.1f} s", flush=True)
    reason = ""
    if late.is_set():
        reason = f"took longer than {limit_s:.0f} s"
    elif code:
        reason = f"make exited {code}"
    elif not counts["passed"]:
        reason = "ran no test"
    return Outcome(name, counts["passed"], counts["failed"], counts["skipped"], seconds, reason)


def _echo_and_count(process: subprocess.Popen[str]) -> dict[str, int]:
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    assert process.stdout is not None
    for line in process.stdout:
        sys.stdout.write(line)
        sys.stdout.flush()
        if LAST_LINE.match(line):
            for number, what in COUNT.findall(line):
                counts["failed" if what.startswith("error") else what] += int(number)
    return counts


def table(outcomes: list[Outcome]) -> str:
    lines = [f"{'SUITE':<14}{'RESULT':<8}{'PASSED':>7}{'FAILED':>7}{'SKIPPED':>8}{'SECONDS':>9}"]
    for each in outcomes:
        lines.append(
            f"{each.name:<14}{'FAIL' if each.reason else 'pass':<8}{each.passed:>7}{each.failed:>7}"
            f"{each.skipped:>8}{each.seconds:>9.1f}  {each.reason}".rstrip()
        )
    lines.append(
        f"{sum(each.passed for each in outcomes)} passed, "
        f"{sum(each.failed for each in outcomes)} failed, "
        f"{sum(each.skipped for each in outcomes)} skipped; "
        f"{sum(each.seconds for each in outcomes):.1f} s in all"
    )
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    names = [each for each in arguments if each != FULL]
    outcomes = [run(name, full=FULL in arguments) for name in names]
    print("\n" + table(outcomes), flush=True)
    return 1 if any(each.reason for each in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
