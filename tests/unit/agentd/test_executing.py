"""Commands that people run: for whom they are done, how they end, and what is never done twice."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hullmark.agentd.asked import Asked, current
from hullmark.agentd.deedwords import entry_of
from hullmark.agentd.executing import HELD, NOBODY_LISTENS, Executing, Running
from hullmark.agentd.logs import Logs
from hullmark.agentd.tasks import Tasks
from hullmark.engine.protocol import Attendant, Command, Deed, DeedKind
from hullmark.errors import MasterUnavailable, NotFound, PolicyRefused
from hullmark.model.audit import Actor
from hullmark.model.execution import CLAIM, ExecRecord
from hullmark.model.orders import InstanceId, Task
from tests.unit.agentd.fakes import EPOCH, Agent, bundle_of, orders_of

WEB, LATER = InstanceId("shop", "web", 1, 1), InstanceId("shop", "web", 2, 1)
GIVEN = {
    "app": "shop",
    "service": "web",
    "slot": "1",
    "generation": "1",
    "command": '["ls", "-l"]',
    "limit_s": "30",
    "epoch": str(EPOCH),
    "by": "alice",
    "origin": "10.0.0.7",
    "ticket": "OPS-7",
    "reason": "a look",
    "request_id": "r1",
}


class Process:
    """A command that was begun; `pid` 0: its process can't be told."""

    def __init__(self, pid: int = 41) -> None:
        self.number = pid
        self.was_cut = threading.Event()

    def pid(self) -> int:
        return self.number

    def cut(self) -> None:
        self.was_cut.set()


class Kills:
    def __init__(self, works: bool = True) -> None:
        self.works = works
        self.pids: list[int] = []
        self.came = threading.Event()

    def __call__(self, pid: int, begun_at: float) -> bool:
        self.pids.append(pid)
        self.came.set()
        return self.works


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    agent = Agent(tmp_path / "agent")
    agent.accept(orders_of([(WEB, bundle_of())]))
    agent.settle()
    return agent


def executing(agent: Agent, kills: Kills) -> Executing:
    return Executing(agent.engine, agent.observer, agent.ledger, kills)


def said(lines: Iterator[bytes]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines if line.strip()]


def run(agent: Agent, **change: str) -> list[dict[str, Any]]:
    return said(executing(agent, Kills()).lines({**GIVEN, **change}))


def test_a_command_is_done_for_the_one_who_asked(agent: Agent) -> None:
    seen: list[tuple[Asked, Command]] = []

    def during(command: Command, attendant: Attendant) -> int:
        seen.append((current(), command))
        attendant.begun(Process())
        attendant.take("stdout", b"a\0b")
        attendant.take("stderr", b"oops\n")
        return 3

    agent.engine.during_exec = during
    assert run(agent, user="1000", working_dir="/srv") == [
        {"stream": "stdout", "data": base64.b64encode(b"a\0b").decode()},
        {"stream": "stderr", "data": base64.b64encode(b"oops\n").decode()},
        {"exit_code": 3},
    ]
    asked, command = seen[0]
    assert command == Command(("ls", "-l"), "1000", "/srv")
    assert asked == Asked(
        "alice", Actor.HUMAN, "10.0.0.7", "a look", "OPS-7", "r1", str(EPOCH), "shop"
    )
    assert current() == Asked(), "this thread did it for nobody"


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"epoch": "1.0"}, "StaleEpoch"),
        ({"epoch": "9.9"}, "StaleEpoch"),
        ({"slot": "2"}, "StaleEpoch"),  # nobody ordered it here
        ({"command": "[]"}, "InvalidInput"),
        ({"command": "{"}, "InvalidInput"),
        ({"command": '["a", 1]'}, "InvalidInput"),
        ({"slot": "x"}, "InvalidInput"),
        ({"epoch": "x"}, "InvalidInput"),
        ({"request_id": ""}, "Conflict"),
    ],
)
def test_what_is_not_to_be_done_is_not(agent: Agent, change: dict[str, str], kind: str) -> None:
    (found,) = run(agent, **change)
    assert found["kind"] == kind
    assert found["error"]
    assert not [call for call in agent.engine.calls if call[0] == "execute"]


def test_one_that_ended_takes_no_command(agent: Agent) -> None:
    agent.engine.crash(WEB.container_name)
    agent.observer.mark(agent.engine.named(WEB.container_name).container_id)
    agent.observer.look()
    assert run(agent)[0]["kind"] == "Conflict"


def test_nothing_is_run_twice_for_one_request(agent: Agent) -> None:
    one = executing(agent, Kills())
    assert said(one.lines(GIVEN)) == [{"exit_code": 0}]
    assert said(one.lines(GIVEN))[0]["kind"] == "Conflict"
    assert said(one.lines({**GIVEN, "request_id": "r2"})) == [{"exit_code": 0}]
    assert [call for call in agent.engine.calls if call[0] == "execute"] == [
        ("execute", "ls -l")
    ] * 2


