"""`hullmark eject`: this host leaves its cluster, and its containers stay.

    look -> write the folder aside -> mark the host as ejected -> stop the service -> the agent has gone -> look again
         -> restart policies -> the folder put in place

It needs no master. Until the mark nothing is changed; after it every step is one that finds what is done already, so that a run that
was cut off is repeated. A second run changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from hullmark.agentd import directorykeeper, enrolment, statefile
from hullmark.agentd.attempts import Attempts
from hullmark.agentd.directorykeeper import KeptDirectory
from hullmark.agentd.ejected import is_ejected, mark
from hullmark.agentd.ejectionfolder import Folder
from hullmark.agentd.enrolment import Enrolment
from hullmark.agentd.hostnames import FOLDER, HostsFiles
from hullmark.agentd.lock import FolderLock, pair_lock
from hullmark.agentd.observer import described
from hullmark.core.ejection import Ejection, Kept, Present, Scene, eject
from hullmark.core.ejectionwords import Place, notes
from hullmark.engine import limits
from hullmark.engine.protocol import Engine
from hullmark.engine.request import log_config
from hullmark.errors import BrokenState, Conflict, HullmarkError, NotFound, Refused
from hullmark.model.app import ContainerSpec, Logging
from hullmark.model.directory import PublishedEntry
from hullmark.model.orders import Orders

AGENT_GONE_S = 30.0
"""An agent that runs sees the mark within a second, and is gone soon after."""
LOOK_S = 0.1

Record = Callable[[Enrolment], AbstractContextManager[None]]
"""Within it the engine is changed. Entering raises AuditUnavailable, and then it isn't."""


@dataclass(frozen=True)
class Choice:
    """What the person said. `out`: the folder for the projects."""

    out: Path
    force: bool = False
    dry_run: bool = False
    accept_duplicates: bool = False


@dataclass(frozen=True)
class Done:
    """`changed`: what was done, or would be, one line each. `unset`: containers whose engine keeps another policy than it
    was asked for."""

    enrolled: Enrolment
    place: Place
    ejection: Ejection
    changed: tuple[str, ...]
    unset: tuple[Kept, ...]
    notes: tuple[str, ...]
    dry_run: bool = False


def of_cluster(state: Path) -> Enrolment:
    """Of a host that is enrolled, or that was until it was ejected. Raises NotFound for another, BrokenState."""
    return enrolment.read(state, enrolment.EJECTED if is_ejected(state) else enrolment.RECORD)


