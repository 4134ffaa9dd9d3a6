"""The bed itself: what the other tests of this folder believe of it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster import wait_until
from tests.hosts import Bed, CommandFailed, Host
from tests.hosts.engines import SOCKETS, answers
from tests.integration import process
from tests.integration.namespaces import outside
from tests.integration.workspace import RECORDS

# A tester of its own, which says when its host is up, and then waits for its end.
TESTER = """
import signal
from tests.hosts import Bed
# A shell's background job is started with it ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
with Bed() as bed:
    host = bed.host("web1", "bookworm", engine="docker")
    print(bed.workspace.path, host.pid, flush=True)
    signal.pause()
"""
TREE = Path(__file__).parents[2]
INITS = {"bookworm-sysvinit": "init"}
VERSIONS = {"trixie": "13"}


@pytest.fixture(scope="module")
def host(bed: Bed) -> Host:
    """It may be rebooted, killed and cut off; a test leaves it up and healed."""
    return bed.host("one", "bookworm", engine="docker")


@pytest.mark.parametrize(
    ("image", "engine"),
    [
        ("bookworm", "podman"),
        ("bookworm-audited", "docker"),
        ("bookworm-sysvinit", "docker"),
        ("bookworm-sysvinit", "podman"),
        ("trixie", "docker"),
        ("trixie", "podman"),
        ("trixie", ""),
    ],
)
def test_a_host_is_what_was_asked_for(bed: Bed, image: str, engine: str) -> None:
    name = f"h{len(bed.hosts)}"
    host = bed.host(name, image, engine=engine)
    assert host.read("/proc/1/comm").strip() == INITS.get(image, "systemd")
    assert f'VERSION_ID="{VERSIONS.get(image, "12")}"' in host.read("/etc/os-release")
    assert host.run("hostname").stdout == f"{name}\n"
    assert host.address in host.run("ip -brief address show dev eth0").stdout
    answering = {each for each, path in SOCKETS.items() if answers(host.path(path))}
    assert answering == ({engine} if engine else set())
    if host.has_systemd:
        assert host.run("systemctl --failed --no-legend").stdout == ""
    host.kill()


def test_the_audited_host_runs_the_tools_of_a_shop(bed: Bed) -> None:
    host = bed.host("audited", "bookworm-audited")
    for service in ("rsyslog", "fail2ban", "chrony", "ssh", "cron"):
        host.run(["systemctl", "is-active", f"{service}.service"])
    assert "tcp dport 23" in host.run("nft list table inet shop").stdout
    aide = ["aide", "--config", "/etc/aide/aide.conf", "--check"]
    assert "NO differences" in host.run(aide).stdout
    host.write("/etc/shop/shop.conf", "shop: 2\n")
    done = host.run(aide, check=False)
    assert done.returncode == 4, "AIDE's exit code for changed files"
    assert "/etc/shop/shop.conf" in done.stdout
    host.kill()


def test_the_disk_stays(host: Host) -> None:
    """Also what an engine has on it, and through the loss of power."""
    host.write("/root/kept", "before\n")
    host.run("tar -c /etc/hostname | docker import - localhost/kept:1")
    first = host.pid
    host.run("ip link set eth0 down; ip link add stale0 type bridge")
    host.reboot()
    assert "stale0" not in host.run("ip -brief link").stdout
    assert host.address in host.run("ip route get 192.0.2.1").stdout
    assert host.read("/root/kept") == "before\n"
    second = process.identity(host.pid)
    assert second is not None
    assert second.pid != first
    host.run("echo unsynced >/root/kept")
    host.kill()
    assert not second.alive
    assert not host.running
    assert host.read("/root/kept") == "unsynced\n"
    host.boot()
    assert "localhost/kept" in host.run("docker images").stdout
    host.stop()
    assert not host.running
    host.boot()
    assert host.read("/root/kept") == "unsynced\n"


def test_a_cut_host_hears_and_says_nothing(bed: Bed, host: Host) -> None:
    host.run("systemctl start ssh")
    with socket.create_server((bed.address, 0)) as listener:
        port = listener.getsockname()[1]
        dial = ["timeout", "2", "bash", "-c", f"exec 3<>/dev/tcp/{bed.address}/{port}"]

        def both_ways() -> tuple[bool, bool]:
            """Whether it hears us, and we it."""
            heard = host.run(dial, check=False).returncode == 0
            try:
                socket.create_connection((host.address, 22), 2.0).close()
            except OSError:
                return False, heard
            return True, heard

        assert both_ways() == (True, True)
        host.cut()
        assert both_ways() == (False, False)
        host.kill()
        host.boot()
        host.run("systemctl start ssh")
        assert both_ways() == (False, False), "a boot plugs nothing in"
        host.heal()
        wait_until(lambda: both_ways() == (True, True), "the host is heard again")


def test_a_failed_command_shows_what_it_printed(host: Host) -> None:
    with pytest.raises(CommandFailed, match="printed this"):
        host.run("echo printed this; exit 3")
    assert host.run("exit 3", check=False).returncode == 3
    assert host.run(["cat"], input="through\n").stdout == "through\n"


def test_a_command_that_takes_too_long_ends_on_the_host_as_well(host: Host) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        host.run(["sleep", "4321"], timeout_s=0.5)
    wait_until(
        lambda: host.run(["pgrep", "-f", "sleep 4321"], check=False).returncode == 1,
        "the command has ended",
    )


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_of_a_bed(number: signal.Signals) -> None:
    with subprocess.Popen(
        [*outside(), sys.executable, "-c", TESTER],
        env={**os.environ, "PYTHONPATH": str(TREE)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as tester:
        assert tester.stdout is not None
        try:
            folder, pid = tester.stdout.readline().split()
            first = process.identity(int(pid))
            assert first is not None
            namespaces = {
                _namespace(each, kind) for each in (tester.pid, first.pid) for kind in KINDS
            }
            # The number of a namespace is soon another's, where hosts are booted beside this.
            there = [one for one in map(process.identity, _of(namespaces)) if one is not None]
            assert len(there) > 10, "the host's services are among them"
            assert _traces(Path(folder)), "what is looked for is found as long as it is there"
        finally:
            tester.send_signal(number)
    wait_until(lambda: not first.alive, "PID 1 has ended", 20.0)
    wait_until(lambda: not any(one.alive for one in there), "all of its processes have ended", 60.0)
    wait_until(lambda: not _traces(Path(folder)), f"no trace of {folder} is left", 60.0)


KINDS = ("net", "mnt", "pid")


def _namespace(pid: int, kind: str) -> str:
    return str(Path(f"/proc/{pid}/ns/{kind}").readlink())


def _of(namespaces: set[str]) -> list[int]:
    """The processes in these namespaces that aren't in ours as well. A namespace without one, and all that is mounted or
    wired in it, is gone."""
    ours = {_namespace(os.getpid(), kind) for kind in KINDS}
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            its = {_namespace(int(each.name), kind) for kind in KINDS}
        except OSError:
            continue
        if its & (namespaces - ours):
            found.append(int(each.name))
    return found


def _traces(folder: Path) -> list[Path]:
    """Files, cgroups and nspawn's own places."""
    found = list(RECORDS.glob(f"{folder.name}*"))
    # Others' come and go meanwhile, which a walk bears.
    groups = (Path(place) for place, _, _ in os.walk("/sys/fs/cgroup"))
    found += [each for each in groups if each.name == f"hullmark-test-{folder.name}"]
    return found + list(Path("/run/systemd/nspawn").glob("*/*web1*"))
