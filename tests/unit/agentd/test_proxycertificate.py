"""The certificate of a host's proxy: when it is made, when anew, and what the proxy is told meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Optional

import pytest

from hullmark.agentd import certify, enrolment
from hullmark.agentd.enrolment import Enrolment
from hullmark.agentd.identity import Identity
from hullmark.agentd.problems import Problems
from hullmark.agentd.proxycertificate import ProxyCertificate
from hullmark.errors import HullmarkError, MasterUnavailable, Refused
from hullmark.model.protocol import RenewAnswer, RenewRequest
from hullmark.pki import certificates
from hullmark.pki.authority import HOST_LIFE_S, Authority, create_authority
from hullmark.pki.files import write_file, write_private

NOW = 1_700_000_000.0


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return create_authority(tmp_path_factory.mktemp("pki"), "c1", NOW)


class Host:
    """An enrolled host with a folder for its proxy. `now` is everybody's clock, but for what the leader's is `ahead`; `trouble` is what the next
    tries end with. `passed` is the time that no wall clock has to do with."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        self.authority, self.folder, self.proxy = authority, folder / "agent", folder / "proxy"
        self.now = NOW
        self.ahead = self.passed = 0.0
        self.trouble: Optional[HullmarkError] = None
        self.kinds: list[str] = []
        self.told = 0
        self.folder.mkdir()
        self.proxy.mkdir()
        self.enroll("h1")
        self.problems = Problems()
        self.certificate = self.begin()

    def enroll(self, host_id: str, cluster_id: str = "c1") -> None:
        key = certificates.new_key()
        csr = certificates.new_request(key, host_id).decode()
        write_private(self.folder / enrolment.KEY, certificates.key_pem(key))
        chain = self.authority.issue_host(csr, cluster_id, host_id, self.now)
        write_file(self.folder / enrolment.CERTIFICATE, chain)
        write_file(self.folder / enrolment.ROOT, self.authority.root_pem.encode())
        life = self.now, self.now + 100 * HOST_LIFE_S
        enrolment.save(
            self.folder, Enrolment(cluster_id, host_id, "box", ("https://m1:7441",), *life)
        )
        self.cluster_id, self.host_id = cluster_id, host_id

    def begin(self) -> ProxyCertificate:
        """As after a start of the agent."""
        certificate = ProxyCertificate(
            self.folder,
            self.proxy,
            Identity(self.folder, lambda: self.now),
            self.problems,
            self.renew,
            lambda: self.now,
            lambda: self.passed,
        )
        certificate.when_changed(self.count)
        return certificate

    def count(self) -> None:
        self.told += 1

    def renew(self) -> None:
        if self.trouble is not None:
            raise self.trouble
        certify.renew_proxy(self.folder, self.proxy, self, lambda: self.now)

    def call(
        self, path: str, body: Any, answer: type[RenewAnswer], timeout_s: float
    ) -> tuple[RenewAnswer, float]:
        """As the leader."""
        assert isinstance(body, RenewRequest)
        self.kinds.append(body.purpose)
        made = self.now + self.ahead
        chain = self.authority.issue_proxy(body.csr_pem, self.cluster_id, self.host_id, made)
        return RenewAnswer(chain.decode(), self.authority.root_pem), 0.0

    @property
    def pem(self) -> Path:
        return self.proxy / "proxy.pem"

    def goes_on_for(self, seconds: float) -> list[float]:
        """When certificates were asked for meanwhile. Both clocks go, faster than the loop looks."""
        made: list[float] = []
        begun = self.passed
        while self.passed - begun < seconds:
            before = len(self.kinds)
            wait_s = max(self.certificate.turn(), 20.0)
            made += [self.passed - begun] * (len(self.kinds) - before)
            self.passed += wait_s
            self.now += wait_s
        return made

    def codes(self) -> list[str]:
        return [one.code for one in self.problems.all()]


@pytest.fixture
def host(tmp_path: Path, authority: Authority) -> Host:
    return Host(tmp_path, authority)


def test_a_proxy_gets_what_haproxy_takes(host: Host) -> None:
    host.certificate.turn()
    chain = certificates.load_chain(host.pem.read_bytes(), "proxy.pem")
    assert certificates.identity_of(chain[0]).uri == "hullmark://c1/proxy/h1"
    assert len(chain) == 2, "with the intermediate, so that the root alone verifies it"
    public: Any = chain[0].public_key()
    key = certificates.load_key(host.pem)
    assert public.public_numbers() == key.public_key().public_numbers()
    own = certificates.load_key(host.folder / enrolment.KEY)
    assert own.private_numbers() != key.private_numbers(), "never the key of the agent"
    assert (host.proxy / "root.pem").read_text() == host.authority.root_pem
    modes = {path.stat().st_mode & 0o777 for path in host.proxy.iterdir()}
    assert modes == {0o600}
    assert host.kinds == ["proxy"]
    assert (host.told, bool(host.certificate.digest)) == (1, True)


