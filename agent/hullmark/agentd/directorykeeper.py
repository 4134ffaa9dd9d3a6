"""The directory that this host has accepted: on the disk, and told to whoever plans from it.

    keeper = DirectoryKeeper(folder, ledger, problems)
    keeper.when_changed(wake)      # called, without arguments, from the thread that accepted another one
    keeper.load()                  # once, at the start: what was accepted before, so that a host whose masters are away goes on with it
    keeper.current                 # the Directory, NO_DIRECTORY where no leader has told anything yet

It is accepted from the leader that polls have shown, and from no other: the ledger says which one that is. Whatever was accepted holds until
another one was: silence, a change of leader and a restart of the agent leave it as it is. Unlike orders it is also used where the disk takes no
writing, because who must no longer be let in is in it.
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from hullmark import log
from hullmark.agentd import statefile
from hullmark.agentd.ledger import Ledger
from hullmark.agentd.problems import Problems
from hullmark.core import proxynames
from hullmark.errors import BrokenState
from hullmark.model.directory import NO_DIRECTORY, Directory
from hullmark.pki.files import write_private

FILE = "directory.json"
DAMAGED, WRITE = "directory.damaged", "directory.write"

_log = log.get("directory")


@dataclass(frozen=True)
class KeptDirectory:
    """What is in the file: for which host of which cluster it was."""

    cluster_id: str
    host_id: str
    directory: Directory


class DirectoryKeeper:
    """May be used from any thread."""

    def __init__(self, folder: Path, ledger: Ledger, problems: Problems) -> None:
        self._path = folder / FILE
        self._ledger = ledger
        self._problems = problems
        self._lock = threading.Lock()
        self._current = NO_DIRECTORY
        self._changed: list[Callable[[], None]] = []

    @property
    def current(self) -> Directory:
        return self._current

    def when_changed(self, callback: Callable[[], None]) -> None:
        self._changed.append(callback)

    def load(self) -> None:
        """Take what was accepted before. A file that is damaged is as none: the leader tells all of it again."""
        damaged: list[str] = []
        try:
            kept = statefile.read_sealed(self._path, "directory", KeptDirectory, damaged)
        except BrokenState as error:
            self._problems.set_error(DAMAGED, error)
            return
        if damaged:
            self._problems.set(
                DAMAGED,
                f"{self._path} is damaged: services of other hosts are not known here until a leader tells them",
                "check the disk; the file is written anew with the leader's next answer",
            )
        held = self._ledger.held
        if kept is None or (kept.cluster_id, kept.host_id) != (held.cluster_id, held.host_id):
            return
        with self._lock:
            self._current = kept.directory
        self._tell()

    def accept(self, directory: Directory) -> bool:
        """Take over what a leader told. False where it is not the leader that polls have shown, or this agent begins anew: then nothing has changed."""
        with self._lock:
            why = self._doubts(directory)
            if why:
                _log.warning("directory refused", epoch=directory.epoch, why=why)
                return False
            same = directory.digest == self._current.digest
            self._current = directory
            self._keep(directory)
        self._problems.clear(DAMAGED)
        _log.info("directory accepted", epoch=directory.epoch, digest=directory.digest[:12])
        if not same:
            self._tell()
        return True

    def _doubts(self, directory: Directory) -> str:
        if self._ledger.closed:
            return "the agent begins anew with another configuration or identity"
        if directory.range and not proxynames.is_subnet(directory.range):
            return f"its range of service addresses is none: {directory.range!r}"
        return self._ledger.doubts(directory.epoch, directory.leader)

    def _keep(self, directory: Directory) -> None:
        held = self._ledger.held
        kept = KeptDirectory(held.cluster_id, held.host_id, directory)
        try:
            write_private(self._path, statefile.sealed("directory", kept))
        except OSError as error:
            # The former one would let in again, after a restart, who may no longer; with none the proxy goes on as it is.
            with contextlib.suppress(OSError):
                self._path.unlink()
            self._problems.set(
                WRITE,
                f"the directory of services can't be written to {self._path}: {error.strerror}",
                f"free space or mend the disk: df {self._path.parent}; it is used, and not there after a restart",
            )
        else:
            self._problems.clear(WRITE)

    def _tell(self) -> None:
        for callback in self._changed:
            callback()
