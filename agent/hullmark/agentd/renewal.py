"""Certificate renewal: when a third of its life is left, and again until it works.

The renewal itself runs as a process of its own (`python -m hullmark.agentd renew`), because the library that it needs
would stay in the daemon's memory for good. What the process writes is used from the next request on.

Where a clock is wrong, what was made just now may be due again at once. Then that is told, and the next try comes after a wait that grows.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Callable, Optional

import hullmark
from hullmark import log
from hullmark.agentd import enrolment, pulse
from hullmark.agentd.asked import LOCAL
from hullmark.agentd.enrolment import SET_CLOCK
from hullmark.agentd.identity import Identity
from hullmark.agentd.problems import Problems
from hullmark.agentd.waits import Waits
from hullmark.config import AgentConfig
from hullmark.errors import BrokenState, HullmarkError, Refused
from hullmark.launchers import launcher
from hullmark.model.audit import Entry, Outcome

_log = log.get("renewal")

LEFT = 1 / 3
"""Share of the certificate's life that is left when it is renewed: with the usual 30 days, 10 to get it done."""
LOOK_S = (0.2, 60.0)
RETRY_S = (1.0, 600.0)
CLOCK_RETRY_S = (60.0, 3600.0)
"""After a certificate that is due as soon as it is made: each is a record in the store, and of a proxy a reload, which ends connections in the long run."""
FILES_RETRY_S = 2.0
PROCESS_S = 60.0
REMEDY = "what to do: "
"""What the process begins its second line with, where there is something to do."""
KIND = "certificate.renewed"
"""Of its audit records, which say by their outcome whether it was."""


Life = tuple[float, float]
"""From when a certificate is valid, and until when."""


def due_in_s(valid_from: float, valid_until: float, now: float) -> float:
    """Until a certificate is to be renewed; below zero where it should have been, and for one that is not valid yet. Masters have them begin
    some minutes before they are made, so that clocks may differ by that."""
    if now < valid_from:
        return now - valid_from
    return valid_until - (valid_until - valid_from) * LEFT - now


class Trying:
    """One certificate's renewal, tried until it works; while it doesn't, that is the problem `code` of the host. `renew` does it, or raises HullmarkError.
    `what`: the certificate, as people are told of it."""

    def __init__(
        self,
        renew: Callable[[], None],
        problems: Problems,
        code: str,
        what: str,
        wall: Callable[[], float],
        clock: Callable[[], float],
    ) -> None:
        self._renew = renew
        self._problems = problems
        self._code = code
        self._what = what
        self._wall = wall
        self._clock = clock
        self._waits = Waits(*RETRY_S)
        self._clock_waits = Waits(*CLOCK_RETRY_S)
        self._held_until = -math.inf

    def once(self, trouble: str, made: Callable[[], Optional[Life]]) -> Optional[float]:
        """None where it worked; else the seconds until the next try. `trouble`: what people are told then, before the reason. `made`: of the
        certificate that is there after it worked."""
        self._held_until = -math.inf
        try:
            with pulse.elsewhere():
                self._renew()
        except HullmarkError as error:
            remedy = error.remedy or "it is tried again until it works"
            self._problems.set(self._code, f"{trouble}: {error.message}", remedy)
            return self._waits.next()
        self._waits.reset()
        life = made()
        if life is not None and due_in_s(*life, self._wall()) <= 0:
            return self._hold(*life)
        self.unneeded()
        return None

    def unneeded(self) -> None:
        """What there is is good."""
        self._problems.clear(self._code)
        self._clock_waits.reset()
        self._held_until = -math.inf

    def held_s(self) -> float:
        """How long what was made last is left as it is, though it is due; zero where it isn't."""
        return max(0.0, self._held_until - self._clock())

    def _hold(self, valid_from: float, valid_until: float) -> float:
        """The words have no times in them: each such certificate is the same problem."""
        now = self._wall()
        why = (
            "is not valid yet: that clock is behind, or the leading master's is ahead"
            if now < valid_from
            else "is to be renewed already: that clock is ahead, or the leading master's is behind"
        )
        self._problems.set(
            self._code, f"{self._what} is new, and by this host's clock {why}", SET_CLOCK
        )
        wait_s, left_s = self._clock_waits.next(), valid_until - now
        if left_s > 0:
            wait_s = min(wait_s, max(left_s / 10, CLOCK_RETRY_S[0] / 2))
        self._held_until = self._clock() + wait_s
        return wait_s


class Renewal:
    """Of the agent's own certificate."""

    def __init__(
        self,
        identity: Identity,
        problems: Problems,
        renew: Callable[[], None],
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._identity = identity
        self._trying = Trying(
            renew, problems, "certificate.renewal", "this host's certificate", wall, clock
        )
        self._wall = wall

    def run(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            wait_s = self.turn()
            pulse.rest(stopping, wait_s)

    def turn(self) -> float:
        """Renew where it is time. Returns the seconds until it is to be looked at again."""
        try:
            enrolled, _ = self._identity.usable()
        except BrokenState:
            return FILES_RETRY_S  # the sync says what is wrong; a person mends it
        wait_s = due_in_s(enrolled.valid_from, enrolled.valid_until, self._wall())
        if wait_s > 0:
            self._trying.unneeded()
            return min(max(wait_s, LOOK_S[0]), LOOK_S[1])
        held_s = self._trying.held_s()
        if held_s > 0:
            return min(held_s, LOOK_S[1])
        again_s = self._trying.once("this host's certificate can't be renewed", self._made)
        if again_s is None or self._trying.held_s() > 0:
            return LOOK_S[0]
        left_s = enrolled.valid_until - self._wall()
        return min(again_s, max(left_s / 10, LOOK_S[0]))

    def _made(self) -> Optional[Life]:
        _log.info("certificate renewed")
        try:
            enrolled = enrolment.read(self._identity.folder)
        except HullmarkError:
            return None  # the sync says what is wrong
        return enrolled.valid_from, enrolled.valid_until


def recorded(
    renew: Callable[[], None], note: Callable[[Entry], None], subject: str
) -> Callable[[], None]:
    """The same `renew`, with an entry in the audit log for each try."""

    def tried() -> None:
        entry = Entry(KIND, subject, origin=LOCAL)
        try:
            renew()
        except HullmarkError as error:
            note(replace(entry, outcome=Outcome.FAILURE, reason=error.message))
            raise
        note(entry)

    return tried


def in_a_process(config: AgentConfig, *, proxy: bool = False) -> Callable[[], None]:
    """A `renew` for `Renewal`, or for `ProxyCertificate`: what the process says on standard error becomes the error. It gets what it needs of
    the configuration in force: the files may be others by now, and wrong."""

    def renew() -> None:
        package = Path(hullmark.__file__).parent.parent
        installed = launcher("agentd")
        command = [str(installed)] if installed else [sys.executable, "-m", "hullmark.agentd"]
        command += ["renew", "--state-dir", config.state_dir]
        for master in config.masters:
            command += ["--master", master]
        if proxy:
            command += ["--proxy-folder", config.proxy_folder]
        try:
            done = subprocess.run(
                command,
                env={**os.environ, "PYTHONPATH": str(package)},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=PROCESS_S,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Refused(f"the renewal did not run: {error}") from error
        if done.returncode != 0:
            said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            remedies = [line.partition(REMEDY)[2] for line in said if REMEDY in line]
            remedy = remedies[0] if remedies else ""
            raise Refused(said[0].rpartition("hullmark agent: ")[2], remedy=remedy)

    return renew
