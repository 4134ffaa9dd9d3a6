"""The loop that keeps this host's proxy as the leader's directory and the containers here have it.

    directory, containers as last looked at, bridges, addresses, policy ──▶ core/proxyplan ──▶ addresses on lo, the proxy's files, its runtime API

It is woken by each of these, so that who ended gets nothing more, and who serves does, at once. Nothing is planned before the engine was looked at for the
first time: the proxy goes on with what the agent's former life told it. So it does while the engine is away: what its containers were last seen
as stands, and those that don't answer the proxy itself leaves out, until the engine, or a container's health, says more.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Callable, Optional

from hullmark import log
from hullmark.agentd import pulse
from hullmark.agentd.bridges import Bridges
from hullmark.agentd.draining import Draining
from hullmark.agentd.hostnames import Naming
from hullmark.agentd.observer import Observer
from hullmark.agentd.policyfolder import PolicyFolder
from hullmark.agentd.problems import Problems
from hullmark.agentd.proxywatch import ProxyWatch
from hullmark.agentd.waits import Waits
from hullmark.core import portrules, proxyplan, servicescopes
from hullmark.core.found import FoundState
from hullmark.core.members import is_needed, members_of
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
MISSING, FAILING, REFUSED, PORTS = (
    "proxy.missing",
    "proxy.failing",
    "proxy.refused",
    "proxy.ports",
)
INSTALL = "install the package hullmark-proxy on this host"
START = "start it: systemctl start hullmark-proxy, or service hullmark-proxy start; what it says: journalctl -u hullmark-proxy"
NAMED = 3


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
    instances have, or may get, a container."""

    here: Here
    haproxy: Haproxy
    watch: ProxyWatch
    loopback: Callable[[str], LoopbackAddresses]
    directory: Callable[[], Directory]
    certificate: Callable[[], str]
    observer: Observer
    bridges: Bridges
    naming: Naming
    draining: Draining
    policy: PolicyFolder
    problems: Problems
    outdated: Callable[[], None]
    kept: Callable[[], Iterable[InstanceId]]


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
        self._wake = threading.Event()
        self._waits = Waits(*RETRY_S)
        self._sight_in_force: Optional[ProxySight] = None
        self._plan_in_force: Optional[ProxyPlan] = None
        self._left_out = False
        self._addressed: tuple[str, tuple[str, ...]] = ("", ())
        self._policy: Optional[Policy] = None
        self._version = ""
        self._pid = 0
        self._up_at = float("-inf")
        self._looked_at = float("-inf")
        self._afresh_at = float("-inf")

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
            self._show_absent("has no proxy", INSTALL)
            return LOOK_S
        try:
            self._look()
            self._apply()
        except ProxyUnwritten as error:
            self._show_failing("can't be told what is to change", error)
            return self._waits.next()
        except ProxyUnavailable as error:
            self._show_away(error)
            return self._waits.next()
        except HullmarkError as error:
            self._show_failing("does not take what it is told", error)
            return self._waits.next()
        self._waits.reset()
        self._parts.problems.clear(FAILING, MISSING)
        return LOOK_S

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
            self._up_at, self._pid = now, seen.pid
        away = now - self._up_at >= AWAY_S
        self._show_version(seen.version if seen.up else "" if away else self._version)

    def _show_version(self, version: str) -> None:
        if version != self._version:
            self._version = version
            self._pid = self._pid if version else 0
            self._parts.outdated()

    def _show_away(self, error: ProxyUnavailable) -> None:
        """The files are written, and the next start finds them."""
        self._sight_in_force = None
        self._looked_at = float("-inf")
        self._parts.draining.in_force(None)
        if self._clock() - self._up_at >= AWAY_S:
            self._show_absent(f"has a proxy that does not run: {error.message}", START)

    def _show_failing(self, what: str, error: HullmarkError) -> None:
        self._parts.draining.in_force(None)
        self._sight_in_force = None
        self._parts.problems.set(
            FAILING,
            f"this host's proxy {what}, and goes on as it was: {error.message}",
            error.remedy or "this is a fault of the agent: report it with its log",
        )

    def _show_absent(self, what: str, remedy: str) -> None:
        """A host where nobody needs it is as good without."""
        self._show_version("")
        if is_needed(self._parts.directory()):
            told = f"this host {what}; services on other hosts, and published ports, need one"
            self._parts.problems.set(MISSING, told, remedy)
        else:
            self._parts.problems.clear(MISSING)

    # -- what it is told

    def _apply(self) -> None:
        parts = self._parts
        policy = self._current_policy()
        if policy is None or not parts.directory().digest:
            parts.draining.in_force(None)
            return  # the proxy goes on as it was, until both are known
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
        sight = self._sight(directory, members)
        if self._plan_in_force is None and parts.bridges.unknown:
            parts.draining.in_force(None)
            return  # without its bridges the proxy would listen to no container
        # Also where nothing else changed: what is turned away is not part of the sight.
        self._show_refused(turned_away)
        if sight != self._sight_in_force:
            plan = proxyplan.plan(sight)
            self._have_addresses(plan)
            applied = self._put(plan)
            self._plan_in_force, self._left_out = plan, bool(applied.left_out)
            self._have_seen(sight)
            self._show_ports(not_here, plan, applied)
        elif self._plan_in_force is not None:
            self._have_addresses(self._plan_in_force)  # who sets up the device anew takes them away
        parts.draining.in_force(members, marked)

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

    # -- what people are told

    def _show_refused(self, refused: tuple[Admission, ...]) -> None:
        if not refused:
            self._parts.problems.clear(REFUSED)
            return
        asked = [
            f"{one.name} by {' and '.join(scope or 'a published port' for scope in one.scopes)} of host {one.host_id}"
            for one in refused
        ]
        self._parts.problems.set(
            REFUSED,
            f"services here are to be used by hosts that this host's policy turns away: {_some(asked)}",
            "have services.from changed by whoever keeps this host's policy, or `uses` and `ingress` of the app",
        )

    def _show_ports(
        self, not_here: tuple[PublishedEntry, ...], plan: ProxyPlan, applied: Applied
    ) -> None:
        told = [
            *(f"{one.port} of {one.name}: not allowed by this host's policy" for one in not_here),
            *plan.left_out,
            *(f"{each}: a program of this host has it" for each in applied.left_out),
        ]
        if not told:
            self._parts.problems.clear(PORTS)
            return
        self._parts.problems.set(
            PORTS,
            f"published ports that do not answer here: {_some(told)}",
            "who has a port: hullmark ports; where an app's ports answer: `ingress` under x-hullmark",
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


def allowed(
    directory: Directory, policy: Policy
) -> tuple[Directory, tuple[Admission, ...], tuple[PublishedEntry, ...]]:
    """As far as the host's own policy lets it; and what it does not."""
    kept, turned_away = servicescopes.admitted(policy, directory.admissions)
    rules = portrules.of_policy(policy)
    published: list[PublishedEntry] = []
    not_here: list[PublishedEntry] = []
    for one in directory.published:
        name = one.name
        fits = portrules.allows(rules, name.app, name.service, one.port, "tcp", one.host_ip)
        (published if fits else not_here).append(one)
    made = replace(directory, admissions=kept, published=tuple(published))
    return made, turned_away, tuple(not_here)


def _some(told: list[str]) -> str:
    more = len(told) - NAMED
    return "; ".join([*told[:NAMED], *([f"and {more} more"] if more > 0 else [])])
