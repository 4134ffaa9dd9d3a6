"""The host's policy as its files have it now: read again by itself, and nothing to go by while it can't be read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Optional

import pytest

from hullmark.agentd import policyfolder
from hullmark.agentd.policyfolder import PolicyFolder
from hullmark.agentd.problems import Problems
from hullmark.config import load_policy_folder
from hullmark.errors import PolicyRefused
from hullmark.model.host import CallerRule
from hullmark.model.policy import Policy
from tests.unit.agentd.fakes import Clock

LONG_AFTER = 4e9
"""Seconds since 1970 at which every file here is old."""


class Watched:
    """A folder, and what is told of it."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path, self.problems, self.wall = path, Problems(), Clock(LONG_AFTER)
        self.told: list[tuple[Optional[Policy], str]] = []
        self.reads = 0
        self.clock = Clock(0.0)
        self.folder = PolicyFolder(str(path), self.problems, self._tell, self.wall, self.clock)

        def counted(folder: str) -> Policy:
            self.reads += 1
            return load_policy_folder(folder)

        monkeypatch.setattr(policyfolder, "load_policy_folder", counted)

    def _tell(self, policy: Optional[Policy], why: str) -> None:
        self.told.append((policy, why))

    def write(self, text: str, name: str = "10-a.yaml") -> Path:
        self.path.mkdir(mode=0o755, exist_ok=True)
        file = self.path / name
        file.write_text(text)
        file.chmod(0o644)
        return file


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(tmp_path / "policy.d", monkeypatch)


def test_a_folder_that_is_not_there_is_a_policy_without_rules(watched: Watched) -> None:
    assert watched.folder.current().files == ()
    watched.write("privileged: false\n")
    assert not watched.folder.current().rules_for("a", "b")["privileged"].yes


def test_a_change_is_seen_without_a_reload_and_told_once(watched: Watched) -> None:
    heard: list[str] = []
    watched.folder.when_changed(lambda: heard.append("changed"))
    watched.write("privileged: false\n")
    first = watched.folder.current()
    assert watched.folder.current() is first
    watched.write("privileged: true\n", "20-b.yaml")
    second = watched.folder.current()
    assert second.digest != first.digest
    (watched.path / "20-b.yaml").unlink()
    assert watched.folder.current().digest == first.digest
    assert [policy.digest for policy, _ in watched.told if policy] == [
        first.digest,
        second.digest,
        first.digest,
    ]
    assert heard == ["changed"] * 3


def test_what_did_not_change_is_not_read_again(watched: Watched) -> None:
    watched.write("privileged: false\n")
    for _ in range(5):
        watched.folder.current()
    assert watched.reads == 1
    os.utime(watched.path / "10-a.yaml", (1, 1))
    watched.folder.current()
    assert watched.reads == 2
    assert len(watched.told) == 1, "it says the same"


def test_what_changed_just_now_is_read_until_its_times_can_be_relied_on(watched: Watched) -> None:
    """A second change within the same tick of the file system's clock doesn't show in them."""
    file = watched.write("privileged: false\n")
    watched.wall.now = file.stat().st_ctime + 1.0
    watched.folder.current()
    watched.folder.current()
    assert watched.reads == 2
    assert len(watched.told) == 1


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda file: file.write_text("privileged: maybe\n"), "10-a.yaml:1"),
        (lambda file: file.write_text("privilged: true\n"), "privileged"),
        (lambda file: file.write_text("{\n"), "10-a.yaml"),
        (lambda file: file.chmod(0o666), "may be written by everybody"),
        (lambda file: file.parent.chmod(0o777), "may be written by everybody"),
        (lambda file: (file.parent / "b.yaml").symlink_to(file), "symbolic link"),
        (lambda file: (file.parent / "b.yml").write_text(""), "would not be read"),
    ],
)
def test_while_it_cannot_be_read_there_is_none(watched: Watched, spoil, said: str) -> None:
    file = watched.write("scope: cde\n")
    good = watched.folder.current()
    spoil(file)
    for _ in range(2):
        with pytest.raises(PolicyRefused, match="nothing is created or started") as caught:
            watched.folder.current()
        assert said in caught.value.message
        assert "No reload is needed" in caught.value.remedy
    (problem,) = watched.problems.all()
    assert (problem.code, said in problem.message) == ("policy.invalid", True)
    assert watched.told[-1][0] is None
    assert said in watched.told[-1][1]
    assert len(watched.told) == 2
    for each in watched.path.iterdir():
        each.unlink()
    watched.path.chmod(0o755)
    watched.write("scope: cde\n")
    assert watched.folder.current() == good
    assert watched.problems.all() == ()


def test_a_folder_behind_a_link_is_read_every_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real").mkdir(mode=0o755)
    (tmp_path / "policy.d").symlink_to("real")
    watched = Watched(tmp_path / "policy.d", monkeypatch)
    watched.write("privileged: false\n")
    watched.folder.current()
    (tmp_path / "other").mkdir(mode=0o755)
    (tmp_path / "policy.d").unlink()
    (tmp_path / "policy.d").symlink_to("other")
    assert watched.folder.current().files == ()


def test_what_a_former_policy_forbids_stays_forbidden_for_a_moment(watched: Watched) -> None:
    file = watched.write("privileged: false\n")
    full = watched.folder.current()
    assert watched.folder.in_force() == (full,)
    watched.write("")
    with pytest.raises(PolicyRefused, match="is empty"):
        watched.folder.in_force()
    watched.write("# half of it\n")
    half, *former = watched.folder.in_force()
    assert half.given == {}
    assert former == [full]
    file.unlink()
    none, *former = watched.folder.in_force()
    assert none.files == ()
    assert former == [full, half]
    watched.write("privileged: false\n")
    assert watched.folder.in_force()[0] == full
    watched.clock.now += 10.0
    assert watched.folder.in_force() == (full,)


def test_the_leader_is_told_who_may_use_services_here(watched: Watched) -> None:
    file = watched.write("scope: cde\napps:\n  shop/db:\n    services.from: [cde, out]\n")
    watched.folder.current()
    assert watched.folder.caller_rules == (
        CallerRule("*", ("cde",), f"{file.name}:1"),
        CallerRule("shop/db", ("cde", "out"), f"{file.name}:4"),
    )
