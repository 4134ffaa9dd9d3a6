"""The units: little exposed by the judgement of systemd, and at work so on a booted host."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.cluster import wait_until
from tests.hosts import Bed, Host
from tests.integration.daemon import load_image
from tests.packaging.clusterstate import all_is_well
from tests.packaging.products import TREE, VERSION, products
from tests.packaging.proxy import STATE, Proxy

UNITS = TREE / "packaging" / "files"
EXPOSURE_MAX = {"agent": 3.5, "master": 2.0, "proxy": 3.0}
DAEMONS = ("agent", "master")
IMAGE = "localhost/hullmark-test:1"
CAPABILITIES = {
    # Of capabilities(7): CHOWN, DAC_READ_SEARCH, NET_ADMIN, SYS_PTRACE, AUDIT_WRITE, AUDIT_CONTROL.
    "agent": sum(1 << number for number in (0, 2, 12, 19, 29, 30)),
    "master": 0,
}
# What an agent that sees no more than its own would get wrong: sources of mounts and secrets anywhere on the host, a config
# for another user, and a port that another user's process has.
COMPOSE = f"""\
name: shop
services:
  web:
    image: {IMAGE}
    init: true
    user: "1000"
    command: [sh, -c, "cat /etc/greeting /run/secrets/password /data/page; sleep 100000"]
    stop_grace_period: 1s
    volumes: ["/home/shop/data:/data:ro", "/tmp/shop:/tmp/shop:ro"]
    configs: [{{source: greeting, target: /etc/greeting, uid: "1000", gid: "1000", mode: 0400}}]
    secrets: [password]
configs:
  greeting: {{content: "hello "}}
secrets:
  password: {{file: /home/shop/password}}
"""
LISTENER = "import socket, time; s = socket.create_server(('', 8099)); time.sleep(1000)"
INTRUDER = "raise SystemExit('an intruder was run')\n"
ECHO = """\
import socket
listener = socket.create_server(("127.0.0.1", 8098))
while True:
    connection, _ = listener.accept()
    while data := connection.recv(100):
        connection.sendall(data)
"""
CONFIGURATION = """\
global
    user haproxy
    group haproxy
    stats socket /run/hullmark-proxy/worker.sock mode 600 level admin
defaults
    mode tcp
    timeout connect 1s
    timeout client 1m
    timeout server 1m
listen echo
    bind 0.0.0.0:8097
    server echo 127.0.0.1:8098
