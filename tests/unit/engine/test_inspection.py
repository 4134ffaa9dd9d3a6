from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest

from hullmark.engine import inspection
from hullmark.engine.protocol import ContainerState, EngineEvent, Listed
from hullmark.model.app import Healthcheck
from hullmark.model.epoch import NO_EPOCH, Epoch
from hullmark.model.names import instance_labels
from hullmark.model.observed import Health
from hullmark.model.orders import InstanceId, PublishedPort

WEB = InstanceId("shop", "web", 2, 7)
LABELS = instance_labels("c1", WEB, "f" * 64, Epoch(1, 4))
STARTED, FINISHED = "2026-01-02T03:04:05.5Z", "2026-01-02T03:04:07.000000001+00:00"
AT = 1767323045.0


def inspected(state: Any = None, config: Any = None, **parts: Any) -> dict[str, Any]:
    return {
        "Id": "ab12",
        "Name": "/shop.web.2.g7",
        "Image": "sha256:1",
        "Config": {"Labels": LABELS, "Image": "web:1", **(config or {})},
        "State": {
            "Status": "running",
            "StartedAt": STARTED,
            "FinishedAt": FINISHED,
            **(state or {}),
        },
        **parts,
    }


def read(*args: Any, **parts: Any) -> Any:
    return inspection.container(inspected(*args, **parts))


def test_a_running_container() -> None:
    found = read()
    assert (found.container_id, found.name, found.instance) == ("ab12", "shop.web.2.g7", WEB)
    assert (found.cluster_id, found.spec_hash, found.epoch) == ("c1", "f" * 64, Epoch(1, 4))
    assert (found.state, found.exit_code) == (ContainerState.RUNNING, None)
    assert (found.started_at, found.finished_at) == (AT + 0.5, 0.0)
    assert (found.image, found.image_id) == ("web:1", "sha256:1")
    assert (found.health, found.healthcheck) == (Health.NONE, None)


def test_what_its_hosts_file_is_made_of() -> None:
    found = read(
        config={"Hostname": "ab12", "Domainname": "example.net"},
        HostConfig={"ExtraHosts": ["bank:203.0.113.9"]},
        Mounts=[
            {"Source": "/srv/x", "Destination": "/x"},
            {"Source": "/h/web", "Destination": "/etc/hosts"},
        ],
    )
    assert (found.hostname, found.domainname) == ("ab12", "example.net")
    assert (found.extra_hosts, found.hosts_file) == (("bank:203.0.113.9",), "/h/web")
    assert read().hosts_file == "", "the engine's own"


def test_an_ended_container() -> None:
    found = read({"Status": "exited", "ExitCode": 137, "OOMKilled": True, "Error": "why"})
    assert (found.state, found.exit_code, found.oom_killed, found.error) == (
        ContainerState.EXITED,
        137,
        True,
        "why",
    )
    assert found.finished_at == pytest.approx(AT + 2)


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("created", ContainerState.CREATED),
        ("configured", ContainerState.CREATED),
        ("initialized", ContainerState.CREATED),
        ("Running", ContainerState.RUNNING),
        ("stopping", ContainerState.RUNNING),
        ("paused", ContainerState.PAUSED),
        ("restarting", ContainerState.RESTARTING),
        ("stopped", ContainerState.EXITED),
        ("removing", ContainerState.DEAD),
        ("what is this", ContainerState.DEAD),
    ],
)
def test_states_of_both_engines(word: str, state: ContainerState) -> None:
    assert read({"Status": word}).state is state
    row = {"Id": "ab12", "Names": ["/x"], "State": word}
    assert inspection.listed(row).state is state


@pytest.mark.parametrize(
    ("state", "health"),
    [
        ({"Health": {"Status": "starting"}}, Health.STARTING),
        ({"Health": {"Status": "healthy"}}, Health.HEALTHY),
        ({"Health": {"Status": "unhealthy"}}, Health.UNHEALTHY),
        ({"Healthcheck": {"Status": "healthy"}}, Health.HEALTHY),
        ({"Health": {"Status": ""}}, Health.STARTING),
        ({"Health": None}, Health.STARTING),
    ],
)
def test_health(state: Any, health: Health) -> None:
    check = {"Healthcheck": {"Test": ["CMD", "true"], "Interval": 2_500_000_000}}
    found = read(state, check)
    assert found.health is health
    assert found.healthcheck == Healthcheck(("CMD", "true"), 2.5, 30.0, 3, 0.0)


