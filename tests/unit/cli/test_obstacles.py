"""Why instances are nowhere, in a few lines."""

from __future__ import annotations

import pytest

from hullmark.cli.obstacles import alike, obstacle_lines, slot_names
from hullmark.model.explanation import Refusal, SlotExplanation

REFUSALS = (
    Refusal("constraint", "constraint node.labels.scope == cde", ("a",) * 18, "a"),
    Refusal("memory", "memory: need 2 GiB", ("w",) * 9, "web7, free 1.4 GiB"),
    Refusal("port", "port 80/tcp taken", ("web1", "web2"), "web1 by edge/lb.1", "edge/lb"),
    Refusal("availability", "in maintenance", ("web3",), "web3, 40 min left"),
)


def test_each_filter_is_a_line_with_its_number() -> None:
    assert list(obstacle_lines(REFUSALS, 0)) == [
        "30 hosts:  18 constraint node.labels.scope == cde",
        "            9 memory: need 2 GiB (web7, free 1.4 GiB)",
        "            2 port 80/tcp taken by edge/lb (web1 by edge/lb.1)",
        "            1 web3: in maintenance, 40 min left",
    ]


def test_what_holds_for_all_hosts_is_told_without_counting() -> None:
    assert list(obstacle_lines(REFUSALS[3:], 0)) == ["host web3: in maintenance, 40 min left"]
    assert list(obstacle_lines(REFUSALS[1:2], 0)) == [
        "9 hosts: memory: need 2 GiB (web7, free 1.4 GiB)"
    ]


def test_long_lines_are_wrapped_below_their_text() -> None:
    found = list(obstacle_lines(REFUSALS, 50))
    assert found[3:5] == [
        "            2 port 80/tcp taken by edge/lb (web1",
        "              by edge/lb.1)",
    ]
    assert max(map(len, found)) <= 50


def test_no_host() -> None:
    assert list(obstacle_lines((), 80)) == []


def test_what_others_wrote_gives_the_terminal_no_orders() -> None:
    sly = Refusal("port", "port 80/tcp taken", ("h1",), "h1 by process \x1b[31m", "process \x1b")
    assert "\x1b" not in "".join(obstacle_lines((sly, REFUSALS[0]), 0))


def test_slots_that_lack_the_same_are_told_together() -> None:
    slots = [
        SlotExplanation(f"shop/{service}.{slot}", slot, 1, host, "why", REFUSALS)
        for service, slot, host in (("a", 1, ""), ("b", 1, ""), ("a", 2, ""), ("a", 3, "h1"))
    ]
    assert [[slot.name for slot in group] for group in alike(slots)] == [
        ["shop/a.1", "shop/a.2"],
        ["shop/b.1"],
        ["shop/a.3"],
    ]


@pytest.mark.parametrize(
    ("slots", "text"),
    [
        ([4], "slot 4"),
        ([4, 5], "slots 4 and 5"),
        ([4, 5, 7], "slots 4, 5 and 7"),
        (list(range(1, 301)), "slots 1 to 300"),
    ],
)
def test_names_of_slots(slots: list[int], text: str) -> None:
    assert slot_names(slots) == text
