"""Each Compose key that is honoured, seen from inside a running container; where a container can't tell, from its
process on the host. From the text of a Compose file on, on every engine.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from hullmark.errors import Refused
from hullmark.model.app import Healthcheck
from hullmark.model.observed import Health
from tests.cluster import free_port, wait_until
from tests.integration.namespaces import HOST_ADDRESS
from tests.integration.shipyard import IMAGE, Yard

SLEEP = "[sleep, infinity]"


def service(*keys: str) -> str:
    """A Compose file with one service, `web`, that sleeps."""
    lines = [f"image: IMAGE\n    command: {SLEEP}", *keys]
    return "services:\n  web:\n    " + "\n    ".join(lines) + "\n"


def status(yard: Yard, container_id: str) -> dict[str, str]:
    """/proc/PID/status of the container's first process."""
    lines = yard.proc(container_id, "status").splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def namespace(pid: object, kind: str) -> str:
    return str(Path(f"/proc/{pid}/ns/{kind}").readlink())


def cgroup_value(yard: Yard, container_id: str, controller: str, name: str) -> str:
    """A file of the container's cgroup, version 1 or 2."""
    for line in yard.proc(container_id, "cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return Path(f"/sys/fs/cgroup/{controller}{path}/{name}").read_text().strip()
    raise AssertionError(f"no cgroup of {controller}")


# -- what runs


def test_command_entrypoint_and_environment(yard: Yard) -> None:
    (yard.folder / "web.env").write_text("FROM_FILE=yes\nCOLOUR=red\n")
    container_id = yard.up(
        """
services:
  web:
    image: IMAGE
    entrypoint: [sh, -c]
    command: ['echo "$$0 $$COLOUR" > /tmp/said; exec sleep 600', "a word"]
    environment:
      COLOUR: blue
      EMPTY: ""
      SPACED: "a  b=c"
    env_file: web.env
"""
    )
    wait_until(lambda: yard.sh(container_id, "cat /tmp/said || true") == "a word blue", "the words")
    variables = yard.proc(container_id, "environ").split("\0")
    assert {"COLOUR=blue", "EMPTY=", "SPACED=a  b=c", "FROM_FILE=yes"} <= set(variables)


def test_an_empty_entrypoint_clears_the_images(yard: Yard) -> None:
    yard.daemon.load_image(IMAGE + "-entry", {"Entrypoint": ["/bin/false"]})
    for written in ("entrypoint: []", "entrypoint: ['']"):
        container_id = yard.up(service(written).replace("IMAGE", "IMAGE-entry"))
        assert yard.proc(container_id, "cmdline").split("\0")[:2] == ["sleep", "infinity"]


def test_what_is_not_said_is_as_the_image_says(yard: Yard) -> None:
    yard.daemon.load_image(
        IMAGE + "-own",
        {"User": "app", "WorkingDir": "/www", "Env": ["PATH=/bin", "OWN=1"], "StopSignal": "USR2"},
    )
    container_id = yard.up("services: {web: {image: IMAGE-own}}")
    assert status(yard, container_id)["Uid"].split()[0] == "1000"
    assert yard.sh(container_id, "pwd") == "/www"
    assert "OWN=1" in yard.proc(container_id, "environ")
    assert "/bin/serve" in yard.proc(container_id, "cmdline")


def test_who_and_where(yard: Yard) -> None:
    container_id = yard.up(
        service(
            "user: '1000:65534'",
            "group_add: ['2000', '2001']",
            "working_dir: /www/cgi-bin",
            "hostname: mast",
            "labels: {kind: tall, 'io.example.n': '3'}",
            "oom_score_adj: 250",
        )
    )
    found = status(yard, container_id)
    assert (found["Uid"].split()[0], found["Gid"].split()[0]) == ("1000", "65534")
    assert {"2000", "2001"} <= set(found["Groups"].split())
    assert yard.sh(container_id, "pwd; hostname") == "/www/cgi-bin\nmast"
    assert yard.proc(container_id, "oom_score_adj").strip() == "250"
    labels = yard.sdk.containers.get(container_id).labels
    assert (labels["kind"], labels["io.example.n"]) == ("tall", "3")


def refused_by(yard: Yard, engine: str, match: str) -> contextlib.AbstractContextManager[object]:
    """For what one of the engines can't do: it has to say so, and the other has to do it."""
    if yard.engine.info().name != engine:
        return contextlib.nullcontext()
    return pytest.raises(Refused, match=match)


def test_domain_name(yard: Yard) -> None:
    with refused_by(yard, "podman", "domainname: Podman sets none"):
        container_id = yard.up(service("domainname: ship.example"))
        assert yard.sh(container_id, "cat /proc/sys/kernel/domainname") == "ship.example"


def test_a_private_cgroup_namespace(yard: Yard) -> None:
    with refused_by(yard, "podman", "cgroup private: .* cgroups version 2 only"):
        container_id = yard.up(service("cgroup: private"))
        assert namespace(yard.pid(container_id), "cgroup") != namespace(yard.daemon.pid, "cgroup")


def test_terminal_and_input(yard: Yard) -> None:
    container_id = yard.up(service("tty: true", "stdin_open: true"))
    assert "/dev/pts/" in yard.sh(container_id, "readlink /proc/1/fd/0")
    plain = yard.up(service())
    assert "/dev/null" in yard.sh(plain, "readlink /proc/1/fd/0")


def test_open_input_without_a_terminal(yard: Yard) -> None:
    container_id = yard.up(service("stdin_open: true"))
    assert "pipe" in yard.sh(container_id, "readlink /proc/1/fd/0")


def test_init(yard: Yard) -> None:
    container_id = yard.up(service("init: true"))
    assert "sleep" not in yard.proc(container_id, "comm")
    assert "sleep" in yard.sh(container_id, "ps -o args")
    without = yard.up(service("init: false"))
    assert yard.proc(without, "comm").strip() == "sleep"


def test_stop_signal_and_grace(yard: Yard) -> None:
    container_id = yard.up(
        """
services:
  web:
    image: IMAGE
    command: [sh, -c, "trap 'exit 9' QUIT; echo up > /tmp/up; while :; do sleep 0.05; done"]
    stop_signal: SIGQUIT
    stop_grace_period: 1m30s
"""
    )
    wait_until(lambda: yard.sh(container_id, "cat /tmp/up || true"), "the trap")
    yard.engine.stop(container_id)
    assert yard.engine.container(container_id).exit_code == 9
    assert yard.inspect(container_id)["Config"]["StopTimeout"] == 90


def test_restart_is_the_agents_matter(yard: Yard) -> None:
    for policy in ("always", "unless-stopped", "on-failure:3", "'no'"):
        container_id = yard.up(service(f"restart: {policy}").replace(SLEEP, "[sh, -c, 'exit 4']"))
        assert yard.ended(container_id).exit_code == 4
        found = yard.inspect(container_id)
        assert found["HostConfig"]["RestartPolicy"]["Name"] in ("", "no")
        assert found["RestartCount"] == 0


def test_health_check(yard: Yard) -> None:
    container_id = yard.up(
        """
services:
  web:
    image: IMAGE
    healthcheck:
      test: [CMD, sh, -c, 'test "$$(cat /tmp/state)" = "all  well"']
      interval: 500ms
      timeout: 5s
      retries: 2
"""
    )
    yard.sh(container_id, "echo 'all  well' > /tmp/state")
    wait_until(lambda: yard.health(container_id) is Health.HEALTHY, "healthy")
    yard.sh(container_id, "echo bad > /tmp/state")
    wait_until(lambda: yard.health(container_id) is Health.UNHEALTHY, "unhealthy")


def test_health_check_in_the_images_shell_and_switched_off(yard: Yard) -> None:
    ref = IMAGE + "-checked"
    yard.daemon.load_image(ref, {"Healthcheck": {"Test": ["CMD", "false"], "Retries": 1}})
    text = service("healthcheck: {test: 'test -e /bin/sh && true', interval: 500ms}")
    shell = yard.up(text)
    wait_until(lambda: yard.health(shell) is Health.HEALTHY, "healthy")
    for written in ("healthcheck: {disable: true}", "healthcheck: {test: [NONE]}"):
        off = yard.up(service(written).replace("IMAGE", "IMAGE-checked"))
        assert yard.engine.container(off).healthcheck is None
    own = yard.up(
        service("healthcheck: {interval: 500ms, retries: 1}").replace("IMAGE", "IMAGE-checked")
    )
    in_force = yard.engine.container(own).healthcheck
    assert in_force == Healthcheck(("CMD", "false"), 0.5, 30.0, 1)
    wait_until(lambda: yard.health(own) is Health.UNHEALTHY, "the image's own check")


def log_limit(yard: Yard, container_id: str) -> str:
    """The size at which the container's log is cut: Docker tells; Podman tells its monitor, the parent."""
    if yard.engine.info().name == "docker":
        logs = yard.inspect(container_id)["HostConfig"]["LogConfig"]
        return f"{logs['Type']} {logs['Config']['max-file']} x {logs['Config']['max-size']}"
    monitor = Path(f"/proc/{status(yard, container_id)['PPid']}/cmdline").read_text().split("\0")
    return monitor[monitor.index("--log-size-max") + 1]


def test_logging_is_rotated_by_default(yard: Yard) -> None:
    assert log_limit(yard, yard.up(service())) in ("json-file 3 x 10m", "10000000")


def test_logging_options(yard: Yard) -> None:
    container_id = yard.up(
        service("logging: {driver: json-file, options: {max-size: 20k}}").replace(
            SLEEP, "[sh, -c, 'for n in $$(seq 20000); do echo line $$n; done']"
        )
    )
    assert yard.output(container_id)[-1] == "line 20000"
    files = [
        path
        for path in yard.daemon.folder.rglob("*")
        if container_id in str(path) and ".log" in path.name and path.is_file()
    ]
    assert files
    assert sum(path.stat().st_size for path in files) < 80_000


# -- files


@pytest.fixture
def shared(yard: Yard) -> Iterator[Path]:
    """A folder that is a shared mount where the engine runs, as propagation asks for (mount_namespaces(7))."""
    host = yard.folder / "host"
    host.mkdir()
    there = ["nsenter", f"--target={yard.daemon.pid}", "--mount"]
    subprocess.run([*there, "mount", "--bind", str(host), str(host)], check=True)
    subprocess.run([*there, "mount", "--make-shared", str(host)], check=True)
    yield host
    subprocess.run([*there, "umount", "-l", str(host)], check=True)


def test_binds(yard: Yard, shared: Path) -> None:
    host = shared
    (host / "file").write_text("from the host\n")
    container_id = yard.up(
        service(
            f"volumes:\n      - {host}:/rw\n      - {host}:/ro:ro"
            f"\n      - {yard.folder}/made:/made"
            f"\n      - {{type: bind, source: {host}, target: /long, read_only: true,"
            " bind: {create_host_path: false, propagation: rslave}}"
        )
    )
    assert yard.sh(container_id, "cat /rw/file /ro/file /long/file") == "\n".join(
        ["from the host"] * 3
    )
    yard.sh(container_id, "echo in > /rw/new; echo in > /made/new")
    assert (host / "new").read_text() == "in\n"
    assert (yard.folder / "made/new").read_text() == "in\n"
    for target in ("/ro/x", "/long/x"):
        assert "Read-only" in yard.fails(container_id, f"touch {target}")
    mounts = yard.proc(container_id, "mountinfo").splitlines()
    assert any(" /long " in line and "master:" in line for line in mounts)


def test_a_bind_whose_source_has_to_be_there(yard: Yard) -> None:
    text = service(
        "volumes:\n      - {type: bind, source: /no/such/place, target: /x,"
        " bind: {create_host_path: false}}"
    )
    with pytest.raises(Refused, match="/no/such/place does not exist on this host"):
        yard.up(text)


def test_volumes(yard: Yard) -> None:
    yard.daemon.load_image(IMAGE + "-data", files={"/data/seed": b"seed\n"})
    text = (
        service(
            "volumes:\n      - data:/data\n      - data:/again:ro\n      - /scratch"
            "\n      - {type: volume, source: bare, target: /data2, volume: {nocopy: true}}"
        ).replace("IMAGE", "IMAGE-data")
        + "volumes:\n  data: {labels: {kind: books}}\n  bare: {}\n"
    )
    first = yard.up(text)
    assert yard.sh(first, "cat /data/seed") == "seed"
    yard.sh(first, "echo kept > /data/kept; echo lost > /scratch/lost")
    assert "Read-only" in yard.fails(first, "touch /again/x")
    yard.engine.stop(first)
    yard.engine.remove(first)
    second = yard.up(text)
    assert yard.sh(second, "cat /data/kept; ls /scratch") == "kept"
    assert yard.sdk.volumes.get("sea_data").attrs["Labels"]["kind"] == "books"


def test_nocopy(yard: Yard) -> None:
    yard.daemon.load_image(IMAGE + "-data", files={"/data/seed": b"seed\n"})
    text = (
        service("volumes: [{type: volume, source: bare, target: /data, volume: {nocopy: true}}]")
        + "volumes: {bare: {}}\n"
    )
    container_id = yard.up(text.replace("IMAGE", "IMAGE-data"))
    assert yard.sh(container_id, "ls /data") == ""


def test_volume_driver_options(yard: Yard) -> None:
    text = service("volumes: ['small:/small']") + (
        "volumes: {small: {driver: local, driver_opts: {type: tmpfs, device: tmpfs, o: uid=1000}}}\n"
    )
    container_id = yard.up(text)
    assert yard.sh(container_id, "stat -c %u /small; grep -c ' /small tmpfs' /proc/mounts") == (
        "1000\n1"
    )


def test_tmpfs_and_read_only(yard: Yard) -> None:
    container_id = yard.up(
        service(
            "read_only: true",
            "tmpfs: ['/run:size=1m,mode=1770', /tmp]",
            "volumes:\n      - {type: tmpfs, target: /cache, tmpfs: {size: 2097152, mode: 0o750}}",
        )
    )
    assert yard.sh(container_id, "df -k /run | tail -1").split()[1] == "1024"
    assert yard.sh(container_id, "df -k /cache | tail -1").split()[1] == "2048"
    assert yard.sh(container_id, "stat -c %a /run /cache") == "1770\n750"
    yard.sh(container_id, "touch /tmp/x /run/x /cache/x")
    assert "Read-only" in yard.fails(container_id, "touch /x")


def test_configs_and_secrets(yard: Yard) -> None:
    (yard.folder / "web.conf").write_text("shipped\n")
    secret = yard.folder / "secret"
    secret.write_text("of the host\n")
    secret.chmod(0o400)
    container_id = yard.up(
        service(
            "configs: [plain, {source: web, target: /etc/web.conf, uid: '1000', gid: '1001', mode: 0o440}]",
            "secrets: [key, {source: key, target: /etc/other.key}]",
            "volumes: ['./web.conf:/etc/bound.conf']",
        )
        + f"configs: {{web: {{file: web.conf}}, plain: {{content: inline}}}}\n"
        f"secrets: {{key: {{file: {secret}}}}}\n"
    )
    assert yard.sh(container_id, "cat /etc/web.conf /etc/bound.conf /plain") == (
        "shipped\nshipped\ninline"
    )
    assert yard.sh(container_id, "stat -c '%a %u %g' /etc/web.conf /plain") == (
        "440 1000 1001\n444 0 0"
    )
    assert yard.sh(container_id, "cat /run/secrets/key /etc/other.key") == (
        "of the host\nof the host"
    )
    # The host's own file: its mode and owner are those on the host.
    assert yard.sh(container_id, "stat -c '%a %u' /run/secrets/key") == "400 0"
    for path in ("/etc/web.conf", "/run/secrets/key", "/plain"):
        yard.fails(container_id, f"echo x > {path}")


def test_a_secret_that_is_not_there(yard: Yard) -> None:
    text = service("secrets: [key]") + "secrets: {key: {file: /no/such/secret}}\n"
    with pytest.raises(Refused, match="secret key: /no/such/secret is not a file on this host"):
        yard.up(text)


def test_shm_size(yard: Yard) -> None:
    container_id = yard.up(service("shm_size: 32m"))
    assert yard.sh(container_id, "df -k /dev/shm | tail -1").split()[1] == "32768"


# -- rights


def capabilities(yard: Yard, container_id: str) -> int:
    return int(status(yard, container_id)["CapBnd"], 16)


def test_capabilities(yard: Yard) -> None:
    net_raw, net_admin, chown = 1 << 13, 1 << 12, 1 << 0  # linux/capability.h
    usual = capabilities(yard, yard.up(service()))
    assert (usual & net_admin, usual & chown, usual & net_raw) == (0, chown, 0)
    asked = capabilities(yard, yard.up(service("cap_add: [NET_RAW]")))
    assert asked == usual | net_raw
    changed = capabilities(yard, yard.up(service("cap_add: [NET_ADMIN]", "cap_drop: [CAP_CHOWN]")))
    assert changed == usual & ~chown | net_admin
    assert capabilities(yard, yard.up(service("cap_drop: [ALL]", "cap_add: [CHOWN]"))) == chown


def test_privileged(yard: Yard) -> None:
    own = int(Path("/proc/self/status").read_text().partition("CapBnd:")[2].split()[0], 16)
    every = (1 << int(Path("/proc/sys/kernel/cap_last_cap").read_text()) + 1) - 1
    refusal = ""
    try:
        container_id = yard.up(service("privileged: true"))
    except Refused as error:
        refusal = error.message
    if own != every and refusal:
        # Docker asks for every capability there is, and its runc of that time fails where one lacks.
        assert "unable to apply caps" in refusal
        return
    assert refusal == ""
    assert capabilities(yard, container_id) == own
    yard.sh(container_id, "mkdir /mnt && mount -t tmpfs tmpfs /mnt")


def test_security_options(yard: Yard) -> None:
    usual = status(yard, yard.up(service()))
    assert (usual["NoNewPrivs"], usual["Seccomp"]) == ("0", "2")
    options = "security_opt: ['no-new-privileges:true', 'seccomp:unconfined']"
    bound = status(yard, yard.up(service(options)))
    assert (bound["NoNewPrivs"], bound["Seccomp"]) == ("1", "0")
    options = (
        "security_opt: [no-new-privileges, seccomp=unconfined, apparmor=unconfined, label=disable]"
    )
    assert status(yard, yard.up(service(options)))["NoNewPrivs"] == "1"


@pytest.mark.parametrize(
    ("key", "kind"),
    [("pid: host", "pid"), ("ipc: host", "ipc"), ("uts: host", "uts"), ("cgroup: host", "cgroup")],
)
def test_namespaces_of_the_host(yard: Yard, key: str, kind: str) -> None:
    container_id = yard.up(service(key))
    assert namespace(yard.pid(container_id), kind) == namespace(yard.daemon.pid, kind)


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("stop_signal: TERM", "pid"),
        ("ipc: private", "ipc"),
        ("ipc: shareable", "ipc"),
        ("stop_signal: TERM", "uts"),
    ],
)
def test_namespaces_of_its_own(yard: Yard, key: str, kind: str) -> None:
    container_id = yard.up(service(key))
    assert namespace(yard.pid(container_id), kind) != namespace(yard.daemon.pid, kind)


