"""Packs made by hand, with a cluster's authority, heads that a master vouches for, and whatever a test puts in instead."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from hullmark.core.headsfile import FIRST_LINK, line_of
from hullmark.core.headsfile import Content as Heads
from hullmark.evidence.pack import Content, LogPart, write
from hullmark.model.audit import Head, SignedHead
from hullmark.model.auditline import place_of
from hullmark.model.control import Reading, Status
from hullmark.model.evidence import PackSignature
from hullmark.model.moments import moment
from hullmark.pki import certificates
from hullmark.pki.authority import Authority, create_authority
from hullmark.pki.packs import sign_pack
from tests.unit.evidence.logbook import AUDITD, BEGINS, DAY, HOUR, Log, evidence, question

AT = BEGINS + 2 * DAY
CLUSTER = "c1"


def authority(folder: Path, at: float = BEGINS) -> Authority:
    return create_authority(folder, CLUSTER, at)


class Master:
    """Signs packs."""

    def __init__(self, of: Authority, at: float = BEGINS, name: str = "m1") -> None:
        self.key = certificates.new_key()
        pem = of.issue_master(self.key.public_key(), CLUSTER, name, ["m1"], at)
        self.chain = [*certificates.load_chain(pem, "m1"), of.root]

    def sign(self, digest: str, at: float = AT) -> PackSignature:
        return sign_pack(self.key, self.chain, digest=digest, of=CLUSTER, by="alice", at=at)


def log() -> Log:
    found = Log("host:h1")
    found.act("root", "audit.started", "log", BEGINS - DAY)
    reading = Reading(
        "status", "auditctl -s", text="enabled 1\npassword=hunter2\n4111 1111 1111 1111"
    )
    found.result(AUDITD, Status.PASS, BEGINS, readings=[reading])
    for number in range(24):
        at = BEGINS + number * HOUR
        found.summary(at, at + HOUR, {AUDITD: (Status.PASS, 3, {"pass": 60})})
    return found


def part(log: Log, lines: Sequence[bytes]) -> LogPart:
    first, last = place_of(lines[0]), place_of(lines[-1])
    assert first is not None
    assert last is not None
    return LogPart(
        log.name, log.name.partition(":")[2], first.seq, last.seq, last.hash, lambda: iter(lines)
    )


def heads(log: Log, *seqs: int, master: str = "m1") -> list[bytes]:
    """Entries of a file of heads in which the log's records are."""
    found, prev = [], FIRST_LINK
    for number, seq in enumerate(seqs, 1):
        place = place_of(log.lines[seq - 1])
        assert place is not None
        signed = SignedHead(Head(log.name, seq, place.hash, BEGINS), "ab" * 32, "c2ln")
        line, entry = line_of(prev, Heads(number, moment(BEGINS), master, (signed,)))
        found.append(line.rstrip(b"\n"))
        prev = entry.link
    return found


def content(
    of: Log, fingerprint: str = "", vouched: Sequence[bytes] = (), lines: Iterable[bytes] = ()
) -> Content:
    asked = question(BEGINS, BEGINS + DAY, {of.name: "web1"})
    gathered = evidence(asked, of)
    parts = (part(of, list(lines) or of.lines),)
    return Content(
        gathered.story(),
        fingerprint,
        list(gathered.newest_readings()),
        parts,
        {"m1": vouched} if vouched else {},
    )


def pack(of: Content, master: Master) -> bytes:
    out = io.BytesIO()
    write(out, of, master.sign)
    return out.getvalue()
