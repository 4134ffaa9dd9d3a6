"""The Compose project says what the container was: our own loader reads it back."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hullmark.agentd.ejectionfolder import Folder, document
from hullmark.compose import load
from hullmark.core.ejection import Ejection
from hullmark.core.ejectionproject import Member, Project, escaped, project
from hullmark.core.ejectionservice import Names, duration
from hullmark.core.ejectionwords import Place, page
from hullmark.model.app import (
    Attachment,
    Bundle,
    Config,
    ContainerSpec,
    FileRef,
    Healthcheck,
    Logging,
    Mount,
    MountKind,
    Network,
    PullPolicy,
    Restart,
    RestartCondition,
    Secret,
    Service,
    Volume,
    bundle,
)
from hullmark.model.directory import PublishedEntry, ServiceName
from hullmark.model.ejection import EngineRestart
from hullmark.model.orders import InstanceId, PublishedPort
from tests.unit.compose.test_check import FULL

WEB = InstanceId("shop", "web", 1, 7)
PLACE = Place("box", "docker", "unix:///run/docker.sock", "/root/out", "/state")


def member(made: Bundle, instance: InstanceId = WEB, **more: Any) -> Member:
    return Member(instance, made, instance.container_name, **more)


def written(found: Project, folder: Path) -> Path:
    """As `eject` writes it, but for the owners of files, which only root gives away."""
    app = folder / found.app
    app.mkdir()
    for path, file in found.files.items():
        (app / path).parent.mkdir(exist_ok=True)
        (app / path).write_bytes(base64.b64decode(file.config.content_b64))
        (app / path).chmod(file.mode)
    (app / ".env").write_text(f"COMPOSE_PROJECT_NAME={found.app}\n")
    compose = app / "compose.yaml"
    compose.write_text(document(found, "box"))
    return compose


def read_back(found: Project, folder: Path) -> Mapping[str, Service]:
    loaded = load([str(written(found, folder))], environment={}, profiles=["completed"])
    assert loaded.app.name == found.app
    return loaded.app.services


def comparable(spec: ContainerSpec) -> ContainerSpec:
    """Without what a Compose file says in another way, each looked at by a test of its own."""
    return replace(
        spec,
        image="",
        digest="",
        pull_policy=PullPolicy.MISSING,
        restart=Restart(),
        one_shot=False,
        configs=(),
        mounts=tuple(sorted(spec.mounts, key=lambda mount: mount.target)),
    )


def test_every_field_comes_back(tmp_path: Path) -> None:
    given_ = bundle(FULL, "web")
    made = project("shop", [member(given_, logging=given_.container.logging)])
    spec = read_back(made, tmp_path)["web"].container
    assert comparable(spec) == comparable(given_.container)
    assert spec.image == f"registry.example/web@{given_.container.digest}"


def test_the_containers_place_comes_back(tmp_path: Path) -> None:
    given_ = bundle(FULL, "web")
    ports = (PublishedPort(80, 8080), PublishedPort(53, 5353, "udp", "10.0.0.1"))
    made = project("shop", [member(given_, ports=ports, restart=EngineRestart("on-failure", 3))])
    service = read_back(made, tmp_path)["web"]
    assert [
        (one.target, one.published_first, one.protocol, one.host_ip) for one in service.ports
    ] == [(80, 8080, "tcp", ""), (53, 5353, "udp", "10.0.0.1")]
    assert service.container.restart.condition is RestartCondition.ON_FAILURE
    assert service.container.restart.max_attempts == 3
    app = load([str(tmp_path / "shop/compose.yaml")], environment={}).app
    assert app.networks["net"] == Network(external="shop_net")
    assert app.volumes["data"] == Volume(external="shop_data")
    assert app.secrets == {"key": Secret("/etc/key")}
    assert made.document["services"]["web"]["container_name"] == "shop.web.1.g7"


def test_configs_are_files_beside_it(tmp_path: Path) -> None:
    made = project("shop", [member(bundle(FULL, "web"))])
    (path,) = made.files
    assert path == "configs/site"
    file = made.files[path]
    assert (file.mode, file.uid, file.gid) == (0o400, 1, 2)
    app = load([str(written(made, tmp_path))], environment={}).app
    (reference,) = app.services["web"].container.configs
    assert reference.target == "/site"
    assert app.configs[reference.source].sha256 == FULL.configs["site"].sha256


def config_of(text: str) -> Config:
    content = text.encode()
    return Config(
        base64.b64encode(content).decode(), hashlib.sha256(content).hexdigest(), len(content)
    )


def test_two_configs_of_one_key_are_two_files() -> None:
    """Two generations of a service beside each other, or one config read by two users."""
    bundles = [
        Bundle(
            "shop",
            "web",
            ContainerSpec("localhost/web", configs=(FileRef("..", "/a", uid=uid),)),
            configs={"..": config_of(text)},
        )
        for text, uid in (("old", ""), ("new", ""), ("new", "7"))
    ]
    members = [
        member(made, InstanceId("shop", "web", slot, slot)) for slot, made in enumerate(bundles, 1)
    ]
    made = project("shop", members)
    assert sorted(made.files) == ["configs/_..", "configs/_..-2", "configs/_..-3"]
    assert [one["volumes"] for one in made.document["services"].values()] == [
        ["./configs/_..:/a:ro"],
        ["./configs/_..-2:/a:ro"],
        ["./configs/_..-3:/a:ro"],
    ]


@pytest.mark.parametrize(
    "mount",
    [
        Mount(MountKind.BIND, "/t", "/srv"),
        Mount(MountKind.BIND, "/t", "/srv", True, "rshared", "Z"),
        Mount(MountKind.BIND, "/t", "/srv", create_host_path=False),
        Mount(MountKind.VOLUME, "/t", "data"),
        Mount(MountKind.VOLUME, "/t", "data", read_only=True, no_copy=True),
        Mount(MountKind.VOLUME, "/t"),
        Mount(MountKind.VOLUME, "/t", read_only=True),
        Mount(MountKind.TMPFS, "/t"),
        Mount(MountKind.TMPFS, "/t", read_only=True, tmpfs_mode=0o700),
    ],
)
def test_every_mount_comes_back(tmp_path: Path, mount: Mount) -> None:
    spec = ContainerSpec("localhost/web", mounts=(mount,))
    made = project("shop", [member(Bundle("shop", "web", spec, volumes={"data": Volume()}))])
    assert read_back(made, tmp_path)["web"].container.mounts == (mount,)


@pytest.mark.parametrize(
    "spec",
    [
        ContainerSpec("localhost/web", command=(), entrypoint=()),
        ContainerSpec("localhost/web", init=False),
        ContainerSpec("localhost/web", network_mode="host"),
        ContainerSpec("localhost/web", healthcheck=Healthcheck(disabled=True)),
        ContainerSpec("localhost/web", healthcheck=Healthcheck(interval_s=0.5)),
        ContainerSpec("localhost/web", stop_grace_s=0.0),
        ContainerSpec("localhost/web", memory_swap_bytes=-1),
        ContainerSpec(
            "localhost/web",
            networks=(Attachment("b", mac_address="02:42:ac:11:00:02"), Attachment("a")),
        ),
    ],
)
def test_what_is_said_by_little_comes_back(tmp_path: Path, spec: ContainerSpec) -> None:
    networks = {place.network: Network() for place in spec.networks}
    if not spec.networks and not spec.network_mode:
        spec = replace(spec, network_mode="none")
    made = project("shop", [member(Bundle("shop", "web", spec, networks))])
    assert comparable(read_back(made, tmp_path)["web"].container) == comparable(spec)


def test_a_container_without_networks_gets_none(tmp_path: Path) -> None:
    made = project("shop", [member(Bundle("shop", "web", ContainerSpec("localhost/web")))])
    assert read_back(made, tmp_path)["web"].container.network_mode == "none"


def test_local_images_are_never_pulled_and_pinned_ones_by_digest() -> None:
    def said(image: str, digest: str = "") -> Any:
        spec = ContainerSpec(image, digest)
        made = project("shop", [member(Bundle("shop", "web", spec))]).document["services"]["web"]
        return made["image"], made.get("pull_policy")

    digest = f"sha256:{'1' * 64}"
    assert said("localhost/web:1") == ("localhost/web:1", "never")
    assert said("nginx:1", digest) == (f"docker.io/library/nginx@{digest}", None)


def test_the_engines_own_defaults_are_written_down() -> None:
    """Compose would leave them out: logs without limit, and ulimits that Podman can't give."""
    made = project(
        "shop",
        [
            member(
                Bundle("shop", "web", ContainerSpec("localhost/web")),
                logging=Logging("json-file", {"max-size": "10m"}),
                ulimits={"nofile": (5, 6)},
            )
        ],
    ).document["services"]["web"]
    assert made["logging"] == {"driver": "json-file", "options": {"max-size": "10m"}}
    assert made["ulimits"] == {"nofile": {"soft": 5, "hard": 6}}


