"""The presence of one master of a pair: what it says of itself in the store, and how the store stands, asked every few seconds.

Its record is a key of its own and is not fenced: it says that this master is there, and nothing is decided by it but that a leader
which hears far fewer hosts than its standby hands over. Its questions have threads of their own: while the store doesn't answer, those of the
election are all taken, and that is when people ask how the store stands.
"""

from __future__ import annotations

import asyncio
import dataclasses
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Optional, TypeVar

import hullmark
from hullmark import log
from hullmark.core.election import Phase, hears_too_few
from hullmark.errors import HullmarkError
from hullmark.masterd.electing import Elector
from hullmark.masterd.pair import Pair
from hullmark.masterd.settings import Settings
from hullmark.masterd.view import encode
from hullmark.model.names import MASTERS
from hullmark.model.records import MasterRecord
from hullmark.store.protocol import Put, Store

LOOK_S = 0.5
STANDBY_S, LEADER_S = 2.0, 5.0
"""How often each writes of itself."""
CONDITION_S = 5.0
FRESH_S = 5.0
"""A standby's word of whom it hears counts for this long."""

T = TypeVar("T")
Vouched = tuple[int, str, tuple[str, ...]]
"""Where this master's file of heads ends (number and link), and which logs it refuses."""
NOTHING_VOUCHED: Vouched = (0, "", ())

_log = log.get("presence")


class Presence:
    """`why_not` and `hears` are this master's own, at the moment."""

    def __init__(
        self,
        store: Store,
        master: str,
        settings: Settings,
        elector: Elector,
        pair: Pair,
        *,
        why_not: Callable[[], str],
        hears: Callable[[], int],
        vouched: Callable[[], Vouched],
    ) -> None:
        self._store = store
        self._settings = settings
        self._elector = elector
        self._pair = pair
        self._why_not = why_not
        self._hears = hears
        self._vouched = vouched
        self._pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="presence")
        self._written: Optional[MasterRecord] = None
        self._written_at = -STANDBY_S
        self._record = MasterRecord(
            master,
            settings.new_id(),
            hullmark.__version__,
            settings.agents_urls,
            settings.api_urls,
            settings.wall(),
        )

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._write()
            self._compare()
            await asyncio.sleep(LOOK_S)

    async def watch_store(self) -> None:
        """Until cancelled."""
        while True:
            self._pair.condition = await self._call(self._store.condition)
            await asyncio.sleep(CONDITION_S)

    async def _call(self, function: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)

    async def _write(self) -> None:
        now, why = self._settings.clock(), self._why_not()
        hears = self._hears()
        due_s = STANDBY_S if why else LEADER_S
        same = self._written is not None and (self._written.why, self._written.hears) == (
            why,
            hears,
        )
        if same and now - self._written_at < due_s:
            return
        beat = self._record.beat + 1
        number, link, refuses = self._vouched()
        self._record = dataclasses.replace(
            self._record,
            beat=beat,
            hears=hears,
            why=why,
            heads=number,
            heads_link=link,
            refuses=refuses,
        )
        put = Put(MASTERS + self._record.name, encode(self._record))
        try:
            await self._call(self._store.commit, [], [put])
        except HullmarkError as error:
            _log.debug("this master's record is not written", why=error.message)
            return
        self._written, self._written_at = self._record, now

    def _compare(self) -> None:
        """Hand over where the standby hears far more hosts, once this master has led for long enough to be found."""
        state, bureau = self._elector.state, self._elector.bureau
        if state.phase is not Phase.LEADING or bureau is None or self._why_not():
            return
        led_s = self._settings.clock() - bureau.term.began_at
        fresh = [
            view.hears
            for view in self._pair.masters("", 0)
            if view.role == "standby" and view.seen_s < FRESH_S
        ]
        best = max(fresh, default=0)
        if led_s > self._settings.lost_after_s and hears_too_few(self._hears(), best):
            why = f"it hears {self._hears()} hosts, and its standby {best}"
            self._elector.also(self._elector.step_down(why))
