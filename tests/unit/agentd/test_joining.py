"""`agent enroll` converges; `agent renew` says what it did, and there is one renewal at a time."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hullmark.agentd import certify, enrolment, joining, renewal
from hullmark.agentd.__main__ import main
from hullmark.agentd.enrolment import Enrolment
from hullmark.agentd.link import Elsewhere, Leaderless
from hullmark.agentd.lock import PAIR_LOCK, pair_lock
from hullmark.agentd.proxyfiles import ProxyRecord
from hullmark.config import AgentConfig, load_agent
from hullmark.errors import (
    BrokenState,
    Conflict,
    Forbidden,
    InvalidInput,
    MasterUnavailable,
    Refused,
)
from hullmark.host import facts
from hullmark.host.service import Service
from hullmark.model.host import HostFacts
from hullmark.pki.asking import AGAIN_S, LEADERLESS_S
from hullmark.pki.authority import Authority, create_authority
from hullmark.pki.invites import Invite

M1, M2 = "https://m1:7441", "https://m2:7441"


def enrolled(folder: Path, *, days_left: float = 20.0) -> Enrolment:
    now = time.time()
    made = Enrolment("c1", "h1", "box", (M1, M2), now - 86400, now + days_left * 86400)
    folder.mkdir()
    for name in (made.key_name, made.certificate_name, enrolment.ROOT):
        (folder / name).write_text("x")
        (folder / name).chmod(0o600)
    enrolment.save(folder, made)
    return made


@pytest.fixture
def config(tmp_path: Path) -> AgentConfig:
    file = tmp_path / "agent.yaml"
    file.write_text(f"state_dir: {tmp_path / 'agent'}\n")
    return load_agent(str(file)).config


class Renewals:
    """In place of `certify.renew`: raises what is in `errors`, first to last, then succeeds."""

    def __init__(self, made: Enrolment, *errors: Exception) -> None:
        self.made = made
        self.errors = list(errors)
        self.locked: list[bool] = []

    def __call__(self, folder: Path, _link: Any) -> Enrolment:
        try:
            with pair_lock(folder, 0.0):
                self.locked.append(False)
        except Conflict:
            self.locked.append(True)
        if self.errors:
            raise self.errors.pop(0)
        return self.made


def test_it_asks_each_master_and_says_until_when(
    config: AgentConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = enrolled(tmp_path / "agent")
    renewals = Renewals(made, MasterUnavailable("m1 does not lead"))
    monkeypatch.setattr(certify, "renew", renewals)
    assert "host box is good until 2" in joining.run_renew(Path(config.state_dir))
    assert renewals.locked == [True, True]
    text = joining.run_renew(Path(config.state_dir), as_json=True)
    told = json.loads(text)
    assert text == json.dumps(told, indent=2), "as every other command's document"
    assert told["schema"] == "hullmark.agent-renew/1"
    assert (told["host_id"], told["valid_until"]) == ("h1", made.valid_until)


def test_the_daemons_own_renewal_reads_no_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which may have become a wrong one since the daemon began."""
    made = enrolled(tmp_path / "agent")
    monkeypatch.setattr(certify, "renew", Renewals(made, MasterUnavailable("m1 does not lead")))
    started: list[list[str]] = []

    def run(line: list[str], **_: Any) -> SimpleNamespace:
        started.append(line)
        return SimpleNamespace(returncode=main(line[line.index("renew") :]), stderr="")

    monkeypatch.setattr(subprocess, "run", run)
    file = tmp_path / "agent.yaml"
    file.write_text(f"state_dir: {tmp_path / 'agent'}\nmasters: ['{M1}', '{M2}']\n")
    config = load_agent(str(file)).config
    file.write_text("wrong: [\n")
    renewal.in_a_process(config)()
    assert "host box is good until" in capsys.readouterr().out
    assert "--config" not in started[0]


def test_the_proxys_is_asked_for_in_the_same_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = enrolled(tmp_path / "agent")
    asked: list[Path] = []

    def renew_proxy(folder: Path, proxy_folder: Path, _link: Any) -> ProxyRecord:
        asked.append(proxy_folder)
        if len(asked) == 1:
            raise MasterUnavailable("m1 does not lead")
        return ProxyRecord("c1", "h1", made.valid_from, made.valid_until, "sha256")

    def run(line: list[str], **_: Any) -> SimpleNamespace:
        return SimpleNamespace(returncode=main(line[line.index("renew") :]), stderr="")

    monkeypatch.setattr(certify, "renew_proxy", renew_proxy)
    monkeypatch.setattr(subprocess, "run", run)
    file = tmp_path / "agent.yaml"
    file.write_text(f"state_dir: {tmp_path / 'agent'}\nproxy: {{folder: {tmp_path / 'proxy'}}}\n")
    renewal.in_a_process(load_agent(str(file)).config, proxy=True)()
    assert "the certificate of the proxy of host box is good until" in capsys.readouterr().out
    assert asked == [tmp_path / "proxy"] * 2


