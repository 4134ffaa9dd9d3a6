"""Commands that need no master: validate, config, version, agent, master."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import hullmark
from hullmark import config
from hullmark.agentd import __main__ as agentd
from hullmark.cli import daemon
from hullmark.cli.commands import config as config_command
from hullmark.config import loading
from hullmark.masterd import __main__ as masterd
from tests.unit.cli.conftest import Run

COMPOSE = """\
name: shop
services:
  web:
    image: localhost/web:1
    environment: {DB_PASSWORD: hunter2}
"""


def test_validate(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text(COMPOSE)
    done = run("validate", str(file))
    assert (done.code, done.out) == (0, "shop  valid, 1 service\n  web  localhost/web:1\n")
    assert "warning: " in done.err
    assert "hunter2" not in done.err
    document = run("validate", "-f", str(file), "--output", "json").document
    assert document["schema"] == "hullmark.validate/1"
    container = document["app"]["services"]["web"]["container"]
    assert container["environment"] == {"DB_PASSWORD": "***"}
    assert container["read_only"] is False, "fields that hold their default are there"
    assert len(document["warnings"]) == 1
    assert run("validate", "-q", str(file)).out == ""


def test_a_config_does_not_keep_an_app_from_being_shown(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text(
        "name: x\nservices: {web: {image: nginx, configs: [page]}}\n"
        "configs: {page: {content: a secret page}}\n"
    )
    done = run("validate", str(file), "--output", "json")
    assert done.code == 0
    assert done.document["app"]["configs"]["page"]["size_bytes"] == 13
    assert "a secret page" not in done.out


def test_validate_refuses_a_port_that_two_services_publish(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    one = "{image: nginx, ports: ['8080:80']}"
    file.write_text(f"name: shop\nservices:\n  web: {one}\n  api: {one}\n")
    done = run("validate", str(file))
    assert done.code == 2
    assert f"{file}:4: services.api.ports[0]: port 8080/tcp is published by web, too" in done.err


def test_validate_says_where(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text(COMPOSE + "    imagee: x\n    prots: []\n")
    done = run("validate", str(file))
    assert (done.code, done.out) == (2, "")
    assert f"{file}:6: " in done.err
    assert f"{file}:7: " in done.err
    error = run("validate", str(file), "-o", "json").error
    assert error["error"] == "InvalidInput"
    assert [(problem["file"], problem["line"]) for problem in error["problems"]] == [
        (str(file), 6),
        (str(file), 7),
    ]


def test_a_strangers_file_moves_no_cursor(run: Run, tmp_path: Path) -> None:
    """Nor does it write a line of its own between ours."""
    file = tmp_path / "compose.yaml"
    file.write_text('name: x\nservices:\n  "a\\e[2J\\nall is well": {image: nginx, "k\\e]0;": 1}\n')
    done = run("validate", str(file))
    assert done.code == 2
    assert "services.a\\x1b[2J\\nall is well" in done.err
    assert all(line.isprintable() for line in done.err.split("\n"))
    assert not [line for line in done.err.splitlines() if line.lstrip().startswith("all is well")]


def test_validate_with_all_options(run: Run, tmp_path: Path) -> None:
    file, second, variables = tmp_path / "a.yaml", tmp_path / "b.yaml", tmp_path / "env"
    file.write_text(
        "services:\n  web: {build: ., user: '${WHO}'}\n  extra: {image: x, profiles: [p]}\n"
    )
    second.write_text("services: {web: {hostname: two}}\n")
    variables.write_text("WHO=me\n")
    options = ["-p", "named", "--env-file", str(variables), "--profile", "p", "--image", "web=w:1"]
    document = run("validate", "-f", str(file), str(second), *options, "-o", "json").document
    app = document["app"]
    assert app["name"] == "named"
    assert sorted(app["services"]) == ["extra", "web"]
    container = app["services"]["web"]["container"]
    assert (container["image"], container["user"], container["hostname"]) == ("w:1", "me", "two")


def test_validate_bad_image_option(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text(COMPOSE)
    done = run("validate", str(file), "--image", "web")
    assert (done.code, "--image: not KEY=VALUE" in done.err) == (64, True)


def test_config_show(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "master.yaml"
    file.write_text("name: m1\naddresses: [a.example, b.example]\nlease: 5s\n")
    done = run("config", "show", "master", str(file))
    rows = [line.split() for line in done.out.splitlines()]
    assert rows[0] == ["KEY", "VALUE", "FROM"]
    assert ["name", "m1", f"{file}:1"] in rows
    assert ["addresses", "a.example,", "b.example", f"{file}:2"] in rows
    assert ["lease", "5s", f"{file}:3"] in rows
    assert ["session_valid", "8h", "default"] in rows
    assert ["log_level", "info", "default"] in rows
    document = run("config", "show", "master", str(file), "-o", "json").document
    assert document["schema"] == "hullmark.config/1"
    assert document["keys"][1]["value"] == "m1"
    assert document["keys"][1]["meaning"]


def test_config_check(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text("parallel: 4\n")
    assert run("config", "check", "agent", str(file)).out == f"{file}  valid\n"
    document = run("config", "check", "agent", str(file), "-o", "json").document
    assert document == {
        "schema": "hullmark.config-check/1",
        "kind": "agent",
        "file": str(file),
        "valid": True,
        "files": [str(file)],
    }
    (tmp_path / "agent.d").mkdir()
    (tmp_path / "agent.d" / "10.yaml").write_text("paralel: 4\n")
    done = run("config", "check", "agent", str(file))
    assert done.code == 2
    assert "10.yaml:1" in done.err
    assert "nothing was started" not in done.err
    assert run("config", "check", "proxy").code == 64


def test_config_check_without_a_file(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    standard = str(tmp_path / "agent.yaml")
    monkeypatch.setattr(loading, "AGENT_FILE", standard)
    monkeypatch.setitem(config_command.STANDARD, "agent", standard)
    assert run("config", "check", "agent").out == f"{standard}  not there; all defaults\n"
    (tmp_path / "agent.d").mkdir()
    (tmp_path / "agent.d" / "10.yaml").write_text("parallel: 4\n")
    found = run("config", "check", "agent").out
    assert found.splitlines() == [
        f"{standard}  not there; its drop-ins are valid",
        f"{tmp_path}/agent.d/10.yaml  valid",
    ]


def test_config_check_of_the_standard_place_looks_at_who_may_write_there(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "etc").mkdir(mode=0o755)
    file, policies = tmp_path / "etc" / "agent.yaml", tmp_path / "policy.d"
    policies.mkdir()
    (policies / "web.yaml").write_text("name: web\nallow: all\n")
    file.write_text(f"policy_dir: {policies}\n")
    file.chmod(0o666)
    assert run("config", "check", "agent", str(file)).code == 0, "a copy is anybody's"
    monkeypatch.setattr(loading, "AGENT_FILE", str(file))
    monkeypatch.setitem(config_command.STANDARD, "agent", str(file))
    (problem,) = run("config", "check", "agent", "-o", "json").error["problems"]
    assert problem["file"] == str(file)
    assert "may be written by everybody (mode 0666)" in problem["message"]
    assert f"chmod go-w {file}" in problem["allowed"]
    file.chmod(0o644)
    (problem,) = run("config", "check", "agent", "-o", "json").error["problems"]
    assert (problem["file"], problem["line"]) == (str(policies / "web.yaml"), 2)
    assert "privileged" in problem["allowed"]


def test_config_check_says_where_there_is_no_policy(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "policy.d"
    monkeypatch.setitem(config_command.FOLDERS, "policy", str(folder))
    told = run("config", "check", "policy").out
    assert told == f"{folder}  not there; this host has no policy\n"
    folder.mkdir(mode=0o755)
    assert run("config", "check", "policy").out == f"{folder}  valid, 0 files\n"


def test_config_check_of_the_standard_place_looks_at_credentials(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, registries, policies = (tmp_path / name for name in ("agent.yaml", "r.d", "policy.d"))
    for folder in (registries, policies):
        folder.mkdir(mode=0o755)
    credential = registries / "r.yaml"
    credential.write_text("registry: r.example.com\nusername: u\npassword: s3cret\n")
    credential.chmod(0o600)
    file.write_text(f"registries_dir: {registries}\npolicy_dir: {policies}\n")
    file.chmod(0o644)
    monkeypatch.setattr(loading, "AGENT_FILE", str(file))
    monkeypatch.setitem(config_command.STANDARD, "agent", str(file))
    (policies / "db.yaml").write_text("name: db\n")
    files = [str(file), str(policies / "db.yaml"), str(credential)]
    assert run("config", "check", "agent").out.splitlines() == [f"{each}  valid" for each in files]
    assert run("config", "check", "agent", "-o", "json").document["files"] == files
    credential.chmod(0o666)
    (policies / "web.yaml").write_text("allow: all\n")
    done = run("config", "check", "agent", "-o", "json")
    assert done.code == 2
    problems = done.error["problems"]
    assert [each["file"] for each in problems] == [str(policies / "web.yaml"), str(credential)]
    assert "chmod 600" in problems[1]["allowed"]
    assert "s3cret" not in done.out + done.err


CONTROL = """\
controls:
- id: edr
  function: site-edr
  title: Ours
  checks: [{id: daemon, kind: process, name: edr}]
