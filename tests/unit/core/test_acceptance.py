from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hullmark.core.acceptance import Held, refusal, stale
from hullmark.model.app import Bundle, ContainerSpec
from hullmark.model.epoch import NO_EPOCH, Epoch
from hullmark.model.orders import Assignment, InstanceId, Orders, Tombstone
from hullmark.model.wire import digest

WEB = Bundle("shop", "web", ContainerSpec("x"))
ONE, TWO = InstanceId("shop", "web", 1, 1), InstanceId("shop", "web", 2, 1)
NOW = Epoch(1, 4)
HELD = Held("c1", "h1", NOW, "m1", 7)
GOOD = Orders(
    "c1",
    "h1",
    NOW,
    "m1",
    8,
    (Assignment(ONE, digest(WEB)), Assignment(TWO, digest(WEB))),
    (Tombstone(InstanceId("shop", "web", 1, 0), NOW),),
    bundles={digest(WEB): WEB},
)


def test_good_orders_are_accepted_more_than_once() -> None:
    assert refusal(HELD, GOOD) == ""
    assert refusal(dataclasses.replace(HELD, revision=8), GOOD) == ""


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"cluster_id": "c2"}, "they are of another cluster"),
        ({"host_id": "h2"}, "they are for host h2"),
        ({"epoch": Epoch(1, 3)}, "epoch 1.3 has passed; 1.4 was accepted"),
        ({"epoch": Epoch(0, 9)}, "epoch 0.9 has passed; 1.4 was accepted"),
        ({"leader": "m2"}, "epoch 1.4 is m1's, not m2's"),
        ({"leader": ""}, "epoch 1.4 is m1's, not 's"),
        ({"revision": 6}, "revision 6 has passed; 7 was accepted"),
        ({"bundles": {}}, "the bundle of shop/web.1 is missing"),
        (
            {"bundles": {digest(WEB): dataclasses.replace(WEB, service="db")}},
            f"the bundle of shop/db does not have the hash {digest(WEB)[:12]}",
        ),
        ({"assignments": GOOD.assignments[:1] * 2}, "shop/web.1 is assigned twice"),
        ({"tombstones": (Tombstone(ONE, NOW),)}, "shop/web.1 is assigned and to be removed"),
        (
            {"assignments": (Assignment(InstanceId("shop", "db", 1, 1), digest(WEB)),)},
            "shop/db.1 is given the bundle of shop/web",
        ),
        (
            {"assignments": (Assignment(InstanceId("blog", "web", 1, 1), digest(WEB)),)},
            "blog/web.1 is given the bundle of shop/web",
        ),
        (
            {"assignments": (Assignment(InstanceId("../shop", "web", 1, 1), digest(WEB)),)},
            "a malformed name: ../shop/web.1",
        ),
        (
            {"assignments": (Assignment(InstanceId("shop", "", 1, 1), digest(WEB)),)},
            "a malformed name: shop/.1",
        ),
    ],
)
def test_refusals(change: dict[str, object], why: str) -> None:
    assert refusal(HELD, dataclasses.replace(GOOD, **change)) == why  # type: ignore[arg-type]


def test_a_higher_epoch_brings_another_leader_and_any_revision() -> None:
    assert (
        refusal(HELD, dataclasses.replace(GOOD, epoch=Epoch(1, 5), leader="m2", revision=1)) == ""
    )


def test_a_new_incarnation_is_not_obeyed_before_it_was_proven() -> None:
    """A poll's proof raises what is held; orders alone never do."""
    orders = dataclasses.replace(GOOD, epoch=Epoch(2, 1), leader="m2", revision=1)
    assert refusal(HELD, orders) == "incarnation 2 has not been proven"
    proven = dataclasses.replace(HELD, epoch=Epoch(2, 1), leader="m2", revision=0)
    assert refusal(proven, orders) == ""
    # A host that has obeyed nobody yet takes the first incarnation, and no other.
    new = Held("c1", "h1")
    assert refusal(new, dataclasses.replace(GOOD, epoch=Epoch(1, 9))) == ""
    assert "proven" in refusal(new, orders)


def test_an_agent_that_knows_only_the_epoch_takes_any_leader_of_it() -> None:
    """It found a container of that epoch, and its own file was lost."""
    held = Held("c1", "h1", NOW)
    assert stale(held, NOW, "m2") == ""
    assert stale(held, Epoch(1, 3), "m2") != ""


def test_a_new_agent_takes_the_first_leader() -> None:
    assert refusal(Held("c1", "h1"), GOOD) == ""
    assert stale(Held("c1", "h1"), NO_EPOCH, "m1") == ""


EPOCHS = st.builds(Epoch, st.integers(0, 2), st.integers(0, 2))
MASTERS = st.sampled_from(("m1", "m2"))


@given(st.lists(st.tuples(EPOCHS, MASTERS, st.integers(0, 3)), max_size=12))
def test_what_is_held_never_goes_back(arrivals: list[tuple[Epoch, str, int]]) -> None:
    """And in one epoch one master alone is obeyed."""
    held, obeyed = Held("c1", "h1"), dict[Epoch, str]()
    for epoch, leader, revision in arrivals:
        orders = Orders("c1", "h1", epoch, leader, revision)
        if refusal(held, orders) == "":
            assert (epoch, revision if epoch == held.epoch else held.revision) >= (
                held.epoch,
                held.revision,
            )
            assert obeyed.setdefault(epoch, leader) == leader
            held = dataclasses.replace(held, epoch=epoch, leader=leader, revision=revision)
