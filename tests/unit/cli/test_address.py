"""Where the master is found on its own machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from hullmark.cli import address
from hullmark.cli.options import Asked
from hullmark.errors import InvalidInput, UsageError


def socket(folder: Path, text: str = "", drop_in: str = "") -> str:
    file = folder / "master.yaml"
    if text:
        file.write_text(text)
    if drop_in:
        (folder / "master.d").mkdir()
        (folder / "master.d" / "10.yaml").write_text(drop_in)
    return address.find(Asked(), {}, file)[0].path


def test_the_standard_socket(tmp_path: Path) -> None:
    assert socket(tmp_path) == "/run/hullmark/master.sock"


def test_a_commented_line_names_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hullmark.config.load_master", None)
    text = "# socket: /run/other.sock\nname: m1  # the socket is elsewhere\n"
    assert socket(tmp_path, text) == "/run/hullmark/master.sock"


def test_a_configured_socket(tmp_path: Path) -> None:
    assert socket(tmp_path, "socket: /run/a.sock\n", "socket: /run/b.sock\n") == "/run/b.sock"


def test_a_broken_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        socket(tmp_path, "socket: nowhere\n")


def test_what_is_asked_for_wins(tmp_path: Path) -> None:
    file = tmp_path / "master.yaml"
    file.write_text("socket: /run/a.sock\n")
    environment = {"HULLMARK_MASTER": "unix:///run/e.sock"}
    assert address.find(Asked(), environment, file)[0].path == "/run/e.sock"
    assert address.find(Asked(master="unix:///o"), environment, file)[0].path == "/o"


def test_an_address_shows_no_token() -> None:
    found = address.Address(host="::1", port=7442, token="secret")
    assert repr(found) == "Address(https://[::1]:7442)"


def test_several_masters(tmp_path: Path) -> None:
    environment = {"HULLMARK_MASTER": "unix:///a.sock, unix:///b.sock"}
    assert [each.path for each in address.find(Asked(), environment)] == ["/a.sock", "/b.sock"]
    with pytest.raises(UsageError, match="not a master's address: 'm2'"):
        address.find(Asked(master="unix:///a.sock,m2"), {})
