"""What is remembered of failures: counts that survive the agent, so that a limit of restarts means what it says.

Kept by what the work was for: a container's name, or `remove/NAME`, `spec/HASH`, `network/APP/KEY`, `volume/APP/KEY`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from hullmark import log
from hullmark.core.found import Found
from hullmark.core.restart import MAX_DELAY_S, Attempt, after_end, after_error
from hullmark.model import jsontext
from hullmark.model.app import Restart
from hullmark.pki.files import write_file

_log = log.get("attempts")

FILE = "attempts.json"


class Attempts:
    """May be used from any thread. Times are of the monotonic clock, so the waits don't survive."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._attempts: dict[str, Attempt] = self._load()
        self._unwritten = False
        self._closed = False

    def close(self) -> None:
        """Another one takes this one's place: nothing is written any more."""
        with self._writing:
            self._closed = True

    def all(self) -> dict[str, Attempt]:
        with self._lock:
            return dict(self._attempts)

    def keep(self, keys: set[str]) -> None:
        """Forget the others."""
        with self._lock:
            self._attempts = {key: one for key, one in self._attempts.items() if key in keys}

    def ended(self, name: str, policy: Restart, found: Found, now: float) -> None:
        """Count a container's end; durable after `write`."""
        with self._lock:
            before = self._attempts.get(name, Attempt())
            self._attempts[name] = after_end(policy, found, before, now)
            self._unwritten = True

    def failed(self, key: str, reason: str, now: float, longest_s: float = MAX_DELAY_S) -> bool:
        """Count a failed try. True where the reason is another than before."""
        with self._lock:
            before = self._attempts.get(key, Attempt())
            self._attempts[key] = after_error(before, reason, now, longest_s)
            return reason != before.reason

    def explain(self, key: str, failed: Attempt, why: str) -> None:
        """What was found out of this failure stands before its reason. Nothing where there was another since."""
        with self._lock:
            if self._attempts.get(key) == failed:
                self._attempts[key] = replace(failed, reason=f"{why}: {failed.reason}")

    def made(self, name: str) -> None:
        """A new container runs: failures before it are over."""
        with self._lock:
            if name in self._attempts:
                self._attempts[name] = Attempt(restarts=self._attempts[name].restarts)

    def restarted(self, name: str) -> None:
        """Counted as a restart, unless the agent itself had stopped it; its failures in a row stay, until it has
        run well."""
        with self._lock:
            before = self._attempts.get(name, Attempt())
            restarts = before.restarts + (0 if before.halted else 1)
            self._attempts[name] = replace(before, restarts=restarts, reason="", halted="")
            self._unwritten = True

    def halts(self, name: str, run: str) -> None:
        """The agent is about to stop this run of a container: its end will be no failure. Written before, so that
        this is also known to an agent that is started again in between. Empty: it runs on after all."""
        with self._lock:
            self._attempts[name] = replace(self._attempts.get(name, Attempt()), halted=run)
            self._unwritten = True
        self.write()

    def forget(self, key: str) -> None:
        with self._lock:
            self._attempts.pop(key, None)

    def write(self) -> None:
        """Put counts of ends and restarts on the disk, where there are new ones."""
        with self._writing:
            with self._lock:
                if self._closed or not self._unwritten:
                    return
                self._unwritten = False
                rows = {
                    name: (one.failures, one.restarts, one.reason, one.ended, one.halted)
                    for name, one in self._attempts.items()
                }
            try:
                write_file(self._file, json.dumps(rows).encode(), 0o600, durable=False)
            except OSError as error:
                _log.debug("attempts not written", why=error.strerror)

    def _load(self) -> dict[str, Attempt]:
        """What can't be read is forgotten: then a count starts anew, and nothing worse."""
        try:
            stored: Mapping[str, list[object]] = jsontext.loads(self._file.read_bytes())
            return {
                str(name): Attempt(
                    int(str(row[0])),
                    int(str(row[1])),
                    0.0,
                    str(row[2]),
                    str(row[3]),
                    str(row[4]) if len(row) > 4 else "",
                )
                for name, row in stored.items()
            }
        except (OSError, ValueError, TypeError, LookupError, AttributeError):
            return {}
