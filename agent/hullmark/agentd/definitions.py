"""The host's controls as their files have them now: read again when one changed; where they can't be read, those in force stay."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Optional

from hullmark import log
from hullmark.agentd.asked import LOCAL
from hullmark.agentd.problems import Problems
from hullmark.config import Controls, load_controls
from hullmark.errors import InvalidInput, Problem
from hullmark.model.audit import Entry, Outcome

_log = log.get("controls")

PROBLEM = "controls.invalid"
REMEDY = "mend what is named, check it by: hullmark config check control FILE; until then the controls that were read before stay in force"
READ = "controls.read"
TOLD_MOST = 3

Signature = tuple[tuple[str, int, int, int], ...]


class Definitions:
    """One thread's. `note` records which controls are in force."""

    def __init__(
        self,
        shipped: str,
        problems: Problems,
        note: Callable[[Entry], None],
        load: Callable[[str, str], Controls] = load_controls,
    ) -> None:
        self._shipped = shipped
        self._problems = problems
        self._note = note
        self._load = load
        self._seen: Optional[tuple[str, Signature]] = None
        self.in_force: Optional[Controls] = None

    def outdated(self) -> None:
        """They are read at the next look, whatever their files' times say."""
        self._seen = None

    def look(self, site: str) -> bool:
        """Whether other controls are in force than before. `site` is the folder of the site's own."""
        seen = (site, tuple(_signature((self._shipped, site))))
        if seen == self._seen:
            return False
        self._seen = seen
        try:
            found = self._load(self._shipped, site)
        except InvalidInput as error:
            self._refuse(error)
            return False
        self._problems.clear(PROBLEM)
        before, self.in_force = self.in_force, found
        if before is not None and before.digest == found.digest:
            return False
        self.record()
        _log.info("controls read", controls=len(found.specs), files=len(found.files))
        return True

    def record(self) -> None:
        """Which are in force, for a log that does not say so yet."""
        found = self.in_force
        if found is None:
            return
        fields = {
            "digest": found.digest,
            "files": ", ".join(found.files),
            "controls": str(len(found.specs)),
        }
        self._note(Entry(READ, "controls", origin=LOCAL, fields=fields))

    def _refuse(self, error: InvalidInput) -> None:
        said = in_short(error.problems)
        self._problems.set(PROBLEM, said, REMEDY)
        self._note(Entry(READ, "controls", outcome=Outcome.FAILURE, origin=LOCAL, reason=said))


def in_short(problems: tuple[Problem, ...]) -> str:
    told = [str(problem) for problem in problems[:TOLD_MOST]]
    more = len(problems) - len(told)
    return "; ".join([*told, f"and {more} more"] if more else told)


def _signature(folders: tuple[str, ...]) -> Iterator[tuple[str, int, int, int]]:
    """What tells one state of the files from the next; a folder that can't be read has none."""
    for folder in folders:
        try:
            paths = sorted(Path(folder).iterdir())
        except OSError as error:
            yield folder, -(error.errno or 1), 0, 0
            continue
        for path in paths:
            try:
                found = path.stat()
            except OSError:
                continue  # removed since, or a link that leads nowhere: reading says so
            yield str(path), found.st_ino, found.st_mtime_ns, found.st_ctime_ns
