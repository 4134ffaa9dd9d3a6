"""Which deeds are judged, with what was looked up; the judgement itself is in tests/unit/core."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hullmark.agentd import hostnames
from hullmark.agentd.policing import Policing, in_words
from hullmark.agentd.policyfolder import PolicyFolder
from hullmark.agentd.problems import Problems
from hullmark.agentd.sights import Subject, Viewpoint
from hullmark.config import load_agent
from hullmark.engine.protocol import CreateRequest, Deed, DeedKind
from hullmark.errors import EngineUnavailable, NotFound, PolicyRefused
from hullmark.model.epoch import Epoch
from hullmark.model.names import LABEL_APP, instance_labels
from hullmark.model.orders import InstanceId
from hullmark.model.policy import Needs, Violation
from tests.unit.agentd.fakes import CLUSTER, FakeEngine, bundle_of
from tests.unit.agentd.test_daemon import config_in

ONE = InstanceId("shop", "web", 1, 1)
LABELS = instance_labels(CLUSTER, ONE, "spec", Epoch(1, 1))
BODY: Mapping[str, Any] = {
    "Image": "localhost/web:1",
    "Labels": LABELS,
    "StopTimeout": 10,
    "HostConfig": {"RestartPolicy": {"Name": "no"}, "NetworkMode": "none", "CapDrop": ["NET_RAW"]},
}
STRICT = "privileged: false\nhost_namespaces: []\nmounts: {read: [/usr], write: []}\n"


class World:
    """A host with an engine in memory. `answers` is what the engine says of what it is asked for, by name."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.engine, self.problems = FakeEngine(), Problems()
        self.answers: dict[str, Any] = {"localhost/web:1": {"Id": "sha256:1", "Config": {}}}
        for name in ("inspected", "inspected_image", "inspected_network", "inspected_volume"):
            monkeypatch.setattr(self.engine, name, self._answer)
        self.policies = folder / "policy.d"
        self.policies.mkdir(mode=0o755)
        self.socket = folder / "engine.sock"
        more = f"policy_dir: {self.policies}\nengine: {{socket: 'unix://{self.socket}'}}\n"
        self.config = load_agent(config_in(folder, more)).config
        self.view = Viewpoint(self.config, self.engine)
        self.policing = Policing(
            self.view, PolicyFolder(str(self.policies), self.problems, former_s=0.0)
        )
        self.write(STRICT)

    def _answer(self, name: str) -> Any:
        found = self.answers.get(name, NotFound(name))
        if isinstance(found, Exception):
            raise found
        return found

    def write(self, text: str) -> None:
        (self.policies / "10-a.yaml").write_text(text)

    def said(self, deed: Deed) -> str:
        """Empty: it may be done."""
        try:
            self.policing.judge(deed)
        except PolicyRefused as error:
            return error.message
        self.policing.ended(deed)
        return ""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


def creation(host: Mapping[str, Any] = {}, **spec: Any) -> Deed:
    body = {**BODY, "HostConfig": {**BODY["HostConfig"], **host}}
    request = CreateRequest(CLUSTER, ONE, "spec", Epoch(1, 1), bundle_of(**spec))
    return Deed(DeedKind.CONTAINER_CREATE, ONE.container_name, body, request=request)


def inspected(**host: Any) -> dict[str, Any]:
    return {
        "Id": "c1",
        "Image": "sha256:1",
        "Config": {"Image": "localhost/web:1", "Labels": LABELS, "User": ""},
        "HostConfig": {"NetworkMode": "none", **host},
        "Mounts": [],
    }


def start(**host: Any) -> Deed:
    return Deed(DeedKind.CONTAINER_START, ONE.container_name, inspected(**host), "c1")


def test_a_creation_and_a_start(world: World) -> None:
    assert world.said(creation()) == ""
    assert "privileged: not allowed here (10-a.yaml:1)" in world.said(
        creation({"Privileged": True})
    )
    assert world.said(start()) == ""
    assert "host_namespaces: " in world.said(start(PidMode="host"))
    world.write("privileged: true\n")
    assert world.said(start(PidMode="host")) == "", "the change is seen at once"


