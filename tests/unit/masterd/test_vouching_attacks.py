"""What a host, or who has its key, tries with a master that seals its heads and takes in its records."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256

import pytest

from hullmark.cli.transport import LINE_MAX_BYTES
from hullmark.core import sealing
from hullmark.core.headsfile import Known
from hullmark.core.sealing import Relation
from hullmark.errors import AuditUnavailable, HullmarkError, Refused
from hullmark.host.auditfile import AuditFile, Limits
from hullmark.masterd import trail
from hullmark.masterd.received import Records
from hullmark.masterd.trail import Trail
from hullmark.masterd.vouching import Vouching, _Offered
from hullmark.model.audit import FIRST_PREV, Entry, SignedHead
from hullmark.model.auditline import TAIL_BYTES, line_of
from hullmark.model.audittrail import Query
from hullmark.model.protocol import HeadAnswer, HeadOffer, Shipment
from hullmark.pki import signing
from tests.unit.masterd.test_vouching import LOG, Log, _at_once, keys, offered, run

__all__ = ["_at_once", "keys"]  # fixtures


def test_of_two_logs_of_one_name_at_most_one_is_sealed(keys, tmp_path) -> None:
    """Both are shown within the second in which heads are gathered."""
    log, other = Log(), Log()
    log.grow(5)
    other.grow(5, "made.up")

    async def test(master: Vouching) -> None:
        answers = await asyncio.gather(
            *(offered(master, keys, each.head()) for each in (log, other))
        )
        assert sum(why == "" for why, _ in answers) <= 1
        assert [why for why, _ in answers if "not the one" in why]
        assert master.standing[2] == (LOG,)

    assert len(run(keys, tmp_path, test)) == 1


def test_an_operators_word_is_not_kept_for_another_time(keys, tmp_path) -> None:
    """It was given on both masters, and only one of them had refused the log. What is put back later is refused by both."""
    log = Log()
    log.grow(7)
    word = tmp_path / "audit" / "accept" / LOG

    async def test(master: Vouching) -> None:
        await offered(master, keys, log.head())
        word.touch()
        assert (await offered(master, keys, log.head()))[0] == ""
        assert not word.exists()
        assert any(entry.content.accepted for entry in master.heads.of(LOG))
        log.grow(2)
        assert (await offered(master, keys, log.head()))[0] == ""
        earlier = log.copy(5)
        earlier.grow(1, "agent.started")
        assert (await offered(master, keys, earlier.head()))[0]

    assert len(run(keys, tmp_path, test)) == 1


def test_an_operators_word_outlives_the_master(keys, tmp_path) -> None:
    """It is started anew before the host has sent the next record."""
    log = Log()
    log.grow(7)
    earlier = log.copy(4)
    earlier.grow(1, "agent.started")

    async def accepted(master: Vouching) -> None:
        await master.take(LOG, log.shipment(1))
        await offered(master, keys, log.head())
        assert (await offered(master, keys, earlier.head()))[0]
        (tmp_path / "audit" / "accept" / LOG).touch()
        assert (await offered(master, keys, earlier.head()))[0] == ""

    run(keys, tmp_path, accepted)

    async def later(master: Vouching) -> None:
        assert (await master.take(LOG, earlier.shipment(1))).cursor == 5
        assert (await offered(master, keys, earlier.head()))[0] == ""
        kept = [line for _, line in master.records.find(after=2)]
        assert kept == [line[:-1] for line in [*log.lines, *earlier.lines[4:]]]

    assert run(keys, tmp_path, later) == []


def test_an_entry_is_short_enough_to_be_read_by_all(keys, tmp_path) -> None:
    """Heads of very many hosts come at the same time, as after a change of leader."""
    logs = [Log(f"host:{number:060}") for number in range(11_000)]
    for log in logs:
        log.grow(1)
    signed = signing.sign_head(keys.host.key, keys.host.certificate, logs[0].head())

    async def test(master: Vouching) -> None:
        loop, relation = asyncio.get_running_loop(), Relation()
        await offered(master, keys, logs[0].head())
        waiting = []
        for log in logs:
            one = SignedHead(log.head(), signed.certificate_sha256, signed.signature)
            offer = sealing.offer(relation, one)
            waiting.append(asyncio.ensure_future(gathered(master, log.name, offer, loop)))
        answers = await asyncio.gather(*waiting)
        assert all(answer.seal is not None for answer in answers)
        lines = list(master.heads.lines())
        assert max(map(len, lines)) < LINE_MAX_BYTES
        assert sum(len(entry) for entry in lines) > LINE_MAX_BYTES

    run(keys, tmp_path, test)


async def gathered(master: Vouching, log_name: str, offer, loop) -> HeadAnswer:
    """As `Vouching.offer`, once its signature was looked at."""
    one = _Offered(offer.signed, Known(offer.knows, offer.knows_link))
    master._waiting.append(one)
    master._more.bump()
    return await one.answer


def forged(line: bytes, inside: str) -> str:
    """A host's record with something in the middle of it, and the hash that fits."""
    begin, _, rest = line.decode().rstrip("\n")[:-TAIL_BYTES].partition(',"kind"')
    body = f'{begin},{inside}"kind"{rest}'
    hashed = sha256(body.encode("utf-8", "surrogatepass")).hexdigest()
    return f'{body},"hash":"{hashed}"}}'