def test_ipc_none_has_no_shared_memory(yard: Yard) -> None:
    container_id = yard.up(service("ipc: none"))
    assert "/dev/shm" not in yard.proc(container_id, "mountinfo")


def test_users_of_the_host(yard: Yard) -> None:
    container_id = yard.up(service("userns_mode: host"))
    assert namespace(yard.pid(container_id), "user") == namespace(yard.daemon.pid, "user")


def test_devices(yard: Yard) -> None:
    # Engines give /dev/full, but no /dev/fuse, to every container.
    usual = yard.up(service("cap_add: [MKNOD]"))
    yard.sh(usual, "mknod /tmp/fuse c 10 229")
    assert "not permitted" in yard.fails(usual, ": < /tmp/fuse")
    readable = yard.up(
        service("devices: ['/dev/fuse:/dev/first:r', {source: /dev/full, target: /dev/hole}]")
    )
    yard.sh(readable, ": < /dev/first")
    assert "not permitted" in yard.fails(readable, ": > /dev/first")
    assert "No space" in yard.fails(readable, "echo x > /dev/hole")
    writable = yard.up(service("devices: [/dev/fuse]"))
    yard.sh(writable, ": > /dev/fuse")


def test_sysctls_and_ulimits(yard: Yard) -> None:
    container_id = yard.up(
        service(
            "sysctls: {net.core.somaxconn: 1234, net.ipv4.ip_local_port_range: '20000 30000'}",
            "ulimits: {nofile: {soft: 512, hard: 1024}, nproc: 333, core: 0}",
        )
    )
    assert yard.sh(container_id, "cat /proc/sys/net/core/somaxconn") == "1234"
    assert yard.sh(container_id, "cat /proc/sys/net/ipv4/ip_local_port_range").split() == [
        "20000",
        "30000",
    ]
    limits = yard.proc(container_id, "limits")
    found = {line[:26].strip(): line[26:].split()[:2] for line in limits.splitlines()}
    assert found["Max open files"] == ["512", "1024"]
    assert found["Max processes"] == ["333", "333"]
    assert found["Max core file size"] == ["0", "0"]


