from __future__ import annotations

import pytest

from hullmark.model.app import Attachment, Network, Volume
from tests.unit.compose.apps import build, container, web_problems, web_text, web_warnings

BOTH = "networks: {front: , back: {ipam: {config: [{subnet: 172.28.0.0/24, gateway: 172.28.0.1}]}}}"


@pytest.mark.parametrize(
    ("lines", "places"),
    [
        ("", [Attachment("default")]),
        ("networks: []", [Attachment("default")]),
        ("networks: [front, back]", [Attachment("front"), Attachment("back")]),
        ("networks: {front: , default: {}}", [Attachment("front"), Attachment("default")]),
        ("networks: {front: , back: {priority: 5}}", [Attachment("back"), Attachment("front")]),
        (
            """
            networks:
              back:
                aliases: [db, db]
                ipv4_address: 172.28.0.9
                ipv6_address: "fd00::9"
                mac_address: "02:42:ac:11:00:02"
            """,
            [Attachment("back", ("db",), "172.28.0.9", "fd00::9", "02:42:ac:11:00:02")],
        ),
        (
            "networks: [front]\nmac_address: '02:42:ac:11:00:02'",
            [Attachment("front", mac_address="02:42:ac:11:00:02")],
        ),
        ("network_mode: host", []),
        ("network_mode: none", []),
        ("network_mode: bridge", []),
    ],
)
def test_places(lines: str, places: list[Attachment]) -> None:
    assert container(lines, BOTH).networks == tuple(places)


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("networks: [side]", "the app has no network side (allowed: back, default, front)"),
        ("networks: {side: }", "the app has no network side"),
        ("networks: {front: 5}", "a mapping with aliases"),
        ("networks: front", "a list or a mapping of networks"),
        ("networks: {front: {alias: [a]}}", "unknown key; did you mean aliases?"),
        ("networks: {front: {aliases: [a b]}}", "a host name"),
        ("networks: {front: {aliases: a}}", '"a" does not fit here (allowed: a list)'),
        ("networks: {front: {ipv4_address: 172.28.0.9}}", "needs a network with a subnet"),
        ("networks: {default: {ipv4_address: 172.28.0.9}}", "needs a network with a subnet"),
        ("networks: {back: {ipv4_address: 10.0.0.1}}", "not an address for containers in 172.28"),
        ("networks: {back: {ipv4_address: 172.28.0.255}}", "not an address for containers"),
        ("networks: {back: {ipv4_address: 172.28.0.1}}", "the network's gateway"),
        ("networks: {back: {ipv4_address: x}}", "an IPv4 address"),
        ("networks: {back: {ipv6_address: 10.0.0.1}}", "an IPv6 address"),
        ("networks: {back: {mac_address: x}}", "a MAC address"),
        ("networks: {back: {gw_priority: 1}}", "gw_priority: is not supported"),
        ("network_mode: host\nnetworks: [front]", "has no meaning with network_mode host"),
        ("network_mode: 'service:db'", "another container, which may be replaced at any time"),
        ("network_mode: 'container:x'", "(allowed: bridge, host, none)"),
        ("network_mode: overlay", "(allowed: bridge, host, none)"),
    ],
)
def test_wrong_places(lines: str, problem: str) -> None:
    assert problem in "\n".join(web_problems(lines, BOTH))


