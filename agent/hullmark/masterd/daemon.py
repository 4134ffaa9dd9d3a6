"""The master's process: from the state folder to a serving leader, and back down.

    folder complete? -> listeners bound -> store opened -> own certificate good? -> leading -> serving
    a signal, or leading ends -> no new connections -> tasks end -> leadership given back -> connections end

With the embedded store there is one master. When it leads no more against its will (a loop failed, another
process wrote the leader record), it can only begin anew from the store: so the process says why, ends with
exit code 2, and its supervisor starts it again. Until it has ended it answers agents and people with 421. With a store that is
shared it goes back to standby, and lives on; it ends like that only where a loop of its election failed.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import signal
import socket
import ssl
import sys
import time
import uuid
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Callable, Optional

import hullmark
from hullmark import log
from hullmark.config import MasterConfig
from hullmark.errors import HullmarkError, Refused, StaleEpoch, StoreUnavailable
from hullmark.host.notify import ServiceManager, service_manager
from hullmark.masterd import certificate, doors, routes
from hullmark.masterd.accounting import Accounts
from hullmark.masterd.alarm import MasterAlarm, framework_of
from hullmark.masterd.answers import traced
from hullmark.masterd.auditing import Auditing
from hullmark.masterd.belonging import check_belongs
from hullmark.masterd.changes import Check
from hullmark.masterd.cluster import Cluster, Settings
from hullmark.masterd.desk import Desk, Terms
from hullmark.masterd.directory import Directory, Rules
from hullmark.masterd.entries import of_event
from hullmark.masterd.folder import Folder, reachable_at, urls
from hullmark.masterd.init import master_name
from hullmark.masterd.openapi import document_bytes
from hullmark.masterd.openintents import resolve
from hullmark.masterd.peering import Peering
from hullmark.masterd.server import Listener, bind_port, bind_socket
from hullmark.masterd.storage import open_store
from hullmark.masterd.tasks import Hub
from hullmark.masterd.unrecorded import hand_over, tell_trouble
from hullmark.masterd.vouching import Vouching, signer_in
from hullmark.model.app import App
from hullmark.model.event import Event
from hullmark.model.moments import day
from hullmark.model.snapshot import Strategy
from hullmark.pki.authority import ROOT_CERTIFICATE, Authority
from hullmark.pki.tls import client_context, server_context
from hullmark.store.protocol import Store

CHECK_CERTIFICATE_S = 3600.0
STOP_S = 3.0
SWITCH_S = 0.0002
"""For how long a thread that plans keeps the interpreter while a request waits for it: each request waits several times."""
COLLECT = 50_000, 20, 100
"""Thresholds of the garbage collector. Each plan makes many objects that live as long as it; with the usual thresholds the
collector goes through all that the master knows again and again, and nobody is answered meanwhile."""
HOLD_SHARE = 0.4
"""Of `lost_after`: a host whose poll is held longer would be heard too seldom."""

Shown = Callable[[App], Mapping[str, object]]

_log = log.get("master")


class Master:
    """One life of the daemon. `check` and `shown` are the compose room's."""

    def __init__(self, config: MasterConfig, *, check: Check, shown: Shown) -> None:
        self._config = config
        self._check = check
        self._shown = shown
        self._folder = Folder.of(config)
        self._name = master_name(config)
        self._rules = Rules.of(config)
        self._directory = Directory(self._rules, time.monotonic)
        self._auditing = Auditing.of(config, self._name)
        self._told: Callable[[Event], None] = lambda event: self._auditing.event(of_event(event))
        self._alarm = MasterAlarm(config, self._name, self._told)
        self._vouching = Vouching(
            self._folder.path, self._name, signer_in(self._folder.pki), keep_s=config.audit_keep
        )
        self._contexts: list[ssl.SSLContext] = []
        self._listeners: list[Listener] = []
        self._role = "it has not begun to lead"
        self._tells: Optional[Callable[[str], None]] = None

    @property
    def standing(self) -> str:
        """What it does, in one sentence."""
        agents, api = self.ports
        ports = f"agents' port {agents}, API port {api}."
        if not self._role:
            return f"Leads as master {self._name}; {ports}"
        return f"Standby {self._name}: {self._role}; {ports}"

    @property
    def _shared(self) -> bool:
        """Whether other masters use the same store."""
        return self._config.store_kind != "sqlite"

    def _turned(self, cluster: Cluster, hub: Hub) -> None:
        """Who leads, or why this master doesn't, may be another now."""
        before, self._role = self._role, cluster.why_not
        if not self._role:
            hub.rise(cluster.leader_record.epoch.term << 32)
        elif not before:
            hub.drop()
        if self._tells is not None and self._listeners:
            self._tells(self.standing)

    def tell_standing(self, told: Callable[[str], None]) -> None:
        """`told` is called with what it does, now and whenever that changes."""
        self._tells = told
        told(self.standing)

    @property
    def ports(self) -> tuple[int, int]:
        """Of agents and API, while serving."""
        return self._listeners[0].port, self._listeners[1].port

    async def run(self, stopping: asyncio.Event, ready: Callable[[], None]) -> None:
        """Serve until `stopping` is set. Raises a HullmarkError where it can't begin, or leads no more."""
        if not self._folder.complete:
            raise Refused(
                f"there is no cluster in {self._folder.path} yet", remedy="hullmark master init"
            )
        with contextlib.ExitStack() as stack:
            sockets = self._bind(stack)
            store = open_store(self._config, self._folder)
            stack.callback(store.close)
            with contextlib.suppress(StoreUnavailable):
                belongs = partial(check_belongs, store, self._folder)
                await asyncio.get_running_loop().run_in_executor(None, belongs)
            authority = Authority.load(self._folder.pki)
            await self._serve(stopping, ready, store, authority, sockets)

    def _bind(self, stack: contextlib.ExitStack) -> list[socket.socket]:
        """All three at once, so that a port that is taken is told before anything else happens."""
        path = Path(self._config.socket)
        found = []
        for bind in (
            partial(bind_port, self._config.agents_listen, "agents.listen"),
            partial(bind_port, self._config.api_listen, "api.listen"),
            # Open to everybody where anybody has a role: who it is and may do is judged by the kernel's word.
            partial(bind_socket, path, 0o600 if self._rules.empty else 0o666),
        ):
            found.append(bind())
            stack.callback(found[-1].close)
        stack.callback(path.unlink, missing_ok=True)
        return found

    async def _serve(
        self,
        stopping: asyncio.Event,
        ready: Callable[[], None],
        store: Store,
        authority: Authority,
        sockets: list[socket.socket],
    ) -> None:
        await self._auditing.start()
        cluster = self._cluster(store)
        hub = Hub()
        cluster.turned.append(partial(self._turned, cluster, hub))
        self._auditing.told = partial(tell_trouble, cluster, self._name)
        cluster.vouched = lambda: self._vouching.standing
        cluster.unrecorded = lambda: self._auditing.trouble
        await cluster.start()
        self._turned(cluster, hub)
        cluster_id = (
            certificate.cluster_of(self._folder.pki) if self._shared else cluster.cluster_id
        )
        warning = asyncio.ensure_future(self._warn_of_unknown())
        renewal = asyncio.ensure_future(self._keep_certificate(cluster, authority, cluster_id))
        lost = asyncio.ensure_future(cluster.lost())
        resolving = asyncio.ensure_future(resolve(self._auditing, cluster, time.time()))
        stop = asyncio.ensure_future(stopping.wait())
        running: list[asyncio.Future[Any]] = [renewal, stop, lost, warning, resolving]
        try:
            if self._renew(authority, cluster_id):
                self._tell_renewed(cluster)
            desk = self._desk(cluster, hub, authority, cluster_id)
            await self._listen(desk, sockets)
            self._vouching.start()
            running.append(asyncio.ensure_future(self._peering(cluster).run()))
            running.append(asyncio.ensure_future(hand_over(self._auditing, cluster)))
            _log.info("serving", cluster=cluster_id, role=cluster.role, name=self._name)
            ready()
            await asyncio.wait({lost, stop, renewal}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in running:
                task.cancel()
            await self._stop(cluster, hub)
        if lost.done() and not lost.cancelled():
            what = "can't go on" if self._shared else "leads no more"
            raise StaleEpoch(
                f"this master {what}: {lost.result()}",
                remedy="its log says more; start it again (a service manager does)",
            )
        if renewal.done() and not renewal.cancelled():
            renewal.result()

    async def _warn_of_unknown(self) -> None:
        """Names in `roles` that the system does not know: they may come from elsewhere, and come later."""
        for name in await self._directory.unknown():
            _log.warning("the system does not know a name of `roles`", name=name)

    def _cluster(self, store: Store) -> Cluster:
        config = self._config
        addresses = reachable_at(config, self._folder) or [self._name]
        listens = config.agents_listen, config.api_listen
        agents_urls, api_urls = (urls(addresses, listen) for listen in listens)
        settings = Settings(
            lost_after_s=config.lost_after,
            strategy=Strategy(config.scheduler_strategy),
            service_range=config.services_range,
            silent_after_s=config.lost_after * 0.8,
            events_kept=config.events_keep,
            store_name=config.store_kind,
            shared=self._shared,
            leader_ttl_s=config.leader_ttl,
            agents_urls=agents_urls,
            api_urls=api_urls,
            api_address=api_urls[0][len("https://") :],
            happened=self._told,
            framework=framework_of(config),
            alarm=self._alarm,
        )
        address = agents_urls[0][len("https://") :]
        return Cluster(store, self._name, address, settings, check=self._check, shown=self._shown)

    def _desk(self, cluster: Cluster, hub: Hub, authority: Authority, cluster_id: str) -> Desk:
        config = self._config
        addresses = reachable_at(config, self._folder)
        terms = Terms(
            cluster_id,
            urls(addresses, config.api_listen),
            urls(addresses, config.agents_listen),
            lease_s=config.lease,
            poll_hold_max_s=min(10.0, config.lost_after * HOLD_SHARE),
            session_valid_s=config.session_valid,
            invite_valid_s=config.invite_valid,
            roles=self._rules.views,
        )
        document = document_bytes(routes.API, hullmark.__version__)
        records = self._auditing, Accounts(self._auditing, cluster, time.monotonic), self._vouching
        return Desk(cluster, hub, authority, terms, *records, document)

    def _peering(self, cluster: Cluster) -> Peering:
        where, context = self._folder.path, self._contexts[2]
        return Peering(where, self._name, cluster, self._auditing, self._vouching, context)

    async def _listen(self, desk: Desk, sockets: list[socket.socket]) -> None:
        pki = self._folder.pki
        mine = pki / certificate.CERTIFICATE, pki / certificate.KEY
        self._contexts = [
            server_context(*mine, pki / ROOT_CERTIFICATE),
            server_context(*mine, None),
            client_context(*mine, pki / ROOT_CERTIFICATE),
        ]
        self._listeners = doors.listeners(desk, self._directory, self._contexts, sockets)
        for listener in self._listeners:
            await listener.start()

    async def _stop(self, cluster: Cluster, hub: Hub) -> None:
        """Held requests are let go by the end of leading, streams by the hub's."""
        for listener in self._listeners:
            listener.close()
        hub.stop()
        await cluster.stop()
        self._directory.close()
        await asyncio.gather(*(listener.stop(STOP_S) for listener in self._listeners))
        await self._alarm.close()
        await self._vouching.close()
        await self._auditing.close()

    def _renew(self, authority: Authority, cluster_id: str) -> bool:
        """Make the master's certificate anew if it is time. Raises BrokenState, StoreUnavailable."""
        addresses = reachable_at(self._config, self._folder)
        pki, now = self._folder.pki, time.time()
        try:
            if not certificate.ensure_certificate(
                pki, authority, cluster_id, self._name, addresses, now
            ):
                return False
        except OSError as error:
            raise StoreUnavailable(
                f"{pki} can't be written: {error.strerror}", remedy="check its disk and its owner"
            ) from error
        _log.info("certificate renewed", until=day(certificate.valid_until(pki)))
        for context in self._contexts:
            context.load_cert_chain(pki / certificate.CERTIFICATE, pki / certificate.KEY)
        return True

    def _tell_renewed(self, cluster: Cluster) -> None:
        """An event; a standby has only its log."""
        if not cluster.is_leader:
            return
        until = day(certificate.valid_until(self._folder.pki))
        event = Event(
            uuid.uuid4().hex,
            time.time(),
            "master.certificate-renewed",
            f"master {self._name}",
            self._name,
            f"valid until {until}",
            fields={"until": until},
        )
        cluster.record(event)
        self._told(event)

    async def _keep_certificate(
        self, cluster: Cluster, authority: Authority, cluster_id: str
    ) -> None:
        """New connections get the renewed certificate; those that are open go on."""
        while True:
            await asyncio.sleep(CHECK_CERTIFICATE_S)
            try:
                if self._renew(authority, cluster_id):
                    self._tell_renewed(cluster)
            except HullmarkError as error:
                _log.error("certificate not renewed", why=error.message)


def serve(config: MasterConfig, *, check: Check, shown: Shown) -> None:
    """Run the daemon in this process until SIGTERM or SIGINT. Raises a HullmarkError."""
    manager = service_manager()
    _allow_many_files()
    sys.setswitchinterval(SWITCH_S)
    gc.set_threshold(*COLLECT)
    asyncio.run(_until_signal(Master(config, check=check, shown=shown), manager))


async def _until_signal(master: Master, manager: ServiceManager) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_loop_trouble)
    stopping = asyncio.Event()

    def stop(number: int) -> None:
        _log.info("stopping", signal=signal.Signals(number).name)
        manager.stopping()
        stopping.set()

    def ready() -> None:
        master.tell_standing(manager.status)
        manager.ready()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    loop.add_signal_handler(signal.SIGHUP, _say_restart)
    beating = asyncio.ensure_future(_beat(manager))
    try:
        await master.run(stopping, ready)
    finally:
        beating.cancel()


async def _beat(manager: ServiceManager) -> None:
    """A sign of life of this very loop, by which everything is answered: where it stands still, a service manager starts the
    master anew."""
    while manager.beat_s is not None:
        manager.beat()
        await asyncio.sleep(manager.beat_s)


def _say_restart() -> None:
    _log.warning(
        "SIGHUP changes nothing: a master reads its configuration when it starts",
        next="hullmark config check master, then: systemctl restart hullmark-master",
    )


def _loop_trouble(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What asyncio has nobody else to tell: connections that broke are no trouble of ours."""
    error = context.get("exception")
    message = str(context.get("message", ""))
    if isinstance(error, (OSError, ssl.SSLError, asyncio.TimeoutError)):
        _log.debug("a connection broke", what=message, why=str(error))
    else:
        trace = traced(error) if isinstance(error, BaseException) else ""
        _log.error("a task failed", what=message, traceback=trace)


def _allow_many_files() -> None:
    """Each connection takes a file descriptor."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
