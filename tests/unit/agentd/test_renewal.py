"""The renewal of the host's own certificate where a clock is wrong: no loop, one problem, and nothing that is good is given up."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from hullmark.agentd import certify, enrolment
from hullmark.agentd.identity import Identity
from hullmark.agentd.problems import Problems
from hullmark.agentd.renewal import Renewal, in_a_process
from hullmark.config import load_agent
from hullmark.errors import Refused
from hullmark.pki.authority import Authority, create_authority
from tests.unit.agentd.test_certify import NOW, Renewing, enrolled, pair_fits

DAY_S = 86400.0


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return create_authority(tmp_path_factory.mktemp("pki"), "c1", NOW)


class Clocked:
    """A host's renewals. `now` is its clock, the master's is `ahead` of it; `passed` is the time that no wall clock has to do with."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        enrolled(folder, authority)
        self.folder, self.authority = folder, authority
        self.now, self.ahead, self.passed = NOW, 0.0, 0.0
        self.made: list[float] = []
        self.problems = Problems()
        identity = Identity(folder, lambda: self.now)
        self.renewal = Renewal(
            identity, self.problems, self.renew, lambda: self.now, lambda: self.passed
        )

    def renew(self) -> None:
        self.made.append(self.passed)
        master = Renewing(self.authority, self.now + self.ahead)
        certify.renew(self.folder, master, lambda: self.now)

    def goes_on_for(self, seconds: float) -> None:
        until = self.passed + seconds
        while self.passed < until:
            wait_s = self.renewal.turn()
            self.passed += wait_s
            self.now += wait_s

    def problem(self) -> tuple[str, str, str]:
        (one,) = self.problems.all()
        return one.code, one.message, one.remedy


@pytest.fixture
def clocked(tmp_path: Path, authority: Authority) -> Clocked:
    return Clocked(tmp_path, authority)


def test_a_certificate_that_is_due_as_soon_as_it_is_made_is_no_loop(clocked: Clocked) -> None:
    changes: list[int] = []
    clocked.problems.changed = lambda: changes.append(1)
    clocked.now, clocked.ahead = NOW + 25 * DAY_S, -25 * DAY_S
    clocked.goes_on_for(12 * 3600.0)
    waits = [later - former for former, later in zip(clocked.made, clocked.made[1:])]
    assert len(waits) < 40
    assert min(waits[:2]) >= 30.0
    assert 1500.0 < waits[-1] <= 3700.0
    code, message, remedy = clocked.problem()
    assert (code, remedy) == ("certificate.renewal", enrolment.SET_CLOCK)
    assert "to be renewed already: that clock is ahead" in message
    assert len(changes) == 1, "one problem, that is told once"
    before = len(clocked.made)
    clocked.now, clocked.ahead = clocked.now - 25 * DAY_S, 0.0
    clocked.goes_on_for(300.0)
    assert clocked.problems.all() == ()
    assert len(clocked.made) == before


def test_one_that_ends_soon_by_a_wrong_clock_is_made_anew_before_it_does(clocked: Clocked) -> None:
    clocked.now, clocked.ahead = NOW + 29.9 * DAY_S, -29.95 * DAY_S
    clocked.goes_on_for(6 * 3600.0)
    assert len(clocked.made) < 100
    clocked.renewal.turn()
    enrolment.check_validity(enrolment.load(clocked.folder), clocked.now)


@pytest.mark.parametrize("ahead_s", [5 * DAY_S, -40 * DAY_S])
def test_the_present_certificate_is_kept_where_the_new_one_is_not_valid_by_this_clock(
    clocked: Clocked, ahead_s: float
) -> None:
    before = pair_fits(clocked.folder)
    clocked.now, clocked.ahead = NOW + 21 * DAY_S, ahead_s
    clocked.goes_on_for(3600.0)
    assert 3 < len(clocked.made) < 25
    assert pair_fits(clocked.folder) == before, "with the new one no master would be asked any more"
    code, message, remedy = clocked.problem()
    assert (code, remedy) == ("certificate.renewal", enrolment.SET_CLOCK)
    assert "not valid by this host's clock" in message
    clocked.ahead = 0.0
    clocked.goes_on_for(700.0)
    assert clocked.problems.all() == ()
    assert pair_fits(clocked.folder) != before


def test_shortly_before_the_end_what_there_is_is_taken(clocked: Clocked) -> None:
    """A leader whose clock stays some minutes ahead of all hosts' is not to lose them."""
    clocked.now, clocked.ahead = NOW + 29.5 * DAY_S, 660.0
    clocked.goes_on_for(DAY_S)
    assert clocked.problems.all() == ()
    assert pair_fits(clocked.folder).valid_until > NOW + 59 * DAY_S


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("hullmark agent: no\n  what to do: set the clock\n", "set the clock"),
        ("hullmark agent: no\n", ""),
    ],
)
def test_what_the_process_says_is_to_be_done_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, remedy: str
) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text(f"state_dir: {tmp_path}\n")
    monkeypatch.setattr(
        subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=2, stderr=said)
    )
    with pytest.raises(Refused) as caught:
        in_a_process(load_agent(str(file)).config)()
    assert (caught.value.message, caught.value.remedy) == ("no", remedy)
