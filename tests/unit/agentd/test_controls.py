"""Controls on a host, without its threads: definitions, results, what is recorded, what is shown."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Optional

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hullmark.agentd import controlrecords, looking, posturing
from hullmark.agentd.controlling import RARER, Controlling, Makings
from hullmark.agentd.controlrecords import Diary, readings_text
from hullmark.agentd.definitions import Definitions
from hullmark.agentd.lookers import NO_ENGINE, NONE_HERE, Lookers, assemble, filled
from hullmark.agentd.looking import Looked, Looking, Task
from hullmark.agentd.posturing import Posturing
from hullmark.agentd.problems import Problems
from hullmark.agentd.results import Results, looked_at_all, tasks_of
from hullmark.agentd.runner import Runner
from hullmark.config import load_agent, load_controls, shipped_controls
from hullmark.core.checks import Seen
from hullmark.core.checks.judge import failed
from hullmark.host.eye import Eye
from hullmark.model.audit import Entry
from hullmark.model.checkkinds import KINDS
from hullmark.model.control import (
    CheckSpec,
    Condition,
    ControlSpec,
    ControlState,
    Finding,
    Mode,
    Posture,
    Reading,
    Status,
    Trouble,
)
from hullmark.model.moments import moment, nanoseconds
from hullmark.model.outage import Incident, Outage
from hullmark.model.wire import from_wire
from tests.unit.agentd.test_runner import ByHand

ONE = """\
controls:
  - id: our-file
    function: site-file
    title: Our file
    remediation: write it
    checks:
      - {id: says, kind: file_content, path: /watched, must_match: "^well$", interval: 10s, timeout: 5s}