def test_resources(yard: Yard) -> None:
    container_id = yard.up(
        service("deploy: {resources: {limits: {cpus: '0.5', memory: 64M, pids: 50}}}")
    )
    assert cgroup_value(yard, container_id, "memory", "memory.limit_in_bytes") == str(64 << 20)
    quota = int(cgroup_value(yard, container_id, "cpu", "cpu.cfs_quota_us"))
    assert quota / int(cgroup_value(yard, container_id, "cpu", "cpu.cfs_period_us")) == 0.5
    assert cgroup_value(yard, container_id, "pids", "pids.max") == "50"


def test_short_resources(yard: Yard) -> None:
    container_id = yard.up(
        service("mem_limit: 32m", "memswap_limit: 48m", "cpus: 1.5", "pids_limit: 40")
    )
    assert cgroup_value(yard, container_id, "memory", "memory.limit_in_bytes") == str(32 << 20)
    assert cgroup_value(yard, container_id, "pids", "pids.max") == "40"
    quota = int(cgroup_value(yard, container_id, "cpu", "cpu.cfs_quota_us"))
    assert quota / int(cgroup_value(yard, container_id, "cpu", "cpu.cfs_period_us")) == 1.5
    swap = yard.inspect(container_id)["HostConfig"]["MemorySwap"]
    assert swap == 48 << 20


