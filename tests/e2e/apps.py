"""Apps that the tests apply, and what a test wants to know of their containers."""

from __future__ import annotations

from tests.cluster import OneHostCluster, wait_until

SLEEPER = """\
name: {name}
services:
  s:
    image: {image}
    pull_policy: {pull}
    init: true
    command: [sleep, "100000"]
    stop_grace_period: 1s
    environment: {{ROUND: "{round}"}}
    deploy: {{replicas: {replicas}, update_config: {{monitor: 1s}}}}
"""


def apply_sleeper(
    cluster: OneHostCluster,
    image: str,
    *,
    name: str = "sleeper",
    replicas: int = 1,
    pull: str = "missing",
    number: int = 1,
    wait: bool = True,
) -> None:
    file = cluster.folder / f"{name}.yaml"
    file.write_text(
        SLEEPER.format(name=name, image=image, replicas=replicas, pull=pull, round=number)
    )
    cluster.hullmark("apply", "--wait" if wait else "--no-wait", str(file))


def processes(cluster: OneHostCluster, app: str = "sleeper") -> dict[str, int]:
    """Process ids of the app's running containers, by container name."""
    return {
        name: int(found["State"]["Pid"])
        for name, found in cluster.containers().items()
        if found["State"]["Running"] and name.startswith(f"{app}.")
    }


def problems(cluster: OneHostCluster) -> dict[str, str]:
    """What the host says is wrong: message and remedy by code, as `hullmark hosts` shows them."""
    host = cluster.host_view()
    return {one["code"]: f"{one['message']}; {one['remedy']}" for one in host["problems"]}


def wait_for_problem(cluster: OneHostCluster, code: str, timeout_s: float = 30.0) -> str:
    """The problem's message and remedy, once the leader has heard of it."""
    return str(wait_until(lambda: problems(cluster).get(code), f"problem {code}", timeout_s))


def wait_until_mended(cluster: OneHostCluster, timeout_s: float = 40.0) -> None:
    wait_until(
        lambda: not problems(cluster),
        "no problem is left",
        timeout_s,
        seen=lambda: problems(cluster),
    )
