from __future__ import annotations

import pytest

from hullmark.core import constraints
from hullmark.model.host import HostFacts, HostRecord

HOST = HostRecord("id1", "web-1", 1.0, {"zone": "a", "rack": ""})
FACTS = HostFacts(architecture="x86_64")


@pytest.mark.parametrize(
    ("constraint", "holds"),
    [
        ("node.labels.zone == a", True),
        ("node.labels.zone==a", True),
        ("  node.labels.zone  ==  a  ", True),
        ("node.labels.zone != a", False),
        ("node.labels.zone == b", False),
        ("node.labels.zone != b", True),
        ("node.labels.none == a", False),
        ("node.labels.none != a", True),
        ("node.id == id1", True),
        ("node.hostname == web-1", True),
        ("node.hostname == WEB-1", False),
        ("node.platform.os == linux", True),
        ("node.platform.os != linux", False),
        ("node.platform.arch == x86_64", True),
        ("node.platform.arch == amd64", True),
        ("node.platform.arch == arm64", False),
        ("node.platform.arch != aarch64", True),
        ("node.role == manager", False),
        ("node.role != manager", False),
        ("node.labels.zone", False),
        ("node.labels.zone = a", False),
        ("", False),
        ("zone == a", False),
    ],
)
def test_constraints(constraint: str, holds: bool) -> None:
    failing = constraints.failing((constraint,), HOST, FACTS)
    assert failing == (None if holds else constraint)


def test_the_first_that_fails_is_named() -> None:
    asked = ("node.labels.zone == a", "node.labels.x == y", "node.labels.zone == b")
    assert constraints.failing(asked, HOST, FACTS) == "node.labels.x == y"
    assert constraints.failing((), HOST, FACTS) is None


def test_what_is_not_known_of_a_host_is_no_obstacle() -> None:
    asked = ("node.platform.arch == arm64",)
    assert constraints.failing(asked, HOST, None) is None
    assert constraints.failing((*asked, "node.id == x"), HOST, None) == "node.id == x"


@pytest.mark.parametrize(
    ("platform", "architecture", "fits"),
    [
        ("", "", True),
        ("linux", "x86_64", True),
        ("linux/amd64", "x86_64", True),
        ("amd64", "x86_64", True),
        ("LINUX/AMD64", "x86_64", True),
        ("linux/arm64/v8", "aarch64", True),
        ("linux/arm/v7", "armv7l", True),
        ("linux/386", "i686", True),
        ("linux/arm64", "x86_64", False),
        ("linux/amd64", "", False),
        ("windows/amd64", "x86_64", False),
        ("windows", "x86_64", False),
        ("linux/riscv64", "riscv64", True),
    ],
)
def test_platforms(platform: str, architecture: str, fits: bool) -> None:
    assert constraints.platform_fits(platform, HostFacts(architecture=architecture)) is fits
