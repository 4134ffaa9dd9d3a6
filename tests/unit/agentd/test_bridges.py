"""The bridges of our networks."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any, Optional, cast

from hullmark.agentd.bridges import AGAIN_S, Bridges
from hullmark.errors import EngineUnavailable, NotFound
from hullmark.host.interfaces import Interface
from hullmark.model.proxy import Bridge

SUBNET = "10.213.0.0/25"
BACK = ("shop", "back")


class FakeEngine:
    def __init__(self) -> None:
        self.asked: list[str] = []
        self.raises: Optional[Exception] = None
        self.networks: dict[str, Mapping[str, Any]] = {
            "shop_back": {
                "Internal": True,
                "IPAM": {"Config": [{"Subnet": SUBNET}, {"Subnet": "fd00::/64"}]},
            }
        }

    def inspected_network(self, name: str) -> Mapping[str, Any]:
        self.asked.append(name)
        if self.raises is not None:
            raise self.raises
        if name not in self.networks:
            raise NotFound(name)
        return self.networks[name]


class Bed:
    def __init__(self) -> None:
        self.now = 0.0
        self.engine = FakeEngine()
        self.here = [interface("br-1", 3)]
        self.bridges = Bridges(cast(Any, self.engine), lambda: self.here, lambda: self.now)


def interface(name: str, index: int, address: str = "10.213.0.1") -> Interface:
    return Interface(name, index, address, ipaddress.IPv4Network(SUBNET))


def test_a_network_is_the_interface_that_has_its_subnet() -> None:
    bed = Bed()
    bed.here.append(Interface("eth0", 2, "192.0.2.1", ipaddress.IPv4Network("192.0.2.0/24")))
    (found,) = bed.bridges.of([BACK, BACK])
    assert found == Bridge("shop", "back", "br-1", 3, SUBNET, "10.213.0.1", internal=True)


def test_the_engine_is_asked_once_and_the_kernel_each_time() -> None:
    bed = Bed()
    bed.bridges.of([BACK])
    bed.here = [interface("br-1", 9)]
    (found,) = bed.bridges.of([BACK])
    assert (found.index, bed.engine.asked) == (9, ["shop_back"])
    bed.engine.raises = EngineUnavailable("away")
    assert len(bed.bridges.of([BACK])) == 1


def test_what_the_engine_was_never_asked_for_is_unknown_while_it_is_away() -> None:
    bed = Bed()
    bed.engine.raises = EngineUnavailable("away")
    assert (bed.bridges.of([BACK]), bed.bridges.unknown) == ((), True)
    bed.engine.raises = None
    assert (len(bed.bridges.of([BACK])), bed.bridges.unknown) == (1, False)
    bed.engine.raises = EngineUnavailable("away")
    assert (len(bed.bridges.of([BACK])), bed.bridges.unknown) == (1, False)


def test_one_that_is_not_there_yet_is_asked_for_again_but_not_at_once() -> None:
    bed = Bed()
    bed.here = []
    assert bed.bridges.of([BACK]) == ()
    assert bed.bridges.of([BACK]) == ()
    assert len(bed.engine.asked) == 1
    bed.now += AGAIN_S
    bed.here = [interface("br-1", 3)]
    assert len(bed.bridges.of([BACK])) == 1


def test_one_that_was_made_anew_with_another_subnet_is_found() -> None:
    bed = Bed()
    bed.bridges.of([BACK])
    other = "10.213.7.0/25"
    bed.engine.networks["shop_back"] = {"IPAM": {"Config": [{"Subnet": other}]}}
    bed.here = [Interface("br-2", 5, "10.213.7.1", ipaddress.IPv4Network(other))]
    bed.now += AGAIN_S
    (found,) = bed.bridges.of([BACK])
    assert (found.interface, found.internal) == ("br-2", False)


def test_networks_that_the_engine_does_not_have_are_left_out() -> None:
    bed = Bed()
    assert bed.bridges.of([("bank", "back")]) == ()
    bed.engine.raises = EngineUnavailable("away")
    assert bed.bridges.of([BACK]) == ()
