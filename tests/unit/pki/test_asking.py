"""Asking the master that leads, while leadership changes hands."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

import pytest

from hullmark.errors import Forbidden, MasterUnavailable
from hullmark.model.api import Authority as AuthorityAnswer
from hullmark.model.wire import to_wire
from hullmark.pki import asking
from hullmark.pki.asking import AGAIN_S, LEADERLESS_S, LEAST_S, TIMEOUT_S, Answer
from hullmark.pki.authority import Authority, create_authority
from hullmark.pki.invites import Invite

NOW = 1_700_000_000.0
M1, M2, M3 = "https://m1:7442", "https://m2:7442", "https://m3:7442"
STANDS_BY = {"error": "StaleEpoch", "message": "this master does not lead: it stands by"}
CUT_OFF = Answer(503, {"error": "StoreUnavailable", "message": "the store does not answer"})


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    folder: Path = tmp_path_factory.mktemp("pki")
    return create_authority(folder, "c1", NOW)


class Masters:
    """Each answers `says`, or isn't there; from `leads_at` on the one that is named leads. `strange` ones show another root, and `hanging` ones keep
    a request for all the time that it has. The clock goes by that and by sleeping alone."""

    def __init__(self, authority: Authority, **leads_at: float) -> None:
        self.authority = authority
        self.leads_at = {f"https://{name}:7442": at for name, at in leads_at.items()}
        self.strange: dict[str, Authority] = {}
        self.hanging: set[str] = set()
        self.says: dict[str, Answer] = dict.fromkeys((M1, M2), Answer(421, STANDS_BY))
        self.time = 0.0
        self.asked: list[str] = []

    def __call__(
        self,
        master: str,
        method: str,
        path: str,
        body: Optional[bytes],
        root: str,
        timeout_s: float,
    ) -> Answer:
        if master in self.hanging:
            self.time += timeout_s
            raise MasterUnavailable(f"{master}: timed out")
        if path == "/v1/ca":
            self.asked.append(master)
            if master in self.strange:
                return Answer(200, to_wire(AuthorityAnswer(self.strange[master].root_pem, "c9")))
            if master not in self.says and master not in self.leads_at:
                raise MasterUnavailable(f"{master}: Connection refused")
            return Answer(200, to_wire(AuthorityAnswer(self.authority.root_pem, "c1")))
        assert (path, body, root) == ("/v1/this", b"{}", self.authority.root_pem)
        if self.time >= self.leads_at.get(master, LEADERLESS_S * 9):
            return Answer(200, to_wire(AuthorityAnswer(master, "c1")))
        return self.says[master]

    def sleep(self, seconds: float) -> None:
        self.time += seconds

    def ask(self) -> str:
        """Who gave the answer."""
        invite = Invite((M1, M2), self.authority.root_fingerprint, "box", "secret")
        answer: Any = asking.of_leader(
            AuthorityAnswer,
            invite,
            "/v1/this",
            b"{}",
            self,
            NOW,
            clock=lambda: self.time,
            sleep=self.sleep,
        )
        return str(answer.root_pem)


@pytest.mark.parametrize("says", [Answer(421, STANDS_BY), CUT_OFF])
def test_a_leader_is_waited_for_while_masters_answer(authority: Authority, says: Answer) -> None:
    masters = Masters(authority, m2=LEADERLESS_S - 1)
    masters.says = dict.fromkeys((M1, M2), says)
    assert masters.ask() == M2
    assert masters.time == pytest.approx(LEADERLESS_S - 1, abs=AGAIN_S)


def test_it_is_waited_for_while_one_of_them_is_away(authority: Authority) -> None:
    masters = Masters(authority, m2=3.0)
    del masters.says[M1]
    assert masters.ask() == M2


def test_who_is_not_there_is_not_waited_for(authority: Authority) -> None:
    masters = Masters(authority)
    masters.says = {}
    with pytest.raises(MasterUnavailable, match=r"no master of the invite answers: .*m1.*; .*m2"):
        masters.ask()
    assert (masters.time, masters.asked) == (0.0, [M1, M2])


def test_where_none_leads_each_ones_last_words_are_told(authority: Authority) -> None:
    masters = Masters(authority)
    with pytest.raises(MasterUnavailable, match="no master of the invite leads: ") as caught:
        masters.ask()
    assert caught.value.message.count("it stands by") == 2
    assert "the invite is still good" in caught.value.remedy
    assert masters.time == pytest.approx(LEADERLESS_S, abs=AGAIN_S)


def test_a_leader_that_no_invite_knows_is_asked_where_it_is_named(authority: Authority) -> None:
    masters = Masters(authority, m3=0.0)
    masters.says[M2] = Answer(421, {**STANDS_BY, "leader": M3})
    assert masters.ask() == M3
    assert masters.asked == [M1, M2, M3]


@pytest.mark.parametrize("named", ["", "m3:7442", "http://m3:7442", 7442, None, [M3]])
def test_what_is_no_address_is_not_followed(authority: Authority, named: object) -> None:
    masters = Masters(authority, m2=1.0)
    masters.says[M1] = Answer(421, {**STANDS_BY, "leader": named})
    assert masters.ask() == M2
    assert set(masters.asked) == {M1, M2}


def test_a_refusal_ends_it(authority: Authority) -> None:
    masters = Masters(authority, m2=0.0)
    masters.says[M1] = Answer(403, {"error": "Forbidden", "message": "used already"})
    with pytest.raises(Forbidden, match="used already"):
        masters.ask()
    assert masters.asked == [M1]


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return create_authority(tmp_path_factory.mktemp("other"), "c9", NOW)


def test_who_shows_another_root_keeps_nobody_from_the_others(
    authority: Authority, other: Authority
) -> None:
    masters = Masters(authority, m2=3.0)
    masters.strange[M1] = other
    assert masters.ask() == M2
    assert masters.asked.count(M1) == 1, "it is not asked again"


def test_a_named_leader_with_another_root_is_told_where_nobody_leads(
    authority: Authority, other: Authority
) -> None:
    masters = Masters(authority)
    masters.strange[M3] = other
    masters.says[M1] = Answer(421, {**STANDS_BY, "leader": M3})
    with pytest.raises(Forbidden, match=f"{M3} is not the master that made") as caught:
        masters.ask()
    assert caught.value.message.count("it stands by") == 2
    assert "do not go on before you know why" in caught.value.remedy
    masters.leads_at = {M2: masters.time + 1.0}
    assert masters.ask() == M2


def test_where_all_show_another_root_nobody_is_waited_for(
    authority: Authority, other: Authority
) -> None:
    masters = Masters(authority)
    masters.strange = {M1: other, M2: other}
    with pytest.raises(Forbidden) as caught:
        masters.ask()
    assert caught.value.message.count("is not the master that made the invite") == 2
    assert (masters.time, masters.asked) == (0.0, [M1, M2])


@pytest.mark.parametrize("hanging", [{M1}, {M2}, {M1, M2}])
def test_masters_that_hang_are_not_waited_for_beyond_the_time_that_there_is(
    authority: Authority, hanging: set[str]
) -> None:
    masters = Masters(authority)
    masters.hanging = hanging
    with pytest.raises(MasterUnavailable):
        masters.ask()
    assert masters.time <= LEADERLESS_S + LEAST_S


def test_the_last_one_asked_has_time_to_answer(authority: Authority) -> None:
    masters = Masters(authority, m2=TIMEOUT_S)
    masters.hanging = {M1}
    assert masters.ask() == M2