"""
STALL = "[Service]\nWatchdogSec=4\n"
"""Instead of half a minute, so that the test needs none."""


@pytest.mark.parametrize("name", EXPOSURE_MAX)
def test_exposure_is_low(name: str) -> None:
    command = ["systemd-analyze", "security", "--offline=yes"]
    command.append(str(UNITS / f"hullmark-{name}.service"))
    said = subprocess.run(command, capture_output=True, text=True).stdout
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)
    assert found, said
    assert float(found[1]) <= EXPOSURE_MAX[name]


@pytest.mark.parametrize("name", EXPOSURE_MAX)
def test_no_boot_waits_for_it(name: str) -> None:
    """Systemd waits for the network where any unit wants that, also one whose condition will not hold."""
    lines = (UNITS / f"hullmark-{name}.service").read_text().splitlines()
    named = [line.partition("=")[0] for line in lines if "network-online.target" in line]
    assert named == ["After"]


# The tests below follow one host through its life, in this order.


@pytest.fixture(scope="module", params=["bookworm", pytest.param("trixie", marks=pytest.mark.full)])
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    made = products()
    with Bed() as bed:
        host = bed.host("web1", request.param, engine="docker")
        host.use_repository(made.repo, made.key)
        yield host


def test_not_enrolled_only_the_agent_runs_and_listens_nowhere(host: Host) -> None:
    before = listening(host)
    said = host.install("hullmark-agent", "hullmark-master")
    assert "hullmark agent enroll --token-file FILE" in said
    assert "hullmark master init --address ADDRESS" in said
    states = {"agent": ("active", "yes"), "master": ("inactive", "no")}
    for name, (active, condition) in states.items():
        assert shown(host, name, "ActiveState") == active
        assert shown(host, name, "UnitFileState") == "enabled"
        assert shown(host, name, "ConditionResult") == condition
    assert "Only checks this host" in shown(host, "agent", "StatusText")
    (agent,) = processes(host)
    assert "/usr/share/hullmark/agentd run" in agent
    # The agent recommends it.
    Proxy(host).wait_until_it_answers()
    assert shown(host, "proxy", "UnitFileState") == "enabled"
    assert listening(host) == before


def test_an_app_runs_under_the_hardened_units(host: Host) -> None:
    host.run("hullmark master init --address 127.0.0.1 && systemctl start hullmark-master")
    host.run("hullmark invite web1 --token-file /root/token")
    host.run("hullmark agent enroll --token-file /root/token && systemctl start hullmark-agent")
    load_image(f"unix://{host.path('/run/docker.sock')}", IMAGE)
    host.write("/home/shop/data/page", "page\n")
    host.write("/home/shop/password", "secret ")
    host.path("/home/shop").chmod(0o711)
    host.path("/tmp/shop").mkdir()
    host.write("/root/compose.yaml", COMPOSE)
    host.write("/tmp/listener.py", LISTENER)
    host.run("setsid setpriv --reuid 65534 python3 /tmp/listener.py >/dev/null 2>&1 </dev/null &")
    wait_until(lambda: "8099" in listening(host), "the listener listens")
    host.run("hullmark apply --wait /root/compose.yaml")
    shop = "$(docker ps -q --filter label=io.hullmark.app=shop)"
    assert len(processes(host)) == 2
    wait_until(lambda: host.run(f"docker logs {shop}").stdout == "hello secret page\n", "output")
    # The agent looks for others' listeners when it starts, and now and then.
    host.run("systemctl restart hullmark-agent")
    held = re.compile(r"8099/tcp +\* +python3, of the host")
    wait_until(
        lambda: held.search(host.run("hullmark ports", check=False).stdout),
        "who listens is known by name",
    )


@pytest.mark.parametrize("name", DAEMONS)
def test_a_daemon_may_do_what_it_needs_and_no_more(host: Host, name: str) -> None:
    assert shown(host, name, "ActiveState") == "active"
    pid = shown(host, name, "MainPID")
    status = dict(line.split(":\t", 1) for line in host.read(f"/proc/{pid}/status").splitlines())
    user = host.run(f"stat -c %U /proc/{pid}").stdout.strip()
    assert user == {"agent": "root", "master": "hullmark"}[name]
    for kind in ("CapBnd", "CapPrm", "CapEff"):
        assert int(status[kind], 16) == CAPABILITIES[name], kind
    assert int(status["CapAmb"], 16) == 0
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    # Where it may write, and that it may not elsewhere.
    state = f"/var/lib/hullmark/{name}"
    seen = f"nsenter -t {pid} -m setpriv --reuid {user} --regid {user} --clear-groups"
    logs = {"agent": "/var/log/hullmark", "master": "/var/log/hullmark/master"}[name]
    for folder in (state, logs):
        host.run(f"{seen} touch {folder}/try && {seen} rm {folder}/try")
    assert '"kind":"audit.begun"' in host.read(f"{logs}/audit.log")
    audit = host.run(f"stat -c '%a %U:%G' {logs}/audit.log {logs}/audit.reserve").stdout
    owner = {"agent": "root:adm", "master": "hullmark:hullmark"}[name]
    assert audit == f"640 {owner}\n" * 2
    copied = f"journalctl --no-pager -o cat SYSLOG_IDENTIFIER=hullmark-{name}-audit HULLMARK_SEQ=1"
    assert ": audit.begun " in host.run(copied).stdout
    for path in ("/etc/hullmark/try", "/usr/share/hullmark/try", "/var/log/try", "/home/try"):
        refused = host.run(f"nsenter -t {pid} -m touch {path}", check=False)
        assert re.search("Read-only|Permission denied", refused.stderr), path


def test_no_code_of_others_is_run(host: Host) -> None:
    """Not of /usr/local, of the working folder, or of what the environment names."""
    folder = host.run("ls -d /usr/local/lib/python3*/dist-packages").stdout.strip()
    for path in (folder, "/root"):
        host.write(f"{path}/click.py", INTRUDER)
        host.write(f"{path}/yaml.py", INTRUDER)
    found = host.run("cd /tmp && python3 -c 'import click'", check=False)
    assert "an intruder was run" in found.stderr, "that is how others would run it"
    for command in ("/usr/bin/hullmark --version", "/usr/share/hullmark/masterd --version"):
        host.run(f"cd /root && PYTHONPATH=/root PYTHONSTARTUP=/root/click.py {command}")
    host.run("hullmark config check agent")
    host.run(f"rm {folder}/click.py {folder}/yaml.py /root/click.py /root/yaml.py")


def test_a_stalled_daemon_is_replaced(host: Host) -> None:
    containers = running(host)
    for name in DAEMONS:
        host.write(f"/etc/systemd/system/hullmark-{name}.service.d/stall.conf", STALL)
    host.run("systemctl daemon-reload && systemctl restart hullmark-agent hullmark-master")
    stalled = {name: shown(host, name, "MainPID") for name in DAEMONS}
    for pid in stalled.values():
        host.run(f"kill -STOP {pid}")
        wait_until_shown(host, f"/proc/{pid}/status", "State:\tT")
    for name, pid in stalled.items():
        wait_until_replaced(host, name, pid)
        assert shown(host, name, "NRestarts") == "1"
        log = host.run(f"journalctl --no-pager -u hullmark-{name}").stdout
        assert "Watchdog timeout" in log
    wait_until(lambda: all_is_well(host), "all is well", 60.0)
    assert running(host) == containers


def test_a_wrong_configuration_starts_nothing_and_stops_nothing(host: Host) -> None:
    containers, pid = running(host), shown(host, "agent", "MainPID")
    host.write("/etc/hullmark/agent.d/typo.yaml", "resnyc: 30s\n")
    assert host.run("systemctl reload hullmark-agent", check=False).returncode != 0
    assert "/etc/hullmark/agent.d/typo.yaml:1" in journal(host)
    assert shown(host, "agent", "MainPID") == pid
    assert host.run("systemctl restart hullmark-agent", check=False).returncode != 0
    # Longer than it takes until a service is started again.
    time.sleep(2.5)
    assert shown(host, "agent", "ActiveState") == "failed"
    assert shown(host, "agent", "ExecMainStatus") == "78"
    assert shown(host, "agent", "NRestarts") == "0"
    host.path("/etc/hullmark/agent.d/typo.yaml").unlink()
    host.run("systemctl start hullmark-agent && systemctl reload hullmark-agent")
    assert running(host) == containers


def test_an_upgrade_restarts_only_what_would_start(host: Host) -> None:
    containers = running(host)
    before = {name: shown(host, name, "MainPID") for name in DAEMONS}
    host.write("/etc/hullmark/agent.d/typo.yaml", "resnyc: 30s\n")
    host.use_repository(products().next_repo)
    proxy = Proxy(host).first()
    said = host.install("hullmark-agent", "hullmark-master")
    assert Proxy(host).first() == proxy, "its connections stay"
    assert "/etc/hullmark/agent.d/typo.yaml:1" in said
    assert "then: systemctl restart hullmark-agent" in said
    assert "then: systemctl restart hullmark-master" not in said
    assert shown(host, "agent", "MainPID") == before["agent"]
    assert shown(host, "agent", "ActiveState") == "active"
    assert shown(host, "master", "MainPID") not in ("0", before["master"])
    host.path("/etc/hullmark/agent.d/typo.yaml").unlink()
    host.run("systemctl restart hullmark-agent")
    wait_until(lambda: all_is_well(host), "all is well", 60.0)
    assert running(host) == containers


def test_a_daemon_that_ends_is_started_again(host: Host) -> None:
    """However often, and whatever it says."""
    containers = running(host)
    for _ in range(2):
        for name in DAEMONS:
            pid = shown(host, name, "MainPID")
            host.run(f"kill -KILL {pid}")
            wait_until_replaced(host, name, pid)
    assert running(host) == containers


def test_the_proxy_has_no_more_rights_than_it_needs(host: Host) -> None:
    proxy = Proxy(host)
    status = dict(
        line.split(":\t", 1) for line in host.read(f"/proc/{proxy.first()}/status").splitlines()
    )
    assert int(status["CapBnd"], 16) == sum(1 << number for number in (5, 6, 7, 10, 12, 13))
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    for path in ("/etc/try", "/usr/share/hullmark/try", "/var/lib/hullmark/try", "/home/try"):
        refused = host.run(f"nsenter -t {proxy.first()} -m touch {path}", check=False)
        assert re.search("Read-only|Permission denied|No such", refused.stderr), path


def test_a_proxy_that_is_killed_is_back_within_two_seconds(host: Host) -> None:
    proxy = Proxy(host)
    proxy.comes_back_after_killing(proxy.first())
    proxy.comes_back_after_killing(proxy.worker())


def test_the_proxy_outlives_the_agent_and_its_own_upgrade_cuts_no_connection(host: Host) -> None:
    proxy = Proxy(host)
    first = proxy.first()
    host.apt("remove", "hullmark-agent")
    assert proxy.first() == first
    assert proxy.answers()
    # Nobody writes its files now but we.
    host.write("/tmp/echo.py", ECHO)
    host.run("setsid python3 /tmp/echo.py >/dev/null 2>&1 </dev/null &")
    host.write(f"{STATE}/haproxy.cfg", CONFIGURATION)
    host.run("systemctl reload hullmark-proxy")
    wait_until(lambda: "0.0.0.0:8097" in proxy.listens(), "it listens", 10.0)
    worker = proxy.workers()[0]
    with socket.create_connection((host.address, 8097), 5.0) as connection:
        assert echoes(connection)
        older = host.install(f"hullmark-proxy={VERSION}-1", options=("--allow-downgrades",))
        assert "DOWNGRADED" in older
        wait_until(lambda: {*proxy.workers()} - {worker} != set(), "it was reloaded", 10.0)
        assert proxy.first() == first
        assert echoes(connection)
    users = {host.run(f"stat -c %U /proc/{pid}").stdout.strip() for pid in proxy.workers()}
    assert users == {"haproxy"}


def test_a_removed_proxy_leaves_nothing(host: Host) -> None:
    proxy = Proxy(host)
    host.write(f"{STATE}/addresses", "10.214.0.9\n")
    host.run("systemctl restart hullmark-proxy; ip address add 10.214.0.10/32 dev lo")
    wait_until(lambda: len(proxy.addresses()) == 2, "its address is there", 10.0)
    assert "names of services" in host.apt("remove", "hullmark-proxy")
    assert proxy.addresses() == ["10.214.0.10/32"], "which somebody else has put there"
    host.run("ip address delete 10.214.0.10/32 dev lo")
    assert proxy.remains() == []
    assert host.path(STATE).exists()
    host.apt("purge", "hullmark-proxy")
    assert not host.path(STATE).exists()


def echoes(connection: socket.socket) -> bool:
    connection.sendall(b"ping")
    return connection.recv(4) == b"ping"


def listening(host: Host) -> str:
    return host.run("ss -Hltnup | awk '{print $1, $5, $7}'").stdout


def processes(host: Host) -> list[str]:
    """Without what a check is about to run: it has its parent's name until then."""
    found = host.run(["pgrep", "-P", "1", "-af", "/usr/share/hullmark/"], check=False)
    return found.stdout.splitlines()


def shown(host: Host, name: str, field: str) -> str:
    return host.run(f"systemctl show --value -p {field} hullmark-{name}").stdout.strip()


def wait_until_replaced(host: Host, name: str, pid: str) -> None:
    """Another process runs in the place of that one."""

    def is_replaced() -> bool:
        runs = shown(host, name, "ActiveState") == "active"
        return runs and shown(host, name, "MainPID") not in ("0", pid)

    wait_until(is_replaced, f"{name} is replaced")


def wait_until_shown(host: Host, path: str, text: str) -> None:
    wait_until(lambda: text in host.read(path), f"{path} says {text!r}")


def journal(host: Host) -> str:
    return host.run("journalctl --no-pager -u hullmark-agent").stdout


def running(host: Host) -> str:
    """Process ids of the containers."""
    return host.run("docker inspect -f '{{.Name}} {{.State.Pid}}' $(docker ps -q)").stdout
