"""What is said of services that are only on internal networks, where Podman has them."""

from __future__ import annotations

import dataclasses

from hullmark.core import shutin
from hullmark.core.reaching import judged
from hullmark.core.why import why
from hullmark.model.app import (
    App,
    Attachment,
    ContainerSpec,
    DeploySpec,
    Network,
    Placement,
    Service,
)
from hullmark.model.host import HostFacts, HostRecord
from hullmark.model.observed import HostState
from hullmark.model.snapshot import Snapshot
from tests.unit.core import fleets
from tests.unit.core.whyworld import BACK, whole, with_facts, with_snapshot

FRONT = Attachment("front")
WEB = Service(ContainerSpec("x", networks=BACK))
DB = Service(ContainerSpec("x", networks=BACK, expose=("5432",)))


def app(web: Service = WEB, db: Service = DB, *, internal: bool = True) -> App:
    networks = {"back": Network(internal=internal), "front": Network()}
    return App("shop", {"web": web, "db": db}, networks)


def hosts(engine: str = "podman") -> Snapshot:
    states = {
        "h1": HostState(HostFacts(engine="docker")),
        "h2": HostState(HostFacts(engine=engine)),
    }
    return fleets.snapshot({}, [HostRecord(name, name, 1.0) for name in states], states)


def on_networks(*attachments: Attachment) -> Service:
    return dataclasses.replace(WEB, container=ContainerSpec("x", networks=attachments))


def test_the_plan_says_where_it_reaches_only_what_is_beside_it() -> None:
    (warning,) = judged(hosts(), app())[1]
    assert warning.startswith("shop/web is only on internal networks: with Podman, as on host h2,")


def test_what_is_used_counts_too() -> None:
    alone = dataclasses.replace(on_networks(Attachment("inner")), uses=("bank/ledger",))
    made = app(alone)
    made = dataclasses.replace(made, networks={**made.networks, "inner": Network(internal=True)})
    assert [text.split()[0] for text in shutin.warnings(hosts(), made)] == ["shop/web"]


def test_nothing_is_said_where_all_is_reached_or_nothing_is_called() -> None:
    elsewhere = Placement(("node.hostname == h1",))
    placed = dataclasses.replace(WEB, deploy=DeploySpec(placement=elsewhere))
    for snapshot, made in (
        (hosts("docker"), app()),
        (hosts(), app(internal=False)),
        (hosts(), app(on_networks(*BACK, FRONT))),
        (hosts(), app(placed)),
        (hosts(), app(db=WEB)),
        (hosts(), App("shop", {"db": DB}, {"back": Network(internal=True)})),
    ):
        assert list(shutin.warnings(snapshot, made)) == []


def test_why_names_the_callers_that_have_no_way() -> None:
    case = with_facts(whole(), "id3", engine="podman")
    assert not any("internal" in hint for hint in why(case, "shop", "api").services[0].hints)
    record = case.snapshot.apps["shop"]
    inner = dataclasses.replace(record.app, networks={"back": Network(internal=True)})
    apps = {"shop": dataclasses.replace(record, app=inner)}
    hint, _ = why(with_snapshot(case, apps=apps), "shop", "api").services[0].hints
    assert hint.startswith("shop/web on host h3 is only on internal networks")
