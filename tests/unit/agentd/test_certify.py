"""Enrolment and renewal with a real authority: what is on the disk is a pair that fits, whenever a crash comes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Callable, Optional

import pytest

from hullmark.agentd import certify, enrolment, statefile
from hullmark.agentd.enroll import enroll
from hullmark.agentd.enrolment import Enrolment
from hullmark.agentd.identity import Identity as HostIdentity
from hullmark.agentd.identity import Who, who
from hullmark.agentd.problems import Problems
from hullmark.agentd.renewal import Renewal, recorded
from hullmark.errors import (
    BrokenState,
    Conflict,
    Forbidden,
    HullmarkError,
    MasterUnavailable,
    NotFound,
    Refused,
)
from hullmark.model.api import Authority as AuthorityAnswer
from hullmark.model.api import EnrollAnswer, ErrorAnswer
from hullmark.model.audit import Entry, Outcome
from hullmark.model.host import HostFacts
from hullmark.model.protocol import RenewAnswer, RenewRequest
from hullmark.model.wire import to_wire
from hullmark.pki import certificates
from hullmark.pki.asking import Answer
from hullmark.pki.authority import HOST_LIFE_S, Authority, create_authority
from hullmark.pki.invites import Invite
from tests.unit.agentd.fakes import orders_of

NOW = 1_700_000_000.0
M1, M2 = "https://m1:7442", "https://m2:7442"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return create_authority(tmp_path_factory.mktemp("pki"), "c1", NOW)


class Master:
    """An `Ask`: the API of masters that share an authority. An invite is good for one key."""

    def __init__(self, authority: Authority) -> None:
        self.authority = authority
        self.used_by = ""
        self.down: set[str] = set()
        self.clock: Optional[float] = NOW
        self.lose_answers = 0
        self.asked: list[tuple[str, str, bool]] = []

    def __call__(
        self,
        master: str,
        method: str,
        path: str,
        body: Optional[bytes],
        root: str,
        timeout_s: float,
    ) -> Answer:
        self.asked.append((master, path, bool(root)))
        if master in self.down:
            raise MasterUnavailable(f"{master}: Connection refused")
        if path == "/v1/ca":
            return Answer(200, to_wire(AuthorityAnswer(self.authority.root_pem, "c1")), self.clock)
        assert root == self.authority.root_pem, "enrolment goes over verified TLS"
        request = json.loads(body or b"")
        key = certificates.load_request(request["csr_pem"]).public_numbers()
        if self.used_by not in ("", str(key)):
            refusal = ErrorAnswer(
                "Forbidden", "this invite was used already", "hullmark invite box"
            )
            return Answer(403, to_wire(refusal))
        self.used_by = str(key)
        if self.lose_answers:
            self.lose_answers -= 1
            raise MasterUnavailable(f"{master}: the read operation timed out")
        chain = self.authority.issue_host(request["csr_pem"], "c1", "h1", NOW).decode()
        given = EnrollAnswer("h1", "c1", chain, self.authority.root_pem, ("https://m1:7441",))
        return Answer(200, to_wire(given))


def invite_of(authority: Authority, host: str = "box") -> Invite:
    return Invite((M1, M2), authority.root_fingerprint, host, "secret")


def enrolled(folder: Path, authority: Authority, ask: Optional[Master] = None) -> Enrolment:
    return enroll(
        folder,
        invite_of(authority),
        "box",
        HostFacts(),
        ask=ask or Master(authority),
        wall=lambda: NOW,
    )


def test_enrolling_writes_what_the_agent_needs(tmp_path: Path, authority: Authority) -> None:
    made = enrolled(tmp_path / "agent", authority)
    assert enrolment.load(tmp_path / "agent") == made
    assert made.host_id == "h1"
    assert made.valid_until == pytest.approx(NOW + HOST_LIFE_S, abs=1)
    assert sorted(path.name for path in (tmp_path / "agent").iterdir()) == [
        "enrolment.json",
        "host.key",
        "host.pem",
        "root.pem",
    ]
    assert (tmp_path / "agent" / "host.key").stat().st_mode & 0o777 == 0o600
    pair_fits(tmp_path / "agent")


def test_after_a_lost_answer_the_same_token_works(tmp_path: Path, authority: Authority) -> None:
    master = Master(authority)
    master.lose_answers = 2
    with pytest.raises(MasterUnavailable):
        enrolled(tmp_path, authority, master)
    assert enrolled(tmp_path, authority, master).host_id == "h1"


def test_the_next_master_is_tried(tmp_path: Path, authority: Authority) -> None:
    master = Master(authority)
    master.down = {M1}
    enrolled(tmp_path, authority, master)
    master.down = {M1, M2}
    with pytest.raises(MasterUnavailable) as caught:
        enrolled(tmp_path, authority, master)
    assert M1 in caught.value.message
    assert M2 in caught.value.message


def test_another_root_than_the_invites_ends_it_before_the_secret_is_told(
    tmp_path: Path, authority: Authority
) -> None:
    other = create_authority(tmp_path / "other", "c9", NOW)
    master = Master(other)
    with pytest.raises(Forbidden, match="not the master that made the invite"):
        enrolled(tmp_path / "agent", authority, master)
    assert {path for _, path, _ in master.asked} == {"/v1/ca"}


def test_a_used_invite_is_refused_in_the_masters_words(
    tmp_path: Path, authority: Authority
) -> None:
    master = Master(authority)
    master.used_by = "another key"
    with pytest.raises(Forbidden, match="used already") as caught:
        enrolled(tmp_path, authority, master)
    assert caught.value.remedy == "hullmark invite box"


def test_a_wrong_clock_is_told_before_the_invite_is_used(
    tmp_path: Path, authority: Authority
) -> None:
    master = Master(authority)
    master.clock = NOW + 1200
    with pytest.raises(BrokenState, match="20 min behind") as caught:
        enrolled(tmp_path, authority, master)
    assert "clock" in caught.value.remedy
    assert master.used_by == ""


def test_an_invite_for_another_host_names_both(tmp_path: Path, authority: Authority) -> None:
    with pytest.raises(Conflict) as caught:
        enroll(
            tmp_path,
            invite_of(authority, "web3"),
            "box",
            HostFacts(),
            ask=Master(authority),
            wall=lambda: NOW,
        )
    assert "web3" in caught.value.message
    assert "box" in caught.value.message


def test_a_full_disk_is_found_before_the_invite_is_used(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, *_: object) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("hullmark.agentd.certify.write_private", full)
    master = Master(authority)
    with pytest.raises(Refused, match="No space left") as caught:
        enrolled(tmp_path, authority, master)
    assert "df" in caught.value.remedy
    assert master.asked == []


class Renewing:
    """A `Caller` that answers as the leader."""

    def __init__(self, authority: Authority, now: float, host_id: str = "h1") -> None:
        self.authority = authority
        self.now = now
        self.host_id = host_id

    def call(
        self, path: str, body: Any, answer: type[RenewAnswer], timeout_s: float
    ) -> tuple[RenewAnswer, float]:
        assert isinstance(body, RenewRequest)
        chain = self.authority.issue_host(body.csr_pem, "c1", self.host_id, self.now).decode()
        return RenewAnswer(chain, self.authority.root_pem), 0.0


def pair_fits(folder: Path) -> Enrolment:
    """The files that the record names belong together."""
    found = enrolment.load(folder)
    chain = certificates.load_chain((folder / found.certificate_name).read_bytes(), "chain")
    key = certificates.load_key(folder / found.key_name).public_key()
    public: Any = chain[0].public_key()
    assert public.public_numbers() == key.public_numbers()
    assert certificates.validity(chain[0])[1] == found.valid_until
    return found


def test_a_renewal_takes_a_new_key_and_a_longer_life(tmp_path: Path, authority: Authority) -> None:
    before = enrolled(tmp_path, authority)
    old_key = (tmp_path / "host.key").read_bytes()
    after = certify.renew(tmp_path, Renewing(authority, NOW + 20 * 86400))
    assert after.valid_until == pytest.approx(before.valid_until + 20 * 86400, abs=1)
    assert pair_fits(tmp_path) == after
    assert (tmp_path / after.key_name).read_bytes() != old_key
    assert not (tmp_path / "host.key").exists(), "an old key is not left behind"
    third = certify.renew(tmp_path, Renewing(authority, NOW + 30 * 86400))
    assert (after.pair, third.pair) == ("host-2", "host-3")


class Crash:
    """Ends the process, so to speak, before its write or removal number `moment`."""

    def __init__(self, moment: int) -> None:
        self.left = moment

    def before(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            if self.left == 0:
                raise KeyboardInterrupt
            self.left -= 1
            return real(*arguments, **named)

        return call


def test_a_crash_anywhere_in_a_renewal_leaves_a_pair_that_fits(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrolled(tmp_path, authority)
    crashed = 0
    for moment in range(20):
        crash = Crash(moment)
        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", crash.before(Path.replace))
            patch.setattr(Path, "unlink", crash.before(Path.unlink))
            try:
                certify.renew(tmp_path, Renewing(authority, NOW + moment))
            except KeyboardInterrupt:
                crashed += 1
        pair_fits(tmp_path)
    assert crashed >= 4
    certify.renew(tmp_path, Renewing(authority, NOW + 100))
    assert pair_fits(tmp_path).valid_until == pytest.approx(NOW + 100 + HOST_LIFE_S, abs=1)


def test_an_answer_for_another_host_is_not_taken(tmp_path: Path, authority: Authority) -> None:
    before = enrolled(tmp_path, authority)
    with pytest.raises(BrokenState, match="not for hullmark://c1/host/h1"):
        certify.renew(tmp_path, Renewing(authority, NOW, host_id="h2"))
    assert pair_fits(tmp_path) == before


def test_an_answer_of_another_authority_is_not_taken(tmp_path: Path, authority: Authority) -> None:
    before = enrolled(tmp_path / "agent", authority)
    other = create_authority(tmp_path / "other", "c1", NOW)
    wrong = dataclasses.replace(other, root=authority.root)
    with pytest.raises(BrokenState, match="does not lead to the root"):
        certify.renew(tmp_path / "agent", Renewing(wrong, NOW))
    assert pair_fits(tmp_path / "agent") == before


def test_enrolling_anew_leaves_the_old_pair_whole_until_it_is_done(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = enrolled(tmp_path, authority)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("hullmark.agentd.enrolment.save", fail)
        with pytest.raises(Refused):
            enrolled(tmp_path, authority)
    assert pair_fits(tmp_path) == before
    assert enrolled(tmp_path, authority).pair == "host-2"
    pair_fits(tmp_path)


def test_identity_follows_its_files(tmp_path: Path, authority: Authority) -> None:
    with pytest.raises(NotFound, match="not enrolled"):
        who(tmp_path)
    identity = HostIdentity(tmp_path, wall=lambda: NOW + 86400)
    with pytest.raises(BrokenState, match="not enrolled"):
        identity.usable()
    enrolled(tmp_path, authority)
    assert who(tmp_path) == Who("c1", "h1")
    _, first = identity.usable()
    assert identity.usable()[1] == first
    renewed = certify.renew(tmp_path, Renewing(authority, NOW + 86400))
    found, second = identity.usable()
    assert found == renewed
    assert second != first
    (tmp_path / renewed.key_name).chmod(0o640)
    with pytest.raises(BrokenState, match="accessible to others"):
        identity.usable()
    (tmp_path / renewed.key_name).chmod(0o600)
    identity.usable()


@pytest.mark.parametrize(
    ("now", "words"),
    [(NOW + HOST_LIFE_S + 10, "expired on"), (NOW - 3600, "its clock is before that")],
)
def test_outside_its_life_a_certificate_is_not_used(
    tmp_path: Path, authority: Authority, now: float, words: str
) -> None:
    enrolled(tmp_path, authority)
    with pytest.raises(BrokenState, match=words) as caught:
        HostIdentity(tmp_path, wall=lambda: now).usable()
    assert "clock" in caught.value.remedy


def test_a_damaged_record_still_leaves_the_host_who_it_was(
    tmp_path: Path, authority: Authority
) -> None:
    enrolled(tmp_path, authority)
    (tmp_path / "enrolment.json").write_text("{")
    with pytest.raises(BrokenState):
        who(tmp_path)
    statefile.save(tmp_path, orders_of())
    assert who(tmp_path) == Who("c1", "h1")


def test_renewal_begins_with_a_third_of_the_life_left(tmp_path: Path, authority: Authority) -> None:
    enrolled(tmp_path, authority)
    now = NOW + HOST_LIFE_S * 0.6
    done: list[float] = []
    trouble: list[HullmarkError] = []

    def renew() -> None:
        if trouble:
            raise trouble[0]
        done.append(now)
        certify.renew(tmp_path, Renewing(authority, now))

    problems = Problems()
    said: list[Entry] = []
    renewing = recorded(renew, said.append, "host box")
    renewal = Renewal(HostIdentity(tmp_path, lambda: now), problems, renewing, lambda: now)
    assert renewal.turn() == 60.0
    assert done == []
    now = NOW + HOST_LIFE_S * 0.7
    trouble.append(MasterUnavailable("nobody answers"))
    waits = [renewal.turn() for _ in range(12)]
    assert [problem.code for problem in problems.all()] == ["certificate.renewal"]
    assert all(0.4 < wait <= 600 for wait in waits)
    assert max(waits) > 250
    trouble.clear()
    renewal.turn()
    assert done == [now]
    renewal.turn()
    assert done == [now], "a new certificate is not renewed at once"
    assert problems.all() == ()
    assert [one.outcome for one in said] == [Outcome.FAILURE] * 12 + [Outcome.SUCCESS]
    assert {(one.kind, one.subject) for one in said} == {("certificate.renewed", "host box")}
    assert said[0].reason == "nobody answers"
