"""What every command that changes something says of that: `changed`, for configuration management."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hullmark.model.api import ApplyAnswer, HostList, InviteAnswer, SessionAnswer
from hullmark.model.changecontrol import ControlAnswer, DecisionAnswer
from hullmark.model.drill import ForgetAnswer, StepDownAnswer
from hullmark.model.host import Availability
from hullmark.model.hostlife import HostChange, HostChanges, HostDetail, RemovedHost
from hullmark.model.incidentapi import IncidentDetail, IncidentView
from hullmark.model.loadline import LoadLineAnswer
from hullmark.model.move import MoveAnswer, MovedSlot
from hullmark.model.peers import MasterInviteAnswer
from hullmark.model.people import RevokeAnswer, Role, TokenAnswer
from hullmark.model.rollout import RolloutAnswer
from tests.unit.cli import answers
from tests.unit.cli.conftest import Run
from tests.unit.cli.fakemaster import FakeMaster
from tests.unit.cli.test_change_control import GLASS, WAITS
from tests.unit.cli.test_main import ALL

ASKS = {
    *("validate", "plan", "apps", "ps", "explain", "logs", "hosts", "ports", "status", "events"),
    *("orphans", "version", "host show", "maintenance list", "token list", "config check"),
    *("config show", "rollout status", "rollout history", "footprint", "snapshot verify"),
    *("changes list", "changes show", "changes wait", "change-control show"),
    *("mark show", "mark status", "outages list", "outages show"),
    *("break-glass list", "break-glass show"),
    *("controls", "evidence export", "evidence verify", "evidence trace", "evidence fingerprint"),
    *("audit show", "audit follow", "audit export", "audit trace", "audit verify", "audit heads"),
    *("policy show", "policy test", "services", "why", "flows"),
    *("audit show", "audit follow", "audit export", "audit trace", "audit verify", "audit heads"),
}
"""Commands that change nothing."""
ELSEWHERE = {
    "exec",
    "snapshot save",
    "snapshot restore",
    "changes collect",
    "drill failover",
    "agent run",
    "agent enroll",
    "agent renew",
    "master run",
    "master init",
    "master join",
    "eject",
}
"""Commands of the daemons, the drill and snapshots, and what ends as a command in a container does: they have tests of their own."""

SAME = HostChange("web3", False, Availability.ACTIVE)
OTHER = HostChange("web4", True, Availability.ACTIVE)
HOSTS = [HostChanges((SAME, SAME)), HostChanges((SAME, OTHER))]
APPLIED = [ApplyAnswer("shop", 3, changed) for changed in (False, True)]
ROLLED = [RolloutAnswer("shop", 3, changed, "paused") for changed in (False, True)]
MOVED = [MoveAnswer("shop", ()), MoveAnswer("shop", (MovedSlot("shop/web.1", "web3"),))]
CONTROLLED = [ControlAnswer(changed, 1) for changed in (False, True)]
MARKED = [LoadLineAnswer(changed) for changed in (False, True)]
INCIDENT = IncidentDetail(IncidentView(7, "time", "open", 1.0, acknowledged_by="anna"))
DECIDED = DecisionAnswer(WAITS)
DETAIL = HostDetail(answers.HOST, 1.0, (), (), (), 2)

CHANGES: dict[str, tuple[str, str, list[Any]]] = {
    "apply": ("apply --no-wait FILE", "PUT /v1/apps/shop", APPLIED),
    "scale": ("scale shop/web=2 --no-wait", "POST /v1/apps/shop/scale", APPLIED),
    "rm": ("rm shop --no-wait", "DELETE /v1/apps/shop", APPLIED),
    "move": ("move shop/web --no-wait", "POST /v1/apps/shop/move", MOVED),
    "rollout pause": ("rollout pause shop", "POST /v1/apps/shop/rollout", ROLLED),
    "rollout resume": ("rollout resume shop", "POST /v1/apps/shop/rollout", ROLLED),
    "rollout undo": ("rollout undo shop --no-wait", "POST /v1/apps/shop/rollout", ROLLED),
    "host cordon": ("host cordon web3 web4", "POST /v1/availability", HOSTS),
    "host uncordon": ("host uncordon web3 web4", "POST /v1/availability", HOSTS),
    "host drain": ("host drain web3 web4", "POST /v1/availability", HOSTS),
    "host label": ("host label web3 a=b", "POST /v1/hosts/web3/labels", [SAME, OTHER]),
    "maintenance start": ("maintenance start web3 --for 2h", "POST /v1/maintenance", HOSTS),
    "maintenance end": ("maintenance end web3", "DELETE /v1/maintenance", HOSTS),
    "host remove": ("host remove web3", "DELETE /v1/hosts/web3", [RemovedHost("web3", "h1")]),
    "invite": ("invite web3", "POST /v1/invites", [InviteAnswer("web3", "hmi1.x", 1.0)]),
    "login": ("login", "POST /v1/sessions", [SessionAnswer("t", "anna", "admin", 1.0)]),
    "token create": (
        "token create ci --role viewer",
        "POST /v1/tokens",
        [TokenAnswer("ci", "t", Role.VIEWER, 1.0)],
    ),
    "master invite": (
        "master invite m2",
        "POST /v1/master-invites",
        [MasterInviteAnswer("m2", "hmi1.x", 1.0)],
    ),
    "master step-down": (
        "master step-down --no-wait",
        "POST /v1/master/step-down",
        [StepDownAnswer(changed, "m1", "1.4") for changed in (False, True)],
    ),
    "master forget": (
        "master forget m2",
        "POST /v1/master/forget",
        [ForgetAnswer("m2")],
    ),
    "token revoke": ("token revoke ci", "DELETE /v1/tokens/ci", [RevokeAnswer("ci")]),
    "change-control apply": ("change-control apply RULES", "PUT /v1/change-control", CONTROLLED),
    "change-control remove": (
        "change-control remove",
        "DELETE /v1/change-control",
        [ControlAnswer(True, 0)],
    ),
    "outages ack": ("outages ack 7", "POST /v1/incidents/7/acknowledge", [INCIDENT]),
    "outages note": ("outages note 7 x", "POST /v1/incidents/7/notes", [INCIDENT]),
    "mark set": ("mark set MARK", "PUT /v1/mark", MARKED),
    "mark clear": ("mark clear", "DELETE /v1/mark", [LoadLineAnswer(True)]),
    "mark override": (
        "mark override time --ticket T",
        "POST /v1/mark/override",
        [LoadLineAnswer(True)],
    ),
    "approve": ("approve 3f9a01c2", "POST /v1/changes/3f9a01c2/approve", [DECIDED]),
    "changes refuse": ("changes refuse 3f9a01c2", "POST /v1/changes/3f9a01c2/refuse", [DECIDED]),
    "break-glass open": ("break-glass open --reason x", "POST /v1/break-glass", [GLASS]),
    "break-glass close": ("break-glass close 5d", "POST /v1/break-glass/5d/close", [GLASS]),
    "break-glass sign-off": (
        "break-glass sign-off 5d",
        "POST /v1/break-glass/5d/sign-off",
        [GLASS],
    ),
}


def test_every_command_is_one_that_asks_or_one_that_changes() -> None:
    named = {" ".join(path) for path in ALL}
    assert named == ASKS | ELSEWHERE | set(CHANGES)


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_says_whether_it_was_one(
    master: FakeMaster, run: Run, tmp_path: Path, name: str
) -> None:
    line, route, replies = CHANGES[name]
    compose = tmp_path / "compose.yaml"
    compose.write_text("name: shop\nservices: {web: {image: localhost/web:1}}\n")
    rules = tmp_path / "rules.yaml"
    rules.write_text("rules: [{name: all}]\n")
    mark = tmp_path / "mark.yaml"
    mark.write_text("require: [time]\n")
    files = {"FILE": str(compose), "RULES": str(rules), "MARK": str(mark)}
    words = [files.get(word, word) for word in line.split()]
    master.answers = {"GET /v1/hosts": HostList(()), "GET /v1/status": answers.STATUS}
    for host in ("web3", "web4"):
        master.answers[f"GET /v1/hosts/{host}"] = DETAIL
    told = []
    for reply in replies:
        master.answers[route] = reply
        told.append(run(*words, "--output", "json").document["changed"])
    assert told == ([False, True] if len(replies) == 2 else [True])
