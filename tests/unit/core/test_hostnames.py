"""What a container's hosts file says."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from hullmark.core.hostnames import Resident, hosts_text, is_shut_in, network_keys
from hullmark.model.app import Network
from hullmark.model.directory import Directory, ServiceEntry, ServiceName

WEB = ServiceName("shop", "web")
DB = ServiceEntry(ServiceName("shop", "db"), "10.214.0.4", (5432,), networks={"back": ("main",)})
MAIL = ServiceEntry(ServiceName("office", "mail"), "10.214.0.9", (25,), users=(WEB,))
RESIDENT = Resident(WEB, ("back",), ("10.213.0.2",), hostname="web1")


def addresses(resident: Resident, *entries: ServiceEntry) -> dict[str, str]:
    """By name, what a program gets that takes the first IPv4 line."""
    found: dict[str, str] = {}
    for line in hosts_text(
        resident, Directory(range="10.214.0.0/16", services=entries)
    ).splitlines():
        address, *names = line.split()
        if ":" not in address:
            for name in names:
                found.setdefault(name, address)
    return found


@pytest.mark.parametrize(
    "wrong",
    [
        {"address": "203.0.113.66"},
        {"address": "10.214.0.4 bank\n203.0.113.66"},
        {"name": ServiceName("shop", "db\n203.0.113.66 bank")},
        {"networks": {"back": ("x\n203.0.113.66 bank",)}},
    ],
)
def test_a_leader_can_lead_nobody_out_of_the_range(wrong: dict[str, Any]) -> None:
    entry = ServiceEntry(ServiceName("shop", "db"), "10.214.0.4", (5432,), networks={"back": ()})
    told = Directory(range="10.214.0.0/16", services=(dataclasses.replace(entry, **wrong),))
    assert "203.0.113.66" not in hosts_text(RESIDENT, told)


def test_services_of_a_shared_network_have_their_names_and_aliases() -> None:
    assert addresses(RESIDENT, DB) == {
        "localhost": "127.0.0.1",
        "web1": "10.213.0.2",
        "db": "10.214.0.4",
        "db.shop": "10.214.0.4",
        "main": "10.214.0.4",
    }


@pytest.mark.parametrize(
    "entry",
    [
        dataclasses.replace(DB, networks={"other": ("main",)}),
        dataclasses.replace(DB, name=ServiceName("bank", "db")),
        dataclasses.replace(MAIL, users=(ServiceName("shop", "api"),)),
        dataclasses.replace(DB, address=""),
    ],
)
def test_what_it_may_not_reach_has_no_name(entry: ServiceEntry) -> None:
    assert set(addresses(RESIDENT, entry)) == {"localhost", "web1"}


def test_without_a_way_to_service_addresses_none_has_a_name() -> None:
    shut_in = dataclasses.replace(RESIDENT, is_routed=False, extra_hosts=("bank:203.0.113.9",))
    assert set(addresses(shut_in, DB, MAIL)) == {"localhost", "web1", "bank"}


def test_on_internal_networks_only() -> None:
    inner, outer = Network(internal=True), Network()
    assert is_shut_in([inner])
    assert is_shut_in([inner, inner])
    assert not is_shut_in([inner, outer])
    assert not is_shut_in([]), "such a container has other networks than its app's"


def test_a_used_service_of_another_app_goes_by_both_names_only() -> None:
    found = addresses(RESIDENT, MAIL)
    assert found["mail.office"] == MAIL.address
    assert "mail" not in found


def test_a_used_service_of_the_own_app_needs_no_common_network() -> None:
    used = dataclasses.replace(DB, networks={"other": ("main",)}, users=(WEB,))
    found = addresses(RESIDENT, used)
    assert (found["db"], found["db.shop"], "main" in found) == (DB.address, DB.address, False)


def test_what_is_nearest_counts() -> None:
    """Its own name, then what the app adds, then services' own names, then others' aliases."""
    own = dataclasses.replace(DB, name=ServiceName("shop", "web1"), address="10.214.0.5")
    alias = dataclasses.replace(DB, networks={"back": ("cache",)})
    cache = dataclasses.replace(DB, name=ServiceName("shop", "cache"), address="10.214.0.6")
    resident = dataclasses.replace(RESIDENT, extra_hosts=("bank:203.0.113.9", "db:203.0.113.8"))
    found = addresses(resident, own, alias, cache)
    assert found["web1"] == "10.213.0.2"
    assert found["db"] == "203.0.113.8"
    assert found["cache"] == cache.address
    assert found["bank"] == "203.0.113.9"


def test_each_of_its_addresses_has_its_name_in_full() -> None:
    resident = dataclasses.replace(
        RESIDENT, addresses=("10.213.0.2", "10.213.1.2"), domainname="example.net"
    )
    text = hosts_text(resident, Directory())
    assert "10.213.0.2\tweb1.example.net web1\n10.213.1.2\tweb1.example.net web1\n" in text


def test_the_host_is_its_gateway() -> None:
    resident = dataclasses.replace(
        RESIDENT, extra_hosts=("up:host-gateway", "six:[2001:db8::1]"), gateway="10.213.0.1"
    )
    text = hosts_text(resident, Directory())
    assert "10.213.0.1\tup\n" in text
    assert "2001:db8::1\tsix\n" in text
    podman = hosts_text(dataclasses.replace(resident, engine="podman"), Directory())
    assert "10.213.0.1\thost.containers.internal host.docker.internal\n" in podman


def test_a_gateway_that_is_not_known_is_left_out() -> None:
    resident = dataclasses.replace(RESIDENT, extra_hosts=("up:host-gateway", "none:nowhere"))
    assert set(addresses(resident)) == {"localhost", "web1"}


def test_networks_of_others_are_none_of_its_own() -> None:
    assert network_keys("shop", ["shop_back", "bank_back", "bridge"]) == {"shop_back": "back"}
