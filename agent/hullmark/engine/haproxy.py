"""A host's HAProxy: told what to do, asked what it does."""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Optional

from hullmark import log
from hullmark.engine import haproxybinds, haproxyprocess, haproxysessions
from hullmark.engine.haproxyabilities import Abilities, abilities_of
from hullmark.engine.haproxyanswers import Answers
from hullmark.engine.haproxyconfig import (
    ADDRESSES,
    ADMISSIONS,
    CALLERS,
    CONFIG,
    Rendered,
    Settings,
    render,
)
from hullmark.engine.haproxyfiles import ProxyFiles
from hullmark.engine.haproxyreading import (
    addresses_in,
    backends_in,
    binds_in,
    binds_of,
    digest_in,
    stale,
    without,
    without_processes,
)
from hullmark.engine.haproxyrecord import Life
from hullmark.engine.haproxyruntime import EVERYTHING, SERVERS, Processes, Sockets
from hullmark.engine.haproxytraffic import peers_of, strangers_of, traffic_of
from hullmark.engine.haproxytuning import new_servers, tune_servers, tune_table, withdraw
from hullmark.errors import ProxyUnavailable, ProxyUnwritten, Refused
from hullmark.model.proxy import ContainerLook, Member, PeerLook, ProxyLook, Traffic
from hullmark.model.proxyconnection import Connection
from hullmark.model.proxyplan import PEER, Applied, Bind, ProxyPlan

FOLDER = Path("/var/lib/hullmark-proxy")
RUN_DIR = Path("/run/hullmark-proxy")
USER = "haproxy"
"""As whom the worker runs, where the distribution's package made that user."""
RELOAD_S = 30.0
MOST_THREADS = 4
TABLES = (("map", ADMISSIONS), ("acl", CALLERS))
"""Who may call: what HAProxy calls each kind of table, and its file."""

_log = log.get("proxy")


