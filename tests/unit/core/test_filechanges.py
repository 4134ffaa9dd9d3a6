"""Which differences of two pictures are changes, and what others could write."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hullmark.core.filechanges import away, compare, is_within, unsafe, within
from hullmark.model.watchedfile import FileState

FILE = FileState("file", "0644", 0, 0, "a" * 64, size=3, mtime_ns=1, ctime_ns=1, inode=7)


def test_equal_pictures_have_no_changes() -> None:
    assert compare({"/a": FILE}, {"/a": FILE}) == ()


def test_times_sizes_and_inodes_alone_are_no_change() -> None:
    """A package that is installed again writes the same bytes."""
    moved = replace(FILE, size=4, mtime_ns=9, ctime_ns=9, inode=8)
    assert compare({"/a": FILE}, {"/a": moved}) == ()


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("sha256", "b" * 64, "/a changed: sha256 aaaaaaaaaaaa -> bbbbbbbbbbbb"),
        ("mode", "0666", "/a changed: mode 0644 -> 0666"),
        ("uid", 1000, "/a changed: uid 0 -> 1000"),
        ("gid", 4, "/a changed: gid 0 -> 4"),
        ("kind", "link", "/a changed: kind file -> link"),
        ("target", "/b", "/a changed: target - -> /b"),
    ],
)
def test_each_field_that_counts(field: str, value: object, words: str) -> None:
    other: Any = {field: value}
    (change,) = compare({"/a": FILE}, {"/a": replace(FILE, **other)})
    assert change.fields == (field,)
    assert str(change) == words


def test_what_came_and_went() -> None:
    changes = compare({"/a": FILE}, {"/b": FILE})
    assert [str(one) for one in changes] == ["/a was removed", "/b was added"]


def test_a_content_that_can_not_be_read_is_not_taken_for_another() -> None:
    unread = replace(FILE, sha256="", unread="Permission denied")
    assert compare({"/a": FILE}, {"/a": unread}) == ()
    (change,) = compare({"/a": FILE}, {"/a": replace(unread, mode="0000")})
    assert change.fields == ("mode",)


def test_places() -> None:
    assert is_within("/etc/docker/daemon.json", ("/etc/docker",))
    assert is_within("/etc/docker", ("/etc/docker",))
    assert not is_within("/etc/docker.d/x", ("/etc/docker",))
    assert is_within("/x", ("/",))
    assert set(within({"/a/b": FILE, "/ab": FILE}, ("/a",))) == {"/a/b"}


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (FILE, ""),
        (replace(FILE, mode="0666"), "can be written by everybody"),
        (replace(FILE, mode="0664", gid=4), "can be written by group 4"),
        (replace(FILE, mode="0664"), ""),
        (replace(FILE, uid=1000), "belongs to user 1000"),
        (FileState("link", "0777", 0, 0, target="/b"), ""),
        (FileState("folder", "1777", 0, 0), ""),
        (FileState("folder", "0777", 0, 0), "can be written by everybody"),
        (FileState("socket", "0660", 0, 998), ""),
        (FileState("socket", "0666", 0, 998), "can be written by everybody"),
    ],
)
def test_what_others_could_write(state: FileState, said: str) -> None:
    found = unsafe({"/a": state})
    assert (said in found[0]) if said else found == ()


def test_a_socket_that_comes_and_goes_is_no_change_and_one_that_is_another_is() -> None:
    socket = FileState("socket", "0660", 0, 117)
    assert compare({}, {"/run/docker.sock": socket}) == ()
    assert compare({"/run/docker.sock": socket}, {}) == ()
    gone = away({"/run/docker.sock": socket, "/a": FILE}, {})
    assert gone == {"/run/docker.sock": socket}
    assert compare(gone, {"/run/docker.sock": replace(socket, inode=9, ctime_ns=4)}) == ()
    (change,) = compare(gone, {"/run/docker.sock": replace(socket, gid=1000)})
    assert str(change) == "/run/docker.sock changed: gid 117 -> 1000"
    (change,) = compare(gone, {"/run/docker.sock": FileState("link", "0777", 0, 0, target="/x")})
    assert change.fields[0] == "kind"
    assert away({"/run/docker.sock": socket}, {"/run/docker.sock": FILE}) == {}
