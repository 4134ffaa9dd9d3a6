"""Which hosts a proxy needs and has not reached, and since when."""

from __future__ import annotations

from hullmark.core.unreached import needed, since
from hullmark.model.directory import Directory, ServiceEntry, ServiceName, Share
from hullmark.model.proxy import PeerLook


def entry(service: str, *elsewhere: Share) -> ServiceEntry:
    return ServiceEntry(ServiceName("shop", service), "10.214.0.1", (80,), elsewhere)


def test_needed_is_who_serves_something() -> None:
    both = entry("web", Share("h2", 1), Share("h3", 2))
    told = Directory(services=(both, entry("api", Share("h3", 1), Share("h4", 0))))
    assert needed(told) == {"h2": ServiceName("shop", "web"), "h3": ServiceName("shop", "api")}


def test_one_that_does_not_answer_has_been_so_for_as_long_as_the_proxy_knows() -> None:
    assert since({}, [PeerLook("h2", False, 40)], 100.0) == {"h2": 60.0}


def test_a_reload_begins_nothing_anew() -> None:
    former = {"h2": 60.0}
    assert since(former, [PeerLook("h2", None, 1)], 101.0) == former
    assert since(former, [PeerLook("h2", False, 2)], 103.0) == former
    assert since({}, [PeerLook("h2", None, 1)], 101.0) == {}


def test_it_is_over_with_an_answer_and_with_the_host() -> None:
    former = {"h2": 60.0, "h3": 60.0}
    assert since(former, [PeerLook("h2", True, 0)], 103.0) == {}
