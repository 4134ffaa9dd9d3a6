"""What is recorded of a host, on small ones in a folder."""

from __future__ import annotations

import ast
import fcntl
import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hullmark.footprint import snapshot
from hullmark.footprint.snapshot import Files, Host, Unseen
from tests.unit.footprint.conftest import World, read


def keyed(records: Iterator[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {record["key"]: record for record in records}


def files(world: World, *leave: str) -> dict[str, dict[str, Any]]:
    return keyed(Files(world.host, {}, frozenset(leave)).walk())


def test_each_kind_of_file(world: World) -> None:
    world.write("/etc/motd", "hello\n", 0o640)
    world.link("/etc/mtab", "../proc/self/mounts")
    os.mkfifo(world.root / "etc/pipe")
    found = files(world)
    motd = found["/etc/motd"]
    assert (motd["type"], motd["mode"], motd["size"]) == ("file", "0640", 6)
    assert motd["owner"] == f"{os.getuid()}:{os.getgid()}"
    assert motd["sha256"] == hashlib.sha256(b"hello\n").hexdigest()
    assert found["/etc/mtab"]["target"] == "../proc/self/mounts"
    assert found["/etc/pipe"]["type"] == "pipe"
    assert found["/etc"]["type"] == "folder"


def test_files_come_in_the_order_in_which_pictures_are_compared(world: World) -> None:
    for name in ("a-b", "a/x", "a.b/c", "ab"):
        world.write(f"/d/{name}", "")
    records = list(Files(world.host).walk())
    assert records == sorted(records, key=snapshot.place)
    assert [one["key"] for one in records][-1] == "/var/lib/dpkg/status"


def test_names_that_are_no_text(world: World) -> None:
    for name in (b"new\nline", b"\xff\xfe", "übung".encode()):
        (Path(os.fsdecode(os.fsencode(world.root) + b"/" + name))).write_text("x")
    found = files(world)
    assert {"/new\nline", "/\udcff\udcfe", "/übung"} <= set(found)
    assert len(found["/\udcff\udcfe"]["sha256"]) == 64
    assert json.loads(json.dumps(found["/\udcff\udcfe"]))["key"] == "/\udcff\udcfe"


def test_a_pipe_is_not_waited_for_and_a_huge_file_not_read(world: World) -> None:
    path = world.write("/huge", "")
    os.truncate(path, snapshot.LARGEST + 1)
    record = files(world)["/huge"]
    assert record["size"] == snapshot.LARGEST + 1
    assert record["mtime_ns"] == path.stat().st_mtime_ns
    assert "sha256" not in record
    assert "256 MiB" in record["unread"]


def test_a_file_that_changes_while_it_is_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = world.write("/var/log/busy", "one\n")
    sizes = iter(range(10, 99))
    real = snapshot._hash

    def busy(number: int, size: int) -> str:
        found = real(number, size)
        if os.fstat(number).st_ino == path.stat().st_ino:
            with path.open("a") as log:
                log.write("x" * next(sizes))
        return found

    monkeypatch.setattr(snapshot, "_hash", busy)
    found = files(world)
    assert found["/var/log/busy"]["changing"] is True
    assert "changing" not in found["/var/lib/dpkg/status"]


def test_what_may_not_be_read_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.write("/secret/key", "x")
    world.write("/other", "x")

    def denied(raw: bytes, flags: int = 0) -> int:
        if raw.endswith((b"/secret", b"/other")):
            raise PermissionError(13, "Permission denied")
        return os.open(raw, flags)

    monkeypatch.setattr(snapshot, "_open", denied)
    found = files(world)
    assert found["/secret"]["unread"] == found["/other"]["unread"] == "Permission denied"
    assert "/secret/key" not in found


def test_the_times_of_access_stay(world: World) -> None:
    path = world.write("/etc/motd", "x")
    os.utime(path, ns=(10**18, 10**18))
    os.utime(world.root / "etc", ns=(10**18, 10**18))
    assert files(world)["/etc/motd"]["sha256"]
    assert path.stat().st_atime_ns == (world.root / "etc").stat().st_atime_ns == 10**18


def test_what_is_not_entered_is_named_with_its_reason(world: World) -> None:
    world.write("/etc/docker/daemon.json", '{"data-root": "/srv/docker/"}')
    host = world.host
    host.skip = ("/home",)
    found = {one["key"]: one["reason"] for one in snapshot.skipped(host)}
    assert found == {
        "/home": "left out by --skip",
        "/proc": "in memory only: proc",
        "/run": "in memory only: tmpfs",
        "/srv/docker": "the engine's own data",
        "/srv/far away": "not this host's own: nfs4",
        "/var/lib/containerd": "the engine's own data",
        "/var/lib/containers": "the engine's own data",
        "/var/lib/docker": "the engine's own data",
    }
    world.write("/var/lib/docker/big", "x")
    walked = files(world, *found)
    assert "/var/lib/docker" in walked
    assert "/var/lib/docker/big" not in walked


def test_of_what_is_in_memory_only_services_are_looked_at(world: World) -> None:
    world.write("/run/systemd/system/cron.service.d/x.conf", "x")
    world.write("/run/systemd/sessions/1", "x")
    leave = frozenset({"/run"})
    walked = list(Files(world.host, {}, leave, snapshot.ENTERED).walk())
    inside = [one["key"] for one in walked if one["key"].startswith("/run")]
    assert inside == [
        "/run",
        "/run/systemd/system",
        "/run/systemd/system/cron.service.d",
        "/run/systemd/system/cron.service.d/x.conf",
    ]
    assert walked == sorted(walked, key=snapshot.place)


def test_access_lists_and_attributes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.write("/etc/motd", "x")
    lists = {"system.posix_acl_access": b"\2\0", "system.posix_acl_default": b"\2\1"}

    def listed(path: bytes, name: str, **_: Any) -> bytes:
        if path.endswith(b"/etc/motd") and name in lists:
            return lists[name]
        raise OSError(61, "No data available")

    monkeypatch.setattr(os, "getxattr", listed)
    asked: list[int] = []

    def attributes(number: int, request: int, given: bytes) -> bytes:
        asked.append(request)
        told = 0x80030 if os.fstat(number).st_ino == (world.root / "etc/motd").stat().st_ino else 0
        return told.to_bytes(len(given), sys.byteorder)

    monkeypatch.setattr(fcntl, "ioctl", attributes)
    found = files(world)
    motd = found["/etc/motd"]
    assert (motd["acl"], motd["default_acl"], motd["attributes"]) == ("0200", "0201", "ia")
    assert not {"acl", "default_acl", "attributes"} & set(found["/etc/passwd"])
    assert set(asked) == {snapshot.GET_ATTRIBUTES}


def test_accounts_line_by_line_and_passwords_as_hashes_only(world: World) -> None:
    world.write("/etc/shadow", "root:$y$secret:1::::::\n", 0o600)
    found = keyed(snapshot.accounts(world.host))
    assert found["/etc/passwd:hullmark"]["lines"] == ["hullmark:x:998:998::/:/usr/sbin/nologin"]
    assert found["/etc/shadow:root"]["lines"] == [snapshot.sha256("root:$y$secret:1::::::")]
    assert "secret" not in json.dumps(found)


def test_packages(world: World) -> None:
    found = keyed(snapshot.packages(world.host))
    agent = found["hullmark-agent:all"]
    assert (agent["version"], agent["state"]) == ("0.3.0-1", "installed")
    assert set(agent["needs"]) >= {"hullmark", "python3-docker", "python3", "python3-systemd"}
    assert found["cron:amd64"]["needs"] == []


def test_whose_a_file_is_also_where_folders_moved(world: World) -> None:
    world.link("/lib", "usr/lib")
    world.write(
        "/var/lib/dpkg/info/cron.list", "/.\n/lib/systemd/system/cron.service\n/etc/crontab\n"
    )
    own = snapshot.owners(world.host)
    assert own["/usr/lib/systemd/system/cron.service"] == own["/etc/crontab"] == "cron"
    assert snapshot.source_of("/u/__pycache__/a.cpython-311.opt-1.pyc") == "/u/a.py"
    assert snapshot.source_of("/u/__pycache__") == "/u"
    assert snapshot.source_of("/u/__pycache__/evil.so") == "/u/__pycache__/evil.so"


def test_packages_of_rpm(world: World) -> None:
    (world.root / "var/lib/dpkg/status").unlink()
    world.says = {
        r"rpm -qa --qf [%{=NAME}\t%{PROVIDENAME}\n]": "hullmark\thullmark\nlib\tlibx.so\n",
        r"rpm -qa --qf [%{=NAME}\t%{REQUIRENAME}\n]": "hullmark\tlibx.so\nhullmark\trpmlib(x)\n",
        r"rpm -qa --qf %{NAME}\t%{ARCH}\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\n": "hullmark\tnoarch\t0:0.3.0-1\n",
    }
    (record,) = snapshot.packages(world.host)
    assert (record["key"], record["version"], record["needs"]) == (
        "hullmark:noarch",
        "0:0.3.0-1",
        ["lib"],
    )


def test_units_of_systemd_and_of_init_scripts(world: World) -> None:
    world.write("/etc/rc2.d/S01cron", "")
    world.write("/etc/rc3.d/S01cron", "")
    world.write("/etc/rc2.d/K01nginx", "")
    assert list(snapshot.units(world.host)) == [{"kind": "unit", "key": "cron", "runlevels": "23"}]
    (world.root / "run/systemd/system").mkdir(parents=True)
    more = f"--no-legend --no-pager --plain --full {snapshot.UNIT_TYPES}"
    world.says = {
        f"systemctl list-unit-files {more}": "cron.service enabled enabled\nssh.service disabled enabled\n",
        f"systemctl list-units --all {more}": "cron.service loaded active running Regular background\nssh.service loaded inactive dead OpenBSD\nx.service not-found inactive dead x\n",
    }
    found = keyed(snapshot.units(world.host))
    assert (found["cron.service"]["active"], found["cron.service"]["enabled"]) == (
        "active",
        "enabled",
    )
    assert set(found) == {"cron.service", "ssh.service"}
    assert found["ssh.service"] == {"kind": "unit", "key": "ssh.service", "enabled": "disabled"}


def process(
    world: World,
    pid: int,
    name: str,
    *,
    parent: int = 1,
    flags: int = 0,
    group: str = "",
    exe: str = "",
) -> None:
    numbers = ["S", str(parent), *["0"] * 4, str(flags)]
    world.write(f"/proc/{pid}/stat", f"{pid} ({name}) {' '.join(numbers)} 0")
    world.write(f"/proc/{pid}/cgroup", group)
    if exe:
        world.link(f"/proc/{pid}/exe", exe)


def test_processes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    own = 8
    monkeypatch.setattr(os, "getpid", lambda: own)
    process(
        world,
        own + 1,
        "cron) x",
        group="1:name=systemd:/system.slice/cron.service\n",
        exe="/usr/sbin/cron (deleted)",
    )
    process(world, own + 2, "kworker", flags=snapshot.KERNEL_THREAD)
    process(world, own + 3, "sh", group=f"0::/docker/{'ab' * 32}\n", exe="/bin/sh")
    process(world, own, "python3", parent=own + 4)
    process(world, own + 4, "sudo", parent=1)
    uid = os.getuid()
    found = {key: one["units"] for key, one in keyed(snapshot.processes(world.host)).items()}
    assert found == {
        f"{uid} cron) x /usr/sbin/cron": ["cron.service"],
        f"{uid} sh /bin/sh": [f"container {'ab' * 32}"],
    }


@pytest.mark.parametrize(
    ("group", "unit"),
    [
        ("0::/user.slice/user-0.slice/session-3.scope\n", "user.slice"),
        ("12:pids:/\n1:name=systemd:/system.slice/docker.service\n", "docker.service"),
        (f"0::/machine.slice/libpod-{'0f' * 32}.scope\n", f"container {'0f' * 32}"),
        ("0::/\n", ""),
    ],
)
def test_where_a_process_belongs(group: str, unit: str) -> None:
    assert snapshot.unit_of(group) == unit


TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 77 1
   1: 0100007F:0035 0200007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 78 1
"""
UDP = """\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:C350 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 79 2
"""
UNIX = """\
Num       RefCount Protocol Flags    Type St Inode Path
0000: 00000002 00000000 00010000 0001 01 80 /run/with space.sock
0000: 00000002 00000000 00000000 0001 03 81 /run/connected.sock
"""


def test_sockets(world: World) -> None:
    world.write("/proc/net/tcp", TCP)
    world.write(
        "/proc/net/tcp6",
        TCP.split("\n", maxsplit=1)[0]
        + "\n   0: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 82 1\n",
    )
    world.write("/proc/net/udp", UDP)
    world.write("/proc/net/unix", UNIX)
    process(world, 5, "web", exe="/usr/bin/web")
    for number in (77, 78, 79, 80):
        world.link(f"/proc/5/fd/{number}", f"socket:[{number}]")
    found = {key: one["holders"] for key, one in keyed(snapshot.sockets(world.host)).items()}
    assert found == {
        "tcp 127.0.0.1:8080": ["/usr/bin/web"],
        "tcp [::1]:80": [""],
        "udp 0.0.0.0:given by the kernel to /usr/bin/web": ["/usr/bin/web"],
        "unix /run/with space.sock": ["/usr/bin/web"],
    }
    host = world.host
    host.connected = True
    found = {key: one["holders"] for key, one in keyed(snapshot.sockets(host)).items()}
    assert found["tcp 127.0.0.1:53 -> 127.0.0.2:40000"] == ["5 /usr/bin/web"]


def test_our_own_haproxy_is_told_from_a_shops(world: World) -> None:
    world.write("/proc/net/tcp", TCP)
    for pid, number, file in ((5, 77, "/run/hullmark-proxy/pid"), (6, 78, "/run/haproxy.pid")):
        process(world, pid, "haproxy", exe="/usr/sbin/haproxy")
        world.write(f"/proc/{pid}/cmdline", f"haproxy\0-W\0-p\0{file}\0")
        world.link(f"/proc/{pid}/fd/3", f"socket:[{number}]")
    assert snapshot.socket_holders(world.host) == {
        "77": "/usr/sbin/haproxy of hullmark-proxy",
        "78": "/usr/sbin/haproxy",
    }


RULESET = """\
# Warning: table ip filter is managed by iptables-nft, do not touch!
table ip filter {
\tset banned {
\t\ttype ipv4_addr
\t\telements = { 198.51.100.7 timeout 10m expires 9m58s,
\t\t\t     198.51.100.8 }
\t}

\tchain INPUT {
\t\ttype filter hook input priority filter; policy accept;
\t\ttcp dport 22 counter packets 12 bytes 3456 accept
\t}
}
"""


def test_the_firewall_without_what_counts() -> None:
    assert list(snapshot.chains(RULESET)) == [
        ("table ip filter", []),
        (
            "table ip filter set banned",
            ["type ipv4_addr", "elements = { 198.51.100.7 timeout 10m,", "198.51.100.8 }"],
        ),
        (
            "table ip filter chain INPUT",
            [
                "type filter hook input priority filter; policy accept;",
                "tcp dport 22 counter accept",
            ],
        ),
    ]


def test_the_firewall_of_iptables() -> None:
    saved = "*filter\n:INPUT ACCEPT [12:34]\n:WEB - [0:0]\n-A INPUT -p tcp -j WEB\nCOMMIT\n"
    host = Host()
    assert [(one["key"], one["lines"]) for one in snapshot.tables(host, "iptables", saved)] == [
        ("iptables filter INPUT", [":INPUT ACCEPT", "-A INPUT -p tcp -j WEB"]),
        ("iptables filter WEB", [":WEB -"]),
    ]
    assert host.by == ["iptables"]


def test_audit(world: World) -> None:
    world.link("/proc/9/exe", "/usr/sbin/auditd")
    world.says = {
        "auditctl -s": "enabled 1\nfailure 1\npid 9\nbacklog_limit 8192\nlost 0\nbacklog 4\nloginuid_immutable 0 unlocked\n",
        "auditctl -l": "-w /etc/passwd -p wa\n-a always,exit -F arch=b64\n",
    }
    found = keyed(snapshot.audit(world.host))
    assert found["daemon"]["program"] == "/usr/sbin/auditd"
    assert found["rules"]["lines"] == ["-w /etc/passwd -p wa", "-a always,exit -F arch=b64"]
    assert found["lost"]["value"] == "0"
    assert "backlog" not in found
    assert "pid" not in found


def test_settings_but_secrets_and_what_only_writing_does(world: World) -> None:
    world.write("/proc/sys/net/ipv6/conf/all/stable_secret", "secret")
    world.write("/proc/sys/vm/compact_memory", "", 0o200)
    found = keyed(snapshot.settings(world.host))
    assert {key: one["value"] for key, one in found.items()} == {
        "net/ipv4/ip_local_port_range": "32768 60999"
    }


def test_network(world: World) -> None:
    address = [{"ifname": "eth0", "addr_info": [{"local": "10.0.0.5", "prefixlen": 24}]}]
    route = [{"dst": "default", "gateway": "10.0.0.1", "dev": "eth0"}]
    world.says = {"ip -j address show": json.dumps(address)}
    for family, routes in (("-4", route), ("-6", [])):
        world.says[f"ip -j {family} route show table all"] = json.dumps(routes)
        world.says[f"ip -j {family} rule show"] = "[]"
    assert list(keyed(snapshot.network(world.host))) == [
        "interface eth0",
        "address 10.0.0.5/24 dev eth0",
        "route -4 default gateway 10.0.0.1 dev eth0",
    ]


def test_what_could_not_be_looked_at_is_named(world: World) -> None:
    looks = {one["key"]: one for one in snapshot.sections(world.host) if one["kind"] == "look"}
    assert set(looks) == set(snapshot.SECTIONS)
    assert looks["network"]["seen"] is looks["firewall"]["seen"] is False
    assert looks["firewall"]["by"] == []
    assert looks["process"]["why"] == ["/proc shows no process"]
    assert looks["network"]["why"] == ["ip is not installed"]
    assert looks["account"]["seen"] is True


def test_a_program_that_fails_or_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(command: list[str], **_: Any) -> subprocess.CompletedProcess[bytes]:
        return subprocess.CompletedProcess(command, 1, b"", b"warning\nno permission\n")

    def hang(command: list[str], **_: Any) -> subprocess.CompletedProcess[bytes]:
        raise subprocess.TimeoutExpired(command, 60)

    monkeypatch.setattr(shutil, "which", lambda name, path: f"/usr/sbin/{name}")
    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(Unseen, match="nft list ruleset: exit code 1: no permission"):
        snapshot.run("nft", "list", "ruleset")
    monkeypatch.setattr(subprocess, "run", hang)
    with pytest.raises(Unseen, match="timed out"):
        snapshot.run("nft", "list", "ruleset")


@pytest.mark.parametrize("name", ["before.json", "before.json.gz"])
def test_a_picture_is_written_whole_and_the_same_each_time(
    world: World, tmp_path: Path, name: str
) -> None:
    world.write("/etc/motd", "x")
    path = tmp_path / name
    told: list[int] = []
    number, looks = snapshot.record(path, world.host, told.append)
    assert told == list(range(number + 2)), "the head, each record, the end"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (path.read_bytes()[:2] == b"\x1f\x8b") == name.endswith(".gz")
    first = read(str(path))
    assert len(first) == number
    assert [one["key"] for one in looks] == sorted(snapshot.SECTIONS)
    with pytest.raises(FileExistsError, match="can't be taken again"):
        snapshot.record(path, world.host)
    assert read(str(path)) == first
    path.unlink()
    again, _ = snapshot.record(path, world.host)
    assert read(str(path)) == first
    assert again == number
    assert sorted(one.name for one in tmp_path.iterdir()) == [name, "host"]


def test_of_a_picture_that_can_not_be_written_nothing_is_left(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "before.json"

    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(snapshot, "write", full)
    with pytest.raises(OSError, match="No space"):
        snapshot.record(path, world.host)
    assert [one.name for one in tmp_path.iterdir()] == ["host"]


def test_it_is_one_file_of_the_standard_library() -> None:
    tree = ast.parse(Path(snapshot.__file__).read_text())
    found = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [one.name for one in node.names]
        )
    }
    assert len(found) > 10
    assert not found & {"hullmark", "", "psutil", "requests", "docker", "click"}


def test_without_root_programs_of_others_are_not_seen(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    process(world, 5, "cron")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    host = world.host
    assert [one["key"] for one in snapshot.processes(host)] == [f"{os.getuid()} cron "]
    assert host.notes == ["the programs of 1 of the processes: this takes root"]