def test_it_is_made_once_and_found_by_the_next_agent(host: Host) -> None:
    for _ in range(3):
        host.certificate.turn()
    later = host.begin()
    later.turn()
    assert later.digest == host.certificate.digest
    assert host.kinds == ["proxy"]


def test_an_agent_that_begins_anew_knows_the_one_in_use_before_its_loop_does(host: Host) -> None:
    first = host.begin()
    first.turn()
    again = host.begin()
    assert again.digest == ""
    again.load()
    assert again.digest == first.digest != ""


def test_a_new_one_when_a_third_is_left_with_another_key(host: Host) -> None:
    host.certificate.turn()
    first, key = host.certificate.digest, certificates.load_key(host.pem).private_numbers()
    host.now = NOW + HOST_LIFE_S * 0.66
    host.certificate.turn()
    assert host.certificate.digest == first
    host.now = NOW + HOST_LIFE_S * 0.68
    host.certificate.turn()
    assert host.certificate.digest not in ("", first)
    assert certificates.load_key(host.pem).private_numbers() != key
    assert host.told == 2


def lose(host: Host) -> None:
    host.pem.unlink()


def tamper(host: Host) -> None:
    host.pem.write_bytes(host.pem.read_bytes() + b"\n")


def lose_root(host: Host) -> None:
    (host.proxy / "root.pem").unlink()


def damage_record(host: Host) -> None:
    (host.folder / "proxy-certificate.json").write_bytes(b"{")


def join_another(host: Host) -> None:
    host.enroll("h9", "c9")


@pytest.mark.parametrize("how", [lose, tamper, lose_root, damage_record, join_another])
def test_what_is_not_there_as_it_was_written_is_made_anew(
    host: Host, how: Callable[[Host], None]
) -> None:
    host.certificate.turn()
    before = host.certificate.digest
    how(host)
    host.certificate.turn()
    assert host.kinds == ["proxy", "proxy"]
    assert host.certificate.digest not in ("", before)
    leaf = certificates.load_chain(host.pem.read_bytes(), "proxy.pem")[0]
    assert certificates.identity_of(leaf).name == host.host_id


def test_without_masters_the_one_in_use_stays_and_is_tried_again(host: Host) -> None:
    host.certificate.turn()
    before = host.certificate.digest
    host.now = NOW + HOST_LIFE_S * 0.9
    host.trouble = MasterUnavailable("nobody answers")
    assert all(host.certificate.turn() > 0 for _ in range(12))
    assert host.certificate.digest == before
    assert host.codes() == ["proxy.certificate"]
    host.trouble = None
    host.certificate.turn()
    assert host.certificate.digest not in ("", before)
    assert host.codes() == []


def test_what_was_changed_by_hand_is_not_loaded_and_what_was_loaded_stays(host: Host) -> None:
    host.certificate.turn()
    before = host.certificate.digest
    host.trouble = MasterUnavailable("nobody answers")
    tamper(host)
    host.certificate.turn()
    assert (host.certificate.digest, host.told) == (before, 1)
    lose(host)
    host.certificate.turn()
    assert host.certificate.digest == ""


def test_one_that_is_missing_is_tried_for_soon(host: Host) -> None:
    host.trouble = Refused("no")
    waits = [host.certificate.turn() for _ in range(12)]
    assert max(waits) <= 15.0
    assert (host.certificate.digest, host.told) == ("", 0)


def test_a_host_without_a_proxy_needs_none(host: Host) -> None:
    host.certificate.turn()
    for path in host.proxy.iterdir():
        path.unlink()
    host.proxy.rmdir()
    host.certificate.turn()
    assert (host.certificate.digest, host.told, host.kinds) == ("", 2, ["proxy"])
    assert host.codes() == []


def test_an_answer_that_is_an_agents_is_not_taken(host: Host) -> None:
    real = host.authority

    class Mistaken:
        root_pem = real.root_pem

        def issue_proxy(self, csr: str, *rest: Any) -> bytes:
            return real.issue_host(csr, *rest)

    mistaken: Any = Mistaken()
    host.authority = mistaken
    host.certificate.turn()
    assert "not for hullmark://c1/proxy/h1" in host.problems.all()[0].message
    assert not host.pem.exists()