@pytest.mark.parametrize("inside", ["\n%s\n", "\r", "\0", "\u00e9", "\ud800"])
def test_one_record_is_one_line_of_plain_text(keys, tmp_path, inside) -> None:
    """Else a host could put whole lines into a master's files, and they would be read as another's records."""
    log = Log()
    log.grow(1)
    at = "2026-11-29T05:40:01.000000Z"
    entry = Entry("request.apply", "shop", by="alice")
    made_up = line_of(entry, seq=9, prev=FIRST_PREV, log="master:m1", boot="b", at=at)
    inside = inside.replace("%s", made_up.decode().rstrip("\n"))

    async def test(master: Vouching) -> None:
        taken = await master.take(LOG, Shipment(LOG, 1, (forged(log.lines[0], inside),)))
        assert (taken.cursor, "record 1" in taken.why) == (0, True)
        assert list(master.records.find()) == []

    run(keys, tmp_path, test)


def test_a_record_counts_only_in_the_log_that_it_names(keys, tmp_path) -> None:
    """Whoever could write into a master's folder."""
    log = Log("master:m1")
    log.grow(2)
    folder = tmp_path / "audit" / "received" / LOG
    folder.mkdir(parents=True)
    (folder / "001-000000000001.log").write_bytes(b"".join(log.lines))
    found = Trail("master:m2", None, Records(tmp_path / "audit"), {})
    assert list(found.find(Query(), {})) == []
    assert found.trace("shop/web.1").logs == ()


def test_whatever_a_name_has_in_it_its_record_is_taken(keys, tmp_path) -> None:
    log = Log()
    for text in ("\x7f", "\0\n\r\x1b", "\u2028", "\ud800", "\U0001f600" * 9000):
        log.grow(1, text)

    async def test(master: Vouching) -> None:
        assert (await master.take(LOG, log.shipment(1))).cursor == 5

    assert run(keys, tmp_path, test) == []


@pytest.mark.parametrize("knows", [-1, -5, -200, -9000, -(10**9), 10**30])
def test_no_host_ends_the_sealing_for_all(keys, tmp_path, knows) -> None:
    log, other = Log(), Log("host:h2")
    log.grow(1)
    other.grow(1)

    async def test(master: Vouching) -> None:
        await offered(master, keys, other.head())
        signed = signing.sign_head(keys.host.key, keys.host.certificate, log.head())
        with suppress(HullmarkError):
            offer = HeadOffer(signed, knows, "")
            await asyncio.wait_for(master.offer(LOG, keys.host.certificate, offer), 5)
        other.grow(1)
        assert (await asyncio.wait_for(offered(master, keys, other.head()), 5))[0] == ""
        assert master.trouble == ""

    run(keys, tmp_path, test)


@pytest.mark.parametrize(
    "bad",
    [
        {"hash": "x" * 100_000},
        {"hash": "A" * 64},
        {"hash": ""},
        {"seq": 10**30},
        {"at": float("nan")},
        {"at": float("inf")},
    ],
    ids=["long", "upper", "empty", "huge", "nan", "inf"],
)
def test_a_head_is_a_number_and_a_hash(keys, tmp_path, bad) -> None:
    log = Log()
    log.grow(1)

    async def test(master: Vouching) -> None:
        head = replace(log.head(), **bad)
        signed = signing.sign_head(keys.host.key, keys.host.certificate, head)
        with pytest.raises(Refused):
            await master.offer(LOG, keys.host.certificate, HeadOffer(signed))
        assert master.standing[0] == 0

    run(keys, tmp_path, test)


