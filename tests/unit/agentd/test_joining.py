"""`agent renew`: what it says, and that there is one renewal at a time."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from hullmark.agentd import certify, enrolment, joining
from hullmark.agentd.enrolment import Enrolment
from hullmark.agentd.lock import PAIR_LOCK, pair_lock
from hullmark.config import AgentConfig, load_agent
from hullmark.errors import BrokenState, Conflict, Forbidden, MasterUnavailable, Refused

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
