"""An engine and a leader in memory, and an agent put together around them, without threads or waiting."""

from __future__ import annotations

import dataclasses
import itertools
import queue
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any, Callable, Optional

from hullmark.agentd.attempts import Attempts
from hullmark.agentd.board import Board
from hullmark.agentd.configs import Configs
from hullmark.agentd.crew import Pools
from hullmark.agentd.directorykeeper import DirectoryKeeper
from hullmark.agentd.hearing import Hearing
from hullmark.agentd.inventory import Inventory
from hullmark.agentd.ledger import Ledger
from hullmark.agentd.observer import Observer
from hullmark.agentd.outbox import Outbox
from hullmark.agentd.problems import Problems
from hullmark.agentd.reach import Reach
from hullmark.agentd.reconciler import Parts, Reconciler
from hullmark.agentd.reporter import Reporter
from hullmark.agentd.sync import Clocks, Listeners, Sync
from hullmark.core.picture import Picture, merged
from hullmark.engine.protocol import (
    Attendant,
    Command,
    Container,
    ContainerState,
    CreateRequest,
    EngineEvent,
    EngineInfo,
    Hand,
    Listed,
    LogLine,
    Progress,
    Resolved,
)
from hullmark.errors import (
    Conflict,
    EngineUnavailable,
    HullmarkError,
    ImageUnavailable,
    MasterUnavailable,
    NotFound,
    Refused,
)
from hullmark.model.app import Bundle, ContainerSpec, Network, Volume
from hullmark.model.directory import Directory, DirectoryAnswer
from hullmark.model.ejection import NO_RESTART, EngineRestart
from hullmark.model.epoch import Epoch
from hullmark.model.host import HostFacts, Listener
from hullmark.model.names import engine_name
from hullmark.model.observed import Health, Report
from hullmark.model.orders import Assignment, InstanceId, Orders, Task, Tombstone
from hullmark.model.protocol import (
    DIRECTORY_PATH,
    ORDERS_PATH,
    POLL_PATH,
    REPORT_PATH,
    Former,
    OrdersAnswer,
    PollAnswer,
    PollRequest,
    ReportAnswer,
)
from hullmark.model.wire import digest, from_wire, to_wire

CLUSTER, HOST = "c1", "h1"
EPOCH = Epoch(1, 1)


def bundle_of(service: str = "web", image: str = "localhost/web:1", **spec: Any) -> Bundle:
    networks = {place.network: Network() for place in spec.get("networks", ())}
    return Bundle("shop", service, ContainerSpec(image, **spec), networks)


def orders_of(
    assigned: Sequence[tuple[InstanceId, Bundle]] = (),
    buried: Sequence[InstanceId] = (),
    *,
    epoch: Epoch = EPOCH,
    leader: str = "m1",
    revision: int = 1,
) -> Orders:
    return Orders(
        CLUSTER,
        HOST,
        epoch,
        leader,
        revision,
        tuple(Assignment(instance, digest(bundle)) for instance, bundle in assigned),
        tuple(Tombstone(instance, epoch, "replaced") for instance in buried),
        bundles={digest(bundle): bundle for _, bundle in assigned},
    )


class Clock:
    """Stands still until it is moved."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Inline(Executor):
    """Does what it is given at once."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


