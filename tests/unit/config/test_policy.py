"""Policy files: there are no rules yet, and nobody is to believe in one."""

from __future__ import annotations

from pathlib import Path

import pytest

from hullmark.config import Policy, load_policies, load_policy
from hullmark.errors import InvalidInput


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "policy.d"
    made.mkdir(mode=0o755)
    return made


def test_names_and_descriptions_are_read(folder: Path) -> None:
    (folder / "20-b.yaml").write_text("# nothing yet\n")
    (folder / "10-a.yaml").write_text("name: a\ndescription: |\n  of the shop\n")
    (folder / ".10-a.yaml.swp").write_bytes(b"\0")
    assert load_policies(str(folder)) == (
        Policy(str(folder / "10-a.yaml"), "a", "of the shop\n"),
        Policy(str(folder / "20-b.yaml")),
    )


def test_a_folder_that_is_not_there_is_no_policy(tmp_path: Path) -> None:
    assert load_policies(str(tmp_path / "gone")) == ()


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("name: a\nallow_privileged: false\n", 2, "no rules yet"),
        ("name: [a]\n", 1, "bad value"),
        ("- name: a\n", 1, "not a mapping"),
        ("name: a\nname: b\n", 2, "stands here and in line 1"),
    ],
)
def test_what_is_wrong_is_named_by_line(folder: Path, text: str, line: int, said: str) -> None:
    file = folder / "a.yaml"
    file.write_text(text)
    for load in (lambda: load_policies(str(folder)), lambda: load_policy(str(file))):
        with pytest.raises(InvalidInput) as caught:
            load()
        (problem,) = caught.value.problems
        assert (problem.file, problem.line) == (str(file), line)
        assert said in problem.message
        assert "hullmark config check policy" in caught.value.remedy


def test_every_problem_of_every_file_is_told(folder: Path) -> None:
    (folder / "a.yaml").write_text("x: 1\ny: 2\n")
    (folder / "b.yml").write_text("name: b\n")
    (folder / "c.yaml").symlink_to(folder / "a.yaml")
    (folder / "d.yaml").write_text("name: d\n")
    (folder / "d.yaml").chmod(0o666)
    folder.chmod(0o777)
    with pytest.raises(InvalidInput) as caught:
        load_policies(str(folder))
    told = caught.value.message
    for part in (
        "a.yaml:1: x:",
        "a.yaml:2: y:",
        "b.yml: would not be read",
        "c.yaml: is a symbolic link",
        "d.yaml: may be written by everybody",
        f"{folder}: may be written by everybody",
    ):
        assert part in told
