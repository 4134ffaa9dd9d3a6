"""A host's policy before a real engine: what it forbids is not made and not started, however a request words it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from hullmark.agentd.policing import Policing
from hullmark.agentd.policyfolder import PolicyFolder
from hullmark.agentd.problems import Problems
from hullmark.agentd.sights import Viewpoint
from hullmark.config import load_agent
from hullmark.engine.docker_api import DockerApiEngine
from hullmark.engine.protocol import Deed, Passage
from hullmark.errors import HullmarkError, PolicyRefused
from hullmark.model import names
from hullmark.model.app import Attachment, Bundle, ContainerSpec, Mount, MountKind, Network, Volume
from hullmark.model.orders import PublishedPort
from tests.cluster import wait_until
from tests.integration.engines import Engine
from tests.integration.shipyard import IMAGE, Yard, request_for, single, yard_for

WEB = ContainerSpec(IMAGE, stop_grace_s=1)
one_engine = pytest.mark.parametrize(
    "engine", ["docker", pytest.param("podman", marks=pytest.mark.full)], indirect=True
)
"""For what is judged before an engine has a part in it."""
NOBODY = 65534


@dataclass
class JudgingGate:
    """A gate that judges, and records nothing."""

    policing: Policing

    @contextlib.contextmanager
    def passing(self, deed: Deed) -> Iterator[Passage]:
        self.policing.judge(deed)
        try:
            yield Passage(deed.container_id)
        finally:
            self.policing.ended(deed)


@dataclass
class Host:
    """`yard` is behind the policy, `open_yard` is not. `ground` is a folder in which only root has a say."""

    yard: Yard
    open_yard: Yard
    policies: Path
    problems: Problems
    ground: Path
    policing: Policing

    def policy(self, text: str) -> None:
        self.policies.mkdir(mode=0o755, exist_ok=True)
        (self.policies / "10-test.yaml").write_text(text.replace("GROUND", str(self.ground)))

    def refused(self, made: Bundle, ports: tuple[PublishedPort, ...] = ()) -> str:
        """What the policy says of a service; nothing of it is to be found afterwards."""
        before = self._there()
        with pytest.raises(PolicyRefused) as caught:
            self.yard.create(made, ports)
        assert self._there() == before
        return caught.value.message

    def _there(self) -> set[str]:
        return {one.container_id for one in self.open_yard.engine.listed()}

    def binding(self, source: object, *, write: bool = False) -> Bundle:
        mount = Mount(
            MountKind.BIND, "/there", str(source), read_only=not write, create_host_path=False
        )
        return single("shop", replace(WEB, mounts=(mount,)))


@pytest.fixture
def ground() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="hullmark-test-", dir="/srv"))
    made.chmod(0o755)
    (made / "data").mkdir()
    (made / "data/file").write_text("allowed")
    yield made
    shutil.rmtree(made)


@pytest.fixture
def host(clean_engine: Engine, image: str, tmp_path: Path, ground: Path) -> Iterator[Host]:
    file = tmp_path / "agent.yaml"
    file.write_text(
        f"state_dir: {tmp_path}/agent\npolicy_dir: {tmp_path}/policy.d\n"
        f"engine: {{socket: '{clean_engine.socket}'}}\n"
    )
    config, problems = load_agent(str(file)).config, Problems()
    bare = yard_for(clean_engine, tmp_path)
    policing = Policing(
        Viewpoint(config, bare.engine), PolicyFolder(config.policy_dir, problems, former_s=0.0)
    )
    pool = clean_engine.workspace.addresses.rpartition("/")[0].split(".")
    engine = DockerApiEngine(
        clean_engine.socket,
        subnet_pool=f"{pool[0]}.{pool[1]}.192.0/18",
        subnet_prefix=26,
        gate=JudgingGate(policing),
    )
    yard = Yard(engine, clean_engine, tmp_path)
    yield Host(yard, bare, tmp_path / "policy.d", problems, ground, policing)
    engine.close()
    bare.engine.close()


MOUNTS = "mounts: {read: [GROUND/data], write: []}\n"


@one_engine
def test_without_a_policy_a_container_gets_what_it_asks_for(host: Host) -> None:
    (host.ground / "link").symlink_to("/etc")
    spec = replace(WEB, pid="host", cap_add=("NET_ADMIN",))
    mounts = (
        Mount(MountKind.BIND, "/there", str(host.ground / "link/hostname"), read_only=True),
        Mount(MountKind.BIND, "/data", str(host.ground / "new")),
    )
    bundle = single("shop", replace(spec, mounts=mounts))
    container_id = host.yard.run(bundle)
    assert host.yard.sh(container_id, "cat /there") == Path("/etc/hostname").read_text().strip()
    assert host.problems.all() == ()


def test_links_and_dots_are_followed_as_the_engine_does(host: Host) -> None:
    host.policy(MOUNTS)
    ground = host.ground
    (ground / "data/inside").symlink_to("../data/file")
    (ground / "data/outside").symlink_to("/etc/passwd")
    (ground / "to").symlink_to("data")
    (ground / "data/far").symlink_to("/etc/ssl")
    container_id = host.yard.run(host.binding(ground / "to/inside"))
    assert host.yard.sh(container_id, "cat /there") == "allowed"
    assert "which is /etc/passwd, may not be mounted" in host.refused(
        host.binding(ground / "data/outside")
    )
    assert "as one takes `..`" in host.refused(host.binding(f"{ground}/data/far/../passwd"))
    assert "which is /etc/passwd" in host.refused(
        host.binding(f"{ground}/data/../../../etc/passwd")
    )
    assert "10-test.yaml:1" in host.refused(host.binding("/etc/passwd"))
    assert "for writing" in host.refused(host.binding(ground / "data", write=True))


def test_dots_after_a_link_are_taken_away_as_text(host: Host) -> None:
    """What `ways` relies on for saying which of two ways an engine takes; both are refused where they differ."""
    (host.ground / "elsewhere/deep").mkdir(parents=True)
    (host.ground / "elsewhere/file").write_text("by the kernel")
    (host.ground / "data/far").symlink_to("../elsewhere/deep")
    container_id = host.open_yard.run(host.binding(f"{host.ground}/data/far/../file"))
    assert host.open_yard.sh(container_id, "cat /there") == "allowed"


@one_engine
def test_components_that_others_can_change_are_refused(host: Host) -> None:
    host.policy("mounts: {read: [/], write: [/]}\n")
    theirs = host.ground / "theirs"
    (theirs / "data").mkdir(parents=True)
    host.yard.create(host.binding(theirs / "data"))
    for mode, owner in ((0o1777, 0), (0o775, 0), (0o755, NOBODY)):
        theirs.chmod(mode)
        os.chown(theirs, owner, 0)
        assert f"{theirs} (" in host.refused(host.binding(theirs / "data"))
    (
        host.yard.create(host.binding(theirs)),
        "it belongs to somebody, but nobody can put another there",
    )


SWAP = """\
import ctypes, os, sys
swap = ctypes.CDLL(None).renameat2
os.chdir(sys.argv[1])
os.setgid(65534), os.setuid(65534)
os.mkdir("a")
os.symlink("/etc", "b")
while True:
    swap(-100, b"a", -100, b"b", 2)  # RENAME_EXCHANGE
