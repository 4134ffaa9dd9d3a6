"""A configuration or a key that is wrong: refused with file, line and remedy before anything starts, and never taken over
by what runs. On a host with systemd and on one with init scripts."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Optional

import pytest

from tests.cluster import containers_in, wait_until
from tests.hosts import Bed, Host
from tests.hosts.engines import SOCKETS
from tests.integration.daemon import load_image
from tests.packaging.products import products

IMAGE = "localhost/hullmark-test:1"
APP = f"""\
name: shop
services:
  web: {{image: {IMAGE}, pull_policy: never, init: true, command: [sleep, "100000"], stop_grace_period: 1s, deploy: {{replicas: 2, update_config: {{parallelism: 2, monitor: 1s}}}}}}
"""
AGENT, MASTER = "hullmark-agent", "hullmark-master"
STATES = {AGENT: "/var/lib/hullmark/agent", MASTER: "/var/lib/hullmark/master"}
KEY = f"{STATES[AGENT]}/host.key"
AUTHORITY = f"{STATES[MASTER]}/pki/intermediate.key"
LAUNCHERS = {AGENT: "/usr/share/hullmark/agentd", MASTER: "/usr/share/hullmark/masterd"}


@dataclass(frozen=True)
class Fault:
    """What is wrong on a host: a file with a `line`; or of a file that is there, its mode, its owner, or else its content. `said`:
    what is told of it, after the file's name; `remedy`: what to do."""

    service: str
    file: str
    said: str
    remedy: str
    line: Optional[str] = None
    mode: Optional[int] = None
    owner: str = ""

    def __str__(self) -> str:
        return f"{self.service}: {self.file}: {self.said}"


MEND = "what to do: mend what is named"
FAULTS = (
    Fault(AGENT, "/etc/hullmark/agent.d/x.yaml", ":2: paralel: ", MEND, "paralel: 4"),
    Fault(AGENT, "/etc/hullmark/agent.d/x.yaml", ":2: parallel: ", MEND, "parallel: many"),
    Fault(AGENT, "/etc/hullmark/agent.d/x.yaml", ": may be written by", "chmod go-w", "", 0o666),
    Fault(AGENT, KEY, " is accessible to others", "chmod 600", mode=0o644),
    Fault(AGENT, KEY, ": is damaged", "hullmark invite"),
    Fault(MASTER, "/etc/hullmark/master.d/x.yaml", ":2: lost_aftr: ", MEND, "lost_aftr: 3s"),
    Fault(MASTER, AUTHORITY, " is accessible to others", "chmod 600", mode=0o640),
    Fault(MASTER, AUTHORITY, " is not readable by this user", "chown hullmark", owner="root"),
)
LESS_OFTEN = (FAULTS[1], FAULTS[6])
"""In the full run only: each has its like among the others."""
BY_SCRIPTS = (FAULTS[0], FAULTS[2], FAULTS[3], FAULTS[5])


@dataclass
class Shop:
    """A host that is its own master, with an app where it has an engine."""

    host: Host
    cluster_id: str = ""

    def ask(self, *arguments: str) -> Any:
        done = self.host.run(["hullmark", *arguments, "--output", "json"], check=False)
        return json.loads(done.stdout or "{}")

    def problems(self) -> dict[str, str]:
        """What the master shows of its one host, by code; of one without an engine that is left out."""
        (host,) = self.ask("hosts")["hosts"]
        found = {one["code"]: f"{one['message']} {one['remedy']}" for one in host["problems"]}
        return {code: said for code, said in found.items() if code != "engine.unavailable"}

    def is_ready(self) -> bool:
        hosts = self.ask("hosts").get("hosts", [])
        return [one["state"] for one in hosts] == ["ready"] and not self.problems()

    def pid(self, service: str) -> int:
        """Of the daemon; 0 while there is none."""
        line = ["pgrep", "-P", "1", "-f", f"{LAUNCHERS[service]} run"]
        return int(self.host.run(line, check=False).stdout or 0)

    def service(self, verb: str, service: str) -> tuple[int, str]:
        """The exit code, and all that was told: to who asked, and to the log."""
        since = self.host.run(["date", "+%s.%N"]).stdout.strip()
        size = self._log_size(service)
        if self.host.has_systemd:
            done = self.host.run(["systemctl", verb, service], check=False)
            self.host.run(["journalctl", "--sync"])
            log = self.host.run(
                ["journalctl", "-u", service, f"--since=@{since}", "-o", "cat"]
            ).stdout
        else:
            done = self.host.run([f"/etc/init.d/{service}", verb], check=False)
            log = self._log(service)[size:]
        return done.returncode, done.stdout + done.stderr + log

    def _log(self, service: str) -> str:
        path = f"/var/log/hullmark/{service.partition('-')[2]}.log"
        return self.host.read(path) if self.host.path(path).exists() else ""

    def _log_size(self, service: str) -> int:
        return 0 if self.host.has_systemd else len(self._log(service))

    def lives(self) -> dict[str, tuple[str, int]]:
        socket = f"unix://{self.host.path(SOCKETS[self.host.engine])}"
        return {
            name: (one["State"]["StartedAt"], one["State"]["Pid"])
            for name, one in containers_in(socket, self.cluster_id).items()
        }