def test_platform(yard: Yard) -> None:
    own = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    container_id = yard.up(service(f"platform: linux/{own}"))
    assert yard.sh(container_id, "uname -m") == os.uname().machine


def test_an_image_of_another_platform_is_refused(yard: Yard) -> None:
    other = "arm64" if os.uname().machine == "x86_64" else "amd64"
    with pytest.raises(Refused, match="platform"):
        yard.up(service(f"platform: linux/{other}"))


# -- names and networks


def test_name_resolution(yard: Yard) -> None:
    container_id = yard.up(
        service(
            "network_mode: bridge",
            "dns: [192.0.2.53]",
            "dns_search: [ship.example]",
            "dns_opt: ['ndots:3', use-vc]",
            "extra_hosts: ['buoy:192.0.2.9', 'light:192.0.2.10']",
        )
    )
    found = yard.sh(container_id, "cat /etc/resolv.conf").splitlines()
    assert [line for line in found if line.startswith("nameserver")] == ["nameserver 192.0.2.53"]
    assert "search ship.example" in found
    (options,) = [line for line in found if line.startswith("options")]
    assert {"ndots:3", "use-vc"} <= set(options.split())
    hosts = [line.split()[:2] for line in yard.sh(container_id, "cat /etc/hosts").splitlines()]
    assert ["192.0.2.9", "buoy"] in hosts
    assert ["192.0.2.10", "light"] in hosts


