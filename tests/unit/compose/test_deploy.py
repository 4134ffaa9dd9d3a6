from __future__ import annotations

import pytest

from hullmark.model.app import (
    DeployMode,
    DeploySpec,
    FailureAction,
    HostLoss,
    Placement,
    Resources,
    Restart,
    RestartCondition,
    UpdateConfig,
    UpdateOrder,
)
from hullmark.model.loadline import Required
from tests.unit.compose.apps import build, web, web_problems, web_text, web_warnings

ANY, ON_FAILURE, NEVER = RestartCondition.ANY, RestartCondition.ON_FAILURE, RestartCondition.NONE
GIB = 1 << 30


@pytest.mark.parametrize(
    ("lines", "deploy"),
    [
        ("", DeploySpec()),
        ("deploy:", DeploySpec()),
        ("deploy: {}", DeploySpec()),
        ("scale: 3", DeploySpec(replicas=3)),
        ("deploy: {replicas: 0}", DeploySpec(replicas=0)),
        ("deploy: {replicas: '5000', mode: replicated}", DeploySpec(replicas=5000)),
        ("scale: 2\ndeploy: {replicas: 2}", DeploySpec(replicas=2)),
        ("deploy: {mode: global}", DeploySpec(DeployMode.GLOBAL)),
        ("deploy: {labels: {a: b}}", DeploySpec(labels={"a": "b"})),
        (
            "deploy: {resources: {reservations: {cpus: '0.5', memory: 1g}}}",
            DeploySpec(reservations=Resources(0.5, GIB)),
        ),
        ("mem_reservation: 1g", DeploySpec(reservations=Resources(memory_bytes=GIB))),
        ("x-hullmark: {on_host_lost: keep}", DeploySpec(on_host_lost=HostLoss.KEEP)),
        (
            "x-hullmark: {require: [audit-trail, {control: time, level: 3}]}",
            DeploySpec(placement=Placement(require=(Required("audit-trail"), Required("time", 3)))),
        ),
        (
            "deploy: {replicas: 2}\nx-hullmark: {require: [{control: firewall}]}",
            DeploySpec(replicas=2, placement=Placement(require=(Required("firewall"),))),
        ),
        (
            """
            deploy:
              placement:
                constraints: [node.labels.zone == a, node.hostname!=h1]
                preferences: [{spread: node.labels.rack}]
                max_replicas_per_node: 2
            """,
            DeploySpec(
                placement=Placement(
                    ("node.labels.zone == a", "node.hostname!=h1"), ("node.labels.rack",), 2
                )
            ),
        ),
        (
            """
            deploy:
              placement:
                constraints: [node.facts.os == a b, node.facts.kernel!=6.1, node.facts.engine==docker]
                preferences: [{spread: node.facts.os}]
            """,
            DeploySpec(
                placement=Placement(
                    ("node.facts.os == a b", "node.facts.kernel!=6.1", "node.facts.engine==docker"),
                    ("node.facts.os",),
                )
            ),
        ),
        (
            """
            deploy:
              update_config:
                parallelism: 0
                delay: 10s
                failure_action: rollback
                monitor: 1m
                max_failure_ratio: "0.25"
                order: start-first
              rollback_config: {failure_action: continue}
            """,
            DeploySpec(
                update=UpdateConfig(
                    0, 10.0, FailureAction.ROLLBACK, 60.0, 0.25, UpdateOrder.START_FIRST
                ),
                rollback=UpdateConfig(failure_action=FailureAction.CONTINUE),
            ),
        ),
    ],
)
def test_deploy(lines: str, deploy: DeploySpec) -> None:
    assert web(lines).deploy == deploy


def test_how_a_change_rolls_where_nothing_is_said() -> None:
    """As the page says."""
    expected = UpdateConfig(1, 0.0, FailureAction.PAUSE, 5.0, 0.0, UpdateOrder.STOP_FIRST)
    assert web("").deploy.update == expected


