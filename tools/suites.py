"""Run the named suites one after the other, then print a table; the exit code says whether all passed.

    python tools/suites.py [--full] check roots integration e2e fleet

What failed stands under the table, with the first lines of its reasons: of a long log many readers see the end alone.

With --full the suites also run the combinations that are not in every run. A suite is the make target `check`, or `test-NAME`. It fails when its command fails, when it ran no test
at all, or when it takes longer than its limit (its whole process group is then killed).

What the packages' suite stands on takes minutes to make: packages, and the roots of the hosts. It is made beside the suites that
mostly wait, with the time that those leave, and is ready when that suite begins. Without it the suite makes it by itself. The suite
`roots`, which only computes, runs beside them as well, with a low priority; what it printed follows when it is done. Nothing runs beside `proxied`, where no
request may be lost, but what only takes time that is left.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Callable, Optional

AHEAD = "ahead-packages"
AHEAD_OF, AHEAD_BESIDE = "packages", ("e2e", "fleet", "chaos")
AHEAD_LOG = Path("build/ahead.log")
BESIDE = "roots"
# A share of the processor that its tests' own time limits can be kept with.
LESS = ("nice", "-n", "5")
# Runs only when nothing else wants the processor or the disk.
AT_LEISURE = ("chrt", "--idle", "0", "ionice", "--class", "3")
LIMIT_S = 2400.0
# What `make check` by itself tries a part of.
ALL_EXAMPLES = {"HYPOTHESIS_PROFILE": "same"}
FULL = "--full"
FULL_LIMIT_S = 5400.0
COUNT = re.compile(r"\b(\d+) (passed|failed|error|errors|skipped)\b")
# pytest's last line, with or without its frame of `=`.
LAST_LINE = re.compile(r"^(?:=+ )?\d+ (?:passed|failed|error|errors|skipped).* in [\d.]+s")
# pytest's heading of what one test said, its lines of why it failed, and where.
HEADING = re.compile(r"^_+ (.*[A-Za-z].*) _+$")
WHY = re.compile(r"^(?:E  |\S+\.py:\d+: \w)")
# Of one test's reasons, of one suite's tests, and of a line: as much as is read at a glance.
WHYS_MOST, FAILURES_MOST, LINE_MOST = 5, 12, 240
# Of a suite that failed with no failed test, such as by the linter.
LAST_LINES = 12


@dataclass(frozen=True)
class Outcome:
    """How a suite went. `busy`: the share of the machine's processors that was used meanwhile, whoever used it. `reason` is empty where it passed.
    `told`: of what failed, its name and why, or the last lines where no test did."""

    name: str
    passed: int
    failed: int
    skipped: int
    seconds: float
    busy: float
    reason: str
    told: tuple[str, ...] = ()


class Reading:
    """What pytest's output says, line by line: how many tests ended how, and why some failed."""

    def __init__(self) -> None:
        self.counts = {"passed": 0, "failed": 0, "skipped": 0}
        self._heading = ""
        self._failures: dict[str, list[str]] = {}
        self._last: deque[str] = deque(maxlen=LAST_LINES)

    def take(self, line: str) -> None:
        line = line.rstrip()
        self._last.append(line[:LINE_MOST])
        if heading := HEADING.match(line):
            self._heading = heading[1]
        elif self._heading and WHY.match(line):
            self._failures.setdefault(self._heading, []).append(line[:LINE_MOST])
        elif LAST_LINE.match(line):
            self._heading = ""
            for number, what in COUNT.findall(line):
                self.counts["failed" if what.startswith("error") else what] += int(number)

    @property
    def told(self) -> tuple[str, ...]:
        if not self._failures:
            return tuple(self._last)
        found = []
        for name, whys in list(self._failures.items())[:FAILURES_MOST]:
            found += [name, *(f"    {why}" for why in whys[:WHYS_MOST])]
        more = len(self._failures) - FAILURES_MOST
        return (*found, *([f"and {more} more"] if more > 0 else []))


class Ahead:
    """What is made for a later suite while others run. Its failure is none of ours: the suite tries again, and says why."""

    def __init__(self) -> None:
        self._process: Optional[subprocess.Popen[bytes]] = None

    def begin(self) -> None:
        if self._process is not None or not all(map(shutil.which, AT_LEISURE[::3])):
            return
        AHEAD_LOG.parent.mkdir(exist_ok=True)
        with AHEAD_LOG.open("wb") as log:
            self._process = subprocess.Popen(
                [*AT_LEISURE, "make", "--no-print-directory", AHEAD],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def finish(self) -> None:
        """Nobody is to wait for a lock that is held by what only runs at leisure."""
        if self._process is None:
            return
        if self._process.poll() is None:
            _hasten(self._process.pid)
        began = time.monotonic()
        code = self._process.wait()
        told = "" if not code else f", exit code {code}:\n{AHEAD_LOG.read_text(errors='replace')}"
        print(f"\n=== {AHEAD}: waited {time.monotonic() - began:.1f} s{told}", flush=True)

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)


