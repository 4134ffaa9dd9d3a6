from __future__ import annotations

import re
from typing import Optional

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hullmark.model import names
from hullmark.model.epoch import NO_EPOCH, Epoch
from hullmark.model.orders import InstanceId, Orders

APPS = st.from_regex(names.APP_NAME, fullmatch=True)
SERVICES = st.from_regex(names.SERVICE_NAME, fullmatch=True)
NUMBERS = st.integers(0, 999_999_999)
INSTANCES = st.builds(InstanceId, APPS, SERVICES, NUMBERS, NUMBERS)


@given(INSTANCES)
@settings(max_examples=30)
def test_a_container_name_says_which_instance_it_is(instance: InstanceId) -> None:
    name = instance.container_name
    assert names.parse_container_name(name) == instance
    assert names.parse_container_name("/" + name) == instance
    assert re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", name), "engines allow no other"


@given(INSTANCES, INSTANCES)
@settings(max_examples=30)
def test_two_instances_have_two_names(one: InstanceId, other: InstanceId) -> None:
    assert (one == other) is (one.container_name == other.container_name)


@given(st.text(st.sampled_from("ab.g0123-_/"), max_size=14))
def test_only_what_is_ours_is_taken_for_ours(name: str) -> None:
    instance = names.parse_container_name(name)
    assert instance is None or instance.container_name == name.lstrip("/")


@pytest.mark.parametrize(
    ("name", "instance"),
    [
        ("shop.web.1.g2", InstanceId("shop", "web", 1, 2)),
        ("shop.we.b.1.1.g2", InstanceId("shop", "we.b.1", 1, 2)),
        ("shop.web.1", None),
        ("shop.web.1.2", None),
        ("shop.web.01.g2", None),
        ("shop.web.1.g02", None),
        ("shop.web.-1.g2", None),
        ("shop.web.\u0661.g2", None),
        ("shop.web.1.g", None),
        ("shop.web.1.g2\n", None),
        ("Shop.web.1.g2", None),
        ("shop..1.g2", None),
        (".web.1.g2", None),
        ("shop.web.1.g" + "9" * 5000, None),
        ("", None),
    ],
)
def test_container_names(name: str, instance: Optional[InstanceId]) -> None:
    assert names.parse_container_name(name) == instance


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (names.APP_NAME, ["a", "0", "my-app_2", "a" * 63], ["", "A", "-a", "a.b", "a" * 64, "a\n"]),
        (names.SERVICE_NAME, ["a", "A.b", "0-_", "a" * 63], ["", ".a", "-a", "a b", "a/b", "é"]),
        (
            names.HOST_NAME,
            ["a", "web-1.example.com", "10.0.0.1", "a" * 63],
            ["", "A", "-a", "a-", "a..b", ".a", "a.", "a_b", "a" * 64],
        ),
    ],
)
def test_forms(pattern: re.Pattern[str], good: list[str], bad: list[str]) -> None:
    assert [text for text in good if not pattern.fullmatch(text)] == []
    assert [text for text in bad if pattern.fullmatch(text)] == []


def test_labels() -> None:
    labels = names.instance_labels("c1", InstanceId("shop", "web", 1, 2), "abc", Epoch(1, 4))
    assert labels == {
        "io.hullmark.cluster": "c1",
        "io.hullmark.app": "shop",
        "io.hullmark.service": "web",
        "io.hullmark.slot": "1",
        "io.hullmark.generation": "2",
        "io.hullmark.spec-hash": "abc",
        "io.hullmark.epoch": "1.4",
    }
    scoped = names.instance_labels("c1", InstanceId("shop", "web", 1, 2), "abc", Epoch(1, 4), "cde")
    assert scoped == {**labels, "io.hullmark.scope": "cde"}
    assert names.engine_name("shop", "data") == "shop_data"


def test_no_key_of_the_store_is_another_ones_prefix() -> None:
    keys = [
        names.CLUSTER_KEY,
        names.LEADER_KEY,
        names.APPS,
        names.HOSTS,
        names.ASSIGNMENTS,
        names.REQUESTS,
        names.INVITES,
        names.SESSIONS,
        names.EVENTS,
    ]
    assert all(key.startswith(names.ROOT) for key in keys)
    assert not [(a, b) for a in keys for b in keys if a != b and a.startswith(b)]


def test_orders_find_an_instance() -> None:
    assert Orders("c", "h").find(InstanceId("a", "b", 1, 1)) is None


EPOCHS = st.builds(Epoch, st.integers(0, 99), st.integers(0, 99))


@given(EPOCHS)
def test_an_epoch_reads_its_own_text(epoch: Epoch) -> None:
    assert Epoch.parse(str(epoch)) == epoch
    assert epoch >= NO_EPOCH


@given(EPOCHS, EPOCHS)
def test_the_incarnation_counts_first(one: Epoch, other: Epoch) -> None:
    pair = (one.incarnation, one.term), (other.incarnation, other.term)
    assert (one < other) is (pair[0] < pair[1])
    assert (one == other) is (pair[0] == pair[1])


def test_epochs_are_numbers_not_text() -> None:
    assert Epoch(1, 9) < Epoch(1, 10) < Epoch(2, 1) < Epoch(10, 0)


@pytest.mark.parametrize(
    "text", ["", "1", "1.", ".1", "1.2.3", "-1.2", "1.a", "1. 2", "\u0661.\u0662", "1,2"]
)
def test_what_is_no_epoch(text: str) -> None:
    with pytest.raises(ValueError, match="not an epoch"):
        Epoch.parse(text)
