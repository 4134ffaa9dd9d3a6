"""The two masters vouch for each other: each offers its own log's head to the other, sends it its records, and watches how long the
other's file of heads is.

What is known of the other is on the disk (`audit/seals.json`), so that both would have to be put back to hide that one was.
"""

from __future__ import annotations

import asyncio
import math
import ssl
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

from hullmark import log
from hullmark.core.headsfile import Acceptance, Break
from hullmark.core.sealing import Seals, answered, offer
from hullmark.core.shipping import LINES_MOST, shipment_of
from hullmark.errors import BrokenState, HullmarkError, InvalidInput, MasterUnavailable
from hullmark.masterd.answers import traced
from hullmark.masterd.auditing import Auditing
from hullmark.masterd.cluster import Cluster
from hullmark.masterd.vouching import FOLDER, Vouching
from hullmark.model import jsontext
from hullmark.model.audit import Entry, Head, Outcome
from hullmark.model.event import Event
from hullmark.model.protocol import (
    AUDIT_PATH,
    HEADS_PATH,
    HeadAnswer,
    Received,
    Shipment,
)
from hullmark.model.records import MasterRecord
from hullmark.model.wire import canonical, from_wire, to_wire
from hullmark.pki.files import read_document, write_document
from hullmark.pki.signing import sign_head

FILE = "seals.json"
LOOK_S = 1.0
REFRESH_S = 3600.0
"""The head is offered again after this also where nothing is new, which shows that the other's file is still the same."""
CATCHES_UP_S = 20.0
"""What a master says of itself in the store is a few seconds older than what it answers."""
PATIENCE_S = 15.0
CONNECT_S = 2.0
DOUBTED_S = 30.0
"""How soon one that is not believed may show that it is the right one after all."""
RETRY_S, RETRY_MOST_S = 2.0, 60.0
ROLLED_BACK, MASTER_ROLLED_BACK = "audit.rolled_back", "audit.master_rolled_back"
ACCEPTED = "audit.accepted"

T = TypeVar("T")

_log = log.get("peering")


@dataclass
class _Other:
    """`cursor` below 0: it was not asked yet. `longest`: the greatest length of its file that it told in the store."""

    cursor: int = -1
    longest: int = 0
    offered_at: float = -math.inf
    next_at: float = -math.inf
    wait_s: float = RETRY_S
    trouble: str = ""


@dataclass
class _Told:
    """What was told in this life of the process."""

    logs: set[tuple[str, str]] = field(default_factory=set)