class Parked(Executor):
    """Keeps what it is given until it is told to do it."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], Any]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.waiting.append(lambda: fn(*args, **kwargs))
        return Future()

    def run(self) -> None:
        waiting, self.waiting = self.waiting, []
        for work in waiting:
            work()


class FakeEngine:
    """`calls` has (method, argument) of each call that changes something. `trouble` is asked before every call,
    and may return an error to raise instead; `after` is called after each that changed something, and may raise."""

    def __init__(self) -> None:
        self.containers: dict[str, Container] = {}
        self.images = {"localhost/web:1"}
        self.registry: set[str] = set()
        self.network_names: set[tuple[str, str]] = set()
        self.volume_names: set[tuple[str, str]] = set()
        self.calls: list[tuple[str, str]] = []
        self.asked: list[str] = []
        self.lines: dict[str, list[LogLine]] = {}
        self.resolved: dict[str, Resolved] = {}
        self.checks_itself = True
        self.health_result = Health.HEALTHY
        self.trouble: Callable[[str], Optional[HullmarkError]] = lambda method: None
        self.after: Callable[[str], None] = lambda method: None
        self.during_pull: Callable[[], None] = lambda: None
        self.stream: queue.Queue[Optional[EngineEvent]] = queue.Queue()
        self.closed = 0
        self.policies: dict[str, EngineRestart] = {}
        self.during_exec: Callable[[Command, Attendant], int] = lambda command, attendant: 0
        self.changes_policies = True
        self.written: list[Hand] = []
        self._ids = itertools.count(1)
        self._time = itertools.count(1)

    def _ask(self, method: str) -> None:
        self.asked.append(method)
        error = self.trouble(method)
        if error is not None:
            raise error

    def _change(self, method: str, what: str) -> None:
        self.calls.append((method, what))
        self.after(method)

    # -- what tests do to it

    def crash(self, name: str, exit_code: int = 1, **more: Any) -> None:
        one = self.named(name)
        at = float(next(self._time))
        self.containers[one.container_id] = dataclasses.replace(
            one,
            state=ContainerState.EXITED,
            exit_code=exit_code,
            finished_at=one.started_at + at / 1000,
            **more,
        )

    def change(self, name: str, **fields: Any) -> None:
        one = self.named(name)
        self.containers[one.container_id] = dataclasses.replace(one, **fields)

    def named(self, name: str) -> Container:
        return next(one for one in self.containers.values() if one.name == name)

    def running(self) -> set[str]:
        return {one.name for one in self.containers.values() if one.state is ContainerState.RUNNING}

    # -- the protocol

    def info(self) -> EngineInfo:
        self._ask("info")
        return EngineInfo("docker", "20.10", "unix:///fake", self.checks_itself)

    def ping(self, timeout_s: int) -> None:
        self._ask("ping")

    def listed(self) -> Sequence[Listed]:
        self._ask("listed")
        return [
            Listed(one.container_id, one.name, one.state, one.health)
            for one in self.containers.values()
        ]

    def container(self, container_id: str) -> Container:
        self._ask("container")
        if container_id not in self.containers:
            raise NotFound(container_id)
        return self.containers[container_id]

    def inspected(self, container_id: str) -> Mapping[str, Any]:
        one = self.container(container_id)
        running = one.state is ContainerState.RUNNING
        return {
            "Id": one.container_id,
            "Name": f"/{one.name}",
            "State": {"Running": running, "Status": one.state.value},
        }

    def hands(self) -> Sequence[Hand]:
        return self.written

    def inspected_image(self, image: str) -> Mapping[str, Any]:
        self._ask("inspected_image")
        if image not in self.images:
            raise NotFound(image)
        return {"Id": f"id of {image}"}

    def inspected_network(self, name: str) -> Mapping[str, Any]:
        self._ask("inspected_network")
        return self._place(name, self.network_names)

    def told(self, path: str, **parameters: str) -> Any:
        raise NotFound(path)

    def stat(self, container_id: str, path: str) -> Mapping[str, Any]:
        raise NotFound(path)

    def inspected_volume(self, name: str) -> Mapping[str, Any]:
        self._ask("inspected_volume")
        return self._place(name, self.volume_names)

    def _place(self, name: str, known: set[tuple[str, str]]) -> Mapping[str, Any]:
        if name not in {engine_name(app, key) for app, key in known}:
            raise NotFound(name)
        return {"Name": name}

    def has_image(self, bundle: Bundle) -> bool:
        self._ask("has_image")
        return bundle.container.image in self.images

    def pull(self, bundle: Bundle, progress: Optional[Progress] = None) -> None:
        self._ask("pull")
        self.during_pull()
        if bundle.container.image not in self.registry:
            raise ImageUnavailable(f"{bundle.container.image} is nowhere")
        if progress is not None:
            progress(5_000_000, 10_000_000)
        self.images.add(bundle.container.image)
        self._change("pull", bundle.container.image)

    def resolve(self, image: str, platform: str, pull_policy: str) -> Resolved:
        self._ask("resolve")
        if image not in self.resolved:
            raise ImageUnavailable(f"{image} is nowhere", remedy="push it")
        return self.resolved[image]

    def ensure_network(self, cluster_id: str, app: str, key: str, network: Network) -> None:
        self._ask("ensure_network")
        self.network_names.add((app, key))
        self._change("ensure_network", f"{app}/{key}")

    def ensure_volume(self, cluster_id: str, app: str, key: str, volume: Volume) -> bool:
        self._ask("ensure_volume")
        made = (app, key) not in self.volume_names
        self.volume_names.add((app, key))
        self._change("ensure_volume", f"{app}/{key}")
        return made

    def networks(self, cluster_id: str) -> Sequence[tuple[str, str]]:
        self._ask("networks")
        return sorted(self.network_names)

    def remove_network(self, app: str, key: str) -> None:
        self._ask("remove_network")
        self.network_names.discard((app, key))
        self._change("remove_network", f"{app}/{key}")

    def remove_volume(self, app: str, key: str) -> None:
        self._ask("remove_volume")
        self.volume_names.discard((app, key))
        self._change("remove_volume", f"{app}/{key}")

    def create(self, request: CreateRequest) -> str:
        self._ask("create")
        name = request.instance.container_name
        for one in self.containers.values():
            if one.name == name:
                if one.spec_hash != request.spec_hash:
                    raise Conflict(f"{name} exists with another spec")
                return one.container_id
        if request.bundle.container.image not in self.images:
            raise NotFound("no such image")
        container_id = f"{next(self._ids):064x}"
        self.containers[container_id] = Container(
            container_id,
            name,
            request.instance,
            request.cluster_id,
            request.spec_hash,
            request.epoch,
            ContainerState.CREATED,
            healthcheck=request.bundle.container.healthcheck,
        )
        self._change("create", name)
        return container_id

    def start(self, container_id: str) -> None:
        self._ask("start")
        one = self.container(container_id)
        if one.state is ContainerState.RUNNING:
            return
        self.containers[container_id] = dataclasses.replace(
            one,
            state=ContainerState.RUNNING,
            exit_code=None,
            started_at=float(next(self._time)),
            finished_at=0.0,
        )
        self._change("start", one.name)

    def stop(self, container_id: str) -> None:
        self._ask("stop")
        one = self.containers.get(container_id)
        if one is not None and one.state is ContainerState.RUNNING:
            self.crash(one.name, 143)
            self._change("stop", one.name)

    def remove(self, container_id: str) -> None:
        self._ask("remove")
        one = self.containers.get(container_id)
        if one is not None:
            if one.state is ContainerState.RUNNING:
                raise Conflict("it runs")
            del self.containers[container_id]
            self._change("remove", one.name)

    def restart_policy(self, container_id: str) -> EngineRestart:
        self._ask("restart_policy")
        self.container(container_id)
        return self.policies.get(container_id, NO_RESTART)

    def set_restart_policy(self, container_id: str, wanted: EngineRestart) -> EngineRestart:
        self._ask("set_restart_policy")
        name = self.container(container_id).name
        if self.changes_policies:
            self.policies[container_id] = wanted
            self._change("set_restart_policy", f"{name} {wanted}")
        return self.restart_policy(container_id)

    def check_health(self, container_id: str) -> Health:
        self._ask("check_health")
        self.containers[container_id] = dataclasses.replace(
            self.container(container_id), health=self.health_result
        )
        self._change("check_health", container_id)
        return self.health_result

    def execute(self, container_id: str, command: Command, attendant: Attendant) -> int:
        self._ask("execute")
        self._change("execute", " ".join(command.words))
        code = self.during_exec(command, attendant)
        if attendant.ended:
            raise Refused(attendant.ended)
        return code

    def events(self) -> Iterator[EngineEvent]:
        self._ask("events")
        while True:
            event = self.stream.get(timeout=5)
            if event is None:
                raise EngineUnavailable("the stream was closed")
            yield event

    def logs(self, container_id: str, *, tail: str, since: str, follow: bool) -> Iterator[LogLine]:
        self._ask("logs")
        if container_id not in self.lines:
            raise NotFound(container_id)
        chosen = self.lines[container_id]
        yield from chosen if tail == "all" else chosen[len(chosen) - min(int(tail), len(chosen)) :]

    def close(self) -> None:
        self.closed += 1


FAR = 1 << 40
"""A revision that no test comes to."""


def shows_itself(ledger: Ledger, epoch: Epoch, leader: str) -> str:
    """A leader answers a poll whose store is the one that the host obeyed. Why it isn't believed."""
    return ledger.seen(epoch, leader, Former(ledger.held.leader, FAR))


