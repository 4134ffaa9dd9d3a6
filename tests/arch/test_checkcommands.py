"""Checks run what is listed, and nothing else; and the survey that says so does see others."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.arch import checkcommands

SOURCE = Path(__file__).resolve().parents[2] / "agent" / "hullmark"
LISTED = {
    "auditctl": {"-s": "tells the state"},
    "date": {"": "tells the time"},
    "fwtool": {"status": "tells", "status --all": "tells more"},
}


def test_probes_run_what_is_listed() -> None:
    modules = list(checkcommands.modules(SOURCE))
    assert len(modules) > 10
    found = [
        f"{path}:{line}: {what}"
        for path, tree in modules
        for line, what in checkcommands.breaches(path, tree)
    ]
    assert found == []


def test_what_is_listed_is_run_and_says_why() -> None:
    """The list shrinks with the code."""
    run = {
        each for _, tree in checkcommands.modules(SOURCE) for each in checkcommands.commands(tree)
    }
    listed = {
        (program, words): why
        for program, entry in checkcommands.CHECK_COMMANDS.items()
        for words, why in entry.items()
    }
    assert set(listed) - run == set()
    assert all(listed.values())
    assert list(checkcommands.CHECK_COMMANDS) == sorted(checkcommands.CHECK_COMMANDS)


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("eye.run('a', ['auditctl', '-D'])", "auditctl -D: these words aren't listed"),
        ("eye.run('a', ['auditctl'])", "auditctl: these words aren't listed"),
        ("eye.run('a', ['auditctl', mode])", "auditctl: these words aren't listed"),
        ("eye.run('a', ('date', '--set=now'))", "date --set=now: these words aren't listed"),
        ("eye.run('a', argv=['rm', '-r'])", "rm isn't listed"),
        ("eye.run('a', argv)", "doesn't say as a list"),
        ("eye.run('a', [program, '-s'])", "doesn't say as a list"),
        ("eye.run('a', [*('auditctl', '-D'), '-s'])", "auditctl -D -s: these words aren't listed"),
        ("eye.run('a', ['fwtool', 'reset'])", "fwtool reset: these words aren't listed"),
        ("import subprocess", "may not import subprocess"),
        ("from signal import SIGKILL", "may not import signal"),
        ("os.kill(1, 9)", "may not call kill()"),
        ("os.replace(a, b)", "may not call replace()"),
        ("eye.at(path).write_text('')", "may not call write_text()"),
    ],
)
def test_others_are_seen(monkeypatch: pytest.MonkeyPatch, source: str, what: str) -> None:
    monkeypatch.setattr(checkcommands, "CHECK_COMMANDS", LISTED)
    found = list(checkcommands.breaches("host/probes/any.py", ast.parse(f"def f():\n    {source}")))
    assert [(line, what in said) for line, said in found] == [(2, True)], found


@pytest.mark.parametrize(
    "source",
    [
        "eye.run('a', ['auditctl', '-s'])",
        "eye.run('a', ['auditctl', '-s', *more], most=9)",
        "eye.run('a', [*('auditctl', '-s'), *more])",
        "eye.run('a', ['date'])",
        "eye.run('a', ['date', *words])",
        "eye.run('a', ['fwtool', 'status', name])",
        "'a'.replace('b', 'c')",
    ],
)
def test_what_is_listed_passes(monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    monkeypatch.setattr(checkcommands, "CHECK_COMMANDS", LISTED)
    assert list(checkcommands.breaches("host/probes/any.py", ast.parse(source))) == []


def test_a_sites_own_command_is_the_sites(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkcommands, "BY_THE_SITE", {("host/probes/own.py", "f"): "a file's"})
    source = "def f():\n    eye.run('a', argv)\ndef g():\n    eye.run('a', argv)"
    found = list(checkcommands.breaches("host/probes/own.py", ast.parse(source)))
    assert [line for line, _ in found] == [4]
