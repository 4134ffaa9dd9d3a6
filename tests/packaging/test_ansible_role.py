"""The Ansible role as text: its linters, its variables, and what its page says of them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

TREE = Path(__file__).parents[2]
ANSIBLE = TREE / "packaging" / "ansible"
ROLES = ANSIBLE / "roles"
PAGES = {
    "hullmark": TREE / "docs" / "operations" / "ansible.md",
    "hullmark_etcd": TREE / "docs" / "operations" / "high-availability.md",
}
PAGE = PAGES["hullmark"]
BLOCK = re.compile(r"```yaml\n# (\S+?)(?:, [^\n]*)?\n(.*?)```", re.DOTALL)
BUILTIN = re.compile(r"ansible\.builtin\.[a-z_]+$")
# Of a task, beside its module.
KEYWORDS = {
    *("name", "block", "when", "loop", "loop_control", "register", "changed_when", "failed_when"),
    *("check_mode", "delegate_to", "diff", "no_log", "notify", "listen", "vars"),
    *("until", "retries", "delay", "run_once", "become", "environment"),
}


def read(file: Path) -> Any:
    return yaml.safe_load(file.read_text())


def options(role: str = "hullmark") -> dict[str, dict[str, Any]]:
    specs = read(ROLES / role / "meta/argument_specs.yml")["argument_specs"]
    found: dict[str, dict[str, Any]] = specs["main"]["options"]
    return found


def lint(folder: Path, home: Path) -> subprocess.CompletedProcess[str]:
    """Of `folder`, without network and with the folder's own settings."""
    return subprocess.run(
        ["/usr/bin/ansible-lint", "--offline", "--nocolor", "--strict"],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(home), "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=180,
    )


def test_ansible_lint_finds_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "ansible"
    shutil.copytree(ANSIBLE, folder)
    done = lint(folder, tmp_path)
    assert done.returncode == 0, done.stdout
    assert "production" in done.stdout, done.stdout


def test_yamllint_finds_nothing() -> None:
    done = subprocess.run(
        ["/usr/bin/yamllint", "--strict", "."],
        cwd=ANSIBLE,
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout


def tasks_of(listed: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for task in listed:
        yield task
        yield from tasks_of(task.get("block", []))


def test_every_module_is_of_ansible_core() -> None:
    files = [*ROLES.glob("*/tasks/*.yml"), *ROLES.glob("*/handlers/*.yml")]
    modules = [
        key for file in files for task in tasks_of(read(file)) for key in set(task) - KEYWORDS
    ]
    assert len(modules) > 30
    assert [module for module in modules if not BUILTIN.match(module)] == []


@pytest.mark.parametrize("role", PAGES)
def test_every_variable_has_a_default_and_is_described(role: str) -> None:
    defaults = read(ROLES / role / "defaults/main.yml")
    assert {name: option["default"] for name, option in options(role).items()} == defaults


@pytest.mark.parametrize("role", PAGES)
def test_every_variable_is_used(role: str) -> None:
    folders = ("tasks", "templates", "handlers", "vars")
    files = [file for folder in folders for file in (ROLES / role / folder).glob("*")]
    text = "\n".join(file.read_text() for file in files)
    used = set(re.findall(r"(?<![\w])hullmark_[a-z_]+\b", text))
    assert used == set(options(role))


@pytest.mark.parametrize(
    ("role", "name"), [(role, name) for role in PAGES for name in options(role)]
)
def test_the_page_tells_type_and_default_of(role: str, name: str) -> None:
    option, page = options(role)[name], PAGES[role]
    row = re.search(
        rf"^\| `{name}` \| (.*?) \| `(.*?)` \| (.*) \|$", page.read_text(), re.MULTILINE
    )
    assert row is not None, f"{page.name} has no row for {name}"
    kind, default, text = row.groups()
    listed = "list of " if option["type"] == "list" else ""
    choices = ", ".join(f"`{choice}`" for choice in option.get("choices", ()))
    assert kind == listed + (choices or option.get("elements", option["type"]))
    assert yaml.safe_load(f'"{default}"' if "{{" in default else default) == (
        option["default"] if option["default"] != "" else ""
    )
    described = option["description"]
    words = described if isinstance(described, str) else " ".join(described)
    assert text == re.sub(r"C\((.*?)\)", r"`\1`", words).rstrip(".")


def test_the_page_tells_of_no_other_variable() -> None:
    named = set(re.findall(r"`(hullmark_[a-z_]+)`", PAGE.read_text()))
    assert named <= set(options())


def test_what_the_page_shows_is_what_is_there() -> None:
    shown = dict(BLOCK.findall(PAGE.read_text()))
    there = {str(file.relative_to(ANSIBLE)): file for file in ANSIBLE.glob("*.yml")}
    there |= {str(file.relative_to(ANSIBLE)): file for file in ANSIBLE.glob("inventory/**/*.yml")}
    assert len(there) == 7
    for name, file in there.items():
        assert shown[name] == file.read_text(), f"{PAGE.name} shows another {name}"
    for name, text in shown.items():
        unknown = set(re.findall(r"^ *(?:- )?(hullmark_\w+):", text, re.MULTILINE)) - set(options())
        groups = {"hullmark_masters", "hullmark_agents", "hullmark_etcd"}
        assert unknown <= groups, f"{PAGE.name}: {name}"
