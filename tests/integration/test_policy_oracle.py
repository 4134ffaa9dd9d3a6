"""Any service against any policy, on a real engine: whatever was made and started all the same is looked at by the kernel's and
the engine's own words, and has nothing that its policy forbids. Who judges there shares no line with who judged before."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hullmark.errors import HullmarkError
from hullmark.model.app import ContainerSpec, Mount, MountKind, Resources
from tests.integration.shipyard import single
from tests.integration.test_policy_engine import WEB, Host, ground, host  # noqa: F401

SLEEPS = replace(WEB, command=("sleep", "60"))
PATHS = ("data", "link", "data/../../../../etc", "data/out", "theirs/data", "new")
RULES = {
    "pid": "host_namespaces: []",
    "raw": "capabilities: {add: [CHOWN]}",
    "device": "devices: []",
    "mount": "mounts: {read: [GROUND/data], write: []}",
    "root": "user: {root: false}",
    "writable": "read_only_root: true",
    "memory": "limits: {memory: 64MiB}",
    "gains": "no_new_privileges: true",
}
EXAMPLES = {"docker": 30, "podman": 5}
"""Podman takes ten times as long for each."""
ROOT = ("", "0", "root", "0:5", "00")


@st.composite
def specs(draw: Any) -> ContainerSpec:
    def some(*values: Any) -> Any:
        return draw(st.sampled_from(values))

    mounts: tuple[Mount, ...] = ()
    if draw(st.booleans()):
        write, create = draw(st.booleans()), draw(st.booleans())
        source = f"GROUND/{some(*PATHS)}"
        mounts = (
            Mount(MountKind.BIND, "/there", source, read_only=not write, create_host_path=create),
        )
    return replace(
        SLEEPS,
        pid=some("", "host"),
        cap_add=some((), ("NET_RAW",), ("cap_sys_admin",), ("CHOWN",)),
        devices=some((), ("/dev/full",)),
        user=some("1000:1000", *ROOT),
        read_only=some(False, True),
        limits=Resources(memory_bytes=some(0, 32 << 20, 512 << 20)),
        security_opt=some((), ("no-new-privileges:true",)),
        mounts=mounts,
    )


def placed(spec: ContainerSpec, folder: Path) -> ContainerSpec:
    mounts = tuple(
        replace(one, source=one.source.replace("GROUND", str(folder))) for one in spec.mounts
    )
    return replace(spec, mounts=mounts)


def faults(host: Host, container_id: str) -> set[str]:  # noqa: F811
    """Which of the rules it breaks, by /proc of its process, and by inspect where the kernel doesn't tell."""
    found = host.yard.inspect(container_id)
    lines = (line.split(":", 1) for line in host.yard.proc(container_id, "status").splitlines())
    status = {name: value.split() for name, value in lines}
    own = Path("/proc/self/ns/pid").readlink()
    capabilities = int(status["CapBnd"][0], 16)
    mounted = host.yard.proc(container_id, "mountinfo").splitlines()
    there = [line.split() for line in mounted if line.split()[4] == "/there"]
    root_mount = next(line.split() for line in mounted if line.split()[4] == "/")
    etc = Path("/etc/passwd").stat().st_ino
    sees = Path(f"/proc/{host.yard.pid(container_id)}/root/there/passwd")
    memory = found["HostConfig"].get("Memory") or 0
    broken = {
        "pid": Path(f"/proc/{host.yard.pid(container_id)}/ns/pid").readlink() == own,
        "raw": bool(capabilities & (1 << 13 | 1 << 21)),
        "device": bool(found["HostConfig"].get("Devices")),
        "mount": any("rw" in line[5].split(",") for line in there)
        or (sees.exists() and sees.stat().st_ino == etc),
        "root": status["Uid"][0] == "0",
        "writable": "rw" in root_mount[5].split(","),
        "memory": not 0 < memory <= 64 << 20,
        "gains": status["NoNewPrivs"] == ["0"],
    }
    return {name for name, is_broken in broken.items() if is_broken}


def prepare(folder: Path) -> None:
    (folder / "theirs/data").mkdir(parents=True)
    (folder / "theirs").chmod(0o1777)
    (folder / "link").symlink_to("/etc")
    (folder / "data/out").symlink_to("../../../etc")


def test_what_runs_breaks_no_rule(host: Host) -> None:  # noqa: F811
    prepare(host.ground)
    outcomes: list[bool] = []

    @settings(
        max_examples=EXAMPLES[host.yard.daemon.name],
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(specs(), st.sets(st.sampled_from(sorted(RULES)), max_size=3))
    def attempt(spec: ContainerSpec, rules: set[str]) -> None:
        host.policy("\n".join(RULES[name] for name in sorted(rules)) + "\n{}" * (not rules) + "\n")
        made, container_id = single("shop", placed(spec, host.ground)), ""
        with contextlib.suppress(HullmarkError):
            container_id = host.yard.create(made)
            host.yard.engine.start(container_id)
        runs = bool(container_id) and host.yard.inspect(container_id)["State"]["Running"]
        outcomes.append(runs)
        if runs:
            assert not faults(host, container_id) & rules
            host.yard.daemon.client().containers.get(container_id).kill()

    attempt()
    assert {True, False} <= set(outcomes), "some were let through, and some were not"


def test_the_oracle_sees_every_rule_broken(host: Host) -> None:  # noqa: F811
    """Without a policy: it would see what was let through."""
    prepare(host.ground)
    mount = Mount(MountKind.BIND, "/there", str(host.ground / "link"))
    evil = replace(
        SLEEPS, pid="host", cap_add=("NET_RAW",), devices=("/dev/full",), mounts=(mount,)
    )
    container_id = host.open_yard.run(single("shop", evil))
    assert faults(host, container_id) == set(RULES)
