"""Tasks of the leader, each answered once: logs of several containers, and image references."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, Optional

import pytest

from hullmark.agentd import tasks
from hullmark.agentd.logs import Logs
from hullmark.agentd.tasks import Tasks
from hullmark.engine.protocol import LogLine, Resolved
from hullmark.errors import EngineUnavailable, MasterUnavailable
from hullmark.model.directory import ServiceName
from hullmark.model.orders import InstanceId, Task
from hullmark.model.proxy import PortTraffic, Traffic
from hullmark.model.wire import from_wire
from tests.unit.agentd.fakes import Agent, bundle_of, orders_of

WEB, WEB2, DB = (InstanceId("shop", *rest) for rest in (("web", 1, 1), ("web", 2, 1), ("db", 1, 1)))


def line(second: int, text: str, stream: str = "stdout") -> LogLine:
    return LogLine(stream, f"2026-01-01T00:00:{second:02d}.000000000Z", text)


class Patience(threading.Event):
    """Ends a follow after some rounds; `between` is called before each."""

    def __init__(self, rounds: int, between: Callable[[int], None] = lambda _: None) -> None:
        super().__init__()
        self.rounds = rounds
        self.between = between
        self.done = 0

    def wait(self, timeout: Any = None) -> bool:
        self.done += 1
        self.between(self.done)
        return self.done > self.rounds


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    agent = Agent(tmp_path / "agent")
    assigned = [(WEB, bundle_of()), (WEB2, bundle_of()), (DB, bundle_of("db"))]
    agent.accept(orders_of(assigned))
    agent.settle()
    for instance, lines in (
        (WEB, [line(1, "web one"), line(4, "web four")]),
        (WEB2, [line(2, "web two", "stderr")]),
        (DB, [line(3, "db three")]),
    ):
        container = agent.engine.named(instance.container_name)
        agent.engine.lines[container.container_id] = lines
    return agent


def answer(agent: Agent, task: Task, patience: Optional[threading.Event] = None) -> list[Any]:
    return [json.loads(text) for text in raw_answer(agent, task, patience) if text.strip()]


def raw_answer(agent: Agent, task: Task, patience: Optional[threading.Event]) -> list[bytes]:
    link: Any = agent.leader
    logs = Logs(agent.engine, agent.observer, "box", patience or threading.Event())
    Tasks(link, agent.engine, logs, start=lambda work: work()).take(task)
    return agent.leader.answered[task.task_id]


def texts(records: list[Any]) -> list[str]:
    return [record["text"] for record in records]


def test_lines_of_an_app_are_merged_by_time(agent: Agent) -> None:
    records = answer(agent, Task("t1", "logs", {"app": "shop"}))
    assert texts(records) == ["web one", "web two", "db three", "web four"]
    assert records[1] == {
        "instance": "shop/web.2",
        "host": "box",
        "stream": "stderr",
        "at": "2026-01-01T00:00:02.000000000Z",
        "text": "web two",
    }


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"service": "web"}, ["web one", "web two", "web four"]),
        ({"service": "web", "slot": "1"}, ["web one", "web four"]),
        ({"service": "web", "slot": "1", "tail": "1"}, ["web four"]),
        ({"service": "none"}, []),
    ],
)
def test_a_part_of_an_app(agent: Agent, arguments: dict[str, str], expected: list[str]) -> None:
    assert texts(answer(agent, Task("t1", "logs", {"app": "shop", **arguments}))) == expected


def test_containers_that_ended_are_read_too(agent: Agent) -> None:
    agent.engine.crash(WEB.container_name)
    agent.settle()
    arguments = {"app": "shop", "service": "web", "slot": "1"}
    assert texts(answer(agent, Task("t1", "logs", arguments))) == ["web one", "web four"]


def test_following_sends_each_line_once_and_shows_whether_somebody_listens(agent: Agent) -> None:
    name = agent.engine.named(WEB.container_name).container_id

    def between(number: int) -> None:
        if number == 2:
            agent.engine.lines[name] += [line(4, "same moment"), line(5, "later")]

    arguments = {"app": "shop", "service": "web", "slot": "1", "follow": "true"}
    sent = raw_answer(agent, Task("t1", "logs", arguments), Patience(4, between))
    said = [json.loads(text)["text"] for text in sent if text.strip()]
    assert said == ["web one", "web four", "same moment", "later"]
    assert b"\n" in sent


def test_times_by_the_second_repeat_and_lose_nothing(agent: Agent) -> None:
    """As Podman gives them; and the first lines of the moment were cut off by `tail`."""
    name = agent.engine.named(WEB.container_name).container_id
    agent.engine.lines[name] = [line(4, text) for text in ("a", "b", "c")]

    def between(number: int) -> None:
        if number in (2, 3):
            agent.engine.lines[name] += [line(4, f"same {number}"), line(4, "same")]
        elif number == 4:
            agent.engine.lines[name] += [line(5, "later")]

    arguments = {"app": "shop", "service": "web", "slot": "1", "follow": "true", "tail": "2"}
    said = texts(answer(agent, Task("t1", "logs", arguments), Patience(6, between)))
    assert said == ["b", "c", "same 2", "same", "same 3", "same", "later"]


def test_a_container_made_meanwhile_joins_and_the_end_of_all_ends_it(agent: Agent) -> None:
    def between(number: int) -> None:
        if number == 1:
            agent.accept(orders_of([(WEB, bundle_of())], [WEB2, DB], revision=2))
        elif number == 3:
            agent.accept(orders_of([], [WEB, WEB2, DB], revision=3))
        agent.settle()

    patience = Patience(50, between)
    answer(agent, Task("t1", "logs", {"app": "shop", "follow": "true"}), patience)
    assert patience.done <= 4, "with the last container gone there is nothing to follow"


def test_a_round_with_more_lines_than_its_window_misses_none(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hullmark.agentd.logs.WINDOW", 3)
    name = agent.engine.named(WEB.container_name).container_id

    def between(number: int) -> None:
        if number == 1:
            agent.engine.lines[name] += [line(10 + n, f"burst {n}") for n in range(20)]

    arguments = {"app": "shop", "service": "web", "slot": "1", "follow": "true"}
    said = texts(answer(agent, Task("t1", "logs", arguments), Patience(2, between)))
    assert said == ["web one", "web four", *(f"burst {n}" for n in range(20))]


@pytest.mark.parametrize("wrong", [{"tail": "-1"}, {"slot": "x"}, {"since": "yesterday"}])
def test_a_wrong_question_is_answered_in_words(agent: Agent, wrong: dict[str, str]) -> None:
    (record,) = answer(agent, Task("t1", "logs", {"app": "shop", **wrong}))
    assert record["stream"] == "hullmark"
    assert next(iter(wrong)) in record["text"]


def test_each_task_is_answered_once(agent: Agent) -> None:
    link: Any = agent.leader
    logs = Logs(agent.engine, agent.observer, "box", threading.Event())
    begun: list[Callable[[], None]] = []
    answering = Tasks(link, agent.engine, logs, start=begun.append)
    for _ in range(3):
        answering.take(Task("t1", "logs", {"app": "shop"}))
    assert len(begun) == 1


def test_too_many_at_once_are_told_to_come_again(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "AT_ONCE", 1)
    link: Any = agent.leader
    logs = Logs(agent.engine, agent.observer, "box", threading.Event())
    begun: list[Callable[[], None]] = []
    answering = Tasks(link, agent.engine, logs, start=begun.append)
    for number in range(3):
        answering.take(Task(f"t{number}", "logs", {"app": "shop"}))
    for work in begun:
        work()
    assert len(agent.leader.answered["t0"]) == 4
    assert "ask again" in json.loads(agent.leader.answered["t1"][0])["text"]
    answering.take(Task("t9", "logs", {"app": "shop"}))
    begun[-1]()
    assert len(agent.leader.answered["t9"]) == 4, "those that are done make room"


def test_a_leader_that_stops_listening_ends_the_answer(agent: Agent) -> None:
    closed: list[bool] = []

    class Deaf:
        def send_task(self, task_id: str, lines: Iterator[bytes]) -> None:
            next(lines)
            raise MasterUnavailable("it stopped listening")

    class Watched(Logs):
        def lines(self, question: Any) -> Iterator[bytes]:
            try:
                yield from super().lines(question)
            finally:
                closed.append(True)

    deaf: Any = Deaf()
    logs = Watched(agent.engine, agent.observer, "box", threading.Event())
    task = Task("t1", "logs", {"app": "shop", "follow": "true"})
    Tasks(deaf, agent.engine, logs, start=lambda work: work()).take(task)
    assert closed == [True]


def test_a_reference_is_resolved_or_said_to_be_nowhere(agent: Agent) -> None:
    agent.engine.resolved["web:1"] = Resolved(
        "web:1", "sha256:" + "0" * 64, note="from the registry"
    )
    (found,) = answer(agent, Task("t1", "resolve", {"image": "web:1"}))
    assert found == {"digest": "sha256:" + "0" * 64, "note": "from the registry"}
    (missing,) = answer(agent, Task("t2", "resolve", {"image": "web:9"}))
    assert missing == {"error": "web:9 is nowhere", "remedy": "push it"}


def test_an_unknown_kind_is_answered_too(agent: Agent) -> None:
    (record,) = answer(agent, Task("t1", "dance"))
    assert "dance" in record["text"]


def traffic(agent: Agent, counts: Optional[tasks.Counts], **arguments: str) -> Traffic:
    link: Any = agent.leader
    logs = Logs(agent.engine, agent.observer, "box", threading.Event())
    asked = Tasks(link, agent.engine, logs, counts=counts, start=lambda work: work())
    asked.take(Task("t1", "traffic", arguments))
    (text,) = [line for line in agent.leader.answered["t1"] if line.strip()]
    return from_wire(Traffic, json.loads(text))


CARRIED = Traffic(
    tuple(
        PortTraffic(ServiceName(app, service), 80, up=1, members=1, connections=7)
        for app, service in (("shop", "api"), ("shop", "db"), ("edge", "api"))
    ),
    strangers=9,
)


@pytest.mark.parametrize(
    ("arguments", "count"),
    [({}, 3), ({"app": "shop"}, 2), ({"app": "shop", "service": "db"}, 1), ({"app": "none"}, 0)],
)
def test_what_the_proxy_carries(agent: Agent, arguments: dict[str, str], count: int) -> None:
    found = traffic(agent, lambda: CARRIED, **arguments)
    assert (len(found.ports), found.strangers, found.why) == (count, 9, "")
    assert all(one.connections == 7 for one in found.ports)


def test_a_proxy_that_does_not_answer_is_said(agent: Agent) -> None:
    def away() -> Traffic:
        raise EngineUnavailable("its socket is not there")

    assert traffic(agent, away) == Traffic(why="its socket is not there")
    assert traffic(agent, None).why == "this host can't ask its proxy now"
