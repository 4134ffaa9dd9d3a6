"""The agent's process: what it waits for, what ends it, and its command line."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hullmark.agentd import daemon, enrolment, joining
from hullmark.agentd.__main__ import main
from hullmark.agentd.daemon import Agent
from hullmark.agentd.enrolment import Enrolment
from hullmark.agentd.identity import Who
from hullmark.agentd.lock import FolderLock
from hullmark.config import AgentConfig, load_agent
from hullmark.errors import EXIT_CONFIG, Conflict

PATIENCE_S = 5.0


def until(condition: Callable[[], object]) -> None:
    turn, deadline = threading.Event(), time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it does not come to that"
        turn.wait(0.002)


def config_in(folder: Path, more: str = "") -> str:
    file = folder / "agent.yaml"
    file.write_text(f"state_dir: {folder}/state\nhost_name: box\n{more}")
    return str(file)


class Served:
    """In place of all the agent's parts: keeps whom they were to serve."""

    served: list[Who]
    configs: list[AgentConfig]
    runs: list[str]
    began: threading.Event
    sound: bool

    def __init__(self, config, who: Who, host, engine, problems, *, run: str) -> None:
        self.served.append(who)
        self.configs.append(config)
        self.runs.append(run)

    def start(self) -> None:
        self.began.set()

    def is_sound(self) -> bool:
        return self.sound

    def stop(self) -> None:
        self.began.clear()


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> type[Served]:
    Served.served, Served.configs, Served.runs = [], [], []
    Served.began, Served.sound = threading.Event(), True
    monkeypatch.setattr(daemon, "Duty", Served)
    monkeypatch.setattr(daemon, "LOOK_S", 0.005)
    return Served


def record(host_id: str) -> Enrolment:
    return Enrolment("c1", host_id, "box", ("https://m1:7441",), 0.0, 1e12)


def test_it_waits_to_be_enrolled_goes_on_by_itself_and_follows_who_it_is(
    tmp_path: Path, served: type[Served]
) -> None:
    file = config_in(tmp_path)
    agent = Agent(load_agent(file).config, file)
    thread = threading.Thread(target=agent.run)
    thread.start()
    try:
        state = tmp_path / "state"
        until(state.is_dir)
        assert not served.began.wait(0.02)
        (problem,) = agent._problems.all()
        assert problem.code == "host.unenrolled"
        assert "hullmark invite box" in problem.remedy
        enrolment.save(state, record("h1"))
        assert served.began.wait(PATIENCE_S)
        assert agent._problems.all() == ()
        enrolment.save(state, record("h2"))
        until(lambda: len(served.served) >= 2)
        assert served.served == [Who("c1", "h1"), Who("c1", "h2")]
    finally:
        agent.end()
        thread.join(PATIENCE_S)
    assert not thread.is_alive()


def test_a_state_folder_that_cannot_be_made_is_waited_for(
    tmp_path: Path, served: type[Served]
) -> None:
    file = config_in(tmp_path)
    (tmp_path / "state").write_text("in the way")
    agent = Agent(load_agent(file).config, file)
    thread = threading.Thread(target=agent.run)
    thread.start()
    try:
        until(agent._problems.all)
        assert agent._problems.all()[0].code == "state.write"
        (tmp_path / "state").unlink()
        until((tmp_path / "state").is_dir)
    finally:
        agent.end()
        thread.join(PATIENCE_S)
    assert not thread.is_alive()


def test_a_second_agent_on_a_folder_ends_with_a_clear_error(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    with pytest.raises(Conflict, match="another agent") as caught:
        FolderLock(tmp_path)
    assert str(tmp_path) in caught.value.message
    lock.release()
    FolderLock(tmp_path).release()


def test_a_wrong_configuration_ends_it_naming_file_and_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = config_in(tmp_path, "paralel: 8\n")
    assert main(["run", "--config", file]) == EXIT_CONFIG
    said = capsys.readouterr().err
    assert f"{file}:3" in said
    assert "parallel" in said


@pytest.mark.parametrize("words", [[], ["walk"], ["run", "--fast"], ["enroll"]])
def test_wrong_usage_has_its_own_exit_code(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 64
    assert "--help" in capsys.readouterr().err


def test_a_token_that_others_may_read_is_not_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token = tmp_path / "token"
    token.write_text("hmi1.abc")
    token.chmod(0o644)
    assert main(["enroll", "--config", config_in(tmp_path), "--token-file", str(token)]) == 2
    assert "accessible to others" in capsys.readouterr().err
    token.chmod(0o600)
    assert main(["enroll", "--config", config_in(tmp_path), "--token-file", str(token)]) == 2
    assert "not an invite token" in capsys.readouterr().err


def test_a_missing_token_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gone = str(tmp_path / "gone")
    assert main(["enroll", "--config", config_in(tmp_path), "--token-file", gone]) == 2
    assert gone in capsys.readouterr().err


def test_an_enrolled_host_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joining, "_usable", lambda folder: record("h1"))
    assert main(["enroll", "--config", config_in(tmp_path), "--token-file", "-"]) == 0
    assert "enrolled already" in capsys.readouterr().out


def test_a_renewal_says_what_to_do_on_a_host_that_is_not_enrolled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["renew", "--config", config_in(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "not enrolled" in said
    assert "hullmark agent enroll --token-file FILE" in said
