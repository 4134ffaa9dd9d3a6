"""The leader's housekeeping: what the store refuses for a while is tried again, and ends nothing."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from hullmark.errors import Forbidden, HullmarkError, Refused, StoreUnavailable
from hullmark.masterd import upkeep
from hullmark.masterd.leadership import Leadership
from hullmark.masterd.view import View

LAST = 5 * upkeep.LOG_KEPT


class Leads:
    """Until it was asked so often."""

    def __init__(self, times: int) -> None:
        self._times = times

    @property
    def is_leader(self) -> bool:
        self._times -= 1
        return self._times >= 0


@pytest.mark.parametrize(
    "error", [Forbidden("no such password"), Refused("no"), StoreUnavailable("away")]
)
def test_a_store_that_refuses_for_a_while_ends_no_leading(
    monkeypatch: pytest.MonkeyPatch, error: HullmarkError
) -> None:
    monkeypatch.setattr(upkeep, "EVERY_S", 0.0)
    view = View()
    asked: list[int] = []
    view.revision = LAST

    async def compact(upto: int) -> None:
        asked.append(upto)
        if len(asked) < 3:
            raise error

    asyncio.run(upkeep.upkeep(cast(Leadership, Leads(5)), view, compact, lambda: 0.0))
    assert asked == 3 * [LAST - upkeep.LOG_KEPT], "once it went well there is nothing more to do"
