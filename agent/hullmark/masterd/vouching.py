"""What this master keeps of others' audit logs: it seals their heads, and takes in their records.

    head -> is its signature good, does it extend what is known? -> with others of about a second one entry, on the disk -> seal

A log that doesn't extend is refused from then on, by the file of heads itself, and told once. An operator who knows why (a disk
that had to be restored) has it go on by an empty file `accept/LOG` in the master's folder `audit`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Optional, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from hullmark import log
from hullmark.core.headsfile import LINKS_MOST, Acceptance, Break, Entry, Known, is_sound
from hullmark.errors import AuditUnavailable, BrokenState, Conflict, HullmarkError, Refused
from hullmark.masterd.answers import traced
from hullmark.masterd.certificate import CERTIFICATE, KEY
from hullmark.masterd.counter import Counter
from hullmark.masterd.heads import Heads
from hullmark.masterd.putoff import PutOff
from hullmark.masterd.received import Records
from hullmark.model.audit import Head, Seal, SignedHead
from hullmark.model.protocol import HeadAnswer, HeadOffer, Received, Shipment
from hullmark.pki.certificates import fingerprint, load_chain, load_key
from hullmark.pki.signing import check_head, sign_seal

FOLDER = "audit"
ACCEPT = "accept"
FOREVER_S = 1e9
GATHER_S = 0.8
"""For how long heads are gathered before they are written, so that a whole fleet costs one write a second."""
LATE_S = 60.0
"""Longer no request is on its way."""
ENTRY_HEADS_MOST = 2000
"""In one entry of the file of heads: about 800 KiB."""
REFUSED_MOST = 50
"""That are named to the other master."""

T = TypeVar("T")

_log = log.get("vouching")


@dataclass(frozen=True)
class Signer:
    """This master's key, and its certificate now."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


def signer_in(folder: Path) -> Callable[[], Signer]:
    """By the files of this master's own key and certificate, read again when they changed. What it gives raises BrokenState or
    NotFound where they can't be read."""
    known: dict[tuple[int, int], Signer] = {}

    def signer() -> Signer:
        path = folder / CERTIFICATE
        try:
            status = path.stat()
            stamp = status.st_ino, status.st_mtime_ns
            if stamp not in known:
                certificate = load_chain(path.read_bytes(), str(path))[0]
                known.clear()
                known[stamp] = Signer(load_key(folder / KEY), certificate)
        except OSError as error:
            raise BrokenState(f"{path}: {error.strerror}") from error
        return known[stamp]

    return signer


