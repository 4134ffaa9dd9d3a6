"""Each shipped check of firewalls, engine and containers, with what its file gives it: it passes, and broken, absent or garbled it
does not."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Callable

import pytest

from hullmark.config import load_controls, shipped_controls
from hullmark.core.checks import JUDGES, Seen
from hullmark.model.control import CheckSpec, Finding, Reading, Status
from tests.unit.core.checks import (
    test_containerlisteners,
    test_containers,
    test_engines,
    test_firewalls,
    test_routing,
)
from tests.unit.core.checks.looks import NOW, missing, reading

MINE = ("firewall-", "engine-hardening", "container-")
CHECKS = {
    f"{control.control_id}/{check.check_id}": check
    for control in load_controls(shipped_controls(), "/nonexistent").specs
    for check in control.checks
    if control.control_id.startswith(MINE)
}
INFO, SETTINGS = test_engines.INFO, test_engines.SETTINGS
Seens = list[tuple[Reading, ...]]


def judged(check: CheckSpec, readings: tuple[Reading, ...]) -> Finding:
    return JUDGES[check.kind](Seen(readings, check.given, NOW, check.level))


def caught(
    call: Callable[[], Finding], module: Any, monkeypatch: pytest.MonkeyPatch
) -> tuple[Reading, ...]:
    """The readings that a neighbour's test would have had judged."""
    kept: Seens = []

    def keep(kind: str, *readings: Reading, **given: Any) -> Finding:
        kept.append(readings)
        return Finding(Status.PASS)

    monkeypatch.setattr(module, "judged", keep)
    call()
    return kept[0]


WELL: dict[str, tuple[Any, Callable[[], Finding]]] = {
    "firewall-nftables/rules": (test_firewalls, test_firewalls.nft),
    "firewall-ufw/rules": (test_firewalls, test_firewalls.ufw),
    "firewall-firewalld/daemon": (test_firewalls, lambda: test_firewalls.firewalld({})),
    "firewall-firewalld/rules": (test_firewalls, lambda: test_firewalls.firewalld({})),
    "engine-hardening/confinement": (test_engines, test_engines.docker),
    "engine-hardening/reach": (test_engines, test_engines.docker),
    "engine-hardening/operation": (test_engines, test_engines.docker),
    "container-routing/rules": (
        test_routing,
        lambda: test_routing.look(test_routing.FIREWALLD),
    ),
    "container-hardening/breakout": (
        test_containers,
        lambda: test_containers.settings(test_containers.container()),
    ),
    "container-hardening/limits": (
        test_containers,
        lambda: test_containers.settings(test_containers.container()),
    ),
    "container-drift/settings": (test_containers, test_containers.drift),
    "container-drift/executables": (
        test_containers,
        lambda: test_containers.files(test_containers.changes()),
    ),
    "container-listeners/declared": (
        test_containerlisteners,
        lambda: test_containerlisteners.listeners(test_containerlisteners.container()),
    ),
}
BROKEN: dict[str, Reading] = {
    "firewall-nftables/rules": reading(
        "recompiled", test_firewalls.LIVE + test_firewalls.RULE, code=0
    ),
    "firewall-ufw/rules": reading("translated4", "add table ip filter\n", code=0),
    "firewall-firewalld/daemon": reading("process", "812 (firewalld) T 1 812"),
    "firewall-firewalld/rules": reading("live", "table inet firewalld {\n}\n", code=0),
    "engine-hardening/confinement": reading("info", json.dumps({**INFO, "SecurityOptions": []})),
    "engine-hardening/reach": reading("bridge", '{"Options": {}}'),
    "engine-hardening/operation": reading(
        "info", json.dumps({**INFO, "LiveRestoreEnabled": False})
    ),
    "container-routing/rules": reading("rules", test_routing.OPEN, code=0),
    "container-hardening/breakout": test_containers.container(host={"PidMode": "host"}),
    "container-hardening/limits": test_containers.container(host={"Memory": 0}),
    "container-drift/settings": reading("pids:web", "max\n"),
    "container-drift/executables": test_containers.changes(
        {"path": "/x", "kind": 1, "mode": "0755"}
    ),
    "container-listeners/declared": test_containerlisteners.container(("tcp", "0.0.0.0", 9000)),
}
SUBJECT = {"firewall-nftables": "tables", "firewall-ufw": "config", "firewall-firewalld": "program"}
"""What is missing where the tool is; of all else the engine."""


def other(readings: tuple[Reading, ...], one: Reading) -> tuple[Reading, ...]:
    return tuple(one if each.name == one.name else each for each in readings)


def test_all_are_here() -> None:
    assert set(CHECKS) == set(WELL) == set(BROKEN)


@pytest.mark.parametrize("name", sorted(WELL))
def test_a_shipped_check(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check, (module, call) = CHECKS[name], WELL[name]
    readings = caught(call, module, monkeypatch)
    found = judged(check, readings)
    assert (found.status, found.level) == (Status.PASS, check.level), found
    broken = judged(check, other(readings, BROKEN[name]))
    assert broken.status is Status.FAIL
    assert broken.reason
    tool = missing(SUBJECT.get(name.partition("/")[0], "engine"))
    assert judged(check, (tool,)).status is Status.NOT_APPLICABLE
    garbled = other(readings, replace(BROKEN[name], text="gibberish", cut=False))
    assert judged(check, garbled).status is Status.ERROR
    assert judged(check, ()).status is Status.ERROR
