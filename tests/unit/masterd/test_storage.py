"""Which store a master's configuration opens, and how private its files have to be."""

from __future__ import annotations

from pathlib import Path

import pytest

from hullmark.config import MasterConfig, load_master
from hullmark.errors import BrokenState
from hullmark.masterd.folder import Folder
from hullmark.masterd.storage import open_store
from hullmark.store.etcd import EtcdStore
from hullmark.store.sqlite import SqliteStore


def config(folder: Path, text: str) -> MasterConfig:
    file = folder / "master.yaml"
    file.write_text(text)
    return load_master(str(file)).config


def private(path: Path, text: str, mode: int = 0o600) -> None:
    path.touch(mode=mode)
    path.chmod(mode)
    path.write_text(text)


def etcd(folder: Path) -> MasterConfig:
    return config(
        folder,
        "store: {kind: etcd}\n"
        "store.etcd.endpoints: ['http://127.0.0.1:1']\n"
        f"store.etcd.user: hullmark\nstore.etcd.password_file: {folder}/password\n",
    )


def test_an_embedded_store(tmp_path: Path) -> None:
    store = open_store(config(tmp_path, ""), Folder(tmp_path))
    assert isinstance(store, SqliteStore)
    store.close()


def test_etcd_is_not_called_when_it_is_opened(tmp_path: Path) -> None:
    private(tmp_path / "password", "words\n")
    store = open_store(etcd(tmp_path), Folder(tmp_path))
    assert isinstance(store, EtcdStore)
    store.close()


def test_a_password_that_others_may_read(tmp_path: Path) -> None:
    private(tmp_path / "password", "words\n", 0o640)
    with pytest.raises(BrokenState, match="accessible to others"):
        open_store(etcd(tmp_path), Folder(tmp_path))


@pytest.mark.parametrize("text", ["", "\n"])
def test_no_password(tmp_path: Path, text: str) -> None:
    private(tmp_path / "password", text)
    with pytest.raises(BrokenState, match="is empty"):
        open_store(etcd(tmp_path), Folder(tmp_path))


def test_a_password_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(BrokenState, match="does not exist"):
        open_store(etcd(tmp_path), Folder(tmp_path))
