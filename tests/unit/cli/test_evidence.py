"""`hullmark evidence`: what masters and files give is what goes into a pack, and what is wrong with it is said."""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hullmark.cli.evidencemaking import period
from hullmark.cli.logparts import Part
from hullmark.errors import UsageError
from hullmark.model.api import Authority as AuthorityAnswer
from hullmark.model.api import ClusterStatus, HostList, HostView
from hullmark.model.auditline import place_of
from hullmark.model.control import Status
from hullmark.model.evidence import RoleList, RoleView
from hullmark.model.incidentapi import IncidentList, IncidentView
from hullmark.model.outage import Note, Outage
from hullmark.model.redundancy import MasterView
from hullmark.pki.authority import Authority
from tests.unit.cli.conftest import Run
from tests.unit.cli.fakemaster import FakeMaster, Raw, Reply, Request
from tests.unit.evidence import packs
from tests.unit.evidence.logbook import AUDITD, HOUR, Log

NOW = time.time()
BEGINS = NOW - 6 * HOUR


def answer(lines: list[bytes]) -> Raw:
    head = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nConnection: close\r\n\r\n"
    return Raw(head.encode() + b"".join(line.rstrip(b"\n") + b"\n" for line in lines))


def logs() -> dict[str, Log]:
    host, master = Log("host:h1"), Log("master:m1")
    host.act("root", "audit.started", "log", BEGINS - 40 * HOUR)
    host.result(AUDITD, Status.PASS, BEGINS - HOUR)
    for number in range(7):
        at = BEGINS + (number - 1) * HOUR
        host.summary(at, at + HOUR, {AUDITD: (Status.PASS, 3, {"pass": 60})})
    host.result(AUDITD, Status.PASS, NOW - 60)
    master.act("alice", "request.apply", "shop", BEGINS + 2 * HOUR, ticket="CHG-1")
    return {one.name: one for one in (host, master)}


class Cluster:
    """A fake master with an authority that is real. `asked` are the queries for records."""

    def __init__(self, master: FakeMaster, authority: Authority) -> None:
        self.logs = logs()
        self.master = master
        self.authority = authority
        self.signer = packs.Master(authority, NOW - 60)
        self.asked: list[dict[str, str]] = []
        self.heads = packs.heads(self.logs["host:h1"], len(self.logs["host:h1"].lines) - 1)
        began = BEGINS + 2 * HOUR
        outage = Outage(
            "o1",
            "web1",
            "audit-trail-auditd",
            "audit-trail",
            "A",
            began,
            "stopped",
            ended=began + 1,
        )
        notes = (Note(NOW, "bob", "cause", "a full disk"),)
        incident = IncidentView(
            7, "audit-trail", "recovered", began, began + 1, outages=(outage,), notes=notes
        )
        view = MasterView("m1", "leading")
        master.answers.update(
            {
                "GET /v1/status": ClusterStatus("c1", "ok", "m1", "1.1", 1.0, "sqlite", 1, 1, 0, 0, "0.6.0", masters=(view,)),
                "GET /v1/hosts": HostList((HostView("h1", "web1", "ready"),)),
                "GET /v1/ca": AuthorityAnswer(authority.root_pem, "c1"),
                "GET /v1/incidents": IncidentList((incident,)),
                "GET /v1/people": RoleList((RoleView("group", "ops", "admin"),)),
                "GET /v1/audit": self.records,
                "GET /v1/audit/heads": lambda request: answer(self.heads),
                "POST /v1/evidence/sign": self.sign,
            }
        )  # fmt: skip

    def records(self, request: Request) -> Reply:
        self.asked.append(dict(request.query))
        lines = self.logs[request.query["log"]].lines
        since, until = request.query.get("since", ""), request.query.get("until", "9")
        return answer([line for line in lines if since <= at_of(line) < until])

    def sign(self, request: Request) -> Reply:
        return self.signer.sign(request.body["digest"], NOW)


def at_of(line: bytes) -> str:
    place = place_of(line)
    assert place is not None
    return place.at


@pytest.fixture
def cluster(master: FakeMaster, tmp_path: Path) -> Cluster:
    return Cluster(master, packs.authority(tmp_path / "pki", NOW - 3600))


@pytest.fixture
def export(run: Run, tmp_path: Path) -> Callable[..., Any]:
    def export(*more: str) -> Any:
        file = str(tmp_path / "pack.zip")
        return run("evidence", "export", "--from", "5h", "--to", "now", "-o", file, *more)

    return export


