"""What keeps the agent from starting, and what does not."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Callable

import pytest

from hullmark.agentd import certify, enrolment, preconditions
from hullmark.agentd.__main__ import main
from hullmark.agentd.enrolment import Enrolment
from hullmark.errors import EXIT_CONFIG, BrokenState, NotStarted
from hullmark.pki import certificates
from hullmark.pki.authority import create_authority
from tests.unit.agentd.test_daemon import config_in


@pytest.fixture
def config(tmp_path: Path) -> str:
    """Of a host that is enrolled, with a key and a certificate that fit."""
    now = time.time()
    authority = create_authority(tmp_path / "pki", "c1", now)
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    csr = certify.request_with(state / certify.PENDING_KEY, "h1")
    chain = authority.issue_host(csr, "c1", "h1", now).decode()
    made = Enrolment("c1", "h1", "box", ("https://m1:7441",), now, now + 86400)
    certify.install(state, made, chain, authority.root_pem)
    return config_in(tmp_path, f"policy_dir: {tmp_path}/policy.d\n")


def key_of(config: str) -> Path:
    return Path(config).parent / "state" / enrolment.KEY


def put(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def put_folder(path: Path) -> None:
    path.unlink()
    path.mkdir(0o700)


def test_a_sound_host_starts(config: str) -> None:
    assert preconditions.check(config).host_name == "box"


BAD_KEYS: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "open": (lambda key: key.chmod(0o640), "accessible to others (mode 0640)", "chmod 600"),
    "damaged": (lambda key: put(key, b"-----BEGIN nothing"), "is damaged", "--force"),
    "another": (
        lambda key: put(key, certificates.key_pem(certificates.new_key())),
        "not the key of host.pem",
        "--force",
    ),
    "a folder": (put_folder, "directory", "--force"),
}


@pytest.mark.parametrize("how", BAD_KEYS)
def test_a_key_that_must_not_be_used_keeps_it_from_starting(
    config: str, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil, said, remedy = BAD_KEYS[how]
    spoil(key_of(config))
    with pytest.raises(NotStarted) as caught:
        preconditions.check(config)
    assert str(key_of(config)) in caught.value.message
    assert said in caught.value.message.lower()
    assert remedy in caught.value.remedy
    assert main(["run", "--config", config]) == EXIT_CONFIG
    assert "what to do: " in capsys.readouterr().err


def test_a_key_that_cannot_be_read_keeps_it_from_starting(
    config: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> bytes:
        raise BrokenState(f"{path} is not readable by this user")

    monkeypatch.setattr(preconditions, "read_private", refuse)
    with pytest.raises(NotStarted, match=r"host\.key is not readable by this user"):
        preconditions.check(config)


@pytest.mark.parametrize("name", ["host.key", "host.pem", "root.pem", "enrolment.json"])
def test_what_is_missing_is_waited_for(config: str, name: str) -> None:
    (key_of(config).parent / name).unlink()
    preconditions.check(config)


@pytest.mark.parametrize("name", ["host.pem", "enrolment.json"])
def test_what_is_no_secret_and_damaged_is_a_problem_of_the_running_agent(
    config: str, name: str
) -> None:
    (key_of(config).parent / name).write_text("nothing")
    preconditions.check(config)


def test_what_others_may_change_keeps_it_from_starting(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(config).chmod(0o664)
    assert main(["run", "--config", config]) == EXIT_CONFIG
    said = capsys.readouterr().err
    assert f"{config}: may be written by its group" in said
    assert f"chmod go-w {config}" in said
    assert "Nothing was started" in said
    assert not (Path(config).parent / "state" / "attempts.json").exists()


def test_a_bad_policy_does_not_keep_it_from_starting(config: str) -> None:
    policies = Path(config).parent / "policy.d"
    policies.mkdir()
    (policies / "web.yaml").write_text("no_such_rule: 1\n")
    (policies / "web.yaml").chmod(0o666)
    preconditions.check(config)
