"""The host's policy, read again whenever its files changed.

A policy that can't be read wholly is no policy: until it is mended nothing is created or started, and what runs goes on. No reload is
needed for either, and none helps.

Files are not always put there in one go: between an old one's end and a new one's begin, or its first part and its last, fewer rules
stand there, and that is a policy too. So for a moment what the former one forbids stays forbidden.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Optional

from hullmark import log
from hullmark.agentd.preconditions import in_short
from hullmark.agentd.problems import Problems
from hullmark.config import load_policy_folder
from hullmark.core import portrules, servicescopes
from hullmark.errors import InvalidInput, PolicyRefused
from hullmark.model.host import NO_PORT_RULES, CallerRule, PortRules
from hullmark.model.policy import Policy
from hullmark.model.scope import UNKNOWN

_log = log.get("policy")

INVALID = "policy.invalid"
AGAIN = (
    "mend it, and check it by: hullmark config check policy; until then nothing is created or "
    "started here, and what runs goes on. No reload is needed"
)
SETTLED_S = 2.0
"""How old a change has to be so that a second one shows in the file's times: some file systems count in whole seconds."""

FORMER_S = 2.0
"""How long a policy's word still counts after it was replaced."""

Mark = tuple[object, ...]
Changed = Callable[[Optional[Policy], str], None]
"""Told of each other policy in force, the first one too; None and why, where it became one that can't be read."""


class PolicyFolder:
    """May be used from any thread."""

    def __init__(
        self,
        folder: str,
        problems: Problems,
        changed: Changed = lambda _policy, _why: None,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        former_s: float = FORMER_S,
    ) -> None:
        self._folder = Path(folder).absolute()
        self._problems = problems
        self._changed = changed
        self._wall = wall
        self._clock = clock
        self._former_s = former_s
        self._former: dict[str, tuple[Policy, float]] = {}
        self._last: Optional[Policy] = None
        self._lock = threading.Lock()
        self._marks: Optional[tuple[Mark, ...]] = None
        self._known = False
        self._policy: Optional[Policy] = None
        self._why = ""
        self._scope = ""
        self._listeners: tuple[Callable[[], None], ...] = ()

    def when_changed(self, *listeners: Callable[[], None]) -> None:
        """Called after each change, by whoever found it; they must not ask for the policy themselves."""
        self._listeners = listeners

    def current(self) -> Policy:
        """As the files have it now. Raises PolicyRefused for one that can't be read."""
        with self._lock:
            marks = self._look()
            if marks is None or marks != self._marks:
                self._read()
                self._marks = marks
            if self._policy is None:
                raise PolicyRefused(
                    f"this host's policy can't be read, so nothing is created or started: {self._why}",
                    remedy=AGAIN,
                )
            return self._policy

    def in_force(self) -> tuple[Policy, ...]:
        """By each of which something has to be allowed: the current one, and those that it replaced just now. Raises as `current`."""
        policy = self.current()
        with self._lock:
            now = self._clock()
            self._former = {key: one for key, one in self._former.items() if one[1] > now}
            return (policy, *(one for one, _ in self._former.values() if one != policy))

    @property
    def scope(self) -> str:
        """What the leader is told: `unknown` while the policy can't be read, so that nothing new is placed here."""
        with self._lock:
            return UNKNOWN if self._known and self._policy is None else self._scope

    @property
    def port_rules(self) -> PortRules:
        """What the leader is told, so that people see what is allowed; of the last policy that could be read."""
        with self._lock:
            return NO_PORT_RULES if self._last is None else portrules.of_policy(self._last)

    @property
    def caller_rules(self) -> tuple[CallerRule, ...]:
        """As `port_rules`."""
        with self._lock:
            return () if self._last is None else servicescopes.of_policy(self._last)

    def _read(self) -> None:
        try:
            policy: Optional[Policy] = load_policy_folder(str(self._folder))
            why = ""
        except InvalidInput as error:
            policy, why = None, in_short(error)
        same = self._known and (policy, why) == (self._policy, self._why)
        self._known, self._policy, self._why = True, policy, why
        if self._last is not None and not same:
            self._former[self._last.digest] = (self._last, self._clock() + self._former_s)
        self._last = policy or self._last
        if policy is None:
            self._problems.set(INVALID, why, AGAIN)
        else:
            self._scope = policy.scope
            self._problems.clear(INVALID)
        if not same:
            _log.info("policy", files=len(policy.files) if policy else None, trouble=why or None)
            self._changed(policy, why)
            for listener in self._listeners:
                listener()

    def _look(self) -> Optional[tuple[Mark, ...]]:
        """What tells that nothing changed; None where that can't be told, so that it has to be read."""
        try:
            marks = tuple(self._all_marks())
            entries = [self._folder, *self._entries()]
            newest = max((one.lstat().st_ctime for one in entries), default=0.0)
        except (OSError, _Link):
            return None
        return marks if newest + SETTLED_S < self._wall() else None

    def _all_marks(self) -> Iterator[Mark]:
        for path in (*self._folder.parents, self._folder, *self._entries()):
            found = path.lstat()
            if stat.S_ISLNK(found.st_mode):
                raise _Link
            mark = (str(path), found.st_ino, found.st_mode, found.st_uid)
            if path in self._folder.parents:
                yield mark
            else:
                yield (*mark, found.st_size, found.st_mtime_ns, found.st_ctime_ns)

    def _entries(self) -> list[Path]:
        return [self._folder / name for name in sorted(os.listdir(self._folder))]


class _Link(Exception):
    """There is a link on the way, so times say nothing of what it leads to."""
