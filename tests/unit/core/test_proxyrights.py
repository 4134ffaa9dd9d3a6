"""Which open connections end when a right to them does, and which are nobody's business."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Optional

import pytest

from hullmark.core.proxyrights import Rights, ending, has_lost, rights_of
from hullmark.model.directory import ServiceName
from hullmark.model.orders import InstanceId
from hullmark.model.proxy import Bridge, Member, ProxySight
from hullmark.model.proxyconnection import Connection
from tests.unit.core.proxyworld import (
    API,
    BRIDGES,
    DB,
    DB_ENTRY,
    DIRECTORY,
    HERE,
    MEMBERS,
    SIGHT,
    THERE,
    THIRD,
    ZOO,
    seen,
)

API_AT, API_BACK, ZOO_AT = "172.20.0.2", "172.21.0.2", "172.22.0.2"
WITH = rights_of(SIGHT)
NO_USE = seen(services=(DIRECTORY.services[0], replace(DB_ENTRY, users=())))
GONE = seen(peers=())


def connection(frontend: str, place: str = f"{ZOO_AT}:4000", **more: Any) -> Connection:
    return Connection(0, "0x1", frontend, **{"backend": frontend, **more}, place=place)


ASKING = connection("ask:shop:db:5432", backend="svc:shop:db:5432")


def why(one: Connection, sight: ProxySight, before: Optional[Rights] = WITH) -> str:
    return ending(before, rights_of(sight), one)


def lost(sight: ProxySight, before: Optional[Rights] = WITH) -> bool:
    return has_lost(before, rights_of(sight))


def test_a_use_that_was_withdrawn_ends_what_came_by_it() -> None:
    assert lost(NO_USE)
    assert why(ASKING, NO_USE) == "zoo/web may no longer call shop/db"
    assert why(replace(ASKING, place=f"{API_AT}:1"), NO_USE) == "", "it is on a network with it"
    assert why(connection("ask:shop:api.v1:80"), NO_USE) == "", "that was not withdrawn"


def test_so_does_a_service_that_this_host_hears_no_more_of() -> None:
    """As where the only one here that used it does so no more."""
    sight = seen(services=DIRECTORY.services[:1])
    assert lost(sight)
    assert why(ASKING, sight) == "zoo/web may no longer call shop/db"


@pytest.mark.parametrize(
    "sight",
    [
        SIGHT,
        seen(members=(*MEMBERS[:2], replace(MEMBERS[2], leaving=True, serving=False))),
        seen(members=MEMBERS[:2]),
        seen(members=()),
        seen(peers=(), unproxied=(THERE,)),
        seen(admissions=()),
        seen(published=()),
        seen(certificate="another"),
        seen(bridges=BRIDGES[:2]),
    ],
)
def test_nothing_is_lost_while_rights_are_as_they_were(sight: ProxySight) -> None:
    """A container that leaves keeps what it has; one that is gone took it along; a host whose proxy is down is one all the same."""
    assert not lost(sight)
    for one in (
        ASKING,
        connection("svc:shop:db:5432", f"{API_BACK}:1"),
        connection("tls", "192.0.2.2:1", backend="own:shop:db:5432", host=THERE),
        connection("pub:shop:api.v1:80:8080", "198.51.100.1:1", server=f"{THERE}-192.0.2.2-7443"),
    ):
        assert why(one, sight) == ""


def test_an_agent_that_begins_ends_what_may_not_be_and_nothing_else() -> None:
    assert lost(SIGHT, None)
    assert why(ASKING, SIGHT, None) == ""
    assert why(ASKING, NO_USE, None) == "zoo/web may no longer call shop/db"
    stranger = connection("ask:shop:db:5432", "172.20.0.77:1")
    assert why(stranger, NO_USE, None) == "", "of a container that is gone"


def test_a_network_that_is_shared_no_more() -> None:
    """By another bridge of the service's anybody may call who is on it, whoever that is."""
    apart = seen(members=(replace(MEMBERS[0], addresses={"front": API_AT}), *MEMBERS[1:]))
    by_network = connection("svc:shop:db:5432", f"{API_AT}:1")
    assert why(by_network, apart) == "shop/api.v1 may no longer call shop/db"
    assert why(replace(by_network, place="172.21.0.99:1"), apart) == "", "none of ours"
    assert why(by_network, apart, None) == "", "it is not known whether it ever might"


