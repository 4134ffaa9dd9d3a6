"""The watch over redundancy: what is lost of it, and what the store complains of, become events while one term lasts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Callable

from hullmark import log
from hullmark.core.alerts import Alerts, compare
from hullmark.core.redundancy import redundancy
from hullmark.masterd.settings import Settings
from hullmark.masterd.teller import Teller
from hullmark.masterd.term import Term
from hullmark.model.redundancy import MasterView, StoreCondition

LOOK_S = 2.0

_log = log.get("redundancy")


class RedundancyWatch:
    """`masters` and `condition` are as this master sees them."""

    def __init__(
        self,
        term: Term,
        teller: Teller,
        settings: Settings,
        masters: Callable[[], Sequence[MasterView]],
        condition: Callable[[], StoreCondition],
    ) -> None:
        self._term = term
        self._teller = teller
        self._settings = settings
        self._masters = masters
        self._condition = condition
        self._alerts = Alerts()

    async def run(self) -> None:
        """As long as this master leads. What former leaders told and is over is told as over."""
        self._alerts = Alerts.of(self._term.journal.all())
        while self._term.leadership.is_leader:
            self.look()
            await asyncio.sleep(LOOK_S)

    def look(self) -> None:
        found = redundancy(self._masters(), self._condition())
        settings = self._settings
        self._alerts, told = compare(self._alerts, found, settings.clock(), settings.wall())
        for alert in told:
            _log.warning("redundancy", kind=alert.kind, subject=alert.subject, why=alert.message)
            self._teller.add(alert.kind, alert.subject, alert.message, "", alert.fields)
