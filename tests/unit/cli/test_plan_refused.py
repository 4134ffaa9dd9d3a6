"""What `hullmark plan` says of the policies of hosts."""

from __future__ import annotations

from pathlib import Path

import pytest

from hullmark.model.api import Difference, PlanAnswer
from hullmark.model.foresight import PolicyRefusal
from tests.unit.cli.conftest import Run
from tests.unit.cli.fakemaster import FakeMaster, Status

REASON = "privileged: not allowed here (50-pci.yaml:12)"


def test_refusals_name_hosts_and_rules_and_who_could_not_say(
    master: FakeMaster, run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text("name: shop\nservices: {web: {image: 'localhost/web:1', pull_policy: never}}\n")
    hosts = tuple(f"h{n}" for n in range(1, 8))
    master.answers["POST /v1/plan"] = PlanAnswer(
        True,
        1,
        (Difference("create", "service web"),),
        refused=(PolicyRefusal("web", hosts, (REASON,)),),
        unjudged=("h9: it does not answer",),
    )
    done = run("plan", str(file))
    assert done.code == 1
    assert "web would be refused by the policy of h1, h2, h3, h4, h5 and 2 more\n" in done.out
    assert f"  {REASON}\n" in done.out
    assert "what the policy would say is not known of h9: it does not answer\n" in done.out
    document = run("plan", str(file), "-o", "json").document
    assert document["refused"] == [{"service": "web", "hosts": list(hosts), "reasons": [REASON]}]
    assert document["unjudged"] == ["h9: it does not answer"]


@pytest.mark.parametrize("command", ["plan", "apply"])
def test_what_a_master_finds_wrong_has_its_line(
    master: FakeMaster, run: Run, tmp_path: Path, command: str
) -> None:
    """A master knows the fields of the app only; what is none of the file's stays as it is."""
    file = tmp_path / "compose.yaml"
    file.write_text(
        "name: shop\nservices:\n  web:\n    image: localhost/web:1\n    ports:\n      - 8080:80\n"
    )
    taken = {"message": "port 8080/tcp is published by bank/web", "field": "services.web.ports"}
    other = {"message": "too long", "field": "ticket"}
    body = {"error": "InvalidInput", "message": "wrong", "problems": [taken, other]}
    for path in ("POST /v1/plan", "PUT /v1/apps/shop"):
        master.answers[path] = Status(400, body)
    done = run(command, str(file))
    assert done.code == 2
    assert done.err == (
        f"hullmark: {file}:5: services.web.ports: port 8080/tcp is published by bank/web\n"
        "          ticket: too long\n"
    )
