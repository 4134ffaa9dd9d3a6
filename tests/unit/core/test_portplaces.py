"""Who has which address of a host at a port."""

from __future__ import annotations

import pytest

from hullmark.core.portplaces import covers, holder_instead
from hullmark.model.host import PROXY, Listener


@pytest.mark.parametrize(
    ("listens", "address", "covered"),
    [
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.2", "10.0.0.1", False),
        ("0.0.0.0", "10.0.0.1", True),
        ("0.0.0.0", "fd00::2", False),
        ("::", "fd00::2", True),
        ("::", "10.0.0.1", True),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("::1", "fd00::2", False),
    ],
)
def test_what_comes_to_a_listener(listens: str, address: str, *, covered: bool) -> None:
    assert covers(Listener(80, "tcp", listens), address) is covered


def test_who_has_a_port_in_place_of_the_proxy() -> None:
    other = Listener(80, "tcp", "0.0.0.0", "python3")
    proxys = Listener(80, "tcp", "fd00::2", PROXY)
    assert holder_instead((other, proxys), 80, "10.0.0.1") == "python3"
    assert holder_instead((other, proxys), 80, "fd00::2") == ""
    assert holder_instead((other,), 81, "10.0.0.1") == ""
    assert holder_instead((Listener(80, "udp", "0.0.0.0", "dns"),), 80, "10.0.0.1") == ""
    assert holder_instead((Listener(80, "tcp", "0.0.0.0", ""),), 80, "10.0.0.1") == ""
    engines = Listener(80, "tcp", "0.0.0.0", "docker-proxy")
    assert holder_instead((engines,), 80, "10.0.0.1") == "docker-proxy"
    named = Listener(80, "tcp", "0.0.0.0", "python3", "shop.stat.1.g1")
    assert holder_instead((named,), 80, "10.0.0.1") == "shop.stat.1.g1"
