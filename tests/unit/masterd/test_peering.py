"""What one master of a pair does with the other's word: its own log is vouched for there, and nobody is put back unseen."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

import pytest

from hullmark.masterd import vouching
from hullmark.masterd.peering import MASTER_ROLLED_BACK, ROLLED_BACK, Peering
from hullmark.masterd.vouching import Signer, Vouching
from hullmark.model.audit import FIRST_PREV, Entry, Head
from hullmark.model.auditline import hash_of, line_of
from hullmark.model.event import Event
from hullmark.model.protocol import HEADS_PATH
from hullmark.model.records import MasterRecord
from hullmark.pki import certificates
from hullmark.pki.authority import create_authority

NOW = 1_700_000_000.0
OTHER = MasterRecord("m2", "run", "1", ("https://m2",), ("https://m2",), NOW)


class Own:
    """This master's record: its log, in memory."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.entries: list[Entry] = []
        self.file = self

    @property
    def head(self) -> Head:
        end = hash_of(self.lines[-1]) if self.lines else ""
        return Head("master:m1", len(self.lines), end, NOW + len(self.lines))

    def grow(self, count: int) -> None:
        for _ in range(count):
            prev = hash_of(self.lines[-1]) if self.lines else FIRST_PREV
            entry, at = Entry("request.apply", "shop"), "2026-11-29T05:40:01.000000Z"
            seq = len(self.lines) + 1
            self.lines.append(line_of(entry, seq=seq, prev=prev, log="master:m1", boot="b", at=at))

    def read(self, first: int, most: int) -> list[bytes]:
        return self.lines[first - 1 :][:most]

    def event(self, entry: Entry) -> None:
        self.entries.append(entry)

    async def in_thread(self, function: Callable[[], Any]) -> Any:
        return function()


class Pair:
    """m1, which is tried, and m2, which is whole but for its ports."""

    def __init__(self, folder: Path, signers: list[Signer]) -> None:
        self.folder = folder
        self.signers = signers
        self.own = Own()
        self.events: list[Event] = []
        self.record_of_m2 = OTHER
        self.is_leader = True
        self.asked: list[str] = []
        self.deaf = False
        self.now = 0.0
        self.m1 = Vouching(folder / "m1", "m1", lambda: signers[0], keep_s=1e9, wall=lambda: NOW)
        self.m2: Optional[Vouching] = None

    def other_masters(self) -> list[MasterRecord]:
        return [self.record_of_m2]

    def record(self, event: Event) -> None:
        self.events.append(event)

    async def begin(self) -> None:
        """m2 anew, from what is on its disk."""
        if self.m2 is not None:
            await self.m2.close()
        signer = self.signers[1]
        self.m2 = Vouching(self.folder / "m2", "m2", lambda: signer, keep_s=1e9, wall=lambda: NOW)
        self.m2.start()
        await self.m2.loaded()

    def peering(self) -> Peering:
        made = Peering(self.folder / "m1", "m1", self, self.own, self.m1, None, lambda: self.now)  # type: ignore[arg-type]

        async def post(url: str, body: Any, answer: type) -> Any:
            self.asked.append(url)
            if self.deaf:
                raise OSError("no route")
            assert self.m2 is not None
            if url.endswith(HEADS_PATH):
                return await self.m2.offer("master:m1", self.signers[0].certificate, body)
            return await self.m2.take("master:m1", body)

        made._post = post  # type: ignore[method-assign]
        return made

    async def turn(self, peering: Peering, count: int = 1) -> list[str]:
        """What is asked, in so many seconds."""
        self.asked.clear()
        for _ in range(count):
            peering._watch(self.record_of_m2)
            await peering._turn(self.record_of_m2)
            self.now += 1.0
        return list(self.asked)

    def told(self) -> list[tuple[str, str]]:
        return [(event.kind, event.subject) for event in self.events]


@pytest.fixture
def signers(tmp_path: Path) -> list[Signer]:
    authority = create_authority(tmp_path / "ca", "c1", NOW)
    made = []
    for name in ("m1", "m2"):
        key = certificates.new_key()
        chain = authority.issue_master(key.public_key(), "c1", name, [name], NOW)
        made.append(Signer(key, certificates.load_chain(chain, name)[0]))
    return made


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vouching, "GATHER_S", 0.0)


def run(folder: Path, signers: list[Signer], test: Callable[[Pair], Awaitable[None]]) -> None:
    async def running() -> None:
        pair = Pair(folder, signers)
        await pair.begin()
        try:
            await test(pair)
        finally:
            assert pair.m2 is not None
            await pair.m2.close()
            await pair.m1.close()

    asyncio.run(running())


