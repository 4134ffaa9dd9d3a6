"""All of the agent for one identity, put together: its parts, its loops, and how they end."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from hullmark import log
from hullmark.agentd.attempts import Attempts
from hullmark.agentd.board import Board
from hullmark.agentd.byhand import ByHand
from hullmark.agentd.configs import Configs
from hullmark.agentd.crew import Pools
from hullmark.agentd.endpointexport import EndpointExport, files_of
from hullmark.agentd.executing import Executing
from hullmark.agentd.foretelling import by_policy
from hullmark.agentd.guard import Guard
from hullmark.agentd.heads import Heads, sources_of
from hullmark.agentd.heads import Told as HeadsTold
from hullmark.agentd.health import HealthChecks
from hullmark.agentd.hearing import Hearing
from hullmark.agentd.homecoming import Homecoming
from hullmark.agentd.hostproxy import Beside, HostProxy
from hullmark.agentd.identity import Identity, Who
from hullmark.agentd.inventory import Inventory, of_this_host
from hullmark.agentd.ledger import Ledger
from hullmark.agentd.lines import Lines
from hullmark.agentd.link import Link
from hullmark.agentd.logs import Logs
from hullmark.agentd.observer import Observer
from hullmark.agentd.openports import OpenPorts
from hullmark.agentd.outbox import Outbox
from hullmark.agentd.patrol import Patrol, Told
from hullmark.agentd.pinging import Pinging
from hullmark.agentd.problems import Problems
from hullmark.agentd.reconciler import Parts, Reconciler
from hullmark.agentd.renewal import Renewal, in_a_process, recorded
from hullmark.agentd.reporter import Reporter
from hullmark.agentd.shipping import Shipping
from hullmark.agentd.supervisor import Supervisor
from hullmark.agentd.sync import Listeners, Sync
from hullmark.agentd.tasks import Tasks
from hullmark.agentd.watch import Watch
from hullmark.config import AgentConfig
from hullmark.engine.haproxy import Haproxy
from hullmark.errors import PolicyRefused
from hullmark.host.listeners import Lasting, open_ports
from hullmark.host.routes import other_networks
from hullmark.model.control import Posture
from hullmark.model.host import HostFacts
from hullmark.model.outage import Outage

STOP_S = 0.5


class Duty:
    """Started once, stopped once. `run` is the id of this life of the agent's process."""

    def __init__(
        self,
        config: AgentConfig,
        who: Who,
        host: str,
        guard: Guard,
        problems: Problems,
        *,
        run: str,
    ) -> None:
        folder = Path(config.state_dir)
        self._engine = engine = guard.engine
        self._policing = policing = guard.police(config)
        self._over = threading.Event()
        self._board = board = Board()
        self._problems = problems
        self._outbox = outbox = Outbox(f"host {host}", board.nudge)
        self._ledger = Ledger(
            folder, who.cluster_id, who.host_id, problems, outbox, guard.auditing.note
        )
        self._attempts = Attempts(folder)
        hearing = Hearing(folder)
        observer = Observer(engine, who.cluster_id, config.resync)
        identity = Identity(folder)
        self.link = link = Link(identity, config.masters)
        self._pools = Pools.of_threads(config.parallel)

        lasting = Lasting()

        def known() -> HostFacts:
            seen = self._proxy.seen()
            found = of_this_host(host, observer, self._ledger, lasting, seen)
            found = self._proxy.known_by(found, seen)
            return replace(
                found,
                scope=policing.folder.scope,
                port_rules=policing.folder.port_rules,
                caller_rules=policing.folder.caller_rules,
                container_range=config.engine_subnets,
                networks=other_networks(config.engine_subnets, self._proxy.keeper.current.range),
            )

        def outdated() -> None:
            inventory.outdated()
            self._reconciler.wake()

        inventory = Inventory(known)
        self._proxy = HostProxy(
            config,
            who.host_id,
            host,
            Beside(
                engine,
                observer,
                self._ledger,
                link,
                policing.folder,
                problems,
                outbox,
                guard.auditing.note,
                outdated,
            ),
        )
        self._reconciler = Reconciler(
            Parts(
                engine,
                observer,
                self._ledger,
                board,
                outbox,
                problems,
                Configs(folder / "configs"),
                inventory,
                self._attempts,
                self._pools,
                hearing,
                self._proxy.reach,
            ),
            resync_s=config.resync,
        )
        wake = self._reconciler.wake
        patrol = Patrol(
            engine,
            observer,
            policing,
            Told(problems, outbox, guard.auditing.note, self._reconciler.expect),
        )
        policing.folder.when_changed(inventory.outdated, wake, self._proxy.wake)
        self._health = HealthChecks(engine, observer, wake)
        reporter = Reporter(link, self._ledger, board, outbox, run=run)
        tasks = Tasks(
            link,
            engine,
            Logs(engine, observer, host, self._over),
            executing=Executing(engine, observer, self._ledger),
            foretell=by_policy(config, engine, policing.folder),
            counts=Haproxy(Path(config.proxy_folder), Path(config.proxy_run_dir)).traffic,
        )
        sync = Sync(
            link,
            self._ledger,
            problems,
            hearing,
            run=run,
            hold_s=config.poll_hold,
            tell=Listeners(wake, reporter.resend, tasks.take, self._proxy.keeper),
        )
        by_hand = ByHand(
            engine,
            guard.gate.own,
            guard.auditing.note,
            outbox,
            lambda: guard.auditing.open_intents,
        )
        watch = Watch(engine, observer, outbox, wake, by_hand, self._proxy.draining)
        renew = recorded(in_a_process(config), guard.auditing.note, f"host {host}")
        renewal = Renewal(identity, problems, renew)
        sources = sources_of(link, guard.auditing, self._ledger)
        heads = Heads(
            identity, Lines(identity), sources, HeadsTold(problems, outbox, guard.auditing.note)
        )
        self._supervisor = Supervisor(
            {
                "reconcile": self._reconciler.run,
                "sync": sync.run,
                "report": reporter.run,
                "events": watch.run,
                "ping": Pinging(engine, problems, wake).run,
                "by-hand": by_hand.run,
                "health": self._health.run,
                "renewal": renewal.run,
                "heads": heads.run,
                "shipping": Shipping(link, problems, sources).run,
                "policy": patrol.run,
                "aftermath": guard.aftermath.run,
                "homecoming": Homecoming(folder, engine, who.cluster_id).run,
                **self._proxy.loops(),
                "ports": OpenPorts(open_ports, outdated).run,
                "endpoints": EndpointExport(link, self._ledger, problems, files_of(config)).run,
            },
            problems,
        )

    def start(self) -> None:
        self._problems.changed = self._show_problems
        self._show_problems()
        self._ledger.load()
        self._proxy.load()
        # Before anything is reported: the host's scope is the policy's.
        with suppress(PolicyRefused):
            self._policing.folder.current()
        self._supervisor.start()

    def is_sound(self) -> bool:
        """Whether all of its loops live: see `pulse`."""
        return self._supervisor.is_sound()

    def show_posture(self, posture: Posture, outages: tuple[Outage, ...]) -> None:
        """To the leader, settled."""
        self._board.show_posture(posture, outages)

    def proxy_troubles(self) -> tuple[str, ...]:
        return self._proxy.watch.troubles()

    def tell(self, kind: str, subject: str, message: str, fields: Mapping[str, str]) -> None:
        """An event of the host's, to the leader."""
        self._outbox.add(kind, subject, message, **fields)

    def stop(self) -> None:
        """Containers stay as they are; calls under way are left to the engine, and what they were a part of ends
        after them."""
        self._over.set()
        self._ledger.close()
        self._attempts.close()
        self._pools.close()
        if not self._supervisor.stop(self._wake_all, STOP_S):
            log.get("agent").debug("some loops still wait for an answer")

    def _wake_all(self) -> None:
        self._reconciler.wake()
        self._health.nudge()
        self._proxy.wake()
        self._board.nudge()
        # An engine that hangs may hold this up for a minute.
        threading.Thread(target=self._engine.close, name="close", daemon=True).start()

    def _show_problems(self) -> None:
        self._board.set_problems(self._problems.for_leader())