def made(bed: Bed, name: str, image: str, engine: str) -> Shop:
    host = bed.host(name, image, engine)
    host.use_repository(products().repo)
    host.install(AGENT, MASTER)
    shop = Shop(host)
    made = json.loads(host.run("hullmark master init --address 127.0.0.1 --output json").stdout)
    assert (made["changed"], made["service"]) == (True, "started")
    shop.cluster_id = made["cluster_id"]
    host.run(["hullmark", "status", "--wait", "30s"], check=False)
    host.run(["hullmark", "invite", name, "--token-file", "/root/token"])
    enroll = "hullmark agent enroll --token-file /root/token --output json"
    joined = json.loads(host.run(enroll).stdout)
    assert (joined["changed"], joined["service"]) == (True, "running"), "it ran before: it checks"
    host.run("rm /root/token")
    again = json.loads(host.run(enroll).stdout)
    assert (again["changed"], again["service"]) == (False, "running")
    wait_until(shop.is_ready, f"{name} is ready", 30.0)
    return shop


@pytest.fixture(scope="module")
def shops(bed: Bed) -> tuple[Shop, Shop]:
    with ThreadPoolExecutor(2) as pool:
        jobs = [
            pool.submit(made, bed, "box", "bookworm", "docker"),
            pool.submit(made, bed, "old", "bookworm-sysvinit", ""),
        ]
        box, old = (job.result() for job in jobs)
    load_image(f"unix://{box.host.path(SOCKETS['docker'])}", IMAGE)
    box.host.write("/root/compose.yaml", APP)
    box.host.run("hullmark apply --wait --timeout 60s /root/compose.yaml")
    return box, old


@pytest.fixture
def box(shops: tuple[Shop, Shop]) -> Shop:
    return shops[0]


@pytest.fixture
def old(shops: tuple[Shop, Shop]) -> Shop:
    return shops[1]


def spoil(host: Host, fault: Fault) -> str:
    """Returns the command that mends it."""
    path = host.path(fault.file)
    if fault.line is not None:
        host.write(fault.file, f"# of the shop\n{fault.line}\n", fault.mode or 0o644)
        return f"rm {fault.file}"
    if fault.mode is not None:
        path.chmod(fault.mode)
        return f"chmod 600 {fault.file}"
    if fault.owner:
        host.run(["chown", fault.owner, fault.file])
        return f"chown hullmark {fault.file}"
    whole = path.read_text()
    path.write_text(whole.replace("BEGIN", "BEGUN"))
    return f"sed -i s/BEGUN/BEGIN/ {fault.file}"


def shown(host: Host, service: str, *properties: str) -> tuple[str, ...]:
    """By systemctl, which has an order of its own."""
    told = host.run(["systemctl", "show", service, "-p", ",".join(properties)]).stdout
    found = dict(line.split("=", 1) for line in told.splitlines())
    return tuple(found[name] for name in properties)


def refuses(shop: Shop, fault: Fault) -> None:
    if shop.pid(fault.service):
        shop.service("stop", fault.service)
    assert shop.pid(fault.service) == 0
    mend = spoil(shop.host, fault)
    files = f"find {STATES[fault.service]} -type f -printf '%p %T@\\n' | sort"
    before = shop.host.run(files).stdout
    try:
        code, told = shop.service("start", fault.service)
        after = shop.host.run(files).stdout
    finally:
        shop.host.run(mend)
    assert code != 0
    assert fault.file + fault.said in told
    assert fault.remedy in told
    assert shop.pid(fault.service) == 0
    assert after == before, "nothing was written"