def test_a_full_disk_leaves_the_one_in_use(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.certificate.turn()
    before = host.certificate.digest
    host.now = NOW + HOST_LIFE_S * 0.7

    def full(path: Path, *_: object) -> None:
        raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr("hullmark.agentd.certify.write_private", full)
        host.certificate.turn()
    assert host.certificate.digest == before
    assert host.codes() == ["proxy.certificate"]


DAY_S = 86400.0


def grow(made: list[float]) -> bool:
    waits = [later - former for former, later in zip(made, made[1:])]
    return min(waits[:2]) >= 30.0 and waits[-1] > 1500.0 and max(waits) <= 3700.0


def test_a_certificate_that_is_due_as_soon_as_it_is_made_is_no_loop(host: Host) -> None:
    host.certificate.turn()
    host.now += 25 * DAY_S
    host.ahead = -25 * DAY_S
    made = host.goes_on_for(12 * 3600.0)
    assert len(made) < 40
    assert grow(made)
    assert host.told == 1 + len(made), "each of them is a reload"
    (problem,) = host.problems.all()
    assert problem.code == "proxy.certificate"
    assert "to be renewed already" in problem.message
    assert problem.remedy == enrolment.SET_CLOCK


def test_a_wrong_clock_is_one_problem_and_over_once_it_is_set(host: Host) -> None:
    changes: list[int] = []
    host.problems.changed = lambda: changes.append(1)
    host.now += 25 * DAY_S
    host.ahead = -25 * DAY_S
    assert len(host.goes_on_for(4 * 3600.0)) > 3
    assert len(changes) == 1
    before = len(host.kinds)
    host.now, host.ahead = host.now - 25 * DAY_S, 0.0
    host.certificate.turn()
    assert (host.codes(), len(host.kinds)) == ([], before), "the last one is good by a right clock"
    host.now += 25 * DAY_S
    host.certificate.turn()
    assert (host.codes(), len(host.kinds)) == ([], before + 1), "the next is made when it is due"


def test_with_a_wrong_clock_files_that_are_lost_are_made_anew_at_once(host: Host) -> None:
    host.now += 25 * DAY_S
    host.ahead = -25 * DAY_S
    host.certificate.turn()
    lose(host)
    host.certificate.turn()
    assert host.pem.exists()
    lose(host)
    host.trouble = MasterUnavailable("nobody answers")
    waits = [host.certificate.turn() for _ in range(8)]
    assert max(waits) > 4.0, "a wait that is over has nothing to do with those of failures"


def test_one_that_is_not_valid_yet_is_made_anew(host: Host) -> None:
    host.ahead = 5 * DAY_S
    host.certificate.turn()
    (problem,) = host.problems.all()
    assert problem.code == "proxy.certificate"
    assert "not valid yet" in problem.message
    assert problem.remedy == enrolment.SET_CLOCK
    first = host.certificate.digest
    assert first != "", "it may be this host's clock that is behind"
    assert grow(host.goes_on_for(12 * 3600.0))
    host.ahead = 0.0
    host.goes_on_for(3700.0)
    assert host.codes() == []
    assert host.certificate.digest not in ("", first)
    leaf = certificates.load_chain(host.pem.read_bytes(), "proxy.pem")[0]
    assert certificates.validity(leaf)[0] <= host.now


def test_an_agent_that_begins_makes_anew_what_is_not_valid_yet(host: Host) -> None:
    host.ahead = 5 * DAY_S
    host.certificate.turn()
    host.ahead = 0.0
    host.begin().turn()
    assert host.kinds == ["proxy", "proxy"]
    assert host.codes() == []


def test_clocks_may_differ_a_little(host: Host) -> None:
    host.ahead = 240.0
    host.goes_on_for(60.0)
    assert (host.codes(), host.kinds) == ([], ["proxy"])


@pytest.mark.parametrize("ahead_s", [5 * DAY_S, -40 * DAY_S])
def test_one_that_is_good_is_not_given_up_for_one_that_is_not_valid_by_this_clock(
    host: Host, ahead_s: float
) -> None:
    host.certificate.turn()
    before = host.certificate.digest
    host.now += 21 * DAY_S
    host.ahead = ahead_s
    made = host.goes_on_for(3600.0)
    assert 3 < len(made) < 25
    assert (host.certificate.digest, host.told) == (before, 1)
    (problem,) = host.problems.all()
    assert "not valid by this host's clock" in problem.message
    assert problem.remedy == enrolment.SET_CLOCK
    host.ahead = 0.0
    host.goes_on_for(700.0)
    assert host.codes() == []
    assert host.certificate.digest not in ("", before)