WORDS = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=12)


@given(
    st.dictionaries(st.from_regex("[A-Za-z_][A-Za-z0-9_.]{0,8}", fullmatch=True), WORDS, max_size=4)
)
def test_variables_come_back_whatever_they_hold(
    tmp_path_factory: pytest.TempPathFactory, variables: dict[str, str]
) -> None:
    spec = ContainerSpec(
        "localhost/web", network_mode="none", environment=variables, command=(*variables.values(),)
    )
    made = project("shop", [member(Bundle("shop", "web", spec))])
    found = read_back(made, tmp_path_factory.mktemp("p"))["web"].container
    assert found.environment == variables
    assert found.command == spec.command


@pytest.mark.parametrize(
    "word", ["0o17", "1e3", "on", "no", "~", "1:30", "$HOME", "${A:-b}", "# x"]
)
def test_no_reader_of_yaml_takes_a_word_for_something_else(word: str) -> None:
    spec = ContainerSpec("localhost/web", environment={"A": word, word: "1"})
    made = document(project("shop", [member(Bundle("shop", "web", spec))]), "box")
    assert f'A: "{word.replace("$", "$$")}"' in made
    assert f'"{word}": "1"' in made


@pytest.mark.parametrize("bound", [(), (PublishedPort(80, 8080),)])
def test_ports_of_the_proxy_are_published_by_who_uncomments_them(
    tmp_path: Path, bound: tuple[PublishedPort, ...]
) -> None:
    name = ServiceName("shop", "web")
    proxied = (PublishedEntry(8443, "", name, 443), PublishedEntry(8081, "192.0.2.11", name, 81))
    spec = ContainerSpec("localhost/web", environment={"A": "# - x"}, networks=(Attachment("net"),))
    service = Bundle("shop", "web", spec, {"net": Network()})
    made = project("shop", [member(service, ports=bound, proxied=proxied)])
    path = written(made, tmp_path)
    text = path.read_text()
    assert "Once hullmark-proxy is gone" in text
    assert "Only one" not in text

    def ports() -> list[tuple[int, int]]:
        found = load([str(path)], environment={}).app.services["web"]
        assert found.container.environment == spec.environment
        return [(one.published_first or 0, one.target) for one in found.ports]

    own = [(port.published, port.target) for port in bound]
    assert ports() == own
    head, below, tail = text.rpartition("the lines below:\n")
    path.write_text(head + below + tail.replace("# ", ""))
    assert ports() == [*own, (8443, 443), (8081, 81)]


