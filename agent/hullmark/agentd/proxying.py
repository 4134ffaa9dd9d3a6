"""The loop that keeps this host's proxy as the leader's directory and the containers here have it.

    directory, containers as last looked at, bridges, addresses, policy ──▶ core/proxyplan ──▶ addresses on lo, the proxy's files, its runtime API

It is woken by each of these, so that who ended gets nothing more, and who serves does, at once. Nothing is planned before the engine was looked at for the
first time: the proxy goes on with what the agent's former life told it. So it does while the engine is away: what its containers were last seen
as stands, and those that don't answer the proxy itself leaves out, until the engine, or a container's health, says more.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Callable, Optional

from hullmark import log
from hullmark.agentd import proxywords, pulse
from hullmark.agentd.bridgekeeping import BridgeKeeping
from hullmark.agentd.bridges import Bridges
from hullmark.agentd.draining import Draining
from hullmark.agentd.hostnames import Naming
from hullmark.agentd.observer import Observer
from hullmark.agentd.otherservices import OtherServices
from hullmark.agentd.policyfolder import PolicyFolder
from hullmark.agentd.problems import Problems
from hullmark.agentd.proxyendings import Endings
from hullmark.agentd.proxypeers import ProxyPeers
from hullmark.agentd.proxywatch import ProxyWatch
from hullmark.agentd.waits import Waits
from hullmark.core import proxyplan
from hullmark.core.found import FoundState
from hullmark.core.members import members_of
from hullmark.core.proxypolicy import allowed
from hullmark.engine.haproxy import Haproxy
from hullmark.engine.protocol import ContainerState
from hullmark.errors import HullmarkError, PolicyRefused, ProxyUnavailable, ProxyUnwritten
from hullmark.host.loopback import LoopbackAddresses
from hullmark.model.directory import Admission, Directory, PublishedEntry
from hullmark.model.orders import InstanceId
from hullmark.model.policy import Policy
from hullmark.model.proxy import Member, ProxyLook, ProxySight
from hullmark.model.proxyplan import Applied, ProxyPlan

_log = log.get("proxy")

LOOK_S = 2.0
"""How often the proxy itself is looked at."""
AWAY_S = 10.0
"""A proxy that is back sooner was only started again: nobody is told that this host has none."""
RETRY_S = (0.2, 5.0)
LOAD_S, LOAD_TRIES = 1.0, 5
"""How long an agent that begins waits for a proxy that doesn't answer."""
AFRESH_S = 60.0
"""How often what is written is held against what should be, file by file."""
FAILING = "proxy.failing"
AS_WRITTEN = "what may no longer call is refused, but if the proxy is started anew it goes by the files that are there"


@dataclass(frozen=True)
class Here:
    """What this host is to other hosts. `address` empty: it has none that they could call."""

    host_id: str
    address: Callable[[], str]
    port: int
    addresses: Callable[[], tuple[str, ...]]


@dataclass(frozen=True)
class ProxyParts:
    """What the loop works with. `outdated` is called when what is told of the proxy among the host's facts has changed; `kept` says which
    instances have, or may get, a container, `exposed` which TCP ports an app's `expose` names of one."""

    here: Here
    haproxy: Haproxy
    watch: ProxyWatch
    loopback: Callable[[str], LoopbackAddresses]
    directory: Callable[[], Directory]
    certificate: Callable[[], str]
    observer: Observer
    bridges: Bridges
    keeping: BridgeKeeping
    naming: Naming
    draining: Draining
    endings: Endings
    policy: PolicyFolder
    problems: Problems
    outdated: Callable[[], None]
    kept: Callable[[], Iterable[InstanceId]]
    exposed: Callable[[InstanceId], Collection[int]]


@dataclass(frozen=True)
class _Wanted:
    """What is to be in force, and what isn't by this host's policy. `plan` None: `sight` is in force. `marked`: who leaves."""

    sight: ProxySight
    members: tuple[Member, ...]
    marked: frozenset[str]
    turned_away: tuple[Admission, ...]
    not_here: tuple[PublishedEntry, ...]
    plan: Optional[ProxyPlan]


