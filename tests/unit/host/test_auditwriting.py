"""Whatever the disk does and whenever the process ends: what was acknowledged is there, and the chain holds."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Callable
from unittest import mock

from hypothesis import example, given, settings
from hypothesis import strategies as st

from hullmark.host import auditreading
from hullmark.host.auditintents import open_intents
from hullmark.host.auditlimits import Limits
from hullmark.host.auditwriting import Ticket, Writing
from hullmark.model.audit import Entry, Outcome, Stage
from hullmark.model.auditline import parse
from tests.unit.host.auditlog import LOG, Clock, FaultyDisk, breaks, outcome

LIMITS = Limits(rotate_bytes=2500, reserve_bytes=3000)
FAULTS = ("good", "full", "nearly full", "sync fails", "write and mending fail")
STEPS = st.one_of(
    st.tuples(st.just("group"), st.lists(st.booleans(), min_size=1, max_size=4)),
    st.tuples(st.just("finish"), st.just(())),
    st.tuples(st.just("disk"), st.sampled_from(FAULTS)),
    st.tuples(st.just("kill"), st.binary(max_size=20)),
    st.tuples(st.just("stop"), st.just(())),
    st.tuples(st.just("look"), st.just(())),
)


class Daemon:
    """One after the other on the same files; keeps what was acknowledged."""

    def __init__(self, folder: Path, patch: Callable[[Any, str, Any], object]) -> None:
        self.path, self.last = folder / "audit.log", folder / "audit.last"
        self.disk = FaultyDisk(patch, self.path)
        self.clock = Clock()
        self.acknowledged: dict[int, str] = {}
        self.waiting: dict[int, str] = {}
        self.tried: set[int] = set()
        self.number = 0
        self.writing = self.start()

    def start(self) -> Writing:
        self.writing = Writing(self.path, (LOG, "boot"), LIMITS, self.last, self.clock, self.clock)
        found = open_intents(self.path, self.writing.stored.seq, self.writing.held)
        self.writing.open_seqs.update(record.seq for record in found)
        self.writing.commit([])
        # An outcome whose sync failed may be there all the same: what it says did happen.
        assert {record.seq for record in found} >= set(self.waiting) - self.tried
        return self.writing

    def group(self, essentials: list[bool]) -> None:
        tickets = []
        for essential in essentials:
            self.number += 1
            entry = Entry("k", f"s{self.number}", stage=Stage.INTENT, outcome=Outcome.PENDING)
            tickets.append(Ticket(entry, essential))
        self.commit(tickets)

    def finish(self) -> None:
        ending = list(self.waiting)[:2]
        self.tried.update(ending)
        self.commit([Ticket(outcome(seq), False) for seq in ending])

    def commit(self, tickets: list[Ticket]) -> None:
        self.writing.commit(tickets)
        for ticket in tickets:
            assert bool(ticket.seq) != bool(ticket.error)
            if ticket.seq:
                assert ticket.seq not in self.acknowledged
                self.acknowledged[ticket.seq] = ticket.entry.subject
                if ticket.entry.stage is Stage.INTENT:
                    self.waiting[ticket.seq] = ticket.entry.subject
                else:
                    self.waiting.pop(ticket.entry.of, None)

    def set_disk(self, fault: str) -> None:
        self.disk.full = fault in ("full", "nearly full")
        self.disk.partial = 400 if fault == "nearly full" else 7
        self.disk.sync_error = 5 if "fails" in fault or "mending" in fault else 0
        self.disk.truncate_fails = "mending" in fault

    def kill(self, torn: bytes) -> None:
        """The disk is good at a start: one that isn't keeps the daemon from starting."""
        self.writing.close()
        self.set_disk("good")
        if torn and self.path.exists():
            with self.path.open("ab") as stream:
                stream.write(torn.replace(b"\n", b""))
        self.start()


@settings(deadline=None, max_examples=100)
@given(steps=st.lists(STEPS, max_size=40))
@example(  # a file that begins with what was in the reserve
    steps=[
        ("group", [False] * 3),
        ("group", [False] * 4),
        ("disk", "full"),
        ("group", [True]),
        ("disk", "good"),
        ("group", [False]),
        ("kill", b""),
    ]
)
def test_no_acknowledged_record_is_lost(steps: list[tuple[str, Any]]) -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        daemon = Daemon(folder, lambda *what: stack.enter_context(mock.patch.object(*what)))
        does: dict[str, Callable[[Any], object]] = {
            "group": daemon.group,
            "finish": lambda nothing: daemon.finish(),
            "disk": daemon.set_disk,
            "kill": daemon.kill,
            "stop": lambda nothing: daemon.kill(b""),
            "look": lambda nothing: daemon.writing.commit([]),
        }
        for step, value in steps:
            does[step](value)
        daemon.set_disk("good")
        daemon.writing.commit([])
        assert daemon.writing.trouble == ""
        assert daemon.writing.findings == ()
        lines = auditreading.read(daemon.path, 1, 10_000, daemon.writing.stored.seq)
        daemon.writing.close()
    records = {parse(line).seq: parse(line).entry.subject for line in lines}
    assert breaks(lines) == []
    assert daemon.acknowledged.items() <= records.items()
    assert list(records) == list(range(1, len(records) + 1))
