"""What keeps the master from starting, and whom it acts as."""

from __future__ import annotations

import os
import pwd
import tempfile
from pathlib import Path

import pytest

from hullmark.errors import EXIT_CONFIG, NotStarted, Refused
from hullmark.masterd import preconditions, server
from hullmark.masterd.__main__ import main
from hullmark.masterd.init import init
from hullmark.masterd.owner import Owner, acting_as, owner_of
from tests.unit.masterd.serving import config_in

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root acts as somebody else")
SOMEBODY = 12345


@pytest.fixture
def config(tmp_path: Path) -> str:
    init(config_in(tmp_path))
    return str(tmp_path / "master.yaml")


def test_a_sound_master_starts(config: str) -> None:
    assert preconditions.check(config).name == "m1"


@pytest.mark.parametrize("name", ["intermediate.key", "master.key", "root.key"])
@pytest.mark.parametrize("how", ["open", "damaged"])
def test_a_key_that_must_not_be_used_keeps_it_from_starting(
    config: str, capsys: pytest.CaptureFixture[str], name: str, how: str
) -> None:
    key = Path(config).parent / "master" / "pki" / name
    if how == "damaged" and name == "root.key":
        return  # nothing but another master's joining reads it
    if how == "open":
        key.chmod(0o640)
    else:
        key.write_text("nothing")
    assert main(["run", "--config", config]) == EXIT_CONFIG
    said = capsys.readouterr().err
    assert str(key) in said
    assert "what to do: " in said
    assert not (Path(config).parent / "m.sock").exists()


def test_its_own_key_is_made_anew_and_the_roots_may_be_elsewhere(config: str) -> None:
    for name in ("master.key", "root.key"):
        (Path(config).parent / "master" / "pki" / name).unlink()
    preconditions.check(config)


def test_a_configuration_that_others_may_change_keeps_it_from_starting(config: str) -> None:
    Path(config).chmod(0o646)
    with pytest.raises(NotStarted, match="may be written by everybody") as caught:
        preconditions.check(config)
    assert "hullmark config check master" in caught.value.remedy


def test_whose_folder_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert owner_of(tmp_path / "gone") is None
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert owner_of(tmp_path) is None, "who is not root acts as himself"


@ROOT_ONLY
def test_root_acts_as_the_owner_of_the_folder_for_a_while(tmp_path: Path) -> None:
    assert owner_of(tmp_path) is None
    tmp_path.chmod(0o755)
    folder = tmp_path / "master"
    folder.mkdir(0o700)
    os.chown(folder, SOMEBODY, SOMEBODY)
    found = owner_of(folder)
    assert found == Owner(SOMEBODY, SOMEBODY)
    with acting_as(found):
        assert (os.geteuid(), os.getegid(), os.getgroups()) == (SOMEBODY, SOMEBODY, [SOMEBODY])
    assert (os.geteuid(), os.getegid()) == (0, 0)


@ROOT_ONLY
def test_nothing_of_a_cluster_that_root_made_is_roots() -> None:
    # Not pytest's folder: nobody else may go through that.
    with tempfile.TemporaryDirectory(prefix="hullmark-test-") as made_here:
        place = Path(made_here)
        config_in(place)
        folder = place / "master"
        folder.mkdir(0o700)
        for each in (folder, place):
            os.chown(each, SOMEBODY, SOMEBODY)
        assert main(["init", "--config", str(place / "master.yaml"), "--no-start"]) == 0
        made = [folder, *folder.rglob("*")]
        assert len(made) > 6
        assert {each.stat().st_uid for each in made} == {SOMEBODY}


def test_a_socket_folder_of_somebody_else_is_told_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(server, "_clear", refuse)
    with pytest.raises(Refused, match=r"can't listen on .*: Permission denied") as caught:
        server.bind_socket(tmp_path / "run" / "m.sock")
    assert f"install -d -o {pwd.getpwuid(os.geteuid()).pw_name}" in caught.value.remedy
    assert str(tmp_path / "run") in caught.value.remedy
