"""Paths as engines follow them: where they end, and who could lead them elsewhere."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from hullmark.host.mounts import Mount, Mounts
from hullmark.host.ways import Way, follow

MOUNTS = Mounts((Mount("8:1", "/", "/", "ext4"),))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small host, all of it one user's."""
    made = tmp_path / "root"
    for name in ("srv/app/data", "etc/ssl", "run", "opt/v1/b", "proc/1", "shared", "sticky"):
        (made / name).mkdir(parents=True)
    for folder in (made, *made.rglob("*")):
        folder.chmod(0o755)
    (made / "shared").chmod(0o775)
    (made / "sticky").chmod(0o1777)
    (made / "etc/passwd").write_text("")
    return made


def way(root: Path, path: str, mounts: Mounts = MOUNTS) -> Way:
    return follow(path, root=str(root), mounts=mounts, owner=os.geteuid())


@pytest.mark.parametrize(
    ("path", "end", "kind"),
    [
        ("/", "/", "folder"),
        ("//", "/", "folder"),
        ("//srv//app/./data/", "/srv/app/data", "folder"),
        ("/srv/app/../app/data", "/srv/app/data", "folder"),
        ("/../../etc", "/etc", "folder"),
        ("/etc/passwd", "/etc/passwd", "file"),
        ("/srv/new", "/srv/new", ""),
        ("/srv/new/newer", "/srv/new/newer", ""),
    ],
)
def test_where_it_ends(root: Path, path: str, end: str, kind: str) -> None:
    assert way(root, path) == Way(path, end, bool(kind), kind)


@pytest.mark.parametrize(
    ("target", "end"),
    [
        ("/etc", "/etc"),
        ("../../etc", "/etc"),
        ("../../../../../etc/ssl", "/etc/ssl"),
        ("data", "/srv/app/data"),
        (".", "/srv/app"),
        ("../../opt/current/b", "/opt/v1/b"),
        ("/etc/new", "/etc/new"),
    ],
)
def test_links_are_followed(root: Path, target: str, end: str) -> None:
    (root / "opt/current").symlink_to("/opt/v1")
    (root / "srv/app/link").symlink_to(target)
    found = way(root, "/srv/app/link")
    assert (found.end, found.loose, found.trouble) == (end, (), "")
    assert way(root, "/srv/app/link/x").end == f"{end}/x"


def test_two_ways_to_take_dots_are_no_way(root: Path) -> None:
    (root / "srv/app/link").symlink_to("/etc/ssl")
    found = way(root, "/srv/app/link/../passwd")
    assert found == Way(
        "/srv/app/link/../passwd",
        trouble="leads to /srv/app/passwd or to /etc/passwd, as one takes `..`",
    )
    assert way(root, "/srv/app/data/../data").end == "/srv/app/data"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("srv", "is not an absolute path"),
        ("", "is not an absolute path"),
        ("/srv\0/etc", "is no path"),
        ("/" + "x" * 4096, "is no path"),
        ("/" + "x" * 300, "can't be looked at: File name too long"),
        ("/etc/passwd/x", "leads through /etc/passwd, which is not a folder"),
        ("/srv/new/../app", "leads back from /srv/new, which is not there"),
        ("/srv/loop", "leads through more than 40 links"),
        ("/srv/back", "leads back from /srv/gone, which is not there"),
    ],
)
def test_what_leads_nowhere(root: Path, path: str, said: str) -> None:
    (root / "srv/loop").symlink_to("loop")
    (root / "srv/back").symlink_to("gone/../../etc")
    assert way(root, path) == Way(path, trouble=said)


def test_a_link_of_proc_is_another_one_for_each_process(root: Path) -> None:
    (root / "proc/1/root").symlink_to("/")
    mounts = Mounts((*MOUNTS.all, Mount("0:5", "/", "/proc", "proc")))
    assert "another one for each process" in way(root, "/proc/1/root/etc", mounts).trouble
    assert way(root, "/proc/1", mounts).trouble == ""


@pytest.mark.parametrize("folder", ["shared", "sticky"])
def test_components_that_others_may_change(root: Path, folder: str) -> None:
    (root / folder / "x").mkdir(mode=0o755)
    (root / "srv/through").symlink_to(f"/{folder}/x/y")
    mode = oct((root / folder).stat().st_mode & 0o7777)[2:].zfill(4)
    for path in (f"/{folder}/x", f"/{folder}/x/y", f"/{folder}/new", "/srv/through"):
        (words,) = way(root, path).loose
        assert words.startswith(f"/{folder} (mode {mode}: ")
        assert words.endswith(" may write)")
    assert way(root, f"/{folder}").loose == (), "of the end itself nothing is said"


def test_dots_past_a_loose_folder_are_loose(root: Path) -> None:
    (root / "shared/x").mkdir()
    assert way(root, "/shared/x/../../etc").loose[0].startswith("/shared ")


def test_components_of_other_users(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "srv/app/link").symlink_to("data")
    theirs = {str(root / "srv/app"), str(root / "srv/app/link")}
    real = os.lstat

    def lstat(path: str) -> os.stat_result:
        found = list(real(path))
        if path in theirs:
            found[4] = 1234
        return os.stat_result(found)

    monkeypatch.setattr(os, "lstat", lstat)
    assert way(root, "/srv/app").loose == ()
    assert way(root, "/srv/app/link").loose == (
        "/srv/app (of user 1234)",
        "/srv/app/link (a link of user 1234)",
    )


def test_a_file_system_that_a_user_serves_is_loose(root: Path) -> None:
    served = Mount("0:99", "/", "/srv/app", "fuse.sshfs", served_by=1000)
    mounts = Mounts((*MOUNTS.all, served))
    assert way(root, "/srv/app", mounts).loose == ()
    assert way(root, "/srv/app/data", mounts).loose == (
        "/srv/app (on a file system that user 1000 serves)",
    )


def test_sockets_and_devices_are_told_apart(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root / "run")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s")
        assert way(root, "/run/s").kind == "socket"
    os.mkfifo(root / "run/pipe")
    assert way(root, "/run/pipe").kind == "other"
    assert follow("/dev/null").kind == "device"


def test_this_host_is_read_where_nothing_else_is_said() -> None:
    assert follow("/") == Way("/", "/", exists=True, kind="folder")
