"""What is told of hosts that this one's proxy does not reach."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

from hullmark.agentd.problems import Problems
from hullmark.agentd.proxypeers import PACE_S, TOLD_AFTER_S, ProxyPeers
from hullmark.model.directory import Directory, Peer, ServiceEntry, ServiceName, Share
from hullmark.model.proxy import PeerLook, ProxySight
from hullmark.model.proxyplan import ProxyPlan

ENTRY = ServiceEntry(ServiceName("shop", "web"), "10.214.0.1", (80,), (Share("h2", 1),))
PEERS = tuple(Peer(f"h{number}", f"web{number}", f"192.0.2.{number}", 7443) for number in (2, 3))
TOLD = Directory(services=(ENTRY,), peers=PEERS)
SILENT = tuple(PeerLook(peer.host_id, False, 0.0, "L4TOUT") for peer in PEERS)


class Bed:
    """A host whose proxy says what it is told to, and counts how often it is asked."""

    def __init__(self) -> None:
        self.now, self.asked = 100.0, 0
        self.looks: tuple[PeerLook, ...] = SILENT
        self.directory = TOLD
        self.problems = Problems()
        self.peers_seen = ProxyPeers(
            cast(Any, self), self.problems, lambda _instance: (), lambda: self.now
        )

    def peers(self) -> tuple[PeerLook, ...]:
        self.asked += 1
        return self.looks

    def after(self, seconds: float) -> list[str]:
        self.now += seconds
        self.peers_seen.follow(ProxySight("h1", self.directory), ProxyPlan())
        return [one.message for one in self.problems.all()]


def test_a_host_that_is_needed_is_told_after_a_while_until_it_answers() -> None:
    bed = Bed()
    assert bed.after(0.0) == []
    assert bed.after(TOLD_AFTER_S - 1) == []
    bed.looks = (dataclasses.replace(SILENT[0], answers=None), SILENT[1])
    assert bed.after(PACE_S - 1) == []
    (message,) = bed.after(PACE_S)
    assert "web2 at 192.0.2.2:7443" in message
    assert "web3" not in message, "nothing is needed of it"
    bed.looks = (dataclasses.replace(SILENT[0], answers=True), SILENT[1])
    assert bed.after(PACE_S) == []


def test_it_is_over_when_nothing_is_needed_there_and_when_there_is_no_proxy() -> None:
    bed = Bed()
    bed.after(0.0)
    assert bed.after(TOLD_AFTER_S) != []
    bed.directory = Directory(peers=PEERS)
    assert bed.after(PACE_S) == []
    bed.directory = TOLD
    bed.after(PACE_S)
    assert bed.after(TOLD_AFTER_S) != []
    bed.peers_seen.forget()
    assert bed.problems.all() == ()


def test_the_proxy_is_asked_at_a_pace_and_only_where_somebody_is_needed() -> None:
    bed = Bed()
    for _ in range(10):
        bed.after(1.0)
    assert bed.asked == 2
    bed.directory = Directory(peers=PEERS)
    bed.after(PACE_S)
    assert bed.asked == 2
