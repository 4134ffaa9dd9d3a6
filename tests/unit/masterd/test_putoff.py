"""Loops of a leader whose store takes nothing for a while: told once when it begins, and once when it is over."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Callable, cast

import pytest

from hullmark import log
from hullmark.errors import Refused, StoreUnavailable
from hullmark.masterd import changecontrol, events, hostlife, incidents, scheduling, upkeep
from hullmark.masterd.bureau import Bureau
from hullmark.masterd.cluster import Cluster
from hullmark.masterd.leadership import Leadership
from hullmark.masterd.putoff import PutOff
from hullmark.masterd.view import View
from hullmark.model.event import Event
from tests.unit.masterd.leading import lead
from tests.unit.masterd.test_upkeep import LAST, Leads

Lines = list[tuple[str, str, dict[str, Any]]]
TIMES = 4


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    """Level, message and fields of each line of the log."""
    found: Lines = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            fields = getattr(record, "fields", {})
            found.append((record.levelname, record.getMessage(), fields))

    logger = logging.getLogger("hullmark")
    monkeypatch.setattr(logger, "handlers", [Handler()])
    former = logger.level
    logger.setLevel(logging.INFO)
    yield found
    logger.setLevel(former)


def test_told_when_it_begins_and_when_it_is_over(lines: Lines) -> None:
    late = PutOff(log.get("test"), "it is late", "it is there")
    late.done()
    assert lines == []
    for _ in range(2):
        for why in ("away", "still away"):
            late.failed(StoreUnavailable(why))
        late.done()
        late.done()
    both = [("WARNING", "it is late", {"why": "away"}), ("INFO", "it is there", {"tries": 2})]
    assert lines == both * 2


def test_another_kind_of_reason_is_told_and_what_lasts_is_told_again_each_hour(
    lines: Lines,
) -> None:
    now = [0.0]
    late = PutOff(log.get("test"), "it is late", "it is there", lambda: now[0])
    reasons = (
        StoreUnavailable("away"),
        StoreUnavailable("no answer in 2 s"),
        Refused("1200000 bytes are too many"),
        Refused("1300000 bytes are too many"),
        Refused("the store takes no login"),
        StoreUnavailable("away"),
        Refused("1400000 bytes are too many"),
    )
    for error in reasons:
        late.failed(error)
    for _ in range(90):
        now[0] += 60.0
        late.failed(StoreUnavailable("away"))
    late.done()
    late.failed(StoreUnavailable("away"))
    assert [(message, fields.get("why"), fields.get("tries")) for _, message, fields in lines] == [
        ("it is late", "away", None),
        ("it is late", "1200000 bytes are too many", 3),
        ("it is late", "the store takes no login", 5),
        ("it is late", "away", 67),
        ("it is there", None, 97),
        ("it is late", "away", None),
    ]


def test_reasons_without_end_are_told_in_part(lines: Lines) -> None:
    late = PutOff(log.get("test"), "it is late", "it is there", lambda: 0.0)
    for number in range(500):
        late.failed(Refused("x" * number))
    assert len(lines) == 20


@pytest.mark.parametrize(
    ("module", "pause", "work", "begins", "over"),
    [
        (scheduling, "RETRY_S", lambda one: (one.term.loop, "converge"),
         "the plan is not committed", "the plan is committed again"),
        (changecontrol, "LOOK_S", lambda one: (one.changecontrol.pending, "expire"),
         "what is over is not written yet", "what is over is written again"),
        (hostlife, "LOOK_S", lambda one: (one.hostlife, "expire"),
         "the end of a maintenance is not written yet", "the end of a maintenance is written again"),
        (incidents, "LOOK_S", lambda one: (one.incidents, "look"),
         "incidents are not written yet", "incidents are written again"),
        (events, "FLUSH_EVERY_S", lambda one: (one.term.journal, "flush"),
         "events are not written yet", "events are written again"),
    ],
)  # fmt: skip
def test_a_loop_tells_once_of_a_store_that_is_away(
    lines: Lines,
    monkeypatch: pytest.MonkeyPatch,
    module: ModuleType,
    pause: str,
    work: Callable[[Bureau], tuple[object, str]],
    begins: str,
    over: str,
) -> None:
    monkeypatch.setattr(module, pause, 0.005)

    async def test(cluster: Cluster) -> None:
        bureau = cluster._bureau_now
        assert bureau is not None
        owner, name = work(bureau)
        does, tries = getattr(owner, name), 0

        async def fails(*given: object) -> None:
            nonlocal tries
            tries += 1
            if tries <= TIMES:
                raise StoreUnavailable("it is away")
            await does(*given)

        monkeypatch.setattr(owner, name, fails)
        cluster.record(Event(uuid.uuid4().hex, time.time(), "test", "test", "m1", ""))
        bureau.term.loop.wake()
        for _ in range(1000):
            if over in [message for _, message, _ in lines]:
                return
            await asyncio.sleep(0.005)

    lead(test)
    told = [line for line in lines if line[1] in (begins, over)]
    assert told == [
        ("WARNING", begins, {"why": "it is away"}),
        ("INFO", over, {"tries": TIMES}),
    ]


def test_upkeep_tells_once(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "EVERY_S", 0.0)
    view, asked = View(), 0
    view.revision = LAST

    async def compact(upto: int) -> None:
        nonlocal asked
        asked += 1
        if asked <= TIMES:
            raise StoreUnavailable("it is away")

    asyncio.run(upkeep.upkeep(cast(Leadership, Leads(TIMES + 3)), view, compact, lambda: 0.0))
    assert lines == [
        ("WARNING", "upkeep is put off", {"why": "it is away"}),
        ("INFO", "upkeep is done again", {"tries": TIMES}),
    ]
