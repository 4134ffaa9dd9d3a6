"""What a policy would say of an app, without a master and without an engine."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from hullmark.agentd import policyverb
from hullmark.agentd.__main__ import main
from hullmark.errors import EngineUnavailable
from hullmark.model.app import (
    App,
    Attachment,
    ContainerSpec,
    Mount,
    MountKind,
    Network,
    PortMode,
    PortSpec,
    PullPolicy,
    Service,
    Volume,
)
from hullmark.model.wire import to_wire
from tests.unit.agentd.test_daemon import config_in

POLICY = """\
privileged: false
mounts: {read: [/usr/share], write: []}
ports: {published: [8000-8001]}
networks: {external: [lan1]}
user: {root: false}
"""


@pytest.fixture(autouse=True)
def _no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(_configured: str) -> str:
        raise EngineUnavailable("no engine here")

    monkeypatch.setattr(policyverb, "find_engine", find)


class Asked:
    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
        self._folder, self._monkeypatch, self._capsys = tmp_path, monkeypatch, capsys
        self.policies = tmp_path / "policy.d"
        self.policies.mkdir(mode=0o755)
        self.write(POLICY)

    def write(self, text: str) -> None:
        (self.policies / "10-a.yaml").write_text(text)

    def test(self, app: App, *options: str) -> tuple[int, str]:
        config = config_in(self._folder, f"policy_dir: {self.policies}\n")
        self._monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(to_wire(app))))
        code = main(["policy-test", "--config", config, *options])
        told = self._capsys.readouterr()
        return code, told.out + told.err


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> Asked:
    return Asked(tmp_path, monkeypatch, capsys)


def app(ports: tuple[PortSpec, ...] = (), *, user: str = "1000:1000", **spec: Any) -> App:
    container = ContainerSpec(**{"image": "localhost/web:1", "user": user, **spec})
    networks = {"own": Network(), "lan": Network(external="lan1"), "far": Network(external="lan2")}
    volumes = {"data": Volume(driver_options={"type": "none", "o": "bind", "device": "/etc"})}
    return App("shop", {"web": Service(container, ports=ports)}, networks, volumes)


def test_what_is_allowed(asked: Asked) -> None:
    mount = Mount(MountKind.BIND, "/z", "/usr/share/zoneinfo", read_only=True)
    made = app(
        (PortSpec(80, 8000, 8001, mode=PortMode.HOST),),
        mounts=(mount,),
        networks=(Attachment("own"),),
    )
    code, said = asked.test(made)
    assert code == 0
    assert said.startswith("shop/web  allowed\n  not known yet: image localhost/web:1 is not here")
    assert "The engine was not asked" in said


@pytest.mark.parametrize(
    ("made", "rule"),
    [
        (app(privileged=True), "privileged: not allowed here (10-a.yaml:1)"),
        (app((PortSpec(80, 8001, 8002, mode=PortMode.HOST),)), "ports.published: "),
        (app(user="0"), "user.root: would run as user 0"),
        (app(mounts=(Mount(MountKind.VOLUME, "/d", "data"),)), "/etc of volume shop_data"),
        (app(mounts=(Mount(MountKind.BIND, "/d", "/usr/share"),)), "for writing (10-a.yaml:2)"),
        (app(networks=(Attachment("own"), Attachment("far"))), "networks.external: network lan2"),
    ],
)
def test_what_is_refused(asked: Asked, made: App, rule: str) -> None:
    code, said = asked.test(made)
    assert code == 1
    assert said.startswith("shop/web  refused\n  ")
    assert rule in said


def test_a_network_of_others_that_is_allowed_need_not_be_looked_at(asked: Asked) -> None:
    assert asked.test(app(networks=(Attachment("own"), Attachment("lan"))))[0] == 0


def test_as_json(asked: Asked) -> None:
    code, said = asked.test(app(privileged=True), "--output", "json")
    document = json.loads(said)
    assert (code, document["schema"], document["app"]) == (1, "hullmark.policy-test/1", "shop")
    assert document["policy_files"] == [str(asked.policies / "10-a.yaml")]
    (service,) = document["services"]
    assert (service["service"], service["allowed"]) == ("web", False)
    assert service["violations"] == [
        {
            "rule": "privileged",
            "message": "not allowed here",
            "file": str(asked.policies / "10-a.yaml"),
            "line": 1,
        }
    ]


def test_another_policy_can_be_tried(asked: Asked, tmp_path: Path) -> None:
    (tmp_path / "next").mkdir(mode=0o755)
    assert asked.test(app(privileged=True), "--policy-dir", str(tmp_path / "next"))[0] == 0
    said = asked.test(app(), "--policy-dir", str(tmp_path / "next"))[1]
    assert "This host has no policy" in said


def test_a_policy_that_cannot_be_read_is_an_error(asked: Asked) -> None:
    asked.write("privileged: maybe\n")
    code, said = asked.test(app())
    assert code == 2
    assert "10-a.yaml:1" in said


def test_what_is_no_app_is_an_error(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys
) -> None:
    for text in ("", "[]", '{"name": 1}'):
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))
        assert main(["policy-test", "--config", config_in(tmp_path)]) == 2
        assert capsys.readouterr().err


@pytest.mark.parametrize(
    ("image", "pull", "refused"),
    [
        ("registry.example.com/prod/api:4.2", PullPolicy.MISSING, False),
        ("registry.example.com/prod/api:4.2", PullPolicy.NEVER, True),
        ("localhost/api:4.2", PullPolicy.MISSING, True),
    ],
)
def test_a_tag_that_is_pinned_when_it_is_applied_has_its_digest_then(
    asked: Asked, image: str, pull: PullPolicy, *, refused: bool
) -> None:
    asked.write("images: {digest: true}\n")
    code, said = asked.test(app(image=image, pull_policy=pull))
    assert ("images.digest: " in said) == refused
    assert (f"not known yet: the digest of {image}" in said) == (not refused)
    assert code == int(refused)
