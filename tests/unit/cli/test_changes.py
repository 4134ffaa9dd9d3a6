"""Commands that change something: what they send, how they wait, and how they end."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import click
import pytest

from hullmark.cli import changing, patience, polling, waiting
from hullmark.cli.options import Asked
from hullmark.model.api import (
    AppDetail,
    ApplyAnswer,
    ApplyRequest,
    Difference,
    EventList,
    InstanceView,
    PlanAnswer,
)
from hullmark.model.change import Change
from hullmark.model.event import Event
from hullmark.model.explanation import Refusal, SlotExplanation
from hullmark.model.observed import Health, Phase
from hullmark.model.wire import from_wire
from tests.unit.cli import answers
from tests.unit.cli.conftest import Run
from tests.unit.cli.fakemaster import FakeMaster, Lines, Raw, Request, refusal

COMPOSE = """\
name: shop
services:
  web:
    image: localhost/web:1
    environment: {DB_PASSWORD: hunter2, COLOUR: "${COLOUR:-red}"}
    deploy: {replicas: 2}
"""
APP = "GET /v1/apps/shop"
APPLY = "PUT /v1/apps/shop"


@pytest.fixture
def file(tmp_path: Path) -> str:
    found = tmp_path / "compose.yaml"
    found.write_text(COMPOSE)
    return str(found)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "PAUSE_S", 0.01)


UNDER_WAY = answers.detail(
    1,
    "changing",
    3,
    (answers.instance(), answers.instance(2, Phase.PULLING, "its image is being pulled")),
)
SETTLED = answers.detail(2, "running", 3, (answers.instance(), answers.instance(2)))
FAILED = answers.detail(
    2, "failed", 3, (answers.instance(), answers.instance(2, Phase.FAILED, "failed: exit code 3"))
)


def test_apply_waits_until_it_is_settled(master: FakeMaster, run: Run, file: str) -> None:
    master.answers = {APPLY: ApplyAnswer("shop", 3, True), APP: [UNDER_WAY, SETTLED]}
    done = run("apply", file, "--ticket", "CHG-1", "--expected-generation", "2")
    assert done.code == 0
    assert done.out == "shop  applied, generation 3; ok: 2 of 2 instances after 0 s\n"
    put, first, second = master.requests
    assert put.body["ticket"] == "CHG-1"
    assert put.body["expected_generation"] == 2
    assert len(put.body["request_id"]) == 32
    assert from_wire(ApplyRequest, put.body).app.name == "shop", "the wire form is written by hand"
    assert put.body["app"]["services"]["web"]["container"]["environment"]["COLOUR"] == "red"
    assert first.query == {}
    assert second.query["after"] == "1"
    assert float(second.query["hold_s"]) > 10


def test_apply_tells_what_happens(master: FakeMaster, run: Run, file: str) -> None:
    master.answers = {APPLY: ApplyAnswer("shop", 3, True), APP: [UNDER_WAY, UNDER_WAY, SETTLED]}
    err = run("apply", file).err
    assert err.count("shop/web.2 on web3: pulling: its image is being pulled") == 1
    assert err.count("shop/web.2 on web3: healthy") == 1
    assert "hunter2" not in err


def test_apply_document(master: FakeMaster, run: Run, file: str) -> None:
    master.answers = {APPLY: ApplyAnswer("shop", 3, True), APP: SETTLED}
    done = run("apply", file, "-o", "json")
    assert (done.code, done.err) == (0, "")
    document = done.document
    assert list(document) == [
        "schema",
        "app",
        "generation",
        "changed",
        "warnings",
        "outcome",
        "seconds",
        "instances",
        "replaced_by",
    ]
    assert document["schema"] == "hullmark.apply/1"
    assert document["outcome"] == "settled"
    assert document["instances"][0]["status"]["ports"][0]["published"] == 49154
    assert any("DB_PASSWORD" in warning for warning in document["warnings"])
    assert "hunter2" not in done.out


def test_apply_without_waiting(master: FakeMaster, run: Run, file: str) -> None:
    master.answers = {APPLY: ApplyAnswer("shop", 3, True)}
    done = run("apply", "--no-wait", file)
    assert done.out == "shop  applied, generation 3; not waited for\n"
    assert len(master.requests) == 1
    assert run("apply", "--no-wait", file, "-o", "json").document["outcome"] == "accepted"
    master.answers = {APPLY: ApplyAnswer("shop", 3, False)}
    assert run("apply", "--no-wait", file).out == "shop  unchanged, generation 3\n"


def test_apply_that_fails(master: FakeMaster, run: Run, file: str) -> None:
    logs = Lines((answers.line("can't open /data"), answers.line("bye\x1b[2J")))
    master.answers = {
        APPLY: ApplyAnswer("shop", 3, True),
        APP: FAILED,
        "GET /v1/apps/shop/logs": logs,
    }
    done = run("apply", file)
    assert done.code == 2
    assert "FAILED: 1 of 2 instances" in done.out
    tail = done.err[done.err.rindex("shop/web.2") :].splitlines()
    assert tail == [
        "shop/web.2 on web3: failed: exit code 3",
        "  | can't open /data",
        "  | bye?[2J",
        "  what to do: hullmark logs shop; mend the file, then apply it again",
    ]
    assert master.requests[-1].query == {"service": "web", "slot": "2", "tail": "5"}
    done = run("apply", file, "-o", "json")
    assert (done.code, done.document["outcome"]) == (2, "failed")


def test_apply_that_fails_without_logs(master: FakeMaster, run: Run, file: str) -> None:
    master.answers = {APPLY: ApplyAnswer("shop", 3, True), APP: FAILED}
    done = run("apply", file)
    assert done.code == 2
    assert "exit code 3" in done.err


def test_apply_that_takes_too_long(master: FakeMaster, run: Run, file: str) -> None:
    master.answers = {APPLY: ApplyAnswer("shop", 3, True), APP: UNDER_WAY}
    done = run("apply", file, "--timeout", "50ms")
    assert done.code == 1
    assert "not done yet: 1 of 2" in done.out
    assert (
        "what to do: it goes on; see hullmark ps shop, hullmark logs shop, hullmark status"
        in done.err
    )
    assert run("apply", file, "--timeout", "0", "-o", "json").document["outcome"] == "timeout"


def fresh(restarts: int) -> InstanceView:
    """Running since now, without a health check."""
    found = answers.instance()
    assert found.status is not None
    status = dataclasses.replace(
        found.status, health=Health.NONE, started_at=time.time(), restarts=restarts
    )
    return dataclasses.replace(found, status=status)


def test_what_ends_at_once_was_never_settled(
    master: FakeMaster, run: Run, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "STEADY_S", 5.0)
    first, second = (answers.detail(2, "running", 3, (fresh(number),)) for number in (0, 1))
    master.answers = {
        APPLY: ApplyAnswer("shop", 3, True),
        APP: [first, first, UNDER_WAY, second, FAILED],
    }
    assert run("apply", file).code == 2
    held = [float(request.query.get("hold_s", 0)) for request in master.asked("GET")]
    assert 0 < held[1] <= 5, "no longer than until it is believed"


def test_what_stays_up_for_a_while_is_settled(
    master: FakeMaster, run: Run, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "STEADY_S", 0.05)
    steady = answers.detail(2, "running", 3, (fresh(0),))
    master.answers = {APPLY: ApplyAnswer("shop", 3, True), APP: steady}
    assert run("apply", file).code == 0
    assert len(master.asked("GET")) > 1


def test_an_older_generation_is_not_taken_for_this_one(
    master: FakeMaster, run: Run, file: str
) -> None:
    before = answers.detail(1, "running", 2, (answers.instance(),))
    master.answers = {APPLY: ApplyAnswer("shop", 3, True), APP: [before, SETTLED]}
    assert run("apply", file).code == 0
    assert len(master.asked("GET")) == 2


def test_a_master_that_is_away_while_one_waits(master: FakeMaster, run: Run, file: str) -> None:
    away = refusal("StoreUnavailable", "the store does not answer", 503)
    master.answers = {
        APPLY: ApplyAnswer("shop", 3, True),
        APP: [UNDER_WAY, Raw(b""), away, SETTLED],
    }
    assert run("apply", file).code == 0


def by_bob(detail: AppDetail) -> AppDetail:
    change = Change("bob", "r2", 1700000001.0, "B-2")
    return dataclasses.replace(detail, summary=dataclasses.replace(detail.summary, change=change))


def test_a_change_that_somebody_replaces(master: FakeMaster, run: Run, file: str) -> None:
    theirs = by_bob(answers.detail(3, "running", 4, (answers.instance(generation=4),)))
    master.answers = {APPLY: ApplyAnswer("shop", 3, True), APP: [UNDER_WAY, theirs]}
    done = run("apply", file)
    told = "generation 3 was replaced by generation 4 (by bob, ticket B-2) before it was done"
    assert (done.code, done.out) == (2, f"shop  {told}\n")
    master.answers[APP] = [UNDER_WAY, theirs]
    document = run("apply", file, "-o", "json").document
    assert (document["outcome"], document["generation"]) == ("superseded", 3)
    assert document["replaced_by"] == {
        "generation": 4,
        "by": "bob",
        "ticket": "B-2",
        "reason": "",
    }
    assert [item["generation"] for item in document["instances"]] == [1, 1], "of ours, not theirs"
    master.answers[APP] = theirs
    assert run("apply", "-q", file).err.startswith(f"shop  {told}\n")
    master.answers["DELETE /v1/apps/shop"] = ApplyAnswer("shop", 3, True)
    assert run("rm", "shop").code == 2


def test_an_app_that_somebody_removes_meanwhile(master: FakeMaster, run: Run, file: str) -> None:
    going = by_bob(answers.detail(2, "removing", 3, (answers.instance(removing=True),)))
    master.answers = {APPLY: ApplyAnswer("shop", 3, True), APP: [UNDER_WAY, going]}
    told = "shop  generation 3 was removed (by bob, ticket B-2) before it was done\n"
    done = run("apply", file)
    assert (done.code, done.out) == (2, told)
    gone = refusal("NotFound", "there is no app shop", 404)
    events = (
        Event("e1", 1.0, "app.removed", "shop", "m1", "", "anna", {}),
        Event("e2", 2.0, "app.removed", "shop", "m1", "", "bob", {"ticket": "B-2"}),
        Event("e3", 3.0, "app.removed", "blog", "m1", "", "eve", {}),
    )
    master.answers[APP] = [UNDER_WAY, gone]
    master.answers["GET /v1/events"] = EventList(events, 3)
    assert run("apply", file).out == told
    master.answers[APP] = [UNDER_WAY, gone]
    del master.answers["GET /v1/events"]
    done = run("apply", file)
    assert (done.code, done.out) == (2, "shop  generation 3 was removed before it was done\n")


def test_an_older_removal_is_not_taken_for_one_of_this(
    master: FakeMaster, run: Run, file: str
) -> None:
    before = answers.detail(1, "removing", 2)
    master.answers = {APPLY: ApplyAnswer("shop", 3, True), APP: [before, SETTLED]}
    assert run("apply", file).code == 0


def crashing(restarts: int, phase: Phase = Phase.BACKOFF, ran_s: float = 1.0) -> AppDetail:
    found = answers.instance(phase=phase, why="ended with exit code 1")
    assert found.status is not None
    status = dataclasses.replace(
        found.status,
        health=Health.NONE,
        restarts=restarts,
        finished_at=found.status.started_at + ran_s,
    )
    return answers.detail(2, "degraded", 3, (dataclasses.replace(found, status=status),))


def test_what_fails_again_and_again_is_not_waited_for(
    master: FakeMaster, run: Run, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "FAILING_S", 0.01)
    master.answers = {
        APPLY: ApplyAnswer("shop", 3, True),
        APP: [crashing(number) for number in range(6)],
        "GET /v1/apps/shop/logs": Lines((answers.line("no database"),)),
    }
    done = run("apply", file)
    assert done.code == 2
    assert "; FAILING: 0 of 2 instances" in done.out
    assert done.err.splitlines()[-2:] == [
        "  | no database",
        "  what to do: it keeps failing, and the agent goes on trying; see hullmark logs shop",
    ]
    for served in (
        [crashing(number, ran_s=30.0) for number in range(6)],
        [answers.detail(2, "degraded", 3, (answers.instance(),)), *map(crashing, range(6))],
        [crashing(2), crashing(3)],
    ):
        master.answers[APP] = served
        assert run("apply", file, "--timeout", "50ms").code == 1, "it served, or failed seldom"


def test_failures_to_make_a_container_count_too(
    master: FakeMaster, run: Run, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "FAILING_S", 0.0)
    tries = [crashing(0), crashing(0, Phase.CREATING)] * 5
    master.answers = {APPLY: ApplyAnswer("shop", 3, True), APP: [*tries, crashing(0)]}
    assert run("apply", file, "-o", "json").document["outcome"] == "failing"


def homeless(*more: InstanceView) -> AppDetail:
    unplaced = answers.instance(2, why="port 80 is taken", host="", status=None, unplaced=True)
    return answers.detail(2, "degraded", 3, (unplaced, *more))


def test_what_has_no_place_is_not_waited_for(
    master: FakeMaster, run: Run, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "UNPLACED_S", 0.02)
    master.answers = {APPLY: ApplyAnswer("shop", 3, True), APP: homeless(answers.instance())}
    done = run("apply", file)
    assert (done.code, "; not placed: 1 of 2" in done.out) == (1, True)
    assert "shop/web.2: not placed: port 80 is taken" in done.err
    assert run("apply", file, "-o", "json").document["outcome"] == "unplaced"
    for busy in (
        answers.instance(phase=Phase.PULLING, why="its image is being pulled"),
        answers.instance(removing=True),
    ):
        master.answers[APP] = homeless(busy)
        document = run("apply", file, "--timeout", "60ms", "-o", "json").document
        assert document["outcome"] == "timeout"


def test_ctrl_c_ends_the_wait_only(capsys: pytest.CaptureFixture[str]) -> None:
    def wait(seen: Any, told: bool) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(click.Abort):
        changing.wait(Asked(), "shop", False, wait)
    assert "the change goes on; see how it stands: hullmark ps shop" in capsys.readouterr().err


def test_ctrl_c(master: FakeMaster, run: Run, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(waiting, "newer", interrupted)
    master.answers = {APPLY: ApplyAnswer("shop", 3, True)}
    done = run("apply", file)
    assert done.code == 130
    assert "Traceback" not in done.err


def test_quiet(master: FakeMaster, run: Run, file: str) -> None:
    master.answers = {APPLY: ApplyAnswer("shop", 3, True), APP: SETTLED}
    done = run("apply", "-q", file)
    assert (done.code, done.out, done.err) == (0, "", "")


def test_warnings_come_before_the_wait_and_notes_are_no_warnings(
    master: FakeMaster, run: Run, file: str
) -> None:
    (Path(file).parent / "site.ini").write_text("a=b\n")
    text = "name: shop\nservices: {web: {image: x, volumes: ['./site.ini:/site.ini']}}\n"
    Path(file).write_text(text)
    answer = ApplyAnswer("shop", 3, True, ("web: image x is not pinned",))
    master.answers = {APPLY: answer, APP: [UNDER_WAY, SETTLED]}
    lines = run("apply", file).err.splitlines()
    assert lines[0].startswith(f"note: {file}:2: services.web.volumes[0]: ")
    assert "site.ini is shipped with the app as it is now" in lines[0]
    assert lines.index("warning: web: image x is not pinned") < lines.index(
        "shop/web.2 on web3: pulling: its image is being pulled"
    )
    master.answers["POST /v1/plan"] = PlanAnswer(False, 3, warnings=answer.warnings)
    err = run("plan", file).err
    assert "is not pinned" in err
    assert "is shipped" not in err


def test_apply_from_the_current_folder(
    master: FakeMaster, run: Run, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(file).parent
    monkeypatch.chdir(folder)
    (folder / "compose.override.yaml").write_text("services: {web: {hostname: over}}\n")
    master.answers = {APPLY: ApplyAnswer("shop", 3, True)}
    assert run("apply", "--no-wait").code == 0
    container = master.requests[0].body["app"]["services"]["web"]["container"]
    assert container["hostname"] == "over"


def test_no_file_is_named_and_none_is_there(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("apply")
    assert done.code == 64
    assert "no Compose file" in done.err


@pytest.mark.parametrize("error", ["Conflict", "ImageUnavailable"])
def test_apply_that_is_refused(master: FakeMaster, run: Run, file: str, error: str) -> None:
    master.answers = {APPLY: refusal(error, "no", 409, "do this")}
    done = run("apply", file, "-o", "json")
    assert (done.code, done.out) == (2, "")
    assert done.error["error"] == error
    assert done.error["remedy"] == "do this"


def test_plan(master: FakeMaster, run: Run, file: str) -> None:
    found = (
        Difference("create", "service web", "2 instances"),
        Difference("replace", "service db", "1 instance", ("container.image", "container.user")),
    )
    refusals = (
        Refusal("port", "port 80/tcp taken", ("h1", "h2"), "h1 by edge/lb.1", "edge/lb"),
        Refusal("memory", "memory: need 2 GiB", ("h3",), "h3, free 1.4 GiB"),
    )
    stuck = (
        SlotExplanation("shop/web.2", 2, 4, "", "no room", refusals),
        SlotExplanation("shop/web.3", 3, 4, "", "no room", refusals),
        SlotExplanation("shop/db.1", 1, 3, "h1", "its host h1 is lost and its data is there"),
    )
    master.answers["POST /v1/plan"] = PlanAnswer(True, 4, found, ("no room",) * 2, (), stuck)
    done = run("plan", file)
    assert done.code == 1
    assert done.out.splitlines() == [
        "shop  would become generation 4",
        "+ create   service web  2 instances",
        "! replace  service db  1 instance",
        "             container.image, container.user",
        "no place for web.2, web.3",
        "  3 hosts:  2 port 80/tcp taken by edge/lb (h1 by edge/lb.1)",
        "            1 h3: memory: need 2 GiB, free 1.4 GiB",
        "db.1 would stay on h1",
        "  its host h1 is lost and its data is there",
    ]
    document = run("plan", file, "-o", "json").document
    assert document["schema"] == "hullmark.plan/1"
    assert document["stuck"][0]["refusals"][0] == {
        "filter": "port",
        "text": "port 80/tcp taken",
        "hosts": ["h1", "h2"],
        "nearest": "h1 by edge/lb.1",
        "party": "edge/lb",
    }
    assert document["differences"][0] == {
        "action": "create",
        "subject": "service web",
        "detail": "2 instances",
        "fields": [],
    }


def test_plan_calls_a_file_s_content_by_its_name(master: FakeMaster, run: Run, file: str) -> None:
    fields = ("content_b64", "sha256", "size_bytes", "mode")
    found = Difference("change", "config page", "", fields)
    master.answers["POST /v1/plan"] = PlanAnswer(True, 4, (found,))
    assert run("plan", file).out.splitlines()[-1].strip() == "content, mode"


def test_news_that_come_late_are_not_told(master: FakeMaster, run: Run, file: str) -> None:
    def at(phase: Phase) -> AppDetail:
        return answers.detail(1, "changing", 3, (answers.instance(phase=phase, why="goes on"),))

    steps = [at(phase) for phase in (Phase.CREATING, Phase.STARTING, Phase.CREATING)]
    master.answers = {APPLY: ApplyAnswer("shop", 3, True), APP: [*steps, SETTLED]}
    err = run("apply", file).err
    assert [
        err.count(f"web.1 on web3: {word}") for word in ("creating", "starting", "healthy")
    ] == [
        1,
        1,
        1,
    ]


def test_plan_of_nothing(master: FakeMaster, run: Run, file: str) -> None:
    master.answers["POST /v1/plan"] = PlanAnswer(False, 4)
    done = run("plan", file)
    assert (done.code, done.out) == (0, "shop  nothing would change, generation 4\n")
    assert run("plan", file, "-o", "json").document["changed"] is False


def test_scale(master: FakeMaster, run: Run) -> None:
    master.answers = {"POST /v1/apps/shop/scale": ApplyAnswer("shop", 3, True), APP: SETTLED}
    done = run("scale", "shop/web=2", "shop/a.b=0", "--ticket", "T")
    assert done.code == 0
    assert done.out.startswith("shop  scaled, generation 3; ok")
    body = master.requests[0].body
    assert body["services"] == {"web": 2, "a.b": 0}
    assert body["ticket"] == "T"


def test_scale_tells_warnings(master: FakeMaster, run: Run) -> None:
    warning = "services.web.volumes: 2 instances share volume data where they are on one host"
    answer = ApplyAnswer("shop", 3, True, (warning,))
    master.answers = {"POST /v1/apps/shop/scale": answer, APP: SETTLED}
    assert run("scale", "shop/web=2").err.startswith(f"warning: {warning}\n")
    assert run("scale", "shop/web=2", "--quiet").err == ""
    done = run("scale", "shop/web=2", "-o", "json")
    assert (done.err, done.document["warnings"]) == ("", [warning])


@pytest.mark.parametrize(
    "targets",
    [
        ["shop"],
        ["shop/web"],
        ["shop/web=x"],
        ["shop/web=-1"],
        ["/web=1"],
        ["shop/=1"],
        ["shop/web=1", "blog/web=1"],
        ["shop/web=1", "shop/web=2"],
        [],
    ],
)
def test_bad_targets_of_scale(run: Run, targets: list[str]) -> None:
    done = run("scale", "--", *targets)
    assert (done.code, done.out) == (64, "")


def test_rm_waits_until_it_is_gone(master: FakeMaster, run: Run) -> None:
    gone = refusal("NotFound", "there is no app shop", 404)
    removing = answers.detail(1, "removing", 3, (answers.instance(removing=True),))
    master.answers = {"DELETE /v1/apps/shop": ApplyAnswer("shop", 3, True), APP: [removing, gone]}
    done = run("rm", "shop", "--volumes")
    assert (done.code, done.out) == (0, "shop  removed in 0 s\n")
    assert "shop/web.1 on web3: removing" in done.err
    assert master.requests[0].body["volumes"] is True
    master.answers = {"DELETE /v1/apps/shop": ApplyAnswer("shop", 3, True), APP: removing}
    done = run("rm", "shop", "--timeout", "0s")
    assert done.code == 1
    assert run("rm", "shop", "--no-wait", "-o", "json").document["schema"] == "hullmark.rm/1"


def test_rm_names_who_is_left_behind(master: FakeMaster, run: Run) -> None:
    warning = "pay/job uses shop/db, which nobody can reach then"
    master.answers = {"DELETE /v1/apps/shop": ApplyAnswer("shop", 3, True, (warning,))}
    assert run("rm", "shop", "--no-wait").err == f"warning: {warning}\n"
    done = run("rm", "shop", "--no-wait", "-o", "json")
    assert (done.err, done.document["warnings"]) == ("", [warning])


def test_a_retry_has_the_same_id(master: FakeMaster, run: Run) -> None:
    ids: list[str] = []

    def answer(request: Request) -> Any:
        ids.append(request.body["request_id"])
        return Raw(b"") if len(ids) == 1 else ApplyAnswer("shop", 3, True)

    master.answers["DELETE /v1/apps/shop"] = answer
    assert run("rm", "shop", "--no-wait").code == 0
    assert len(ids) == 2
    assert ids[0] == ids[1]


@pytest.mark.parametrize("name", ["Shop", "../shop", "shop?x=1", "shop web", ""])
def test_bad_names(run: Run, name: str) -> None:
    assert run("rm", name).code == 64
    assert run("logs", name).code == 64
