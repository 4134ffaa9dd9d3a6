"""The agent's heads: offered where something is new, to every master; what a master's answers and refusals lead to."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from hullmark.agentd import enrolment
from hullmark.agentd.enrolment import Enrolment
from hullmark.agentd.heads import (
    MASTER_ANEW,
    MASTER_AS_BEFORE,
    MASTER_ROLLED_BACK,
    REFUSED,
    UNSEALED,
    Heads,
    Sources,
    Told,
)
from hullmark.agentd.identity import Identity
from hullmark.agentd.lines import Peer, Silent
from hullmark.agentd.outbox import Outbox
from hullmark.agentd.problems import Problems
from hullmark.core.headsfile import FIRST_LINK, Content, line_of
from hullmark.errors import HullmarkError, MasterUnavailable, NotFound
from hullmark.model.audit import Entry, Head, Seal
from hullmark.model.protocol import HEADS_PATH, HeadAnswer, HeadOffer
from hullmark.pki import certificates, signing
from hullmark.pki.authority import create_authority

NOW = 1_700_000_000.0
URLS = ("https://m1", "https://m1.example.net", "https://m2")


class Sealer:
    """A master with a file of heads in memory."""

    def __init__(self, name: str, key: Any, certificate: Any, host: Any) -> None:
        self.name, self._key, self.certificate, self._host = name, key, certificate, host
        self.entries: list[Any] = []
        self.why = ""
        self.error: Optional[HullmarkError] = None
        self.forges = False

    def answer(self, offer: HeadOffer) -> HeadAnswer:
        signing.check_head(offer.signed, self._host)
        if self.why:
            return HeadAnswer(why=self.why)
        number = len(self.entries) + 1
        prev = self.entries[-1].link if self.entries else FIRST_LINK
        content = Content(number, "2026-11-29T05:40:01Z", self.name, (offer.signed,))
        self.entries.append(line_of(prev, content)[1])
        mine = certificates.fingerprint(self.certificate)
        draft = Seal(self.name, offer.signed.head, number, self.entries[-1].link, NOW, mine)
        seal = signing.sign_seal(self._key, draft)
        if self.forges:
            seal = replace(seal, at=NOW + 1)
        links = tuple(one.digest for one in self.entries[offer.knows :]) if offer.knows else ()
        return HeadAnswer(seal, links)


class Bench:
    """The agent's part in the middle of masters and a log that are in memory."""

    def __init__(self, folder: Path) -> None:
        authority = create_authority(folder / "ca", "c1", NOW)
        key = certificates.new_key()
        request = certificates.new_request(key, "h1").decode()
        chain = authority.issue_host(request, "c1", "h1", NOW)
        self.state = folder / "state"
        self.state.mkdir()
        (self.state / enrolment.CERTIFICATE).write_bytes(chain)
        (self.state / enrolment.ROOT).write_text(authority.root_pem)
        (self.state / enrolment.KEY).touch(0o600)
        (self.state / enrolment.KEY).write_bytes(certificates.key_pem(key))
        record = Enrolment("c1", "h1", "web1", URLS, NOW - 10, NOW + 1e6)
        enrolment.save(self.state, record)
        host = certificates.load_chain(chain, "host")[0]
        self.masters = {}
        for name in ("m1", "m2"):
            its_key = certificates.new_key()
            its = authority.issue_master(its_key.public_key(), "c1", name, [name], NOW)
            self.masters[name] = Sealer(name, its_key, certificates.load_chain(its, name)[0], host)
        self.at = {URLS[0]: "m1", URLS[1]: "m1", URLS[2]: "m2"}
        self.head = Head("host:h1", 0, "", NOW)
        self.leader = "m1@a 1.1"
        self.incarnation = 1
        self.now = 0.0
        self.asked: list[tuple[str, int]] = []
        self.recorded: list[Entry] = []
        self.problems = Problems()
        self.outbox = Outbox("host web1")
        self.begin()

    def begin(self) -> None:
        """As after a restart."""
        sources = Sources(
            lambda: URLS,
            lambda: self,  # type: ignore[arg-type, return-value]
            lambda: self.leader,
            lambda: self.incarnation,
        )
        told = Told(self.problems, self.outbox, self.recorded.append)
        identity = Identity(self.state, lambda: NOW)
        self.heads = Heads(identity, self, sources, told, lambda: self.now, lambda: 0.5)  # type: ignore[arg-type]

    def ask(self, url: str, path: str, body: Any, answer: Any, timeout_s: float) -> Any:
        assert (path, answer) == (HEADS_PATH, HeadAnswer)
        self.asked.append((url, body.signed.head.seq))
        master = self.masters[self.at[url]]
        if master.error is not None:
            raise master.error
        return master.answer(body), Peer(master.name, master.certificate.public_bytes(Encoding.DER))

    def grow(self, count: int = 1) -> None:
        self.head = Head("host:h1", self.head.seq + count, f"{self.head.seq + count:064x}", NOW)

    def turns(self, seconds: float) -> list[tuple[str, int]]:
        """What is asked within that time, one look a second."""
        self.asked.clear()
        for _ in itertools.repeat(None, int(seconds)):
            self.heads.turn()
            self.now += 1.0
        return list(self.asked)

    def codes(self) -> list[str]:
        return [problem.code for problem in self.problems.all()]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_nothing_is_said_of_an_empty_log(bench: Bench) -> None:
    assert bench.turns(5) == []


