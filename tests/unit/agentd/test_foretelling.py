"""What an agent answers when a leader asks what its policy would say."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from hullmark.agentd.foretelling import REASONS_MOST, answer, by_policy
from hullmark.agentd.logs import Logs
from hullmark.agentd.policyfolder import PolicyFolder
from hullmark.agentd.problems import Problems
from hullmark.agentd.tasks import Tasks
from hullmark.config import load_agent
from hullmark.errors import EngineUnavailable
from hullmark.model.app import Bundle
from hullmark.model.foresight import Intended, PolicyAnswer, PolicyQuestion, ServiceRefusal
from hullmark.model.orders import PublishedPort, Task
from hullmark.model.wire import to_wire
from tests.unit.agentd.fakes import Agent, bundle_of

WEB, DB = bundle_of("web"), bundle_of("db")
PORT = PublishedPort(80, 8080)


def asked(*services: Intended) -> dict[str, str]:
    return {"asked": json.dumps(to_wire(PolicyQuestion(services)))}


def test_each_service_is_judged_with_its_ports() -> None:
    seen = []

    def ask(bundle: Bundle, ports: tuple[PublishedPort, ...]) -> tuple[str, ...]:
        seen.append((bundle, ports))
        return tuple(f"rule {n}" for n in range(12)) if bundle is not DB and ports else ()

    found = answer(asked(Intended(WEB, (PORT,)), Intended(DB)), ask)
    assert seen == [(WEB, (PORT,)), (DB, ())]
    (refusal,) = found.refused
    assert refusal.service == "web"
    assert refusal.reasons[-2:] == (f"rule {REASONS_MOST - 1}", "and 4 more")


def test_where_it_cant_be_told_the_answer_says_so() -> None:
    def ask(bundle: Bundle, ports: tuple[PublishedPort, ...]) -> tuple[str, ...]:
        raise EngineUnavailable("the engine does not answer")

    assert answer(asked(Intended(WEB)), ask) == PolicyAnswer(error="the engine does not answer")
    for text in ("", "{", "[]", '{"services": 5}'):
        assert "not a question" in answer({"asked": text}, ask).error


@pytest.mark.parametrize("known", [True, False])
def test_the_task_is_answered_by_one_line(tmp_path: Path, known: bool) -> None:
    agent = Agent(tmp_path / "agent")
    link: Any = agent.leader
    logs = Logs(agent.engine, agent.observer, "box", threading.Event())
    tasks = Tasks(
        link,
        agent.engine,
        logs,
        foretell=(lambda bundle, ports: ("no",)) if known else None,
        start=lambda work: work(),
    )
    tasks.take(Task("t1", "judge", asked(Intended(WEB))))
    (line,) = agent.leader.answered["t1"]
    if known:
        expected = PolicyAnswer((ServiceRefusal("web", ("no",)),))
        assert json.loads(line) == to_wire(expected)
    else:
        assert "does not know tasks" in json.loads(line)["text"]


def test_a_policy_that_cant_be_read_refuses_everything(tmp_path: Path) -> None:
    folder = tmp_path / "policy.d"
    folder.mkdir()
    (folder / "50.yaml").write_text("privilegd: false\n")
    agent = Agent(tmp_path / "agent")
    main = tmp_path / "agent.yaml.main"
    main.write_text(f"state_dir: {tmp_path}/agent\n")
    config = load_agent(str(main)).config
    ask = by_policy(config, agent.engine, PolicyFolder(str(folder), Problems()))
    (reason,) = ask(WEB, ())
    assert "policy can't be read" in reason


def test_the_policy_is_asked_of_what_would_be_sent(tmp_path: Path) -> None:
    folder = tmp_path / "policy.d"
    folder.mkdir()
    rules = folder / "50.yaml"
    rules.write_text("name: strict\nprivileged: false\nports:\n  published: [443]\n")
    agent = Agent(tmp_path / "agent")
    main = tmp_path / "agent.yaml.main"
    main.write_text(f"state_dir: {tmp_path}/agent\n")
    config = load_agent(str(main)).config
    ask = by_policy(config, agent.engine, PolicyFolder(str(folder), Problems()))
    assert ask(WEB, ()) == ()
    found = ask(bundle_of("web", privileged=True), (PORT,))
    assert len(found) == 2
    assert all("50.yaml:" in reason for reason in found)
    rules.write_text("name: lax\n")
    assert ask(bundle_of("web", privileged=True), (PORT,)) == ()
    assert not agent.engine.calls