@contextlib.contextmanager
def name_server(address: str) -> Iterator[list[str]]:
    """Answers every question for an IPv4 address with 192.0.2.77 (RFC 1035, section 4); the names asked for."""
    asked: list[str] = []

    def answer() -> None:
        with contextlib.suppress(OSError):
            while True:
                question, client = server.recvfrom(512)
                labels, at = [], 12
                while question[at]:
                    labels.append(question[at + 1 : at + 1 + question[at]].decode())
                    at += 1 + question[at]
                asked.append(".".join(labels))
                is_a = question[at + 1 : at + 3] == b"\0\1"
                record = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + bytes([192, 0, 2, 77]) if is_a else b""
                head = question[:2] + b"\x81\x80\0\1" + (b"\0\1" if is_a else b"\0\0") + bytes(4)
                server.sendto(head + question[12 : at + 5] + record, client)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((address, 53))
        threading.Thread(target=answer, daemon=True).start()
        yield asked


def test_a_name_server_of_its_own_and_services_by_name(yard: Yard) -> None:
    text = """
services:
  web: {image: IMAGE}
  asks: {image: IMAGE, command: [sleep, infinity], dns: [192.0.2.1]}
"""
    yard.up(text, "web")
    with refused_by(yard, "podman", "dns: with name servers of its own"):
        container_id = yard.up(text, "asks")
        with name_server(HOST_ADDRESS) as asked:
            assert "192.0.2.77" in yard.sh(container_id, "nslookup -type=a far.example 2>&1")
            assert "far.example" in asked
        assert len(fetch(yard, container_id, "http://web:8080/")) == 12


