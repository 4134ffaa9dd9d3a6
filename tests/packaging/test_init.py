"""The init scripts on a booted host with sysvinit: the same behaviour as the units', with the exit codes of the LSB."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

import pytest

from tests.cluster import wait_until
from tests.hosts import Bed, Host
from tests.packaging.products import VERSION, products
from tests.packaging.proxy import STATE, Proxy

NAMES = ("agent", "master")

# The tests follow one host through its life, in this order.


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    made = products()
    with Bed() as bed:
        host = bed.host("web1", "bookworm-sysvinit", engine="docker")
        host.use_repository(made.repo, made.key)
        yield host


def test_not_enrolled_only_the_agent_starts_and_both_say_so(host: Host) -> None:
    listening = host.run("ss -Hltun").stdout
    said = host.install("hullmark-agent", "hullmark-master")
    assert "hullmark agent enroll --token-file FILE" in said
    Proxy(host).wait_until_it_answers()
    assert script(host, "proxy", "status")[0] == 0
    assert host.run("ss -Hltun").stdout == listening, "the agent recommends it, and it is idle"
    assert script(host, "agent", "status")[0] == 0
    assert script(host, "agent", "stop")[0] == 0
    assert script(host, "master", "status")[0] == 3
    code, told = script(host, "master", "start")
    assert code == 0
    assert "no cluster yet" in told
    assert script(host, "master", "stop")[0] == 0
    assert not daemons(host)


def test_start_and_stop_say_what_they_did(host: Host) -> None:
    host.run("hullmark master init --address 127.0.0.1")
    assert script(host, "master", "start")[0] == 0
    # It returns when the master serves.
    host.run("hullmark invite web1 --token-file /root/token")
    host.run("hullmark agent enroll --no-start --token-file /root/token")
    assert script(host, "agent", "start")[0] == 0
    for name in NAMES:
        pid = pid_of(host, name)
        assert script(host, name, "status")[0] == 0
        assert script(host, name, "start")[0] == 0, "again changes nothing"
        assert pid_of(host, name) == pid
        assert (
            host.run(f"stat -c '%a %U %G' /var/log/hullmark/{name}.log").stdout == "640 root adm\n"
        )
    assert host.run(f"stat -c %U /proc/{pid_of(host, 'master')}").stdout == "hullmark\n"
    assert "agent: started" in host.read("/var/log/hullmark/agent.log")
    assert script(host, "agent", "restart")[0] == 0
    assert script(host, "agent", "stop")[0] == 0
    assert script(host, "agent", "status")[0] == 3
    assert len(daemons(host)) == 1
    assert script(host, "agent", "start")[0] == 0


def test_reload_asks_the_agent_only_where_the_configuration_is_good(host: Host) -> None:
    pid = pid_of(host, "agent")
    for action in ("reload", "force-reload"):
        assert script(host, "agent", action)[0] == 0
    assert pid_of(host, "agent") == pid
    assert script(host, "master", "reload")[0] == 3, "not implemented, says the LSB"
    host.write("/etc/hullmark/agent.d/typo.yaml", "resnyc: 30s\n")
    for action in ("reload", "restart", "force-reload"):
        code, told = script(host, "agent", action)
        assert code == 6, "not configured, says the LSB"
        assert "/etc/hullmark/agent.d/typo.yaml:1" in told
    assert pid_of(host, "agent") == pid, "what runs is not stopped for it"
    host.path("/etc/hullmark/agent.d/typo.yaml").unlink()


def test_another_process_with_its_old_id_is_left_alone(host: Host) -> None:
    host.run(f"kill -KILL {pid_of(host, 'agent')}")
    wait_until(lambda: len(daemons(host)) == 1, "the agent is gone")
    assert script(host, "agent", "status")[0] == 1
    other = host.run("setsid sleep 1000 >/dev/null 2>&1 </dev/null & echo $!").stdout.strip()
    host.write("/run/hullmark-agent.pid", f"{other}\n")
    assert script(host, "agent", "stop")[0] == 0
    assert host.run(f"cat /proc/{other}/comm").stdout == "sleep\n"
    assert script(host, "agent", "start")[0] == 0
    host.run(f"kill {other}")


def test_the_proxy_is_started_again_by_its_launcher(host: Host) -> None:
    proxy = Proxy(host)
    proxy.comes_back_after_killing(proxy.first())
    proxy.comes_back_after_killing(proxy.worker())
    first, worker = proxy.first(), proxy.worker()
    for _ in range(5):
        assert script(host, "proxy", "reload")[0] == 0, "also while one before it is under way"
    wait_until(lambda: proxy.answers() and worker not in proxy.workers(), "it was reloaded", 10.0)
    assert proxy.first() == first
    # What a launcher that was killed has left is no obstacle.
    host.run(f"kill -KILL {pid_of(host, 'proxy')}")
    assert proxy.first() == first
    assert script(host, "proxy", "status")[0] == 1
    assert script(host, "proxy", "start")[0] == 0
    wait_until(lambda: proxy.answers() and proxy.first() not in ("", first), "it is another", 10.0)
    assert script(host, "proxy", "stop")[0] == 0
    assert (proxy.first(), script(host, "proxy", "status")[0]) == ("", 3)
    assert script(host, "proxy", "start")[0] == 0


def test_it_comes_back_after_a_boot_and_goes_when_removed(host: Host) -> None:
    host.reboot()
    for name in (*NAMES, "proxy"):
        wait_until(partial(is_running, host, name), f"{name} runs")
    proxy = Proxy(host)
    proxy.wait_until_it_answers()
    first = proxy.first()
    host.apt("remove", "hullmark-agent", "hullmark-master")
    assert not daemons(host)
    assert proxy.first() == first, "the proxy outlives the agent"
    host.apt("install", "--reinstall", f"hullmark-proxy={VERSION}-1")
    assert proxy.first() == first, "and is reloaded, not started anew, by an upgrade of its own"
    host.write(f"{STATE}/addresses", "10.214.0.9\n")
    host.run("service hullmark-proxy restart; ip address add 10.214.0.10/32 dev lo")
    wait_until(lambda: len(proxy.addresses()) == 2, "its address is there", 10.0)
    host.apt("remove", "hullmark-proxy")
    assert proxy.addresses() == ["10.214.0.10/32"], "which somebody else has put there"
    host.run("ip address delete 10.214.0.10/32 dev lo")
    assert proxy.remains() == []
    assert script(host, "proxy", "start") == (0, "")
    assert script(host, "agent", "start") == (0, ""), "removed, but not purged: nothing to say"
    host.apt("purge", "hullmark-agent", "hullmark-master", "hullmark", "hullmark-proxy")
    found = host.run("find /etc /var/lib /var/log -name '*hullmark*' -not -path '/var/lib/dpkg/*'")
    left = [path for path in found.stdout.split() if "/apt/" not in path]
    assert left == ["/var/log/hullmark"], "audit logs outlive all"
    logs = host.run("find /var/log/hullmark -type f").stdout.split()
    alone = [log for log in logs if re.search("/former-host-unenrolled-[^/]*-audit.log$", log)]
    assert len(alone) == 1, "of the time before the host was enrolled"
    assert sorted({*logs} - {*alone}) == [
        "/var/log/hullmark/audit.log",
        "/var/log/hullmark/master/audit.log",
    ]


def script(host: Host, name: str, action: str) -> tuple[int, str]:
    """Its exit code, and what it prints."""
    done = host.run(["sh", "/etc/init.d/hullmark-" + name, action], check=False)
    return done.returncode, done.stdout + done.stderr


def is_running(host: Host, name: str) -> bool:
    return script(host, name, "status")[0] == 0


def pid_of(host: Host, name: str) -> str:
    pid = host.read(f"/run/hullmark-{name}.pid").strip()
    assert re.fullmatch(r"\d+", pid)
    return pid


def daemons(host: Host) -> list[str]:
    """Without what a check is about to run: it has its parent's name until then."""
    return host.run(
        ["pgrep", "-P", "1", "-f", "/usr/share/hullmark/(agent|master)d"], check=False
    ).stdout.split()