def files_of(pack: Path) -> dict[str, str]:
    with zipfile.ZipFile(pack) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_a_pack_of_a_cluster(
    cluster: Cluster, export: Callable[..., Any], run: Run, tmp_path: Path
) -> None:
    done = export("--output", "json")
    assert done.code == 0, done.err
    assert done.document["fingerprint"] == cluster.authority.root_fingerprint
    assert run("evidence", "fingerprint").out.strip() == cluster.authority.root_fingerprint
    pack = tmp_path / "pack.zip"
    assert pack.stat().st_mode & 0o777 == 0o600
    files = files_of(pack)
    assert "shop" in files["csv/actions.csv"]
    assert "CHG-1" in files["csv/actions.csv"]
    assert "group ops,admin" in files["csv/people.csv"]
    verdicts = {one["requirement"]: one["verdict"] for one in done.document["requirements"]}
    assert verdicts["10.2.1.2"] == "proven"
    assert "a full disk" in files["csv/incidents.csv"]
    assert "a full disk" in files["report.html"]
    assert any("/v1/ports was not answered" in one for one in done.document["remarks"])
    (signed,) = cluster.master.asked("POST")
    assert "pci-dss-4.0.1" in signed.body["what"]
    found = run("evidence", "verify", str(pack), "--fingerprint", done.document["fingerprint"])
    assert found.code == 0, found.out
    assert "vouched for by m1" in found.out


def test_an_existing_file_is_not_replaced(
    cluster: Cluster, export: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "pack.zip").write_text("precious")
    done = export()
    assert (done.code, (tmp_path / "pack.zip").read_text()) == (64, "precious")
    assert "is there already" in done.err
    assert cluster.asked == []


def test_a_master_that_signs_with_another_root_is_not_believed(
    cluster: Cluster, export: Callable[..., Any], tmp_path: Path
) -> None:
    cluster.signer = packs.Master(packs.authority(tmp_path / "other", NOW - 3600), NOW - 60)
    done = export()
    assert done.code == 2
    assert "lead to the root" in done.err
    assert not (tmp_path / "pack.zip").exists()


def test_a_log_whose_times_go_back_is_asked_for_whole(
    cluster: Cluster, export: Callable[..., Any]
) -> None:
    """A record in the middle has a time of long ago: by time alone it would be missing."""
    log = Log("host:h1")
    log.act("root", "audit.started", "log", BEGINS - 40 * HOUR)
    log.act("root", "x", "before", NOW - HOUR)
    log.act("root", "x", "clock was wrong", 1e9)
    log.act("root", "x", "after", NOW - HOUR + 1)
    cluster.logs[log.name], cluster.heads = log, packs.heads(log, 4)
    done = export("--output", "json")
    assert done.code == 0, done.err
    assert not any("not whole" in one for one in done.document["remarks"])
    asked = [one for one in cluster.asked if one["log"] == log.name]
    assert ["since" in one for one in asked] == [True, False]


def test_a_log_that_is_not_whole_proves_nothing(
    cluster: Cluster, export: Callable[..., Any], run: Run, tmp_path: Path
) -> None:
    lines = cluster.logs["host:h1"].lines
    del lines[4]
    done = export("--output", "json")
    assert done.code == 0
    assert any(
        "host:h1 is not whole, and nothing in it counts: record" in one
        for one in done.document["remarks"]
    )
    assert done.document["verdicts"]["proven"] == 0
    assert "audit/host-h1.jsonl" not in files_of(tmp_path / "pack.zip")
    pack, fingerprint = str(tmp_path / "pack.zip"), done.document["fingerprint"]
    assert run("evidence", "verify", pack, "--fingerprint", fingerprint).code == 0


def test_trace(cluster: Cluster, run: Run) -> None:
    done = run("evidence", "trace", "10.2.1.2", "--host", "web1", "--output", "json")
    assert done.code == 0, done.err + done.out
    (result,) = done.document["results"]
    count = len(cluster.logs["host:h1"].lines)
    assert (result["seq"], result["level"], result["sealed_by"]) == (count, 3, [])
    assert done.document["vouched_by"] == {"m1": count - 1}
    assert "nobody" in run("evidence", "trace", "10.2.1.2", "--host", "web1").out
    cluster.heads = packs.heads(cluster.logs["host:h1"], count)
    assert " m1" in run("evidence", "trace", "10.2.1.2", "--host", "web1").out


