"""The agent's process: what it waits for, what ends it, and its command line."""

from __future__ import annotations

import io
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from hullmark.agentd import alarm, attendance, daemon, enrolment, joining
from hullmark.agentd.__main__ import main
from hullmark.agentd.attendance import unenrolled_id
from hullmark.agentd.daemon import Agent, heed_signals
from hullmark.agentd.ejected import mark
from hullmark.agentd.enrolment import Enrolment
from hullmark.agentd.identity import Who
from hullmark.agentd.lock import FolderLock
from hullmark.agentd.lookers import Look
from hullmark.config import AgentConfig, load_agent
from hullmark.errors import EXIT_CONFIG, Conflict
from hullmark.host.notify import ServiceManager
from hullmark.model.audit import Record
from hullmark.model.auditline import parse
from hullmark.model.control import Framework, Posture
from hullmark.model.outage import Outage

PATIENCE_S = 5.0


def until(condition: Callable[[], object]) -> None:
    turn, deadline = threading.Event(), time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it does not come to that"
        turn.wait(0.002)


def config_in(folder: Path, more: str = "") -> str:
    file = folder / "agent.yaml"
    (folder / "agent.d").mkdir(exist_ok=True)
    (folder / "agent.d" / "controls.yaml").write_text(
        f"run_dir: {folder}/run\ncontrols: {{dir: '{folder}/controls.d'}}\nalerts: {{log: none}}\n"
    )
    file.write_text(
        f"state_dir: {folder}/state\nhost_name: box\n"
        f"audit: {{dir: '{folder}/log', copies: none}}\n{more}"
    )
    return str(file)


class Served:
    """In place of all the agent's parts: keeps whom they were to serve."""

    served: list[Who]
    configs: list[AgentConfig]
    runs: list[str]
    postures: list[Posture]
    began: threading.Event
    sound: bool

    def __init__(self, config, who: Who, host, guard, problems, *, run: str) -> None:
        self.served.append(who)
        self.configs.append(config)
        self.runs.append(run)
        self.link = None

    def start(self) -> None:
        self.began.set()

    def is_sound(self) -> bool:
        return self.sound

    def tell(self, kind: str, subject: str, message: str, fields: Mapping[str, str]) -> None:
        """Nobody listens."""

    def show_posture(self, posture: Posture, outages: tuple[Outage, ...]) -> None:
        self.postures.append(posture)

    def stop(self) -> None:
        self.began.clear()


class Unwatched:
    """In place of the watch on files, for which a library asks a program where it is."""

    def __init__(self, *_: object) -> None:
        """Nothing is watched."""

    def looks(self) -> Mapping[str, Look]:
        return {}

    def run(self, stopping: threading.Event) -> None:
        """Nothing changes."""


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[Served]:
    Served.served, Served.configs, Served.runs = [], [], []
    Served.postures = []
    Served.began, Served.sound = threading.Event(), True
    none = tmp_path / "shipped"
    none.mkdir()
    (none / "none.yaml").write_text("# no controls\n")
    monkeypatch.setattr(attendance, "shipped_controls", lambda: str(none))
    monkeypatch.setattr(alarm, "load_framework", lambda *_: Framework("none", "None"))
    monkeypatch.setattr(attendance, "WatchedFiles", Unwatched)
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
        assert agent._problems.all() == (), "a host that nobody enrolled has no problem"
        assert agent._standing() == "Only checks this host, which is not enrolled; no problems."
        enrolment.save(state, record("h1"))
        assert served.began.wait(PATIENCE_S)
        assert agent._problems.all() == ()
        enrolment.save(state, record("h2"))
        until(lambda: len(served.served) >= 2)
        assert served.served == [Who("c1", "h1"), Who("c1", "h2")]
        until(lambda: served.postures and served.postures[-1].enrolled)
    finally:
        agent.end()
        thread.join(PATIENCE_S)
    assert not thread.is_alive()


def test_it_ends_when_its_host_is_ejected_and_then_serves_nobody(
    tmp_path: Path, served: type[Served]
) -> None:
    file, state = config_in(tmp_path), tmp_path / "state"
    state.mkdir()
    enrolment.save(state, record("h1"))
    agent = Agent(load_agent(file).config, file)
    thread = threading.Thread(target=agent.run)
    thread.start()
    try:
        assert served.began.wait(PATIENCE_S)
        mark(state)
        until(lambda: not thread.is_alive())
        assert not served.began.is_set()
    finally:
        agent.end()

    again = Agent(load_agent(file).config, file)
    thread = threading.Thread(target=again.run)
    thread.start()
    try:
        until(again._problems.all)
        assert [problem.code for problem in again._problems.all()] == ["host.ejected"]
        FolderLock(state).release()  # free, so that `eject` can go on
        assert served.served == [Who("c1", "h1")]
        enrolment.save(state, record("h2"))
        assert served.began.wait(PATIENCE_S)
        assert again._problems.all() == ()
    finally:
        again.end()
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
    assert f"{file}:4" in said
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