"""


def test_config_check_of_controls_and_frameworks(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = {"control": CONTROL, "framework": "title: x\nrequirements: [{id: a, title: b}]\n"}
    for kind, folder in (("control", "controls.d"), ("framework", "frameworks")):
        place = tmp_path / folder
        monkeypatch.setitem(config_command.FOLDERS, kind, str(place))
        assert f"{place}  not there; only the shipped" in run("config", "check", kind).out
        place.mkdir(mode=0o755)
        file = place / "site.yaml"
        file.write_text(texts[kind])
        if kind == "control":
            assert run("config", "check", kind).out.splitlines() == [
                f"{place}  valid, 1 file",
                f"{file}  valid",
            ]
            assert run("config", "check", str(file)).out == f"{file}  valid, 1 control\n"
            off = "- {id: time-chrony, enabled: false}\n"
            file.write_text(CONTROL.replace("id: edr", "id: time-ntpd") + off)
            assert run("config", "check", str(file)).out == (
                f"{file}  valid, 2 controls; switched off: time-chrony; "
                "in place of what is shipped: time-ntpd\n"
            )
            file.write_text(CONTROL.replace("proc", "prok"))
        for asked in ((kind,), (str(file),)):
            done = run("config", "check", *asked, "-o", "json")
            assert done.code == 2
            assert {each["file"] for each in done.error["problems"]} == {str(file)}
            assert f"config check {kind} FILE" in done.error["remedy"]


def test_config_check_of_the_agent_looks_at_its_controls(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, controls = tmp_path / "agent.yaml", tmp_path / "controls.d"
    controls.mkdir(mode=0o755)
    (controls / "edr.yaml").write_text(CONTROL)
    empty = tmp_path / "none"
    file.write_text(
        f"controls: {{dir: {controls}}}\npolicy_dir: {empty}\nregistries_dir: {empty}\n"
    )
    monkeypatch.setattr(loading, "AGENT_FILE", str(file))
    monkeypatch.setitem(config_command.STANDARD, "agent", str(file))
    assert run("config", "check", "agent").out.splitlines() == [
        f"{file}  valid",
        f"{controls}/edr.yaml  valid",
    ]
    (controls / "edr.yaml").write_text(CONTROL.replace("kind", "kid"))
    (problem, *_) = run("config", "check", "agent", "-o", "json").error["problems"]
    assert problem["file"] == f"{controls}/edr.yaml"


def test_config_check_of_standard_input(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for text, code, said in (("parallel: 4\n", 0, "-  valid\n"), ("paralel: 4\n", 2, "")):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        done = run("config", "check", "agent", "-")
        assert (done.code, done.out) == (code, said)


@pytest.mark.parametrize("kind", ["agent", "master", "policy"])
def test_config_check_of_a_copy_under_any_name(run: Run, tmp_path: Path, kind: str) -> None:
    """As `validate:` of configuration management makes one, of a main file or of one drop-in."""
    texts = {"agent": "parallel: 4\n", "master": "lease: 5s\n", "policy": "name: web\n"}
    copy = tmp_path / ".source.yaml~x3"
    copy.write_text(texts[kind])
    copy.chmod(0o666)
    assert run("config", "check", kind, str(copy)).code == 0
    assert run("config", "check", "--kind", kind, str(copy)).code == 0
    assert run("config", "check", str(copy)).code == 64
    copy.write_text("color: red\n")
    error = run("config", "check", str(copy), "--kind", kind, "-o", "json").error
    assert error["exit_code"] == 2
    (problem,) = error["problems"]
    assert (problem["file"], problem["line"], problem["field"]) == (str(copy), 1, "color")
    assert problem["allowed"]


@pytest.mark.parametrize("name", ["agent.yaml", "agent.d/10-web.yaml", "master.d/x.yaml"])
def test_config_check_knows_what_a_file_is_by_its_place(
    run: Run, tmp_path: Path, name: str
) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("log_level: debug\n")
    document = run("config", "check", str(file), "-o", "json").document
    assert document["kind"] == name[: len(document["kind"])]
    assert document["valid"] is True


def test_config_check_takes_one_file(run: Run) -> None:
    assert run("config", "check", "agent", "a.yaml", "b.yaml").code == 64
    assert run("config", "check").code == 64


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_version_as_an_option(run: Run, option: str) -> None:
    assert run(option) == run("version")


def test_version(run: Run) -> None:
    assert run("version").out == f"hullmark {hullmark.__version__}\n"
    assert run("-o", "json", "version").document["version"] == hullmark.__version__


def test_standard_files_are_those_of_the_configuration() -> None:
    assert (daemon.AGENT_FILE, daemon.MASTER_FILE) == (config.AGENT_FILE, config.MASTER_FILE)


@pytest.mark.parametrize(
    ("given", "becomes"),
    [
        ("agent run", "agentd run --config /etc/hullmark/agent.yaml"),
        (
            "agent enroll --token-file t",
            "agentd enroll --config /etc/hullmark/agent.yaml --token-file t --output text",
        ),
        (
            "agent enroll --config a --token-file t --force --no-start -o json",
            "agentd enroll --config a --token-file t --output json --force --no-start",
        ),
        ("agent renew -o json", "agentd renew --config /etc/hullmark/agent.yaml --output json"),
        (
            "eject",
            "agentd eject --config /etc/hullmark/agent.yaml --out /root/hullmark-eject --output text",
        ),
        (
            "eject --config a --out o --force --dry-run --accept-duplicates -o json",
            "agentd eject --config a --out o --output json --force --dry-run --accept-duplicates",
        ),
        ("master run --config m", "masterd run --config m"),
        ("master init", "masterd init --config /etc/hullmark/master.yaml --output text"),
        (
            "master init --config m --address a --address b --ca-chain c --ca-key k --no-start",
            "masterd init --config m --output text --no-start --address a --address b --ca-chain c --ca-key k",
        ),
    ],
)
def test_daemons_replace_the_command(
    run: Run, monkeypatch: pytest.MonkeyPatch, given: str, becomes: str
) -> None:
    lines: list[list[str]] = []

    def replace(path: str, line: list[str]) -> None:
        lines.append(line)
        raise OSError(2, "No such file or directory")

    monkeypatch.setattr(os, "execv", replace)
    done = run(*words(given))
    assert done.code == 2, "where the interpreter is gone, that is said"
    assert "can't be started" in done.err
    (line,) = lines
    assert line[0] == sys.executable
    assert " ".join(line[line.index("-m") :]) == f"-m hullmark.{becomes}"


def words(text: str) -> list[str]:
    return text.split()


def test_the_daemons_take_what_is_passed() -> None:
    """Their own parsers know every option that the command passes on."""
    found = masterd.parser().parse_args(
        words("init --config m --address a --address b --ca-chain c --ca-key k")
    )
    assert (found.address, found.ca_chain, found.ca_key) == (["a", "b"], "c", "k")
    found = agentd.parser().parse_args(words("enroll --config a --token-file t --force"))
    assert (found.config, found.token_file, found.force) == ("a", "t", True)


@pytest.mark.parametrize(
    ("flags", "options"),
    [
        ({}, []),
        ({"isolated": 1, "safe_path": True, "ignore_environment": 1, "no_user_site": 1}, ["-I"]),
        ({"safe_path": True}, ["-P"]),
        ({"no_user_site": 1, "ignore_environment": 1}, ["-E", "-s"]),
    ],
)
def test_isolation_is_kept(
    monkeypatch: pytest.MonkeyPatch, flags: dict[str, Any], options: list[str]
) -> None:
    monkeypatch.setattr(sys, "flags", SimpleNamespace(**flags))
    line = daemon.command_line("agentd", ["run"])
    assert line[1:] == [*options, "-m", "hullmark.agentd", "run"]
