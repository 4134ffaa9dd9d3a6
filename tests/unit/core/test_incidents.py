from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from hullmark.core.incidents import MOST, TOUCH_S, fold
from hullmark.model.outage import Incident, Note, Outage


def outage(
    name: str, began: float, ended: float = 0.0, function: str = "time", host: str = "web1"
) -> Outage:
    return Outage(name, host, function, function, "T", began, "why", ended=ended)


def places(incidents: Mapping[int, Incident]) -> dict[str, int]:
    return {name: number for number, one in incidents.items() for name in one.outages}


def test_one_function_at_one_time_on_many_hosts_is_one_incident() -> None:
    found = fold({}, [outage("a", 100.0), outage("b", 150.0, host="web2")], 200.0)
    assert places(found) == {"a": 1, "b": 1}
    assert found[1].function == "time"
    assert (found[1].began, found[1].ended) == (100.0, 0.0)


def test_another_function_or_another_time_is_another_incident() -> None:
    apart = outage("c", 200.0 + TOUCH_S + 1.0)
    of = [outage("a", 100.0, 200.0), outage("b", 150.0, function="firewall"), apart]
    assert places(fold({}, of, 2000.0)) == {"a": 1, "b": 2, "c": 3}
    near = replace(apart, began=200.0 + TOUCH_S)
    assert places(fold({}, [of[0], near], 2000.0)) == {"a": 1, "c": 1}


def test_planned_ones_are_apart() -> None:
    planned = replace(outage("b", 100.0), planned=True, ticket="CHG-1")
    found = fold({}, [outage("a", 100.0), planned], 200.0)
    assert places(found) == {"a": 1, "b": 2}
    assert found[2].planned


def test_what_is_planned_stays_planned_whatever_its_host_says_later() -> None:
    planned = replace(outage("b", 100.0), planned=True, ticket="CHG-1")
    found = fold({}, [planned], 200.0)
    later = fold(found, [outage("b", 100.0, 300.0)], 400.0)
    assert later[1].planned
    assert later[1].ended == 300.0
    assert later[1].outages["b"].ticket == "CHG-1"


def test_a_later_outage_that_bridges_two_makes_them_the_first() -> None:
    found = fold({}, [outage("a", 0.0, 100.0), outage("b", 5000.0, 5100.0)], 6000.0)
    assert places(found) == {"a": 1, "b": 2}
    said = Note(5200.0, "bob", "cause", "a cable")
    found = {
        1: replace(found[1], notes=(Note(5300.0, "eve", "", "me too"),)),
        2: replace(found[2], acknowledged_by="bob", acknowledged_at=5050.0, notes=(said,)),
    }
    merged = fold(found, [outage("c", 90.0, 5050.0, host="web9")], 6000.0)
    assert places(merged) == {"a": 1, "b": 1, "c": 1}
    assert merged[2] == Incident(2, "time", merged_into=1)
    assert (merged[1].acknowledged_by, merged[1].acknowledged_at) == ("bob", 5050.0)
    assert [note.by for note in merged[1].notes] == ["bob", "eve"]


def test_one_that_was_opened_again_stays_where_it_was() -> None:
    found = fold({}, [outage("a", 0.0, 100.0)], 200.0)
    again = fold(found, [outage("a", 0.0)], 300.0)
    assert places(again) == {"a": 1}
    assert not again[1].ended


def test_numbers_go_on_after_those_that_were_forgotten() -> None:
    assert places(fold({}, [outage("a", 0.0)], 10.0, last=41)) == {"a": 42}


def test_an_incident_has_no_more_than_fits() -> None:
    many = [outage(f"o{n:04}", float(n)) for n in range(MOST + 10)]
    found = fold({}, many, 5000.0)
    assert [len(one.outages) for one in found.values()] == [MOST, 10]


outages = st.lists(
    st.builds(
        lambda name, began, lasts, function, planned: replace(
            outage(f"o{name}", began, began + lasts if lasts else 0.0, function), planned=planned
        ),
        st.integers(0, 30),
        st.sampled_from([float(n * 300) for n in range(40)]),
        st.sampled_from([0.0, 10.0, 500.0, 3000.0]),
        st.sampled_from(["time", "firewall"]),
        st.booleans(),
    ),
    max_size=4,
    unique_by=lambda one: one.outage_id,
)


@given(st.lists(outages, max_size=8))
def test_whatever_comes_in_whatever_order(batches: list[list[Outage]]) -> None:
    found: Mapping[int, Incident] = {}
    functions: dict[str, tuple[str, bool]] = {}
    for some in batches:
        # An outage's function, and whether it was planned, never change.
        batch = [
            replace(one, function=of[0], planned=of[1])
            for one in some
            for of in [functions.setdefault(one.outage_id, (one.function, one.planned))]
        ]
        before, found = found, fold(found, batch, 99_999.0)
        assert fold(found, batch, 99_999.0) == found
        assert set(before) <= set(found)
        now_at = places(found)
        for name, number in places(before).items():
            assert now_at[name] == number or found[number].merged_into == now_at[name] < number
        assert {one.outage_id for one in batch} <= set(now_at)
        _check_apart(found)


def _check_apart(found: Mapping[int, Incident]) -> None:
    live = [one for one in found.values() if not one.merged_into]
    assert sum(len(one.outages) for one in live) == len(places(found))
    for one in live:
        assert len({(each.function, each.planned) for each in one.outages.values()}) == 1
        for other in live:
            alike = (other.function, other.planned) == (one.function, one.planned)
            if alike and other.number > one.number:
                begins = max(one.began, other.began)
                assert begins - min(one.ended or 99_999, other.ended or 99_999) > TOUCH_S
