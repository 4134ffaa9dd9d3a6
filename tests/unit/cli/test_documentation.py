"""docs/cli.md names every command and every option, and nothing that is not there."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from tests.unit.cli.test_main import ALL

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "cli.md").read_text()
OPTIONS = {
    name
    for command in ALL.values()
    for parameter in command.params
    if isinstance(parameter, click.Option) and not parameter.hidden
    for name in (*parameter.opts, *parameter.secondary_opts)
}


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_is_named(path: tuple[str, ...]) -> None:
    assert re.search(rf"\*\*`hullmark {' '.join(path)}[` ]", PAGE)


@pytest.mark.parametrize("option", sorted(OPTIONS))
def test_every_option_is_named(option: str) -> None:
    assert re.search(rf"`{re.escape(option)}[` ]", PAGE)


def test_every_option_that_is_named_is_there() -> None:
    named = set(re.findall(r"(?<![\w-])(--?[a-z][a-z0-9-]*)", PAGE))
    assert named - OPTIONS - {"--help", "-h", "--version", "-m"} == set()


def test_every_schema_is_named() -> None:
    folder = Path(__file__).resolve().parents[3] / "agent" / "hullmark" / "cli"
    used = set()
    for file in folder.rglob("*.py"):
        used |= set(re.findall(r'show\.(?:document|record)\(\s*"([a-z-]+)"', file.read_text()))
        used |= set(re.findall(r'changing\.tell\(\s*asked, client, "([a-z-]+)"', file.read_text()))
    assert len(used) > 15
    assert {name for name in used if f"hullmark.{name}/1" not in PAGE} == set()


WORD = "[a-z]+(?:-[a-z]+)*"
CALLED = re.compile(rf"(?<!from )\bhullmark (?P<name>{WORD})(?: (?P<under>{WORD}))?\b")


def test_every_command_that_is_proposed_is_there() -> None:
    """In the pages, and in what errors and explanations say to type."""
    root = Path(__file__).resolve().parents[3]
    groups = {path[0] for path in ALL if len(path) > 1}
    texts = [root / "README.md", *root.glob("docs/**/*.md"), *root.glob("conf/*.yaml")]
    texts += root.glob("agent/hullmark/**/*.py")
    proposed = {
        (found["name"], found["under"])
        if found["name"] in groups and found["under"]
        else (found["name"],)
        for text in texts
        for found in CALLED.finditer(text.read_text())
    }
    assert {("explain",), ("agent", "enroll")} <= proposed
    known = {path[:length] for path in ALL for length in (1, 2)}
    assert proposed - known - {("import",)} == set()
