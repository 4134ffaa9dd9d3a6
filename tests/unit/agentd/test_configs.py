"""The agent's copies of configs."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import os
from pathlib import Path

import pytest

from hullmark.agentd.configs import Configs
from hullmark.errors import Refused
from hullmark.model.app import Bundle, Config, FileRef
from tests.unit.agentd.fakes import bundle_of

OWNER = {"uid": str(os.getuid()), "gid": str(os.getgid())}


def bundle_with(content: bytes, sha256: str = "") -> Bundle:
    config = Config(
        base64.b64encode(content).decode(),
        sha256 or hashlib.sha256(content).hexdigest(),
        len(content),
    )
    reference = FileRef("site", "/etc/site.conf", mode=0o440, **OWNER)
    return dataclasses.replace(bundle_of(configs=(reference,)), configs={"site": config})


def test_a_config_is_written_once_with_its_mode(tmp_path: Path) -> None:
    configs = Configs(tmp_path / "configs")
    (path,) = configs.write(bundle_with(b"listen 80")).values()
    assert Path(path).read_bytes() == b"listen 80"
    assert Path(path).stat().st_mode & 0o777 == 0o440
    before = Path(path).stat().st_ino
    assert configs.write(bundle_with(b"listen 80")) == {"/etc/site.conf": path}
    assert Path(path).stat().st_ino == before


def test_a_copy_that_somebody_changed_is_mended(tmp_path: Path) -> None:
    configs = Configs(tmp_path / "configs")
    (path,) = configs.write(bundle_with(b"listen 80")).values()
    Path(path).chmod(0o600)
    Path(path).write_bytes(b"listen 6666")
    configs.write(bundle_with(b"listen 80"))
    assert Path(path).read_bytes() == b"listen 80"


def test_content_without_its_hash_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="site"):
        Configs(tmp_path / "configs").write(bundle_with(b"x", "0" * 64))


@pytest.mark.parametrize(
    "changes", [{"mode": 0o4755}, {"mode": -1}, {"uid": "../../x"}, {"gid": "wheel"}, {"uid": "-1"}]
)
def test_who_orders_writes_no_set_uid_file_and_none_elsewhere(
    changes: dict[str, object], tmp_path: Path
) -> None:
    made = bundle_with(b"x")
    (reference,) = made.container.configs
    wanted = dataclasses.replace(reference, **changes)  # type: ignore[arg-type]
    container = dataclasses.replace(made.container, configs=(wanted,))
    with pytest.raises(Refused, match="only permission bits and numbers"):
        Configs(tmp_path / "configs").write(dataclasses.replace(made, container=container))
    assert list((tmp_path / "configs").iterdir()) == []


def test_what_no_bundle_names_is_removed(tmp_path: Path) -> None:
    configs = Configs(tmp_path / "configs")
    (old,) = configs.write(bundle_with(b"old")).values()
    (new,) = configs.write(bundle_with(b"new")).values()
    configs.sweep([bundle_with(b"new")])
    assert not Path(old).exists()
    assert Path(new).exists()
    Configs(tmp_path / "none").sweep([])