def test_a_check_with_all_its_times_and_none() -> None:
    times = {"Interval": 10**9, "Timeout": 2 * 10**9, "Retries": 5, "StartPeriod": 3 * 10**9}
    found = read({}, {"Healthcheck": {"Test": ["CMD", "true"], **times}})
    assert found.healthcheck == Healthcheck(("CMD", "true"), 1.0, 2.0, 5, 3.0)
    checks: list[Any] = [None, {}, {"Test": ["NONE"]}, {"Test": []}]
    for check in checks:
        assert read({"Health": {"Status": "healthy"}}, {"Healthcheck": check}).health is Health.NONE


@pytest.mark.parametrize("missing", sorted(LABELS))
def test_what_labels_have_to_say(missing: str) -> None:
    labels = {key: value for key, value in LABELS.items() if key != missing}
    found = read({}, {"Labels": labels})
    named = ("io.hullmark.app", "io.hullmark.service", "io.hullmark.slot", "io.hullmark.generation")
    assert (found is None) == (missing in named)


def test_labels_that_make_no_sense() -> None:
    assert read({}, {"Labels": {**LABELS, "io.hullmark.slot": "two"}}) is None
    assert read({}, {"Labels": None}) is None
    assert read({}, {"Labels": {**LABELS, "io.hullmark.epoch": "x"}}).epoch == NO_EPOCH


def test_addresses_and_ports() -> None:
    settings = {
        "Networks": {
            "shop_front": {"IPAddress": "192.0.2.5"},
            "shop_back": {"IPAddress": ""},
            "none": None,
        },
        "Ports": {
            "80/tcp": [
                {"HostIp": "0.0.0.0", "HostPort": "8080"},
                {"HostIp": "::", "HostPort": "8080"},
                {"HostIp": "127.0.0.1", "HostPort": "81"},
            ],
            "53/udp": [{"HostIp": "", "HostPort": "53"}],
            "90/tcp": [
                {"HostIp": "192.0.2.1", "HostPort": "90"},
                {"HostIp": "::", "HostPort": "90"},
                {"HostIp": "127.0.0.1", "HostPort": "90"},
            ],
            "91/tcp": [
                {"HostIp": "192.0.2.1", "HostPort": "91"},
                {"HostIp": "192.0.2.2", "HostPort": "91"},
            ],
            "443/tcp": None,
            "9/tcp": [{"HostPort": ""}],
        },
    }
    found = read(NetworkSettings=settings)
    assert found.addresses == {"shop_front": "192.0.2.5"}
    assert found.ports == (
        PublishedPort(53, 53, "udp"),
        PublishedPort(80, 8080),
        PublishedPort(80, 81, host_ip="127.0.0.1"),
        PublishedPort(90, 90),
        PublishedPort(91, 91, host_ip="192.0.2.1"),
        PublishedPort(91, 91, host_ip="192.0.2.2"),
    )
    assert read(NetworkSettings={"Networks": None, "Ports": None}).ports == ()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-01-02T03:04:05Z", AT),
        ("2026-01-02T03:04:05.123456789Z", AT + 0.123456789),
        ("2026-01-02T05:04:05.5+02:00", AT + 0.5),
        ("0001-01-01T00:00:00Z", 0.0),
        ("", 0.0),
        (None, 0.0),
        ("yesterday", 0.0),
    ],
)
def test_times(text: Any, seconds: float) -> None:
    assert inspection.seconds(text) == pytest.approx(seconds, abs=1e-6)


@pytest.mark.parametrize(
    ("words", "health"),
    [
        ("Up 2 seconds (healthy)", Health.HEALTHY),
        ("Up 2 seconds (unhealthy)", Health.UNHEALTHY),
        ("Up 2 seconds (health: starting)", Health.STARTING),
        ("Up 2 seconds", Health.NONE),
        ("healthy", Health.HEALTHY),
        (None, Health.NONE),
    ],
)
def test_listed(words: Any, health: Health) -> None:
    row = {"Id": "ab12", "Names": ["/web"], "State": "running", "Status": words}
    assert inspection.listed(row) == Listed("ab12", "web", ContainerState.RUNNING, health)