def _hasten(group: int) -> None:
    """All processes of the group get their ordinary share. Twice, for those that were begun while it looked."""
    for entry in chain.from_iterable(Path("/proc").iterdir() for _ in range(2)):
        try:
            if entry.name.isdecimal() and os.getsid(int(entry.name)) == group:
                os.sched_setscheduler(int(entry.name), os.SCHED_OTHER, os.sched_param(0))
        except (ProcessLookupError, PermissionError):
            continue


class Beside:
    """A suite that runs while others do."""

    def __init__(self, name: str, *, full: bool) -> None:
        self._name = name
        self._lines: list[str] = []
        self._outcomes: list[Outcome] = []
        self._process: Optional[subprocess.Popen[str]] = None
        self._thread = threading.Thread(target=self._run, args=(full,), daemon=True)
        print(f"\n=== {name}: runs beside the suites that follow", flush=True)
        self._thread.start()

    def _run(self, full: bool) -> None:
        begun = self._begun
        self._outcomes.append(
            run(self._name, full=full, told=self._lines.append, before=LESS, begun=begun)
        )

    def _begun(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def finish(self) -> Outcome:
        began = time.monotonic()
        self._thread.join()
        print("".join(self._lines), end="")
        print(f"=== {self._name}: waited {time.monotonic() - began:.1f} s", flush=True)
        return self._outcomes[0]

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def run(
    name: str,
    *,
    full: bool,
    told: Callable[[str], object] = _say,
    before: tuple[str, ...] = (),
    begun: Callable[[subprocess.Popen[str]], object] = lambda process: None,
) -> Outcome:
    target = name if name == "check" else f"test-{name}"
    limit_s = FULL_LIMIT_S if full else LIMIT_S
    told(f"\n=== {name}: make {target}\n")
    began, before_it = time.monotonic(), _processor()
    process = subprocess.Popen(
        [*before, "make", "--no-print-directory", target, *([f"ARGS={FULL}"] if full else [])],
        env={**ALL_EXAMPLES, **os.environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    begun(process)
    late = threading.Event()

    def stop() -> None:
        late.set()
        os.killpg(process.pid, signal.SIGKILL)

    timer = threading.Timer(limit_s, stop)
    timer.start()
    try:
        reading = _echo_and_read(process, told)
        code = process.wait()
    except KeyboardInterrupt:
        os.killpg(process.pid, signal.SIGTERM)
        raise
    finally:
        timer.cancel()
    seconds = time.monotonic() - began
    told(f"=== {name}: {seconds:.1f} s\n")
    reason = ""
    if late.is_set():
        reason = f"took longer than {limit_s:.0f} s"
    elif code:
        reason = f"make exited {code}"
    elif not reading.counts["passed"]:
        reason = "ran no test"
    used, given = (after - was for after, was in zip(_processor(), before_it))
    busy = used / given if given else 0.0
    why = reading.told if reason else ()
    return Outcome(name, **reading.counts, seconds=seconds, busy=busy, reason=reason, told=why)


def _processor() -> tuple[int, int]:
    """Of all processors together since the boot: how long one worked, and how long it could have (proc_stat(5), the line `cpu`)."""
    user, nice, system, idle, waiting, *others = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    )
    used = user + nice + system + sum(others[:2])
    return used, used + idle + waiting


def _echo_and_read(process: subprocess.Popen[str], told: Callable[[str], object]) -> Reading:
    reading = Reading()
    assert process.stdout is not None
    for line in process.stdout:
        told(line)
        reading.take(line)
    return reading


def table(outcomes: list[Outcome]) -> str:
    lines = [
        f"{'SUITE':<14}{'RESULT':<8}{'PASSED':>7}{'FAILED':>7}{'SKIPPED':>8}{'SECONDS':>9}{'BUSY':>6}"
    ]
    for each in outcomes:
        lines.append(
            f"{each.name:<14}{'FAIL' if each.reason else 'pass':<8}{each.passed:>7}{each.failed:>7}"
            f"{each.skipped:>8}{each.seconds:>9.1f}{each.busy:>6.0%}  {each.reason}".rstrip()
        )
    lines.append(
        f"{sum(each.passed for each in outcomes)} passed, "
        f"{sum(each.failed for each in outcomes)} failed, "
        f"{sum(each.skipped for each in outcomes)} skipped; "
        f"{sum(each.seconds for each in outcomes):.1f} s in all"
    )
    for each in outcomes:
        if each.told:
            lines += ["", f"=== failed in {each.name}:", *each.told]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    names, full = [each for each in arguments if each != FULL], FULL in arguments
    outcomes: list[Outcome] = []
    ahead = Ahead()
    beside: Optional[Beside] = None
    waiting = BESIDE in names and any(name in AHEAD_BESIDE for name in names)
    try:
        for name in names:
            if name == BESIDE and waiting:
                continue
            if name in AHEAD_BESIDE:
                if AHEAD_OF in names:
                    ahead.begin()
                if waiting:
                    beside, waiting = Beside(BESIDE, full=full), False
            elif beside is not None:
                outcomes.append(beside.finish())
                beside = None
            if name == AHEAD_OF:
                ahead.finish()
            outcomes.append(run(name, full=full))
        if beside is not None:
            outcomes.append(beside.finish())
    finally:
        ahead.end()
        if beside is not None:
            beside.end()
    print("\n" + table(outcomes), flush=True)
    return 1 if any(each.reason for each in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
