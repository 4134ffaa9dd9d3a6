"""Secret values are planted wherever the shop has some, and looked for wherever they have no business to be."""

from __future__ import annotations

import base64
import dataclasses
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hullmark.cli.main import COMMANDS
from hullmark.masterd.routes import API
from hullmark.pki.invites import Invite
from tests.cluster import wait_until
from tests.e2e.callers import UnixConnection, exchange
from tests.fleet import Fleet
from tests.integration.namespaces import HOST_ADDRESS
from tests.integration.registry import Registry

APP = """\
name: vault
services:
  web:
    image: {image}
    init: true
    command: [sleep, "100000"]
    stop_grace_period: 1s
    environment: {{PASSWORD: "{environment}"}}
    secrets: [key]
    configs: [{{source: site, target: /site}}]
    deploy: {{replicas: 3, update_config: {{parallelism: 0, monitor: 0s}}}}
secrets: {{key: {{file: {key}}}}}
configs: {{site: {{file: {site}}}}}
"""
USER = "robot"
SHORT = {"hold_s": "0.01", "follow": "false", "what": "vault"}
"""Parameters that would make an answer wait, or that have to be given."""


@dataclasses.dataclass(frozen=True)
class Planted:
    """`environment` and `config` are orders: the store and the agents need them. The others are written down nowhere
    but where the shop itself put them."""

    environment: str
    former_environment: str
    config: str
    secret: str
    registry: str
    invite: str
    session: str
    token: str

    @property
    def ordered(self) -> tuple[str, ...]:
        return (self.environment, self.former_environment, self.config)

    @property
    def never(self) -> tuple[str, ...]:
        return (self.secret, self.registry, self.invite, self.session, self.token)


def forms(value: str) -> Iterator[bytes]:
    """As it is, and as HTTP's headers and Docker's credentials have it."""
    for text in (value, f"{USER}:{value}"):
        yield text.encode()
        yield base64.b64encode(text.encode()).rstrip(b"=")[:-1]
    yield value.encode().hex().encode()


def found(values: tuple[str, ...], places: dict[str, bytes]) -> list[str]:
    """Each place that has one of the values in it."""
    return [
        f"{place} has {value[:12]}..."
        for place, content in sorted(places.items())
        for value in values
        if any(form in content for form in forms(value))
    ]


def new_value(kind: str) -> str:
    return f"planted-{kind}-{secrets.token_hex(12)}"


@pytest.fixture
def locked(fleet: Fleet) -> Iterator[Registry]:
    """A registry that all hosts reach, and for which they have a password."""
    with Registry(user=USER, password=new_value("registry"), address=HOST_ADDRESS) as registry:
        folder = fleet.folder / "registries.d"
        folder.mkdir(exist_ok=True)
        file = folder / "locked.yaml"
        file.touch(0o600)
        file.write_text(
            f"registry: '{registry.host}'\nusername: {USER}\npassword: {registry.password}\n"
        )
        yield registry
        shutil.rmtree(folder)


@pytest.fixture
def planted(fleet: Fleet, locked: Registry, tmp_path: Path) -> Iterator[Planted]:
    """After all of it was used: applied, changed, pulled with, logged in with; and refused."""

    def token_of(name: str, *command: str) -> str:
        file = tmp_path / name
        fleet.hullmark(*command, "--token-file", str(file))
        return file.read_text().strip()

    values = Planted(
        environment=new_value("environment"),
        former_environment=new_value("former"),
        config=new_value("config"),
        secret=new_value("secret"),
        registry=locked.password,
        invite=Invite.parse(token_of("invite", "invite", "web9")).secret,
        session=token_of("session", "login").rpartition(".")[2],
        token=token_of("token", "token", "create", "planted", "--role", "viewer").rpartition(".")[
            2
        ],
    )
    (tmp_path / "key").write_text(values.secret)
    (tmp_path / "site").write_text(values.config)
    pinned = f"team/web@{locked.push('team/web:1')}"
    for environment in (values.former_environment, values.environment):
        text = APP.format(
            image=locked.ref(pinned),
            environment=environment,
            key=tmp_path / "key",
            site=tmp_path / "site",
        )
        (tmp_path / "compose.yaml").write_text(text)
        fleet.hullmark("apply", "--wait", str(tmp_path / "compose.yaml"))
    assert len(fleet.running("vault")) == 3, "pulled with the password, started with the secret"
    (tmp_path / "refused.yaml").write_text(text.replace("replicas: 3", "replicas: many"))
    (tmp_path / "tagged.yaml").write_text(text.replace(pinned, "team/web:1"))
    for file in (tmp_path / "session", tmp_path / "token"):
        assert fleet.run(*remote(fleet, file), "apps").returncode == 0
    file = tmp_path / "wrong"
    file.write_text((tmp_path / "token").read_text().strip()[:-1])
    file.chmod(0o600)
    assert fleet.run(*remote(fleet, file), "apps").returncode != 0
    yield values
    fleet.hullmark("token", "revoke", "planted")


def remote(fleet: Fleet, token: Path) -> list[str]:
    url = f"https://{fleet.address}:{fleet.api_port}"
    root = fleet.folder / "master" / "pki" / "root.pem"
    return ["--master", url, "--token-file", str(token), "--ca", str(root)]


def files(fleet: Fleet, *names: str) -> dict[str, bytes]:
    """All files of these, by path below the cluster's folder."""
    found = {}
    for name in names:
        top = fleet.folder / name
        for file in [top] if top.is_file() else sorted(top.rglob("*")):
            if file.is_file():
                found[str(file.relative_to(fleet.folder))] = file.read_bytes()
    return found


