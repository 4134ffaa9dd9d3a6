"""The ports of a service, and who binds which."""

from __future__ import annotations

import dataclasses

import pytest

from hullmark.core.serviceports import (
    addressed,
    by_engine,
    by_proxy,
    has_address,
    is_host_network,
    ports_of,
)
from hullmark.model.app import App, ContainerSpec, PortMode, PortSpec, Service

PLAIN = ContainerSpec("web:1")


def service(container: ContainerSpec = PLAIN, **fields: object) -> Service:
    return dataclasses.replace(Service(container), **fields)  # type: ignore[arg-type]


def test_ports_are_those_that_are_published_exposed_and_said_by_the_image() -> None:
    container = dataclasses.replace(PLAIN, expose=("9000", "8125/udp", "53/tcp"))
    found = service(
        container,
        ports=(PortSpec(80, 8080, 8080), PortSpec(53, 53, 53, "udp", mode=PortMode.HOST)),
        exposed=("80/tcp", "5432", "161/udp"),
    )
    assert ports_of(found) == (53, 80, 5432, 9000)


def test_a_port_without_a_number_on_the_host_is_a_port_too() -> None:
    assert ports_of(service(ports=(PortSpec(80),))) == (80,)


@pytest.mark.parametrize(
    ("container", "has"),
    [
        (PLAIN, True),
        (dataclasses.replace(PLAIN, network_mode="bridge"), True),
        (dataclasses.replace(PLAIN, network_mode="host"), False),
        (dataclasses.replace(PLAIN, network_mode="none"), False),
        (dataclasses.replace(PLAIN, one_shot=True), False),
    ],
)
def test_who_has_an_address(container: ContainerSpec, has: bool) -> None:
    assert has_address(service(container, exposed=("80/tcp",))) is has
    assert not has_address(service(container, exposed=("80/udp",)))


def test_the_services_of_an_app_that_have_one() -> None:
    app = App(
        "shop",
        {
            "web": service(ports=(PortSpec(80),)),
            "db": service(exposed=("5432/tcp",)),
            "worker": service(),
        },
    )
    assert list(addressed(app)) == ["shop/db", "shop/web"]


def test_host_mode_is_the_engines_and_the_rest_the_proxys() -> None:
    host = PortSpec(80, 80, 80, mode=PortMode.HOST)
    published, numberless = PortSpec(443, 443, 443), PortSpec(9000)
    assert by_engine((host, published, numberless)) == (host,)
    assert by_proxy((host, published, numberless)) == (published,)


def test_a_host_network_is_the_hosts() -> None:
    assert is_host_network(service(dataclasses.replace(PLAIN, network_mode="host")))
    assert not is_host_network(service())