def marked(fault: Fault) -> Any:
    return pytest.param(
        fault, marks=[pytest.mark.full] if fault in LESS_OFTEN else [], id=str(fault)
    )


@pytest.mark.parametrize("fault", [marked(fault) for fault in FAULTS])
def test_systemd_does_not_start_it_and_says_what_to_mend(box: Shop, fault: Fault) -> None:
    lives = box.lives()
    refuses(box, fault)
    asked = ("ExecMainStatus", "NRestarts", "ActiveState")
    assert shown(box.host, fault.service, *asked) == ("78", "0", "failed")
    assert box.lives() == lives


@pytest.mark.parametrize("fault", BY_SCRIPTS, ids=str)
def test_an_init_script_does_not_start_it_and_says_what_to_mend(old: Shop, fault: Fault) -> None:
    refuses(old, fault)


@pytest.fixture(params=["box", "old"])
def up(shops: tuple[Shop, Shop], request: pytest.FixtureRequest) -> Shop:
    """A host whose services run, after all that was mended."""
    (shop,) = (one for one in shops if one.host.name == request.param)
    for service in (MASTER, AGENT):
        if not shop.pid(service):
            code, told = shop.service("start", service)
            assert code == 0, told
    wait_until(shop.is_ready, "its host is ready", 30.0)
    return shop


def test_a_reload_keeps_the_last_good_configuration(up: Shop) -> None:
    pid, lives, began = up.pid(AGENT), up.lives() if up.host.engine else {}, time.time()
    drop_in = "/etc/hullmark/agent.d/x.yaml"

    up.host.write(drop_in, "log_level: debug\nparalel: 2\n")
    code, told = up.service("reload", AGENT)
    assert code != 0
    assert f"{drop_in}:2: paralel: " in told
    assert "did you mean parallel?" in told

    # Also where nobody checks it before.
    up.host.run(["kill", "-HUP", str(pid)])
    wait_until(lambda: "config.invalid" in up.problems(), "the master shows it", 10.0)
    said = up.problems()["config.invalid"]
    assert f"{drop_in}:2: paralel: " in said
    assert "systemctl reload hullmark-agent" in said

    up.host.write(drop_in, "log_level: debug\nparallel: 2\n")
    code, told = up.service("reload", AGENT)
    assert code == 0, told
    wait_until(up.is_ready, "it is over", 10.0)
    events = up.ask("events", "--limit", "1000")["events"]
    kinds = {event["kind"] for event in events if event["at"] > began}
    assert "host.problem-over" in kinds
    assert not kinds & {"host.cloned", "host.silent", "host.lost"}
    assert up.pid(AGENT) == pid
    if lives:
        assert up.lives() == lives
        assert {one["status"]["phase"] for one in up.ask("ps", "shop")["instances"]} == {"running"}
    up.host.run(["rm", drop_in])
    assert up.service("reload", AGENT)[0] == 0


def test_reloads_in_the_middle_of_a_change_leave_nothing_half_done(box: Shop) -> None:
    """Both containers are replaced, by an agent that begins anew three times meanwhile."""
    wait_until(box.is_ready, "its host is ready", 30.0)
    before, pid = box.lives(), box.pid(AGENT)
    box.host.write("/root/compose.yaml", APP.replace("100000", "100001"))
    box.host.run("hullmark apply --no-wait /root/compose.yaml")
    for parallel in (2, 3, 4):
        time.sleep(0.5)
        box.host.write("/etc/hullmark/agent.d/x.yaml", f"parallel: {parallel}\n")
        box.host.run(["kill", "-HUP", str(pid)])
    box.host.run("hullmark apply --wait --timeout 60s /root/compose.yaml")
    after = box.lives()
    assert len(after) == 2
    assert not set(before.values()) & set(after.values())
    assert box.pid(AGENT) == pid
    read = box.host.run(f"journalctl _PID={pid} -o cat").stdout
    assert read.count("configuration read afresh host=") >= 3
    box.host.run("rm /etc/hullmark/agent.d/x.yaml")
    assert box.service("reload", AGENT)[0] == 0