class Peering:
    """Used from one event loop. `context` has this master's certificate, and verifies the other's."""

    def __init__(
        self,
        folder: Path,
        name: str,
        cluster: Cluster,
        auditing: Auditing,
        vouching: Vouching,
        context: ssl.SSLContext,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._file = folder / FOLDER / FILE
        self._name = name
        self._cluster = cluster
        self._auditing = auditing
        self._vouching = vouching
        self._context = context
        self._clock = clock
        self._others: dict[str, _Other] = {}
        self._told = _Told()
        self._seals = self._load()
        vouching.told, vouching.told_accepted = self.told, self.told_accepted

    async def run(self) -> None:
        """Until cancelled. A fault of ours is logged, and what it was about is tried again."""
        while True:
            look = asyncio.ensure_future(self._look())
            try:
                await asyncio.wait({look})
            finally:
                look.cancel()
            error = look.exception()
            if error is not None:
                _log.error("the other master could not be dealt with", traceback=traced(error))
            await asyncio.sleep(LOOK_S if error is None else RETRY_MOST_S)

    async def _look(self) -> None:
        for record in self._cluster.other_masters():
            if record.agents_urls and record.name != self._name:
                self._watch(record)
                await self._turn(record)

    def told(self, broken: Break) -> None:
        """A log is refused here."""
        fields = {"seq": str(broken.head.seq)}
        self._alert(ROLLED_BACK, broken.head.log, broken.why, fields)

    def told_accepted(self, accepted: Acceptance) -> None:
        """An operator had a refused log go on as it is."""
        fields = {"by": accepted.by}
        self._auditing.event(Entry(ACCEPTED, accepted.log, reason=accepted.by, fields=fields))
        if self._cluster.is_leader:
            self._tell(ACCEPTED, accepted.log, accepted.by, fields)

    def _alert(self, kind: str, subject: str, why: str, fields: dict[str, str]) -> None:
        """In this master's own record, and, where it leads, as an event."""
        entry = Entry(kind, subject, outcome=Outcome.FAILURE, reason=why, fields=fields)
        self._auditing.event(entry)
        if self._cluster.is_leader:
            self._tell(kind, subject, why, fields)

    def _tell(self, kind: str, subject: str, why: str, fields: dict[str, str]) -> None:
        event = Event(uuid.uuid4().hex, time.time(), kind, subject, self._name, why, fields=fields)
        self._cluster.record(event)

    def _watch(self, record: MasterRecord) -> None:
        """What the other one says of itself in the store: how long its file is, and which logs it refuses."""
        other = self._others.setdefault(record.name, _Other())
        if record.heads_link and not self._seals.of(record.name).rolled_back:
            behind = record.heads < self._seals.of(record.name).known.number
            if behind and self._clock() - other.offered_at > CATCHES_UP_S:
                other.offered_at = -math.inf  # its answer tells
            if record.heads < other.longest:
                self._rolled_back(
                    record.name,
                    f"its file of heads ends at entry {record.heads}, and had entry {other.longest} before",
                )
            other.longest = max(other.longest, record.heads)
        for log_name in record.refuses:
            if self._cluster.is_leader and (record.name, log_name) not in self._told.logs:
                self._told.logs.add((record.name, log_name))
                why = f"master {record.name} refuses it: it does not go on as it was"
                self._tell(ROLLED_BACK, log_name, why, {"refused_by": record.name})

    def _rolled_back(self, name: str, why: str) -> None:
        _log.error("the other master is not as it was", master=name, why=why)
        relation = replace(self._seals.of(name), rolled_back=why)
        self._keep(self._seals.put(name, relation))
        fields = {"number": str(relation.known.number), "link": relation.known.link}
        self._alert(MASTER_ROLLED_BACK, f"master {name}", why, fields)

    async def _turn(self, record: MasterRecord) -> None:
        """Offer and send what is new. What fails is tried again later."""
        other = self._others.setdefault(record.name, _Other())
        file, now = self._auditing.file, self._clock()
        if self._seals.of(record.name).rolled_back and not self._file.exists():
            self._seals = Seals()  # a person has looked at it
            other.longest = 0
        if file is None or now < other.next_at:
            return
        head, relation = file.head, self._seals.of(record.name)
        since_s = now - other.offered_at
        is_due = not relation.has_sealed(head) or since_s > REFRESH_S
        if relation.rolled_back:
            is_due = since_s > DOUBTED_S
        if head.seq < 1 or not (is_due or other.cursor < head.seq):
            return
        try:
            if is_due:
                other.offered_at = self._clock()
                await self._offer(record, head)
            if other.cursor < head.seq:
                await self._send(record, other, head)
        except HullmarkError as error:
            if error.message != other.trouble:
                _log.info("the other master doesn't vouch", master=record.name, why=error.message)
            other.trouble = error.message
            other.next_at = self._clock() + other.wait_s
            other.wait_s = min(other.wait_s * 2, RETRY_MOST_S)
            return
        other.wait_s, other.trouble = RETRY_S, ""

    async def _offer(self, record: MasterRecord, head: Head) -> None:
        signer = self._vouching.signer()
        signed = sign_head(signer.key, signer.certificate, head)
        relation = self._seals.of(record.name)
        while True:
            answer = await self._ask(record, HEADS_PATH, offer(relation, signed), HeadAnswer)
            if answer.why:
                raise MasterUnavailable(f"master {record.name} refuses this log: {answer.why}")
            before, relation = relation, answered(relation, signed, answer)
            if relation.rolled_back:
                if not before.rolled_back:
                    self._rolled_back(record.name, relation.rolled_back)
                return
            if answer.seal is not None:
                self._keep(self._seals.put(record.name, relation))
                return

    async def _send(self, record: MasterRecord, other: _Other, head: Head) -> None:
        """Raises MasterUnavailable."""
        file = self._auditing.file
        assert file is not None
        if other.cursor < 0:
            asked = await self._ask(record, AUDIT_PATH, Shipment(head.log), Received)
            other.cursor = asked.cursor
        while other.cursor < head.seq:
            read = partial(file.read, other.cursor + 1, LINES_MOST)
            lines = await self._auditing.in_thread(read)
            if not lines:
                return
            shipment = shipment_of(head.log, lines)
            answer = await self._ask(record, AUDIT_PATH, shipment, Received)
            other.cursor = answer.cursor
            if answer.why:
                raise MasterUnavailable(f"master {record.name} does not take it: {answer.why}")

    async def _ask(self, record: MasterRecord, path: str, body: Any, answer: type[T]) -> T:
        """Raises MasterUnavailable, naming why the last of its addresses gave no answer."""
        trouble = ""
        for url in record.agents_urls:
            try:
                return await self._post(url + path, body, answer)
            except (aiohttp.ClientError, OSError, asyncio.TimeoutError, ValueError) as error:
                trouble = str(error) or "no answer in time"
        raise MasterUnavailable(f"master {record.name}: {trouble}")

    async def _post(self, url: str, body: Any, answer: type[T]) -> T:
        patience = aiohttp.ClientTimeout(total=PATIENCE_S, sock_connect=CONNECT_S)
        connector = aiohttp.TCPConnector(ssl=self._context)
        headers = {"Content-Type": "application/json"}
        async with aiohttp.ClientSession(connector=connector, timeout=patience) as session:
            data = canonical(to_wire(body))
            asked = session.post(url, data=data, headers=headers, allow_redirects=False)
            async with asked as response:
                content = await response.read()
                if response.status != 200:
                    raise ValueError(f"status {response.status}: {_said(content)}")
        try:
            return from_wire(answer, jsontext.loads(content), ignore_unknown=True)
        except InvalidInput as error:
            raise ValueError(error.message) from error

    def _load(self) -> Seals:
        try:
            return read_document(Seals, self._file) or Seals()
        except BrokenState as error:
            _log.error("what was known of the other master can't be read", why=error.message)
            return Seals()

    def _keep(self, seals: Seals) -> None:
        self._seals = seals
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_document(self._file, seals)
        except OSError as error:
            _log.error("what is known of the other master is not kept", why=error.strerror)


def _said(content: bytes) -> str:
    try:
        said = jsontext.loads(content)
    except ValueError:
        return ""
    return str(said.get("message", ""))[:300] if isinstance(said, dict) else ""