def test_no_master_is_no_answer(
    config: AgentConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = [MasterUnavailable("gone") for _ in range(3)]
    renewals = Renewals(enrolled(tmp_path / "agent"), *gone)
    monkeypatch.setattr(certify, "renew", renewals)
    with pytest.raises(MasterUnavailable) as caught:
        joining.run_renew(Path(config.state_dir))
    assert caught.value.exit_code == 3
    assert len(renewals.locked) == 2, "each master was asked once"


class Changing:
    """Two masters, of which one leads from `at` on and the others say `until_then`. The clock goes by sleeping alone."""

    number = 2

    def __init__(self, at: float, *until_then: Exception) -> None:
        self.at = at
        self.until_then = until_then
        self.time = 0.0
        self.asked = 0

    def ask(self) -> str:
        self.asked += 1
        if self.time >= self.at:
            return "renewed"
        raise self.until_then[self.asked % len(self.until_then)]

    def sleep(self, seconds: float) -> None:
        self.time += seconds

    def renewed(self) -> str:
        link: Any = self
        return joining._by_a_master(
            self.ask, link, "box", clock=lambda: self.time, sleep=self.sleep
        )


GONE = MasterUnavailable("no master answers: m1: refused")


@pytest.mark.parametrize("others", [(), (GONE,)])
@pytest.mark.parametrize("kind", [Leaderless, Elsewhere])
def test_it_asks_again_while_masters_answer_and_none_leads(
    kind: type[MasterUnavailable], others: tuple[Exception, ...]
) -> None:
    changing = Changing(LEADERLESS_S - 1, kind("m2 does not lead"), *others)
    assert changing.renewed() == "renewed"
    assert changing.time == pytest.approx(LEADERLESS_S - 1, abs=AGAIN_S)


def test_it_ends_where_none_leads_in_that_time_and_tells_what_each_said() -> None:
    changing = Changing(LEADERLESS_S * 2, Leaderless("m2 does not lead"), GONE)
    with pytest.raises(MasterUnavailable, match="no master leads: ") as caught:
        changing.renewed()
    assert "m2 does not lead" in caught.value.message
    assert "m1: refused" in caught.value.message
    assert changing.time == pytest.approx(LEADERLESS_S, abs=AGAIN_S)


def test_a_host_that_knows_no_master_is_told_how_to_enroll_anew() -> None:
    changing = Changing(0.0)
    changing.number = 0
    with pytest.raises(MasterUnavailable, match="knows no master") as caught:
        changing.renewed()
    assert "hullmark invite box" in caught.value.remedy
    assert changing.asked == 0


def test_a_refused_host_is_told_how_to_enroll_anew(
    config: AgentConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = enrolled(tmp_path / "agent")
    monkeypatch.setattr(certify, "renew", Renewals(made, Forbidden("revoked")))
    with pytest.raises(Forbidden, match="revoked") as caught:
        joining.run_renew(Path(config.state_dir))
    assert "hullmark invite box" in caught.value.remedy
    assert "hullmark agent enroll --force" in caught.value.remedy


def test_an_expired_certificate_renews_nothing(config: AgentConfig, tmp_path: Path) -> None:
    enrolled(tmp_path / "agent", days_left=-0.5)
    with pytest.raises(BrokenState, match="expired") as caught:
        joining.run_renew(Path(config.state_dir))
    assert "hullmark agent enroll --force" in caught.value.remedy


def test_one_at_a_time_and_the_next_when_that_is_over(tmp_path: Path) -> None:
    with pair_lock(tmp_path):
        assert (tmp_path / PAIR_LOCK).stat().st_mode & 0o777 == 0o600
        with pytest.raises(Conflict, match="another renewal"), pair_lock(tmp_path, 0.0):
            pass
    with pair_lock(tmp_path, 0.0):
        pass


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="gone"), pair_lock(tmp_path / "gone"):
        pass


class Joins:
    """In place of `enroll`: keeps what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[Invite] = []

    def __call__(self, folder: Path, invite: Invite, *_: Any, **__: Any) -> Enrolment:
        self.asked.append(invite)
        return replace(enrolment.read(folder), host_id="h2")


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Joins:
    """Enrolled as box, in cluster c1."""
    enrolled(tmp_path / "agent")
    root = create_authority(tmp_path / "pki", "c1", time.time()).root_pem
    (tmp_path / "agent" / enrolment.ROOT).write_text(root)
    joins = Joins()
    monkeypatch.setattr(joining, "enroll", joins)
    monkeypatch.setattr(facts, "gather", lambda **_: HostFacts())
    monkeypatch.setattr(joining, "start", lambda daemon: Service.RUNNING)
    return joins


def token_of(folder: Path, host: str = "box", pki: str = "pki") -> str:
    authority = create_authority(folder / pki, "c9", time.time()) if pki != "pki" else None
    root = (authority or Authority.load(folder / "pki")).root_fingerprint
    file = folder / "token"
    file.write_text(Invite((M1,), root, host, "secret").text())
    file.chmod(0o600)
    return str(file)


def joined(config: AgentConfig, token_file: str, *, force: bool = False) -> joining.Joined:
    return joining.run_enroll(config, token_file, force=force, starting=True)


def test_a_host_that_is_in_the_cluster_stays_as_it_is(
    config: AgentConfig, tmp_path: Path, host: Joins
) -> None:
    token = token_of(tmp_path)
    for given in (token, token, str(tmp_path / "gone")):
        done = joined(config, given)
        assert (done.changed, done.enrolled.host_id) == (False, "h1")
        assert "enrolled already" in joining.as_text(done)
    assert host.asked == [], "nobody was asked"
    again = joined(config, token, force=True)
    assert (again.changed, again.enrolled.host_id) == (True, "h2")


@pytest.mark.parametrize(
    ("given", "said"),
    [({"pki": "other"}, "another cluster's"), ({"host": "web3"}, "is for host web3")],
)
def test_an_invite_for_something_else_is_not_swallowed(
    config: AgentConfig, tmp_path: Path, host: Joins, given: dict[str, str], said: str
) -> None:
    token = token_of(tmp_path, **given)
    with pytest.raises(Conflict, match=said) as caught:
        joined(config, token)
    assert "--force" in caught.value.remedy
    assert host.asked == []
    assert joined(config, token, force=True).changed


def test_a_host_that_is_not_enrolled_needs_a_token(
    config: AgentConfig, tmp_path: Path, host: Joins
) -> None:
    (tmp_path / "agent" / enrolment.RECORD).unlink()
    (tmp_path / "empty").touch(0o600)
    for name in ("gone", "empty"):
        with pytest.raises(InvalidInput, match=f"{name}: there is no token") as caught:
            joined(config, str(tmp_path / name))
        assert "hullmark invite HOST" in caught.value.remedy


def test_the_service_is_started_where_it_does_not_run(
    config: AgentConfig, tmp_path: Path, host: Joins, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = token_of(tmp_path)
    monkeypatch.setattr(joining, "start", lambda daemon: Service.STARTED)
    assert joined(config, token).changed
    left = joining.run_enroll(config, token, force=False, starting=False)
    assert (left.changed, left.service) == (False, Service.LEFT)

    def fails(_daemon: str) -> Service:
        raise Refused("the service hullmark-agent does not start", remedy="see its log")

    monkeypatch.setattr(joining, "start", fails)
    done = joined(config, token, force=True)
    assert done.trouble is not None
    assert done.changed, "the enrolment stands"
    assert joining.as_document(done)["service"] == "failed"


def test_a_service_that_does_not_start_is_told_after_the_answer(
    config: AgentConfig,
    tmp_path: Path,
    host: Joins,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fails(_daemon: str) -> Service:
        raise Refused("the service hullmark-agent does not start", remedy="see its log")

    monkeypatch.setattr(joining, "start", fails)
    words = ["enroll", "--config", str(tmp_path / "agent.yaml"), "--output", "json"]
    assert main([*words, "--token-file", token_of(tmp_path)]) == 2
    said = capsys.readouterr()
    assert json.loads(said.out)["service"] == "failed"
    assert json.loads(said.err)["remedy"] == "see its log"
    assert main([*words, "--no-start", "--token-file", token_of(tmp_path)]) == 0