def test_systemd_is_told_how_it_stands_and_restarts_an_agent_that_shows_no_life(box: Shop) -> None:
    """Containers outlive that too."""
    wait_until(box.is_ready, "its host is ready", 30.0)
    # It may still be at a reload of the test before.
    wait_until(lambda: shown(box.host, AGENT, "ActiveState") == ("active",), "it is active", 10.0)
    kind, access, status = shown(box.host, AGENT, "Type", "NotifyAccess", "StatusText")
    assert (kind, access) == ("notify", "main")
    assert status.startswith(f"Serves host box of cluster {box.cluster_id}; ")
    assert shown(box.host, MASTER, "StatusText")[0].startswith("Leads as master box; ")

    lives = box.lives()
    assert shown(box.host, AGENT, "WatchdogUSec") == ("30s",)
    box.host.run("mkdir -p /run/systemd/system/hullmark-agent.service.d")
    box.host.write(
        "/run/systemd/system/hullmark-agent.service.d/x.conf", "[Service]\nWatchdogSec=2\n"
    )
    try:
        box.host.run("systemctl daemon-reload && systemctl restart hullmark-agent")
        pid = box.pid(AGENT)
        box.host.run(["kill", "-STOP", str(pid)])
        wait_until(lambda: box.pid(AGENT) not in (0, pid), "another agent runs", 20.0)
        assert "watchdog" in box.host.run(f"journalctl -u {AGENT} -n 50 -o cat").stdout.lower()
        wait_until(box.is_ready, "its host is ready", 20.0)
        assert box.lives() == lives
    finally:
        box.host.run("rm -r /run/systemd/system/hullmark-agent.service.d")
        box.host.run("systemctl daemon-reload && systemctl restart hullmark-agent")


def test_a_master_takes_no_reload_for_an_end(box: Shop) -> None:
    pid = box.pid(MASTER)
    box.host.run(["kill", "-HUP", str(pid)])
    wait_until(
        lambda: "SIGHUP changes nothing" in box.host.run(f"journalctl -u {MASTER} -o cat").stdout,
        "it says so",
        10.0,
    )
    assert box.pid(MASTER) == pid
    assert box.is_ready()


def test_nothing_of_the_master_is_roots(box: Shop, old: Shop) -> None:
    for shop in (box, old):
        found = shop.host.run("find /var/lib/hullmark/master /run/hullmark ! -user hullmark").stdout
        assert found == ""


def test_a_master_that_root_runs_is_the_owner_of_its_folder(old: Shop) -> None:
    if old.pid(MASTER):
        old.service("stop", MASTER)
    old.host.run("rm -rf /run/hullmark")
    old.host.run("setsid hullmark master run </dev/null >/root/master.log 2>&1 &")
    wait_until(old.is_ready, f"it serves: {old.host.read('/root/master.log')}", 20.0)
    pid = old.pid(MASTER)
    rows = dict(line.split(":", 1) for line in old.host.read(f"/proc/{pid}/status").splitlines())
    user = old.host.run("id -u hullmark; id -g hullmark; id -G hullmark").stdout.split("\n")
    assert set(rows["Uid"].split()) == {user[0]}
    assert set(rows["Gid"].split()) == {user[1]}
    assert set(rows["Groups"].split()) == set(user[2].split())
    assert int(rows["CapEff"], 16) == 0
    old.host.run(["kill", str(pid)])
    wait_until(lambda: old.pid(MASTER) == 0, "it ends", 10.0)
    code, told = old.service("start", MASTER)
    assert code == 0, told
    test_nothing_of_the_master_is_roots(old, old)


def test_the_log_goes_to_syslog_where_that_is_asked_for(box: Shop) -> None:
    box.host.write("/etc/hullmark/agent.d/log.yaml", "log_to: syslog\n")
    try:
        assert box.service("reload", AGENT)[0] == 0
        look = ["journalctl", "-t", AGENT, "_TRANSPORT=syslog", "-o", "cat"]
        wait_until(
            lambda: "agent: serving" in box.host.run(look).stdout, "the journal has it", 10.0
        )
    finally:
        box.host.run("rm /etc/hullmark/agent.d/log.yaml")
    assert box.service("reload", AGENT)[0] == 0