def test_a_fault_with_one_head_is_not_the_end_of_sealing(keys, tmp_path, monkeypatch) -> None:
    log = Log()
    log.grow(1)

    async def test(master: Vouching) -> None:
        def fails(offered: object) -> None:
            raise IndexError("as of a fault")

        with monkeypatch.context() as patch:
            patch.setattr(master, "_write", fails)
            with pytest.raises(AuditUnavailable):
                await asyncio.wait_for(offered(master, keys, log.head()), 5)
        assert (await asyncio.wait_for(offered(master, keys, log.head()), 5))[0] == ""

    run(keys, tmp_path, test)


@pytest.mark.parametrize("how", ["cut", "added to", "removed", "put back"])
def test_a_file_of_heads_that_is_changed_while_it_grows_seals_nothing_more(
    keys, tmp_path, how
) -> None:
    log = Log()
    log.grow(1)
    file = tmp_path / "audit" / "heads.log"

    async def test(master: Vouching) -> None:
        for _ in range(3):
            await offered(master, keys, log.head())
            log.grow(1)
        whole = file.read_bytes()
        lines = whole.splitlines(keepends=True)
        if how == "removed":
            file.unlink()
        elif how == "put back":
            (tmp_path / "earlier").write_bytes(lines[0])
            (tmp_path / "earlier").rename(file)
        else:
            file.write_bytes(lines[0] if how == "cut" else whole + lines[0])
        with pytest.raises(AuditUnavailable, match="somebody else"):
            await offered(master, keys, log.head())
        file.write_bytes(whole)
        assert (await offered(master, keys, log.head()))[0] == "", "it is as it was"

    run(keys, tmp_path, test)


def test_a_full_disk_is_told_once_and_when_it_is_over(
    keys, tmp_path, monkeypatch, caplog: pytest.LogCaptureFixture
) -> None:
    log = Log()
    log.grow(1)
    monkeypatch.setattr(logging.getLogger("hullmark"), "propagate", True)

    def told() -> list[tuple[str, str]]:
        return [(one.levelname, one.message) for one in caplog.records if "sealed" in one.message]

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async def test(master: Vouching) -> None:
        await offered(master, keys, log.head())
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", full)
            for _ in range(5):
                log.grow(1)
                with pytest.raises(AuditUnavailable, match="No space left"):
                    await offered(master, keys, log.head())
        await offered(master, keys, log.head())
        for _ in range(2000):  # its answer is there a moment before that is told
            if len(told()) > 1:
                break
            await asyncio.sleep(0.005)

    caplog.set_level(logging.INFO, "hullmark")
    run(keys, tmp_path, test)
    assert told() == [("ERROR", "heads are not sealed"), ("INFO", "heads are sealed again")]


def test_what_a_broken_disk_took_of_an_entry_is_cut_off_later(keys, tmp_path, monkeypatch) -> None:
    log = Log()
    log.grow(1)
    real = os.write

    def part(descriptor: int, data: bytes) -> int:
        return real(descriptor, data[:40])

    def fails(descriptor: int, size: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    async def test(master: Vouching) -> None:
        await offered(master, keys, log.head())
        log.grow(1)
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", part)
            patch.setattr(os, "ftruncate", fails)
            with pytest.raises(AuditUnavailable):
                await offered(master, keys, log.head())
        assert (await offered(master, keys, log.head()))[0] == ""

    run(keys, tmp_path, test)

    async def again(master: Vouching) -> None:
        assert (master.trouble, master.standing[0]) == ("", 2)

    run(keys, tmp_path, again)


def test_a_changed_record_hides_none_after_it(tmp_path, monkeypatch) -> None:
    """Root on a master, in its own log."""
    monkeypatch.setattr(trail, "PAGE", 2)
    path = tmp_path / "log" / "audit.log"
    file = AuditFile(path, "master:m1", "b", limits=Limits(reserve_bytes=1024))
    for number in range(6):
        file.append(Entry("app.applied", f"shop{number}"))
    lines = path.read_bytes().splitlines(keepends=True)
    lines[3] = lines[3].replace(b"shop2", b"shop9")
    path.write_bytes(b"".join(lines))
    own = Trail("master:m1", file, Records(tmp_path / "audit"), {})
    shown = [found.record.entry.subject for found in own.find(Query(kind="app"), {})]
    assert shown == ["shop0", "shop1", "shop3", "shop4", "shop5"]
    file.close()