@pytest.mark.parametrize(
    ("lines", "limits"),
    [
        ("deploy: {resources: {limits: {cpus: '0.5', memory: 64M, pids: 9}}}", (0.5, 64 << 20, 9)),
        ("cpus: 0.5\ndeploy: {resources: {limits: {cpus: '0.50'}}}", (0.5, 0, 0)),
        ("mem_limit: 64m\ndeploy: {resources: {limits: {pids: 5}}}", (0.0, 64 << 20, 5)),
        ("deploy: {resources: {limits: }}", (0.0, 0, 0)),
    ],
)
def test_limits(lines: str, limits: tuple[float, int, int]) -> None:
    assert web(lines).container.limits == Resources(*limits)


@pytest.mark.parametrize(
    ("lines", "restart"),
    [
        ("", Restart(ANY)),
        ("restart: always", Restart(ANY)),
        ("restart: unless-stopped", Restart(ANY)),
        ("restart: 'no'", Restart(NEVER)),
        ("restart: no", Restart(NEVER)),
        ("restart: false", Restart(NEVER)),
        ("restart: on-failure", Restart(ON_FAILURE)),
        ("restart: on-failure:3", Restart(ON_FAILURE, max_attempts=3)),
        ("restart: always\ndeploy: {restart_policy: {condition: none}}", Restart(NEVER)),
        (
            "deploy: {restart_policy: {condition: on-failure, delay: 5s, max_attempts: 3, window: 2m}}",
            Restart(ON_FAILURE, 5.0, 3, 120.0),
        ),
        ("deploy: {restart_policy: {delay: 0s}}", Restart(ANY, 0.0)),
        ("deploy: {mode: replicated-job}", Restart(ON_FAILURE)),
    ],
)
def test_restart(lines: str, restart: Restart) -> None:
    assert web(lines).container.restart == restart


AWAITED = """
  app:
    image: app
    depends_on: {web: {condition: service_completed_successfully}}
"""


@pytest.mark.parametrize(
    ("lines", "awaited", "one_shot", "condition"),
    [
        ("", False, False, ANY),
        ("restart: 'no'", False, False, NEVER),
        ("", True, True, NEVER),
        ("restart: 'no'", True, True, NEVER),
        ("restart: on-failure", True, True, ON_FAILURE),
        ("deploy: {restart_policy: {condition: none}}", True, True, NEVER),
        ("x-hullmark: {one_shot: false}", True, False, NEVER),
        ("x-hullmark: {one_shot: true}", False, True, ANY),
        ("deploy: {mode: replicated-job}", False, True, ON_FAILURE),
        ("deploy: {mode: global-job}\nrestart: 'no'", False, True, NEVER),
        ("restart: always", True, False, ANY),
    ],
)
def test_one_shots(lines: str, awaited: bool, one_shot: bool, condition: RestartCondition) -> None:
    spec = web(lines, AWAITED if awaited else "").container
    assert (spec.one_shot, spec.restart.condition) == (one_shot, condition)


def test_a_job_without_an_end() -> None:
    assert "it is started again when it ends" in web_warnings("restart: always", AWAITED)[0]
    assert "a job ends" in web_problems("restart: always\ndeploy: {mode: replicated-job}")[0]
    text = "x-hullmark: {one_shot: false}\ndeploy: {mode: replicated-job}"
    assert "it is a one-shot" in web_problems(text)[0]


