"""What people on a host that is in no cluster say of its incidents: files of root's in the state folder, answered beside them.

The folder is root's, as the state folder is; a file in it that somebody else owns is removed unread. Whoever asked waits a few seconds: an ask
that is older is removed and not done, since its person was told that nobody answered.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Callable, Optional

from hullmark import log
from hullmark.agentd.localincidents import LocalIncidents
from hullmark.agentd.pulse import rest
from hullmark.errors import HullmarkError, InvalidInput, Refused
from hullmark.model import jsontext
from hullmark.model.localask import (
    ACKNOWLEDGE,
    ANSWER,
    ASK,
    ASK_BYTES,
    FOLDER,
    HEARD_S,
    NOTE,
    LocalAnswer,
    LocalAsk,
)
from hullmark.model.outage import NOTES
from hullmark.model.wire import from_wire
from hullmark.pki.files import write_document

_log = log.get("asks")

LOOK_S = 0.5
FORGOTTEN_S = 60.0
BY_MOST = 100


class Asks:
    """One thread's. `enrolled`: the host's cluster keeps its incidents."""

    def __init__(
        self,
        folder: Path,
        incidents: LocalIncidents,
        enrolled: Callable[[], bool],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._folder = folder / FOLDER
        self._incidents, self._enrolled, self._wall = incidents, enrolled, wall

    def run(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            self.look()
            rest(stopping, LOOK_S)

    def look(self) -> None:
        """Answer what was asked. What can't be read or written is left to the next look."""
        with suppress(OSError):
            for path, age_s in self._found():
                if path.suffix == ANSWER and age_s > FORGOTTEN_S:
                    path.unlink()
                elif path.suffix == ASK:
                    self._take(path, age_s)

    def _found(self) -> Iterator[tuple[Path, float]]:
        now = self._wall()
        for path in sorted(self._folder.iterdir()):
            yield path, now - path.lstat().st_mtime

    def _take(self, path: Path, age_s: float) -> None:
        ask = _read(path)
        path.unlink()
        if age_s > HEARD_S or ask is None:
            _log.warning("an ask was not done", file=path, why="too old, or none of root's")
            return
        try:
            answer = self._answer(ask)
        except HullmarkError as error:
            answer = LocalAnswer(False, why=error.message, remedy=error.remedy)
        write_document(path.with_suffix(ANSWER), answer)

    def _answer(self, ask: LocalAsk) -> LocalAnswer:
        if self._enrolled():
            raise Refused("this host's cluster keeps its incidents", remedy="ask a master")
        by = "".join(each for each in ask.by if each.isprintable())[:BY_MOST]
        if not by or (ask.topic and ask.topic not in NOTES):
            raise Refused("nobody is named, or there is no such topic")
        if ask.verb == ACKNOWLEDGE:
            return LocalAnswer(True, self._incidents.acknowledge(ask.incident, by))
        if ask.verb == NOTE and ask.text.strip():
            return LocalAnswer(
                True, self._incidents.put_note(ask.incident, by, ask.topic, ask.text)
            )
        raise Refused("this agent does not know what is asked")


def _read(path: Path) -> Optional[LocalAsk]:
    """None for what is no plain file of root's, or of whoever the agent runs as."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(file.fileno())
        ours = found.st_uid in (0, os.geteuid()) and not found.st_mode & 0o022
        if not (ours and stat.S_ISREG(found.st_mode) and found.st_size <= ASK_BYTES):
            return None
        try:
            return from_wire(LocalAsk, jsontext.loads(file.read(ASK_BYTES + 1)))
        except (ValueError, InvalidInput):
            return None
