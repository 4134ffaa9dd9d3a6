"""Containers that listen where they declared it, and where they did not."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from hullmark.model.control import Finding, Reading, Status, Trouble
from tests.unit.core.checks.looks import judged, reading

ENGINE = reading("engine", '{"name": "docker", "version": "20.10"}')
USUAL = (("tcp", "0.0.0.0", 80), ("udp", "::", 53), ("tcp", "127.0.0.11", 40123))


def container(*sockets: tuple[str, str, int], **changed: Any) -> Reading:
    said = {
        "network": "own",
        "declared": ["53/udp", "80/tcp"],
        "told": True,
        "sockets": sorted([*USUAL, *sockets]),
        **changed,
    }
    return reading("listeners:shop.web.1.g1", json.dumps(said))


def listeners(*readings: Reading, **changed: Any) -> Finding:
    return judged("containers.listeners", ENGINE, *readings, **changed)


@pytest.mark.parametrize(
    ("socket", "said"),
    [
        (("tcp", "0.0.0.0", 9000), "9000/tcp"),
        (("tcp", "::", 40000), "40000/tcp"),
        (("tcp", "10.213.0.2", 53), "53/tcp"),
        (("udp", "0.0.0.0", 5353), "5353/udp"),
        (("udp", "0.0.0.0", 40000), ""),
        (("tcp", "127.0.0.1", 9000), ""),
        (("tcp", "::1", 9000), ""),
        (("tcp", "::ffff:127.0.0.1", 9000), ""),
        (("tcp", "::1%lo", 9000), ""),
        (("tcp", "::ffff:10.0.0.1", 9000), "9000/tcp"),
    ],
)
def test_a_socket_that_was_not_declared(socket: tuple[str, str, int], said: str) -> None:
    found = listeners(container(socket))
    if not said:
        assert (found.status, found.level) == (Status.PASS, 2)
        return
    assert found.status is Status.FAIL
    assert found.reason == f"shop.web.1.g1 listens on {said}, which it did not declare"
    assert "expose" in found.remedy
    assert listeners(container(socket), **{"except": (f"shop.web.* {said}",)}).status is Status.PASS
    other = {"except": (f"shop.db.* {said}",)}
    assert listeners(container(socket), **other).status is Status.FAIL


def test_loopback_of_the_host_is_the_hosts() -> None:
    local = ("tcp", "127.0.0.1", 9000)
    found = listeners(container(local, network="host", declared=["53/udp", "80/tcp", "40123/tcp"]))
    assert (found.status, "9000/tcp" in found.reason) == (Status.FAIL, True)


def test_without_a_leaders_word_an_undeclared_port_is_no_finding() -> None:
    found = listeners(container(("tcp", "0.0.0.0", 9000), told=False))
    assert found.status is Status.ERROR
    assert "no leader has told" in found.reason
    assert listeners(container(told=False)).status is Status.PASS


def test_no_containers_and_what_could_not_be_read() -> None:
    assert listeners().status is Status.PASS
    denied = replace(container(), trouble=Trouble.DENIED, errors="no")
    assert listeners(denied).status is Status.ERROR
    for garbled in ("", "[]", '{"sockets": 1}', '{"sockets": [["tcp"]], "declared": []}'):
        assert listeners(replace(container(), text=garbled)).status is Status.ERROR
