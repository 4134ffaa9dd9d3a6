"""What is mounted where, and what a folder therefore shows."""

from __future__ import annotations

import pytest

from hullmark.host import mounts
from hullmark.host.mounts import Mount, Mounts, Place, is_within

TEXT = """\
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
22 21 0:20 / /run rw,nosuid - tmpfs tmpfs rw,size=100k
23 21 0:5 / /proc rw - proc proc rw
24 21 8:1 /srv/a\\040b /mnt/it rw - ext4 /dev/sda1 rw
25 21 0:20 / /opt/run2 rw - tmpfs tmpfs rw
26 21 0:20 /docker.sock /srv/app/s rw - tmpfs tmpfs rw
27 21 0:40 / /home/ann/far rw master:2 - fuse.sshfs ann@far: rw,user_id=1000,group_id=1000
28 21 0:41 / /media rw - fuseblk /dev/sdb1 rw,user_id=0,group_id=0
29 22 0:42 / /run/user/7 rw - tmpfs tmpfs rw
30 21 0:20 /docker.sock /data/deep/er/s rw - tmpfs tmpfs rw
a line that is none
"""


@pytest.fixture
def table(tmp_path, monkeypatch) -> Mounts:
    file = tmp_path / "mountinfo"
    file.write_text(TEXT)
    monkeypatch.setattr(mounts, "MOUNTINFO", file)
    return Mounts.now()


def test_the_table_is_read(table: Mounts) -> None:
    assert len(table.all) == 10
    assert table.all[3] == Mount("8:1", "/srv/a b", "/mnt/it", "ext4")
    assert [one.served_by for one in table.all if "fuse" in one.kind] == [1000, 0]


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/", Place("8:1", "/")),
        ("/etc/passwd", Place("8:1", "/etc/passwd")),
        ("/run", Place("0:20", "/")),
        ("/running", Place("8:1", "/running")),
        ("/run/docker.sock", Place("0:20", "/docker.sock")),
        ("/mnt/it/x", Place("8:1", "/srv/a b/x")),
        ("/mnt/it", Place("8:1", "/srv/a b")),
        ("/run/user/7/x", Place("0:42", "/x")),
    ],
)
def test_places(table: Mounts, path: str, place: Place) -> None:
    assert table.place(path) == place


@pytest.mark.parametrize(
    ("folder", "shown"),
    [
        ("/", True),
        ("/run", True),
        ("/run/docker.sock", True),
        ("/run/user", False),
        ("/run/user/7", False),
        ("/opt", True),
        ("/opt/run2", True),
        ("/opt/run2/docker.sock", True),
        ("/opt/run2/other", False),
        ("/srv/app/s", True),
        ("/srv/app", True),
        ("/srv", True),
        ("/data/deep", True),
        ("/data/deep/other", False),
        ("/etc", False),
        ("/mnt/it", False),
    ],
)
def test_what_shows_a_socket(table: Mounts, folder: str, shown: bool) -> None:
    """At its own path, or at that of another mount of its file system."""
    assert table.shows(folder, "/run/docker.sock") is shown


@pytest.mark.parametrize(
    ("folder", "names"),
    [
        ("/", ()),
        ("/etc", ()),
        ("/run/docker.sock", ("/opt/run2/docker.sock", "/srv/app/s", "/data/deep/er/s")),
        ("/run/other", ("/opt/run2/other",)),
        ("/run/user/7", ()),
        ("/srv/app", ("/run/docker.sock", "/opt/run2/docker.sock", "/data/deep/er/s")),
        ("/mnt/it/x", ("/srv/a b/x",)),
        ("/mnt", ("/srv/a b",)),
        ("/srv/a b", ("/mnt/it",)),
    ],
)
def test_other_names_of_the_same_files(table: Mounts, folder: str, names: tuple[str, ...]) -> None:
    assert table.others(folder) == names


def test_a_name_that_another_mount_hides_is_none() -> None:
    """A root within the file system's, as a snapshot has it; and a mount over a part of it."""
    made = Mounts(
        (
            Mount("8:1", "/@", "/", "btrfs"),
            Mount("8:1", "/@/srv", "/copy", "btrfs"),
            Mount("8:2", "/", "/copy/x", "ext4"),
        )
    )
    assert made.others("/srv/y") == ("/copy/y",)
    assert made.others("/srv/x") == ()
    assert made.place("/srv") == Place("8:1", "/@/srv")


def test_what_a_service_manager_mounts_over_itself_has_no_other_name() -> None:
    """As systemd does for ProtectHome=read-only and ReadWritePaths, in the service's own namespace."""
    made = Mounts(
        (
            Mount("8:1", "/", "/", "ext4"),
            Mount("8:1", "/home", "/home", "ext4"),
            Mount("8:1", "/var/lib/hullmark/agent", "/var/lib/hullmark/agent", "ext4"),
        )
    )
    for path in ("/home/ann", "/home", "/var/lib/hullmark/agent/x", "/var/lib", "/", "/srv"):
        assert made.others(path) == ()
    assert made.place("/home/ann") == Place("8:1", "/home/ann")


def test_without_a_table_texts_are_compared() -> None:
    assert Mounts().of("/") is None
    assert Mounts().shows("/run", "/run/docker.sock")
    assert not Mounts().shows("/etc", "/run/docker.sock")


def test_within() -> None:
    assert is_within("/a/b", "/a")
    assert is_within("/a", "/a")
    assert is_within("/a", "/")
    assert not is_within("/ab", "/a")


def test_what_a_read_only_mount_leaves_writable(table: Mounts) -> None:
    """Not the folder itself, which may be a mount too, and nothing that is read-only on the host."""
    below = Mount("8:9", "/", "/run/ro", "ext4", read_only=True)
    more = Mounts((*table.all, below))
    assert more.writable_below("/run") == ("/run/user/7",)
    assert more.writable_below("/srv/app") == ("/srv/app/s",)
    assert more.writable_below("/etc") == more.writable_below("/runner") == ()


def test_read_only_is_said_of_a_mount_or_of_its_file_system(tmp_path, monkeypatch) -> None:
    file = tmp_path / "mountinfo"
    line = "21 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw,errors=remount-ro"
    file.write_text(
        f"{line}\n{line.replace('rw,rel', 'ro,rel')}\n{line.replace('rw,err', 'ro,err')}\n"
    )
    monkeypatch.setattr(mounts, "MOUNTINFO", file)
    assert [one.read_only for one in Mounts.now().all] == [False, True, True]
