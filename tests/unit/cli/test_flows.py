"""`hullmark flows`"""

from __future__ import annotations

import csv
import dataclasses
import io

from hullmark.model.flows import Encrypted, Flow, FlowKind, FlowList
from tests.unit.cli.conftest import Run
from tests.unit.cli.fakemaster import FakeMaster

PATH = "GET /v1/flows"
FLOWS = FlowList(
    (
        Flow(
            FlowKind.NETWORK,
            "shop/api",
            "out",
            "shop/db",
            "cde",
            (5432, 9187),
            networks=("back",),
            caller_hosts=("web1", "web2"),
            service_hosts=("web2",),
            across_hosts=True,
            encrypted=Encrypted.BETWEEN_HOSTS,
        ),
        Flow(FlowKind.USES, "pay/job", "out", "shop/db", "cde", (5432,)),
        Flow(FlowKind.HOST, "", "", "shop/stat", "out", (8125,), "udp", (8125,)),
        Flow(FlowKind.PUBLISHED, "", "", "shop/web", "out", (80,), published=(443,)),
    )
)


def test_flows(master: FakeMaster, run: Run) -> None:
    master.answers[PATH] = FLOWS
    done = run("flows")
    assert (done.code, done.err) == (0, "")
    assert done.out == (
        "FROM      SCOPE  TO         SCOPE  PORTS           WHY           ACROSS HOSTS  ENCRYPTED\n"
        "shop/api  out    shop/db    cde    5432, 9187/tcp  network back  yes           between hosts\n"
        "pay/job   out    shop/db    cde    5432/tcp        uses          no            unknown\n"
        "outside   -      shop/stat  out    8125/udp        mode: host    no            unknown\n"
        "outside   -      shop/web   out    443->80/tcp     published     no            unknown\n"
    )


def test_what_only_the_hosts_own_programs_reach_is_not_from_outside(
    master: FakeMaster, run: Run
) -> None:
    master.answers[PATH] = FlowList((dataclasses.replace(FLOWS.flows[3], local=True),))
    assert run("flows").out.splitlines()[1].startswith("programs of the host  -      shop/web")
    rows = list(csv.DictReader(io.StringIO(run("flows", "--csv").out.lstrip("\ufeff"))))
    assert [row["From"] for row in rows] == ["programs of the host"]
    assert run("flows", "-o", "json").document["flows"][0]["local"] is True


def test_what_policies_refuse_is_marked(master: FakeMaster, run: Run) -> None:
    refused = dataclasses.replace(FLOWS.flows[0], refused_by=("web2 (50-pci.yaml:3)", "web4"))
    master.answers[PATH] = FlowList((refused, FLOWS.flows[1]))
    heads, first, second = run("flows").out.splitlines()
    assert heads.endswith("ENCRYPTED      REFUSED BY POLICY OF")
    assert first.endswith("between hosts  web2 (50-pci.yaml:3), web4")
    assert second.split()[-1] == "-"
    rows = list(csv.DictReader(io.StringIO(run("flows", "--csv").out.lstrip("\ufeff"))))
    assert [row["Refused by policy of"] for row in rows] == ["web2 (50-pci.yaml:3), web4", ""]
    document = run("flows", "-o", "json").document
    assert document["flows"][0]["refused_by"] == ["web2 (50-pci.yaml:3)", "web4"]


def test_of_a_scope_and_none(master: FakeMaster, run: Run) -> None:
    master.answers[PATH] = FlowList(())
    assert run("flows").out == "no flow is declared\n"
    assert run("flows", "--scope", "cde").out == "no flow is declared with an end in scope cde\n"
    assert master.requests[-1].query == {"scope": "cde"}
    assert run("flows", "--scope", "pci").code == 64


def test_as_csv_and_json(master: FakeMaster, run: Run) -> None:
    master.answers[PATH] = FLOWS
    rows = list(csv.DictReader(io.StringIO(run("flows", "--csv").out.lstrip("\ufeff"))))
    assert [row["From"] for row in rows] == ["shop/api", "pay/job", "outside", "outside"]
    assert (rows[0]["Networks"], rows[0]["Hosts of callers"]) == ("back", "web1, web2")
    document = run("flows", "-o", "json").document
    assert document["schema"] == "hullmark.flows/1"
    assert document["flows"][1]["kind"] == "uses"
    assert run("flows", "--csv", "-o", "json").code == 64
