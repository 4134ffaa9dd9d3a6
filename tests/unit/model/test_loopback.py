"""What is loopback in any form, and what only looks like it."""

from __future__ import annotations

import ipaddress
from typing import Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hullmark.model.loopback import bare, is_loopback


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1",
        "127.0.0.53",
        "127.255.255.255",
        "::1",
        "0:0:0:0:0:0:0:1",
        "::0001",
        "::1%lo",
        "::1%1",
        "::ffff:127.0.0.1",
        "::FFFF:127.8.9.1",
        "::ffff:7f00:1",
        "::ffff:127.0.0.1%lo",
        "localhost",
        "LocalHost",
    ],
)
def test_what_is_loopback(text: str) -> None:
    assert is_loopback(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0.0.0.0",
        "::",
        "126.255.255.255",
        "128.0.0.1",
        "192.0.2.1",
        "::2",
        "::127.0.0.1",
        "::ffff:128.0.0.1",
        "::ffff:0:127.0.0.1",
        "64:ff9b::127.0.0.1",
        "fe80::1%lo",
        "127.0.0.1%lo",
        "127.1",
        "2130706433",
        "0x7f000001",
        "127.0.0.1/8",
        "127.0.0.1:80",
        "[::1]",
        " 127.0.0.1",
        "127.0.0.1\n",
        "127.0.0.1.example.com",
        "localhost.",
        "web.localhost",
        "localhost.example.com",
        "localhost6",
        "xlocalhost",
    ],
)
def test_what_is_not(text: str) -> None:
    assert not is_loopback(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::1"),
        ("2001:DB8::1", "2001:db8::1"),
        ("192.0.2.1", "192.0.2.1"),
        ("localhost", None),
        ("::1%", None),
    ],
)
def test_the_bare_address(text: str, found: Optional[str]) -> None:
    assert bare(text) == (None if found is None else ipaddress.ip_address(found))


@given(st.ip_addresses())
def test_an_address_is_loopback_in_each_form_or_in_none(
    address: ipaddress.IPv4Address,
) -> None:
    forms = [str(address), address.exploded]
    forms += [f"::ffff:{address}"] if address.version == 4 else [f"{address}%eth0"]
    assert len({is_loopback(form) for form in forms}) == 1


@given(st.ip_addresses(network="127.0.0.0/8"))
def test_all_of_the_network_are(address: ipaddress.IPv4Address) -> None:
    assert is_loopback(str(address))
    assert is_loopback(f"::ffff:{address}")
