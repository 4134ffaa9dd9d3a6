"""What is told of containers that their host's proxy gets no answer from."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Optional, cast

from hullmark.agentd.problems import Problems
from hullmark.agentd.proxyanswers import LOOKS, ProxyAnswers
from hullmark.core import proxyplan
from hullmark.model.directory import Directory, PublishedEntry, ServiceEntry, ServiceName
from hullmark.model.orders import InstanceId
from hullmark.model.proxy import Bridge, ContainerLook, ContainerPort, Member, ProxySight

WEB = ServiceName("shop", "web")
TOLD = Directory(
    range="10.214.0.0/16",
    services=(ServiceEntry(WEB, "10.214.0.1", (80,), networks={"back": ()}),),
    published=(PublishedEntry(8080, "", WEB, 80),),
)
BRIDGE = Bridge("shop", "back", "br-1", 3, "10.213.0.0/25", "10.213.0.1")
BACKEND = "svc:shop:web:80"


class Bed:
    """A host that runs instances of `shop/web`, whose proxy says what it is told to."""

    def __init__(self) -> None:
        self.instances = 1
        self.answers: Optional[bool] = False
        self.why = "L4CON"
        self.asked: list[tuple[Mapping[str, int], set[str]]] = []
        self.problems = Problems()
        self.seen = ProxyAnswers(cast(Any, self), self.problems, lambda _instance: ())

    def containers(
        self, members: Mapping[str, int], doubted: Collection[str]
    ) -> tuple[ContainerLook, ...]:
        self.asked.append((members, set(doubted)))
        return tuple(
            ContainerLook(ContainerPort(f"shop.web.{slot}.g1", 80), self.answers, self.why)
            for slot in range(1, self.instances + 1)
        )

    @property
    def sight(self) -> ProxySight:
        members = tuple(
            Member(
                InstanceId("shop", "web", slot, 1),
                f"{slot}" * 64,
                {"back": f"10.213.0.{slot + 1}"},
                serving=True,
            )
            for slot in range(1, self.instances + 1)
        )
        return ProxySight("h1", TOLD, members, (BRIDGE,))

    def look(self, times: int = 1) -> str:
        for _ in range(times):
            self.seen.keep(self.sight)
            self.seen.look(self.sight, proxyplan.plan(self.sight))
        return self.said

    @property
    def said(self) -> str:
        return "".join(one.message for one in self.problems.all())


def test_it_is_told_after_some_looks_in_a_row_until_it_answers() -> None:
    bed = Bed()
    assert bed.look(LOOKS - 1) == ""
    bed.answers = True
    assert bed.look() == ""
    bed.answers = False
    assert bed.look(LOOKS - 1) == "", "in a row"
    said = bed.look()
    assert "shop.web.1.g1 on port 80 (it is refused: nothing listens there" in said
    (problem,) = bed.problems.all()
    assert problem.code == "proxy.unanswered"
    assert problem.remedy.startswith("hullmark why shop/web; ")
    bed.answers, bed.why = None, "INI"
    assert bed.look() == said, "the proxy was only loaded anew"
    bed.answers = True
    assert bed.look() == ""


def test_not_all_of_many_are_named() -> None:
    bed = Bed()
    bed.instances = 5
    assert bed.look(LOOKS).endswith("; and 2 more")


def test_it_is_over_at_once_with_the_container_and_with_the_proxy() -> None:
    bed = Bed()
    assert bed.look(LOOKS) != ""
    bed.instances, asked = 0, len(bed.asked)
    bed.seen.keep(bed.sight)
    assert (bed.said, len(bed.asked)) == ("", asked)
    bed.instances = 1
    assert bed.look() == "", "it is another matter"
    assert bed.look(LOOKS - 1) != ""
    bed.seen.forget()
    assert bed.said == ""


def test_the_proxy_is_asked_in_full_for_what_did_not_answer_only() -> None:
    bed = Bed()
    bed.answers = True
    bed.look()
    bed.answers = False
    bed.look(2)
    assert bed.asked == [
        ({BACKEND: 1}, set()),
        ({BACKEND: 1}, set()),
        ({BACKEND: 1}, {BACKEND}),
    ]
    bed.instances = 0
    bed.look()
    assert len(bed.asked) == 3, "there is nobody to answer"