def test_of_two_that_have_a_port_each_names_the_other() -> None:
    entry = PublishedEntry(8443, "", ServiceName("shop", "web"), 443)
    made = Bundle("shop", "web", ContainerSpec("localhost/web"))
    members = [member(made, replace(WEB, slot=slot), proxied=(entry,)) for slot in (1, 2)]
    text = document(project("shop", members), "box")
    first, _, second = text.partition("\n  web-2:")
    assert "this and web-2 can" in first
    assert "this and web-1 can" in second
    page_ = page(project("shop", members), Ejection((), (), (), (), ()), (), PLACE)
    assert "| web-1 | 8443:443 |" in page_
    assert "hullmark-proxy" in page_
    without = project("shop", [member(made)])
    assert "hullmark-proxy" not in page(without, Ejection((), (), (), (), ()), (), PLACE)


def test_every_dollar_is_doubled() -> None:
    assert escaped({"a$": ["$b", 1, {"c": "$$"}]}) == {"a$": ["$$b", 1, {"c": "$$$$"}]}


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0s"), (10, "10s"), (0.5, "0.5s"), (86400, "86400s")]
)
def test_durations(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_two_things_never_get_one_name() -> None:
    names: Names[str] = Names()
    assert [names.of("a", each) for each in ("x", "y", "x", "z")] == ["a", "a-2", "a", "a-3"]


def test_the_folder_is_the_owners_alone(tmp_path: Path) -> None:
    made = project("shop", [member(Bundle("shop", "web", ContainerSpec("localhost/web")))])
    folder = Folder(tmp_path / "out")
    folder.write(Ejection((made,), (), (), (), ()), PLACE, said=["a note"])
    assert not (tmp_path / "out").exists()
    folder.put()
    for path in (tmp_path / "out", *(tmp_path / "out").rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path
    assert sorted(each.name for each in (tmp_path / "out/shop").iterdir()) == [
        ".env",
        "README.md",
        "compose.yaml",
    ]
    assert "a note" in (tmp_path / "out/README.md").read_text()
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]