def test_what_takes_something_away_passes_without_a_look(world: World) -> None:
    world.write("no policy at all: [")
    world.engine.trouble = lambda _method: EngineUnavailable("gone")
    for kind in ("CONTAINER_STOP", "CONTAINER_REMOVE", "NETWORK_REMOVE", "VOLUME_REMOVE"):
        assert world.said(Deed(DeedKind[kind], "x")) == ""


def test_while_the_policy_cannot_be_read_everything_else_is_refused(world: World) -> None:
    world.write("no policy at all: [")
    free = {"STOP", "REMOVE", "UPDATE"}
    for kind in DeedKind:
        if kind.name.rpartition("_")[2] not in free:
            assert "nothing is created or started" in world.said(Deed(kind, "x")), kind


def test_who_restarts_a_container_can_be_changed_and_nothing_else_of_it(world: World) -> None:
    world.write("no policy at all: [")
    policy = {"RestartPolicy": {"Name": "always", "MaximumRetryCount": 0}}
    assert world.said(Deed(DeedKind.CONTAINER_UPDATE, "x", policy, "c1")) == ""
    assert "Memory" in world.said(Deed(DeedKind.CONTAINER_UPDATE, "x", {**policy, "Memory": 1}))


def test_every_kind_of_deed_has_a_judge(world: World) -> None:
    world.answers["c1"] = inspected()
    for kind in DeedKind:
        assert "knows how to judge" not in world.said(Deed(kind, "localhost/x:1", {}, "c1")), kind


def test_volumes_and_networks_belong_to_the_app_of_their_label(world: World) -> None:
    world.write(STRICT + "apps: {backup: {mounts: {read: [/], write: [/]}}}\n")
    options = {"type": "none", "o": "bind", "device": "/opt"}
    for app, may in (("shop", False), ("backup", True)):
        body = {
            "Name": f"{app}_data",
            "Driver": "local",
            "DriverOpts": options,
            "Labels": {LABEL_APP: app},
        }
        said = world.said(Deed(DeedKind.VOLUME_CREATE, f"{app}_data", body))
        assert (said == "") is may, said


def test_an_exec_is_judged_by_the_container_that_it_is_for(world: World) -> None:
    world.answers["c1"] = inspected()
    deed = Deed(DeedKind.CONTAINER_EXEC, ONE.container_name, {"Cmd": ["id"]}, "c1")
    with pytest.raises(PolicyRefused, match=r"exec\.allowed: ") as refused:
        world.policing.judge(deed)
    assert "change the app" not in refused.value.remedy
    world.write("apps: {shop/web: {exec: {allowed: true}}}\n")
    assert world.said(deed) == ""
    del world.answers["c1"]
    with pytest.raises(NotFound):
        world.policing.judge(deed)


def test_an_image_that_is_not_here_is_said_in_the_engines_words(world: World) -> None:
    del world.answers["localhost/web:1"]
    with pytest.raises(NotFound):
        world.policing.judge(creation())
    # One that was removed under a container that exists keeps that from nothing.
    assert world.said(start()) == ""


def test_an_engine_that_does_not_answer_is_no_yes(world: World) -> None:
    world.answers["localhost/web:1"] = EngineUnavailable("gone")
    with pytest.raises(EngineUnavailable):
        world.policing.judge(creation())


def test_a_volume_by_the_beginning_of_its_name_is_none(world: World) -> None:
    """Podman answers for one, and mounts by whole names only."""
    world.answers["da"] = {"Name": "data", "Driver": "local", "Options": {"device": "/etc"}}
    world.answers["data"] = world.answers["da"]
    sights = world.view.look(Needs(volumes=("da", "data")), Subject("shop"))
    assert set(sights.volumes) == {"data"}
    assert "/etc" in sights.paths, "what its options name is looked at too"


