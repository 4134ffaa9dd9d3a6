"""What programs of distributions say of themselves (`haproxy -v`), and what follows from it."""

from __future__ import annotations

import pytest

from hullmark.engine.haproxyabilities import ALL, abilities_of
from hullmark.errors import Refused

UBUNTU_22 = (
    "HAProxy version 2.4.30-0ubuntu0.22.04.4 2026/11/04 - https://haproxy.org/\nStatus: long-term"
)
RHEL_9 = "HAProxy version 2.4.22-f8e3218 2023/02/14 - https://haproxy.org/\n"


@pytest.mark.parametrize("said", [UBUNTU_22, RHEL_9, UBUNTU_22.replace("2.4.30", "2.5.0")])
def test_a_version_before_2_6_can_less(said: str) -> None:
    found = abilities_of(said)
    assert [found.takes_servers, found.tells_of_failures, found.silences] == [False] * 3
    assert found.most_former > ALL.most_former


@pytest.mark.parametrize(
    "version", ["2.6.12-1+deb12u3", "2.8.30-0ubuntu", "3.0.11", "3.2.25", "10.0"]
)
def test_all_later_ones_can_all(version: str) -> None:
    assert abilities_of(f"HAProxy version {version} 2025/10/03 - https://haproxy.org/") == ALL


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ("HA-Proxy version 2.2.9-2+deb11u7 2025/01/01 - https://haproxy.org/", "HAProxy 2.2.9-2"),
        ("HA-Proxy version 1.8.27-493ce0b 2020/11/06", "HAProxy 1.8.27"),
        ("", "tells no version"),
    ],
)
def test_an_older_one_is_refused_by_its_name(said: str, named: str) -> None:
    with pytest.raises(Refused, match=named) as refusal:
        abilities_of(said)
    assert "2.4" in refusal.value.remedy
