"""An outcome is recorded although whoever asked goes away just then, and all writers of the log are busy."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path

import pytest

from hullmark.masterd.auditing import WRITERS, Auditing
from hullmark.model.audit import Entry, Outcome, Stage
from tests.unit.masterd.serving import config_in


def test_who_goes_away_while_an_outcome_is_written_takes_nothing_along(tmp_path: Path) -> None:
    freed = threading.Event()

    async def test() -> None:
        auditing = Auditing.of(config_in(tmp_path), "m1")
        await auditing.start()
        intent = await auditing.intent(Entry("a.b", "c", Stage.INTENT, Outcome.PENDING))
        busy = [
            asyncio.ensure_future(auditing.in_thread(lambda: freed.wait(10)))
            for _ in range(WRITERS)
        ]
        await asyncio.sleep(0.05)
        outcome = Entry("a.b", "c", Stage.OUTCOME, of=intent)
        writing = asyncio.ensure_future(auditing.outcome(outcome))
        await asyncio.sleep(0.05)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        freed.set()
        await asyncio.wait(busy)
        await asyncio.sleep(0.2)
        await auditing.close()

    asyncio.run(test())
    lines = (tmp_path / "audit" / "audit.log").read_text().splitlines()
    stages = [one["stage"] for one in map(json.loads, lines) if one["kind"] == "a.b"]
    assert stages == ["intent", "outcome"]