@pytest.mark.parametrize(
    ("entry", "network"),
    [
        ("", Network()),
        ("{}", Network()),
        ("{driver: bridge, x-note: 1}", Network()),
        ("{internal: true}", Network(internal=True)),
        ("{enable_ipv6: true, enable_ipv4: true}", Network(enable_ipv6=True)),
        ("{labels: [a=b, c]}", Network(labels={"a": "b", "c": ""})),
        ("{labels: {a: b}}", Network(labels={"a": "b"})),
        (
            "{driver_opts: {com.docker.network.driver.mtu: 1400}}",
            Network(driver_options={"com.docker.network.driver.mtu": "1400"}),
        ),
        (
            "{ipam: {driver: default, config: [{subnet: 10.9.0.0/24, gateway: 10.9.0.254}]}}",
            Network(subnet="10.9.0.0/24", gateway="10.9.0.254"),
        ),
        ("{ipam: {config: []}}", Network()),
        ("{external: true}", Network(external="net")),
        ("{external: true, name: shared}", Network(external="shared")),
        ("{external: {name: shared}}", Network(external="shared")),
        ("{external: false}", Network()),
        ("{name: shop_net}", Network()),
    ],
)
def test_networks(entry: str, network: Network) -> None:
    app, warnings = build(web_text("networks: [net]", f"networks:\n  net: {entry}"))
    assert app.networks == {"net": network}
    assert warnings == ()


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("{driver: overlay}", "(allowed: bridge, default)"),
        ("{driver: macvlan}", "(allowed: bridge, default)"),
        ("{internal: maybe}", "true or false"),
        ("{enable_ipv4: false}", "networks without IPv4 are not supported"),
        ("{ipam: {driver: dhcp}}", "(allowed: default)"),
        ("{ipam: {options: {a: b}}}", "options: is not supported"),
        ("{ipam: {config: [{subnet: 'fd00::/64'}]}}", "an IPv4 network"),
        ("{ipam: {config: [{subnet: 10.9.0.1/24}]}}", "an IPv4 network"),
        ("{ipam: {config: [{subnet: 10.9.0.0/31}]}}", "no smaller than /30"),
        ("{ipam: {config: [{gateway: 10.9.0.1}]}}", "a gateway needs a subnet"),
        ("{ipam: {config: [{subnet: 10.9.0.0/24, gateway: 10.8.0.1}]}}", "not an address in"),
        ("{ipam: {config: [{subnet: 10.9.0.0/24}, {subnet: 10.8.0.0/24}]}}", "a second range"),
        ("{ipam: {config: [{ip_range: 10.9.0.0/25}]}}", "ip_range: is not supported"),
        ("{external: true, internal: true}", "no meaning for what exists already"),
        ("{labels: {io.hullmark.app: x}}", "does not begin with io.hullmark."),
        ("{external: true, name: host}", "for host and none use network_mode"),
        ("{interna: true}", "unknown key; did you mean internal?"),
        ("bridge", "a mapping with name, driver"),
    ],
)
def test_wrong_networks(entry: str, problem: str) -> None:
    found = web_problems("", f"networks:\n  net: {entry}")
    assert found[0].startswith("compose.yaml:6: networks.net")
    assert problem in found[0]


def test_a_fixed_address_is_for_one_instance_on_each_host() -> None:
    lines = "networks: {back: {ipv4_address: 172.28.0.9}}\nscale: 2"
    assert "max_replicas_per_node" in web_warnings(lines, BOTH)[0]
    assert web_warnings(lines.replace("scale: 2", "scale: 1"), BOTH) == []


def test_a_networks_own_name_is_not_taken() -> None:
    found = web_warnings("networks: [net]", "networks: {net: {name: x, attachable: true}}")
    assert "it means something in a Swarm only" in found[0]
    assert "this network is called shop_net" in found[1]


def test_the_default_network_is_there_where_it_is_used() -> None:
    assert build(web_text(""))[0].networks == {"default": Network()}
    assert build(web_text("network_mode: host"))[0].networks == {}
    app, _ = build(web_text("", "networks: {default: {internal: true}}"))
    assert app.networks == {"default": Network(internal=True)}


@pytest.mark.parametrize(
    ("entry", "volume"),
    [
        ("", Volume()),
        ("{driver: local}", Volume("local")),
        (
            "{driver_opts: {type: nfs, o: 'addr=10.0.0.1'}}",
            Volume("", {"type": "nfs", "o": "addr=10.0.0.1"}),
        ),
        ("{labels: {a: 1}}", Volume(labels={"a": "1"})),
        ("{external: true}", Volume(external="data")),
        ("{external: true, name: old}", Volume(external="old")),
        ("{name: shop_data}", Volume()),
    ],
)
def test_volumes(entry: str, volume: Volume) -> None:
    assert build(web_text("", f"volumes:\n  data: {entry}"))[0].volumes == {"data": volume}


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (
            "{name: old}",
            "this volume is called shop_data; for one that exists already, set `external",
        ),
        ("{driver: 'a b'}", "a driver's name"),
        ("{drivr: x}", "unknown key; did you mean driver?"),
        ("{external: true, driver: local}", "no meaning for what exists already"),
        ("{external: true, name: '-x'}", "a name that engines take"),
    ],
)
def test_wrong_volumes(entry: str, problem: str) -> None:
    found = web_problems("", f"volumes:\n  data: {entry}")
    assert found[0].startswith("compose.yaml:6: volumes.data")
    assert problem in found[0]


def test_an_external_network_called_as_a_mode() -> None:
    assert (
        "use network_mode"
        in web_problems("networks: [host]", "networks: {host: {external: true}}")[0]
    )


def test_keys_are_names() -> None:
    for kind in ("networks", "volumes", "configs", "secrets"):
        found = web_problems("", f"{kind}:\n  'a/b': {{}}")
        assert "not a name that fits here" in found[0]
