"""All of the agent for one identity in mode observe: it shows a leader its posture and its audit log, and does nothing to an engine.

As `Duty`, with what is about containers left out. What ran goes on, as the engine has it: nobody starts it again when it ends.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from hullmark import log
from hullmark.agentd import pulse
from hullmark.agentd.board import Board
from hullmark.agentd.declining import REMEDY, DecliningLedger, NoCommands
from hullmark.agentd.foretelling import by_policy
from hullmark.agentd.guard import Guard
from hullmark.agentd.heads import Heads, sources_of
from hullmark.agentd.heads import Told as HeadsTold
from hullmark.agentd.hearing import Hearing
from hullmark.agentd.identity import Identity, Who
from hullmark.agentd.inventory import Inventory, of_this_host
from hullmark.agentd.lines import Lines
from hullmark.agentd.link import Link
from hullmark.agentd.logs import Logs
from hullmark.agentd.observer import Observer
from hullmark.agentd.outbox import Outbox
from hullmark.agentd.problems import Problems
from hullmark.agentd.renewal import Renewal, in_a_process, recorded
from hullmark.agentd.reporter import Reporter
from hullmark.agentd.shipping import Shipping
from hullmark.agentd.supervisor import Supervisor
from hullmark.agentd.sync import Listeners, Sync
from hullmark.agentd.tasks import Tasks
from hullmark.config import AgentConfig
from hullmark.errors import PolicyRefused
from hullmark.host.listeners import Lasting
from hullmark.model.control import Mode, Posture
from hullmark.model.host import HostFacts
from hullmark.model.outage import Outage

STOP_S = 0.5
FACTS_S = 15.0
PROBLEM = "mode.observe"


class Observing:
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
        folder, note = Path(config.state_dir), guard.auditing.note
        self._policing = policing = guard.police(config)
        self._over = threading.Event()
        self._board = board = Board()
        self._problems = problems
        self._outbox = outbox = Outbox(f"host {host}", board.nudge)
        self._ledger = ledger = DecliningLedger(
            folder, who.cluster_id, who.host_id, problems, outbox, note
        )
        self.link = link = Link(Identity(folder), config.masters)
        observer = Observer(guard.engine, who.cluster_id, config.resync)

        lasting = Lasting()

        def facts() -> HostFacts:
            found = of_this_host(host, observer, ledger, lasting)
            return replace(
                found,
                scope=policing.folder.scope,
                mode=Mode.OBSERVE.value,
                port_rules=policing.folder.port_rules,
                caller_rules=policing.folder.caller_rules,
            )

        self._inventory = Inventory(facts)
        identity = Identity(folder)
        reporter = Reporter(link, ledger, board, outbox, run=run)
        tasks = Tasks(
            link,
            guard.engine,
            Logs(guard.engine, observer, host, self._over),
            executing=NoCommands(ledger, outbox, note),
            foretell=by_policy(config, guard.engine, policing.folder),
        )
        sync = Sync(
            link,
            ledger,
            problems,
            Hearing(folder),
            run=run,
            hold_s=config.poll_hold,
            tell=Listeners(lambda: None, reporter.resend, tasks.take),
        )
        sources = sources_of(link, guard.auditing, ledger)
        heads = Heads(identity, Lines(identity), sources, HeadsTold(problems, outbox, note))
        renew = recorded(in_a_process(config), note, f"host {host}")
        self._supervisor = Supervisor(
            {
                "sync": sync.run,
                "report": reporter.run,
                "facts": self._show_facts,
                "renewal": Renewal(identity, problems, renew).run,
                "heads": heads.run,
                "shipping": Shipping(link, problems, sources).run,
            },
            problems,
        )

    def start(self) -> None:
        self._problems.changed = self._show_problems
        self._problems.set(PROBLEM, "this host only observes: it takes no orders", REMEDY)
        self._show_problems()
        self._ledger.load()
        with suppress(PolicyRefused):
            self._policing.folder.current()
        self._board.set_facts(self._inventory.current(None))
        self._board.show_unseen()
        self._supervisor.start()

    def is_sound(self) -> bool:
        """Whether all of its loops live: see `pulse`."""
        return self._supervisor.is_sound()

    def show_posture(self, posture: Posture, outages: tuple[Outage, ...]) -> None:
        """To the leader, settled."""
        self._board.show_posture(posture, outages)

    def proxy_troubles(self) -> tuple[str, ...]:
        """It tells no proxy anything, and mends none."""
        return ()

    def tell(self, kind: str, subject: str, message: str, fields: Mapping[str, str]) -> None:
        """An event of the host's, to the leader."""
        self._outbox.add(kind, subject, message, **fields)

    def stop(self) -> None:
        self._over.set()
        self._ledger.close()
        self._problems.clear(PROBLEM)
        if not self._supervisor.stop(self._board.nudge, STOP_S):
            log.get("agent").debug("some loops still wait for an answer")

    def _show_facts(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            pulse.rest(stopping, FACTS_S)
            with suppress(PolicyRefused):
                self._policing.folder.current()
            self._board.set_facts(self._inventory.current(None))

    def _show_problems(self) -> None:
        self._board.set_problems(self._problems.for_leader())
