"""The ladder finds what a look at every host would find."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Optional
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from hullmark.core.berths import Berth
from hullmark.core.generations import next_record
from hullmark.core.ladder import Climb, Ladder, Ladders
from hullmark.core.placement import Search
from hullmark.core.schedule import Plan, plan
from hullmark.model.app import (
    App,
    ContainerSpec,
    DeploySpec,
    HostLoss,
    Placement,
    PortMode,
    PortSpec,
    Resources,
    Service,
)
from hullmark.model.host import Availability, HostFacts, HostRecord
from hullmark.model.observed import HostState
from hullmark.model.orders import InstanceId
from hullmark.model.snapshot import Snapshot, Strategy
from tests.unit.core.fleets import CHANGE, CONSTRAINTS, SPREADS, committed, obeyed, snapshot

GIB = 1 << 30
PORT = PortSpec(80, 8080, 8080, mode=PortMode.HOST)
RANGE = PortSpec(80, 8080, 8082, mode=PortMode.HOST)

hosts = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", ""]),
        st.sampled_from(["x86_64", "aarch64"]),
        st.integers(1, 4),
        st.sampled_from([*Availability, Availability.ACTIVE, Availability.ACTIVE]),
    ),
    min_size=1,
    max_size=9,
)
services = st.builds(
    lambda replicas, constraints, spread, most, cpus, ports, platform, lost: Service(
        ContainerSpec("img", platform=platform),
        DeploySpec(
            replicas=replicas,
            placement=Placement(tuple(constraints), tuple(spread), most),
            reservations=Resources(cpus=cpus, memory_bytes=int(cpus * GIB)),
            on_host_lost=lost,
        ),
        ports=tuple(ports),
    ),
    st.integers(1, 9),
    st.lists(st.sampled_from(CONSTRAINTS), max_size=1),
    st.lists(st.sampled_from(SPREADS), max_size=2, unique=True),
    st.integers(0, 2),
    st.sampled_from([0.0, 0.25, 0.5, 1.0]),
    st.lists(st.sampled_from([PORT, RANGE, PortSpec(81, mode=PortMode.HOST)]), max_size=1),
    st.sampled_from(["", "", "linux/amd64"]),
    st.sampled_from([None, *HostLoss]),
)
apps = st.lists(
    st.dictionaries(st.sampled_from("abc"), services, min_size=1), min_size=1, max_size=3
)
SILENT_S = (1.0, 9.0, 70.0)


@st.composite
def worlds(draw: st.DrawFn) -> Snapshot:
    drawn = draw(hosts)
    records = [
        HostRecord(f"h{n}", f"h{n}", 1.0, {"zone": zone}, availability=word)
        for n, (zone, _, _, word) in enumerate(drawn)
    ]
    states = {
        f"h{n}": HostState(HostFacts(architecture=arch, cpus=cpus, memory_bytes=cpus * 2 * GIB))
        for n, (_, arch, cpus, _) in enumerate(drawn)
    }
    made = {
        f"p{n}": next_record(None, App(f"p{n}", found), CHANGE)
        for n, found in enumerate(draw(apps))
    }
    strategy = draw(st.sampled_from(Strategy))
    return dataclasses.replace(snapshot(made, records, states), strategy=strategy)


def one_by_one(before: Snapshot) -> Plan:
    """The same plan without any ladder."""
    with (
        mock.patch.object(Search, "_is_like_others", return_value=False),
        mock.patch.object(Search, "_climb_to", side_effect=AssertionError("a ladder was used")),
    ):
        return plan(before)


@given(worlds(), st.data())
def test_the_ladder_finds_what_a_look_at_every_host_finds(
    before: Snapshot, data: st.DataObject
) -> None:
    for step in range(3):
        made = plan(before)
        assert made == one_by_one(before), f"step {step}"
        before = obeyed(committed(before, made), {})
        host_id = data.draw(st.sampled_from(sorted(before.hosts)))
        heard_s = data.draw(st.sampled_from(SILENT_S))
        word = data.draw(st.sampled_from(list(Availability)))
        host = dataclasses.replace(before.hosts[host_id], availability=word)
        before = dataclasses.replace(
            before,
            heard_s={**before.heard_s, host_id: heard_s},
            hosts={**before.hosts, host_id: host},
        )


OWN, OTHER = ("p", "own"), ("p", "other")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["best", "best", "back", "put", "off", "off"]),
        st.integers(0, 7),
        st.booleans(),
    ),
    min_size=10,
    max_size=40,
)


KEYS = ("node.labels.zone", "node.labels.rack")


def expected(ladder: Ladder, off: set[str]) -> Optional[str]:
    """By sorting."""
    counts: Counter[tuple[int, Optional[str]]] = Counter()
    for host_id, berth in ladder.berths.items():
        for value in enumerate(ladder.values(host_id)):
            counts[value] += berth.by_service[OWN]

    def rank(host_id: str) -> tuple[object, ...]:
        here = 0 if ladder.packs else ladder.berths[host_id].by_service[OWN]
        spread = [counts[value] for value in enumerate(ladder.values(host_id))]
        return spread, here, ladder.level(host_id), ladder.place[host_id]

    return min((h for h in ladder.berths if h not in off), key=rank, default=None)


class Bench:
    """Hosts on a ladder, and what is put on them and taken off again."""

    def __init__(self, labels: list[tuple[str, str]], strategy: Strategy, keys: int) -> None:
        records = [
            HostRecord(f"h{n}", f"h{n}", 1.0, {"zone": zone, "rack": rack})
            for n, (zone, rack) in enumerate(labels)
        ]
        before = dataclasses.replace(snapshot({}, records, {}), strategy=strategy)
        facts = HostFacts(cpus=4, memory_bytes=GIB)
        self.berths = {host.host_id: Berth(host, facts, ready=True) for host in records}
        self.touched: list[str] = []
        service = Service(ContainerSpec("img"), DeploySpec(placement=Placement((), KEYS[:keys])))
        self.ladder = Ladders(before, self.berths, self.touched).of(service)
        self.there: list[tuple[str, InstanceId]] = []

    def put(self, host_id: str, own: bool) -> str:
        instance = InstanceId(*(OWN if own else OTHER), len(self.touched), 1)
        self.there.append((host_id, instance))
        self.berths[host_id].take(instance, Resources(cpus=0.5), ())
        self.touched.append(host_id)
        return host_id

    def take_off(self, which: int) -> Optional[str]:
        if not self.there:
            return None
        host_id, instance = self.there.pop(which % len(self.there))
        self.berths[host_id].give_back(instance, Resources(cpus=0.5), ())
        self.touched.append(host_id)
        return host_id


@settings(max_examples=300)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("rs")), min_size=1, max_size=6),
    st.sampled_from(Strategy),
    st.integers(0, 2),
    STEPS,
    STEPS,
)
def test_a_climb_sees_what_is_put_on_hosts_and_taken_off_them(
    labels: list[tuple[str, str]],
    strategy: Strategy,
    keys: int,
    loads: list[tuple[str, int, bool]],
    steps: list[tuple[str, int, bool]],
) -> None:
    bench = Bench(labels, strategy, keys)
    for _, which, own in loads:
        bench.put(f"h{which % len(labels)}", own and not which)
    climb = Climb(bench.ladder, OWN, bench.berths)
    off: set[Optional[str]] = set()
    for step, which, own in steps:
        host_id = f"h{which % len(labels)}"
        if step == "best":
            climb.follow()
            found = expected(bench.ladder, {host for host in off if host})
            assert climb.best() == found
            off.add(found)
        elif step == "back":
            climb.follow()
            climb.put_back(host_id)
            off.discard(host_id)
        else:
            # Whatever something happens to may be found again.
            off.discard(bench.put(host_id, own) if step == "put" else bench.take_off(which))
