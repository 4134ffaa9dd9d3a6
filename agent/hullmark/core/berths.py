"""Berths: what a host has to give, and what is taken of it, while a plan is made.

A `Berth` is a working copy that belongs to one call of `schedule.plan`; it changes as instances are put on it.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Optional, Union

from hullmark.core import constraints
from hullmark.model import scope
from hullmark.model.app import EVERY_ADDRESS, PortSpec, Resources, Service
from hullmark.model.control import Mode
from hullmark.model.host import HostFacts, HostRecord
from hullmark.model.orders import InstanceId, PublishedPort
from hullmark.model.sizes import in_words

_CPU_GRAIN = 1e-6
"""Sums of decimal shares of a core are not exact."""
INSTANCES_MAX = 1000
"""On one host. Its orders are one value in the store, with all of these and a tombstone for each: were they too large
for a transaction, no plan could be committed any more, and nothing on any host would change."""


class Filter(enum.Enum):
    """What can rule a host out, in the order in which it is looked at. The values are stable names."""

    FORMER = "former"  # the slot's former instance has to go first
    DATA = "data"  # its local data is on another host
    ABSENCE = "absence"  # the host is not heard
    AVAILABILITY = "availability"  # cordoned, draining or in maintenance
    MODE = "mode"  # its agent only observes
    PLATFORM = "platform"
    CONSTRAINT = "constraint"
    SCOPE = "scope"  # the one is in the cardholder data environment and the other is not
    MARK = "mark"  # it does not prove a control that new work needs
    VOLUMES = "volumes"  # of a former app of this name, still being removed
    MOST = "max_replicas_per_node"
    PORT = "port"
    INSTANCES = "instances"  # as many as one host's orders have room for
    CPUS = "cpus"
    MEMORY = "memory"

    @property
    def rank(self) -> int:
        return _RANKS[self]


_RANKS = {member: rank for rank, member in enumerate(Filter)}


@dataclass(frozen=True)
class Obstacle:
    """Why an instance can't be put on a host. `group` is the same for hosts that fail alike; `detail` continues
    it for this host; `nearness` is highest for the host that comes closest. `party` is who stands in the way,
    where that is somebody: hosts with different ones don't fail alike."""

    filter: Filter
    group: str
    detail: str = ""
    nearness: float = 0.0
    party: str = ""


@dataclass(frozen=True)
class Hold:
    """A host port in use. `slot`: of an instance that is on its way out; None where nobody's next instance may
    count on its going. `party` is the same for all instances of a service."""

    port: PublishedPort
    slot: Optional[tuple[str, str, int]]
    holder: str
    party: str = ""

    def clashes(self, port: PublishedPort) -> bool:
        mine, other = self.port, port
        if (mine.published, mine.protocol) != (other.published, other.protocol):
            return False
        same = mine.host_ip == other.host_ip
        return same or mine.host_ip in EVERY_ADDRESS or other.host_ip in EVERY_ADDRESS


