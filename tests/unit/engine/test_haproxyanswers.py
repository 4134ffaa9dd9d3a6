"""How the proxy is asked which containers of its host answer."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from hullmark.engine.haproxyanswers import Answers
from hullmark.engine.haproxyruntime import BACKENDS, MOST_AT_ONCE, SERVERS, Sockets
from hullmark.model.proxy import ContainerLook, ContainerPort

WEB, API = "svc:shop:web:80", "svc:shop:api:80"
HEADER = "# pxname,svname,status,weight,act,type,check_status"


class Worker:
    """One with two backends, each with a container and another host; both numbers change with a reload."""

    def __init__(self) -> None:
        self.first = 4
        self.down: set[str] = set()
        self.asked: list[tuple[int, list[str]]] = []
        self.learned: list[list[str]] = []

    def _numbers(self) -> dict[str, str]:
        return {name: str(self.first + place) for place, name in enumerate((WEB, API))}

    def numbers(self, backends: Iterable[str]) -> dict[str, str]:
        self.learned.append(sorted(backends))
        return {name: self._numbers()[name] for name in backends if name in self._numbers()}

    def stat_of(self, kinds: int, numbers: Iterable[str]) -> list[dict[str, str]]:
        names = {number: name for name, number in self._numbers().items()}
        found = [names[number] for number in numbers if number in names]
        self.asked.append((kinds, sorted(found)))
        if kinds == BACKENDS:
            return [
                {"pxname": one, "type": "1", "act": str(2 - (one in self.down))} for one in found
            ]
        return [
            {
                "pxname": one,
                "svname": "1-g1-abc-10.0.0.2",
                "type": "2",
                "weight": "1",
                "status": "DOWN" if one in self.down else "UP",
                "check_status": "L4CON" if one in self.down else "L4OK",
            }
            for one in found
        ]


def test_what_answers_is_a_line_and_the_rest_is_read_in_full() -> None:
    worker = Worker()
    answers = Answers(cast(Any, worker))
    members = {WEB: 2, API: 2, "svc:shop:gone:80": 2}
    assert answers.look(members, ()) == ()
    assert worker.asked == [(BACKENDS, [API, WEB]), (SERVERS, [])]
    worker.down = {WEB}
    assert answers.look(members, ()) == (
        ContainerLook(ContainerPort("shop.web.1.g1", 80), False, "L4CON"),
    )
    assert worker.asked[-1] == (SERVERS, [WEB])
    worker.down = set()
    assert answers.look(members, {WEB}) == (
        ContainerLook(ContainerPort("shop.web.1.g1", 80), True, "L4OK"),
    )


def test_numbers_are_asked_for_once_for_a_worker() -> None:
    worker = Worker()
    answers = Answers(cast(Any, worker))
    members = {WEB: 2, API: 2}
    answers.look(members, ())
    answers.look(members, ())
    assert [each for each in worker.learned if each] == [[API, WEB]]
    worker.first, worker.down = 5, {API}
    assert answers.look(members, ()) == (
        ContainerLook(ContainerPort("shop.api.1.g1", 80), False, "L4CON"),
    )
    assert [each for each in worker.learned if each] == [[API, WEB], [API, WEB]]


class Told(Sockets):
    """Answers as HAProxy does to several commands at once."""

    def __init__(self) -> None:
        super().__init__(Path("/nowhere"))
        self.commands: list[list[str]] = []

    def tell(self, command: str) -> str:
        each = command.split("; ")
        self.commands.append(each)
        if each[0].startswith("show stat"):
            return "\n\n".join(f"{HEADER}\n{one.split()[2]},BACKEND,UP,1,1,1," for one in each)
        columns = "0 1 1 9 15 3 4 6 0 0"
        return "\n\n".join(
            f"1\n# be_id be_name srv_id srv_name\n{place} {one.split()[-1]} 1 one 10.0.0.2 2 {columns}"
            for place, one in enumerate(each, 7)
        )


def test_several_are_asked_for_at_once_up_to_what_haproxy_reads() -> None:
    told = Told()
    assert told.numbers([WEB, API]) == {API: "7", WEB: "8"}
    numbers = [str(number) for number in range(MOST_AT_ONCE + 1)]
    assert {row["pxname"] for row in told.stat_of(BACKENDS, numbers)} == set(numbers)
    assert [len(each) for each in told.commands] == [2, MOST_AT_ONCE, 1]
    assert told.stat_of(BACKENDS, []) == []
