"""Commands that make a token: shown once, or written where nobody else can read it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from hullmark.model.api import HostList, InviteAnswer, SessionAnswer
from hullmark.model.people import RevokeAnswer, Role, TokenAnswer, TokenList, TokenView
from tests.unit.cli import answers
from tests.unit.cli.conftest import Run
from tests.unit.cli.fakemaster import FakeMaster

INVITE = "POST /v1/invites"
LOGIN = "POST /v1/sessions"
TOKEN = "POST /v1/tokens"
CREATE = ["token", "create", "ci", "--role", "deployer"]


@pytest.fixture(autouse=True)
def _answers(master: FakeMaster) -> None:
    master.answers[INVITE] = InviteAnswer("web3", "hmi1.secret", 1700003600.0)
    master.answers[TOKEN] = TokenAnswer(
        "ci", "hmt1.secret", Role.DEPLOYER, 1700028800.0, ("10.1.0.0/16",)
    )
    master.answers[LOGIN] = SessionAnswer("hms1.secret", "anna", "admin", 1700028800.0)


def test_invite(master: FakeMaster, run: Run) -> None:
    done = run("invite", "web3", "--valid", "30m", "--label", "scope=cde", "--label", "rack=a=1")
    assert done.code == 0
    assert "hmi1.secret\n" in done.out
    assert "hullmark agent enroll --token-file token" in done.out
    assert master.requests[0].body == {
        "request_id": master.requests[0].body["request_id"],
        "host": "web3",
        "valid_s": 1800.0,
        "labels": {"scope": "cde", "rack": "a=1"},
    }
    document = run("invite", "web3", "-o", "json").document
    assert document == {
        "schema": "hullmark.invite/1",
        "changed": True,
        "host": "web3",
        "token": "hmi1.secret",
        "token_file": "",
        "expires_at": 1700003600.0,
    }


def test_invite_of_a_host_that_is_enrolled(master: FakeMaster, run: Run) -> None:
    master.answers["GET /v1/hosts"] = HostList((answers.HOST,))
    assert run("invite", "web3").err.startswith("warning: host web3 is enrolled; with this token")
    assert run("invite", "web4").err == ""


@pytest.mark.parametrize("command", [["invite", "web3"], ["login"], CREATE])
def test_a_token_in_a_file(run: Run, tmp_path: Path, command: list[str]) -> None:
    file = tmp_path / "token"
    before = os.umask(0)
    try:
        done = run(*command, "--token-file", str(file))
    finally:
        os.umask(before)
    assert done.code == 0
    assert "secret" not in done.out + done.err
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().endswith(".secret\n")
    other = tmp_path / "other"
    document = run(*command, "--token-file", str(other), "-o", "json").document
    assert document["token_file"] == str(other)
    assert document["token"] == "", "it is in the file, and nowhere else"


@pytest.mark.parametrize("command", [["invite", "web3"], ["login"], CREATE])
def test_a_file_that_is_there_is_kept(
    master: FakeMaster, run: Run, tmp_path: Path, command: list[str]
) -> None:
    file = tmp_path / "token"
    file.write_text("mine")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    for taken in (file, link):
        done = run(*command, "--token-file", str(taken))
        assert done.code == 2
        assert "is there already" in done.err
    done = run(*command, "--token-file", str(tmp_path / "none" / "token"))
    assert done.code == 2
    assert file.read_text() == "mine"
    assert not (tmp_path / "elsewhere").exists()
    assert master.requests == [], "no token is made for nothing"


def test_login(master: FakeMaster, run: Run) -> None:
    done = run("login", "--valid", "1h")
    assert done.out == "anna  logged in as admin until 2023-11-15 06:13:20\nhms1.secret\n"
    assert master.requests[0].body == {"valid_s": 3600.0}
    assert run("login", "-o", "json").document["role"] == "admin"


def test_login_only_on_the_master_itself(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    done = run("login", "--master", "https://m1:7442")
    assert done.code == 64
    assert "on the master itself" in done.err


@pytest.mark.parametrize(
    "options",
    [
        ["Web3"],
        ["-web"],
        ["web3", "--valid", "soon"],
        ["web3", "--label", "cde"],
        ["web3", "--label", "a=1", "--label", "a=2"],
        ["web3", "--valid", "1h", "more"],
    ],
)
def test_bad_invites(master: FakeMaster, run: Run, options: list[str]) -> None:
    done = run("invite", *options)
    assert done.code == 64
    assert "what to do" in done.err
    assert master.requests == []


def test_token_create(master: FakeMaster, run: Run) -> None:
    done = run(*CREATE, "--from", "10.1.0.0/16", "--from", "10.2.0.1", "--for", "30d")
    assert done.code == 0
    told = "ci  deployer from 10.1.0.0/16 until 2023-11-15 06:13:20"
    assert done.out == f"{told}\nhmt1.secret\n"
    sent = master.requests[0].body
    assert sent.pop("request_id")
    assert sent == {
        "name": "ci",
        "role": "deployer",
        "networks": ["10.1.0.0/16", "10.2.0.1"],
        "valid_s": 30 * 86400.0,
    }
    document = run(*CREATE, "-o", "json").document
    assert (document["schema"], document["token"]) == ("hullmark.token/1", "hmt1.secret")
    assert (document["role"], document["networks"]) == ("deployer", ["10.1.0.0/16"])


@pytest.mark.parametrize(
    "options",
    [
        ["create", "ci"],
        ["create", "ci", "--role", "root"],
        ["create", "--role", "admin"],
        ["create", "ci", "--role", "admin", "--for", "ever"],
        ["revoke"],
        ["revoke", ""],
        ["revoke", "a/b"],
        ["list", "ci"],
    ],
)
def test_wrong_usage_of_token(master: FakeMaster, run: Run, options: list[str]) -> None:
    assert run("token", *options).code == 64
    assert master.requests == []


def test_token_list(master: FakeMaster, run: Run) -> None:
    master.answers["GET /v1/tokens"] = TokenList(())
    assert "next: hullmark token create" in run("token", "list").out
    open_one = TokenView("ci", "deployer", 1.6e9, 1.7e9, "anna", ("10.0.0.0/8",), used_at=1.65e9)
    over = TokenView("old", "viewer", 1.5e9, 1.6e9, "token:ci", expired=True)
    master.answers["GET /v1/tokens"] = TokenList((open_one, over))
    head, first, second = run("token", "list").out.splitlines()
    assert head.split() == ["NAME", "ROLE", "UNTIL", "USED", "MADE", "BY", "FROM"]
    assert first.endswith("2022-04-15 05:20:00  anna      10.0.0.0/8")
    assert "EXPIRED 2020-09-13 12:26:40" in second
    assert second.endswith("token:ci  anywhere")
    found = run("token", "list", "-o", "json").document
    assert [token["used_at"] for token in found["tokens"]] == [1.65e9, None]


def test_token_revoke(master: FakeMaster, run: Run) -> None:
    master.answers["DELETE /v1/tokens/ci"] = RevokeAnswer("ci")
    assert run("token", "revoke", "ci", "--ticket", "CHG-1").out == "ci  revoked\n"
    body = master.requests[0].body
    assert (bool(body["request_id"]), body["ticket"]) == (True, "CHG-1")
    assert run("token", "revoke", "ci", "-o", "json").document["name"] == "ci"
    assert run("token", "revoke", "cd").code == 2


def test_no_token_is_made_for_a_file_that_could_not_be_written(
    master: FakeMaster, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody would have it, and the invite would wait for a host that never comes."""
    monkeypatch.setattr("hullmark.cli.secretfile.os.access", lambda *_: False)
    done = run("invite", "web3", "--token-file", str(tmp_path / "web3.token"))
    assert (done.code, "web3.token can't be written" in done.err) == (2, True)
    assert not master.asked("POST")
