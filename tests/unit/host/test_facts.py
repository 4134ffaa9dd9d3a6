"""Inventory, read below a root of the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from hullmark import __version__
from hullmark.host import facts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('ID=debian\nVERSION_ID="12"\n', "debian 12"),
        ("NAME='Rocky Linux'\nID=rocky\nVERSION_ID=9.4\n", "rocky 9.4"),
        ("ID=arch\n", "arch"),
        ("# ID=other\nVERSION_ID=1\n", "linux 1"),
    ],
)
def test_the_operating_system_by_its_release_file(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "usr/lib/os-release").write_text(text)
    assert facts.operating_system(tmp_path) == expected


def test_the_file_in_etc_comes_first_and_none_is_fine(tmp_path: Path) -> None:
    assert facts.operating_system(tmp_path) == ""
    for place, name in (("etc", "one"), ("usr/lib", "two")):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "os-release").write_text(f"ID={name}\n")
    assert facts.operating_system(tmp_path) == "one"


def test_the_boot_id_or_nothing(tmp_path: Path) -> None:
    assert facts.boot_id(tmp_path) == ""
    folder = tmp_path / "proc/sys/kernel/random"
    folder.mkdir(parents=True)
    (folder / "boot_id").write_text("4c1f\n")
    assert facts.boot_id(tmp_path) == "4c1f"


def test_everything_but_the_engine_is_gathered(tmp_path: Path) -> None:
    found = facts.gather(tmp_path, host_name="box")
    assert found.hostname == "box"
    assert found.agent_version == __version__
    assert found.cpus > 0
    assert found.memory_bytes > 1 << 20
    assert found.engine == ""