def answers(fleet: Fleet) -> dict[str, bytes]:
    """What every GET of the API says."""
    names = {"{app}": "vault", "{host}": "web1", "{token}": "none"}
    found = {}
    for route in API:
        if route.method != "GET":
            continue
        path = route.path
        for name, value in names.items():
            path = path.replace(name, value)
        short = [f"{one.name}={SHORT[one.name]}" for one in route.query if one.name in SHORT]
        if "limit" in {one.name for one in route.query}:
            short.append("limit=1000")
        path += f"?{'&'.join(short)}" if short else ""
        answer = exchange(UnixConnection(str(fleet.folder / "m.sock")), "GET", path)
        assert answer.status == (404 if "{" in path else 200), (path, answer.raw)
        found[f"GET {path}"] = answer.raw
    return found


READING = [
    ["status"],
    ["hosts"],
    ["apps"],
    ["ps"],
    ["ps", "vault"],
    ["events", "-n", "1000"],
    ["audit", "show", "-n", "10000"],
    ["audit", "export"],
    ["audit", "export", "--format", "csv"],
    ["audit", "trace", "vault"],
    ["audit", "heads"],
    ["changes", "list"],
    ["change-control", "show"],
    ["break-glass", "list"],
    ["controls", "--cluster"],
    ["controls", "--host", "web1"],
    ["outages", "list"],
    ["mark", "show"],
    ["mark", "status"],
    ["evidence", "fingerprint"],
    ["orphans"],
    ["ports"],
    ["flows"],
    ["services"],
    ["explain", "vault"],
    ["why", "vault"],
    ["logs", "vault"],
    ["rollout", "status", "vault"],
    ["rollout", "history", "vault"],
    ["host", "show", "web1"],
    ["maintenance", "list"],
    ["token", "list"],
    ["config", "show", "master", "MASTER"],
    ["config", "show", "agent", "AGENT"],
    ["snapshot", "verify", "SNAPSHOT"],
    ["validate", "COMPOSE"],
    ["plan", "COMPOSE"],
    ["plan", "REFUSED"],
    ["validate", "REFUSED"],
    ["apply", "REFUSED"],
    ["apply", "TAGGED"],  # whose registry doesn't speak TLS, which agents want of it
]
# `footprint` and `eject` are about this machine, not the cluster; tests/packaging tries them.
OTHERS = {
    "scale",
    "move",
    "rm",
    "invite",
    "login",
    "agent",
    "master",
    "version",
    "footprint",
    "eject",
    "drill",
    "approve",
    "exec",
    "policy",
}
SNAPSHOT = "GET /v1/snapshot"
"""What the store holds, to be kept as the store is."""
REFUSED = {"REFUSED", "TAGGED"}


def outputs(fleet: Fleet, folder: Path) -> dict[str, bytes]:
    """What every command that reads says, as text and as JSON, and what one says that refuses."""
    named = {
        "MASTER": str(fleet.master_config),
        "AGENT": str(fleet.hosts["web1"].config),
        "COMPOSE": str(folder / "compose.yaml"),
        "REFUSED": str(folder / "refused.yaml"),
        "TAGGED": str(folder / "tagged.yaml"),
        "SNAPSHOT": str(folder / "saved.snapshot"),
    }
    fleet.hullmark("snapshot", "save", "--force", named["SNAPSHOT"])
    found = {}
    for words in READING:
        command = [named.get(word, word) for word in words]
        for form in ([], ["--output", "json"]):
            done = fleet.run(*command, *form)
            # 3: nothing is known, as of the controls of these hosts, which have none.
            expected = (2,) if REFUSED.intersection(words) else (0, 1, 3)
            assert done.returncode in expected, (words, done.stderr)
            found[f"hullmark {' '.join(words + form)}"] = (done.stdout + done.stderr).encode()
    return found


def test_no_secret_is_anywhere_but_where_it_must_be(
    fleet: Fleet, planted: Planted, tmp_path: Path
) -> None:
    logs = ["master.log", *(f"{host}.log" for host in fleet.hosts)]
    records = ["master-audit", *(f"{host}-audit" for host in fleet.hosts)]
    state = files(fleet, "master", *fleet.hosts)
    said = {**files(fleet, *logs, *records), **answers(fleet), **outputs(fleet, tmp_path)}
    assert all(said[f"{record}/audit.log"] for record in records), "what is done is recorded"
    state[SNAPSHOT] = said.pop(SNAPSHOT)
    assert {name for name in state if name.endswith(".sqlite")}, "the store is looked through"
    assert all(said[log] for log in logs), "the daemons log"
    assert found(planted.ordered, state), "the search does find what is in the store"
    leaked = found(planted.never, {**state, **said}) + found(planted.ordered, said)
    assert not leaked, "\n".join(leaked)


def test_every_command_is_read() -> None:
    assert {words[0] for words in READING} | OTHERS == set(COMMANDS)


@pytest.mark.parametrize("encode", [str, lambda text: base64.b64encode(text.encode()).decode()])
def test_one_that_leaks_is_found(fleet: Fleet, encode: Callable[[str], Any]) -> None:
    value = new_value("leak")
    log = fleet.hosts["web1"].agent.log
    before = log.stat().st_size
    with log.open("a") as file:
        file.write(f"{{'X-Registry-Auth': '{encode(value)}'}}\n")
    try:
        assert found((value,), files(fleet, "web1.log", "web2.log")) == [
            f"web1.log has {value[:12]}..."
        ]
    finally:
        with log.open("r+") as file:
            file.truncate(before)
    wait_until(lambda: not found((value,), files(fleet, "web1.log")), "the log is as before")
