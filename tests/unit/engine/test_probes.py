"""What checks read of an engine, and what becomes of what it doesn't answer."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Mapping, Sequence
from typing import Any, Optional

import pytest

from hullmark.engine import probes
from hullmark.engine.boundary import EngineMissing
from hullmark.engine.containerlooks import First
from hullmark.engine.protocol import EngineInfo
from hullmark.errors import EngineUnavailable, HullmarkError, NotFound
from hullmark.model.control import Reading, Trouble

GIVEN: Mapping[str, object] = {
    "settings": "/etc/docker/daemon.json",
    "pid_file": "/run/p",
    "most": 2,
}
ROW = {"Id": "1", "Names": ["/web"]}


class Sight:
    left_s = 9.0

    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = files

    def wall(self) -> float:
        return 7.0

    def file(self, name: str, path: str, *, most: int = 0) -> Reading:
        there = path in self._files
        return Reading(
            name,
            path,
            self._files.get(path, ""),
            trouble=Trouble.NONE if there else Trouble.MISSING,
            at=7.0,
        )

    def stat(self, name: str, path: str) -> Reading:
        return Reading(name, path, facts={"mode": "0660"}, at=7.0)

    def paths(self, pattern: str) -> tuple[str, ...]:
        return tuple(path for path in self._files if fnmatch.fnmatch(path, pattern))

    def run(self, name: str, argv: Sequence[str], *, most: int = 0) -> Reading:
        return Reading(name, " ".join(argv), "printed", code=0, at=7.0)


class Engine:
    """Answers what it is given; raises what is an error."""

    def __init__(self, answers: Mapping[str, Any], name: str = "docker") -> None:
        self.answers = answers
        self.name = name
        self.asked: list[str] = []

    def info(self) -> EngineInfo:
        self._give("info", None)
        return EngineInfo(self.name, "1", "unix:///run/docker.sock")

    def told(self, path: str, **parameters: str) -> Any:
        return self._give(path, {})

    def inspected(self, container_id: str) -> Any:
        return self._give(f"inspect {container_id}", {"Id": container_id})

    def inspected_network(self, name: str) -> Any:
        return self._give(f"network {name}", {})

    def inspected_image(self, name: str) -> Any:
        return self._give(f"image {name}", {})

    def stat(self, container_id: str, path: str) -> Any:
        return self._give(f"stat {path}", {"mode": 0o755})

    def _give(self, what: str, usual: Any) -> Any:
        self.asked.append(what)
        answer = self.answers.get(what, usual)
        if isinstance(answer, HullmarkError):
            raise answer
        return answer


def look(
    kind: str, engine: Engine, files: Optional[Mapping[str, str]] = None
) -> dict[str, Reading]:
    looks: Any = probes.looks(engine)  # type: ignore[arg-type]
    return {each.name: each for each in looks[kind](Sight(files or {}), GIVEN)}


@pytest.mark.parametrize(
    "kind",
    [
        *("engines.settings", "containers.settings", "containers.drift", "containers.files"),
        "containers.listeners",
    ],
)
def test_no_engine_and_one_that_does_not_answer(kind: str) -> None:
    found = look(kind, Engine({"info": EngineMissing("no container engine found")}))
    assert found["engine"].trouble is Trouble.MISSING
    found = look(kind, Engine({"info": EngineUnavailable("it does not answer")}))
    assert (found["engine"].trouble, found["engine"].errors) == (
        Trouble.FAILED,
        "it does not answer",
    )
    found = look(
        kind,
        Engine({"/info": EngineUnavailable("gone"), "/containers/json": EngineUnavailable("gone")}),
    )
    assert found["engine"].trouble is Trouble.FAILED


def test_of_the_file_of_settings_only_what_is_judged_is_kept() -> None:
    secret = '{"icc": false, "proxies": {"http-proxy": "http://me:secret@proxy"}}'
    files = {
        "/etc/docker/daemon.json": secret,
        "/run/p": "12\n",
        "/proc/12/cmdline": "dockerd\0--icc",
    }
    found = look("engines.settings", Engine({"network bridge": NotFound("none")}), files)
    assert found["settings"].text == '{"icc": false}'
    assert found["arguments"].text == "dockerd\0--icc"
    assert found["bridge"].trouble is Trouble.MISSING
    assert found["socket"].source == "/run/docker.sock"
    garbled = look("engines.settings", Engine({}), {"/etc/docker/daemon.json": "gibberish"})
    assert garbled["settings"].text == "gibberish"


def test_a_containers_environment_is_not_read() -> None:
    said = {"Id": "1", "Name": "/web", "Config": {"Env": ["PASSWORD=secret"], "User": "9"}}
    said["HostConfig"] = {"Memory": 7, "Binds": ["/x:/y"]}
    found = look("containers.settings", Engine({"/containers/json": [ROW], "inspect 1": said}))
    assert "secret" not in found["container:web"].text
    assert json.loads(found["container:web"].text)["host"] == {"Memory": 7}


def test_one_that_goes_while_it_is_looked_at_is_left_out() -> None:
    engine = Engine(
        {
            "/containers/json": [ROW],
            "inspect 1": NotFound("gone"),
            "/containers/1/changes": NotFound("gone"),
        }
    )
    for kind in ("containers.settings", "containers.drift", "containers.files"):
        assert not any(name.endswith(":web") for name in look(kind, engine))


@pytest.mark.parametrize(
    ("groups", "path"),
    [
        (
            "0::/system.slice/docker-1.scope\n",
            "/sys/fs/cgroup/system.slice/docker-1.scope/memory.max",
        ),
        (
            "5:memory:/docker/1\n4:pids:/docker/1\n",
            "/sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes",
        ),
        ("5:cpu,memory:/docker/1\n0::/x\n", "/sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes"),
    ],
)
def test_limits_as_the_kernel_has_them(groups: str, path: str) -> None:
    said = {"Id": "1", "Name": "/web", "State": {"Pid": 5}, "Image": "i"}
    files = {
        "/proc/5/cgroup": groups,
        "/proc/5/status": "Name:\tx\nUid:\t0\t0\nSeccomp:\t2\n",
        path: "64\n",
    }
    found = look("containers.drift", Engine({"/containers/json": [ROW], "inspect 1": said}), files)
    assert found["memory:web"].text == "64\n"
    assert found["status:web"].text == "Uid:\t0\t0\nSeccomp:\t2"


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"m/c.scope/container": "max", "m/c.scope": "64", "m": "99"}, "64"),
        ({"m/c.scope/container": "9", "m/c.scope": "64"}, "9"),
        ({"m/c.scope/container": "max", "m/c.scope": "max", "m": "99"}, "99"),
        ({"m/c.scope/container": "max", "m/c.scope": "max"}, "max"),
        ({"m/c.scope/container": "gibberish", "m/c.scope": "64"}, "gibberish"),
        ({"m/c.scope": "64"}, ""),
    ],
)
def test_the_nearest_limit_that_there_is(limits: dict[str, str], said: str) -> None:
    container = {"Id": "1", "Name": "/web", "State": {"Pid": 5}, "Image": "i"}
    files = {f"/sys/fs/cgroup/{path}/memory.max": text for path, text in limits.items()}
    files["/proc/5/cgroup"] = "0::/m/c.scope/container\n"
    engine = Engine({"/containers/json": [ROW], "inspect 1": container})
    found = look("containers.drift", engine, files)["memory:web"]
    assert (found.text, found.trouble is Trouble.NONE) == (said, said != "")


def test_the_order_of_mounts_and_rights_is_no_drift() -> None:
    first: dict[str, Any] = {
        "Id": "1",
        "Name": "/web",
        "HostConfig": {"Memory": 7},
        "BoundingCaps": ["B", "A"],
    }
    mounts = [{"Destination": "/b"}, {"Destination": "/a"}]
    first["Mounts"] = mounts
    then = {**first, "Mounts": mounts[::-1], "BoundingCaps": ["A", "B"]}
    engine = Engine({"/containers/json": [ROW]})
    looks: Any = probes.looks(engine)  # type: ignore[arg-type]
    for said in (first, then):
        engine.answers = {"/containers/json": [ROW], "inspect 1": said}
        names = [each.name for each in looks["containers.drift"](Sight({}), GIVEN)]
    assert "first:web" not in names
    engine.answers = {**engine.answers, "inspect 1": {**then, "HostConfig": {"Memory": 8}}}
    assert "first:web" in [each.name for each in looks["containers.drift"](Sight({}), GIVEN)]


def test_how_a_container_was_at_first_is_remembered_as_long_as_it_is_up() -> None:
    first = First()
    assert first.of("1", "a") == "a"
    assert first.of("1", "b") == "a"
    first.keep({"2"})
    assert first.of("1", "b") == "b"


def test_changed_files_are_looked_at_up_to_a_number() -> None:
    changes = [
        {"Path": "/opt", "Kind": 0},
        {"Path": "/opt/a", "Kind": 1},
        {"Path": "/opt/gone", "Kind": 2},
        {"Path": "/opt/b", "Kind": 1},
        {"Path": "/opt/c", "Kind": 0},
    ]
    engine = Engine({"/containers/json": [ROW], "/containers/1/changes": changes})
    found = look("containers.files", engine)["changes:web"]
    said = json.loads(found.text)
    assert (said["changed"], said["looked"], found.cut) == (3, 2, True)
    assert [one["path"] for one in said["executables"]] == ["/opt/a", "/opt/b"]
    assert [each for each in engine.asked if each.startswith("stat")] == [
        "stat /opt/a",
        "stat /opt/b",
    ]


@pytest.mark.parametrize(
    ("mode", "shown"),
    [
        (0o755, "0755"),
        (0o755 | 1 << 23, "4755"),
        (0o2755 & 0o777 | 1 << 22, "2755"),
        (0o644, None),
        (0o777 | 1 << 27, None),
        (0o755 | 1 << 31, None),
    ],
)
def test_what_is_executable(mode: int, shown: Optional[str]) -> None:
    changes = [{"Path": "/x", "Kind": 1}]
    engine = Engine(
        {"/containers/json": [ROW], "/containers/1/changes": changes, "stat /x": {"mode": mode}}
    )
    entries = json.loads(look("containers.files", engine)["changes:web"].text)["executables"]
    assert [one["mode"] for one in entries] == ([shown] if shown else [])


def network(driver: str, *subnets: str, **more: Any) -> Mapping[str, Any]:
    return {"Driver": driver, "IPAM": {"Config": [{"Subnet": one} for one in subnets]}, **more}


CONF = "/proc/sys/net/ipv4/conf"
LINKS = {f"/sys/class/net/{name}": "" for name in ("lo", "lan", "br0/bridge", "docker0/bridge")}
FORWARDING = "/proc/sys/net/ipv4/ip_forward"
NETWORKS = [
    network(
        "bridge",
        "172.17.0.0/16",
        Id="2f25",
        Options={"com.docker.network.bridge.name": "docker0"},
    ),
    network("bridge", "10.9.0.0/24", "2001:db8::/64", Id="1b4f26e3ff27fbe55a6f", Options={}),
    network("macvlan", "192.0.2.0/24"),
    {"Driver": "host", "IPAM": {"Config": None}},
    {"Driver": "null"},
]


@pytest.mark.parametrize(
    ("name", "networks", "forwarding", "asked"),
    [
        ("docker", NETWORKS[:1], "0\n", []),
        ("docker", NETWORKS[:1], "1\n", ["nft", "iptables-save"]),
        ("podman", NETWORKS[:1], "0\n", ["nft", "iptables-save"]),
        ("docker", NETWORKS, "1\n", ["nft", "iptables-save", "ip6tables-save"]),
        ("docker", NETWORKS, "0\n", ["nft", "ip6tables-save"]),
    ],
)
def test_packet_filters_are_asked_where_the_kernel_forwards_or_will(
    name: str, networks: Any, forwarding: str, asked: list[str]
) -> None:
    own = [{"id": "2f25", "name": "podman", "network_interface": "podman0"}, {"driver": "macvlan"}]
    engine = Engine({"/networks": networks, "/v4.0.0/libpod/networks/json": own}, name)
    looks: Any = probes.looks(engine)  # type: ignore[arg-type]
    found = looks["engines.routing"](
        Sight({**LINKS, FORWARDING: forwarding, f"{CONF}/docker0": ""}), {"range": "10.213.0.0/16"}
    )
    by_name = {one.name: one for one in found}
    subnets = ["172.17.0.0/16", *(["10.9.0.0/24", "2001:db8::/64"] if networks[1:] else [])]
    said = json.loads(by_name["networks"].text)
    bridges = ["docker0"] if len(networks) == 1 else ["br-1b4f26e3ff27", "docker0"]
    assert said == {
        "range": "10.213.0.0/16",
        "subnets": subnets,
        "taken": subnets[:1] if name == "docker" else [],
        "bridges": bridges if name == "docker" else ["podman0"],
        "others": ["br0"] if name == "docker" else ["br0", "docker0"],
    }
    assert ("forwarding6" in by_name) is (len(networks) > 1)
    commands = [one.source.split()[0] for one in found if "rules" in one.name]
    assert commands == asked


def test_interfaces_that_forward_by_themselves() -> None:
    forwarding = {FORWARDING: "0\n", **{f"{CONF}/{at}/forwarding": "0\n" for at in ("lo", "wan")}}
    files = {**LINKS, **forwarding, f"{CONF}/lan/forwarding": "1\n"}
    engine = Engine({"/networks": NETWORKS[:1]})
    looks: Any = probes.looks(engine)  # type: ignore[arg-type]
    found = {one.name: one for one in looks["engines.routing"](Sight(files), {})}
    assert found["forwarding"].text == "0 lan"
    assert "rules" in found


def test_a_network_whose_interface_podman_does_not_say() -> None:
    own = [{"id": "2f25", "network_interface": "podman0"}]
    networks = [NETWORKS[0], network("bridge", "10.9.0.0/24", Id="9fc3")]
    engine = Engine({"/networks": networks, "/v4.0.0/libpod/networks/json": own}, "podman")
    found = look("engines.routing", engine, {**LINKS, f"{CONF}/podman0": ""})
    said = json.loads(found["networks"].text)
    assert (said["bridges"], said["taken"]) == ([], ["172.17.0.0/16"])


def test_a_bridge_that_comes_or_goes_while_the_engine_is_asked_is_no_other() -> None:
    files = dict(LINKS)

    class Making(Engine):
        def told(self, path: str, **parameters: str) -> Any:
            files["/sys/class/net/br-9fc3/bridge"] = ""
            files.pop("/sys/class/net/docker0/bridge", None)
            return super().told(path, **parameters)

    found = look("engines.routing", Making({"/networks": []}), files)
    assert json.loads(found["networks"].text)["others"] == ["br0"]


@pytest.mark.parametrize(
    ("port", "others"),
    [
        ("lower_lan/device", ["br0", "docker0"]),
        ("lower_lan.5/lower_lan", ["br0", "docker0"]),
        ("lower_vnet0/tun_flags", ["br0", "docker0"]),
        ("lower_veth12/iflink", ["br0"]),
    ],
)
def test_a_network_on_a_bridge_that_others_are_on_too(port: str, others: list[str]) -> None:
    files = {
        **LINKS,
        f"/sys/class/net/docker0/{port}": "",
        "/sys/class/net/bond0/lower_lan/device": "",
    }
    found = look("engines.routing", Engine({"/networks": NETWORKS[:1]}), files)
    said = json.loads(found["networks"].text)
    assert (said["bridges"], said["others"]) == (["docker0"], others)


def test_links_that_the_kernel_does_not_show() -> None:
    found = look("engines.routing", Engine({"/networks": NETWORKS}), {FORWARDING: "1\n"})
    assert (found["networks"].trouble, "rules" in found) == (Trouble.MISSING, False)