def test_a_trace_of_a_changed_log_says_so(cluster: Cluster, run: Run) -> None:
    lines = cluster.logs["host:h1"].lines
    lines[5] = lines[5].replace(b'"pass\\":60', b'"pass\\":61').replace(b"pass", b"fail", 1)
    done = run("evidence", "trace", "10.2.1.2", "--host", "web1")
    assert done.code == 2
    assert "not those that its hash was made of" in done.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("trace", "99.9", "--host", "web1"), "has no requirement 99.9"),
        (("trace", "10.2.1.2"), "--host HOST"),
        (("trace", "10.2.1.2", "--host", "nobody"), "there is no host nobody"),
        (("export", "--from", "now", "--to", "1d", "-o", "/tmp/x.zip"), "nothing is between them"),
        (("export", "--from", "soon", "--to", "now", "-o", "/tmp/x.zip"), "neither a day"),
        (("export", "--from", "2999-01-01", "--to", "2999-01-02", "-o", "/tmp/x.zip"), "not begun yet"),
        (("export", "--from", "1d", "--to", "now", "-o", "/nowhere/x.zip"), "there is no folder"),
        (("export", "--from", "1d", "--to", "now", "-o", "/tmp/x.zip", "--framework", "iso"), "no framework iso"),
        (("verify", "/nowhere.zip", "--fingerprint", "ab"), "there is no file"),
    ],
)  # fmt: skip
def test_what_can_not_be_done_is_said(
    arguments: tuple[str, ...], words: str, cluster: Cluster, run: Run
) -> None:
    done = run("evidence", *arguments)
    assert done.code != 0
    assert words in done.err


def test_a_day_is_one_of_utc() -> None:
    found = period("2026-11-01", "2026-11-02T12:00:00+02:00", NOW)
    assert (found.begins, found.ends - found.begins) == (1793491200.0, 34 * HOUR)
    assert period("2h", "now", 10_000.0).begins == 2800.0
    with pytest.raises(UsageError):
        period("2026-13-01", "now", NOW)


# -- this host alone


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    """An agent's configuration, log and posture."""
    for name in ("log", "state", "run"):
        (tmp_path / name).mkdir()
    config = tmp_path / "agent.yaml"
    config.write_text(
        f"state_dir: {tmp_path}/state\nrun_dir: {tmp_path}/run\naudit: {{dir: '{tmp_path}/log'}}\n"
    )
    posture = {"host": "web1", "mode": "run", "controls": {}, "at": NOW}
    document = {"schema": "hullmark.posture/1", "posture": posture, "outages": [], "incidents": []}
    (tmp_path / "run" / "posture.json").write_text(json.dumps(document))
    (tmp_path / "log" / "audit.log").write_bytes(b"".join(logs()["host:h1"].lines))
    return config


def test_a_host_without_a_cluster_makes_signs_and_traces_by_itself(
    alone: Path, export: Callable[..., Any], run: Run, tmp_path: Path
) -> None:
    where = ("--local", "--config", str(alone))
    assert "no pack was signed on this host yet" in run("evidence", "fingerprint", *where).err
    done = export(*where, "--output", "json")
    assert done.code == 0, done.err
    assert done.document["of"] == "host web1"
    assert any("nobody but itself vouches" in one for one in done.document["remarks"])
    fingerprint = run("evidence", "fingerprint", *where).out.strip()
    pack = str(tmp_path / "pack.zip")
    assert run("evidence", "verify", pack, "--fingerprint", fingerprint).code == 0
    assert run("evidence", "verify", pack, "--fingerprint", "ab" * 32).code == 2
    traced = run("evidence", "trace", "10.2.1.2", *where)
    assert traced.code == 0, traced.out
    assert "vouched for by nobody" in traced.out
    assert "audit show" not in traced.out, "no master answers there"
    assert f"{tmp_path / 'log'}/audit*.log" in traced.out


def test_a_host_of_a_cluster_says_what_its_own_pack_is_without(
    alone: Path, export: Callable[..., Any], run: Run, tmp_path: Path
) -> None:
    (tmp_path / "state" / "enrolment.json").write_text("{}")
    where = ("--local", "--config", str(alone))
    done = export(*where, "--output", "json")
    assert done.code == 0, done.err
    (remark,) = [one for one in done.document["remarks"] if "cluster" in one]
    assert "signed this pack alone: what masters vouch for" in remark
    traced = run("evidence", "trace", "10.2.1.2", *where).out
    assert "vouched for by masters that were not asked" in traced
    assert "nobody" not in traced


def test_a_part_of_a_log_is_cut_behind_a_record(tmp_path: Path) -> None:
    log = logs()["host:h1"]
    part = Part(log.name, "web1", tmp_path)
    for line in log.lines:
        part.put(line, NOW)
    part.cut(3)
    assert list(part.lines()) == [line.rstrip(b"\n") for line in log.lines[:3]]
    part.put(log.lines[3], NOW)
    assert (part.last, part.gaps, part.part().last) == (4, 0, 4)
    part.put(log.lines[6], NOW)
    assert part.gaps == 1
    part.close()
