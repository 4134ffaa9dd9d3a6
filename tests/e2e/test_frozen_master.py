"""The only master is stopped by a signal: the kernel takes connections for it, and it says nothing. No host is needed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hullmark.cli.client import QUICK_S
from hullmark.cli.stillness import SIGN_S
from tests.cluster import Cluster, wait_until

STARTS_S = 8.0
"""What as many commands as are asked at once take to start, on a machine with two processors that has other work."""
QUESTIONS = (
    ("status",),
    ("hosts",),
    ("apps",),
    ("ps",),
    ("ports",),
    ("ports", "--firewall", "nftables"),
    ("flows",),
    ("services",),
    ("explain", "shop/api"),
    ("events",),
    ("logs", "shop"),
    ("snapshot", "save", "cluster.snapshot"),
)


class Alone(Cluster):
    """A master, and nothing else."""

    def set_up(self) -> None:
        self.set_up_master()

    def stop(self) -> None:
        self.master.kill(signal.SIGTERM)


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alone]:
    with Alone(Path(tmp_path_factory.mktemp("frozen"))) as cluster:
        cluster.hullmark("login", "--token-file", str(cluster.folder / "token"))
        os.kill(cluster.master.pid, signal.SIGSTOP)
        try:
            wait_until(lambda: _state(cluster.master.pid) == "T", "it is stopped", 5)
            yield cluster
        finally:
            os.kill(cluster.master.pid, signal.SIGCONT)
        cluster.wait_for_master()
        assert cluster.run("services", "--output", "json").returncode == 0, "it goes on"


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_questions_are_given_up_soon_and_say_what_is_wrong(frozen: Alone) -> None:
    def asked(words: tuple[str, ...]) -> tuple[subprocess.CompletedProcess[str], float]:
        begun = time.monotonic()
        return frozen.run(*words), time.monotonic() - begun

    with ThreadPoolExecutor(len(QUESTIONS)) as pool:
        found = dict(zip(QUESTIONS, pool.map(asked, QUESTIONS)))
    for words, (done, took_s) in found.items():
        assert done.returncode == 3, words
        assert done.stdout == "", words
        assert f"hullmark: {frozen.master_socket}: {_still(QUICK_S)}\n" in done.stderr, words
        assert "what to do: see whether it is stopped or hangs: " in done.stderr, words
        assert QUICK_S <= took_s < QUICK_S + SIGN_S + STARTS_S, (words, took_s)


def test_a_wait_lasts_no_longer_than_it_is_told_and_says_what_is_wrong(frozen: Alone) -> None:
    begun = time.monotonic()
    done = frozen.run("status", "--wait", "4s")
    assert 4.0 <= time.monotonic() - begun < 5.0 + STARTS_S
    assert (done.returncode, done.stdout) == (3, "")
    assert f"hullmark: {frozen.master_socket}: {_still(4.0 - SIGN_S)}\n" in done.stderr


def test_why_has_it_for_its_first_broken_link(frozen: Alone, tmp_path: Path) -> None:
    words = ("why", "shop/api", "--config", str(tmp_path / "none.yaml"), "--output", "json")
    done = frozen.run(*words, timeout_s=QUICK_S + SIGN_S + STARTS_S)
    assert done.returncode == 3
    first = json.loads(done.stdout)["links"][0]
    assert first["step"] == "command"
    assert _still(QUICK_S) in first["text"]


def test_from_another_machine(frozen: Alone) -> None:
    url = f"https://127.0.0.1:{frozen.api_port}"
    login = ("--token-file", str(frozen.folder / "token"))
    root = ("--ca", str(frozen.folder / "master" / "pki" / "root.pem"))
    done = frozen.run(
        "status", "--master", url, *login, *root, timeout_s=QUICK_S + SIGN_S + STARTS_S
    )
    assert done.returncode == 3
    assert f"hullmark: {url}: {_still(5.0)}\n" in done.stderr


def _still(seconds: float) -> str:
    return f"it takes connections and does not answer: nothing within {seconds:g} s"