def test_a_path_that_cannot_be_followed_says_why(world: World) -> None:
    mount = {"Type": "bind", "Source": "/etc/passwd/x", "Target": "/x", "ReadOnly": True}
    assert "/etc/passwd, which is not a folder" in world.said(creation({"Mounts": [mount]}))


def test_a_request_of_ever_so_many_paths_is_not_looked_at(world: World) -> None:
    mounts = [
        {"Type": "bind", "Source": f"/usr/{number}", "Target": f"/x/{number}", "ReadOnly": True}
        for number in range(501)
    ]
    assert "more than 500 paths" in world.said(creation({"Mounts": mounts}))


def test_a_socket_by_another_name_and_guarded_folders(world: World, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(world.socket))
        os.link(world.socket, tmp_path / "hard")
        (tmp_path / "soft").symlink_to(world.socket)
        sights = world.view.look(
            Needs(paths=(str(tmp_path / "hard"), str(tmp_path / "soft"), str(tmp_path))),
            Subject("shop"),
        )
        assert sights.paths[str(tmp_path / "hard")].engine_socket
        assert sights.paths[str(tmp_path / "soft")].resolved in sights.engine_sockets
        assert not sights.paths[str(tmp_path)].engine_socket
    for source in ("/run/docker/containerd", "/run/containerd/s", "/run/docker"):
        mount = {"Type": "bind", "Source": source, "Target": "/x", "ReadOnly": True}
        assert "mounts.guarded: " in world.said(creation({"Mounts": [mount]})), "sockets of shims"
    guarded = {one.path: one.readable for one in sights.guarded}
    assert guarded[world.config.state_dir] is False
    assert guarded[str(world.policies)] is True
    assert guarded["/etc/hullmark"] is False


def test_the_agents_copies_of_configs_are_its_own(world: World) -> None:
    folder = Path(world.config.state_dir) / "configs"
    folder.mkdir(parents=True)
    (folder / "one").write_text("x")
    for source, may in ((folder / "one", True), (folder / "two", False), (folder, False)):
        mount = {"Type": "bind", "Source": str(source), "Target": "/x", "ReadOnly": True}
        assert (world.said(creation({"Mounts": [mount]})) == "") is may
    mount = {"Type": "bind", "Source": str(folder / "one"), "Target": "/x"}
    assert world.said(creation({"Mounts": [mount]})), "read-only"


def test_containers_hosts_files_are_the_agents_own(world: World) -> None:
    folder = Path(world.config.state_dir) / hostnames.FOLDER
    folder.mkdir(parents=True)
    (folder / "shop.web.1.g1").write_text("127.0.0.1 localhost")
    mount = {"Type": "bind", "Source": str(folder / "shop.web.1.g1"), "Target": "/etc/hosts"}
    assert world.said(creation({"Mounts": [{**mount, "ReadOnly": True}]})) == ""
    assert world.said(creation({"Mounts": [mount]})), "read-only"


@pytest.mark.parametrize("has_folder", [True, False])
def test_a_containers_own_hosts_file_may_be_lost(world: World, has_folder: bool) -> None:
    """As where the agent's folder was: it is written again."""
    folder = Path(world.config.state_dir) / hostnames.FOLDER
    if has_folder:
        folder.mkdir(parents=True)

    def judged(name: str, *, write: bool = False) -> str:
        mount = {
            "Type": "bind",
            "Source": str(folder / name),
            "Destination": "/etc/hosts",
            "RW": write,
            "Mode": "",
            "Propagation": "rprivate",
        }
        found = {**inspected(), "Mounts": [mount], "Name": f"/{ONE.container_name}"}
        return in_words(world.policing.of_container(found))

    assert judged(ONE.container_name) == ""
    assert "mounts.guarded" in judged(ONE.container_name, write=True)
    assert "mounts.guarded" in judged("shop.db.1.g1")


def test_many_violations_are_told_on_one_line() -> None:
    found = [Violation("privileged", f"no {number}") for number in range(7)]
    assert in_words(found).endswith("privileged: no 4 (built in); and 2 more")
