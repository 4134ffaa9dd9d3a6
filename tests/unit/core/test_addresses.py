"""Service addresses: stable, one for each service, of the range, and not given again while another is free."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from hullmark.core.addresses import allot, overlapping, room
from hullmark.model.records import NO_ADDRESSES, ServiceAddresses

RANGE = "10.214.0.0/29"
"""Six addresses."""
NAMES = [f"app{app}/{service}" for app in range(3) for service in ("api", "db", "web")]
wanted_sets = st.lists(st.sets(st.sampled_from(NAMES)), min_size=1, max_size=12)


def history(steps: Sequence[set[str]], range_: str = RANGE) -> list[ServiceAddresses]:
    records = [NO_ADDRESSES]
    for wanted in steps:
        records.append(allot(records[-1], range_, wanted).record)
    return records[1:]


@given(wanted_sets)
def test_each_service_has_one_address_of_the_range_that_no_other_has(
    steps: list[set[str]],
) -> None:
    network = ipaddress.IPv4Network(RANGE)
    for wanted, record in zip(steps, history(steps)):
        assert set(record.given) <= wanted
        assert len(set(record.given.values())) == len(record.given) == min(len(wanted), 6)
        for address in record.given.values():
            assert ipaddress.IPv4Address(address) in list(network.hosts())


@given(wanted_sets)
def test_a_service_keeps_its_address_for_as_long_as_it_is_there(steps: list[set[str]]) -> None:
    records = history(steps)
    for before, after, wanted in zip(records, records[1:], steps[1:]):
        for name in wanted & before.given.keys():
            assert after.given[name] == before.given[name]


@given(wanted_sets)
def test_what_was_given_up_is_given_again_only_when_nothing_else_is_free(
    steps: list[set[str]],
) -> None:
    had: list[str] = []
    records = history(steps)
    every = [str(each) for each in ipaddress.IPv4Network(RANGE).hosts()]
    for before, after in zip([NO_ADDRESSES, *records], records):
        new = [after.given[name] for name in sorted(after.given.keys() - before.given.keys())]
        never = [address for address in every if address not in had]
        for address in new:
            if never:
                assert address == never.pop(0)
            else:
                assert address in had
        had += new


@given(wanted_sets)
def test_every_address_is_given_released_or_fresh_and_only_one_of_them(
    steps: list[set[str]],
) -> None:
    every = [str(each) for each in ipaddress.IPv4Network(RANGE).hosts()]
    for record in history(steps):
        found = [*record.given.values(), *record.released, *every[record.fresh :]]
        assert sorted(found) == sorted(every)


@given(wanted_sets)
def test_the_same_is_wanted_again_and_nothing_changes(steps: list[set[str]]) -> None:
    record = history(steps)[-1]
    again = allot(record, RANGE, steps[-1])
    assert again.record is record


def test_what_has_been_free_for_longest_is_given_first() -> None:
    full = allot(NO_ADDRESSES, RANGE, NAMES[:6]).record
    first = allot(full, RANGE, NAMES[1:6]).record
    second = allot(first, RANGE, NAMES[2:6]).record
    assert second.released == (full.given[NAMES[0]], full.given[NAMES[1]])
    third = allot(second, RANGE, NAMES[2:7]).record
    assert third.given[NAMES[6]] == full.given[NAMES[0]]


def test_an_exhausted_range_says_who_is_without() -> None:
    found = allot(NO_ADDRESSES, RANGE, NAMES[:8])
    assert found.without == tuple(NAMES[6:8])
    assert len(found.record.given) == room(RANGE) == 6


def test_another_range_gives_another_address_to_those_that_are_not_in_it() -> None:
    record = allot(NO_ADDRESSES, "10.214.0.0/16", NAMES[:3]).record
    moved = allot(record, "10.99.0.0/24", NAMES[:3]).record
    assert list(moved.given.values()) == ["10.99.0.1", "10.99.0.2", "10.99.0.3"]
    smaller = allot(record, "10.214.0.0/30", NAMES[:3])
    assert smaller.record.given == {name: record.given[name] for name in NAMES[:2]}
    assert smaller.without == (NAMES[2],)


@given(wanted_sets, wanted_sets)
def test_a_moved_range_gives_no_address_twice(
    before: list[set[str]], after: list[set[str]]
) -> None:
    record = history(before, "10.214.0.0/28")[-1]
    for wanted in after:
        record = allot(record, "10.214.0.0/29", wanted).record
        given_now = list(record.given.values())
        assert len(set(given_now)) == len(given_now)
        assert not set(given_now) & set(record.released)


def test_networks_that_have_addresses_of_the_range() -> None:
    there = ["10.214.128.0/17", "10.0.0.0/8", "192.168.1.0/24", "10.214.0.9/32", "fe80::/64", "x"]
    assert list(overlapping("10.214.0.0/16", there)) == [
        "10.214.128.0/17",
        "10.0.0.0/8",
        "10.214.0.9/32",
    ]
