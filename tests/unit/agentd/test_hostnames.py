"""Containers' hosts files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hullmark.agentd.hostnames import HostsFiles, Naming, has_names
from hullmark.model.app import (
    Attachment,
    Bundle,
    ContainerSpec,
    FileRef,
    Mount,
    MountKind,
    Network,
)
from hullmark.model.directory import Directory, ServiceEntry, ServiceName
from hullmark.model.orders import InstanceId
from tests.unit.agentd.fakes import bundle_of

WEB = InstanceId("shop", "web", 1, 3)
DB = InstanceId("shop", "db", 1, 1)
NETWORKS = (Attachment("back"),)


@pytest.mark.parametrize("text", ["127.0.0.1 localhost\n10.0.0.1 db\n", "1\n", ""])
def test_a_file_in_use_is_changed_in_place(text: str, tmp_path: Path) -> None:
    files = HostsFiles(tmp_path / "hosts")
    path = Path(files.write(WEB, "127.0.0.1 localhost\n"))
    with path.open() as mounted:
        assert Path(files.write(WEB, text)) == path
        assert mounted.read() == text
        assert os.fstat(mounted.fileno()).st_nlink == 1
    assert path.stat().st_mode & 0o777 == 0o644


def test_what_is_the_same_is_not_written(tmp_path: Path) -> None:
    files = HostsFiles(tmp_path)
    path = Path(files.write(WEB, "same\n"))
    os.utime(path, ns=(0, 0))
    files.write(WEB, "same\n")
    assert path.stat().st_mtime_ns == 0
    files.write(WEB, "sane\n")
    assert path.stat().st_mtime_ns > 0


def test_a_full_disk_leaves_the_names_that_were_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel takes a part of what it has room for, and says so by its number alone."""
    files = HostsFiles(tmp_path)
    path = Path(files.write(WEB, "10.0.0.1 db\n"))
    write, left = os.pwrite, 3

    def full(descriptor: int, content: bytes, offset: int) -> int:
        end = os.fstat(descriptor).st_size
        return write(descriptor, content[: max(0, end - offset) + left], offset)

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        with pytest.raises(OSError, match="No space left"):
            files.write(WEB, "10.0.0.2 api\n10.0.0.1 db\n")
    assert path.read_text() == "10.0.0.1 db\n"


def test_only_files_of_containers_that_are_gone_are_removed(tmp_path: Path) -> None:
    files = HostsFiles(tmp_path)
    files.sweep([])
    web, db = Path(files.write(WEB, "x\n")), Path(files.write(DB, "x\n"))
    files.sweep([DB])
    assert (web.exists(), db.exists()) == (False, True)


def test_an_empty_folder_in_the_place_of_a_file_is_nobodys(tmp_path: Path) -> None:
    files = HostsFiles(tmp_path)
    for instance in (WEB, DB):
        files.path(instance).mkdir()
    assert Path(files.write(WEB, "10.0.0.1 db\n")).read_text() == "10.0.0.1 db\n"
    files.sweep([WEB])
    assert [each.name for each in tmp_path.iterdir()] == [WEB.container_name]
    files.path(DB).mkdir()
    kept = files.path(DB) / "kept"
    kept.write_text("somebody's\n")
    with pytest.raises(OSError, match=r"not empty; .*: move the folder away") as raised:
        files.write(DB, "")
    assert raised.value.filename == str(files.path(DB))
    files.sweep([])
    assert kept.read_text() == "somebody's\n"


def test_which_files_are_ours(tmp_path: Path) -> None:
    files = HostsFiles(tmp_path)
    assert files.is_ours(str(files.path(WEB)))
    assert not files.is_ours("")
    assert not files.is_ours("/var/lib/docker/containers/ab12/hosts")


def test_nothing_is_written_by_a_link(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("kept")
    (tmp_path / "hosts").mkdir()
    (tmp_path / "hosts" / WEB.container_name).symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="symbolic links"):
        HostsFiles(tmp_path / "hosts").write(WEB, "x\n")
    assert (tmp_path / "other").read_text() == "kept"


def test_whose_hosts_file_is_ours_to_write() -> None:
    assert has_names(bundle_of(networks=NETWORKS))
    assert not has_names(bundle_of()), "it is on no network"
    assert not has_names(bundle_of(network_mode="host"))
    mount = Mount(MountKind.BIND, "/etc/hosts", "/srv/hosts")
    assert not has_names(bundle_of(networks=NETWORKS, mounts=(mount,)))
    given = FileRef("hosts", "/etc/hosts")
    assert not has_names(bundle_of(networks=NETWORKS, configs=(given,)))


@pytest.mark.parametrize(
    ("engine", "internal", "has_it"),
    [("podman", True, False), ("podman", False, True), ("docker", True, True)],
)
def test_podman_leaves_no_way_out_of_internal_networks(
    engine: str, internal: bool, has_it: bool, tmp_path: Path
) -> None:
    """Until it runs, only what it is to be on is known; from then on its own routes tell."""
    entry = ServiceEntry(ServiceName("shop", "db"), "10.214.0.4", (5432,), networks={"back": ()})
    naming = Naming(
        HostsFiles(tmp_path),
        lambda: Directory(range="10.214.0.0/16", services=(entry,)),
        lambda: engine,
    )
    made = Bundle(
        "shop",
        "web",
        ContainerSpec("x", networks=NETWORKS),
        {"back": Network(internal=internal)},
    )
    assert ("10.214.0.4" in Path(naming.prepare(WEB, made)).read_text()) is has_it
