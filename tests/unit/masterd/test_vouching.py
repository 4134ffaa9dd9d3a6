"""A master seals heads and takes in records; what does not go on as it was is refused, and told once."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Callable

import pytest

from hullmark.core import sealing
from hullmark.core.headsfile import Acceptance, Break
from hullmark.core.sealing import Relation
from hullmark.core.shipping import shipment_of
from hullmark.errors import AuditUnavailable, Conflict, Refused
from hullmark.masterd import received, vouching
from hullmark.masterd.received import Records
from hullmark.masterd.vouching import Signer, Vouching
from hullmark.model.audit import FIRST_PREV, Entry, Head
from hullmark.model.auditline import hash_of, line_of
from hullmark.model.protocol import HeadOffer, Shipment
from hullmark.pki import certificates, signing
from hullmark.pki.authority import create_authority

NOW = 1_700_000_000.0
LOG = "host:h1"
UNKNOWN = Relation()
_seconds = itertools.count()


class Log:
    """A log that grows in memory."""

    def __init__(self, name: str = LOG) -> None:
        self.name = name
        self.lines: list[bytes] = []

    def grow(self, count: int, kind: str = "container.start") -> None:
        for _ in range(count):
            prev = hash_of(self.lines[-1]) if self.lines else FIRST_PREV
            entry = Entry(kind, "shop/web.1")
            at = "2026-11-29T05:40:01.000000Z"
            seq = len(self.lines) + 1
            self.lines.append(line_of(entry, seq=seq, prev=prev, log=self.name, boot="b", at=at))

    def head(self) -> Head:
        """Each is said later than the one before."""
        at = NOW + next(_seconds)
        return Head(self.name, len(self.lines), hash_of(self.lines[-1]), at)

    def copy(self, count: int) -> Log:
        """As it was when it had so many records."""
        found = Log(self.name)
        found.lines = self.lines[:count]
        return found

    def shipment(self, first: int) -> Shipment:
        return shipment_of(self.name, self.lines[first - 1 :])


@dataclass(frozen=True)
class Keys:
    host: Signer
    master: Signer


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> Keys:
    authority = create_authority(tmp_path_factory.mktemp("pki") / "ca", "c1", NOW)
    host, master = certificates.new_key(), certificates.new_key()
    request = certificates.new_request(host, "h1").decode()
    of_host = authority.issue_host(request, "c1", "h1", NOW)
    of_master = authority.issue_master(master.public_key(), "c1", "m1", ["192.0.2.1"], NOW)
    return Keys(
        Signer(host, certificates.load_chain(of_host, "host")[0]),
        Signer(master, certificates.load_chain(of_master, "master")[0]),
    )


@pytest.fixture(autouse=True)
def _at_once(monkeypatch) -> None:
    monkeypatch.setattr(vouching, "GATHER_S", 0.0)


def run(keys: Keys, folder: Path, test: Callable[[Vouching], Any]) -> list[Break]:
    """What was told meanwhile."""

    async def running() -> list[Break]:
        told: list[Break] = []
        master = Vouching(folder, "m1", lambda: keys.master, keep_s=1e9, wall=lambda: NOW)
        master.told = told.append
        master.start()
        await master.loaded()
        try:
            await test(master)
        finally:
            await master.close()
        return told

    return asyncio.run(running())


async def offered(master: Vouching, keys: Keys, head: Head, relation: Relation = UNKNOWN):
    signed = signing.sign_head(keys.host.key, keys.host.certificate, head)
    offer = sealing.offer(relation, signed)
    answer = await master.offer(head.log, keys.host.certificate, offer)
    if answer.why:
        return answer.why, relation
    assert answer.seal is not None
    signing.check_seal(answer.seal, keys.master.certificate)
    return "", sealing.answered(relation, signed, answer)


def test_a_head_is_sealed_and_the_file_is_seen_to_grow(keys, tmp_path) -> None:
    log = Log()
    log.grow(3)

    async def test(master: Vouching) -> None:
        why, relation = await offered(master, keys, log.head())
        assert (why, relation.known.number) == ("", 1)
        log.grow(2)
        why, relation = await offered(master, keys, log.head(), relation)
        assert (why, relation.known.number, relation.rolled_back) == ("", 2, "")
        assert [entry.content.heads[0].head.seq for entry in master.heads.of(LOG)] == [3, 5]
        assert master.standing == (2, relation.known.link, ())

    assert run(keys, tmp_path, test) == []


def test_heads_of_one_moment_are_one_entry(keys, tmp_path) -> None:
    logs = [Log(f"host:h{number}") for number in range(5)]
    for log in logs:
        log.grow(1)

    async def test(master: Vouching) -> None:
        await asyncio.gather(*(offered(master, keys, log.head()) for log in logs))
        assert master.standing[0] <= 2
        assert len(master.heads.standing.newest) == 5

    run(keys, tmp_path, test)


def test_a_log_that_was_put_back_is_refused_and_told_once(keys, tmp_path) -> None:
    log = Log()
    log.grow(7)
    earlier = log.copy(4)
    earlier.grow(1, "agent.started")

    async def test(master: Vouching) -> None:
        await offered(master, keys, log.head())
        for _ in range(2):
            why, _ = await offered(master, keys, earlier.head())
            assert "up to number 7" in why
        earlier.grow(9)
        why, _ = await offered(master, keys, earlier.head())
        assert why, "it is longer now, and still not the log that it was"

    told = run(keys, tmp_path, test)
    assert [broken.head.seq for broken in told] == [5]

    async def again(master: Vouching) -> None:
        assert master.standing[2] == (LOG,)
        why, _ = await offered(master, keys, earlier.head())
        assert "up to number 7" in why

    assert run(keys, tmp_path, again) == []


def test_a_head_that_was_overtaken_on_its_way_is_no_alarm(keys, tmp_path) -> None:
    log = Log()
    log.grow(7)
    late = log.copy(6).head()

    async def test(master: Vouching) -> None:
        await offered(master, keys, log.head())
        with pytest.raises(Conflict, match="newer head"):
            await offered(master, keys, late)
        assert master.standing[2] == ()
        master._clock = lambda: 1e9
        assert (await offered(master, keys, late))[0], "nothing is on its way for so long"

    assert len(run(keys, tmp_path, test)) == 1


def test_a_log_that_was_replaced_is_found_by_its_records(keys, tmp_path) -> None:
    log = Log()
    log.grow(5)
    other = Log()
    other.grow(9, "made.up")

    async def test(master: Vouching) -> None:
        assert (await master.take(LOG, log.shipment(1))).cursor == 5
        await offered(master, keys, log.head())
        taken = await master.take(LOG, other.shipment(6))
        assert (taken.cursor, "replaced" in taken.why) == (5, True)
        assert master.standing[2] == (LOG,)
        assert (await offered(master, keys, other.head()))[0]

    assert len(run(keys, tmp_path, test)) == 1


def test_records_that_a_head_denies_are_not_taken(keys, tmp_path) -> None:
    """As where a standby that vouched for the log takes the lead, and gets all of it."""
    log, other = Log(), Log()
    log.grow(5)
    other.grow(9, "made.up")

    async def test(master: Vouching) -> None:
        await offered(master, keys, log.head())
        taken = await master.take(LOG, other.shipment(1))
        assert (taken.cursor, "vouched for" in taken.why) == (0, True)
        assert master.standing[2] == (LOG,)

    assert len(run(keys, tmp_path, test)) == 1


def test_a_head_that_the_received_records_deny_is_refused(keys, tmp_path) -> None:
    log = Log()
    log.grow(5)
    other = Log()
    other.grow(5, "made.up")

    async def test(master: Vouching) -> None:
        await master.take(LOG, log.shipment(1))
        assert (await offered(master, keys, log.copy(4).head()))[0] == ""
        assert (await offered(master, keys, log.head()))[0] == ""

    assert run(keys, tmp_path / "behind", test) == [], "records may come before their head"

    async def replaced(master: Vouching) -> None:
        await master.take(LOG, log.shipment(1))
        assert "not the one that was received" in (await offered(master, keys, other.head()))[0]

    run(keys, tmp_path / "other", replaced)


def test_a_log_goes_on_after_an_operators_word(keys, tmp_path) -> None:
    log = Log()
    log.grow(7)
    earlier = log.copy(4)
    earlier.grow(1, "agent.started")

    accepted: list[Acceptance] = []

    async def test(master: Vouching) -> None:
        master.told_accepted = accepted.append
        await master.take(LOG, log.shipment(1))
        await offered(master, keys, log.head())
        assert (await offered(master, keys, earlier.head()))[0]
        word = tmp_path / "audit" / "accept" / LOG
        word.touch()
        assert (await offered(master, keys, earlier.head()))[0] == ""
        assert not word.exists()
        assert (await master.take(LOG, Shipment(LOG))).cursor == 0
        assert (await master.take(LOG, earlier.shipment(1))).cursor == 5
        entries = master.heads.of(LOG)
        assert [len(entry.content.accepted) for entry in entries] == [0, 0, 1, 0]
        kept = [line for _, line in master.records.find()]
        assert kept == [line[:-1] for line in [*log.lines, *earlier.lines[4:]]], "each once"
        assert [one.log for one in accepted] == [LOG]

    run(keys, tmp_path, test)


def test_only_its_own_head_with_its_own_key_is_sealed(keys, tmp_path) -> None:
    log = Log()
    log.grow(1)

    async def test(master: Vouching) -> None:
        signed = signing.sign_head(keys.host.key, keys.host.certificate, log.head())
        with pytest.raises(Refused, match="no head of host:h2"):
            await master.offer("host:h2", keys.host.certificate, HeadOffer(signed))
        with pytest.raises(Refused, match="another certificate"):
            await master.offer(LOG, keys.master.certificate, HeadOffer(signed))
        forged = replace(signed, head=replace(signed.head, seq=9))
        with pytest.raises(Refused, match="does not fit"):
            await master.offer(LOG, keys.host.certificate, HeadOffer(forged))
        with pytest.raises(Refused, match="not of host:h2"):
            await master.take("host:h2", log.shipment(1))
        assert master.standing[0] == 0

    run(keys, tmp_path, test)


def test_records_go_on_after_a_restart(keys, tmp_path) -> None:
    log = Log()
    log.grow(4)

    async def first(master: Vouching) -> None:
        assert (await master.take(LOG, log.shipment(1))).cursor == 4

    run(keys, tmp_path, first)
    file = next((tmp_path / "audit" / "received" / LOG).iterdir())
    with file.open("ab") as torn:
        torn.write(b'{"seq":5,"pr')
    log.grow(2)

    async def second(master: Vouching) -> None:
        assert (await master.take(LOG, Shipment(LOG))).cursor == 4
        wrong = await master.take(LOG, log.shipment(6))
        assert (wrong.cursor, wrong.why) == (4, "the next record wanted is number 5")
        assert (await master.take(LOG, log.shipment(5))).cursor == 6
        assert [line for _, line in master.records.find()] == [line[:-1] for line in log.lines]

    assert run(keys, tmp_path, second) == []


def test_one_host_can_not_fill_the_disk_at_will(tmp_path, monkeypatch) -> None:
    log, now = Log(), [NOW]
    log.grow(300)
    monkeypatch.setattr(received, "BURST_BYTES", sum(len(line) for line in log.lines[:100]))
    records = Records(tmp_path, wall=lambda: now[0])

    def sent(first: int, count: int) -> received.Taken:
        texts = [line.decode().rstrip("\n") for line in log.lines[first - 1 :][:count]]
        return records.take(LOG, first, texts)

    assert sent(1, 90).cursor == 90
    assert (sent(91, 50).cursor, "more than is taken" in sent(91, 50).why) == (90, True)
    now[0] += 1
    assert sent(91, 50).cursor == 140


@pytest.mark.parametrize("bend", ["reorder", "drop", "edit", "other", "junk"])
def test_lines_that_are_no_chain_are_not_taken(keys, tmp_path, bend) -> None:
    log = Log("host:h2" if bend == "other" else LOG)
    log.grow(4)
    lines = list(log.lines)
    if bend == "reorder":
        lines[1], lines[2] = lines[2], lines[1]
    elif bend == "drop":
        del lines[2]
    elif bend == "edit":
        lines[2] = lines[2].replace(b"web.1", b"web.2")
    elif bend == "junk":
        lines[3] = b"nonsense"

    async def test(master: Vouching) -> None:
        texts = tuple(line.decode().rstrip("\n") for line in lines)
        taken = await master.take(LOG, Shipment(LOG, 1, texts))
        assert taken.cursor == 0
        assert taken.why.startswith("record ")
        assert master.records.logs() == []

    assert run(keys, tmp_path, test) == []


def test_a_file_of_heads_that_was_changed_seals_nothing(keys, tmp_path) -> None:
    log = Log()
    log.grow(3)

    async def test(master: Vouching) -> None:
        for _ in range(3):
            await offered(master, keys, log.head())
            log.grow(1)

    run(keys, tmp_path, test)
    file = tmp_path / "audit" / "heads.log"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(lines[0] + lines[2])

    async def broken(master: Vouching) -> None:
        assert "heads.log:2: entry 3 does not follow entry 1" in master.trouble
        assert master.standing == (0, "", ())
        with pytest.raises(AuditUnavailable, match="seals nothing"):
            await offered(master, keys, log.head())

    run(keys, tmp_path, broken)
    file.write_bytes(b"".join(lines) + lines[0][:50])

    async def mended(master: Vouching) -> None:
        assert master.standing[0] == 3
        assert file.read_bytes() == b"".join(lines)
        assert (await offered(master, keys, log.head()))[0] == ""

    run(keys, tmp_path, mended)


def test_a_host_that_knows_little_is_answered_in_parts(keys, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(vouching, "LINKS_MOST", 4)
    log, mine = Log("host:h2"), Log()
    log.grow(1)
    mine.grow(1)

    async def test(master: Vouching) -> None:
        _, relation = await offered(master, keys, mine.head())
        for _ in range(150):
            await offered(master, keys, log.head())
            log.grow(1)
        master.heads._recent.clear()
        mine.grow(1)
        signed = signing.sign_head(keys.host.key, keys.host.certificate, mine.head())
        rounds = 0
        while not relation.has_sealed(mine.head()):
            answer = await master.offer(LOG, keys.host.certificate, sealing.offer(relation, signed))
            relation = sealing.answered(relation, signed, answer)
            assert relation.rolled_back == ""
            rounds += 1
        assert (rounds, relation.known.number) == (38, 152)

    run(keys, tmp_path, test)
