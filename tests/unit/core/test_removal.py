"""What is suggested where a host can't be removed yet."""

from __future__ import annotations

import pytest

from hullmark.core.removal import removal
from hullmark.errors import Conflict
from hullmark.model.app import ContainerSpec, Mount, Service
from tests.unit.core.test_lost_hosts import DATA, cut, where, world_of

FORCE = "a host that is gone for good: hullmark host remove h1 --force"
DRAIN = "hullmark host drain h1"
MOVE = "hullmark move shop/web.1   (for each that stays)"
INVITE = "hullmark invite HOST, as there is no other host"


def refused(hosts: int, mounts: tuple[Mount, ...], lost: bool) -> Conflict:
    """Of a host that has the only instance."""
    world = world_of(hosts, ("web", Service(ContainerSpec("x", mounts=mounts))))
    assert where(world) == "id1"
    if lost:
        cut(world, "id1")
    state = world.snapshot()
    with pytest.raises(Conflict, match=r"still has shop/web\.1") as caught:
        removal(state, state.hosts["id1"], force=False)
    return caught.value


@pytest.mark.parametrize(
    ("hosts", "mounts", "remedy"),
    [
        (2, (), f"{DRAIN}; or, for {FORCE}"),
        (2, DATA, f"{MOVE}; or, for {FORCE}"),
        (1, (), f"{INVITE}; {DRAIN}; or, for {FORCE}"),
        (1, DATA, f"{INVITE}; {MOVE}; or, for {FORCE}"),
    ],
)
def test_of_a_host_that_is_heard(hosts: int, mounts: tuple[Mount, ...], remedy: str) -> None:
    assert refused(hosts, mounts, lost=False).remedy == remedy


@pytest.mark.parametrize(
    ("hosts", "mounts", "remedy"),
    [
        (2, (), f"once it is heard again: {DRAIN}; or, for {FORCE}"),
        (2, DATA, f"{MOVE}; or, for {FORCE}"),
        (1, (), f"for {FORCE}"),
        (1, DATA, f"for {FORCE}"),
    ],
)
def test_of_a_lost_host_nothing_that_needs_its_word(
    hosts: int, mounts: tuple[Mount, ...], remedy: str
) -> None:
    found = refused(hosts, mounts, lost=True)
    assert found.remedy == remedy
    assert found.message.startswith("host h1 is lost, and still has")