class Berth:
    """One host. `facts` None: the host has not been heard by this leader. `ready`: it may get new work."""

    def __init__(self, host: HostRecord, facts: Optional[HostFacts], *, ready: bool) -> None:
        self.host = host
        self.facts = facts
        self.ready = ready
        self.instances = 0
        self.by_service: Counter[tuple[str, str]] = Counter()
        self.cpus = 0.0
        self.memory_bytes = 0
        self._holds: dict[tuple[int, str], list[Hold]] = {}

    @property
    def observes(self) -> bool:
        """Whether its agent refuses every order."""
        return self.facts is not None and self.facts.mode == Mode.OBSERVE.value

    def take(
        self, instance: InstanceId, reserved: Resources, ports: Iterable[PublishedPort]
    ) -> None:
        """Put an instance here. Its ports are nobody else's, not even its own slot's next one's."""
        self.instances += 1
        self.by_service[instance.app, instance.service] += 1
        self.cpus += reserved.cpus
        self.memory_bytes += reserved.memory_bytes
        self._hold(ports, None, str(instance), _party(instance))

    def give_back(
        self, instance: InstanceId, reserved: Resources, ports: Iterable[PublishedPort]
    ) -> None:
        """Take an instance off again, as if it had never been put here."""
        self.instances -= 1
        self.by_service[instance.app, instance.service] -= 1
        self.cpus -= reserved.cpus
        self.memory_bytes -= reserved.memory_bytes
        for port in ports:
            if port.published:
                hold = Hold(port, None, str(instance), _party(instance))
                self._holds[port.published, port.protocol].remove(hold)

    def hold_until_gone(self, instance: InstanceId, ports: Iterable[PublishedPort]) -> None:
        """Keep ports for an instance that still has to go."""
        slot = instance.app, instance.service, instance.slot
        self._hold(ports, slot, f"{instance}, which is being removed", _party(instance))

    def hold_for_nobody(self, ports: Iterable[PublishedPort], holder: str) -> None:
        """Keep ports that something uses which no order names."""
        self._hold(ports, None, holder, holder)

    def _hold(
        self,
        ports: Iterable[PublishedPort],
        slot: Optional[tuple[str, str, int]],
        holder: str,
        party: str,
    ) -> None:
        for port in ports:
            if port.published:
                held = self._holds.setdefault((port.published, port.protocol), [])
                held.append(Hold(port, slot, holder, party))

    def taker(self, port: PublishedPort, slot: tuple[str, str, int]) -> Optional[Hold]:
        """Who has this port. A slot's instance that is to go is no obstacle to its next: the agent stops
        it first."""
        for held in self._holds.get((port.published, port.protocol), ()):
            if held.slot != slot and held.clashes(port):
                return held
        return None

    def keeps_ports_of(self, app: str, service: str) -> bool:
        """Whether a port is kept here that only one slot of this service may have."""
        return any(
            hold.slot is not None and hold.slot[:2] == (app, service)
            for holds in self._holds.values()
            for hold in holds
        )

    @property
    def fullness(self) -> float:
        """The larger of the reserved shares of its memory and its CPUs."""
        if self.facts is None:
            return 0.0
        memory = self.memory_bytes / self.facts.memory_bytes if self.facts.memory_bytes else 0.0
        return max(memory, self.cpus / self.facts.cpus if self.facts.cpus else 0.0)

    def lacks(self, wanted: Resources) -> Optional[Obstacle]:
        """The first of what a host has to give of which too little is left. What is not known is no obstacle."""
        if self.instances >= INSTANCES_MAX:
            return Obstacle(Filter.INSTANCES, f"{INSTANCES_MAX} instances there already")
        if self.facts is None:
            return None
        cpus = self.facts.cpus - self.cpus
        if wanted.cpus and wanted.cpus > cpus + _CPU_GRAIN:
            free = max(cpus, 0.0)
            return Obstacle(Filter.CPUS, f"CPUs: need {wanted.cpus:g}", f", free {free:g}", free)
        memory = self.facts.memory_bytes - self.memory_bytes
        if wanted.memory_bytes > max(memory, 0):
            free = max(memory, 0)
            need = in_words(wanted.memory_bytes)
            detail = f", free {in_words(free)}"
            return Obstacle(Filter.MEMORY, f"memory: need {need}", detail, free)
        return None

    def mismatch(self, service: Service) -> Optional[Obstacle]:
        """What about the host itself rules the service out. Its scope comes last: see `fates`."""
        platform = service.container.platform
        if self.facts is not None and not constraints.platform_fits(platform, self.facts):
            has = self.facts.architecture or "unknown"
            return Obstacle(Filter.PLATFORM, f"platform {platform} asked for", f", host is {has}")
        failing = constraints.failing(service.deploy.placement.constraints, self.host, self.facts)
        if failing is not None:
            return Obstacle(Filter.CONSTRAINT, f"constraint {failing}")
        wanted = service.container.scope
        if self.facts is not None and not scope.fits(wanted, self.facts.scope):
            return _other_scope(wanted, self.facts.scope)
        return None


def choose_ports(
    berth: Berth,
    slot: tuple[str, str, int],
    specs: Sequence[PortSpec],
    former: Sequence[PublishedPort] = (),
) -> Union[tuple[PublishedPort, ...], Obstacle]:
    """An instance gets one free port of each published range: the one that its slot had before
    if it can, else the lowest."""
    chosen: list[PublishedPort] = []
    for spec in specs:
        port = _choose(berth, slot, spec, former, chosen)
        if isinstance(port, Obstacle):
            return port
        chosen.append(port)
    return tuple(chosen)


def _choose(
    berth: Berth,
    slot: tuple[str, str, int],
    spec: PortSpec,
    former: Sequence[PublishedPort],
    chosen: Sequence[PublishedPort],
) -> Union[PublishedPort, Obstacle]:
    def at(published: int) -> PublishedPort:
        return PublishedPort(spec.target, published, spec.protocol, spec.host_ip)

    if not spec.published_first:
        return at(0)
    numbers = range(spec.published_first, spec.published_last + 1)
    had = [port.published for port in former if port.published in numbers]
    holder, party = "", ""
    for port in map(at, (*had, *numbers)):
        if any(Hold(other, None, "").clashes(port) for other in chosen):
            holder = holder or "another port of its own"
            continue
        taker = berth.taker(port, slot)
        if taker is None:
            return port
        holder, party = holder or taker.holder, party or taker.party
    text = str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]}-{numbers[-1]}"
    if len(numbers) > 1:
        return Obstacle(Filter.PORT, f"no port free in {text}/{spec.protocol}")
    taken = f"port {text}/{spec.protocol} taken"
    return Obstacle(Filter.PORT, taken, f" by {holder}", party=party)


def _other_scope(service: str, host: str) -> Obstacle:
    if host == scope.UNKNOWN:
        return Obstacle(
            Filter.SCOPE, "its policy can't be read, so it starts nothing", nearness=1.0
        )
    # Who says nothing of a scope is not told that another one was asked for.
    asked = f"scope {service} asked for" if service else f"x-hullmark.scope: {host} not asked for"
    return Obstacle(Filter.SCOPE, asked, f", host is {host or scope.OUT}")


def _party(instance: InstanceId) -> str:
    return f"{instance.app}/{instance.service}"
