"""The pair as this master sees it: who leads, which masters there are, how the store stands, and how old all that is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Optional

from hullmark.masterd.settings import Settings
from hullmark.masterd.view import View
from hullmark.model.records import LeaderRecord, MasterRecord
from hullmark.model.redundancy import FRESH_S, MasterView, StoreCondition

ABSENT_S = FRESH_S
"""A master that was not seen for this long is absent."""
LED_BEFORE = "it led before, and has not said since that it follows"
"""Of a leader that was killed as much as of one that is about to write: which it is shows when it does, or doesn't."""


class Pair:
    """Fed by whoever reads the store; asked by everybody. `master` is this one's name. Used from one event loop."""

    def __init__(self, master: str, settings: Settings) -> None:
        self._master = master
        self._settings = settings
        self._records: dict[str, MasterRecord] = {}
        self._moved_at: dict[str, float] = {}
        self._heard_at = settings.clock()
        self.leader: Optional[LeaderRecord] = None
        self.condition = StoreCondition(settings.store_name)

    def heard(self) -> None:
        """The store answered just now."""
        self._heard_at = self._settings.clock()

    @property
    def stale_s(self) -> float:
        """How long ago the store answered last."""
        return max(0.0, self._settings.clock() - self._heard_at)

    def follow(self, view: View) -> None:
        """Take over what a view has of the masters and of who leads."""
        self.leader = view.leader if view.leader is not None and view.leader.master else None
        now = self._settings.clock()
        for name, record in view.masters.items():
            if record != self._records.get(name):
                # One that has not written since this master began may have been gone for long.
                known = name in self._records or not self._records
                self._moved_at[name] = now if known else self._moved_at.get(name, now)
        self._records = dict(view.masters)

    def masters(self, why_not: str, hears: int) -> tuple[MasterView, ...]:
        """`why_not` and `hears` are this master's own. Another one's signs of life are aged by this master's clock."""
        own = self._own(why_not, hears)
        others = [
            self._other(record) for name, record in self._records.items() if name != self._master
        ]
        return tuple(sorted([own, *others], key=lambda view: (view.role != "leader", view.name)))

    def _own(self, why_not: str, hears: int) -> MasterView:
        record = self._records.get(self._master)
        return MasterView(
            self._master,
            "standby" if why_not else "leader",
            why_not,
            0.0,
            "" if record is None else record.version,
            self._settings.api_urls,
            hears,
        )

    def _other(self, record: MasterRecord) -> MasterView:
        seen_s = self._settings.clock() - self._moved_at[record.name]
        leads = self.leader is not None and self.leader.master == record.name
        role = "leader" if leads else "absent" if seen_s > ABSENT_S else "standby"
        why = "" if leads else record.why
        if role == "standby" and not why:
            why = LED_BEFORE
        return MasterView(
            record.name, role, why, seen_s, record.version, record.api_urls, record.hears
        )

    def agents_urls(self) -> tuple[str, ...]:
        return _once(
            [
                *self._settings.agents_urls,
                *(url for one in self.others() for url in one.agents_urls),
            ]
        )

    def api_urls(self) -> tuple[str, ...]:
        return _once(
            [*self._settings.api_urls, *(url for one in self.others() for url in one.api_urls)]
        )

    def others(self) -> list[MasterRecord]:
        """What each other master says of itself."""
        return [one for name, one in sorted(self._records.items()) if name != self._master]


def _once(urls: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(urls))