def fetch(yard: Yard, container_id: str, url: str) -> str:
    """What a container gets from a URL: tried for a while, as the server may be starting."""
    script = (
        f"for n in 1 2 3 4 5 6 7 8; do timeout 2 wget -qO- {url} && exit; sleep 0.3; done; exit 1"
    )
    return yard.sh(container_id, script)


def test_services_find_each_other_by_name_and_alias(yard: Yard) -> None:
    text = """
services:
  web:
    image: IMAGE
    networks: {front: {aliases: [mast, sail.example]}, back: {}}
  near: {image: IMAGE, networks: [front]}
  far: {image: IMAGE, networks: [back]}
  apart: {image: IMAGE, networks: [other]}
networks: {front: {}, back: {}, other: {}}
"""
    web = yard.up(text, "web")
    name = yard.sh(web, "hostname")
    near, far, apart = (yard.up(text, each) for each in ("near", "far", "apart"))
    for url in ("http://web:8080/", "http://mast:8080/", "http://sail.example:8080/"):
        assert fetch(yard, near, url) == name
    assert fetch(yard, far, "http://web:8080/") == name
    assert yard.sh(web, "ls /sys/class/net | grep -c eth") == "2"
    yard.fails(far, "timeout 5 nslookup mast")
    yard.fails(apart, "timeout 5 nslookup web")
    for address in yard.engine.container(web).addresses.values():
        yard.fails(apart, f"timeout 2 wget -qO- http://{address}:8080/")


