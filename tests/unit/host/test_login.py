"""Who runs a command, whatever `sudo` says."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from hullmark.host.login import person

ME = pwd.getpwuid(os.getuid()).pw_name


@pytest.mark.parametrize(
    ("login", "environment", "name"),
    [
        (str(os.getuid()), {"SUDO_USER": "mallory"}, ME),
        ("4294967295", {"SUDO_USER": "alice"}, "alice"),
        ("4294967295", {}, ME),
        ("", {}, ME),
        ("4000000001", {}, "uid 4000000001"),
    ],
)
def test_the_kernels_word_goes_before_sudos(
    tmp_path: Path, login: str, environment: dict[str, str], name: str
) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "loginuid").write_text(login)
    assert person(tmp_path, environment) == name


def test_a_system_that_keeps_no_login(tmp_path: Path) -> None:
    assert person(tmp_path, {}) == ME