class Proxying:
    """`wake`, and the properties, are for any thread; the rest is one thread's."""

    def __init__(
        self,
        parts: ProxyParts,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self._parts = parts
        self._clock = clock
        self._pause = pause
        self._peers = ProxyPeers(parts.haproxy, parts.problems, parts.exposed, clock)
        self._others = OtherServices(clock)
        self._wake = threading.Event()
        self._waits = Waits(*RETRY_S)
        self._sight_in_force: Optional[ProxySight] = None
        self._plan_in_force: Optional[ProxyPlan] = None
        self._left_out = False
        self._addressed: tuple[str, tuple[str, ...]] = ("", ())
        self._policy: Optional[Policy] = None
        self._version, self._pid = "", 0
        self._up_at = self._looked_at = self._afresh_at = -math.inf
        self._failing_since = math.inf

    @property
    def is_installed(self) -> bool:
        """Whether this host has a proxy, be it down."""
        return self._parts.haproxy.folder.is_dir()

    @property
    def version(self) -> str:
        """Of the proxy that is up; empty where there is none."""
        return self._version

    @property
    def pid(self) -> int:
        """Of its main process; 0 where there is none."""
        return self._pid

    def load(self) -> None:
        """Once, before the loop: whether there is a proxy. One that is between two workers is waited for."""
        tries = LOAD_TRIES if self.is_installed else 0
        while tries:
            seen = self._parts.haproxy.look()
            self._take(seen, self._clock())
            if seen.up:
                return
            self._pause(LOAD_S / LOAD_TRIES)
            tries -= 1

    def wake(self) -> None:
        self._wake.set()

    def run(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            self._wake.clear()
            wait_s = self.turn()
            pulse.within(wait_s)
            if not stopping.is_set():
                self._wake.wait(wait_s)

    def turn(self) -> float:
        """Once. Returns the seconds until the next one is due, if nothing happens."""
        if self._parts.observer.found is None:
            return LOOK_S
        self._show_names()
        if not self.is_installed:
            self._sight_in_force = None
            self._parts.draining.in_force(None)
            self._show_absent()
            return LOOK_S
        wanted: Optional[_Wanted] = None
        is_told = False
        try:
            wanted = self._want()
            is_told = self._withdraw(wanted)
            self._look()
            self._apply(wanted)
        except HullmarkError as error:
            if wanted is not None and is_told:
                self._end_withdrawn(wanted)
            return self._show(error, is_told)
        self._waits.reset()
        self._failing_since = math.inf
        self._parts.problems.clear(FAILING, proxywords.MISSING)
        return LOOK_S

    def _show(self, error: HullmarkError, is_told: bool) -> float:
        """What came of a turn that did not do all. `is_told`: what was withdrawn. Returns as `turn`."""
        if isinstance(error, ProxyUnwritten):
            # What was withdrawn is, in the worker that runs; one that starts reads the files that are there.
            after = f"; {AS_WRITTEN}" if is_told else ""
            self._show_failing("can't be told what is to change", error, after)
        elif isinstance(error, ProxyUnavailable):
            self._show_away(error)
        else:
            self._show_failing("does not take what it is told", error)
        return self._waits.next()

    # -- the proxy itself

    def _look(self) -> None:
        now = self._clock()
        if now - self._looked_at < LOOK_S:
            return
        self._looked_at = now
        seen, stale = self._parts.watch.look()
        if stale:
            self._sight_in_force = None
        self._take(seen, now)

    def _take(self, seen: ProxyLook, now: float) -> None:
        if seen.up:
            is_another, self._up_at, self._pid = seen.pid != self._pid, now, seen.pid
            if is_another and seen.version == self._version:
                self._parts.outdated()  # listeners are told apart by it
        away = now - self._up_at >= AWAY_S
        self._show_version(seen.version if seen.up else "" if away else self._version)

    def _show_version(self, version: str) -> None:
        if version != self._version:
            self._version = version
            self._pid = self._pid if version else 0
            self._parts.outdated()

    def _show_away(self, error: ProxyUnavailable) -> None:
        """The files are written, and the next start finds them. One that does run lacks something else: its program, most likely."""
        self._sight_in_force = None
        self._looked_at = float("-inf")
        self._parts.draining.in_force(None)
        now = self._clock()
        self._failing_since = min(self._failing_since, now)
        if now - self._up_at >= AWAY_S:
            self._show_absent(error.message)
        elif now - self._failing_since >= AWAY_S:
            self._show_failing("can't be told what is to change", error)

    def _show_failing(self, what: str, error: HullmarkError, after: str = "") -> None:
        self._parts.draining.in_force(None)
        self._sight_in_force = None
        self._parts.problems.set(
            FAILING,
            f"this host's proxy {what}, and goes on as it was: {error.message}{after}",
            error.remedy or "this is a fault of the agent: report it with its log",
        )

    def _show_absent(self, why: str = "") -> None:
        self._show_version("")
        self._peers.forget()
        proxywords.show_missing(self._parts.problems, self._parts.directory(), why)

    # -- what it is told

    def _withdraw(self, wanted: Optional[_Wanted]) -> bool:
        """Before all that may fail: a right that ended ends, even where nothing else can be told. Whether the proxy was."""
        if wanted is None or wanted.plan is None:
            return False
        try:
            count = self._parts.haproxy.withdraw(wanted.plan)
        except ProxyUnavailable:
            return False
        if count:
            _log.info("withdrawn", rights=count)
        return True

    def _end_withdrawn(self, wanted: _Wanted) -> None:
        try:
            self._parts.endings.follow_withdrawn(wanted.sight)
        except ProxyUnavailable as error:
            _log.debug("open connections not looked at", why=error.message)

    def _want(self) -> Optional[_Wanted]:
        """None where the proxy goes on as it was."""
        parts = self._parts
        policy = self._current_policy()
        if policy is None or not parts.directory().digest:
            parts.draining.in_force(None)
            return None  # the proxy goes on as it was, until both are known
        found = parts.observer.found or {}
        marked = parts.draining.marked
        running = {
            one.container_id: one.started_at
            for one in found.values()
            if one.state in (FoundState.RUNNING, FoundState.PAUSED)
        }
        parts.draining.forget(running)
        directory, turned_away, not_here = allowed(parts.directory(), policy)
        members = members_of(found.values(), directory, leaving=marked, ended=parts.draining.ended)
        sight = self._others.settled(self._sight(directory, members))
        parts.keeping.follow(sight.bridges)
        if self._plan_in_force is None and parts.bridges.unknown:
            parts.draining.in_force(None)
            return None  # without its bridges the proxy would listen to no container
        plan = proxyplan.plan(sight) if sight != self._sight_in_force else None
        return _Wanted(sight, members, marked, turned_away, not_here, plan)

    def _apply(self, wanted: Optional[_Wanted]) -> None:
        if wanted is None:
            return
        parts, sight = self._parts, wanted.sight
        # Also where nothing else changed: what is turned away is not part of the sight.
        proxywords.show_refused(parts.problems, wanted.turned_away, sight.directory.peers)
        if sight != self._sight_in_force:
            plan = wanted.plan or proxyplan.plan(sight)
            self._have_addresses(plan)
            applied = self._put(plan)
            self._plan_in_force, self._left_out = plan, bool(applied.left_out)
            self._have_seen(sight)
            proxywords.show_not_done(parts.problems, wanted.not_here, plan, applied)
        elif self._plan_in_force is not None:
            self._have_addresses(self._plan_in_force)  # who sets up the device anew takes them away
        parts.draining.in_force(wanted.members, wanted.marked)
        parts.endings.follow(sight)
        self._peers.follow(sight, self._plan_in_force or ProxyPlan())

    def _have_seen(self, sight: ProxySight) -> None:
        """It is in force. The ports that the proxy listens on are among the host's facts: people see at once that they are others. That
        for other hosts comes with the first certificate, which a new host has later than its first services."""
        before, self._sight_in_force = self._sight_in_force, sight
        if before is not None and _ports(before) != _ports(sight):
            self._parts.outdated()

    def _put(self, plan: ProxyPlan) -> Applied:
        began = self._clock()
        with pulse.elsewhere():
            self._parts.watch.mend_files()
            applied = self._parts.haproxy.apply(plan)
        took_ms = round(1000 * (self._clock() - began))
        _log.info("told", reloaded=applied.reloaded, changed=applied.changed, took_ms=took_ms)
        return applied

    def _have_addresses(self, plan: ProxyPlan) -> None:
        if self._addressed != (plan.range, plan.addresses):
            former = self._parts.haproxy.addresses()
            self._parts.loopback(plan.range).have(plan.addresses, former)
            self._addressed = plan.range, plan.addresses

    def _current_policy(self) -> Optional[Policy]:
        """The last one that could be read."""
        try:
            self._policy = self._parts.policy.current()
        except PolicyRefused as error:
            _log.debug("by the former policy", why=error.message)
        return self._policy

    def _sight(self, directory: Directory, members: tuple[Member, ...]) -> ProxySight:
        here, certificate = self._parts.here, self._parts.certificate()
        places = [(one.instance.app, key) for one in members for key in one.addresses]
        return ProxySight(
            here.host_id,
            directory,
            members,
            self._parts.bridges.of(places),
            here.addresses(),
            here.address() if certificate else "",
            here.port,
            certificate,
        )

    def _show_names(self) -> None:
        """Containers' hosts files. One that can't be written now is tried again; before a leader has told anything they stay as they are."""
        parts = self._parts
        if not parts.directory().digest:
            return
        seen = parts.observer.seen()
        now = self._clock()
        if now - self._afresh_at >= AFRESH_S:
            self._afresh_at, self._addressed = now, ("", ())
            if self._left_out:
                self._sight_in_force = None  # whose port it was may be gone
            parts.naming.forget(parts.kept())
        for container in seen:
            if container.state is ContainerState.RUNNING:
                try:
                    parts.naming.show(container)
                except OSError as error:
                    _log.warning("hosts file not written", of=container.name, why=error.strerror)
                except HullmarkError as error:
                    _log.debug("hosts files not written", why=error.message)
                    return  # the engine is away


def _ports(sight: ProxySight) -> tuple[object, ...]:
    """What the proxy listens on for who is not on this host."""
    return sight.directory.published, sight.tls_address, sight.tls_port
