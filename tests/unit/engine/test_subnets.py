from __future__ import annotations

from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hullmark.engine.subnets import first_free
from hullmark.errors import Refused

POOL = IPv4Network("10.213.0.0/20")


def test_the_lowest_one() -> None:
    assert first_free(POOL, 25, []) == IPv4Network("10.213.0.0/25")
    taken = [
        IPv4Network("10.213.0.0/25"),
        IPv4Network("10.213.1.0/24"),
        IPv4Network("10.213.0.130/32"),
    ]
    assert first_free(POOL, 25, taken) == IPv4Network("10.213.2.0/25")


def test_what_lies_outside_does_not_matter() -> None:
    assert first_free(POOL, 25, [IPv4Network("10.214.0.0/16")]) == IPv4Network("10.213.0.0/25")


@pytest.mark.parametrize("taken", ["10.213.0.0/20", "10.0.0.0/8", "0.0.0.0/0"])
def test_none_left(taken: str) -> None:
    with pytest.raises(Refused, match=r"no free /25 left in 10\.213\.0\.0/20") as raised:
        first_free(POOL, 25, [IPv4Network(taken)])
    assert "engine.subnets" in raised.value.remedy


def test_a_prefix_wider_than_the_pool_is_the_pool() -> None:
    assert first_free(POOL, 16, []) == POOL


networks = st.builds(
    lambda number, prefix: IPv4Network((int(POOL[0]) - 512 + number * 4, prefix), strict=False),
    st.integers(0, 1500),
    st.integers(18, 32),
)


@given(st.lists(networks, max_size=12), st.integers(22, 29))
def test_it_overlaps_nothing_and_none_below_would_do(taken: list[IPv4Network], prefix: int) -> None:
    def free(candidate: IPv4Network) -> bool:
        return not any(candidate.overlaps(each) for each in taken)

    expected = next((each for each in POOL.subnets(new_prefix=prefix) if free(each)), None)
    if expected is None:
        with pytest.raises(Refused):
            first_free(POOL, prefix, taken)
    else:
        assert first_free(POOL, prefix, taken) == expected
