"""What an app asks of other services and of addresses: refused where it can't be, with who or what is missing."""

from __future__ import annotations

import dataclasses
from typing import Any, Optional

import pytest

from hullmark.core.reaching import judged
from hullmark.model.app import App, ContainerSpec, PortSpec, Service
from hullmark.model.host import HostFacts, HostRecord, Listener
from hullmark.model.observed import HostState
from hullmark.model.snapshot import Snapshot
from tests.unit.core import fleets
from tests.unit.core.fleets import applied

DB = Service(ContainerSpec("db:1", expose=("5432",)))


def container(**more: Any) -> Service:
    return Service(ContainerSpec("x", **more))


def user(*uses: str) -> Service:
    return Service(ContainerSpec("x"), uses=uses)


def cluster(*apps: App, **facts: Any) -> Snapshot:
    hosts = [HostRecord(name, name, 1.0) for name in ("h1", "h2")]
    states = {"h1": HostState(HostFacts(**facts)), "h2": HostState(HostFacts())}
    snapshot = dataclasses.replace(
        fleets.snapshot({}, hosts, states), address_range="10.214.0.0/16"
    )
    for app in apps:
        snapshot = applied(snapshot, app)
    return snapshot


BANK = App(
    "bank",
    {
        "ledger": DB,
        "worker": container(),
        "job": container(one_shot=True, expose=("80",)),
        "lone": container(network_mode="none"),
        "net": container(network_mode="host", expose=("80",)),
        "dns": container(expose=("53/udp",)),
    },
)


def refused(app: App, snapshot: Optional[Snapshot] = None, unsure: Any = ()) -> list[str]:
    """By default there is an app bank."""
    there = cluster(BANK) if snapshot is None else snapshot
    return list(map(str, judged(there, app, unsure)[0]))


def test_a_service_that_is_there_may_be_used() -> None:
    assert refused(App("shop", {"web": user("bank/ledger", "shop/db"), "db": DB})) == []


@pytest.mark.parametrize(
    ("used", "why"),
    [
        ("gone/db", "gone/db: there is no app gone (allowed: bank)"),
        ("bank/gone", "bank/gone: the app has no such service (allowed: bank/ledger)"),
        ("bank/worker", "no TCP port: neither ports nor expose name one, nor does its image"),
        ("bank/dns", "it has no TCP port"),
        ("bank/job", "it is a one-shot"),
        ("bank/lone", "with network_mode none nothing reaches it"),
        ("bank/net", "it has the host's network"),
        ("shop/db", "it has no TCP port"),
    ],
)
def test_a_service_that_can_not_be_used(used: str, why: str) -> None:
    (found,) = refused(App("shop", {"web": user(used), "db": container()}))
    assert found.startswith(f"services.web.x-hullmark.uses[0]: {used}: ")
    assert why in found


def test_the_first_app_of_all_is_told_what_to_do() -> None:
    (found,) = refused(App("shop", {"web": user("bank/db")}), cluster())
    assert "none yet: apply it first" in found


def test_what_is_not_known_yet_is_not_refused() -> None:
    app = App("shop", {"web": user("shop/db"), "db": container()})
    assert refused(app, unsure={"db"}) == []


def test_an_app_that_is_being_removed_is_not_there() -> None:
    there = cluster(BANK)
    removing = dataclasses.replace(there.apps["bank"], removing=True)
    gone = dataclasses.replace(there, apps={"bank": removing})
    assert "there is no app bank" in refused(App("shop", {"web": user("bank/ledger")}), gone)[0]


def test_what_is_wrong_already_refuses_nothing_that_follows() -> None:
    there = cluster(App("shop", {"web": user("bank/ledger")}))
    newer = App("shop", {"web": dataclasses.replace(user("bank/ledger"), exposed=("80/tcp",))})
    problems, warnings = judged(there, newer)
    assert problems == []
    assert warnings == ["services.web.x-hullmark.uses[0]: bank/ledger: there is no app bank"]
    assert judged(there, App("shop", {"web": user("bank/ledger", "bank/x")}))[0] != []


def test_who_uses_what_goes_is_told() -> None:
    there = cluster(BANK, App("shop", {"web": user("bank/ledger")}))
    without = App("bank", {"worker": container()})
    assert judged(there, without) == (
        [],
        ["shop/web uses bank/ledger, which nobody can reach then"],
    )
    assert judged(there, BANK) == ([], [])


def test_a_range_with_too_few_addresses() -> None:
    there = dataclasses.replace(cluster(BANK), address_range="10.214.0.0/30")
    assert refused(App("shop", {"db": DB}), there) == []
    (found,) = refused(App("shop", {"db": DB, "api": DB}), there)
    assert "no address is left in services.range, 10.214.0.0/30: it has 2, and 3" in found


def test_a_range_to_which_a_host_has_a_route() -> None:
    there = cluster(networks=("10.214.8.0/24", "192.168.0.0/16"), container_range="10.213.0.0/16")
    (found,) = refused(App("shop", {"db": DB}), there)
    assert "10.214.0.0/16, meets 10.214.8.0/24, to which there is a route on host h1" in found
    assert "another services.range on every master" in found
    assert refused(App("shop", {"worker": container()}), there) == []


def test_a_range_that_is_where_apps_networks_are() -> None:
    (found,) = refused(App("shop", {"db": DB}), cluster(container_range="10.208.0.0/12"))
    assert "meets 10.208.0.0/12, where apps' networks are (engine.subnets) on host h1" in found


def test_a_program_that_has_a_services_port_on_every_address_is_told() -> None:
    sshd = Listener(22, "tcp", "0.0.0.0", "sshd")
    git = Service(ContainerSpec("x", expose=("22",)))
    there = cluster(listeners=(sshd, Listener(22, "tcp", "192.0.2.1", "x")), proxy_version="2.6")
    problems, (warning,) = judged(there, App("shop", {"git": git, "db": DB}))
    assert problems == []
    assert warning.startswith("shop/git: port 22 is not answered under its address on host h1: ")
    assert warning.endswith("process sshd has it there on every address")
    assert judged(cluster(listeners=(sshd,)), App("shop", {"git": git})) == ([], [])


def test_published_ports_are_judged_too() -> None:
    web = Service(ContainerSpec("x"), ports=(PortSpec(80, 80, 80),))
    (found,) = refused(App("shop", {"web": web}), cluster(App("bank", {"web": web})))
    assert "port 80/tcp is published by bank/web" in found