"""


@one_engine
def test_a_user_that_swaps_a_folder_for_a_link_never_wins(host: Host) -> None:
    """`theirs/a` is a folder now and a link to /etc then, as a user pleases whose folder it is in."""
    host.policy("mounts: {read: [GROUND], write: [GROUND]}\n")
    theirs = host.ground / "theirs"
    theirs.mkdir()
    os.chown(theirs, NOBODY, NOBODY)
    swapping = subprocess.Popen([sys.executable, "-c", SWAP, str(theirs)])
    try:
        wait_until(lambda: (theirs / "b").is_symlink() and (theirs / "a").is_dir(), "the swaps")
        said: list[str] = []

        def both_met() -> bool:
            """It was a link at one judgement, and a folder at another."""
            said.append(host.refused(host.binding(theirs / "a")))
            return {"which is /etc" in words for words in said} == {True, False}

        wait_until(both_met, "both are met")
    finally:
        swapping.kill()
        swapping.wait()


def test_the_engines_socket_by_any_name(host: Host) -> None:
    socket = Path(host.yard.daemon.socket.partition("://")[2])
    (host.ground / "link").symlink_to(socket)
    ways = [socket, socket.parent, socket.parent.parent, host.ground / "link"]
    with contextlib.suppress(OSError):  # another file system
        os.link(socket, host.ground / "hard")
        ways.append(host.ground / "hard")
    for way in ways:
        assert "engine_socket: " in host.refused(host.binding(way))
    again = host.ground / "again/deep"
    again.mkdir(parents=True)
    subprocess.run(["mount", "--bind", str(socket.parent), str(again)], check=True)
    try:
        for way in (again, again / socket.name, again.parent):
            assert "engine_socket: " in host.refused(host.binding(way))
    finally:
        subprocess.run(["umount", str(again)], check=True)
    host.policy("engine_socket: true\n")
    host.yard.create(host.binding(host.ground / "link"))


def on_volume(**settings: object) -> Bundle:
    spec = replace(WEB, mounts=(Mount(MountKind.VOLUME, "/there", "data"),))
    return Bundle("shop", "web", spec, volumes={"data": Volume(**settings)})  # type: ignore[arg-type]


def test_volumes_are_judged_by_what_they_show(host: Host) -> None:
    host.policy(
        "mounts: {read: [GROUND/data], write: [GROUND/data]}\nvolumes: {external: [kept]}\n"
    )
    etc = {"type": "none", "o": "bind", "device": "/etc"}
    assert "/etc" in host.refused(on_volume(driver_options=etc))
    assert host.yard.sdk.volumes.list() == []
    (host.ground / "link").symlink_to("/etc")
    linked = {**etc, "device": str(host.ground / "link")}
    assert "which is /etc" in host.refused(on_volume(driver_options=linked))
    # Made by hand, or before there was a policy.
    host.yard.sdk.volumes.create("kept", driver_opts=etc)
    host.yard.sdk.volumes.create("others")
    assert "/etc of volume kept" in host.refused(on_volume(external="kept"))
    assert "volumes.external: " in host.refused(on_volume(external="others"))
    fine = {**etc, "device": str(host.ground / "data")}
    container_id = host.yard.run(on_volume(driver_options=fine))
    assert host.yard.sh(container_id, "cat /there/file") == "allowed"


def test_networks_of_others_are_not_joined(host: Host) -> None:
    host.policy("networks: {external: []}\nhost_namespaces: []\n")
    host.yard.sdk.networks.create("lan9")
    spec = replace(WEB, networks=(Attachment("own"), Attachment("lan")))
    made = Bundle("shop", "web", spec, {"own": Network(), "lan": Network(external="lan9")})
    with pytest.raises(PolicyRefused, match=r"networks\.external: network lan9 is not of app shop"):
        host.yard.create(made)
    only = replace(spec, networks=(Attachment("lan"),))
    assert "lan9" in host.refused(Bundle("shop", "web", only, {"lan": Network(external="lan9")}))
    assert "host_namespaces" in host.refused(single("shop", replace(WEB, network_mode="host")))
    own = replace(spec, networks=(Attachment("own"),))
    host.yard.run(Bundle("shop", "web", own, {"own": Network()}))


def test_what_inspect_says_is_judged_before_every_start(host: Host) -> None:
    container_id = host.open_yard.create(single("shop", replace(WEB, pid="host")))
    host.policy("host_namespaces: []\n")
    with pytest.raises(PolicyRefused, match=r"host_namespaces: .*pid.*\(10-test.yaml:1\)"):
        host.yard.engine.start(container_id)
    assert not host.yard.inspect(container_id)["State"]["Running"]
    host.policy("host_namespaces: [pid]\n")
    host.yard.engine.start(container_id)
    assert host.yard.inspect(container_id)["State"]["Running"]
    host.policy("host_namespaces: []\n")
    host.yard.engine.stop(container_id)
    with pytest.raises(PolicyRefused):
        host.yard.engine.start(container_id)
    host.yard.engine.remove(container_id)


@one_engine
def test_a_link_that_changed_since_is_seen_before_the_start(host: Host) -> None:
    host.policy(MOUNTS)
    (host.ground / "link").symlink_to("data")
    container_id = host.yard.create(host.binding(host.ground / "link"))
    (host.ground / "link").unlink()
    (host.ground / "link").symlink_to("/etc")
    with pytest.raises(PolicyRefused, match="which is /etc"):
        host.yard.engine.start(container_id)


def test_a_container_made_by_hand_with_our_labels_is_judged_too(host: Host) -> None:
    request = request_for(single("shop", WEB))
    labels = names.instance_labels(
        request.cluster_id, request.instance, request.spec_hash, request.epoch
    )
    host.policy("privileged: false\ndevices: []\n")
    made = host.yard.sdk.api.create_container(
        IMAGE,
        labels=labels,
        name=request.instance.container_name,
        host_config=host.yard.sdk.api.create_host_config(devices=["/dev/full:/dev/full:rwm"]),
    )
    with pytest.raises(PolicyRefused, match="devices: "):
        host.yard.engine.start(made["Id"])
    assert host.yard.engine.create(request) == made["Id"], "the very container, still not started"
    with pytest.raises(PolicyRefused, match="devices: "):
        host.yard.engine.start(made["Id"])


def test_the_users_number_is_the_images(host: Host) -> None:
    host.policy("user: {root: false}\n")
    assert "user.root: " in host.refused(single("shop", WEB))
    container_id = host.yard.run(single("shop", replace(WEB, user="1000:1000")))
    assert host.yard.sh(container_id, "id -u") == "1000"
    as_app = host.yard.daemon.load_image("localhost/as-app:1", config={"User": "1234:1234"})
    container_id = host.yard.run(single("shop", replace(WEB, image=as_app, command=("sleep", "9"))))
    assert host.yard.sh(container_id, "id -u") == "1234"


@one_engine
def test_root_has_other_names(host: Host) -> None:
    host.policy("user: {root: false}\n")
    for user in ("0", "0:0", "root", "00", "+0", "0x0"):
        said = host.refused(single("shop", replace(WEB, user=user)))
        assert "would run as user " in said or "is a number of a form that is not known" in said


@one_engine
def test_a_policy_that_cannot_be_read_lets_nothing_be_made_or_started(host: Host) -> None:
    host.policy("privileged: false\n")
    running = host.yard.run(single("shop", WEB))
    waiting = host.yard.create(single("shop", WEB))
    for text, said in (("privileged: maybe\n", "10-test.yaml:1"), ("privilged: true\n", "unknown")):
        host.policy(text)
        assert said in host.refused(single("shop", WEB))
        with pytest.raises(PolicyRefused, match="nothing is created or started"):
            host.yard.engine.start(waiting)
        with pytest.raises(PolicyRefused):
            host.yard.engine.ensure_network("c0ffee", "shop", "front", Network())
        (problem,) = host.problems.all()
        assert problem.code == "policy.invalid"
    host.policy("privileged: false\n")
    (host.policies / "10-test.yaml").chmod(0o666)
    assert "may be written by everybody" in host.refused(single("shop", WEB))
    assert host.yard.inspect(running)["State"]["Running"]
    host.yard.engine.stop(running)
    host.yard.engine.remove(running)
    (host.policies / "10-test.yaml").chmod(0o644)
    host.yard.engine.start(waiting)
    assert host.problems.all() == ()


@one_engine
def test_an_image_that_is_gone_is_no_matter_of_policy(host: Host) -> None:
    host.policy("user: {root: false}\n")
    with pytest.raises(HullmarkError) as caught:
        host.yard.create(single("shop", replace(WEB, image="localhost/never-here:1")))
    assert not isinstance(caught.value, PolicyRefused)