def test_two_apps_do_not_reach_each_other(yard: Yard) -> None:
    text = "services: {web: {image: IMAGE, cap_add: [NET_RAW]}}"  # what ping needs
    mine, theirs = yard.up(text, name="mine"), yard.up(text, name="theirs")
    wait_until(lambda: yard.sh(theirs, "cat /tmp/index.html || true"), "their server")
    (address,) = yard.engine.container(theirs).addresses.values()
    fetch(yard, theirs, f"http://{address}:8080/")
    yard.sh(theirs, f"ping -c 1 -W 1 {address}")
    yard.fails(mine, f"timeout 2 wget -qO- http://{address}:8080/")
    yard.fails(mine, f"ping -c 1 -W 1 {address}")


def test_a_fixed_address_and_a_gateway(yard: Yard) -> None:
    prefix = yard.daemon.workspace.addresses.partition(".0.0/")[0]
    text = f"""
services:
  web:
    image: IMAGE
    networks: {{front: {{ipv4_address: {prefix}.200.77, mac_address: '02:42:ac:11:65:43'}}}}
networks:
  front:
    ipam: {{config: [{{subnet: {prefix}.200.0/24, gateway: {prefix}.200.9}}]}}
    labels: {{kind: front}}
"""
    container_id = yard.up(text)
    assert f"{prefix}.200.77/24" in yard.sh(container_id, "ip -4 address show eth0")
    assert yard.sh(container_id, "cat /sys/class/net/eth0/address") == "02:42:ac:11:65:43"
    assert f"via {prefix}.200.9" in yard.sh(container_id, "ip route show default")
    assert yard.sdk.networks.get("sea_front").attrs["Labels"]["kind"] == "front"


