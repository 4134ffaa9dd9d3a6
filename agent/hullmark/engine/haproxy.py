"""A host's HAProxy: told what to do, asked what it does."""

from __future__ import annotations

import os
import pwd
import time
from pathlib import Path
from typing import Optional

from hullmark import log
from hullmark.engine import haproxybinds, haproxyprocess
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
    binds_in,
    binds_of,
    digest_in,
    stale,
    without,
)
from hullmark.engine.haproxyruntime import EVERYTHING, SERVERS, Sockets
from hullmark.engine.haproxytraffic import traffic_of
from hullmark.engine.haproxytuning import tune_servers, tune_table
from hullmark.errors import ProxyUnavailable, Refused
from hullmark.model.proxy import Member, PortTraffic, ProxyLook
from hullmark.model.proxyplan import Applied, Bind, ProxyPlan

FOLDER = Path("/var/lib/hullmark-proxy")
RUN_DIR = Path("/run/hullmark-proxy")
USER = "haproxy"
"""As whom the worker runs, where the distribution's package made that user."""
RELOAD_S = 30.0
MOST_THREADS = 4

_log = log.get("proxy")


class Haproxy:
    """Its files are in `folder`, its sockets in `run_dir`. It is started by its own service manager, never from here. One thread at a time.

    Raises Refused, with HAProxy's own words, for what HAProxy doesn't take: then it goes on as it was, and its files too. Raises ProxyUnavailable
    where no process answers."""

    def __init__(self, folder: Path, run_dir: Path, binary: str = "haproxy") -> None:
        self.folder = folder
        self._files = ProxyFiles(folder, binary)
        self._sockets = Sockets(run_dir)
        self._settings = _settings(folder, run_dir)
        self._wanted = self._checked = ""

    def apply(self, plan: ProxyPlan) -> Applied:
        """Idempotent. The files are written also where no process runs (then it raises ProxyUnavailable): the next start finds them."""
        loaded, former = self._loaded(), self._files.text(CONFIG)
        self._check(render(plan, self._settings), loaded)
        # Last, as a port may be taken meanwhile: HAProxy tries for two seconds then, and its former worker listens to nobody as long.
        taken = haproxybinds.taken(self._unknown(plan, loaded, former))
        left_out = tuple(f"{one.address}:{one.port}" for one in taken)
        plan = without(plan, taken)
        rendered = render(plan, self._settings)
        self._wanted = rendered.digest
        if loaded == rendered.digest:
            told, objection = self._tune(rendered)
            if not objection:
                return Applied(self._files.write(rendered.files) or told > 0, False, left_out)
            _log.warning("not changed while it runs, so it is loaded anew", why=objection)
        if loaded is None:
            self._files.write(rendered.files)
            raise ProxyUnavailable("the proxy does not run; its files are there for its next start")
        self._load(plan, rendered, former if loaded else "")
        return Applied(True, True, left_out)

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
        worker = int(info.get("Pid") or 0)
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
        rows = self._sockets.stat(SERVERS)
        for worker in processes.former:
            rows += self._sockets.stat(SERVERS, worker)
        return sum(int(row["scur"] or 0) for row in rows if mark in row["svname"])

    def traffic(self) -> tuple[PortTraffic, ...]:
        """Raises ProxyUnavailable."""
        return traffic_of(self._sockets.stat(EVERYTHING), addresses_in(self._files.text(CONFIG)))

    def tampered(self) -> tuple[str, ...]:
        """Names of files in the folder that aren't as they were last written from here; none before the first `apply`."""
        return self._files.tampered()

    def restore(self) -> None:
        """Write them again, and have the proxy load them: what was changed may have been loaded. Raises ProxyUnavailable."""
        self._files.restore()
        self._reload(digest_in(self._files.text(CONFIG)), anew=True)

    def load_again(self) -> None:
        """The same configuration with the program that is on the disk now. Raises ProxyUnavailable, and Refused where that one doesn't take it."""
        self._reload(digest_in(self._files.text(CONFIG)), anew=True)

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

    def _tune(self, rendered: Rendered) -> tuple[int, str]:
        told, objection = tune_servers(self._sockets, rendered.servers)
        for kind, name in (("map", ADMISSIONS), ("acl", CALLERS)):
            path = self.folder / name
            if not objection and str(path) in rendered.files[CONFIG]:
                wanted = dict(_entry(line) for line in rendered.files[name].splitlines())
                count, objection = tune_table(self._sockets, kind, path, wanted)
                told += count
        return told, objection

    def _load(self, plan: ProxyPlan, rendered: Rendered, former: str) -> None:
        """A socket that was bound to a bridge which was made anew is handed on from worker to worker by the bridge's name, and hears nothing. So it is
        left out of one configuration, and comes back with the next."""
        before = {name: self._files.text(name) for name in rendered.files}
        deaf = stale(binds_of(plan), former)
        try:
            if deaf:
                between = render(without(plan, deaf), self._settings)
                self._files.write(between.files)
                self._reload(between.digest)
            self._files.write(rendered.files)
            self._reload(rendered.digest)
        except Refused:
            self._checked = ""
            self._files.write(before)
            self._reload(digest_in(before[CONFIG]), anew=True)
            raise

    def _reload(self, digest: str, *, anew: bool = False) -> None:
        """Returns when a worker with this structure answers (`anew`: another than now). Those of former ones go on with their connections."""
        before = self._sockets.processes()
        # From version 2.7 on it is answered when it is done.
        said = self._sockets.tell_main("reload", RELOAD_S)
        until = time.monotonic() + RELOAD_S
        while time.monotonic() < until and not said.startswith("Success=0"):
            time.sleep(0.02)
            info = self._answer()
            is_new = not anew or info.get("Pid") != str(before.worker)
            if info.get("description", "") == digest and is_new:
                return
            if self._failed() > before.failed:
                break
        raise Refused(
            f"HAProxy did not start with its new configuration, and goes on as it was. {_words(said)}".strip(),
            remedy="see what hullmark-proxy wrote to the system's log or journal",
        )

    def _answer(self) -> dict[str, str]:
        """Between two workers nobody answers for a moment."""
        try:
            return self._sockets.info()
        except ProxyUnavailable:
            return {}

    def _failed(self) -> int:
        try:
            return self._sockets.processes().failed
        except ProxyUnavailable:
            return 0


def _entry(line: str) -> tuple[str, str]:
    key, _, value = line.partition(" ")
    return key, value


def _words(said: str) -> str:
    """From version 2.7 on `reload` is answered with what came of it."""
    return " ".join(said.replace("Success=0", "").replace("--", "").split())[:600]


def _settings(folder: Path, run_dir: Path) -> Settings:
    threads = min(MOST_THREADS, os.cpu_count() or 1)
    try:
        account = pwd.getpwnam(USER)
    except KeyError:
        return Settings(folder, run_dir, threads)
    return Settings(folder, run_dir, threads, user=account.pw_name, group=USER)