@pytest.mark.parametrize(
    ("lines", "field", "problem"),
    [
        ("deploy: 5", "deploy", "a mapping with mode"),
        ("deploy: {mode: swarm}", "deploy.mode", "replicated, global, replicated-job, global-job"),
        ("deploy: {replicas: 5001}", "deploy.replicas", "0 to 5000"),
        ("deploy: {replicas: -1}", "deploy.replicas", "0 to 5000"),
        ("scale: 2\ndeploy: {replicas: 3}", "deploy.replicas", "says something else than scale"),
        ("deploy: {mode: global, replicas: 2}", "deploy", "so it has no number"),
        ("deploy: {resources: {limits: {memory: 5m}}}", "deploy.resources.limits.memory", "6m"),
        (
            "cpus: 1\ndeploy: {resources: {limits: {cpus: 2}}}",
            "deploy.resources.limits.cpus",
            "says something else than cpus",
        ),
        (
            "deploy: {resources: {reservations: {devices: [{driver: nvidia}]}}}",
            "deploy.resources.reservations.devices",
            "is not supported",
        ),
        (
            "deploy: {restart_policy: {condition: always}}",
            "deploy.restart_policy.condition",
            "any, on-failure, none",
        ),
        ("deploy: {restart_policy: {delay: 5}}", "deploy.restart_policy.delay", "such as 10s"),
        (
            "deploy: {update_config: {failure_action: stop}}",
            "deploy.update_config.failure_action",
            "pause, continue, rollback",
        ),
        (
            "deploy: {rollback_config: {failure_action: rollback}}",
            "deploy.rollback_config.failure_action",
            "pause, continue",
        ),
        (
            "deploy: {update_config: {max_failure_ratio: 2}}",
            "deploy.update_config.max_failure_ratio",
            "from 0 to 1",
        ),
        ("deploy: {update_config: {parallelism: -1}}", "deploy.update_config.parallelism", "0 to"),
        ("deploy: {update_config: {delay: -1s}}", "deploy.update_config.delay", "such as 10s"),
        ("deploy: {update_config: {monitor: 25h}}", "deploy.update_config.monitor", "to 24h"),
        (
            "deploy: {rollback_config: {order: together}}",
            "deploy.rollback_config.order",
            "stop-first, start-first",
        ),
        (
            "deploy: {update_config: {paralelism: 2}}",
            "deploy.update_config.paralelism",
            "did you mean parallelism?",
        ),
        (
            "deploy: {placement: {constraints: [node.role == manager]}}",
            "deploy.placement.constraints[0]",
            "node.labels.NAME",
        ),
        (
            "deploy: {placement: {constraints: [node.facts.memory == 1]}}",
            "deploy.placement.constraints[0]",
            "node.facts.os, node.facts.kernel or node.facts.engine",
        ),
        (
            "deploy: {placement: {constraints: [node.labels.a = b]}}",
            "deploy.placement.constraints[0]",
            "KEY == VALUE",
        ),
        (
            "deploy: {placement: {preferences: [{spread: x}]}}",
            "deploy.placement.preferences[0].spread",
            "node.labels.NAME",
        ),
        (
            "deploy: {placement: {preferences: [x]}}",
            "deploy.placement.preferences[0]",
            "a mapping with spread",
        ),
        ("restart: sometimes", "restart", "no, always, unless-stopped or on-failure[:ATTEMPTS]"),
        ("x-hullmark: {on_host_lost: move}", "x-hullmark.on_host_lost", "replace, keep, stop"),
        ("x-hullmark: {one_shot: x}", "x-hullmark.one_shot", "true or false"),
        ("x-hullmark: {require: audit-trail}", "x-hullmark.require", "a list of controls"),
        ("x-hullmark: {require: [Audit]}", "x-hullmark.require[0]", "such as audit-trail"),
        ("x-hullmark: {require: [{level: 3}]}", "x-hullmark.require[0]", "control: NAME"),
        (
            "x-hullmark: {require: [{control: time, level: 9}]}",
            "x-hullmark.require[0].level",
            "3 (canary)",
        ),
        (
            "x-hullmark: {require: [{control: a, name: time}, time]}",
            "x-hullmark.require[0].name",
            "unknown key",
        ),
        ("x-hullmark: {require: [time, time]}", "x-hullmark.require[1]", "time stands there twice"),
        ("x-hullmark: {oneshot: true}", "x-hullmark.oneshot", "did you mean one_shot?"),
        ("x-hullmark: true", "x-hullmark", "a mapping with on_host_lost, one_shot"),
    ],
)
def test_wrong(lines: str, field: str, problem: str) -> None:
    found = web_problems(lines)
    assert len(found) == 1
    line = 4 + lines.count("\n")
    assert found[0].startswith(f"compose.yaml:{line}: services.web.{field}: ")
    assert problem in found[0]


def test_virtual_addresses_are_not_chosen() -> None:
    _, warnings = build(web_text("deploy: {endpoint_mode: dnsrr}"))
    assert len(warnings) == 1
    assert "services.web.deploy.endpoint_mode: ignored: " in warnings[0]