def test_each_master_seals_once_and_then_nothing_is_sent(bench: Bench) -> None:
    bench.grow()
    bench.turns(3)
    # The second address of m1 is known for one of it by its answer.
    assert {name: len(one.entries) for name, one in bench.masters.items()} == {"m1": 2, "m2": 1}
    assert bench.turns(600) == []
    bench.grow()
    asked = bench.turns(10)
    assert sorted(asked) == [(URLS[0], 2), (URLS[2], 2)]


def test_a_burst_costs_a_few_heads(bench: Bench) -> None:
    bench.grow()
    bench.turns(3)
    asked = []
    for _ in range(20):
        bench.grow(50)
        asked += bench.turns(1)
    assert len(asked) <= 22
    bench.turns(2)
    newest = [one.entries[-1].content.heads[0].head.seq for one in bench.masters.values()]
    assert newest == [bench.head.seq] * 2


def test_all_is_shown_anew_once_an_hour_and_to_a_new_leader(bench: Bench) -> None:
    bench.grow()
    bench.turns(3)
    bench.now += 3600
    assert len(bench.turns(3)) == 2
    bench.leader = "m2@b 1.2"
    assert len(bench.turns(8)) == 2
    assert bench.turns(60) == []


def test_what_was_known_is_kept_over_a_restart(bench: Bench) -> None:
    bench.grow()
    bench.turns(3)
    known = json.loads((bench.state / "seals.json").read_text())["masters"]
    assert (known["m1"]["known"]["number"], known["m2"]["known"]["number"]) == (1, 1)
    bench.begin()
    bench.grow()
    bench.turns(5)
    assert bench.codes() == []
    assert (bench.state / "seals.json").stat().st_mode & 0o777 == 0o600


def test_a_master_that_shows_the_right_file_after_all_is_believed(bench: Bench) -> None:
    for _ in range(3):
        bench.grow()
        bench.turns(3)
    m1 = bench.masters["m1"]
    right = list(m1.entries)
    del m1.entries[1:]
    bench.grow()
    bench.turns(80)
    assert bench.codes() == [MASTER_ROLLED_BACK]
    m1.entries = right
    bench.turns(31)
    assert bench.codes() == []
    assert [entry.kind for entry in bench.recorded] == [MASTER_ROLLED_BACK, MASTER_AS_BEFORE]
    assert m1.entries[-1].content.heads[0].head == bench.head


def test_in_a_new_incarnation_a_master_may_begin_anew(bench: Bench) -> None:
    for _ in range(3):
        bench.grow()
        bench.turns(3)
    bench.masters["m1"].entries.clear()
    bench.incarnation = 2
    bench.turns(3)
    assert bench.codes() == []
    bench.grow()
    bench.turns(3)
    assert bench.codes() == []
    assert [entry.kind for entry in bench.recorded] == [MASTER_ANEW]
    assert int(bench.recorded[0].fields["number"]) >= 3
    bench.masters["m1"].entries.clear()
    bench.grow()
    bench.turns(3)
    assert bench.codes() == [MASTER_ROLLED_BACK], "once, and not whenever it likes"


