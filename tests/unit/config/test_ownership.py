"""Files that others than root and the daemon's user may change are a problem for a daemon."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hullmark.config import load_agent, load_policy_folder
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


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    """Somewhere else, where nobody may write yet."""
    made = tmp_path / "elsewhere" / "etc"
    made.mkdir(parents=True)
    for each in (made, made.parent):
        each.chmod(0o755)
    for name in ("agent.yaml", "policy.yaml"):
        (made / name).write_text("# nothing\n")
        (made / name).chmod(0o644)
    return made


def test_a_folder_higher_up_counts_too(etc: Path) -> None:
    assert problems_in(etc / "agent.yaml") == []
    etc.parent.chmod(0o777)
    (problem,) = problems_in(etc / "agent.yaml")
    assert problem.file == str(etc.parent)
    assert "keep the files elsewhere" in problem.allowed


def test_so_does_one_higher_up_behind_a_link(file: Path, etc: Path) -> None:
    (file.parent / "agent.d" / "20.yaml").symlink_to("../../elsewhere/etc/agent.yaml")
    assert problems_in(file) == []
    etc.parent.chmod(0o775)
    (problem,) = problems_in(file)
    assert problem.file == str(etc.parent)
    assert "its group" in problem.message


def test_and_each_folder_that_links_lead_through(file: Path, etc: Path, tmp_path: Path) -> None:
    """What the last one leads to is as it should be, and who may change one in between decides what is read."""
    middle = tmp_path / "middle"
    middle.mkdir()
    (middle / "link.yaml").symlink_to(etc / "agent.yaml")
    (file.parent / "agent.d" / "20.yaml").symlink_to(middle / "link.yaml")
    assert problems_in(file) == []
    middle.chmod(0o777)
    (problem,) = problems_in(file)
    assert problem.file == str(middle)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_link_of_somebody_else_is_named(file: Path, etc: Path, tmp_path: Path) -> None:
    """Where the sticky bit keeps others from it, its owner may still put another in its place."""
    middle = tmp_path / "middle"
    middle.mkdir()
    middle.chmod(0o1777)
    link = middle / "etc"
    link.symlink_to(etc)
    assert problems_in(link / "agent.yaml") == []
    os.chown(link, 12345, -1, follow_symlinks=False)
    (problem,) = problems_in(link / "agent.yaml")
    assert (problem.file, problem.message) == (str(link), "belongs to user 12345")
    assert "chown -h root" in problem.allowed


def test_a_folder_of_policies_is_judged_with_all_above(file: Path, etc: Path) -> None:
    policies = file.parent / "policy.d"
    policies.symlink_to(etc)
    (etc / "agent.yaml").unlink()
    assert len(load_policy_folder(str(policies)).files) == 1
    etc.parent.chmod(0o777)
    with pytest.raises(InvalidInput, match="may be written by everybody") as caught:
        load_policy_folder(str(policies))
    assert [problem.file for problem in caught.value.problems] == [str(etc.parent)]


def test_links_in_a_circle_end(file: Path) -> None:
    (file.parent / "agent.d" / "20.yaml").symlink_to("20.yaml")
    (problem,) = problems_in(file)
    assert problem.file == str(file.parent / "agent.d" / "20.yaml")
