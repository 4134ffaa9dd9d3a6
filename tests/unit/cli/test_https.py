"""From another machine: the token file, the cluster's root, and the way to the leader."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest

from tests.unit.cli import answers
from tests.unit.cli.conftest import Run
from tests.unit.cli.securemaster import SecureMaster, Site

NOT_LEADING = {"error": "StaleEpoch", "message": "this master does not lead"}
Serve = Callable[..., SecureMaster]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(Path(tmp_path_factory.mktemp("pki")))


@pytest.fixture
def serve(site: Site) -> Iterator[Serve]:
    running = []

    def serve(answer: Any, status: int = 200, **more: Any) -> SecureMaster:
        running.append(SecureMaster(site, answer, status, **more))
        return running[-1]

    yield serve
    for master in running:
        master.stop()


@pytest.fixture
def token(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text("hms1.secret\n")
    file.chmod(0o600)
    return file


def test_with_a_login(run: Run, serve: Serve, site: Site, token: Path) -> None:
    master = serve(answers.STATUS)
    options = ("--master", master.url, "--token-file", str(token), "--ca", str(site.root))
    assert run(*options, "status").code == 0
    assert run("status", *options).code == 0, "options may stand behind the command"
    assert master.logins == ["Bearer hms1.secret"] * 2


def test_by_the_environment(
    run: Run, serve: Serve, site: Site, token: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    master = serve(answers.STATUS)
    monkeypatch.setenv("HULLMARK_MASTER", master.url)
    monkeypatch.setenv("HULLMARK_TOKEN_FILE", str(token))
    monkeypatch.setenv("HULLMARK_CA", str(site.root))
    assert run("status").code == 0


def test_by_the_home_folder(
    run: Run, serve: Serve, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ".config" / "hullmark"
    folder.mkdir(parents=True)
    (folder / "root.pem").write_bytes(site.root.read_bytes())
    (folder / "token").write_text("hms1.home")
    (folder / "token").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    master = serve(answers.STATUS)
    assert run("--master", master.url, "status").code == 0
    assert master.logins == ["Bearer hms1.home"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_token_that_others_may_read(
    run: Run, serve: Serve, site: Site, token: Path, mode: int
) -> None:
    token.chmod(mode)
    master = serve(answers.STATUS)
    done = run("--master", master.url, "--token-file", str(token), "--ca", str(site.root), "status")
    assert done.code == 2
    assert "accessible to others" in done.err
    assert f"chmod 600 {token}" in done.err
    assert master.logins == [], "it was not sent"


@pytest.mark.parametrize("content", ["", "\n", "two words", "caf\u00e9", "a\nb"])
def test_a_file_that_holds_no_token(
    run: Run, serve: Serve, site: Site, token: Path, content: str
) -> None:
    token.write_text(content, "utf-8")
    done = run(
        "--master", "https://m1:7442", "--token-file", str(token), "--ca", str(site.root), "ps"
    )
    assert done.code == 2
    assert "hullmark login" in done.err


def test_no_token_and_no_root(run: Run, site: Site, token: Path, tmp_path: Path) -> None:
    none = str(tmp_path / "none")
    to = ("--master", "https://m1:7442")
    done = run(*to, "--token-file", none, "--ca", str(site.root), "status")
    assert (done.code, "hullmark login" in done.err) == (2, True)
    done = run(*to, "--token-file", str(token), "--ca", none, "status")
    assert (done.code, "root.pem" in done.err) == (2, True)


def test_a_master_of_another_cluster(run: Run, serve: Serve, token: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Site(tmp_path / "other")
    master = serve(answers.STATUS)
    done = run(
        "--master", master.url, "--token-file", str(token), "--ca", str(other.root), "status"
    )
    assert done.code == 3
    assert master.logins == [], "the token is shown to nobody who isn't trusted"


def test_a_name_that_the_certificate_lacks(run: Run, serve: Serve, site: Site, token: Path) -> None:
    master = serve(answers.STATUS)
    url = f"https://localhost:{master.port}"
    done = run("--master", url, "--token-file", str(token), "--ca", str(site.root), "status")
    assert done.code == 3
    assert f"{url}: its certificate is for 127.0.0.1, not for localhost" in done.err
    assert "`addresses` in master.yaml" in done.err
    assert master.logins == []


def test_the_agents_port_is_known(run: Run, serve: Serve, site: Site, token: Path) -> None:
    master = serve(answers.STATUS, agents=True)
    done = run("--master", master.url, "--token-file", str(token), "--ca", str(site.root), "status")
    assert done.code == 3
    assert "this looks like the agents' port" in done.err
    assert "7442" in done.err


def test_a_port_that_hangs_up_may_be_the_agents(
    run: Run, serve: Serve, site: Site, token: Path
) -> None:
    master = serve(answers.STATUS, hangs_up=True)
    done = run("--master", master.url, "--token-file", str(token), "--ca", str(site.root), "status")
    assert done.code == 3
    assert "it hung up (cut off)" in done.err
    assert "if this is the agents' port: people use the API port, 7442 by default" in done.err


def test_a_login_that_the_master_does_not_know(
    run: Run, serve: Serve, site: Site, token: Path
) -> None:
    master = serve({"error": "Forbidden", "message": "this token has expired"}, 401)
    done = run("--master", master.url, "--token-file", str(token), "--ca", str(site.root), "status")
    assert done.code == 2
    assert f"the login in {token}: this token has expired" in done.err
    assert "hullmark login" in done.err


def test_a_standby_names_the_leader(run: Run, serve: Serve, site: Site, token: Path) -> None:
    leader = serve(answers.STATUS)
    standby = serve({**NOT_LEADING, "leader": leader.url}, 421)
    done = run(
        "--master", standby.url, "--token-file", str(token), "--ca", str(site.root), "status"
    )
    assert done.code == 0
    assert leader.logins == ["Bearer hms1.secret"]


def test_standbys_that_name_each_other(
    run: Run, serve: Serve, site: Site, token: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hullmark.cli.client.READ_S", 0.05)
    first: list[SecureMaster] = []
    second = serve({**NOT_LEADING, "leader": "https://127.0.0.1:1"}, 421)
    first.append(serve({**NOT_LEADING, "leader": second.url}, 421))
    done = run(
        "--master", first[0].url, "--token-file", str(token), "--ca", str(site.root), "status"
    )
    assert done.code == 2
    loop = serve(NOT_LEADING, 421)
    done = run("--master", loop.url, "--token-file", str(token), "--ca", str(site.root), "status")
    assert done.code == 2
    assert "does not lead" in done.err


def test_of_several_masters_the_one_that_answers(
    run: Run, serve: Serve, site: Site, token: Path
) -> None:
    leader = serve(answers.STATUS)
    both = f"https://127.0.0.1:1,{leader.url}"
    done = run("--master", both, "--token-file", str(token), "--ca", str(site.root), "status")
    assert done.code == 0
    assert leader.logins == ["Bearer hms1.secret"]


@pytest.mark.parametrize(
    "url", ["http://m1:7442", "https://m1", "https://m1:0", "https://m1:70000", "m1", "unix://x"]
)
def test_what_is_no_address(run: Run, url: str) -> None:
    done = run("--master", url, "status")
    assert done.code == 64
    assert "https://HOST:PORT" in done.err


def test_a_master_that_shakes_no_hands(
    run: Run, site: Site, token: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hullmark.cli.transport.CONNECT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        url = f"https://127.0.0.1:{frozen.getsockname()[1]}"
        done = run("status", "--master", url, "--token-file", str(token), "--ca", str(site.root))
    assert done.code == 3
    assert f"{url}: it takes connections and does not answer: nothing within 0.1 s" in done.err
    assert "what to do: see whether it is stopped or hangs: " in done.err
