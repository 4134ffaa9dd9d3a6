"""`hullmark policy`: the rules in force, and what is handed to the agent's side to be judged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hullmark.cli.commands import policy
from hullmark.model.app import App
from hullmark.model.wire import from_wire
from tests.unit.cli.conftest import Run

POLICY = """\
scope: cde
privileged: false
devices: []
limits: {memory: 512MiB, oom_score_adj: 0, ulimits: {nofile: 1024}}
apps: {mon*: {privileged: true}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> str:
    made = tmp_path / "policy.d"
    made.mkdir(mode=0o755)
    (made / "10-a.yaml").write_text(POLICY)
    return str(made)


def row(text: str, rule: str) -> list[str]:
    return next(line.split() for line in text.splitlines() if line.startswith(rule))


def test_every_rule_with_its_place(run: Run, folder: str) -> None:
    done = run("policy", "show", "--policy-dir", folder)
    assert done.code == 0
    assert done.out.startswith("scope cde, on_violation report\n")
    assert row(done.out, "privileged ") == ["privileged", "false", f"{folder}/10-a.yaml:2"]
    assert row(done.out, "devices") == ["devices", "none", f"{folder}/10-a.yaml:3"]
    assert row(done.out, "exec.allowed") == ["exec.allowed", "false", "default"]
    assert row(done.out, "limits.cpus") == ["limits.cpus", "any", "default"]
    assert row(done.out, "limits.oom_score_adj")[1] == "0"
    assert row(done.out, "limits.ulimits")[1:3] == ["nofile:", "1024"]
    assert "for mon*" in done.out


def test_as_a_service_has_them(run: Run, folder: str) -> None:
    done = run("policy", "show", "monitor/agent", "--policy-dir", folder)
    assert row(done.out, "privileged ") == ["privileged", "true", f"{folder}/10-a.yaml:5"]
    assert "for mon*" not in done.out


def test_as_json(run: Run, folder: str) -> None:
    document = json.loads(run("policy", "show", "--policy-dir", folder, "-o", "json").out)
    assert (document["schema"], document["scope"]) == ("hullmark.policy/1", "cde")
    rules = {rule["rule"]: rule for rule in document["rules"]}
    assert rules["privileged"]["from"] == f"{folder}/10-a.yaml:2"
    assert rules["devices"]["value"] == []
    assert rules["sysctls"]["value"] == "any"
    (exemption,) = document["exemptions"]
    assert exemption["rules"][0]["value"] is True


def test_one_that_cannot_be_read(run: Run, folder: str) -> None:
    (Path(folder) / "20-b.yaml").write_text("privilged: true\n")
    done = run("policy", "show", "--policy-dir", folder)
    assert done.code == 2
    assert "20-b.yaml:1" in done.err


def test_an_app_is_handed_over_whole(
    run: Run, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed: list[tuple[str, list[str], str]] = []

    def become(daemon: str, arguments: list[str], *, given: str) -> Any:
        handed.append((daemon, arguments, given))

    monkeypatch.setattr(policy, "become", become)
    file = tmp_path / "compose.yaml"
    file.write_text("name: shop\nservices: {web: {image: 'localhost/web:1', privileged: true}}\n")
    run("policy", "test", "--policy-dir", folder, "-o", "json", str(file))
    ((daemon, arguments, given),) = handed
    assert daemon == "agentd"
    assert arguments == [
        "policy-test",
        "--config",
        "/etc/hullmark/agent.yaml",
        "--output",
        "json",
        "--policy-dir",
        folder,
    ]
    app = from_wire(App, json.loads(given))
    assert app.services["web"].container.privileged
    run("policy", "test", str(file))
    assert "--policy-dir" not in handed[-1][1]


@pytest.mark.parametrize("verb", ["show", "test"])
def test_a_policy_folder_that_is_named_has_to_be_there(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """A slip in its name would be a host without a policy, which allows everything."""
    (tmp_path / "compose.yaml").write_text("services: {web: {image: 'localhost/web:1'}}\n")
    monkeypatch.chdir(tmp_path)
    done = run("policy", verb, "--policy-dir", f"{tmp_path}/policy.b")
    assert done.code == 64
    assert f"{tmp_path}/policy.b" in done.err
    assert "does not exist" in done.err


def test_what_is_no_service_is_no_service_without_exemptions(run: Run, folder: str) -> None:
    done = run("policy", "show", "monitor/agent/1", "--policy-dir", folder)
    assert (done.code, "not a target: 'monitor/agent/1'" in done.err) == (64, True)


def test_without_a_folder_it_is_the_one_in_force(run: Run, folder: str, tmp_path: Path) -> None:
    config = tmp_path / "agent.yaml"
    config.write_text(f"policy_dir: {folder}\n")
    done = run("policy", "show", "--config", str(config))
    assert (done.code, row(done.out, "privileged ")[1]) == (0, "false")