def test_a_use_that_became_a_network_is_still_a_right() -> None:
    """What came in as a use lives on at the socket that it came by."""
    shared = replace(DB_ENTRY, networks={"back": (), "front": ()}, users=(ZOO,))
    before = rights_of(seen(services=(DIRECTORY.services[0], shared)))
    assert why(ASKING, seen(services=(DIRECTORY.services[0], shared)), before) == ""
    one = connection("ask:shop:db:5432", f"{API_AT}:1")
    assert why(one, seen(services=(DIRECTORY.services[0], shared))) == ""


def test_a_bridge_that_two_apps_are_on_gives_both_the_right() -> None:
    common = Bridge("zoo", "default", "br-back", 12, "172.21.0.0/16")
    bridges = (*BRIDGES[:2], common)
    before = rights_of(seen(bridges=bridges))
    sight = seen(bridges=bridges, services=NO_USE.directory.services)
    assert not has_lost(before, rights_of(sight))
    assert why(connection("svc:shop:db:5432"), sight, before) == ""


def test_an_address_that_is_another_containers_now_gives_it_nothing() -> None:
    other = Member(InstanceId("sea", "web", 1, 1), "f" * 64, {"default": ZOO_AT}, serving=True)
    sight = seen(members=(*MEMBERS[:2], other))
    assert lost(sight)
    assert why(ASKING, sight) == "sea/web may no longer call shop/db"


def test_a_removed_host_loses_what_it_called_and_what_was_called_there() -> None:
    assert lost(GONE)
    came = connection("tls", "192.0.2.2:1", backend="own:shop:db:5432", host=THERE)
    assert why(came, GONE) == f"host {THERE} was removed from the cluster, and called shop/db"
    early = connection("tls", "192.0.2.2:1", backend="<NONE>", host=THERE)
    assert why(early, GONE).endswith("and called tls")
    for server in (f"{THERE}-192.0.2.2-7443", f"{THERE}-2001_db8__2-7443-resort"):
        for frontend in ("svc:shop:db:5432", "pub:shop:db:5432:8080", "ask:shop:db:5432"):
            one = connection(frontend, f"{API_AT}:1", server=server)
            told = f"host {THERE} was removed from the cluster, and was called for shop/db"
            assert why(one, GONE) == told


def test_those_of_other_hosts_and_of_containers_stay_then() -> None:
    peers = (*DIRECTORY.peers, replace(DIRECTORY.peers[0], host_id=THIRD))
    before = rights_of(seen(peers=peers))
    sight = seen(peers=peers[1:])
    assert has_lost(before, rights_of(sight))
    for one in (
        connection("tls", "192.0.2.2:1", backend="own:shop:db:5432", host=THIRD),
        connection("tls", "192.0.2.2:1", backend="own:shop:db:5432"),
        connection("svc:shop:db:5432", server=f"{THIRD}-192.0.2.2-7443"),
        connection("svc:shop:db:5432", server="1-g3-abcdef012345-172.21.0.3"),
        connection("svc:shop:db:5432", server="<none>"),
    ):
        assert why(one, sight, before) == ""


def test_a_host_is_one_of_the_cluster_itself() -> None:
    assert WITH.hosts == {HERE, THERE}
    assert rights_of(replace(SIGHT, directory=DIRECTORY)).callers[API_BACK] == API
    assert DB in {one.name for one in WITH.calls}
    assert ServiceName("no", "body") not in {one.name for one in WITH.calls}
