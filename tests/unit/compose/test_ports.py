from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hullmark.compose.ports import as_host_port, short
from hullmark.model.app import PortMode, PortSpec
from tests.unit.compose.apps import container, web, web_problems, web_warnings


@pytest.mark.parametrize(
    ("entry", "ports"),
    [
        ("80", [PortSpec(80)]),
        ("'80'", [PortSpec(80)]),
        ("8080:80", [PortSpec(80, 8080, 8080)]),
        ("'22:22'", [PortSpec(22, 22, 22)]),
        ("0:80", [PortSpec(80)]),
        ("8080:80/tcp", [PortSpec(80, 8080, 8080)]),
        (
            "{target: 80, protocol: sctp, mode: host}",
            [PortSpec(80, protocol="sctp", mode=PortMode.HOST)],
        ),
        ("127.0.0.1:8080:80", [PortSpec(80, 8080, 8080, host_ip="127.0.0.1")]),
        ("127.0.0.1::80", [PortSpec(80, host_ip="127.0.0.1")]),
        ("'[::1]:8080:80'", [PortSpec(80, 8080, 8080, host_ip="::1")]),
        ("3000-3001", [PortSpec(3000), PortSpec(3001)]),
        ("9090-9091:8080-8081", [PortSpec(8080, 9090, 9090), PortSpec(8081, 9091, 9091)]),
        ("8000-8010:80", [PortSpec(80, 8000, 8010)]),
        ("{target: 80}", [PortSpec(80)]),
        ("{target: '80', published: '8080'}", [PortSpec(80, 8080, 8080)]),
        ("{target: 80, published: 8000-8010}", [PortSpec(80, 8000, 8010)]),
        (
            "{target: 80, published: 80, protocol: udp, mode: host, host_ip: 10.0.0.1, x-note: 1}",
            [PortSpec(80, 80, 80, "udp", "10.0.0.1", PortMode.HOST)],
        ),
    ],
)
def test_forms(entry: str, ports: list[PortSpec]) -> None:
    assert web(f"ports: [{entry}]").ports == tuple(ports)


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("'80:abc'", '"80:abc" does not fit here (allowed: [[IP:]HOST:]CONTAINER[/PROTOCOL]'),
        ("70000", "ports from 1 to 65535"),
        ("'0'", "ports from 1 to 65535"),
        ("80/icmp", "CONTAINER[/PROTOCOL]"),
        ("300.0.0.1:80:80", "CONTAINER[/PROTOCOL]"),
        ("'80-70'", "the lower one first"),
        ("8000-8001:80-85", "ranges of equal length"),
        ("1-65535", "at most 1000 ports"),
        ("[80]", "a list does not fit here"),
        ("true", "true does not fit here"),
        ("{published: 80}", "names no target (allowed: the container's port)"),
        ("{target: 80, published: x}", "a range of them such as 8000-8010"),
        ("{target: 80, mode: overlay}", "(allowed: ingress, host)"),
        ("{target: 80, protocol: icmp}", "(allowed: tcp, udp, sctp)"),
        ("{target: 80, host_ip: localhost}", "an IP address"),
        ("{target: 80, publishd: 80}", "publishd: unknown key; did you mean published?"),
    ],
)
def test_wrong(entry: str, problem: str) -> None:
    found = web_problems(f"tty: true\nports:\n  - 443\n  - {entry}")
    assert len(found) == 1
    assert found[0].startswith("compose.yaml:7: services.web.ports[1]")
    assert problem in found[0]


@pytest.mark.parametrize("every", ["0.0.0.0:", "[::]:", ""])
def test_every_address_includes_each(every: str) -> None:
    for ports in (f"['{every}80:80', '127.0.0.1:80:81']", f"['[::1]:80:80', '{every}80:81']"):
        assert "host port 80/tcp is taken twice" in web_problems(f"ports: {ports}")[0]


def test_a_host_port_is_taken_once() -> None:
    assert "host port 80/tcp is taken twice" in web_problems("ports: ['80:80', '80:81']")[0]
    assert "twice" in web_problems("ports: ['80:80', '127.0.0.1:80:81']")[0]
    udp = "{target: 80, published: 80, protocol: udp, mode: host}"
    apart = web(f"ports: ['80:80', {udp}, '127.0.0.1:81:80', '127.0.0.2:81:80']")
    assert len(apart.ports) == 4
    assert len(web("ports: ['80:80', '80:80', '8000-8009:1', '8000-8009:2']").ports) == 3


