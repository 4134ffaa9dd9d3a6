"""Policy files: every rule with its file and line; what is wrong is named, and nothing of it holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from hullmark.config import load_policy, load_policy_folder
from hullmark.errors import InvalidInput
from hullmark.model.policy import Rule


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "policy.d"
    made.mkdir(mode=0o755)
    return made


def test_a_later_file_replaces_rules_one_by_one(folder: Path) -> None:
    first, second = folder / "10-a.yaml", folder / "20-b.yaml"
    first.write_text(
        "name: a\nscope: cde\nprivileged: false\nmounts:\n  read: [/srv/]\n  write: []\n"
    )
    second.write_text("description: |\n  of the shop\nmounts: {read: [/data], write: any}\n")
    (folder / ".10-a.yaml.swp").write_bytes(b"\0")
    policy = load_policy_folder(str(folder))
    assert (policy.scope, policy.scope_line, policy.on_violation) == ("cde", 2, "report")
    assert policy.given == {
        "privileged": Rule("privileged", False, str(first), 3),
        "mounts.read": Rule("mounts.read", ("/data",), str(second), 3),
        "mounts.write": Rule("mounts.write", None, str(second), 3),
    }
    assert policy.files == (str(first), str(second))


def test_a_folder_that_is_not_there_is_no_policy(tmp_path: Path) -> None:
    policy = load_policy_folder(str(tmp_path / "gone"))
    assert not policy.given
    assert not policy.files


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("name: a\nprivilegd: false\n", 2, "did you mean privileged?"),
        ("name: [a]\n", 1, "bad value"),
        ("- name: a\n", 1, "not a mapping"),
        ("name: a\nname: b\n", 2, "stands here and in line 1"),
        ("privileged: 1\n", 1, "bad value"),
        ("mounts:\n  read: /srv\n", 2, "bad value"),
    ],
)
def test_what_is_wrong_is_named_by_line(folder: Path, text: str, line: int, said: str) -> None:
    file = folder / "a.yaml"
    file.write_text(text)
    for load in (lambda: load_policy_folder(str(folder)), lambda: load_policy(str(file))):
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
        load_policy_folder(str(folder))
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