class Haproxy:
    """Its files are in `folder`, its sockets in `run_dir`. It is started by its own service manager, never from here. One thread at a time.

    Raises Refused, with HAProxy's own words, for what HAProxy doesn't take: then it goes on as it was, and its files too. Raises ProxyUnavailable
    where no process answers."""

    def __init__(self, folder: Path, run_dir: Path, binary: str = "haproxy") -> None:
        self.folder = folder
        self._files = ProxyFiles(folder, binary)
        self._sockets = Sockets(run_dir)
        self._answers = Answers(self._sockets)
        self._settings = _settings(folder, run_dir)
        self._wanted = self._checked = ""

    def apply(self, plan: ProxyPlan) -> Applied:
        """Idempotent. The files are written also where no process runs (then it raises ProxyUnavailable): the next start finds them. What is no right any more
        is to be withdrawn before: here it waits for all that may fail."""
        self._settings = replace(self._settings, abilities=self._abilities())
        loaded, former = self._loaded(), self._files.own_text(CONFIG)
        try:
            self._check(render(plan, self._settings), loaded)
        except ProxyUnwritten:
            self._follow(render(plan, self._settings), loaded, former)
            raise
        # Last, as a port may be taken meanwhile: HAProxy tries for two seconds then, and its former worker listens to nobody as long.
        taken = haproxybinds.taken(self._unknown(plan, loaded, former))
        left_out = tuple(f"{one.address}:{one.port}" for one in taken)
        plan = without(plan, taken)
        rendered = render(plan, self._settings)
        self._wanted = rendered.digest
        is_same = loaded == rendered.digest
        if is_same and not self._needs_reload(rendered):
            told, objection = self._tune(rendered)
            if not objection:
                return Applied(self._files.write(rendered.files) or told > 0, False, left_out)
            _log.warning("not changed while it runs, so it is loaded anew", why=objection)
        if loaded is None:
            self._files.write(rendered.files)
            raise ProxyUnavailable("the proxy does not run; its files are there for its next start")
        self._load(plan, rendered, former if loaded else "", anew=is_same)
        return Applied(True, True, left_out)

    def withdraw(self, plan: ProxyPlan) -> int:
        """Take from the running worker which hosts and containers may call by this plan no more. How many rights that were. Neither files nor a reload are
        needed for it; one that starts anew goes by the files. Raises ProxyUnavailable."""
        return sum(
            withdraw(self._sockets, kind, self.folder / name, wanted)
            for kind, name, wanted in _tables(plan)
        )

    def addresses(self) -> tuple[str, ...]:
        """For the loopback device, as they were written last."""
        return tuple(self._files.text(ADDRESSES).split())

    def wanted(self) -> str:
        """The digest of the structure that was applied last: what `look().loaded` has to be. Empty before the first."""
        return self._wanted

    def look(self) -> ProxyLook:
        """Never raises for a proxy that isn't there: `up` is False, `why` says more."""
        try:
            processes = self._sockets.processes()
            info = self._sockets.info()
        except ProxyUnavailable as error:
            return ProxyLook(why=error.message)
        # By the main process: for a moment a former one may still answer.
        worker = processes.worker or int(info.get("Pid") or 0)
        return ProxyLook(
            up=True,
            version=info.get("Version", ""),
            pid=processes.main,
            worker=worker,
            started_at=haproxyprocess.started_at(processes.main),
            loaded=info.get("description", ""),
            replaced=haproxyprocess.replaced((processes.main, worker)),
        )

    def open_of(self, member: Member) -> int:
        """Connections that this container has from the proxy now, those of former workers too. Raises ProxyUnavailable."""
        processes = self._sockets.processes()
        mark = f"-{member.container_id[:12]}-"
        return sum(self._open_in(worker, mark) for worker in (0, *processes.former))

    def connections(self, hosts: Collection[str]) -> Iterator[Connection]:
        """All that are open, those of former workers too. `hosts`: those from which a connection may be. Raises ProxyUnavailable."""
        return haproxysessions.connections_of(self._sockets, hosts)

    def end(self, connections: Iterable[Connection]) -> Iterator[Connection]:
        """Those of them that were still there, each as it ended. Raises ProxyUnavailable."""
        return haproxysessions.end(self._sockets, connections)

    def traffic(self) -> Traffic:
        """Raises ProxyUnavailable."""
        rows = self._sockets.stat(EVERYTHING)
        ports = traffic_of(rows, addresses_in(self._files.text(CONFIG)))
        return Traffic(ports, strangers=strangers_of(rows))

    def peers(self) -> tuple[PeerLook, ...]:
        """The other hosts that the newest worker looks at. Raises ProxyUnavailable."""
        return peers_of(self._sockets.stat(SERVERS, proxy=PEER))

    def containers(
        self, members: Mapping[str, int], doubted: Collection[str]
    ) -> tuple[ContainerLook, ...]:
        """See `Answers`. Raises ProxyUnavailable."""
        return self._answers.look(members, doubted)

    def tampered(self) -> tuple[str, ...]:
        """Names of files in the folder that aren't as they were last written from here; before the first `apply`, as the agent's former life
        wrote them."""
        return self._files.tampered()

    def touched(self) -> tuple[str, ...]:
        """Names of files that somebody else wrote since the last reload from here, also with what they had."""
        return self._files.touched()

    def is_foreign(self, seen: ProxyLook) -> bool:
        """Whether that worker was not started by a reload from here, so that it may have loaded anything. False while it isn't
        known what it should be."""
        worker = Life(seen.worker, haproxyprocess.started_at(seen.worker))
        return seen.up and self._files.is_known and worker != self._files.kept.worker

    def is_started(self, seen: ProxyLook) -> bool:
        """Whether its main process is another than the one that was reloaded from here last."""
        main = self._files.kept.main
        return main.pid != 0 and main != Life(seen.pid, seen.started_at)

    def restore(self) -> None:
        """Write them again, and have the proxy load them: what was changed may have been loaded. What only the agent's former life knew the next `apply`
        writes. Raises ProxyUnavailable."""
        if self._files.restore():
            self._reload(digest_in(self._files.text(CONFIG)), anew=True)

    def load_again(self) -> None:
        """The same configuration with the program that is on the disk now. Raises ProxyUnavailable, and Refused where that one doesn't take it."""
        self._reload(digest_in(self._files.text(CONFIG)), anew=True)

    def _open_in(self, worker: int, mark: str) -> int:
        rows = self._sockets.stat(SERVERS, worker)
        if worker and not rows:
            # Version 2.4 counts nothing any more in a worker that is to end.
            return haproxysessions.open_in(self._sockets, worker, mark)
        return sum(int(row["scur"] or 0) for row in rows if mark in row["svname"])

    def _abilities(self) -> Abilities:
        """What the program can't say now is as it said last, or as the worker's own version has it."""
        try:
            return self._files.abilities()
        except ProxyUnavailable as error:
            last = self._files.last_abilities()
            if last is not None:
                return last
            version = self._answer().get("Version", "")
            if not version:
                raise
            _log.warning("by the version that runs", version=version, why=error.message)
            return abilities_of(f"HAProxy version {version}")

    def _loaded(self) -> Optional[str]:
        """The structure that the worker runs with; None where none answers."""
        try:
            return self._sockets.info().get("description", "")
        except ProxyUnavailable:
            return None

    def _unknown(self, plan: ProxyPlan, loaded: Optional[str], former: str) -> set[Bind]:
        """What has to be tried before it is asked for: all but what the proxy listens on itself. Where that isn't known, nothing."""
        wanted = binds_of(plan)
        if loaded is None:
            return wanted if not self._is_alive() else set()
        if loaded != digest_in(former):
            return set()
        return wanted - binds_in(former) - set(stale(wanted, former))

    def _is_alive(self) -> bool:
        """Also one that is only about to answer."""
        try:
            pid = int((self._settings.run_dir / "pid").read_text())
        except (OSError, ValueError):
            return False
        return haproxyprocess.started_at(pid) > 0

    def _check(self, rendered: Rendered, loaded: Optional[str]) -> None:
        """Once for each structure. What changes without one HAProxy takes or refuses word by word while it runs."""
        if rendered.digest not in (loaded, self._checked):
            self._files.check(rendered.files)
            self._checked = rendered.digest

    def _needs_reload(self, rendered: Rendered) -> bool:
        takes_servers = self._settings.abilities.takes_servers
        return not takes_servers and new_servers(self._sockets, rendered.servers) > 0

    def _tune(self, rendered: Rendered) -> tuple[int, str]:
        abilities = self._settings.abilities
        told, objection = tune_servers(self._sockets, rendered.servers, abilities)
        for kind, name in TABLES:
            path = self.folder / name
            if not objection and str(path) in rendered.files[CONFIG]:
                wanted = _entries(rendered.files[name])
                count, objection = tune_table(self._sockets, kind, path, wanted)
                told += count
        return told, objection

    def _follow(self, rendered: Rendered, loaded: Optional[str], former: str) -> None:
        """What is new has to wait for the disk. Of what the worker has it is told what it can be."""
        if loaded is None or loaded != digest_in(former):
            return
        there = backends_in(former)
        servers = {name: rendered.servers[name] for name in rendered.servers if name in there}
        _, objection = self._tune(replace(rendered, servers=servers))
        if objection:
            _log.warning("not told while the disk takes nothing", why=objection)

    def _load(self, plan: ProxyPlan, rendered: Rendered, former: str, *, anew: bool) -> None:
        """A socket that was bound to a bridge which was made anew is handed on from worker to worker by the bridge's name, and hears nothing. So it is
        left out of one configuration, and comes back with the next."""
        former_files = {name: self._files.own_text(name) for name in rendered.files}
        deaf = stale(binds_of(plan), former)
        try:
            if deaf:
                between = render(without(plan, deaf), self._settings)
                self._files.write(between.files)
                self._reload(between.digest)
            self._files.write(rendered.files)
            self._reload(rendered.digest, anew=anew)
        except Refused:
            self._checked = ""
            if former_files[CONFIG]:
                self._files.write(_with_rights_of(rendered, former_files))
                self._reload(digest_in(former_files[CONFIG]), anew=True)
            raise

    def _reload(self, digest: str, *, anew: bool = False) -> None:
        """Returns when a worker with this structure answers (`anew`: another than now). Those of former ones go on with their connections."""
        before, times = self._sockets.processes(), self._files.times()
        self._check_folder(before.main)
        # From version 2.7 on it is answered when it is done.
        said = self._sockets.tell_main("reload", RELOAD_S)
        until = time.monotonic() + RELOAD_S
        while time.monotonic() < until and not said.startswith("Success=0"):
            time.sleep(0.02)
            info = self._answer()
            is_new = not anew or info.get("Pid") != str(before.worker)
            if info.get("description", "") == digest and is_new:
                self._have_loaded(before.main, int(info.get("Pid") or 0), times)
                return
            if self._has_failed(before):
                break
        if not haproxyprocess.started_at(before.main):
            raise ProxyUnavailable(f"HAProxy ended when it was loaded anew. {_words(said)}".strip())
        raise Refused(
            f"HAProxy did not start with its new configuration, and goes on as it was. {_words(said)}".strip(),
            remedy="see what hullmark-proxy wrote to the system's log or journal",
        )

    def _check_folder(self, main: int) -> None:
        """HAProxy binds its sockets anew with each reload. Where that can't be done its main process ends, and each connection with it."""
        folder = self._settings.run_dir
        why = haproxyprocess.shut(folder, main)
        if why:
            raise ProxyUnwritten(
                f"HAProxy could make no sockets in {folder}: {why}",
                remedy=f"free space or mend the disk: df -i {folder}",
            )

    def _have_loaded(self, main: int, worker: int, times: tuple[int, ...]) -> None:
        """Not where somebody wrote meanwhile: nobody knows then what was loaded."""
        if times == self._files.times() and not self._files.tampered():
            lives = [Life(pid, haproxyprocess.started_at(pid)) for pid in (main, worker)]
            self._files.loaded(*lives)

    def _answer(self) -> dict[str, str]:
        """Between two workers nobody answers for a moment."""
        try:
            return self._sockets.info()
        except ProxyUnavailable:
            return {}

    def _has_failed(self, before: Processes) -> bool:
        """Up to version 2.4 it isn't counted: there is only no worker but former ones then."""
        try:
            now = self._sockets.processes()
        except ProxyUnavailable:
            return not haproxyprocess.started_at(before.main)
        return now.failed > before.failed or not now.worker


