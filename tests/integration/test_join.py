"""A second master joins the first one's cluster, over a real etcd: by the leader, again, and without it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hullmark.pki.authority import ROOT_KEY, Authority
from hullmark.pki.statements import check_incarnation, sign_incarnation
from tests.cluster import Daemon, free_port, wait_until
from tests.integration.etcd import EtcdCluster


class Machine:
    """One master's files and ports; its process while `start`ed."""

    def __init__(self, folder: Path, name: str, etcd: EtcdCluster) -> None:
        folder.mkdir()
        self.folder, self.name = folder, name
        self.config = folder / "master.yaml"
        self.socket = folder / "m.sock"
        self.api, self.agents = free_port(), free_port()
        self.config.write_text(
            f"audit: {{dir: '{folder}/audit', copies: none}}\n"
            f"state_dir: {folder}/state\nname: {name}\nsocket: {self.socket}\naddresses: [127.0.0.1]\n"
            f"api: {{listen: '127.0.0.1:{self.api}'}}\nagents: {{listen: '127.0.0.1:{self.agents}'}}\n"
            + etcd.master_yaml()
        )
        command = [sys.executable, "-m", "hullmark.masterd", "run", "--config", str(self.config)]
        self.daemon = Daemon(name, command, folder / "log")

    @property
    def pki(self) -> Path:
        return self.folder / "state" / "pki"

    def master(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        verb, *more = arguments
        return self.run("hullmark.masterd", verb, "--config", str(self.config), *more)

    def made(self, *arguments: str) -> dict[str, object]:
        done = self.master(*arguments, "--no-start", "--output", "json")
        assert done.returncode == 0, done.stderr
        found: dict[str, object] = json.loads(done.stdout)
        return found

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("hullmark.cli.main", *arguments, "--master", f"unix://{self.socket}")

    def run(self, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def start(self) -> None:
        self.daemon.start()
        wait_until(lambda: self.command("apps").returncode == 0, f"{self.name} leads")


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[EtcdCluster]:
    with EtcdCluster(tmp_path / "etcd") as cluster:
        yield cluster


@pytest.fixture
def first(tmp_path: Path, etcd: EtcdCluster) -> Iterator[Machine]:
    machine = Machine(tmp_path / "m1", "m1", etcd)
    machine.made("init")
    machine.start()
    try:
        yield machine
    finally:
        machine.daemon.kill()


def test_a_second_master_joins_by_the_leader_and_once(
    tmp_path: Path, etcd: EtcdCluster, first: Machine
) -> None:
    second = Machine(tmp_path / "m2", "m2", etcd)
    refused = second.master("init")
    assert refused.returncode == 2
    assert "hullmark master join" in refused.stderr
    token = tmp_path / "token"
    done = first.command("master", "invite", "m2", "--token-file", str(token))
    assert done.returncode == 0, done.stderr
    other = Machine(tmp_path / "m3", "m3", etcd)
    wrong = other.master("join", "--token-file", str(token), "--no-start")
    assert (wrong.returncode, "the invite is for master m2" in wrong.stderr) == (2, True)
    joined = second.made("join", "--token-file", str(token))
    assert joined["changed"]
    again = second.made("join", f"https://127.0.0.1:{first.api}", "--token-file", str(token))
    assert (again["changed"], again["root_sha256"]) == (False, joined["root_sha256"])
    token.unlink()
    assert not second.made("join", "--token-file", str(token))["changed"]
    ours, theirs = Authority.load(first.pki), Authority.load(second.pki)
    assert ours.root == theirs.root
    assert ours.chain != theirs.chain
    assert not (second.pki / ROOT_KEY).exists()
    assert not (second.pki / "joining.key").exists()
    cluster_id = str(joined["cluster_id"])
    now = (second.pki / "root.pem").stat().st_mtime
    proof = sign_incarnation(theirs, cluster_id, 2, reason="reclaimed", by="root", now=now)
    check_incarnation(proof, ours.root, cluster_id, 2)
    told = first.command("events", "--output", "json").stdout
    assert '"master.invited"' in told
    assert '"master.joined"' in told
    assert "127.0.0.1" in told


def test_a_key_that_was_moved_away_is_told_and_taken_along(
    tmp_path: Path, etcd: EtcdCluster, first: Machine
) -> None:
    away = tmp_path / "root.key"
    (first.pki / ROOT_KEY).rename(away)
    refused = first.command("master", "invite", "m2")
    assert refused.returncode == 2
    assert "--root-key FILE" in refused.stderr
    second = Machine(tmp_path / "m2", "m2", etcd)
    given = ("--root-key", str(away), "--root-cert", str(first.pki / "root.pem"))
    joined = second.made("join", *given)
    assert joined["changed"]
    assert not second.made("join", *given)["changed"]
    first.daemon.kill()
    second.start()
    try:
        assert '"m2"' in second.command("status", "--output", "json").stdout
    finally:
        second.daemon.kill()


def test_a_leader_is_fenced_by_a_reclaim_and_leads_the_next_incarnation(
    tmp_path: Path, etcd: EtcdCluster, first: Machine
) -> None:
    cluster_id = str(first.made("init")["cluster_id"])
    wrong = first.master("init", "--reclaim", "c9")
    assert (wrong.returncode, f"--reclaim {cluster_id}" in wrong.stderr) == (2, True)
    done = first.master("init", "--reclaim", cluster_id, "--output", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["incarnation"] == 2

    def leads_anew() -> bool:
        told = first.command("status", "--output", "json").stdout
        return '"epoch": "2.' in told

    wait_until(leads_anew, "the master leads the new incarnation")
    assert '"cluster.reclaimed"' in first.command("events", "--output", "json").stdout
