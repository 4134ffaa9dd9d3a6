"""Packs of real daemons: made, taken elsewhere, verified with a fingerprint alone; and what was changed in one is found."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from hullmark.evidence import verifying, ziplayout
from tests.cluster import OneHostCluster, wait_until
from tests.e2e import auditlog
from tests.e2e.test_observe import CONTROL, Alone

SECRET_CARD = "4111 1111 1111 1111"
FUNCTION = CONTROL.replace("function: site-file", "function: audit-trail")


def hullmark(*arguments: str) -> subprocess.CompletedProcess[str]:
    """As on another machine: no master, no agent, no configuration is named."""
    command = [sys.executable, "-m", "hullmark.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def verify(pack: Path, fingerprint: str) -> dict[str, Any]:
    done = hullmark(
        "evidence", "verify", str(pack), "--fingerprint", fingerprint, "--output", "json"
    )
    found: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (0 if found["good"] else 2), done.stderr
    return found


def refused_with_a_flipped_byte(pack: Path, fingerprint: str) -> None:
    """In each file of it, in the middle of what stands there."""
    data = pack.read_bytes()
    with pack.open("rb") as file:
        _, members = ziplayout.opened(file)
    changed = pack.with_name("changed.zip")
    for name, member in members.items():
        at = member.offset + member.stored // 2
        broken = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        verdict = verifying.verify(io.BytesIO(broken), fingerprint)
        assert not verdict.good, name
        assert any(name in finding for finding in verdict.findings), (name, verdict.findings)
    changed.write_bytes(broken)
    assert verify(changed, fingerprint)["good"] is False


def members_of(pack: Path) -> dict[str, str]:
    with zipfile.ZipFile(pack) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_a_host_without_a_cluster(tmp_path: Path) -> None:
    alone = Alone(tmp_path)
    site = alone.site / "10-own.yaml"
    site.write_text(FUNCTION.format(path=alone.watched, interval=1.0))
    alone.watched.write_text(f"password: hunter2 {SECRET_CARD}\nall is well\n")
    alone.agent.start()
    try:
        alone.wait_for("pass")
        alone.watched.write_text("nothing is\n")
        alone.wait_for("fail")
        alone.watched.write_text(f"password: hunter2 {SECRET_CARD}\nall is well\n")
        alone.wait_for("pass")
    finally:
        alone.agent.kill(signal.SIGTERM)
    pack = tmp_path / "pack.zip"
    where = ("--local", "--config", str(alone.config))
    done = hullmark(
        "evidence",
        "export",
        *where,
        "--from",
        "1h",
        "--to",
        "now",
        "-o",
        str(pack),
        "--output",
        "json",
    )
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    fingerprint = hullmark("evidence", "fingerprint", *where).stdout.strip()
    assert made["fingerprint"] == fingerprint
    found = verify(pack, fingerprint)
    assert (found["good"], found["logs"][0]["chain"]) == (True, "whole"), found
    assert verify(pack, "0" * 64)["good"] is False
    verdicts = {one["requirement"]: one for one in made["requirements"]}
    assert verdicts["10.2.1.2"]["verdict"] == "interrupted", verdicts["10.2.1.2"]
    assert "failed for" in verdicts["10.2.1.2"]["why"]
    files = members_of(pack)
    assert "all is well" in files["raw/box/our-file/says.txt"]
    assert "Our file" in files["report.html"]
    assert not any("hunter2" in text or SECRET_CARD in text for text in files.values())
    assert files[
        "audit/" + found["logs"][0]["log"].replace(":", "-") + ".jsonl"
    ].encode() == b"".join(auditlog.whole(alone.log / "audit.log"))
    refused_with_a_flipped_byte(pack, fingerprint)


@pytest.mark.one_engine
def test_a_cluster_with_what_its_master_sealed(own: OneHostCluster) -> None:
    watched = own.folder / "watched.txt"
    watched.write_text("all is well\n")
    site = own.folder / "agent-controls" / "controls.d" / "10-own.yaml"
    site.write_text(FUNCTION.format(path=watched, interval=1.0))
    wait_until(lambda: of_kind(own, "control.result"), "it was looked at", 20.0)
    own.agent.kill(signal.SIGTERM)
    own.agent.start()
    own.wait_for_host()
    wait_until(lambda: of_kind(own, "controls.summary"), "the master has the summary", 20.0)
    newest = int(of_kind(own, "control.result")[-1]["seq"])
    host = own.host_view()
    wait_until(lambda: sealed(own, f"host:{host['host_id']}") >= newest, "it is sealed", 20.0)
    pack = own.folder / "pack.zip"
    done = own.run("evidence", "export", "--from", "1h", "--to", "now", "-o", str(pack))
    assert "proven" in done.stdout, done.stdout + done.stderr
    fingerprint = own.run("evidence", "fingerprint").stdout.strip()
    found = verify(pack, fingerprint)
    assert found["good"], found
    logs = {one["of"]: one for one in found["logs"]}
    assert set(logs) == {"box", "m1"}
    assert logs["box"]["vouched_to"] >= newest
    assert logs["box"]["chain"] == "whole"
    files = members_of(pack)
    assert "request.sign-evidence" not in files["csv/actions.csv"], "it is asked for last"
    assert "request.invite" in files["csv/actions.csv"]
    assert "box" in files["csv/hosts.csv"]
    assert "root,admin,the records" in files["csv/people.csv"]
    refused_with_a_flipped_byte(pack, fingerprint)
    (result,) = wait_until(lambda: traced(own), "its newest result is sealed", 20.0)
    assert (result["check"], result["status"], result["sealed_by"]) == ("says", "pass", ["m1"])
    assert of_kind(own, "request.sign-evidence")[-1]["outcome"] == "success"


def of_kind(cluster: OneHostCluster, kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cluster.json("audit", "show", "--kind", kind)["records"]
    return found


def sealed(cluster: OneHostCluster, log: str) -> int:
    logs = cluster.json("audit", "heads")["logs"]
    return max([int(one["seq"]) for one in logs if one["log"] == log] or [0])


def traced(cluster: OneHostCluster) -> list[dict[str, Any]]:
    """Empty while the newest is not sealed yet."""
    found = cluster.json("evidence", "trace", "10.2.1.2", "--host", "box")
    assert found["good"], found
    return [one for one in found["results"] if one["sealed_by"]]