def test_its_own_log_is_sealed_and_sent_once(tmp_path: Path, signers: list[Signer]) -> None:
    async def test(pair: Pair) -> None:
        peering = pair.peering()
        assert await pair.turn(peering, 3) == []
        pair.own.grow(1200)
        await pair.turn(peering)
        assert pair.m2 is not None
        assert pair.m2.heads.standing.newest["master:m1"].seq == 1200
        kept = [line for _, line in pair.m2.records.find()]
        assert kept == [line[:-1] for line in pair.own.lines]
        assert await pair.turn(peering, 600) == []
        pair.own.grow(1)
        assert len(await pair.turn(peering, 3)) == 2

    run(tmp_path, signers, test)


def test_a_master_that_was_put_back_is_told_by_its_own_answer(
    tmp_path: Path, signers: list[Signer]
) -> None:
    async def test(pair: Pair) -> None:
        peering = pair.peering()
        for _ in range(3):
            pair.own.grow(1)
            await pair.turn(peering)
        file = tmp_path / "m2" / "audit" / "heads.log"
        file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:1]))
        await pair.begin()
        pair.own.grow(1)
        await pair.turn(pair.peering())
        assert pair.told() == [(MASTER_ROLLED_BACK, "master m2")]
        assert [entry.kind for entry in pair.own.entries] == [MASTER_ROLLED_BACK]
        later = pair.peering()
        await pair.turn(later, 70)
        assert pair.told() == [(MASTER_ROLLED_BACK, "master m2")], "once, also after a restart"
        (tmp_path / "m1" / "audit" / "seals.json").unlink()
        pair.own.grow(1)
        await pair.turn(later, 5)
        assert pair.m2 is not None
        assert pair.m2.heads.standing.newest["master:m1"] == pair.own.head
        assert not later._seals.of("m2").rolled_back

    run(tmp_path, signers, test)


def test_a_file_of_heads_that_shrinks_in_the_store_is_told(
    tmp_path: Path, signers: list[Signer]
) -> None:
    async def test(pair: Pair) -> None:
        peering = pair.peering()
        pair.deaf = True
        for heads in (5, 9, 9):
            pair.record_of_m2 = replace(OTHER, heads=heads, heads_link="a" * 64)
            await pair.turn(peering)
        pair.record_of_m2 = replace(OTHER, heads=0, heads_link="")
        await pair.turn(peering)
        assert pair.told() == [], "it has not read its file yet"
        pair.record_of_m2 = replace(OTHER, heads=6, heads_link="b" * 64)
        await pair.turn(peering, 5)
        assert pair.told() == [(MASTER_ROLLED_BACK, "master m2")]

    run(tmp_path, signers, test)


def test_an_older_word_in_the_store_is_no_alarm(tmp_path: Path, signers: list[Signer]) -> None:
    """It was written before the answer that tells more."""

    async def test(pair: Pair) -> None:
        peering = pair.peering()
        pair.own.grow(1)
        await pair.turn(peering)
        pair.own.grow(1)
        await pair.turn(peering)
        pair.record_of_m2 = replace(OTHER, heads=1, heads_link="a" * 64)
        assert await pair.turn(peering, 15) == []
        assert len(await pair.turn(peering, 15)) == 1, "it should have caught up by now"
        assert pair.told() == []

    run(tmp_path, signers, test)


def test_the_leader_tells_what_its_standby_refuses(tmp_path: Path, signers: list[Signer]) -> None:
    async def test(pair: Pair) -> None:
        peering = pair.peering()
        pair.record_of_m2 = replace(OTHER, refuses=("host:h1",))
        pair.is_leader = False
        await pair.turn(peering)
        assert pair.told() == []
        pair.is_leader = True
        await pair.turn(peering, 3)
        assert pair.told() == [(ROLLED_BACK, "host:h1")]

    run(tmp_path, signers, test)


def test_without_an_answer_it_is_tried_again_ever_more_seldom(
    tmp_path: Path, signers: list[Signer]
) -> None:
    async def test(pair: Pair) -> None:
        peering = pair.peering()
        pair.deaf = True
        pair.own.grow(1)
        assert 5 < len(await pair.turn(peering, 300)) < 20
        pair.deaf = False
        assert len(await pair.turn(peering, 61)) >= 3
        assert pair.told() == []

    run(tmp_path, signers, test)
