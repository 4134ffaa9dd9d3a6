"""A cluster goes on from a snapshot that was saved under load, in an empty store of either kind: nothing that runs is touched."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Optional

import pytest

from tests.cluster import OneHostCluster, wait_until
from tests.e2e.apps import apply_sleeper
from tests.e2e.conftest import IMAGE
from tests.integration.etcd import EtcdCluster

Lives = dict[str, tuple[str, str, bool]]
"""Id, start and whether it runs, of each container, by name."""


def lives(cluster: OneHostCluster) -> Lives:
    return {
        name: (one["Id"], one["State"]["StartedAt"], one["State"]["Running"])
        for name, one in cluster.containers().items()
    }


@contextmanager
def load(cluster: OneHostCluster) -> Iterator[list[str]]:
    """One app after the other is applied. Their names, as they are acknowledged."""
    over, done = threading.Event(), list[str]()

    def work() -> None:
        while not over.is_set():
            name = f"load{len(done) + 1}"
            apply_sleeper(cluster, IMAGE, name=name, pull="never", wait=False)
            done.append(name)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield done
    finally:
        over.set()
        thread.join()


def restore(cluster: OneHostCluster, file: Path, etcd: Optional[EtcdCluster], number: int) -> None:
    """Into an empty store: with `etcd` into that one, else into an embedded one. The former one is moved away."""
    cluster.master.kill(signal.SIGTERM)
    former = cluster.folder / f"former-{number}"
    former.mkdir()
    for part in (cluster.folder / "master").glob("store.sqlite*"):
        part.rename(former / part.name)
    cluster.master_options = etcd.master_yaml() if etcd is not None else ""
    cluster.write_master_config()
    command = ("snapshot", "restore", str(file), "--config", str(cluster.master_config))
    told = json.loads(cluster.hullmark(*command, "--output", "json"))
    assert told["restored_incarnation"] == number
    assert cluster.run(*command).returncode == 2, "a store is restored into once"
    cluster.master.start()
    cluster.wait_for_master()
    cluster.wait_for_host()
    assert cluster.run("status", "--output", "json").returncode in (0, 1)
    epoch = json.loads(cluster.run("status", "--output", "json").stdout)["epoch"]
    assert epoch.startswith(f"{number}.")


def orphans(cluster: OneHostCluster) -> dict[str, str]:
    """The command that takes it in, by container."""
    return {one["name"]: one["take_in"] for one in cluster.json("orphans")["orphans"]}


def _is_orphan(cluster: OneHostCluster, name: str) -> bool:
    return name in orphans(cluster)


@pytest.mark.one_engine
def test_a_snapshot_under_load_goes_on_in_the_other_kind_of_store(
    own: OneHostCluster, tmp_path: Path
) -> None:
    with EtcdCluster(tmp_path / "etcd") as etcd:
        goes_on(own, tmp_path, [etcd, None])


@pytest.mark.one_engine
def test_a_snapshot_under_load_goes_on_in_the_same_kind_of_store(
    own: OneHostCluster, tmp_path: Path
) -> None:
    goes_on(own, tmp_path, [None])


def goes_on(own: OneHostCluster, folder: Path, stores: list[Optional[EtcdCluster]]) -> None:
    apply_sleeper(own, IMAGE, name="steady", replicas=2, pull="never")
    apply_sleeper(own, IMAGE, name="changing", replicas=2, pull="never")
    for number, etcd in enumerate(stores, 2):
        file = folder / f"{number}.snapshot"
        with load(own) as loaded:
            wait_until(lambda: len(loaded) >= 3, "some of the load is there")
            before_save = list(loaded)
            own.hullmark("snapshot", "save", str(file))
        assert file.stat().st_mode & 0o777 == 0o600
        own.hullmark("snapshot", "verify", str(file), "--config", str(own.master_config))
        # What follows is newer than the snapshot.
        apply_sleeper(own, IMAGE, name="changing", replicas=2, pull="never", number=number)
        apply_sleeper(own, IMAGE, name=f"late{number}", pull="never")
        for name in loaded:
            own.hullmark("apply", "--wait", str(own.folder / f"{name}.yaml"))
        before = lives(own)
        restore(own, file, etcd, number)
        known = {one["name"] for one in own.json("apps")["apps"]}
        assert {"steady", "changing", *before_save} <= known
        assert f"late{number}" not in known
        late = f"late{number}.s.1.g1"
        wait_until(partial(_is_orphan, own, late), "the newer app is an orphan")
        newer = [name for name in before if name.startswith("changing.")]
        assert {orphans(own)[name] for name in newer} == {"hullmark apply FILE"}
        assert orphans(own)[late] == "hullmark apply FILE"
        held = own.instances("changing")
        assert all("see: hullmark orphans" in one["why"] for one in held), held
        assert lives(own) == before, "nothing was started, stopped or restarted"
        for name in ("changing", f"late{number}", *loaded):
            own.hullmark("apply", "--wait", str(own.folder / f"{name}.yaml"))
        wait_until(lambda: not orphans(own), "all of them are taken in", 20)
        assert lives(own) == before, "what is taken in just goes on"
        for name in loaded:
            own.hullmark("rm", "--wait", name)
        apply_sleeper(own, IMAGE, name="steady", replicas=2, pull="never", number=number)


@pytest.mark.one_engine
def test_a_damaged_snapshot_restores_nothing(own: OneHostCluster, tmp_path: Path) -> None:
    apply_sleeper(own, IMAGE, pull="never")
    file = tmp_path / "s"
    own.hullmark("snapshot", "save", str(file))
    assert own.run("snapshot", "save", str(file)).returncode == 2, "it is never written over"
    own.hullmark("snapshot", "save", "--force", str(file))
    content = file.read_bytes()
    config = ("--config", str(own.master_config))
    for bad in (content[:-30], content.replace(b"sleeper", b"sleepy!", 1), b"{}\n"):
        file.write_bytes(bad)
        done = own.run("snapshot", "verify", str(file), *config)
        assert (done.returncode, str(file) in done.stderr) == (2, True), done
    own.master.kill(signal.SIGTERM)
    assert own.run("snapshot", "restore", str(file), *config).returncode == 2
    own.master.start()
    own.wait_for_host()
    assert own.json("status")["epoch"].startswith("1.")
