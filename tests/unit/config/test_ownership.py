"""Files that others than root and the daemon's user may change are a problem for a daemon."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hullmark.config import load_agent
from hullmark.errors import InvalidInput, Problem


def problems_in(file: Path) -> list[Problem]:
    try:
        load_agent(str(file), owned=True)
    except InvalidInput as error:
        return list(error.problems)
    return []


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "etc"
    for each in (folder, folder / "agent.d"):
        each.mkdir()
        each.chmod(0o755)
    for each in (folder / "agent.yaml", folder / "agent.d" / "10.yaml"):
        each.write_text("# nothing\n")
        each.chmod(0o644)
    return folder / "agent.yaml"


def test_what_only_root_or_the_user_may_write_is_fine(file: Path) -> None:
    assert problems_in(file) == []


@pytest.mark.parametrize("name", ["agent.yaml", "agent.d/10.yaml", "agent.d", "."])
@pytest.mark.parametrize(("bit", "who"), [(0o020, "its group"), (0o002, "everybody")])
def test_what_others_may_write_is_named(file: Path, name: str, bit: int, who: str) -> None:
    path = file.parent / name
    path.chmod(path.stat().st_mode | bit)
    (problem,) = problems_in(file)
    assert problem.file == str(path)
    assert f"may be written by {who}" in problem.message
    assert f"chmod go-w {path}" in problem.allowed
    assert load_agent(str(file)), "for who only looks at a copy it is none"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("name", ["agent.yaml", "agent.d/10.yaml", "agent.d"])
def test_what_belongs_to_somebody_else_is_named(file: Path, name: str) -> None:
    os.chown(file.parent / name, 12345, -1)
    (problem,) = problems_in(file)
    assert problem.file == str(file.parent / name)
    assert problem.message == "belongs to user 12345"
    assert "chown root" in problem.allowed


def test_a_main_file_may_lie_where_nobody_replaces_what_is_not_his(file: Path) -> None:
    file.parent.chmod(0o1777)
    assert problems_in(file) == []
    (file.parent / "agent.d").chmod(0o1777)
    (problem,) = problems_in(file)
    assert problem.file == str(file.parent / "agent.d"), "anybody may add a drop-in there"


def test_the_folder_behind_a_link_counts_too(file: Path) -> None:
    elsewhere = file.parent.parent / "elsewhere"
    elsewhere.mkdir()
    elsewhere.chmod(0o777)
    (elsewhere / "agent.yaml").write_text("# nothing\n")
    file.unlink()
    file.symlink_to(elsewhere / "agent.yaml")
    (problem,) = problems_in(file)
    assert problem.file == str(elsewhere)
