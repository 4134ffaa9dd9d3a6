"""What holds for every command: help, wrong usage, errors, odd terminals."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from hullmark.cli import main as entry
from hullmark.cli.main import COMMANDS, hullmark
from hullmark.model.api import InstanceList
from tests.unit.cli import answers
from tests.unit.cli.conftest import Run
from tests.unit.cli.fakemaster import FakeMaster


def leaves(
    command: click.Command = hullmark, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that does something, with its name in words."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from leaves(found, (*path, name))


ALL = dict(leaves())


def test_every_command_is_there() -> None:
    assert {path[0] for path in ALL} == set(COMMANDS)
    folder = Path(entry.__file__).parent / "commands"
    stems = {file.stem.replace("_", "-") for file in folder.glob("[!_]*.py")}
    assert stems == set(COMMANDS)


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_help(run: Run, path: tuple[str, ...]) -> None:
    done = run(*path, "--help")
    assert done.code == 0
    assert f"  hullmark {' '.join(path)}" in done.out, "an example"
    assert all(len(line) <= 80 for line in done.out.splitlines())
    assert run(*path, "-h").out == done.out


GROUPS = sorted({path[0] for path in ALL if len(path) > 1})


@pytest.mark.parametrize("group", GROUPS)
def test_help_of_a_group(run: Run, group: str) -> None:
    """Its examples are commands that are there."""
    done = run(group, "--help")
    assert done.code == 0
    examples = [line.split() for line in done.out.splitlines() if f"  hullmark {group} " in line]
    assert len(examples) > 1
    assert {(group, example[2]) for example in examples} <= set(ALL)


DAEMONS = {("agent", "run"), ("master", "run")}


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_options_that_all_have(path: tuple[str, ...]) -> None:
    options = {name for parameter in ALL[path].params for name in parameter.opts}
    assert ("--output" in options) == (path not in DAEMONS)
    names = [name for parameter in ALL[path].params for name in parameter.opts]
    assert len(names) == len(set(names)), "none twice"


def test_help_of_all(run: Run) -> None:
    done = run("--help")
    assert done.code == 0
    assert all(f"  {name} " in done.out for name in COMMANDS)
    assert all(len(line) <= 80 for line in done.out.splitlines())


@pytest.mark.parametrize("group", ["config", "agent", "master"])
def test_no_short_description_is_cut(run: Run, group: str) -> None:
    listed = run(group, "--help").out.partition("Commands:")[2]
    assert listed
    assert "..." not in listed


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nothing"],
        ["ps", "--nothing"],
        ["ps", "a", "b"],
        ["rm"],
        ["-o", "xml", "ps"],
        ["config"],
    ],
)
def test_wrong_usage(run: Run, arguments: list[str]) -> None:
    done = run(*arguments)
    assert (done.code, done.out) == (64, "")
    assert "--help" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("service", "services"), ("port", "ports"), ("explian", "explain"), ("controll", "controls")],
)
def test_a_command_that_is_nearly_one(run: Run, typed: str, meant: str) -> None:
    done = run(typed)
    assert done.code == 64
    assert f"No such command '{typed}'; did you mean {meant}?" in done.err


def test_wrong_usage_as_json(run: Run) -> None:
    done = run("ps", "--nothing", "--output", "json")
    assert (done.code, done.out) == (64, "")
    assert done.error["error"] == "UsageError"
    assert done.error["exit_code"] == 64


def test_a_broken_pipe_is_quiet(
    master: FakeMaster, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    master.answers["GET /v1/instances"] = InstanceList((answers.instance(),) * 1000)
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        with pytest.raises(SystemExit) as ended:
            hullmark.main(["ps"])
    assert ended.value.code == 141
    assert capfd.readouterr().err == ""


def test_a_terminal_that_knows_ascii_only(
    master: FakeMaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = answers.instance(why="na\u00efve \u4f60\u597d \U0001f600")
    master.answers["GET /v1/instances"] = InstanceList((found,))
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "argv", ["hullmark", "ps"])
    with pytest.raises(SystemExit) as ended:
        entry.main()
    assert ended.value.code == 0
    assert b"na?ve ?? ?" in raw.getvalue()


def test_output_has_no_colour(
    master: FakeMaster, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    master.answers["GET /v1/instances"] = InstanceList((answers.instance(),))
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b" not in run("ps").out


def test_importing_the_command_is_cheap() -> None:
    """What takes long to import is imported late (decision 4). Only what modules say at their top is looked at."""
    folder = Path(entry.__file__).parent
    heavy = (
        "rich",
        "yaml",
        "ssl",
        "http",
        "email",
        "requests",
        "hullmark.compose",
        "hullmark.config",
    )
    for file in folder.rglob("*.py"):
        if file.name == "live.py":
            continue  # only imported where a person looks at a terminal
        for line in file.read_text().splitlines():
            words = line.split()
            if line.startswith(("import ", "from ")):
                assert not words[1].startswith(heavy) or "TYPE_CHECKING" in line, f"{file}: {line}"