"""
SPEC = ControlSpec(
    "time",
    "time",
    "Time",
    "",
    Condition.ALL,
    (CheckSpec("daemon", "process", 1, 10.0, 5.0), CheckSpec("sync", "command", 2, 60.0, 5.0)),
    "mend it",
)
DAEMON, SYNC = tasks_of([SPEC])
PASSED, FAILED = Finding(Status.PASS, 1), Finding(Status.FAIL, reason="not well")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now

    def wall(self) -> float:
        return 1e9 + self.now


def looked(clock: Clock, finding: Finding = PASSED, *readings: Reading) -> Looked:
    return Looked(finding, readings, clock.wall(), 0.0)


# -- looking


def test_a_look_is_given_what_the_agent_knows_where_the_file_says_nothing() -> None:
    def look(eye: Eye, given: Mapping[str, object]) -> tuple[Reading, ...]:
        return (Reading("given", "", text=f"{given['path']} {given['last']} {given['at_most']}"),)

    with_known = filled(look, lambda: {"path": "/ours", "last": "/end"})
    given = {"path": None, "last": "/said", "at_most": 7}
    assert with_known(Eye(), given)[0].text == "/ours /said 7"
    (spec,) = (one for one in shipped_specs() if one.control_id == "hullmark-audit")
    assert spec.checks[0].given["path"] is None


def test_a_boot_opens_no_outage_while_daemons_start() -> None:
    """Nor is a failure kept back for longer than that."""
    for started_s, booted_s, kept_back in (
        *((10.0, 20.0, True), (10.0, 119.0, True), (10.0, 121.0, False)),
        *((100.0, 159.0, True), (100.0, 161.0, False), (130.0, 140.0, False)),
    ):
        for kind in ("audittrail.daemon", "process", "clamav.eicar", "clocks.chrony_tracking"):
            found = just_booted(kind, started_s, booted_s, FAILED)
            assert (found.status is Status.NOT_RUN) is kept_back, (kind, started_s, booted_s)
            assert "not well" in found.reason
    kept = just_booted("clamav.daemon", 10.0, 40.0, FAILED)
    assert kept.reason.startswith("the host booted 40 s ago")
    for other in ("audittrail.canary", "logfiles.truncation", "watchedfiles.unchanged"):
        assert just_booted(other, 10.0, 20.0, FAILED).status is Status.FAIL
    assert just_booted("clamav.daemon", 10.0, 20.0, PASSED).status is Status.PASS


def just_booted(kind: str, started_s: float, booted_s: float, finding: Finding) -> Finding:
    """What a look finds that long after the boot, of an agent that started then."""
    now = [started_s]
    made = Looking(
        Lookers({kind: lambda eye, given: ()}, observing=lambda: False),
        threading.Event(),
        judges={kind: lambda seen: finding},
        booted=lambda: now[0],
    )
    now[0] = booted_s
    return made.look(Task("one", CheckSpec("c", kind, 1, 10.0, 5.0)), ()).finding


def shipped_specs() -> tuple[ControlSpec, ...]:
    return load_controls(shipped_controls(), "/none").specs


# -- results


def test_a_result_is_kept_until_it_is_too_old() -> None:
    clock = Clock()
    results = Results(clock.wall, clock)
    results.define([SPEC])
    assert results.states()["time"].status is Status.NOT_RUN
    assert not looked_at_all(results.states())
    first = results.take(DAEMON, looked(clock))
    assert first.changed
    clock.now += 5.0
    results.take(SYNC, looked(clock))
    assert results.states()["time"].status is Status.PASS
    assert results.states()["time"].since == clock.wall()
    assert looked_at_all(results.states())
    clock.now += 10.0
    again = results.take(DAEMON, looked(clock))
    assert not again.changed
    assert again.state.since == first.state.since, "it is the same for as long"
    clock.now += 35.0
    assert list(results.age(10.0)) == []
    clock.now += 0.1
    (old,) = results.age(10.0)
    assert (old.key, old.state.status, old.readings) == (("time", "daemon"), Status.NOT_RUN, ())
    assert results.states()["time"].status is Status.NOT_RUN
    assert list(results.age(10.0)) == []
    clock.now += 200.0
    assert list(results.age(2.0)) == [], "made rarer, it holds for longer"
    (old,) = results.age(1.0)
    assert old.key == ("time", "sync")


def test_other_definitions_keep_what_is_the_same() -> None:
    clock = Clock()
    results = Results(clock.wall, clock)
    results.define([SPEC])
    for task in (DAEMON, SYNC):
        results.take(task, looked(clock))
    other = replace(SPEC.checks[1], given={"argv": ("true",)})
    results.define([replace(SPEC, checks=(SPEC.checks[0], other))])
    checks = results.states()["time"].checks
    assert [one.status for one in checks.values()] == [Status.PASS, Status.NOT_RUN]
    results.define([replace(SPEC, enabled=False)])
    assert results.states()["time"].status is Status.NOT_RUN
    results.define([])
    assert results.states() == {}


def test_outages_are_shown_with_their_control() -> None:
    clock = Clock()
    results = Results(clock.wall, clock)
    results.define([SPEC])
    results.note_outages({"time": "o1"})
    assert results.states()["time"].outage == "o1"
    results.take(DAEMON, looked(clock))
    assert results.states()["time"].outage == "o1"
    results.note_outages({})
    assert results.states()["time"].outage == ""


# -- one look


def look_by(
    check: CheckSpec, reading: Reading, finding: Finding, *, observing: bool = False
) -> Looked:
    class Never:
        def is_set(self) -> bool:
            return False

    def probe(eye: Eye, given: Mapping[str, object]) -> tuple[Reading, ...]:
        assert eye.left_s <= check.timeout_s
        return (reading,)

    def judge(seen: Seen) -> Finding:
        assert (seen["it"], seen.level, seen.given) == (reading, check.level, check.given)
        return finding

    lookers = Lookers({check.kind: probe}, observing=lambda: observing)
    made = Looking(lookers, Never(), judges={check.kind: judge})  # type: ignore[arg-type]
    return made.look(Task("c", check), ())


def test_a_look_is_judged_and_says_what_a_pass_does_not_show() -> None:
    check = CheckSpec("a", "process", 1, 10.0, 5.0, {"name": "x"})
    found = look_by(check, Reading("it", "/x"), PASSED)
    assert found.finding.not_exercised == KINDS["process"].not_exercised != ""
    assert found.readings[0].source == "/x"
    found = look_by(check, Reading("it", "/x"), Finding(Status.FAIL, 3, "it is \udcff"))
    assert (found.finding.level, found.finding.reason) == (-1, "it is ?")


def test_what_can_not_be_looked_at_is_not_run() -> None:
    check = CheckSpec("a", "process", 1, 10.0, 5.0)
    looks = assemble({"mine": lambda eye, given: ()}, observing=lambda: False)
    assert looks.find("mine")[0] is not None
    assert looks.find("nothing-of-the-kind") == (None, NONE_HERE)
    needy = [name for name, kind in KINDS.items() if kind.needs == "engine"]
    for kind in needy:
        found = look_by(replace(check, kind=kind), Reading("it", ""), PASSED, observing=True)
        assert (found.finding.status, found.finding.reason) == (Status.NOT_RUN, NO_ENGINE)


# -- records


class Written:
    def __init__(self, clock: Clock, backlog: int = 0) -> None:
        self.entries: list[Entry] = []
        self.diary = Diary(self.entries.append, lambda: backlog, clock.wall, clock)
        self.results = Results(clock.wall, clock)
        self.results.define([SPEC])

    def take(self, task: Task, found: Looked) -> None:
        self.diary.take(self.results.take(task, found))

    def kinds(self) -> list[str]:
        return [entry.kind for entry in self.entries]


def test_a_change_is_recorded_and_the_same_once_a_day() -> None:
    clock = Clock()
    written = Written(clock)
    reading = Reading("it", "/x", text="password: hunter2\n4111 1111 1111 1111\nfine\n")
    written.take(DAEMON, looked(clock, PASSED, reading))
    for _ in range(100):
        clock.now += 600.0
        written.take(DAEMON, looked(clock))
    assert len(written.entries) == 1
    for _ in range(44):
        clock.now += 600.0
        written.take(DAEMON, looked(clock, replace(PASSED, not_exercised="much")))
    assert len(written.entries) == 2
    written.take(DAEMON, looked(clock, FAILED))
    first, daily, change = written.entries
    assert first.fields["since"] == "2001-09-09T02:03:20.000000Z"
    assert (first.subject, first.outcome.value) == ("control time/daemon", "success")
    assert daily.fields["not_exercised"] == "much"
    assert (change.outcome.value, change.reason) == ("failure", "not well")
    assert change.fields["status"] == "fail"
    assert change.fields["level"] == "-1"
    (kept,) = json.loads(first.fields["readings"])
    assert "fine" in kept["text"]
    assert "hunter2" not in kept["text"]
    assert "4111" not in kept["text"]


def test_what_flips_is_recorded_without_readings_soon() -> None:
    clock = Clock()
    written = Written(clock)
    for number in range(20):
        clock.now += 10.0
        found = (PASSED, FAILED)[number % 2]
        written.take(DAEMON, looked(clock, found, Reading("it", "/x", text="x" * 100)))
    assert len(written.entries) == 20
    full = [one for one in written.entries if one.fields["readings"] != "[]"]
    assert len(full) == controlrecords.FULL_MOST
    assert all("readings_left_out" in one.fields for one in written.entries[-10:])
    clock.now += 3600.0
    written.take(DAEMON, looked(clock, PASSED, Reading("it", "/x")))
    assert written.entries[-1].fields["readings"] != "[]"
    waiting = Written(clock, backlog=controlrecords.BACKLOG_MOST + 1)
    waiting.take(DAEMON, looked(clock, PASSED, Reading("it", "/x")))
    assert waiting.entries[-1].fields["readings"] == "[]"


def test_looks_are_summed_up_each_hour_and_at_the_end() -> None:
    clock = Clock()
    written = Written(clock)
    for number in range(360):
        clock.now += 10.0
        found = FAILED if number % 100 == 99 else PASSED
        written.take(DAEMON, looked(clock, found))
        written.diary.turn()
    (summary,) = [one for one in written.entries if one.kind == "controls.summary"]
    counted = json.loads(summary.fields["results"])
    assert counted == {"time/daemon": {"status": "pass", "level": 1, "pass": 357, "fail": 3}}
    assert summary.fields["ends"] > summary.fields["begins"]
    written.take(SYNC, looked(clock, FAILED))
    written.diary.sum_up()
    counted = json.loads(written.entries[-1].fields["results"])
    assert counted["time/sync"] == {"status": "fail", "level": -1, "fail": 1}
    assert counted["time/daemon"] == {"status": "pass", "level": 1}
    written.diary.keep([DAEMON.key])
    written.diary.sum_up()
    assert list(json.loads(written.entries[-1].fields["results"])) == ["time/daemon"]


@pytest.mark.parametrize("step", [365 * 86400.0, -7200.0])
def test_a_summary_covers_the_time_that_passed_however_the_clock_was_set(step: float) -> None:
    clock = Clock()
    entries: list[Entry] = []
    set_by = [0.0]
    diary = Diary(entries.append, lambda: 0, lambda: clock.wall() + set_by[0], clock)
    results = Results(clock.wall, clock)
    results.define([SPEC])
    diary.take(results.take(DAEMON, looked(clock)))
    clock.now += 3600.0
    set_by[0] = step
    diary.turn()
    fields = entries[-1].fields
    assert fields["ends"] == moment(clock.wall() + step)
    assert fields["begins"] == moment(clock.wall() + step - 3600.0)


def test_many_checks_are_summed_up_in_several_records() -> None:
    counted = {f"control-{number}/check": {"status": "pass"} for number in range(450)}
    entries = list(controlrecords.summaries(counted, 0.0, 3600.0))
    assert [len(json.loads(one.fields["results"])) for one in entries] == [100, 100, 100, 100, 50]
    assert list(controlrecords.summaries({}, 0.0, 3600.0)) == []


texts = st.text(max_size=300) | st.sampled_from(["x" * 17_000, '"\\' * 5000, "ü" * 9_000])


@settings(max_examples=30)
@given(st.lists(st.builds(Reading, texts, texts, texts, texts), max_size=6))
def test_readings_are_bounded_and_still_readings(readings: list[Reading]) -> None:
    text = readings_text([replace(one, name="n", source="s") for one in readings])
    assert len(text.encode()) <= controlrecords.READINGS_MOST
    for one in json.loads(text):
        assert from_wire(Reading, one).name == "n"


def test_what_is_cut_says_so_and_what_is_no_text_can_be_recorded() -> None:
    long = Reading("a", "s", text="y" * 40_000)
    short = Reading("b", "\udcff", text="short", trouble=Trouble.NONE)
    first, second = (from_wire(Reading, one) for one in json.loads(readings_text([long, short])))
    assert first.cut
    assert len(first.text) == 10_000
    assert (second.text, second.cut, second.source) == ("short", False, "?")


# -- definitions


def definitions(folder: Path, entries: list[Entry], problems: Problems) -> Definitions:
    (folder / "shipped").mkdir()
    (folder / "site").mkdir()
    (folder / "shipped" / "ours.yaml").write_text(ONE)
    return Definitions(str(folder / "shipped"), problems, entries.append)


def test_definitions_are_read_again_when_a_file_changed_and_bad_ones_change_nothing(
    tmp_path: Path,
) -> None:
    entries: list[Entry] = []
    problems, site = Problems(), str(tmp_path / "site")
    made = definitions(tmp_path, entries, problems)
    assert made.look(site)
    assert not made.look(site)
    assert made.in_force is not None
    digest = made.in_force.digest
    assert (entries[0].kind, entries[0].fields["digest"]) == ("controls.read", digest)
    file = tmp_path / "site" / "own.yaml"
    file.write_text("controls:\n  - {id: our-file, enabled: no-idea}\n")
    assert not made.look(site)
    (problem,) = problems.all()
    assert problem.code == "controls.invalid"
    assert f"{file}:2" in problem.message
    assert entries[-1].outcome.value == "failure"
    assert made.in_force.digest == digest
    assert not made.look(site)
    assert len(entries) == 2, "said once"
    file.write_text("controls:\n  - {id: our-file, enabled: false}\n")
    assert made.look(site)
    assert problems.all() == ()
    assert [spec.enabled for spec in made.in_force.specs] == [False]
    made.outdated()
    assert not made.look(site), "the same again"


# -- the posture


def test_the_posture_is_written_soon_after_a_change_and_now_and_then(tmp_path: Path) -> None:
    clock, problems = Clock(), Problems()
    made = Posturing("web1", problems, clock.wall, clock)
    told: list[Posture] = []
    made.listen(lambda posture, outages: told.append(posture))
    results = Results(clock.wall, clock)
    results.define([SPEC])

    def show(*, moved: bool = False) -> Optional[float]:
        standing = posturing.Standing(results.states())
        made.show(standing, str(tmp_path / "run"), Mode.OBSERVE, moved=moved)
        file = tmp_path / "run" / "posture.json"
        return float(json.loads(file.read_text())["posture"]["at"])

    began = show()
    file = tmp_path / "run" / "posture.json"
    assert file.stat().st_mode & 0o777 == 0o640
    document = json.loads(file.read_text())
    assert document["schema"] == "hullmark.posture/1"
    posture = from_wire(Posture, document["posture"])
    assert (posture.host, posture.mode, posture.interval_s) == ("web1", Mode.OBSERVE, 5.0)
    clock.now += 0.5
    results.take(DAEMON, looked(clock))
    assert show(moved=True) == began, "not twice in a second"
    assert len(told) == 2, "a leader hears at once"
    clock.now += 0.5
    changed = show()
    assert changed is not None
    assert changed > (began or 0.0)
    clock.now += 4.5
    results.take(DAEMON, looked(clock))
    assert show() == changed, "nothing but times is another"
    assert len(told) == 2
    clock.now += 0.5
    assert show() == clock.wall()
    later: list[Posture] = []
    made.listen(lambda posture, outages: later.append(posture))
    show()
    assert later == told[-1:], "who comes later is told too"
    show()
    assert len(later) == 1


def test_a_leader_is_told_that_nobody_looks_any_more(tmp_path: Path) -> None:
    clock = Clock()
    shown: list[Posture] = []
    shower = Posturing("web1", Problems(), clock.wall, clock)
    shower.listen(lambda posture, _: shown.append(posture))
    results = Results(clock.wall, clock)
    results.define([SPEC])
    for task in (DAEMON, SYNC):
        results.take(task, looked(clock))
    standing = posturing.Standing(results.states())
    shower.show(standing, str(tmp_path), Mode.RUN)
    clock.now += 29.0
    shower.doubt()
    assert [one.controls["time"].status for one in shown] == [Status.PASS]
    clock.now += 2.0
    shower.doubt()
    shower.show(standing, str(tmp_path), Mode.RUN)
    told = [one.controls["time"].status for one in shown]
    assert told == [Status.PASS, Status.NOT_RUN, Status.PASS], "anew once it looks again"


def test_a_folder_that_can_not_be_written_is_a_problem_until_it_can(tmp_path: Path) -> None:
    clock, problems = Clock(), Problems()
    made = Posturing("web1", problems, clock.wall, clock)
    (tmp_path / "run").write_text("in the way")
    made.show(posturing.Standing({}), str(tmp_path / "run"), Mode.RUN)
    assert [one.code for one in problems.all()] == ["posture.write"]
    (tmp_path / "run").unlink()
    clock.now += 5.0
    made.show(posturing.Standing({}), str(tmp_path / "run"), Mode.RUN)
    assert problems.all() == ()


# -- all of it


class Keeper:
    def __init__(self) -> None:
        self.taken: list[Mapping[str, ControlState]] = []

    def take(self, states: Mapping[str, ControlState], now: float) -> Mapping[str, str]:
        self.taken.append(states)
        bad = [name for name, one in states.items() if one.status is Status.FAIL]
        return dict.fromkeys(bad, "o1")

    def outages(self) -> tuple[Outage, ...]:
        return ()

    def incidents(self) -> tuple[Incident, ...]:
        return ()


class World:
    def __init__(self, folder: Path) -> None:
        self.clock, self.problems = Clock(), Problems()
        self.entries: list[Entry] = []
        self.finding = PASSED
        self.lanes, self.keeper = ByHand(), Keeper()
        file = folder / "agent.yaml"
        file.write_text(
            f"state_dir: {folder}/state\nrun_dir: {folder}/run\ncontrols: {{dir: {folder}/site}}\n"
        )
        self.config = load_agent(str(file)).config
        self.folder = folder
        runner = Runner(
            "web1",
            lambda task, before: looked(self.clock, self.finding, Reading("it", "/x")),
            budget=lambda: 0.01,
            lanes=self.lanes,
            clock=self.clock,
            wall=self.clock.wall,
        )
        self.controlling = Controlling(
            Makings(
                definitions(folder, self.entries, self.problems),
                runner,
                Results(self.clock.wall, self.clock),
                Diary(self.entries.append, lambda: 0, self.clock.wall, self.clock),
                Posturing("web1", self.problems, self.clock.wall, self.clock),
                self.keeper,
                self.problems,
                self.clock.wall,
                self.clock,
            ),
            self.config,
        )
        self.runner = runner

    def go(self, seconds: float) -> None:
        for _ in range(int(seconds)):
            self.controlling.wake()  # it waits for nothing
            self.controlling.turn()
            self.lanes.finish()
            self.clock.now += 1.0

    def shown(self) -> Posture:
        text = (self.folder / "run" / "posture.json").read_text()
        return from_wire(Posture, json.loads(text)["posture"])

    def kinds(self) -> list[str]:
        return [entry.kind for entry in self.entries]


def test_from_a_file_to_the_posture_and_the_record(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.go(1.0)
    assert world.shown().controls["our-file"].status is Status.NOT_RUN
    world.go(20.0)
    assert world.shown().controls["our-file"].status is Status.PASS
    assert world.kinds() == ["controls.read", "control.result"]
    world.finding = failed("it says nothing of the kind")
    world.go(12.0)
    state = world.shown().controls["our-file"]
    assert (state.status, state.outage) == (Status.FAIL, "o1")
    assert state.reason == "says: it says nothing of the kind"
    assert world.kinds()[2:] == ["control.result"]
    world.controlling.close()
    assert world.kinds()[3:] == ["controls.summary"]


def test_another_log_says_anew_what_is_in_force_and_found(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.go(20.0)
    world.entries.clear()
    world.controlling.end_log()
    assert world.kinds() == ["controls.summary"]
    world.entries.clear()
    world.controlling.begin_log()
    world.go(12.0)
    assert world.kinds() == ["controls.read", "control.result"]
    assert world.entries[-1].fields["status"] == "pass"


def test_a_loop_that_stood_still_shows_nothing_as_passing(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.go(20.0)
    world.clock.now += 100.0
    world.lanes.free = dict.fromkeys(world.lanes.free, 0)
    world.go(6.0)
    state = world.shown().controls["our-file"]
    assert (state.status, state.checks["says"].status) == (Status.NOT_RUN, Status.NOT_RUN)
    assert world.entries[-1].fields["status"] == "not_run"


def test_a_long_stop_is_recorded_also_where_the_next_look_passes(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.go(20.0)
    world.entries.clear()
    stopped = world.clock.wall()
    world.clock.now += 3000.0  # as of a process that was stopped, or a host that slept
    world.go(3.0)
    first, second = (one.fields for one in world.entries if one.kind == "control.result")
    assert (first["status"], second["status"]) == ("not_run", "pass")
    since = nanoseconds(first["since"])
    assert since is not None
    assert since / 1e9 < stopped + 36.0, "three intervals and the timeout after the last look"


def test_a_reload_reads_definitions_again_and_rarer_looks_are_told(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.go(6.0)
    (tmp_path / "site" / "off.yaml").write_text("controls:\n  - {id: our-file, enabled: false}\n")
    world.runner.stretch = 2.0
    world.controlling.configure(world.config)
    world.go(2.0)
    state = world.shown().controls["our-file"]
    assert (state.status, state.reason.startswith("switched off by ")) == (Status.NOT_RUN, True)
    assert world.shown().problems == (RARER,)
    (tmp_path / "site" / "off.yaml").write_text("no controls\n")
    world.problems.set("host.unenrolled", "no concern of controls")
    world.go(8.0)
    assert [one.partition(":")[0] for one in world.shown().problems[1:]] == ["controls.invalid"]
    assert looking.as_text("ü") == "ü"