class FakeLeader:
    """Stands where the agent's `Link` does: every message goes through its wire form both ways."""

    def __init__(self, orders: Orders) -> None:
        self.orders = orders
        self.directory: Optional[Directory] = None
        self.picture = Picture()
        self.reports: list[Report] = []
        self.polls: list[PollRequest] = []
        self.tasks: tuple[Task, ...] = ()
        self.answered: dict[str, list[bytes]] = {}
        self.resend = True
        self.down = False
        self.lose_answers = 0
        self.lease_s = 10.0
        self.now = 0.0
        self.began: Callable[[], float] = lambda: 0.0
        self.on_report: Callable[[], None] = lambda: None
        self.switched = 0
        self.number = 1
        self.spread_s = 0.0
        self.masters: tuple[str, ...] = ()
        self.learned: list[tuple[str, ...]] = []
        self.timeouts: list[float] = []
        self.former: Optional[Former] = Former("m1", FAR)
        self._in_step: Optional[tuple[str, int]] = None

    def call(self, path: str, body: Any, answer: type[Any], timeout_s: float) -> tuple[Any, float]:
        if self.down:
            raise MasterUnavailable("no master answers")
        begin = self.began()
        self.timeouts.append(timeout_s)
        if path == POLL_PATH:
            found: Any = self._poll(body)
        elif path == ORDERS_PATH:
            found = OrdersAnswer(self.orders, self.lease_s)
        elif path == DIRECTORY_PATH and self.directory is not None:
            found = DirectoryAnswer(self.directory, self.lease_s)
        elif path == REPORT_PATH:
            found = self._report(from_wire(Report, to_wire(body)))
        else:
            raise NotFound(path)
        if self.lose_answers > 0:
            self.lose_answers -= 1
            raise MasterUnavailable("the answer was lost")
        return from_wire(answer, to_wire(found)), begin

    def next_master(self) -> None:
        self.switched += 1

    def learn(self, masters: Sequence[str]) -> None:
        self.learned.append(tuple(masters))

    def send_task(self, task_id: str, lines: Iterator[bytes]) -> None:
        self.answered[task_id] = list(lines)

    def forget(self) -> None:
        """As a new leader that knows nothing of the host."""
        self.picture, self._in_step, self.resend = Picture(), None, True

    def _poll(self, request: PollRequest) -> PollAnswer:
        self.polls.append(request)
        return PollAnswer(
            self.orders.epoch,
            self.orders.leader,
            self.now,
            changed=(request.epoch, request.revision) != (self.orders.epoch, self.orders.revision),
            resend=self.resend,
            tasks=self.tasks,
            tasks_last=len(self.tasks),
            former=self.former,
            masters=self.masters,
            spread_s=self.spread_s,
            directory_changed=self.directory is not None
            and request.directory not in (None, self.directory.digest),
        )

    def _report(self, report: Report) -> ReportAnswer:
        """As the leader's fleet does it."""
        self.reports.append(report)
        self.on_report()
        picture = merged(Picture() if report.full else self.picture, report)
        follows = self._in_step == (report.run, report.sequence - 1)
        if not report.full and not (follows and picture.digest() == report.digest):
            self._in_step = None
            return ReportAnswer(self.orders.epoch, self.orders.leader, resend=True)
        assert picture.digest() == report.digest
        self.picture, self._in_step = picture, (report.run, report.sequence)
        self.resend = False
        return ReportAnswer(self.orders.epoch, self.orders.leader)