class Leave:
    """One run. `state` is the agent's folder; `others` are engines of the host beside the one that the agent uses."""

    def __init__(
        self,
        state: Path,
        engine: Engine,
        choice: Choice,
        others: Sequence[Engine] = (),
        stop_service: Callable[[], None] = lambda: None,
        recorded: Record = lambda enrolled: nullcontext(),
    ) -> None:
        """Raises HullmarkError: the host is not enrolled, or its engine doesn't answer."""
        self._state = state
        self._hosts = HostsFiles(self._state / FOLDER)
        self._engine = engine
        self._others = others
        self._stop_service = stop_service
        self._recorded = recorded
        self._choice = choice
        self._folder = Folder(choice.out)
        self._changed: list[str] = []
        self._damaged: list[str] = []
        self._again = is_ejected(self._state)
        self._enrolled = of_cluster(self._state)
        # What was put in place is the person's: it is not written a second time.
        self._writes = not (self._again and self._folder.is_ours()) or choice.force
        info = engine.info()
        self._place = Place(
            self._enrolled.host, info.name, info.socket, str(self._choice.out), str(self._state)
        )

    def run(self) -> Done:
        """Raises HullmarkError."""
        ejection = self._look()
        self._check(ejection)
        if self._choice.dry_run:
            return self._would(ejection)
        with pair_lock(self._state):
            return self._leave(ejection)

    def _leave(self, ejection: Ejection) -> Done:
        if self._writes:
            self._folder.write(ejection, self._place)
        if not self._again:
            self._mark()
        self._stop_service()
        with _agent_gone(self._state), self._recorded(self._enrolled):
            ejection = self._look()
            unset = [one for one in ejection.kept if not self._keeps(one)]
            self._start([one for one in ejection.kept if one.start])
            said = self._notes(ejection, unset)
            if self._writes:
                self._folder.write(ejection, self._place, unset, said)
                self._folder.put()
                self._changed.append(f"wrote {self._choice.out}")
        return self._done(ejection, unset, said)

    def _would(self, ejection: Ejection) -> Done:
        """Whether the engine can change a policy shows when it is asked."""
        if not self._again:
            self._changed.append(f"host {self._enrolled.host} would be ejected")
        for one in ejection.kept:
            if one.has != one.restart:
                self._changed.append(f"{one.name}: restart policy would be {one.restart}")
            if one.start:
                self._changed.append(f"{one.name}: would be started")
        if self._writes:
            self._changed.append(f"would write {self._choice.out}")
        return self._done(ejection, (), self._notes(ejection, ()))

    def _done(self, ejection: Ejection, unset: Sequence[Kept], said: Sequence[str]) -> Done:
        return Done(
            self._enrolled,
            self._place,
            ejection,
            tuple(self._changed),
            tuple(unset),
            tuple(said),
            self._choice.dry_run,
        )

    def _notes(self, ejection: Ejection, unset: Sequence[Kept]) -> list[str]:
        found = notes(ejection, unset, self._place)
        found += [
            f"{path} can't be read: published ports that the host's proxy answers are not named here, and nobody answers "
            "them once hullmark-proxy is gone"
            for path in self._damaged
        ]
        for engine in self._others:
            with suppress(HullmarkError):
                names = sorted(
                    one.found.name
                    for one in _present(engine, self._enrolled.cluster_id, self._hosts)
                )
                if names:
                    found.append(
                        f"another engine, at {engine.info().socket}, has containers of this cluster, which stay as "
                        f"they are: {', '.join(names)}"
                    )
        return found

    def _check(self, ejection: Ejection) -> None:
        if self._writes:
            self._folder.check(force=self._choice.force)
        if ejection.once and not self._again and not self._choice.accept_duplicates:
            raise Refused(
                "these must never run twice (on_host_lost: stop), and a leader starts them elsewhere once "
                f"this host is silent: {', '.join(map(str, ejection.once))}",
                remedy="on a master: move them, or apply their app with on_host_lost: keep; where no "
                "master runs any more: --accept-duplicates",
            )

    def _mark(self) -> None:
        try:
            mark(self._state)
        except OSError as error:
            raise Refused(
                f"{self._state}: {error.strerror}", remedy="nothing was changed"
            ) from error
        self._changed.append(f"host {self._enrolled.host} is ejected")

    def _keeps(self, one: Kept) -> bool:
        """Whether the engine has the policy in the end."""
        if one.has == one.restart:
            return True
        try:
            became = self._engine.set_restart_policy(one.container_id, one.restart)
        except NotFound:
            return True  # somebody removed it since it was looked at
        if became == one.restart:
            self._changed.append(f"{one.name}: restart policy {one.restart}")
        return became == one.restart

    def _start(self, down: Sequence[Kept]) -> None:
        for one in down:
            try:
                self._engine.start(one.container_id)
                self._changed.append(f"{one.name}: started")
            except Refused as error:
                self._changed.append(f"{one.name}: can't be started: {error.message}")

    def _look(self) -> Ejection:
        cluster = self._enrolled.cluster_id
        stored = statefile.load(self._state).orders
        mine = stored is not None and (stored.cluster_id, stored.host_id) == (
            cluster,
            self._enrolled.host_id,
        )
        orders = stored if stored is not None and mine else Orders(cluster, self._enrolled.host_id)
        info = self._engine.info()
        present = tuple(_present(self._engine, cluster, self._hosts))
        return eject(
            Scene(
                orders,
                info.name,
                present,
                Attempts(self._state).all(),
                {key: _logging(one.container, info.name) for key, one in orders.bundles.items()},
                {
                    key: _image_now(self._engine, one.container)
                    for key, one in orders.bundles.items()
                },
                limits.defaults(info.name),
                info.runs_health_checks,
                self._published(),
            )
        )

    def _published(self) -> tuple[PublishedEntry, ...]:
        """Where a proxy answers them. Without the file nobody knows."""
        path, enrolled = self._state / directorykeeper.FILE, self._enrolled
        damaged: list[str] = []
        try:
            kept = statefile.read_sealed(path, "directory", KeptDirectory, damaged)
        except BrokenState:
            kept, damaged = None, [str(path)]
        self._damaged = damaged
        mine = enrolled.cluster_id, enrolled.host_id
        is_mine = kept is not None and (kept.cluster_id, kept.host_id) == mine
        return kept.directory.published if kept is not None and is_mine else ()


@contextmanager
def _agent_gone(state: Path) -> Iterator[None]:
    """Held: no agent works on the folder. Raises Conflict where one doesn't go."""
    until = time.monotonic() + AGENT_GONE_S
    while True:
        try:
            lock = FolderLock(state)
            break
        except Conflict as error:
            if time.monotonic() >= until:
                raise Conflict(
                    f"the host is ejected, but {error.message}, and has not seen it",
                    remedy="end that process, then repeat this: it goes on where it was",
                ) from error
            time.sleep(LOOK_S)
    try:
        yield
    finally:
        lock.release()


def _present(engine: Engine, cluster_id: str, hosts: HostsFiles) -> Iterator[Present]:
    for row in engine.listed():
        with suppress(NotFound):
            found = engine.container(row.container_id)
            if found.cluster_id == cluster_id:
                restart = engine.restart_policy(row.container_id)
                has_hosts = hosts.is_ours(found.hosts_file)
                yield Present(described(found.name, found), restart, has_hosts)


def _logging(spec: ContainerSpec, engine_name: str) -> Logging:
    told = log_config(spec, engine_name)
    return Logging(told["Type"], told["Config"])


def _image_now(engine: Engine, spec: ContainerSpec) -> str:
    """The id of what the reference of an image without a digest means now, empty where nothing does."""
    if spec.digest:
        return ""
    try:
        return engine.resolve(spec.image, spec.platform, "never").local_id
    except HullmarkError:
        return ""
