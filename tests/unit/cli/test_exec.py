"""`hullmark exec`"""

from __future__ import annotations

import base64
import json

import pytest

from hullmark.model.execution import ExecRecord
from tests.unit.cli.conftest import Run
from tests.unit.cli.fakemaster import FakeMaster, Lines, Raw, Status, refusal

EXEC = "POST /v1/apps/shop/exec"


def part(stream: str, data: bytes) -> ExecRecord:
    return ExecRecord(stream, base64.b64encode(data).decode())


def end(code: int) -> ExecRecord:
    return ExecRecord(exit_code=code, instance="shop/web.2", host="h1")


def test_its_output_and_exit_code_are_the_commands(master: FakeMaster, run: Run) -> None:
    master.answers[EXEC] = Lines((part("stdout", b"out\n"), part("stderr", b"err\n"), end(7)))
    done = run(
        *("exec", "shop/web.2", "--ticket", "OPS-7", "--reason", "a look", "--timeout", "2m"),
        *("--user", "1000", "--workdir", "/srv", "--", "ls", "-l", "--user"),
    )
    assert (done.code, done.out, done.err) == (7, "out\n", "err\n")
    (sent,) = master.requests
    assert len(sent.body.pop("request_id")) == 32
    assert sent.body == {
        "service": "web",
        "slot": 2,
        "command": ["ls", "-l", "--user"],
        "ticket": "OPS-7",
        "reason": "a look",
        "user": "1000",
        "working_dir": "/srv",
        "limit_s": 120.0,
    }


@pytest.mark.parametrize("given", ["-it", "-i", "-t"])
def test_a_terminal_is_not_there(master: FakeMaster, run: Run, given: str) -> None:
    done = run("exec", given, "shop/web", "--", "sh")
    assert (done.code, done.out, master.requests) == (64, "", [])
    assert "there is no terminal" in done.err
    assert "as its arguments" in done.err


def test_as_documents(master: FakeMaster, run: Run) -> None:
    master.answers[EXEC] = Lines((part("stdout", b"\xff\0"), end(0)))
    done = run("exec", "shop/web", "-o", "json", "--", "cat", "/x")
    first, last = map(json.loads, done.out.splitlines())
    assert (first["schema"], first["data"], first["exit_code"]) == ("hullmark.exec/1", "/wA=", None)
    assert (last["exit_code"], last["instance"]) == (0, "shop/web.2")


@pytest.mark.parametrize(
    ("reply", "code", "words"),
    [
        (
            refusal("PolicyRefused", "exec.allowed: not here (50-pci.yaml:12)", 409),
            2,
            "pci.yaml:12",
        ),
        (
            Lines((part("stdout", b"x"), ExecRecord(kind="Refused", error="its time limit"))),
            2,
            "its time limit",
        ),
        (Lines((ExecRecord(kind="Unavailable", error="its agent stopped"),)), 3, "agent stopped"),
        (Lines((part("stdout", b"x"),)), 3, "whether it goes on is not known"),
        (Lines((part("stdout", b"x"),), cut=True), 3, "did not come"),
        (Raw(), 3, "did not come"),
        (Status(503, {"error": "Unavailable", "message": "host h1 does not answer"}), 3, "h1"),
    ],
)
def test_what_did_not_end_well_is_asked_for_once(
    master: FakeMaster, run: Run, reply: object, code: int, words: str
) -> None:
    master.answers[EXEC] = reply
    done = run("exec", "shop/web", "--", "true")
    assert done.code == code
    assert words in done.err
    assert len(master.requests) == 1


@pytest.mark.parametrize(
    "words",
    [
        ("shop", "--", "ls"),
        ("shop/web",),
        ("shop/web", "--"),
        ("shop/web", "--timeout", "x", "--", "ls"),
        ("shop/web", "ls", "-l"),
    ],
)
def test_wrong_usage(master: FakeMaster, run: Run, words: tuple[str, ...]) -> None:
    assert run("exec", *words).code == 64
    assert master.requests == []