@pytest.mark.parametrize(
    ("entry", "protocol", "instead"),
    [
        ("53:53/udp", "udp", "{target: 53, published: 53, protocol: udp, mode: host}"),
        ("53/udp", "udp", "{target: 53, protocol: udp, mode: host}"),
        ("80/sctp", "sctp", "{target: 80, protocol: sctp, mode: host}"),
        ("'[::1]:53:53/udp'", "udp", '{target: 53, published: 53, host_ip: "::1", protocol: udp'),
        ("5000-5009:53/udp", "udp", "{target: 53, published: 5000-5009, protocol: udp, mode"),
        ("6000-6009:7000-7009/udp", "udp", "{target: 7000, published: 6000, protocol: udp, mode"),
        ("{target: 53, protocol: udp}", "udp", "{target: 53, protocol: udp, mode: host}"),
        ("{target: 53, protocol: udp, mode: ingress}", "udp", "mode: host}"),
    ],
)
def test_what_is_not_tcp_is_the_hosts_own(entry: str, protocol: str, instead: str) -> None:
    (found,) = web_problems(f"ports:\n  - 443\n  - {entry}")
    assert found.startswith("compose.yaml:6: services.web.ports[1]: ")
    assert f"{protocol} is published with mode: host only (allowed: the long form, such as" in found
    assert instead in found


def test_the_long_form_that_is_proposed_is_taken() -> None:
    port = PortSpec(53, 5000, 5009, "udp", "::1", PortMode.HOST)
    assert web(f"ports: [{as_host_port(port)}]").ports == (port,)


def test_on_the_hosts_network_udp_needs_no_long_form() -> None:
    found = web("network_mode: host\nports: ['53:53/udp']").ports
    assert found == (PortSpec(53, 53, 53, "udp", mode=PortMode.HOST),)


def test_too_many_ports() -> None:
    assert "at most 1000 of one service" in web_problems("ports: [1-600, 601-1200]")[0]


def test_names_of_ports_are_comments() -> None:
    found = web_warnings("ports: [{target: 80, published: 80, name: http, app_protocol: http}]")
    assert [line.split(": ")[1] for line in found] == [
        "services.web.ports[0].name",
        "services.web.ports[0].app_protocol",
    ]


def test_on_the_hosts_network_the_containers_ports_are_the_hosts() -> None:
    text = "network_mode: host\nports: ['8080:80', '127.0.0.1:81:80']"
    assert web(text).ports == (PortSpec(80, 80, 80, mode=PortMode.HOST),)
    assert any("own ports are the host's" in line for line in web_warnings(text))


def test_without_a_network_nothing_is_published() -> None:
    assert "nothing can be published" in web_problems("network_mode: none\nports: [80]")[0]


def test_expose() -> None:
    spec = container("expose: [80, '81/udp', 90-92, '80/tcp']")
    assert spec.expose == ("80/tcp", "81/udp", "90/tcp", "91/tcp", "92/tcp")
    assert "PORT[-PORT][/PROTOCOL]" in web_problems("expose: [http]")[0]


@given(
    st.integers(1, 65535),
    st.integers(1, 65535),
    st.integers(0, 5),
    st.sampled_from(("tcp", "udp", "sctp")),
    st.sampled_from(("", "10.0.0.1", "::1")),
)
def test_a_short_form_says_what_it_means(
    target: int, published: int, width: int, protocol: str, ip: str
) -> None:
    target, published = min(target, 65535 - width), min(published, 65535 - width)
    address = f"[{ip}]:" if ":" in ip else ip and f"{ip}:"
    span = "-{}" if width else ""
    host = f"{published}{span.format(published + width)}"
    inner = f"{target}{span.format(target + width)}"
    found = short(f"{address}{host}:{inner}/{protocol}")
    assert [port.target for port in found] == list(range(target, target + width + 1))
    assert {port.published_first - port.target for port in found} == {published - target}
    assert {(port.protocol, port.host_ip) for port in found} == {(protocol, ip)}
