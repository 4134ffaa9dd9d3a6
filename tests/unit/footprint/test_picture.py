"""Files that are given as a picture."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from hullmark.errors import InvalidInput
from hullmark.footprint import picture
from tests.unit.footprint.conftest import Save, file, read

HEAD: dict[str, Any] = {
    "schema": "hullmark.picture/2",
    "host": "web1",
    "taken_at": 1795900000,
    "as_root": True,
    "file": "/root/before.json.gz",
}
FILES = [file("/"), file("/etc"), file("/etc/a"), file("/etc-b")]
END = {"end": 4}


def test_a_picture(save: Save) -> None:
    with picture.opened(save(HEAD, *FILES, END)) as found:
        assert (found.head.host, found.head.file) == ("web1", "/root/before.json.gz")
        assert list(found.records) == FILES


def test_one_of_a_former_version(save: Save) -> None:
    for schema, former in (("hullmark.picture/1", True), ("hullmark.picture/2", False)):
        with picture.opened(save({**HEAD, "schema": schema}, *FILES, END)) as found:
            assert found.head.former is former
            assert list(found.records) == FILES


def test_a_packed_one_by_its_content_and_not_its_name(save: Save, tmp_path: Path) -> None:
    path = tmp_path / "picture.json"
    path.write_bytes(gzip.compress(Path(save(HEAD, *FILES, END)).read_bytes()))
    assert read(str(path)) == FILES


@pytest.mark.parametrize(
    ("lines", "line", "why"),
    [
        ([], 1, "cut off"),
        ([HEAD], 2, "cut off"),
        ([HEAD, *FILES], 6, "cut off"),
        ([HEAD, *FILES, {"end": 5}], 6, "4 records, and the end says 5"),
        ([HEAD, *FILES, END, END], 6, "something follows the end"),
        ([HEAD, FILES[0], FILES[0], {"end": 2}], 3, "out of order: '/'"),
        ([HEAD, FILES[1], FILES[0], {"end": 2}], 3, "out of order"),
        (["PK\x03\x04"], 1, "not JSON"),
        (["[" * 100_000], 1, "not JSON"),
        (["[1]"], 1, "not a record"),
        (
            [{"schema": "hullmark.status/1"}],
            1,
            "schema 'hullmark.status/1' (allowed: hullmark.picture/2, hullmark.picture/1)",
        ),
        ([{**HEAD, "schema": "hullmark.picture/3"}], 1, "hullmark.picture/3"),
        ([{"schema": "hullmark.picture/1"}], 1, "the head of the picture is damaged"),
        ([HEAD, {"kind": "secret", "key": "x"}], 2, "kind 'secret'"),
        ([HEAD, {"kind": "file", "key": 1}], 2, "kind 'file'"),
        ([HEAD, {"kind": "file", "key": "/", "mode": {"x": 1}}], 2, "mode: not a value"),
        ([HEAD, {"kind": "file", "key": "/", "mode": None}], 2, "mode: not a value"),
        ([HEAD, {"kind": "mount", "key": "/", "lines": [1]}], 2, "lines: not a value"),
        ([HEAD, {"kind": "mount", "key": "/", "lines": "x"}], 2, "lines: not a value"),
        ([HEAD, "x" * 100], 2, "more than 50 bytes"),
    ],
)
def test_what_is_no_picture_is_refused_with_its_line(
    save: Save, monkeypatch: pytest.MonkeyPatch, lines: list[Any], line: int, why: str
) -> None:
    if "50 bytes" in why:
        monkeypatch.setattr(picture, "LINE_MAX", 50)
        lines = [{"schema": "x"}, *lines[1:]]
        monkeypatch.setattr(picture._Reader, "head", lambda self: self._next())
    path = save(*lines)
    with pytest.raises(InvalidInput) as error:
        read(path)
    (problem,) = error.value.problems
    assert (problem.file, problem.line) == (path, line)
    assert why in str(problem)
    assert "--record" in error.value.remedy


@pytest.mark.parametrize("kept", [0.05, 0.5, 0.99])
def test_a_packed_one_that_was_cut_off(save: Save, tmp_path: Path, kept: float) -> None:
    raw = gzip.compress(
        Path(save(HEAD, *[file(f"/{n:05}") for n in range(500)], {"end": 500})).read_bytes()
    )
    path = tmp_path / "cut.gz"
    path.write_bytes(raw[: max(3, int(len(raw) * kept))])
    with pytest.raises(InvalidInput, match=r"cut\.gz"):
        read(str(path))


def test_a_damaged_one(save: Save, tmp_path: Path) -> None:
    raw = bytearray(gzip.compress(Path(save(HEAD, *FILES, END)).read_bytes()))
    raw[len(raw) // 2] ^= 0xFF
    path = tmp_path / "bad.gz"
    path.write_bytes(raw)
    with pytest.raises(InvalidInput, match=r"bad\.gz"):
        read(str(path))


def test_a_pipe_a_folder_and_nothing_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, why in (("pipe", "not a regular file"), ("", "directory"), ("none", "No such file")):
        with pytest.raises(InvalidInput, match=why):
            read(str(tmp_path / name))


def test_names_that_are_no_text_come_back(save: Save) -> None:
    odd = file("/\udcff\nx")
    assert read(save(HEAD, json.dumps(odd), {"end": 1})) == [odd]