def test_an_enrolled_host_needs_no_token(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joining, "_usable", lambda folder: record("h1"))
    words = ["enroll", "--config", config_in(tmp_path), "--token-file"]
    for given in (str(tmp_path / "used-up-and-removed"), "-"):
        monkeypatch.setattr("sys.stdin", io.StringIO(""))
        assert main([*words, given]) == 0
        assert "enrolled already" in capsys.readouterr().out
        assert main([*words, given, "--output", "json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["schema"] == "hullmark.agent-enroll/1"
        assert (told["changed"], told["host_id"]) == (False, "h1")
        assert told["service"] == "not installed"


def test_errors_are_documents_where_those_are_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = str(tmp_path / "gone")
    words = ["enroll", "--config", config_in(tmp_path), "--token-file", gone, "--output", "json"]
    assert main(words) == 2
    told = json.loads(capsys.readouterr().err)
    assert told["schema"] == "hullmark.error/1"
    assert told["problems"][0]["file"] == gone


class Manager(ServiceManager):
    """A service manager that keeps what it is told."""

    def __init__(self) -> None:
        super().__init__("/nobody", 0.001)
        self.told: list[str] = []

    def _tell(self, state: str) -> None:
        self.told.append(state)

    def words(self) -> list[str]:
        return [one.partition("\n")[0] for one in self.told if one != "WATCHDOG=1"]


class Running:
    """An agent in a thread of its own."""

    def __init__(self, folder: Path, more: str = "") -> None:
        self.file = Path(config_in(folder, more))
        self.manager = Manager()
        self.agent = Agent(load_agent(str(self.file)).config, str(self.file), self.manager)
        self.problems = self.agent._problems
        self._thread = threading.Thread(target=self.agent.run)

    def __enter__(self) -> Running:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.agent.end()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()

    def reload(self) -> None:
        """Until it is done."""
        until(lambda: "READY=1" in self.manager.told)
        before = self.manager.told.count("READY=1")
        self.agent.reload()
        until(lambda: self.manager.told.count("READY=1") > before)


def enrolled_in(folder: Path) -> None:
    (folder / "state").mkdir(mode=0o700, exist_ok=True)
    enrolment.save(folder / "state", record("h1"))


def test_a_service_manager_hears_that_it_is_ready_whatever_it_waits_for(
    tmp_path: Path, served: type[Served]
) -> None:
    with Running(tmp_path) as running:
        until(lambda: "READY=1" in running.manager.told)
        until(lambda: running.manager.told.count("WATCHDOG=1") > 2)
        assert any("Only checks this host" in one for one in running.manager.told)
        enrolled_in(tmp_path)
        until(lambda: "STATUS=Serves host box of cluster c1; no problems." in running.manager.told)
        assert running.manager.told.count("READY=1") == 1
    assert running.manager.told[-1] == "STOPPING=1"


def test_no_sign_of_life_while_a_loop_is_dead(tmp_path: Path, served: type[Served]) -> None:
    enrolled_in(tmp_path)
    with Running(tmp_path) as running:
        until(lambda: running.manager.told.count("WATCHDOG=1") > 2)
        served.sound = False
        running.problems.set("agent.stuck.sync", "the agent's sync loop stands still")
        until(lambda: "agent.stuck.sync" in running.manager.told[-1])
        beats = running.manager.told.count("WATCHDOG=1")
        running.reload()  # some more looks
        running.reload()
        assert running.manager.told.count("WATCHDOG=1") == beats
        served.sound = True
        until(lambda: running.manager.told.count("WATCHDOG=1") > beats)


def test_a_reload_takes_a_good_configuration_over_in_the_same_life(
    tmp_path: Path, served: type[Served]
) -> None:
    enrolled_in(tmp_path)
    with Running(tmp_path) as running:
        until(lambda: served.configs)
        running.reload()
        assert len(served.configs) == 1, "nothing in it is another"
        running.file.write_text(running.file.read_text() + "parallel: 3\n")
        running.reload()
        until(lambda: len(served.configs) == 2)
        assert [one.parallel for one in served.configs] == [8, 3]
        assert served.runs[0] == served.runs[1], "to the leader it is the same agent"
        assert running.manager.words().count("RELOADING=1") == 2


@pytest.mark.parametrize(
    ("more", "line", "said"),
    [
        ("paralel: 8\n", 4, "did you mean parallel?"),
        ("parallel: many\n", 4, "a whole number from 1 to 64"),
        ("state_dir: /elsewhere\n", 4, "stands here and in"),
    ],
)
def test_a_reload_of_a_bad_configuration_keeps_the_last_good_one(
    tmp_path: Path, served: type[Served], more: str, line: int, said: str
) -> None:
    enrolled_in(tmp_path)
    with Running(tmp_path) as running:
        until(lambda: served.configs)
        good = running.file.read_text()
        running.file.write_text(good + more)
        running.reload()
        (problem,) = running.problems.all()
        assert problem.code == "config.invalid"
        assert f"{running.file}:{line}: " in problem.message
        assert said in problem.message
        assert "systemctl reload hullmark-agent" in problem.remedy
        assert len(served.configs) == 1
        running.file.write_text(good)
        running.reload()
        assert running.problems.all() == ()
        assert len(served.configs) == 1


def records_in(folder: Path) -> list[Record]:
    """What the agent says of itself; nothing before its log has begun."""
    log = folder / "log" / "audit.log"
    lines = log.read_bytes().splitlines() if log.exists() else []
    found = [parse(line) for line in lines]
    return [one for one in found if one.entry.kind.partition(".")[0] == "agent"]


def test_its_start_its_reloads_and_its_end_are_recorded(
    tmp_path: Path, served: type[Served]
) -> None:
    enrolled_in(tmp_path)
    with Running(tmp_path) as running:
        until(lambda: served.configs)
        good = running.file.read_text()
        running.file.write_text(good + "parallel: 3\n")
        running.reload()
        running.file.write_text(good + "paralel: 3\n")
        running.reload()
    found = records_in(tmp_path)
    assert [(one.entry.kind, one.entry.outcome.value) for one in found] == [
        ("agent.started", "success"),
        ("agent.reloaded", "success"),
        ("agent.reloaded", "failure"),
        ("agent.stopped", "success"),
    ]
    assert {one.log for one in found} == {"host:h1"}
    assert {one.entry.subject for one in found} == {"host box"}
    assert found[1].entry.fields["changed"] == "parallel"
    assert "did you mean parallel" in found[2].entry.reason


def test_the_log_of_before_the_enrolment_is_kept_and_another_begins(
    tmp_path: Path, served: type[Served]
) -> None:
    with Running(tmp_path) as running:
        until(lambda: running.agent._guard.auditing.host_id.startswith("unenrolled-"))
        log = tmp_path / "log"
        until(lambda: records_in(tmp_path))
        enrolled_in(tmp_path)
        until(lambda: served.configs)
        until(lambda: list(log.glob("former-*")) and records_in(tmp_path))
        (former,) = log.glob("former-host-unenrolled-*-audit.log")
    before = [parse(line) for line in former.read_bytes().splitlines()]
    assert [one.entry.kind for one in before] == ["audit.begun", "agent.started", "controls.read"]
    assert {one.log for one in before} == {f"host:{unenrolled_id()}"}
    after = [parse(line) for line in (log / "audit.log").read_bytes().splitlines()]
    kinds = [one.entry.kind for one in after]
    assert kinds[0] == "audit.former"
    assert {"agent.started", "controls.read", "agent.stopped"} < set(kinds)
    assert {one.log for one in after} == {"host:h1"}


def test_an_enrolment_that_can_not_be_read_is_a_problem_and_changes_no_log(
    tmp_path: Path, served: type[Served]
) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state" / enrolment.RECORD).write_text("no record")
    with Running(tmp_path) as running:
        until(running.problems.all)
        (problem,) = running.problems.all()
        assert problem.code == "host.unenrolled"
        assert running.agent._standing().startswith("Waits to serve; host.unenrolled: ")
        assert running.agent._guard.auditing.host_id == "", (
            "it may be the host's, which is not known"
        )
    assert not (tmp_path / "log").exists()


def test_a_log_that_can_not_be_opened_is_a_problem_and_does_not_end_it(
    tmp_path: Path, served: type[Served]
) -> None:
    enrolled_in(tmp_path)
    (tmp_path / "log").write_text("in the way")
    with Running(tmp_path) as running:
        until(lambda: served.configs)
        running.agent._guard.auditing.look()
        assert [one.code for one in running.problems.all()] == ["audit.unwritable"]


def test_the_state_folder_does_not_change_under_a_running_agent(
    tmp_path: Path, served: type[Served]
) -> None:
    enrolled_in(tmp_path)
    with Running(tmp_path) as running:
        until(lambda: served.configs)
        running.file.write_text(f"state_dir: {tmp_path}/other\nparallel: 3\n")
        running.reload()
        (problem,) = running.problems.all()
        assert f"{running.file}:1: state_dir: can't change while the agent runs" in problem.message
        assert len(served.configs) == 1
        assert not (tmp_path / "other").exists()


def test_signals_end_it_and_have_it_read_its_configuration(tmp_path: Path) -> None:
    calls: list[str] = []

    class Called(Agent):
        def end(self) -> None:
            calls.append("end")

        def reload(self) -> None:
            calls.append("reload")

    kept = {number: signal.getsignal(number) for number in (1, 2, 15)}
    try:
        heed_signals(Called(load_agent(config_in(tmp_path)).config, ""))
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
    finally:
        for former, handler in kept.items():
            signal.signal(former, handler)
    assert calls == ["reload", "end", "end"]


def test_a_renewal_says_what_to_do_on_a_host_that_is_not_enrolled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["renew", "--config", config_in(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "not enrolled" in said
    assert "hullmark agent enroll --token-file FILE" in said