def test_a_listing_tells_addresses_or_the_first_process() -> None:
    """Docker's the ones, Podman's own the other. None is something else than not told."""
    row = {"Id": "ab12", "Names": ["/web"], "State": "running"}
    networks = {"back": {"IPAddress": "10.1.0.2"}, "host": {"IPAddress": ""}}
    docker = inspection.listed({**row, "NetworkSettings": {"Networks": networks}})
    assert (docker.addresses, docker.pid) == ({"back": "10.1.0.2"}, 0)
    cut_off = inspection.listed({**row, "NetworkSettings": {"Networks": {}}})
    assert cut_off.addresses == {}
    podman = inspection.listed({**row, "Networks": ["back"], "Pid": 4711})
    assert (podman.addresses, podman.pid) == (None, 4711)


def happened(action: str, **attributes: str) -> dict[str, Any]:
    known = {"name": "web", "io.hullmark.cluster": "c1", "image": "x", **attributes}
    return {
        "Action": action,
        "Actor": {"ID": "ab12", "Attributes": known},
        "timeNano": 2_500_000_000,
    }


def test_events() -> None:
    plain = EngineEvent("start", "ab12", "web", 2.5, {"name": "web", "image": "x"})
    assert inspection.event(happened("start")) == plain
    for given, action in (("died", "die"), ("remove", "destroy"), ("oom", "oom")):
        assert inspection.event(happened(given)) == replace(plain, action=action)
    health = inspection.event(happened("health_status: healthy"))
    assert health is not None
    assert (health.action, health.fields["detail"]) == ("health_status", "healthy")


def test_events_of_others() -> None:
    other = {"Action": "start", "Actor": {"ID": "x", "Attributes": {}}, "time": 2}
    assert inspection.event(other) == EngineEvent("start", "x", "x", 2.0, ours=False)
    image = {"Type": "image", "Action": "remove", "Actor": {"Attributes": {"name": "web:1"}}}
    assert inspection.event(image) == EngineEvent(
        "delete", "", "web:1", 0.0, {"name": "web:1"}, "image", False
    )
    volume = {"Type": "volume", "Action": "create", "Actor": {"ID": "v", "Attributes": {}}}
    assert inspection.event(volume) == EngineEvent("create", "v", "v", 0.0, {}, "volume", False)
    assert inspection.event({"Type": "daemon", "Action": "reload"}) is None


def test_podman_has_other_words_for_commands_and_archives() -> None:
    for given, action in (("exec", "exec_create"), ("exec_died", "exec_die")):
        told = inspection.event({"Action": given, "Actor": {"ID": "x"}})
        assert told is not None
        assert told.action == action


CHECKED = {"Healthcheck": {"Test": ["CMD", "probe"]}}


@pytest.mark.parametrize("key", ["Health", "Healthcheck"])
def test_what_a_failing_check_printed(key: str) -> None:
    log = [
        {"ExitCode": 1, "Output": "older"},
        {"ExitCode": 2, "Output": "probe\nsays \x1b[31mno\n"},
        {"ExitCode": 0, "Output": "fine"},
    ]
    found = read({key: {"Status": "unhealthy", "Log": log}}, CHECKED)
    assert found.health_output == "probe says [31mno"
    log[1]["Output"] = "x" * 4096
    assert read({key: {"Status": "unhealthy", "Log": log}}, CHECKED).health_output == "x" * 200
    for status in ("healthy", "starting"):
        assert read({key: {"Status": status, "Log": log}}, CHECKED).health_output == ""
    assert read({key: {"Status": "unhealthy", "Log": None}}, CHECKED).health_output == ""


def test_what_containers_that_are_up_write_to() -> None:
    mounts = [
        {"Type": "bind", "Source": "/srv", "Destination": "/a", "RW": True},
        {"Type": "bind", "Source": "/etc", "Destination": "/b", "RW": False},
        {"Type": "tmpfs", "Source": "", "Destination": "/c", "RW": True},
    ]
    rows = [
        {"Id": state, "Names": [f"/{state}"], "State": state, "Mounts": mounts}
        for state in ("running", "paused", "exited", "created", "restarting")
    ]
    found = list(inspection.hands([*rows, {"Id": "x", "State": "running", "Mounts": None}]))
    assert [(one.container_id, one.path) for one in found] == [
        ("running", "/srv"),
        ("paused", "/srv"),
        ("restarting", "/srv"),
    ]


def test_what_is_at_a_path() -> None:
    header = base64.b64encode(b'{"name": "sh", "size": 9, "mode": 493}').decode()
    assert inspection.file_stat(header) == {"name": "sh", "size": 9, "mode": 493}
    for nothing in ("", "gibberish", base64.b64encode(b"[7]").decode()):
        assert inspection.file_stat(nothing) == {}