@dataclass
class _Offered:
    signed: SignedHead
    known: Known
    answer: asyncio.Future[HeadAnswer] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Vouching:
    """Used from one event loop. `folder` is the master's state folder. `told` is called with each log that is found not to go on as it
    was, once."""

    def __init__(
        self,
        folder: Path,
        master: str,
        signer: Callable[[], Signer],
        *,
        keep_s: float,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder / FOLDER
        self._master = master
        self.signer = signer
        self._wall = wall
        self._clock = clock
        self._sealed_at: dict[str, float] = {}
        self._waiting: list[_Offered] = []
        self._more = Counter()
        self._loaded = Counter()
        self._task: Optional[asyncio.Future[None]] = None
        # One thread each: what is written is written in order, and seals don't wait for shipments.
        self._sealing = ThreadPoolExecutor(1, thread_name_prefix="heads")
        self._taking = ThreadPoolExecutor(1, thread_name_prefix="received")
        self._trouble = "its file of heads is not read yet"
        self._late = PutOff(
            _log, "heads are not sealed", "heads are sealed again", clock, grave=True
        )
        self.heads = Heads(self._folder, master)
        self.records = Records(self._folder, keep_s, wall)
        self.told: Callable[[Break], None] = lambda broken: None
        self.told_accepted: Callable[[Acceptance], None] = lambda accepted: None

    @property
    def trouble(self) -> str:
        """Why nothing is vouched for; empty where heads are sealed."""
        return self._trouble

    @property
    def standing(self) -> tuple[int, str, tuple[str, ...]]:
        """Where this master's own file of heads ends, and which logs are refused; no link while that isn't known."""
        if self._trouble:
            return 0, "", ()
        found = self.heads.standing
        return found.number, found.link, tuple(sorted(found.refused)[:REFUSED_MOST])

    def start(self) -> None:
        """Reads the file of heads beside all else."""
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.ensure_future(self._run())
        self._task.add_done_callback(self._ended)

    async def loaded(self) -> None:
        """Returns once its file of heads was read, or could not be."""
        await self._loaded.passed(0, FOREVER_S)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        for offered in self._waiting:
            offered.answer.cancel()
        self._sealing.shutdown(wait=False)
        self._taking.shutdown(wait=False)

    async def offer(
        self, log_name: str, certificate: x509.Certificate, offer: HeadOffer
    ) -> HeadAnswer:
        """A seal within about a second. Raises Refused for what is not signed by who calls, AuditUnavailable."""
        if offer.signed.head.log != log_name or offer.signed.head.seq < 1:
            raise Refused(f"this is no head of {log_name}")
        check_head(offer.signed, certificate)
        if offer.knows < 0 or not is_sound(offer.signed.head):
            raise Refused("this is no head of a log")
        if self._trouble:
            raise AuditUnavailable(f"master {self._master} seals nothing: {self._trouble}")
        await self._in(self._sealing, lambda: self._receive(log_name, certificate))
        if offer.knows and self.heads.standing.number - offer.knows > LINKS_MOST:
            more = partial(self.heads.digests, offer.knows, LINKS_MOST)
            return HeadAnswer(links=tuple(await self._in(self._sealing, more)))
        offered = _Offered(offer.signed, Known(offer.knows, offer.knows_link))
        self._waiting.append(offered)
        self._more.bump()
        return await offered.answer

    def _receive(self, log_name: str, certificate: x509.Certificate) -> None:
        self._keep(certificate)
        self._look_for_acceptance(log_name)

    async def take(self, log_name: str, shipment: Shipment) -> Received:
        """Raises Refused, AuditUnavailable."""
        if shipment.log != log_name:
            raise Refused(f"this is not of {log_name}")
        if log_name in self.heads.standing.refused:
            await self._in(self._sealing, partial(self._look_for_acceptance, log_name))
        vouched = self.heads.standing.newest.get(log_name)
        take = partial(self.records.take, log_name, shipment.first, shipment.lines, vouched)
        taken = await self._in(self._taking, take)
        if taken.broken is not None:
            await self._refuse(taken.broken)
        return Received(taken.cursor, taken.why)

    async def _refuse(self, broken: Break) -> None:
        """Records disagree, whatever the heads say."""
        if broken.head.log in self.heads.standing.refused or self._trouble:
            return
        await self._in(self._sealing, lambda: self.heads.add(self._wall(), refused=[broken]))
        self._tell(broken)

    def _tell(self, broken: Break) -> None:
        _log.error("a log does not go on as it was", log=broken.head.log, why=broken.why)
        self.told(broken)

    async def _run(self) -> None:
        await self._load()
        while True:
            if not self._waiting:
                await self._more.passed(self._more.value, FOREVER_S)
            await asyncio.sleep(GATHER_S)
            offered, self._waiting = self._waiting, []
            for first in range(0, len(offered), ENTRY_HEADS_MOST):
                await self._seal(offered[first : first + ENTRY_HEADS_MOST])

    def _ended(self, task: asyncio.Future[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        _log.error("sealing failed, and is over until the next start", traceback=traced(error))
        self._trouble = "it failed: see its log"
        self._loaded.bump()

    async def _load(self) -> None:
        try:
            await self._in(self._sealing, self._read)
        except HullmarkError as error:
            self._trouble = error.message
            _log.error("nothing is vouched for", why=error.message, next=error.remedy)
            self._loaded.bump()
            await self._loaded.passed(self._loaded.value, FOREVER_S)
        self._trouble = ""
        self._loaded.bump()

    def _read(self) -> None:
        self.heads.load()
        try:
            (self._folder / ACCEPT).mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise AuditUnavailable(f"{self._folder}: {error.strerror}") from error

    async def _seal(self, offered: Sequence[_Offered]) -> None:
        """Whatever goes wrong with some hosts' heads, the next are sealed as before."""
        writing = asyncio.ensure_future(self._in(self._sealing, lambda: self._write(offered)))
        await asyncio.wait({writing})
        error = writing.exception()
        if error is None:
            if writing.result():
                self._late.done()
            return
        if isinstance(error, HullmarkError):
            self._late.failed(error)
        else:
            fault = BrokenState(f"a fault of its own: {type(error).__name__}")
            self._late.failed(fault, traceback=traced(error))
            error = AuditUnavailable("sealing failed: see the master's log")
        for one in offered:
            _fail(one.answer, error)

    def _write(self, offered: Sequence[_Offered]) -> bool:
        """In the thread: one entry for all of them, what is newly refused is told, and each has its answer. Whether there was one to write."""
        heads: dict[str, SignedHead] = {}
        refused: dict[str, str] = {}
        broken: list[Break] = []
        for one in offered:
            head = one.signed.head
            if self._is_late(head):
                continue
            newer = heads.get(head.log)
            why = self._judge(head) or _equivocates(newer, head)
            if not why:
                if newer is None or newer.head.seq <= head.seq:
                    heads[head.log] = one.signed
                continue
            if head.log not in refused and head.log not in self.heads.standing.refused:
                broken.append(Break(head, why))
            refused[head.log] = why
        entry: Optional[Entry] = None
        if heads or broken:
            entry = self.heads.add(self._wall(), list(heads.values()), broken)
            self._sealed_at.update(dict.fromkeys(heads, self._clock()))
        for each in broken:
            offered[0].answer.get_loop().call_soon_threadsafe(self._tell, each)
        self._answer(offered, refused, entry)
        return entry is not None

    def _answer(
        self, offered: Sequence[_Offered], refused: dict[str, str], entry: Optional[Entry]
    ) -> None:
        signer = self.signer()
        mine = fingerprint(signer.certificate)
        self._keep(signer.certificate)
        for one in offered:
            head = one.signed.head
            newest = self.heads.standing.newest.get(head.log)
            if head.log in refused:
                answer = HeadAnswer(why=refused[head.log])
            elif entry is None or newest is None or head.seq < newest.seq:
                overtaken = Conflict("a newer head of this log is known")
                one.answer.get_loop().call_soon_threadsafe(_fail, one.answer, overtaken)
                continue
            else:
                number = entry.content.number
                draft = Seal(self._master, head, number, entry.link, self._wall(), mine)
                known = one.known.number
                links = self.heads.digests(known, number - known) if known else []
                answer = HeadAnswer(sign_seal(signer.key, draft), tuple(links))
            one.answer.get_loop().call_soon_threadsafe(_give, one.answer, answer)

    def _judge(self, head: Head) -> str:
        why = self.heads.standing.judge(head)
        if why:
            return why
        received = self.records.hash_of(head.log, head.seq)
        if received and received != head.hash:
            return f"its record number {head.seq} is not the one that was received here: it was replaced"
        return ""

    def _is_late(self, head: Head) -> bool:
        """Whether it was only overtaken on its way by a newer one: hosts have more than one connection."""
        known = self.heads.standing.newest.get(head.log)
        sealed_at = self._sealed_at.get(head.log)
        if known is None or sealed_at is None or head.seq >= known.seq or head.at > known.at:
            return False
        return self._clock() - sealed_at < LATE_S

    def _look_for_acceptance(self, log_name: str) -> None:
        """In the thread of heads. A word counts now or not at all, also where nothing was refused here: one that lay there would count for
        whatever is put back later."""
        file = self._folder / ACCEPT / log_name
        try:
            owner = file.stat().st_uid
            said = Acceptance(log_name, f"uid {owner}, by a file in this master's folder")
            self.heads.add(self._wall(), accepted=[said])
            self.records.accept(log_name)
            file.unlink()
        except FileNotFoundError:
            return
        except OSError as error:
            raise AuditUnavailable(f"{file}: {error.strerror}") from error
        _log.warning("a log was accepted as it is now", log=log_name, by=said.by)
        self._loop.call_soon_threadsafe(self.told_accepted, said)

    def _keep(self, certificate: x509.Certificate) -> None:
        self.heads.keep(fingerprint(certificate), certificate.public_bytes(Encoding.DER))

    async def _in(self, pool: ThreadPoolExecutor, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(pool, function)


def _equivocates(other: Optional[SignedHead], head: Head) -> str:
    """`other` is of the same log, and was offered at the same time."""
    if other is None or other.head.seq != head.seq or other.head.hash == head.hash:
        return ""
    return f"its record number {head.seq} is not the one that was shown at the same time: there are two logs of this name"


def _give(future: asyncio.Future[HeadAnswer], answer: HeadAnswer) -> None:
    if not future.done():
        future.set_result(answer)


def _fail(future: asyncio.Future[HeadAnswer], error: HullmarkError) -> None:
    if not future.done():
        future.set_exception(error)