def test_a_master_that_was_put_back_is_told_once_and_believed_no_more(bench: Bench) -> None:
    for _ in range(3):
        bench.grow()
        bench.turns(3)
    m1 = bench.masters["m1"]
    del m1.entries[1:]
    bench.grow()
    bench.turns(3)
    assert bench.codes() == [MASTER_ROLLED_BACK]
    assert "master m1 was put back" in bench.problems.all()[0].message
    assert [entry.kind for entry in bench.recorded] == [MASTER_ROLLED_BACK]
    assert int(bench.recorded[0].fields["number"]) >= 3
    assert [event.kind for event in bench.outbox.peek()] == [MASTER_ROLLED_BACK]
    bench.grow()
    assert {url for url, _ in bench.turns(25)} == {URLS[2]}
    bench.begin()
    bench.grow()
    bench.turns(3)
    assert bench.codes() == [MASTER_ROLLED_BACK]
    (bench.state / "seals.json").unlink()
    bench.turns(5)
    assert bench.codes() == []
    assert m1.entries[-1].content.heads[0].head == bench.head


def test_a_master_that_forgot_while_the_agent_was_down_is_found(bench: Bench) -> None:
    for _ in range(3):
        bench.grow()
        bench.turns(3)
    bench.masters["m1"].entries.clear()
    bench.begin()
    bench.turns(3)
    assert bench.codes() == [MASTER_ROLLED_BACK]


def test_a_refused_log_is_a_problem_until_it_is_taken(bench: Bench) -> None:
    bench.grow()
    bench.turns(3)
    bench.masters["m2"].why = "it was put back"
    bench.grow()
    bench.turns(100)
    assert bench.codes() == [REFUSED]
    assert "master m2 refuses this host's audit log: it was put back" in (
        bench.problems.all()[0].message
    )
    assert [entry.kind for entry in bench.recorded] == [REFUSED]
    bench.masters["m2"].why = ""
    bench.turns(61)
    assert bench.codes() == []


def test_an_older_master_is_left_alone(bench: Bench) -> None:
    bench.masters["m1"].error = NotFound("there is nothing at /agent/v1/heads")
    bench.grow()
    asked = bench.turns(300)
    assert [url for url, _ in asked].count(URLS[0]) == 1
    assert bench.codes() == []
    assert bench.masters["m2"].entries


def test_a_master_that_is_away_is_asked_less_and_less_often(bench: Bench) -> None:
    bench.grow()
    bench.turns(3)
    bench.masters["m1"].error = Silent("no answer")
    bench.grow()
    asked = [url for url, _ in bench.turns(300)]
    assert 15 < asked.count(URLS[0]) < 50
    assert bench.codes() == []
    bench.masters["m1"].error = None
    bench.turns(61)
    assert bench.masters["m1"].entries[-1].content.heads[0].head == bench.head


def test_a_master_that_says_that_it_can_not_seal_is_a_problem(bench: Bench) -> None:
    bench.grow()
    bench.turns(3)
    bench.masters["m1"].error = MasterUnavailable("its file of heads is broken")
    bench.grow()
    bench.turns(30)
    assert bench.codes() == []
    bench.turns(60)
    assert bench.codes() == [UNSEALED]


def test_a_seal_that_the_master_did_not_sign_is_none(bench: Bench) -> None:
    bench.masters["m2"].forges = True
    bench.grow()
    bench.turns(90)
    assert UNSEALED in bench.codes()
    assert "m2" not in json.loads((bench.state / "seals.json").read_text())["masters"]


def test_the_next_address_of_a_master_is_tried_at_once(bench: Bench) -> None:
    bench.grow()
    bench.turns(3)
    ask = bench.ask

    def half_deaf(url: str, *rest: Any) -> Any:
        if url == URLS[0]:
            bench.asked.append((url, 0))
            raise Silent("no answer")
        return ask(url, *rest)

    bench.ask = half_deaf  # type: ignore[method-assign, assignment]
    bench.grow()
    bench.turns(3)
    assert bench.masters["m1"].entries[-1].content.heads[0].head == bench.head