def _tables(plan: ProxyPlan) -> Iterator[tuple[str, str, Mapping[str, str]]]:
    wanted = {ADMISSIONS: plan.admissions, CALLERS: dict.fromkeys(plan.callers, "")}
    return ((kind, name, wanted[name]) for kind, name in TABLES)


def _entries(table: str) -> dict[str, str]:
    """Of a table's file."""
    parts = (line.partition(" ") for line in table.splitlines())
    return {key: value for key, _, value in parts}


def _with_rights_of(rendered: Rendered, former: Mapping[str, str]) -> dict[str, str]:
    """The former files, without the rights that aren't among the new ones."""
    kept = dict(former)
    for _, name in TABLES:
        wanted = set(rendered.files[name].splitlines(keepends=True))
        kept[name] = "".join(
            line for line in former[name].splitlines(keepends=True) if line in wanted
        )
    return kept


def _words(said: str) -> str:
    """From version 2.7 on `reload` is answered with what came of it."""
    return " ".join(without_processes(said).replace("Success=0", "").replace("--", "").split())[
        :600
    ]


def _settings(folder: Path, run_dir: Path) -> Settings:
    threads = min(MOST_THREADS, os.cpu_count() or 1)
    try:
        account = pwd.getpwnam(USER)
    except KeyError:
        return Settings(folder, run_dir, threads)
    return Settings(folder, run_dir, threads, user=account.pw_name, group=USER)
