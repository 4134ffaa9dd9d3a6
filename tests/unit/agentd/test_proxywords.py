"""What people are told of what a proxy does not do."""

from __future__ import annotations

from hullmark.agentd.problems import Problems
from hullmark.agentd.proxywords import show_not_done, show_refused, show_unreached
from hullmark.model.directory import Admission, Peer, ServiceName
from hullmark.model.proxy import Down
from hullmark.model.proxyplan import Applied, ProxyPlan

API, WEB = ServiceName("shop", "api"), ServiceName("shop", "web")
PEERS = tuple(Peer(f"id{number}", f"web{number}", "192.0.2.1", 7443) for number in (2, 3))


def told(*refused: Admission) -> str:
    problems = Problems()
    show_refused(problems, refused, PEERS)
    (problem,) = problems.all()
    return problem.message.partition(": ")[2]


def test_hosts_that_are_turned_away_have_names() -> None:
    both = ("", "out")
    assert told(
        Admission("id2", API, ("out",)),
        Admission("id3", API, ("out",)),
        Admission("id3", WEB, both),
        Admission("id9", WEB, both),
    ) == (
        "shop/api by out of hosts web2, web3; shop/web by a published port and out of hosts id9, web3"
    )


def test_not_all_of_many_are_named() -> None:
    many = [Admission("id2", ServiceName("shop", f"s{number}"), ("out",)) for number in range(6)]
    assert told(*many).endswith("shop/s2 by out of host web2; and 3 more")


def test_hosts_that_are_not_reached_are_named_up_to_a_bound() -> None:
    problems = Problems()
    peers = [Peer(f"id{number}", f"web{number}", "2001:db8::1", 7443) for number in range(5, 0, -1)]
    show_unreached(problems, [(peer, Down(peer.host_id, "L4TOUT"), API) for peer in peers])
    (problem,) = problems.all()
    assert problem.message.partition(": ")[2].startswith(
        "web1 at [2001:db8::1]:7443 (nothing comes back: a firewall drops it, or there is no route); web2 at "
    )
    assert problem.message.endswith("; and 2 more")
    assert problem.remedy.startswith("hullmark why shop/api; ")
    assert problem.remedy.endswith(" --host web1")
    show_unreached(problems, [(peers[0], Down("id5", "L6RSP"), API)])
    (problem,) = problems.all()
    assert "a certificate" in problem.message
    assert "--firewall" not in problem.remedy
    show_unreached(problems, [])
    assert problems.all() == ()


def test_a_host_says_where_somebody_is_refused_without_a_record() -> None:
    problems = Problems()
    show_not_done(problems, (), ProxyPlan(unwatched=7), Applied())
    (problem,) = problems.all()
    assert problem.code == "proxy.unrecorded"
    assert "at 7 of the ports" in problem.message
    show_not_done(problems, (), ProxyPlan(), Applied())
    assert problems.all() == ()
