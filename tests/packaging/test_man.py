"""The man pages name every command, option and key, and no reader of man pages finds fault with them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from hullmark.cli.main import COMMANDS
from hullmark.config.keys import AGENT_KEYS, MASTER_KEYS
from tests.unit.cli.test_main import ALL

GENERATOR = Path(__file__).resolve().parents[2] / "packaging" / "man" / "generate.py"
ENVIRONMENT = {**os.environ, "LC_ALL": "C.UTF-8", "MANROFFSEQ": "", "MANWIDTH": "200"}


def generate(folder: Path, epoch: int, python: str = sys.executable) -> None:
    environment = {**ENVIRONMENT, "SOURCE_DATE_EPOCH": str(epoch)}
    command = [python, "-B", str(GENERATOR), "--out", str(folder)]
    subprocess.run(command, env=environment, check=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("man")
    generate(folder, 1_790_000_000)
    return folder


def shown(page: Path) -> str:
    """As a reader sees it, blanks made single."""
    command = ["man", "--warnings", "-E", "UTF-8", "-P", "cat", "-l", str(page)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return re.sub(r"\s+", " ", done.stdout)


def test_there_is_a_page_for_all(made: Path) -> None:
    daemons = {f"hullmark-{kind}{end}" for kind in ("agent", "master") for end in (".8", ".yaml.5")}
    commands = {f"hullmark-{name}.1" for name in COMMANDS}
    others = {"hullmark.1", "hullmark-proxy.8"}
    assert {page.name for page in made.iterdir()} == daemons | commands | others
    overview = shown(made / "hullmark.1")
    for name, summary in COMMANDS.items():
        assert f"hullmark-{name}(1) {summary}" in overview


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_in_the_page_of_its_command(name: str, made: Path) -> None:
    text = shown(made / f"hullmark-{name}.1")
    for path, command in ALL.items():
        if path[0] == name:
            assert f"hullmark {' '.join(path)} [OPTIONS]" in text
            for option in (each for each in command.params if isinstance(each, click.Option)):
                if option.hidden:
                    continue
                for spelling in (*option.opts, *option.secondary_opts):
                    assert f" {spelling}" in text
    assert "EXAMPLES" in text


@pytest.mark.parametrize(("kind", "keys"), [("agent", AGENT_KEYS), ("master", MASTER_KEYS)])
def test_every_key_is_in_the_page_of_its_file(kind: str, keys: tuple[Any, ...], made: Path) -> None:
    text = shown(made / f"hullmark-{kind}.yaml.5")
    for key in keys:
        assert re.search(rf" {re.escape(key.name)} \w.*? Allowed: .*? Default: ", text)


def test_no_reader_finds_fault(made: Path) -> None:
    pages = sorted(str(page) for page in made.iterdir())
    linted = subprocess.run(
        ["mandoc", "-T", "lint", "-W", "warning", *pages], capture_output=True, text=True
    )
    assert (linted.returncode, linted.stdout) == (0, "")
    names = subprocess.run(["lexgrog", *pages], capture_output=True, text=True, check=True)
    assert len(names.stdout.splitlines()) == len(pages)
    for page in made.iterdir():
        assert shown(page)


def test_a_fault_is_found(made: Path, tmp_path: Path) -> None:
    page = tmp_path / "hullmark.1"
    page.write_text((made / "hullmark.1").read_text().replace(".SH NAME", ".SH\n.XX"))
    linted = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", str(page)])
    assert linted.returncode != 0


def test_the_same_bytes_with_the_systems_python_and_another_date(
    made: Path, tmp_path: Path
) -> None:
    generate(tmp_path / "system", 1_790_000_000, "/usr/bin/python3")
    generate(tmp_path / "later", 1_790_086_400)
    for page in made.iterdir():
        text = page.read_text()
        assert (tmp_path / "system" / page.name).read_text() == text
        later = (tmp_path / "later" / page.name).read_text()
        assert later == text.replace("2026-09-21", "2026-09-22") != text