@contextlib.contextmanager
def neighbour(address: str) -> Iterator[None]:
    """Another machine on `lan0`, which sends what it has to say through this one."""
    holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
    try:
        mine = str(Path("/proc/self/ns/net").readlink())
        wait_until(lambda: namespace(holder.pid, "net") != mine, "its network namespace")
        there = ["nsenter", f"--target={holder.pid}", "--net", "ip"]
        link = f"link add nb0 master lan0 type veth peer name nb1 netns {holder.pid}"
        for command in (["ip", *link.split()], ["ip", "link", "set", "nb0", "up"]):
            subprocess.run(command, check=True)
        for text in (
            f"address add {address}/24 dev nb1",
            "link set nb1 up",
            f"route add default via {HOST_ADDRESS}",
        ):
            subprocess.run([*there, *text.split()], check=True)
        yield
    finally:
        holder.kill()
        holder.wait()


def test_an_internal_network_has_no_way_out(yard: Yard) -> None:
    raw = "cap_add: [NET_RAW]"  # what ping needs, and Podman gives to nobody unasked from 5.0 on
    text = service("networks: [front]", raw) + "networks: {front: {internal: true}}\n"
    inside, outside = yard.up(text), yard.up(service(raw), name="other")
    with neighbour("192.0.2.2"):
        wait_until(lambda: yard.sh(outside, "ping -c 1 -W 1 192.0.2.2 || true"), "the neighbour")
        yard.sh(outside, "ping -c 1 -W 2 192.0.2.2")
        yard.fails(inside, "ping -c 1 -W 1 192.0.2.2")


def test_network_driver_options(yard: Yard) -> None:
    text = service("networks: [front]") + (
        "networks: {front: {driver_opts: {com.docker.network.driver.mtu: '1400'}}}\n"
    )
    assert yard.sh(yard.up(text), "cat /sys/class/net/eth0/mtu") == "1400"


def test_network_modes(yard: Yard) -> None:
    host = yard.up(service("network_mode: host"))
    assert namespace(yard.pid(host), "net") == namespace(yard.daemon.pid, "net")
    none = yard.up(service("network_mode: none"))
    assert yard.sh(none, "ls /sys/class/net").split() == ["lo"]
    bridge = yard.up(service("network_mode: bridge"))
    assert set(yard.sh(bridge, "ls /sys/class/net").split()) == {"lo", "eth0"}
    assert yard.sdk.networks.list(names=["sea_default"]) == []


def get(host: str, port: int) -> str:
    with urllib.request.urlopen(f"http://{host}:{port}/", timeout=3) as answer:
        return answer.read().decode().strip()


def answers(host: str, port: int, name: str) -> None:
    def look() -> bool:
        try:
            return get(host, port) == name
        except OSError:
            return False

    wait_until(look, f"{host}:{port} answers")


def test_published_ports(yard: Yard) -> None:
    everywhere, here = free_port(), free_port()
    text = f"""
services:
  web:
    image: IMAGE
    ports: ["{everywhere}-{everywhere + 3}:8080", "127.0.0.1:{here}:8080", "8080"]
    expose: ["9000", 9001/udp]
"""
    container_id = yard.up(text)
    name = yard.sh(container_id, "hostname")
    for host in ("127.0.0.1", HOST_ADDRESS):
        answers(host, everywhere, name)
    answers("127.0.0.1", here, name)
    with pytest.raises(urllib.error.URLError):
        get(HOST_ADDRESS, here)
    found = yard.engine.container(container_id).ports
    chosen = [port.published for port in found if port.published not in (everywhere, here)]
    assert len(chosen) == 1
    answers(HOST_ADDRESS, chosen[0], name)
    assert {"9000/tcp", "9001/udp"} <= set(yard.inspect(container_id)["Config"]["ExposedPorts"])


def test_a_published_udp_port(yard: Yard) -> None:
    port = free_port()
    entry = f"{{target: 5000, published: {port}, protocol: udp, mode: host}}"
    container_id = yard.up(service(f"ports: [{entry}]"))

    def arrived() -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"ahoy", (HOST_ADDRESS, port))
        # Datagrams for a port that nobody has opened: NoPorts of proc(5)'s net/snmp.
        return int(yard.sh(container_id, "awk '/^Udp: [0-9]/ {print $3}' /proc/net/snmp")) > 0

    wait_until(arrived, "a datagram in the container")


def test_a_published_port_that_is_taken(yard: Yard) -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Refused, match=str(port)):
            yard.up(f"services: {{web: {{image: IMAGE, ports: ['{port}:8080']}}}}")