@dataclasses.dataclass
class Agent:
    """An agent's parts around a fake engine and leader; `pools` run inline unless given."""

    folder: Path
    engine: FakeEngine = dataclasses.field(default_factory=FakeEngine)
    leader: FakeLeader = dataclasses.field(default_factory=lambda: FakeLeader(orders_of()))
    clock: Clock = dataclasses.field(default_factory=Clock)
    pools: Pools = dataclasses.field(
        default_factory=lambda: Pools(Inline(), Inline(), Inline(), Inline())
    )
    tasks: list[Task] = dataclasses.field(default_factory=list)
    boot: str = "boot-1"
    gathered: int = 0
    listeners: tuple[Listener, ...] = ()
    boot_clock: Clock = dataclasses.field(default_factory=Clock)
    reach: Optional[Reach] = None

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.board = Board()
        self.problems = Problems()
        self.problems.changed = lambda: self.board.set_problems(self.problems.all())
        self.outbox = Outbox("host box", self.board.nudge)
        self.ledger = Ledger(self.folder, CLUSTER, HOST, self.problems, self.outbox)
        self.keeper = DirectoryKeeper(self.folder, self.ledger, self.problems)
        self.hearing = Hearing(self.folder, lambda: self.boot, self.boot_clock)
        self.observer = Observer(self.engine, CLUSTER, 60.0, self.clock)
        parts = Parts(
            self.engine,
            self.observer,
            self.ledger,
            self.board,
            self.outbox,
            self.problems,
            Configs(self.folder / "configs"),
            Inventory(self._gather, self.clock),
            Attempts(self.folder),
            self.pools,
            self.hearing,
            self.reach,
        )
        self.reconciler = Reconciler(parts, resync_s=60.0, clock=self.clock)
        link: Any = self.leader
        self.reporter = Reporter(link, self.ledger, self.board, self.outbox, run="r1")
        self.sync = self.with_chance(lambda: 0.0)
        self.leader.began = self.clock
        self.ledger.load()
        self.keeper.load()

    def with_chance(self, chance: Callable[[], float]) -> Sync:
        """The agent's sync, for which chance is this."""
        link: Any = self.leader
        return Sync(
            link,
            self.ledger,
            self.problems,
            self.hearing,
            run="r1",
            hold_s=4.0,
            tell=Listeners(lambda: None, self.reporter.resend, self.tasks.append, self.keeper),
            clocks=Clocks(self.clock, lambda: self.leader.now, chance),
        )

    def _gather(self) -> HostFacts:
        self.gathered += 1
        return HostFacts(hostname="box", listeners=self.listeners)

    def settle(self, turns: int = 30) -> None:
        """Let the reconciler look and act until nothing changes any more, time standing still."""
        for _ in range(turns):
            before = (len(self.engine.calls), self.board.state)
            self.reconciler.turn()
            if before == (len(self.engine.calls), self.board.state):
                return

    def accept(self, orders: Orders) -> None:
        assert self.ledger.accept(orders)
        self.leader.orders = orders

    def problem_codes(self) -> set[str]:
        return {problem.code for problem in self.problems.all()}

    def kinds(self) -> list[str]:
        """Of the events in the outbox."""
        return [event.kind for event in self.outbox.peek(1000)]

    def phases(self) -> Mapping[str, str]:
        state = self.board.state
        assert state is not None
        return {name: status.phase.value for name, status in state.instances.items()}


def refused(words: str) -> Refused:
    return Refused(words)
