"""Warnings of what several instances, or several hosts, mean for data on the hosts."""

from __future__ import annotations

import pytest

from tests.unit.compose.apps import web_warnings

DATA = "volumes: {data: }\n"


def test_instances_that_share_data_are_told_once() -> None:
    more = "volumes: {data: }\n"
    two = "volumes: ['data:/x']\ndeploy: {replicas: 2}"
    found = web_warnings(two, more)
    assert len(found) == 1
    assert "2 instances share volume data where they are on one host" in found[0]
    assert web_warnings(two.replace("2}", "1}"), more) == []
    assert web_warnings(two.replace("/x'", "/x:ro'"), more) == []
    apart = two.replace("2}", "2, placement: {max_replicas_per_node: 1}}")
    assert web_warnings(apart, more) == []


START_FIRST = "deploy: {update_config: {order: start-first}}"
TWO = "two instances use {} at the same time while one follows the other"


@pytest.mark.parametrize(
    ("mount", "what"),
    [("data:/x", "volume data"), ("/srv/data:/x", "/srv/data"), ("data:/x:rw", "volume data")],
)
def test_start_first_with_data_is_told(mount: str, what: str) -> None:
    (found,) = web_warnings(f"volumes: ['{mount}']\n{START_FIRST}", DATA)
    at = "compose.yaml:5: services.web.deploy.update_config.order: "
    assert found == at + TWO.format(what)


def test_start_first_is_told_of_the_way_back_too() -> None:
    lines = "volumes: ['data:/x']\n" + START_FIRST.replace("update_", "rollback_")
    (found,) = web_warnings(lines, DATA)
    assert found.startswith("compose.yaml:5: services.web.deploy.rollback_config.order: two ")


@pytest.mark.parametrize("mounts", ["['data:/x:ro', '/srv/x:/y:ro']", "[/x]", "[]"])
def test_start_first_without_data_that_is_written_is_quiet(mounts: str) -> None:
    assert web_warnings(f"volumes: {mounts}\ntmpfs: [/tmp]\n{START_FIRST}", DATA) == []


def test_stop_first_with_data_is_quiet() -> None:
    lines = "volumes: ['data:/x']\n" + START_FIRST.replace("start", "stop")
    assert web_warnings(lines, DATA) == []


FIXED = "[{target: 8080, published: 80, mode: host}, {target: 8081, published: 81, mode: host}]"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (
            "tty: true",
            "needs a host more than there are instances: the old one has host port 80/tcp",
        ),
        (
            "volumes: ['/srv/x:/x:ro']",
            "can't work: a new instance stays on the host of the old one",
        ),
    ],
)
def test_start_first_with_a_fixed_host_port_is_told(lines: str, words: str) -> None:
    (found,) = web_warnings(f"{START_FIRST}\nports: {FIXED}\n{lines}")
    assert found.startswith(f"compose.yaml:4: services.web.deploy.update_config.order: {words}")


def test_data_that_may_be_left_keeps_no_instance_on_a_host_with_its_port() -> None:
    lines = f"{START_FIRST}\nports: {FIXED}\nvolumes: ['/srv/x:/x:ro']"
    (found,) = web_warnings(f"{lines}\nx-hullmark: {{on_host_lost: replace}}")
    assert "needs a host more than there are instances" in found


def test_what_runs_on_every_host_has_no_other_for_its_port() -> None:
    everywhere = "deploy: {mode: global, update_config: {order: start-first}}"
    (found,) = web_warnings(f"{everywhere}\nports: {FIXED}")
    assert "can't work" in found


@pytest.mark.parametrize(
    "ports",
    [
        "[{target: 8080, mode: host}]",
        "[{target: 80, published: 8000-8010, mode: host}]",
        "['8080:80']",
        "[]",
    ],
)
def test_start_first_with_a_choice_of_ports_or_a_proxys_is_quiet(ports: str) -> None:
    assert web_warnings(f"{START_FIRST}\nports: {ports}") == []


LOST = "stays behind on a lost host: the instance that is started elsewhere may find it empty"


@pytest.mark.parametrize("choice", ["replace", "stop"])
@pytest.mark.parametrize(
    ("mount", "what"),
    [("data:/x", "volume data"), ("data:/x:ro", "volume data"), ("/srv/data:/x", "/srv/data")],
)
def test_data_that_a_lost_host_keeps_is_told(choice: str, mount: str, what: str) -> None:
    lines = f"volumes: ['{mount}']\nx-hullmark: {{on_host_lost: {choice}}}"
    (found,) = web_warnings(lines, DATA)
    assert found == f"compose.yaml:5: services.web.x-hullmark.on_host_lost: {what} {LOST}"


@pytest.mark.parametrize(
    ("lines", "more"),
    [
        ("volumes: ['data:/x']\nx-hullmark: {on_host_lost: keep}", DATA),
        ("volumes: ['data:/x']", DATA),
        ("x-hullmark: {on_host_lost: replace}", DATA),
        ("volumes: [/x]\ntmpfs: [/tmp]\nx-hullmark: {on_host_lost: stop}", DATA),
        ("volumes: ['/etc/localtime:/etc/localtime:ro']\nx-hullmark: {on_host_lost: replace}", ""),
        ("volumes: ['data:/x']\nx-hullmark: {on_host_lost: replace}\ndeploy: {mode: global}", DATA),
        (
            "volumes: ['data:/x']\nx-hullmark: {on_host_lost: replace}",
            "volumes: {data: {driver_opts: {type: nfs, o: addr=192.0.2.1, device: ':/x'}}}\n",
        ),
        (
            "volumes: ['data:/x']\nx-hullmark: {on_host_lost: replace}",
            "volumes: {data: {driver: rexray}}\n",
        ),
    ],
)
def test_what_is_nowhere_or_on_every_host_is_quiet(lines: str, more: str) -> None:
    assert web_warnings(lines, more) == []


def test_a_volume_of_somebody_elses_may_be_anywhere() -> None:
    lines = "volumes: ['data:/x']\nx-hullmark: {on_host_lost: replace}"
    for volume in ("{external: true, name: shared}", "{driver_opts: {o: bind, device: /srv/x}}"):
        (found,) = web_warnings(lines, f"volumes: {{data: {volume}}}\n")
        assert LOST in found
