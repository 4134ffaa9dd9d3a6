"""Who may become another master: by an invite of that kind, for that name, once for one key."""

from __future__ import annotations

import pytest

from hullmark.errors import Conflict, Forbidden, InvalidInput, Refused
from hullmark.masterd.cluster import Cluster
from hullmark.model.api import InviteRequest
from hullmark.model.peers import MasterInviteRequest
from tests.unit.masterd.leading import ALICE, lead

SECRET = "a" * 64


async def used(cluster: Cluster, name: str = "m2", key: str = "k1", secret: str = SECRET) -> str:
    return await cluster.peers.join(secret, name, key, "192.0.2.2", lambda: "signed")


def test_an_invite_is_good_for_one_key() -> None:
    async def test(cluster: Cluster) -> None:
        await cluster.peers.invite(MasterInviteRequest("m2"), SECRET, ALICE)
        with pytest.raises(Forbidden, match="for master m2, not for m3"):
            await used(cluster, "m3")
        assert [await used(cluster), await used(cluster)] == ["signed", "signed"]
        with pytest.raises(Forbidden, match="used already"):
            await used(cluster, key="k2")
        told = {event.kind for event in cluster.events().events}
        assert {"master.invited", "master.joined"} <= told

    lead(test)


def test_what_can_not_be_signed_leaves_the_invite_as_it_was() -> None:
    def refuse() -> str:
        raise Refused("the root's key is not here")

    async def test(cluster: Cluster) -> None:
        await cluster.peers.invite(MasterInviteRequest("m2"), SECRET, ALICE)
        with pytest.raises(Refused, match="root's key"):
            await cluster.peers.join(SECRET, "m2", "k1", "192.0.2.2", refuse)
        assert await used(cluster, key="k2") == "signed"

    lead(test)


def test_a_host_s_invite_makes_no_master_and_a_master_s_no_host() -> None:
    async def test(cluster: Cluster) -> None:
        await cluster.invite(InviteRequest("m2"), SECRET, ALICE)
        with pytest.raises(Forbidden, match="not known here"):
            await used(cluster)
        await cluster.peers.invite(MasterInviteRequest("m2"), "b" * 64, ALICE)
        with pytest.raises(Forbidden, match="not known here"):
            await cluster.enroll("b" * 64, "m2", lambda invite, existing: pytest.fail("let in"))

    lead(test)


def test_names_and_times_are_checked() -> None:
    async def test(cluster: Cluster) -> None:
        with pytest.raises(Conflict, match="own name"):
            await cluster.peers.invite(MasterInviteRequest("m1"), SECRET, ALICE)
        for wrong in (MasterInviteRequest("M 2"), MasterInviteRequest("m2", 1e9)):
            with pytest.raises(InvalidInput):
                await cluster.peers.invite(wrong, SECRET, ALICE)

    lead(test)
