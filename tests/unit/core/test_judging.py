"""The judgement of creations: what a tampered master may put into an order, in every spelling that engines read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hullmark.core import judging
from hullmark.model.app import Attachment, Bundle, Mount, MountKind, Network, Volume
from hullmark.model.orders import PublishedPort
from hullmark.model.policy import (
    Exemption,
    ImageSight,
    NetworkSight,
    PathSight,
    Rule,
    Sights,
    VolumeSight,
)
from tests.effort import at_most
from tests.unit.core.policyworld import (
    BUNDLE,
    DIGEST,
    ENGINES,
    FILE,
    GOOD,
    PORTS,
    STRICT,
    body,
    policy,
    refused,
    sights,
)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("rules", [{}, STRICT], ids=["no policy", "strict"])
def test_a_good_container_passes(engine: str, rules: dict[str, object]) -> None:
    assert refused(body(engine=engine), rules, engine) == []


def bind(source: str, *, short: bool = False, **changes: Any) -> dict[str, Any]:
    mount = Mount(MountKind.BIND, "/x", source, create_host_path=short)
    return {"mounts": (replace(mount, **changes),)}


SPECS: list[tuple[str, dict[str, Any]]] = [
    ("privileged", {"privileged": True}),
    # -- namespaces
    ("host_namespaces", {"network_mode": "host", "networks": ()}),
    ("host_namespaces", {"pid": "host"}),
    ("host_namespaces", {"ipc": "host"}),
    ("host_namespaces", {"uts": "host"}),
    ("host_namespaces", {"userns_mode": "host"}),
    ("host_namespaces", {"cgroup": "host"}),
    ("join_namespaces", {"network_mode": "container:other", "networks": ()}),
    ("join_namespaces", {"pid": "container:other"}),
    ("join_namespaces", {"ipc": "container:other"}),
    ("request", {"network_mode": "ns:/proc/1/ns/net", "networks": ()}),
    ("request", {"network_mode": "service:db", "networks": ()}),
    ("request", {"network_mode": "slirp4netns:allow_host_loopback=true", "networks": ()}),
    ("request", {"network_mode": "pasta", "networks": ()}),
    ("request", {"network_mode": "shop_default,edge", "networks": ()}),
    ("request", {"network_mode": "HOST", "networks": ()}),
    ("request", {"pid": "ns:/proc/1/ns/pid"}),
    ("request", {"ipc": "ns:/proc/1/ns/ipc"}),
    ("request", {"uts": "Host"}),
    ("request", {"cgroup": "ns:/proc/1/ns/cgroup"}),
    ("request", {"userns_mode": "auto:uidmapping=0:0:1"}),
    ("request", {"userns_mode": "keep-id:uid=0"}),
    ("request", {"userns_mode": "ns:/proc/1/ns/user"}),
    ("networks.external", {"network_mode": "bridge", "networks": ()}),
    ("networks.external", {"network_mode": "default", "networks": ()}),
    # -- capabilities
    ("capabilities.add", {"cap_add": ("SYS_ADMIN",)}),
    ("capabilities.add", {"cap_add": ("CAP_SYS_ADMIN",)}),
    ("capabilities.add", {"cap_add": ("cap_sys_admin",)}),
    ("capabilities.add", {"cap_add": ("Sys_Admin",)}),
    ("capabilities.add", {"cap_add": ("ALL",), "cap_drop": ("ALL",)}),
    ("capabilities.add", {"cap_add": ("all",), "cap_drop": ("NET_RAW",)}),
    ("capabilities.add", {"cap_add": ("NET_RAW",), "cap_drop": ("ALL",)}),
    ("capabilities.drop", {"cap_drop": ("NET_RAW",)}),
    ("capabilities.drop", {"cap_drop": ("CHOWN", "MKNOD")}),
    # -- confinement
    ("no_new_privileges", {"security_opt": ()}),
    ("no_new_privileges", {"security_opt": ("no-new-privileges:false",)}),
    ("no_new_privileges", {"security_opt": ("no-new-privileges=false",)}),
    ("request", {"security_opt": ("no-new-privileges", "no-new-privileges:false")}),
    ("request", {"security_opt": ("no-new-privileges:0",)}),
    ("request", {"security_opt": ("no-new-privileges", "writable-cgroups=true")}),
    ("request", {"security_opt": ("no-new-privileges", "proc-opts=hidepid=0")}),
    ("request", {"security_opt": ("no-new-privileges", "Seccomp=unconfined")}),
    ("seccomp", {"security_opt": ("no-new-privileges", "seccomp=unconfined")}),
    ("seccomp", {"security_opt": ("no-new-privileges", "seccomp:unconfined")}),
    ("seccomp", {"security_opt": ("no-new-privileges", "seccomp={}")}),
    ("apparmor", {"security_opt": ("no-new-privileges", "apparmor=unconfined")}),
    ("apparmor", {"security_opt": ("no-new-privileges", "apparmor:unconfined")}),
    ("selinux", {"security_opt": ("no-new-privileges", "label=disable")}),
    ("selinux", {"security_opt": ("no-new-privileges", "label:type:spc_t")}),
    ("system_paths", {"security_opt": ("no-new-privileges", "systempaths=unconfined")}),
    ("system_paths", {"security_opt": ("no-new-privileges", "unmask=ALL")}),
    ("read_only_root", {"read_only": False}),
    # -- users
    *(("user.root", {"user": text}) for text in ("0", "root", "0:1000", "root:1000", "toor:5")),
    *(
        ("request", {"user": text})
        for text in ("00:1", "+0:1", "-0:1", "0x0:1", "4294967296:1", " 0:1", "1_0:1", "1:1:0")
    ),
    ("user.root_group", {"user": "1000"}),
    ("user.root_group", {"user": "1000:"}),
    ("user.root_group", {"user": "1000:0"}),
    ("user.root_group", {"user": "1000:root"}),
    ("user.root_group", {"user": "1000:00"}),
    ("user.root_group", {"user": "1000:wheel"}),
    ("user.root_group", {"group_add": ("0",)}),
    ("user.root_group", {"group_add": ("root",)}),
    ("user.names", {"user": "app:1000"}),
    ("request", {"group_add": ("keep-groups",)}),
    # -- mounts
    ("mounts.read", bind("/etc", read_only=True)),
    ("mounts.read", bind("/srv/reader", read_only=True, short=True)),
    ("mounts.write", bind("/srv/read")),
    ("mounts.write", bind("/srv/read", short=True, read_only=True, selinux="Z")),
    ("mounts.write", bind("/srv/read", short=True, read_only=True, selinux="z")),
    ("mounts.propagation", bind("/srv/write", propagation="rshared")),
    ("mounts.propagation", bind("/srv/write", short=True, propagation="shared")),
    ("engine_socket", bind("/run/docker.sock", read_only=True)),
    ("engine_socket", bind("/run", read_only=True)),
    ("engine_socket", bind("/", read_only=True)),
    ("engine_socket", bind("/run/podman", short=True)),
    ("engine_socket", bind("/run/other")),
    ("engine_socket", bind("/mnt/elsewhere/docker.sock")),
    ("mounts.guarded", bind("/var/lib")),
    ("mounts.guarded", bind("/etc/hullmark/policy.d")),
    ("mounts.guarded", bind("/var/lib/hullmark/agent/host.key", read_only=True)),
    ("mounts.guarded", bind("/var/lib/docker/volumes/other/_data")),
    ("request", bind("/srv/write/../../etc")),
    ("request", bind("/proc/1/root/srv/write")),
    ("request", bind("/proc/self/cwd")),
    ("request", bind("//proc/1/root")),
    ("request", bind("/dev/fd/7")),
    ("request", bind("etc")),
    ("request", bind("etc/passwd", short=True)),
    ("request", bind("/etc:/srv/write", short=True)),
    ("request", bind("/srv/write", short=True, target="/x:shared")),
    ("request", bind("/srv/write", short=True, target="")),
    ("request", bind("/srv/write", short=True, propagation="rshared,exec")),
    ("request", bind("/srv/write", short=True, propagation="rprivate,shared")),
    ("request", bind("/srv/write", short=True, selinux="U")),
    ("request", bind("/srv/write", short=True, selinux="O,upperdir=/etc")),
    ("request", bind("/srv/write", target="/proc/self/fd/7")),
    ("request", bind("/srv/write", propagation="rprivate,source=/etc")),
    ("request", {"mounts": (Mount(MountKind.TMPFS, "/tmp:exec,suid"),)}),
    # -- devices
    ("devices", {"devices": ("/dev/sda",)}),
    ("devices", {"devices": ("/dev/fuse2",)}),
    ("devices", {"devices": ("vendor.example.com/gpu=all",)}),
    ("request", {"devices": ("/dev/fuse:/dev/fuse:rwmx",)}),
    ("request", {"devices": ("/dev/fuse:/dev/a:rw:/dev/sda",)}),
    # -- images
    ("images.from", {"image": "registry.example.com/other:1"}),
    ("images.from", {"image": "registry.example.com.evil.example/shop/web:1"}),
    ("images.from", {"image": "registry.example.com:5000/shop/web:1"}),
    ("images.from", {"image": "shop/web:1"}),
    ("images.digest", {"digest": ""}),
    ("request", {"digest": "sha256:" + "a" * 63}),
    ("request", {"digest": f"{DIGEST}@{DIGEST}"}),
    ("request", {"digest": "latest"}),
    # -- the rest
    ("sysctls", {"sysctls": {"kernel.msgmax": "1"}}),
    ("request", {"sysctls": {"net./../kernel/core_pattern": "|/x"}}),
    ("request", {"sysctls": {"net.x=kernel.core_pattern": "|/x"}}),
    ("annotations", {"annotations": {"io.podman.annotations.privileged": "TRUE"}}),
    ("annotations", {"annotations": {"run.oci.handler": "krun"}}),
    ("annotations", {"annotations": {"org.example.a": "b"}}),
    ("annotations", {"annotations": {"org.systemd.property.DeviceAllow": "x"}}),
    ("request", {"annotations": {"com.example.a=b": "c"}}),
    ("request", {"labels": {"io.hullmark.app=monitor": ""}}),
    ("request", {"labels": {"io.containers.autoupdate": "registry"}}),
    ("request", {"labels": {"io.hullmark.scope": "cde"}}),
    ("request", {"working_dir": "/proc/self/fd/8"}),
    ("request", {"working_dir": "../proc/self/fd/8"}),
]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("rule", "changes"), SPECS, ids=lambda each: str(each)[:60])
def test_what_a_strict_policy_refuses(rule: str, changes: dict[str, Any], engine: str) -> None:
    made = body(replace(GOOD, **changes), engine)
    assert rule in refused(made, STRICT, engine)


ALWAYS = ("request", "engine_socket", "mounts.guarded")
"""What no file has to forbid. Of users nothing is asked, so that no form of one is judged."""
BUILT_IN = ("capabilities.add", "annotations")
"""Forbidden in part."""


@pytest.mark.parametrize(("rule", "changes"), SPECS, ids=lambda each: str(each)[:60])
def test_without_a_policy_all_passes_but_what_nobody_can_judge(
    rule: str, changes: dict[str, Any]
) -> None:
    found = refused(body(replace(GOOD, **changes)))
    if rule in ALWAYS and "user" not in changes:
        assert rule in found
    elif rule not in BUILT_IN:
        assert rule not in found


@pytest.mark.parametrize(
    ("add", "drop", "passes"),
    [
        ((), ("NET_RAW",), True),
        ((), (), False),
        (("NET_RAW",), ("NET_RAW",), False),
        (("ALL",), (), False),
        (("ALL",), ("ALL",), False),
        (("ALL",), ("CAP_NET_RAW",), True),
        ((), ("all",), True),
        (("net_raw",), ("ALL",), False),
    ],
)
def test_net_raw_has_to_be_dropped_unless_a_file_allows_it(
    add: tuple[str, ...], drop: tuple[str, ...], passes: bool
) -> None:
    made = body()
    made["HostConfig"].update(CapAdd=list(add), CapDrop=list(drop))
    assert refused(made) == ([] if passes else ["capabilities.add"])
    assert refused(made, {"capabilities.add": None}) == []
    assert refused(made, {"capabilities.add": ("ALL",)}) == []


def test_one_of_the_engines_own_may_be_added_unless_it_has_to_be_dropped() -> None:
    made = body(replace(GOOD, cap_add=("CHOWN",)))
    assert refused(made, {"capabilities.add": ()}) == []
    assert refused(made, {"capabilities.add": (), "capabilities.drop": ("ALL",)}) == [
        "capabilities.add"
    ]
    dropped = {"capabilities.add": (), "capabilities.drop": ("CHOWN",)}
    assert refused(made, dropped) == ["capabilities.add", "capabilities.drop"]


def test_each_violation_says_its_rule_with_file_and_line() -> None:
    made = body(replace(GOOD, privileged=True))
    rules = policy({"privileged": False})
    (found,) = judging.judge_creation(made, sights(made), rules)
    assert str(found) == "privileged: not allowed here (50-test.yaml:1)"
    (found,) = judging.judge_creation({**made, "Sock": 1}, sights(made), policy())
    assert str(found) == (
        "request: Sock is a field that no rule knows, so it is refused (built in)"
    )


# -- paths as they are found


@pytest.mark.parametrize(
    ("sight", "rule"),
    [
        (PathSight("/opt"), "mounts.write"),
        (PathSight("/srv/write/x", loose=("/srv/write (user 1000)",)), "mounts.write"),
        (PathSight("/srv/write/s", engine_socket=True), "engine_socket"),
        (PathSight("/srv/write", also=("/run",)), "engine_socket"),
        (PathSight("/srv/write", also=("/etc/hullmark",)), "mounts.guarded"),
    ],
)
def test_a_path_is_judged_by_where_it_leads(sight: PathSight, rule: str) -> None:
    made = body(replace(GOOD, **bind("/srv/write/x")))
    assert refused(made, STRICT, paths={"/srv/write/x": sight}) == [rule]


def test_a_path_below_a_process_is_refused_wherever_it_was_found() -> None:
    made = body(replace(GOOD, **bind("/srv/write/x")))
    seen = {"/srv/write/x": PathSight("/proc/7/root/srv/write")}
    assert refused(made, {}, paths=seen) == ["request"]


def test_a_device_is_judged_by_where_it_leads() -> None:
    made = body()
    assert refused(made, STRICT, paths={"/dev/fuse": PathSight("/dev/sda")}) == ["devices"]
    loose = PathSight("/dev/fuse", loose=("/dev/x (user 7)",))
    assert refused(made, STRICT, paths={"/dev/fuse": loose}) == ["devices"]
    seen = sights(made)
    others = {path: sight for path, sight in seen.paths.items() if path != "/dev/fuse"}
    verdict = judging.judge_creation(made, replace(seen, paths=others), policy(STRICT))
    assert [violation.rule for violation in verdict] == ["request"]


@pytest.mark.parametrize("field", ["pid", "ipc", "network_mode"])
def test_a_namespace_of_the_hosts_by_way_of_another_container(field: str) -> None:
    name = field.partition("_")[0]
    joins: dict[str, Any] = {"networks": (), field: "container:other"}
    made = body(replace(GOOD, **joins), ports=())
    closed = {"host_namespaces": ()}
    assert judging.needed(made).containers == ("other",)
    assert refused(made, closed, joined={"other": (name,)}) == ["host_namespaces"]
    assert refused(made, closed, joined={"other": ("uts",)}) == []
    assert refused(made, closed, joined={}) == ["request"]
    assert refused(made, {}, joined={}) == []
    assert refused(made, {"host_namespaces": (name,)}, joined={"other": (name,)}) == []


def test_what_a_read_only_mount_shows_below_it_is_written() -> None:
    made = body(replace(GOOD, **bind("/srv/read", read_only=True)))
    seen = {"/srv/read": PathSight("/srv/read", below=("/srv/read/disk",))}
    assert refused(made, STRICT, paths=seen) == ["mounts.write"]
    assert refused(made, {"mounts.read": ("/srv",)}, paths=seen) == ["mounts.read"]
    lists = {"mounts.read": ("/srv",), "mounts.write": ("/srv/read/disk",)}
    assert refused(made, lists, paths=seen) == []
    assert refused(made, {}, paths=seen) == []
    logs = {"/srv/read": PathSight("/srv/read", below=("/var/lib/docker",))}
    assert refused(made, {}, paths=logs) == ["mounts.guarded"]
    assert refused(made, {"mounts.guarded": ("/var/lib/docker",)}, paths=logs) == []


@pytest.mark.parametrize("path", ["dev/sda", "nvidia.com/../dev/sda", "dev/x=../sda", "", "."])
def test_a_device_is_an_absolute_path_or_named_by_its_vendor(path: str) -> None:
    """Docker would look for another one from the folder `/`."""
    made = body()
    made["HostConfig"]["Devices"][0]["PathOnHost"] = path
    assert refused(made, {"devices": (path or "*",)}) == ["request"]
    assert refused(made, {}) == ["request"]
    made["HostConfig"]["Devices"][0]["PathOnHost"] = "nvidia.com/gpu=all"
    assert refused(made, {"devices": ("nvidia.com/*",)}) == []


def test_a_variable_without_a_value_would_be_podmans_own() -> None:
    assert refused({**body(), "Env": ["A=1", "*"]}) == ["request"]


def test_a_path_that_nobody_looked_at_is_refused() -> None:
    made = body()
    seen = replace(sights(made), paths={})
    found = judging.judge_creation(made, seen, policy())
    assert {violation.rule for violation in found} == {"request"}
    assert "was not looked at" in str(found[0])


def test_who_lists_only_what_may_be_read_lets_nothing_be_written() -> None:
    made = body(replace(GOOD, **bind("/srv/read")), ports=())
    assert refused(made, {"mounts.read": ("/srv",)}) == ["mounts.read"]
    reads = body(replace(GOOD, **bind("/srv/read", read_only=True)))
    assert refused(reads, {"mounts.read": ("/srv",)}) == []
    assert refused(reads, {"mounts.write": ("/srv",)}) == []
    assert refused(reads, {"mounts.read": (), "mounts.write": ("/srv",)}) == []


def test_own_files_and_sockets_pass_where_they_are_named() -> None:
    made = body(replace(GOOD, **bind("/var/lib/hullmark/agent")))
    assert refused(made, {"mounts.guarded": ("/var/lib/hullmark",)}) == []
    assert refused(made, {"mounts.guarded": ("/var/lib/hullmark/agent/x",)}) == ["mounts.guarded"]
    socket = body(replace(GOOD, **bind("/run/docker.sock")))
    assert refused(socket, {"engine_socket": True}) == []


def test_a_copy_of_a_config_can_be_read_and_not_written() -> None:
    made = body(replace(GOOD, configs=()))
    mount = {"Type": "bind", "Source": "/var/lib/hullmark/agent/configs/abc", "Target": "/c"}
    made["HostConfig"]["Mounts"].append({**mount, "ReadOnly": True})
    assert refused(made, STRICT) == []
    made["HostConfig"]["Mounts"][-1] = mount
    assert refused(made, STRICT) == ["mounts.guarded", "mounts.write"]


@pytest.mark.parametrize("text", ["/srv/write,source=/etc", '/srv/write"', "/srv/write\n"])
def test_podman_would_part_a_mount_anew(text: str) -> None:
    target = body(replace(GOOD, **bind("/srv/write", target=text)), "podman")
    source = body(replace(GOOD, **bind(text)), "podman")
    assert "request" in refused(target, {}, "podman")
    assert "request" in refused(source, {}, "podman")


# -- volumes


OPTIONS: list[tuple[str, dict[str, str]]] = [
    ("mounts.write", {"type": "none", "o": "bind", "device": "/etc"}),
    ("mounts.write", {"type": "none", "o": "rw,rbind", "device": "/etc"}),
    ("mounts.write", {"type": "nfs", "o": "bind", "device": "/etc"}),
    ("mounts.write", {"type": "tmpfs", "o": "BIND", "device": "/etc"}),
    ("mounts.write", {"o": "bind,ro,rw", "device": "/srv/read"}),
    ("mounts.write", {"type": "none", "o": "bind,remount,ro", "device": "/srv/read"}),
    ("mounts.read", {"type": "none", "o": "bind,ro", "device": "/etc"}),
    ("engine_socket", {"type": "none", "o": "bind", "device": "/run"}),
    ("mounts.guarded", {"type": "none", "o": "bind", "device": "/etc/hullmark"}),
    ("request", {"type": "none", "o": "bind", "device": "etc"}),
    ("request", {"type": "none", "o": "bind", "device": "/srv/write/../../etc"}),
    ("request", {"Type": "none", "O": "bind", "Device": "/etc"}),
    ("mounts.write", {"DEVICE": "/etc", "o": "bind"}),
    ("request", {"type": "ext4", "device": "dev/sda1"}),
    ("volumes.types", {"type": "ext4", "device": "/dev/sda1"}),
    ("mounts.write", {"type": "ext4", "device": "/dev/sda1"}),
    ("volumes.types", {"type": "nfs", "o": "addr=10.0.0.1,rw", "device": ":/export"}),
    ("volumes.types", {"type": "devtmpfs", "device": "devtmpfs"}),
    ("volumes.types", {"type": "proc", "device": "proc"}),
    (
        "volumes.types",
        {"type": "overlay", "device": "o", "o": "lowerdir=/etc,upperdir=/a,workdir=/b"},
    ),
    ("mounts.write", {"type": "overlay", "device": "o", "o": "lowerdir=/srv/write:/etc"}),
    ("request", {"type": "overlay", "device": "o", "o": "lowerdir=etc"}),
    ("mounts.write", {"type": "cifs", "device": "//s/x", "o": "credentials=/root/secret"}),
    # Podman gives all of it to the command `mount`, which takes options where a device should be.
    ("mounts.write", {"type": "nfs", "o": "bind=", "device": "/etc"}),
    ("mounts.write", {"type": "cifs", "o": "rbind=", "device": "//etc"}),
    ("mounts.write", {"type": "cifs", "o": "move", "device": "//boot"}),
    ("request", {"type": "nfs", "device": "/etc"}),
    ("request", {"type": "glusterfs", "device": "/srv/volfile"}),
    ("request", {"type": "nfs", "device": "--fstab=/srv/write/fstab"}),
    ("request", {"type": "tmpfs", "device": "--fstab=/srv/write/fstab"}),
    ("request", {"type": "overlay", "device": "-T/srv/write/fstab"}),
    ("request", {"mountpoint": "/etc"}),
    ("request", {"copy": "", "type": "tmpfs", "device": "tmpfs"}),
]


def volume_body(options: dict[str, str], driver: str = "local") -> dict[str, Any]:
    return {"Name": "shop_data", "Driver": driver, "DriverOpts": options, "Labels": {}}


def volume_sights(made: dict[str, Any]) -> Sights:
    volume = judging.volume_of(made)
    paths = {path: PathSight(path) for path in judging.needed_by_volume(volume)}
    return replace(sights(body(), paths=paths))


@pytest.mark.parametrize(("rule", "options"), OPTIONS)
def test_options_of_volumes_are_judged_as_mounts(rule: str, options: dict[str, str]) -> None:
    made = volume_body(options)
    found = judging.judge_volume(made, volume_sights(made), policy(STRICT))
    assert rule in {violation.rule for violation in found}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"type": "tmpfs", "device": "tmpfs", "o": "size=10m"},
        {"type": "none", "o": "bind", "device": "/srv/write/x"},
        {"type": "none", "o": "bind,ro", "device": "/srv/read/x"},
        {"size": "10G"},
    ],
)
def test_volumes_that_a_strict_policy_allows(options: dict[str, str]) -> None:
    made = volume_body(options)
    assert judging.judge_volume(made, volume_sights(made), policy(STRICT)) == ()


@pytest.mark.parametrize("kind", ["overlay", "devtmpfs", "proc", "fuse.sshfs", "9p"])
def test_unusual_file_systems_pass_by_name_only(kind: str) -> None:
    made = volume_body({"type": kind, "device": "none"})
    seen = volume_sights(made)
    assert [v.rule for v in judging.judge_volume(made, seen, policy())] == ["volumes.types"]
    assert judging.judge_volume(made, seen, policy({"volumes.types": (kind,)})) == ()


def test_a_ulimit_has_a_name() -> None:
    made = body()
    made["HostConfig"]["Ulimits"] = [{"Name": "nofile=1:1,host", "Soft": 1, "Hard": 1}]
    assert refused(made) == ["request"]


def test_a_volume_has_a_name() -> None:
    made = {**volume_body({}), "Name": "/etc"}
    assert [v.rule for v in judging.judge_volume(made, volume_sights(made), policy())] == [
        "request"
    ]


def test_a_driver_of_somebody_elses_has_to_be_listed() -> None:
    made = volume_body({"mountpoint": "/etc"}, "local-persist")
    seen = volume_sights(made)
    assert [v.rule for v in judging.judge_volume(made, seen, policy(STRICT))] == ["volumes.drivers"]


def test_a_volume_that_exists_is_judged_as_the_engine_has_it() -> None:
    options = {"TYPE": "none", "o": "bind", "Device": "/opt"}
    there = {"shop_data": VolumeSight(options=options, app="shop")}
    assert refused(body(), STRICT, volumes=there) == ["mounts.write"]
    assert refused(body(), {}, volumes=there) == []
    options["Device"] = "/etc"
    assert refused(body(), {}, volumes=there) == ["mounts.guarded"]
    others = {"shop_data": VolumeSight(app="bank")}
    assert refused(body(), STRICT, volumes=others) == ["volumes.external"]


def test_no_container_asks_for_the_unnamed_volume_of_another() -> None:
    external = replace(BUNDLE, volumes={"data": Volume(external="a" * 64)})
    there = {"a" * 64: VolumeSight()}
    assert refused(body(bundle=external), STRICT, volumes=there) == ["volumes.external"]


# -- networks


def test_networks_of_others_have_to_be_listed() -> None:
    other = replace(
        BUNDLE, networks={**BUNDLE.networks, "default": Network(external="bank_default")}
    )
    made = body(bundle=other)
    there = {**sights(made).networks, "bank_default": NetworkSight("bank_default", app="bank")}
    assert refused(made, STRICT, networks=there) == ["networks.external"]
    assert refused(made, {}, networks=there) == []
    assert refused(made, {}) == ["request"]  # it isn't there


@pytest.mark.parametrize("name", ["host", "4f1bdc71687181b7"])
def test_the_hosts_network_by_any_name(name: str) -> None:
    other = replace(BUNDLE, networks={**BUNDLE.networks, "default": Network(external=name)})
    made = body(bundle=other)
    there = {**sights(made).networks, name: NetworkSight("host", "host")}
    assert "host_namespaces" in refused(made, STRICT, networks=there)


def test_a_network_by_its_driver() -> None:
    made = body()
    macvlan = NetworkSight("edge", "macvlan", {"parent": "eth0"})
    there = {**sights(made).networks, "edge": macvlan, "shop_default": replace(macvlan, app="shop")}
    assert refused(made, STRICT, networks=there) == ["networks.drivers"]
    joined = {"Container": "c", "EndpointConfig": {"Aliases": ["web"]}}
    seen = replace(sights(made), networks=there)
    found = judging.judge_connect("edge", joined, seen, policy(STRICT))
    assert [violation.rule for violation in found] == ["networks.drivers"]
    host = judging.judge_connect("host", joined, seen, policy(STRICT))
    assert [violation.rule for violation in host] == ["host_namespaces"]


NETWORK = {
    "Name": "shop_default",
    "Driver": "bridge",
    "CheckDuplicate": True,
    "Internal": False,
    "EnableIPv6": False,
    "Options": {"isolate": "true", "mtu": "1400"},
    "Labels": {},
    "IPAM": {"Driver": "default", "Config": [{"Subnet": "10.213.0.0/25"}]},
}


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("networks.drivers", {"Driver": "macvlan"}),
        ("networks.drivers", {"Driver": "ipvlan"}),
        ("request", {"Driver": "host"}),
        ("networks.options", {"Options": {"com.docker.network.bridge.name": "br0"}}),
        ("networks.options", {"Options": {"parent": "eth0"}}),
        ("networks.options", {"Options": {"isolate": "false"}}),
        ("networks.subnets", {"IPAM": {"Config": [{"Subnet": "192.168.0.0/24"}]}}),
        ("networks.subnets", {"IPAM": {"Config": [{"Subnet": "10.0.0.0/8"}]}}),
        ("request", {"Ingress": True}),
        ("request", {"Name": "a/../b"}),
        ("request", {"IPAM": {"Driver": "default", "Options": {}}}),
    ],
)
def test_networks_that_are_made(rule: str, changes: dict[str, Any]) -> None:
    seen = sights(body())
    assert judging.judge_network(NETWORK, seen, policy(STRICT)) == ()
    found = judging.judge_network({**NETWORK, **changes}, seen, policy(STRICT))
    assert rule in {violation.rule for violation in found}


# -- ports and limits


@pytest.mark.parametrize(
    ("port", "rule"),
    [
        (PublishedPort(80, 80, "tcp", "10.0.0.7"), "ports.published"),
        (PublishedPort(80, 443, "tcp", ""), "ports.addresses"),
        (PublishedPort(80, 443, "tcp", "0.0.0.0"), "ports.addresses"),
        (PublishedPort(80, 443, "tcp", "::"), "ports.addresses"),
        (PublishedPort(80, 443, "tcp", "192.168.0.1"), "ports.addresses"),
        (PublishedPort(80, 443, "tcp", "::ffff:10.0.0.1"), "ports.addresses"),
        (PublishedPort(80, 8000, "udp", "10.0.0.7"), "ports.published"),
        (PublishedPort(80, 0, "tcp", "10.0.0.7"), "ports.published"),
        (PublishedPort(80, 443, "tcp", "host.example"), "request"),
    ],
)
def test_ports(port: PublishedPort, rule: str) -> None:
    assert refused(body(ports=(port,)), STRICT) == [rule]


@pytest.mark.parametrize("text", ["443-445", "8999-9000", "1-65535"])
def test_each_port_of_a_range_counts(text: str) -> None:
    made = body()
    made["HostConfig"]["PortBindings"] = {"80/tcp": [{"HostPort": text, "HostIp": "10.0.0.1"}]}
    assert refused(made, STRICT) == ["ports.published"]
    made["HostConfig"]["PortBindings"]["80/tcp"][0]["HostPort"] = "8000-8999"
    assert refused(made, STRICT) == []


@pytest.mark.parametrize(
    ("field", "value", "rules"),
    [
        ("Memory", 0, {"limits.memory", "limits.require", "limits.memory_swap"}),
        ("Memory", 1 << 40, {"limits.memory", "limits.memory_swap"}),
        ("Memory", -1, {"limits.memory", "limits.require", "limits.memory_swap"}),
        ("MemorySwap", -1, {"limits.memory_swap"}),
        ("NanoCpus", 3 * 10**9, {"limits.cpus"}),
        ("PidsLimit", -1, {"limits.pids", "limits.require"}),
        ("PidsLimit", 201, {"limits.pids"}),
        ("ShmSize", 1 << 30, {"limits.shm"}),
        ("OomScoreAdj", -500, {"limits.oom_score_adj"}),
        ("Ulimits", [{"Name": "nofile", "Soft": 1, "Hard": 9999}], {"limits.ulimits"}),
        ("Ulimits", [{"Name": "nofile", "Soft": -1, "Hard": -1}], {"limits.ulimits"}),
        ("Ulimits", [{"Name": "RLIMIT_CORE", "Soft": 0, "Hard": 0}], {"limits.ulimits"}),
        ("LogConfig", {"Type": "syslog"}, {"logging.drivers"}),
        ("LogConfig", {"Type": "journald", "Config": {"path": "/etc/x"}}, {"request"}),
        ("LogConfig", {"Type": "journald", "Config": {"max=path": "/etc/x"}}, {"request"}),
        (
            "LogConfig",
            {"Type": "gelf", "Config": {"gelf-address": "udp://10.9.9.9:1"}},
            {"logging.drivers", "logging.addresses"},
        ),
        ("RestartPolicy", {"Name": "always"}, {"request"}),
        ("Tmpfs", {"/t": "size=1m,exec"}, {"request"}),
        ("Tmpfs", {"/t": "suid"}, {"request"}),
        ("PortBindings", {"80/tcp/x": []}, {"request"}),
        ("PortBindings", {"80/tcp": [{"HostPort": "8x", "HostIp": "10.0.0.1"}]}, {"request"}),
    ],
)
def test_limits_and_logs(field: str, value: object, rules: set[str]) -> None:
    made = body()
    made["HostConfig"][field] = value
    assert set(refused(made, STRICT)) == rules


# -- users of images


@pytest.mark.parametrize(
    ("user", "rules"),
    [
        ("", ["user.root", "user.root_group"]),
        ("0", ["user.root", "user.root_group"]),
        ("root", ["user.root", "user.root_group"]),
        ("1000", ["user.root_group"]),
        ("1000:1000", []),
        ("nginx", ["user.names", "user.root_group"]),
        ("00:1", ["request"]),
    ],
)
def test_the_images_user_counts_where_none_is_said(user: str, rules: list[str]) -> None:
    made = body(replace(GOOD, user=""))
    assert refused(made, STRICT, image=ImageSight(user, names=(made["Image"],))) == rules
    assert refused(made, STRICT, image=None) == ["request"]
    assert refused(made, {}, image=None) == []


@pytest.mark.parametrize("grace_s", [-1, 86_401])
def test_a_stop_comes_to_an_end(grace_s: int) -> None:
    assert refused({**body(), "StopTimeout": grace_s}) == ["request"]
    assert refused({**body(), "StopTimeout": 3600}, STRICT) == []


def test_a_long_user_is_judged_in_no_time() -> None:
    """A thread that looks for a match in ever more ways holds up all others."""
    with at_most(1.0):
        assert refused(body(replace(GOOD, user=f"{' ' * 20_000}!:1")), STRICT) == ["user.names"]


def test_an_image_of_another_place_is_not_had_by_its_digest() -> None:
    """Podman takes `registry.example.com/shop/any@DIGEST` for an image of that digest by whatever name."""
    seen = ImageSight(
        "1000:1000", names=("docker.io/evil/x:1", f"docker.io/evil/x@{DIGEST}", "<none>:<none>")
    )
    assert refused(body(), STRICT, image=seen) == ["images.from"]
    assert refused(body(), STRICT, image=ImageSight("1000:1000")) == ["images.from"]
    assert refused(body(), {}, image=seen) == []
    both = replace(seen, names=(*seen.names, f"registry.example.com/shop/web@{DIGEST}"))
    assert refused(body(), STRICT, image=both) == []


# -- scope and exemptions


@pytest.mark.parametrize("here", ["", "out", "cde"])
@pytest.mark.parametrize("wanted", ["", "cde"])
def test_a_host_takes_services_of_its_scope(here: str, wanted: str) -> None:
    made = body()
    if wanted:
        made["Labels"]["io.hullmark.scope"] = wanted
    seen = replace(sights(made), scope=wanted)
    found = judging.judge_creation(made, seen, policy(scope=here, scope_file=FILE, scope_line=3))
    fits = (wanted == "cde") == (here == "cde")
    assert [violation.rule for violation in found] == ([] if fits else ["scope"])


def test_an_exemption_holds_for_its_services_alone() -> None:
    exempt = Exemption("shop/w*", {"privileged": Rule("privileged", True, FILE, 90)})
    made = body(replace(GOOD, privileged=True))
    strict = replace(policy(STRICT), exemptions=(exempt,))
    assert judging.judge_creation(made, sights(made), strict) == ()
    other = replace(sights(made), service="db")
    found = judging.judge_creation(made, other, strict)
    assert {violation.rule for violation in found} == {"privileged", "request"}  # and the label


def test_a_bundle_of_another_app_gets_no_exemption() -> None:
    """A tampered order may name one app in the bundle and another in the instance."""
    foreign = Bundle(
        "bank", "web", GOOD, networks={"default": Network()}, volumes={"data": Volume()}
    )
    spec = replace(GOOD, networks=(Attachment("default"),), configs=(), secrets=())
    made = body(spec, bundle=foreign)
    there = {"bank_default": NetworkSight("bank_default", app="bank")}
    volumes = {"bank_data": VolumeSight(app="bank")}
    found = refused(made, STRICT, networks=there, volumes=volumes)
    assert found == ["networks.external", "volumes.external"]


# -- exec, update, pull


def inspected(user: str = "1000:1000") -> dict[str, Any]:
    return {"Config": {"User": user, "Labels": {}}, "HostConfig": {}}


EXEC = {"exec.allowed": True}


@pytest.mark.parametrize(
    ("changes", "rules", "found"),
    [
        ({}, {}, ["exec.allowed"]),
        ({}, EXEC, []),
        ({"Tty": True}, EXEC, ["exec.interactive"]),
        ({"AttachStdin": True}, EXEC, ["exec.interactive"]),
        ({"Tty": True}, {**EXEC, "exec.interactive": True}, []),
        ({"Privileged": True}, {**EXEC, "privileged": False}, ["privileged"]),
        ({"User": "0"}, {**EXEC, "user.root": False}, ["user.root"]),
        ({"User": "+0"}, {**EXEC, "user.root": False}, ["request"]),
        ({"WorkingDir": "/proc/self/fd/7"}, EXEC, ["request"]),
        ({"ConsoleSize": [1, 1]}, EXEC, ["request"]),
    ],
)
def test_commands(changes: dict[str, Any], rules: dict[str, object], found: list[str]) -> None:
    asked = {"Cmd": ["id"], "AttachStdout": True, "AttachStderr": True, **changes}
    verdict = judging.judge_exec(asked, inspected(), sights(body()), policy(rules))
    assert [violation.rule for violation in verdict] == found


def test_an_update_is_of_the_restart_policy_alone() -> None:
    seen = sights(body())
    restart = {"RestartPolicy": {"Name": "always", "MaximumRetryCount": 0}}
    assert judging.judge_update(restart, seen, policy(STRICT)) == ()
    assert judging.judge_update({**restart, "Memory": 1}, seen, policy())


def test_a_pull_is_of_a_place_that_is_listed() -> None:
    seen = sights(body())
    image = f"registry.example.com/shop/web@{DIGEST}"
    assert judging.judge_pull(image, seen, policy(STRICT)) == ()
    other = judging.judge_pull("docker.io/library/nginx:latest", seen, policy(STRICT))
    assert [violation.rule for violation in other] == ["images.from", "images.digest"]
    pinned = policy({"images.from": (f"registry.example.com/shop/web@{DIGEST}",)})
    assert judging.judge_pull(image, seen, pinned) == ()
    assert judging.judge_pull(image.replace("a" * 64, "b" * 64), seen, pinned)


def test_ports_of_the_good_container_are_published() -> None:
    """What the tests above stand on: the strict policy sees these ports."""
    assert len(body(ports=PORTS)["HostConfig"]["PortBindings"]) == 2