def test_a_refusal_of_the_policy_goes_back_in_its_own_words(agent: Agent) -> None:
    def during(command: Command, attendant: Attendant) -> int:
        raise PolicyRefused("exec.allowed: not allowed here (50-pci.yaml:12)")

    agent.engine.during_exec = during
    assert run(agent) == [
        {"kind": "PolicyRefused", "error": "exec.allowed: not allowed here (50-pci.yaml:12)"}
    ]


def test_the_time_limit_kills_it_and_says_so(agent: Agent) -> None:
    kills = Kills()

    def during(command: Command, attendant: Attendant) -> int:
        attendant.begun(Process())
        assert kills.came.wait(10)
        return 137

    agent.engine.during_exec = during
    (found,) = said(executing(agent, kills).lines({**GIVEN, "limit_s": "0.05"}))
    assert found["error"] == "its time limit of 0.05 s"
    assert kills.pids == [41]


def test_who_stops_listening_ends_it(agent: Agent) -> None:
    kills, ended = Kills(), threading.Event()

    def during(command: Command, attendant: Attendant) -> int:
        attendant.begun(Process())
        attendant.take("stdout", b"x")
        assert kills.came.wait(10)
        for _ in range(3 * HELD):
            attendant.take("stdout", b"nobody reads this")
        ended.set()
        return 137

    agent.engine.during_exec = during
    lines = executing(agent, kills).lines(GIVEN)
    assert json.loads(next(lines))["stream"] == "stdout"
    lines.close()  # type: ignore[attr-defined]
    assert ended.wait(30)
    assert kills.pids == [41]


@pytest.mark.parametrize(("pid", "works"), [(0, True), (41, False)])
def test_where_nothing_can_be_killed_it_is_read_no_more(pid: int, works: bool) -> None:
    running, process = Running(60.0, Kills(works)), Process(pid)
    running.begun(process)
    running.end("asked to")
    running.end("the second reason")
    assert process.was_cut.is_set()
    assert running.ended == "asked to" + (", and its process could not be killed" if pid else "")
    running.close(ExecRecord(exit_code=0))
    running.end("too late")
    assert running.ended.startswith("asked to")


def test_one_that_is_ended_before_it_begins_is_ended_as_it_begins() -> None:
    kills = Kills()
    running = Running(60.0, kills)
    running.end(NOBODY_LISTENS)
    running.begun(Process())
    assert kills.pids == [41]
    running.close(ExecRecord(exit_code=0))


def test_the_record_has_the_whole_command() -> None:
    body = {"Cmd": ["sh", "-c", "rm 'a b'"], "User": "1000"}
    entry = entry_of(Deed(DeedKind.CONTAINER_EXEC, WEB.container_name, body, "c1"), Asked())
    assert (entry.kind, entry.subject) == ("container.exec", "shop/web.1")
    assert entry.fields["command"] == """sh -c 'rm '"'"'a b'"'"''"""
    assert entry.fields["user"] == "1000"


class Link:
    """Takes answers, or refuses the claim."""

    def __init__(self, waits: bool) -> None:
        self.waits = waits
        self.answers: list[list[bytes]] = []

    def send_task(self, task_id: str, lines: Iterator[bytes]) -> None:
        if not self.waits:
            raise NotFound(f"nobody waits for task {task_id}")
        self.answers.append(list(lines))


@pytest.mark.parametrize("waits", [True, False])
def test_nothing_is_run_until_somebody_is_known_to_wait(agent: Agent, waits: bool) -> None:
    link: Any = Link(waits)
    logs = Logs(agent.engine, agent.observer, "box", threading.Event())
    one = executing(agent, Kills())
    tasks = Tasks(link, agent.engine, logs, executing=one, start=lambda work: work())
    tasks.take(Task("t1", "exec", GIVEN))
    ran = [call for call in agent.engine.calls if call[0] == "execute"]
    assert bool(ran) is waits
    assert link.answers == ([[CLAIM + b"\n"], [b'{"exit_code":0}\n']] if waits else [])


def test_an_agent_that_runs_none_says_so(agent: Agent) -> None:
    link: Any = Link(True)
    logs = Logs(agent.engine, agent.observer, "box", threading.Event())
    Tasks(link, agent.engine, logs, start=lambda work: work()).take(Task("t1", "exec", GIVEN))
    assert json.loads(link.answers[1][0])["kind"] == "Conflict"


def test_a_leader_that_goes_away_ends_it(agent: Agent) -> None:
    kills = Kills()

    def during(command: Command, attendant: Attendant) -> int:
        attendant.begun(Process())
        attendant.take("stdout", b"x")
        assert kills.came.wait(10)
        return 137

    class Deaf(Link):
        def send_task(self, task_id: str, lines: Iterator[bytes]) -> None:
            first = next(lines)
            if first != CLAIM + b"\n":
                raise MasterUnavailable("stopped listening")

    agent.engine.during_exec = during
    link: Any = Deaf(True)
    logs = Logs(agent.engine, agent.observer, "box", threading.Event())
    one = executing(agent, kills)
    Tasks(link, agent.engine, logs, executing=one, start=lambda work: work()).take(
        Task("t1", "exec", GIVEN)
    )
    assert kills.came.wait(10)
