"""Giving services their addresses: with the change that makes a service, and at once to those that lack one.

The leader has the same range as its pair, or every change of leader would give every service another address.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Optional

from hullmark import log
from hullmark.core import addresses
from hullmark.core.addresses import Allotted
from hullmark.core.serviceports import addressed
from hullmark.errors import InvalidInput, Problem
from hullmark.masterd.leadership import Leadership, size_bytes
from hullmark.masterd.repeats import RESERVED_BYTES
from hullmark.masterd.view import View, encode
from hullmark.model.names import SERVICE_ADDRESSES
from hullmark.model.records import AppRecord
from hullmark.store.protocol import MAX_TRANSACTION_BYTES, Compare, Put

_log = log.get("addresses")


class Addressing:
    """Both methods that write are called while no change of an app can come between."""

    def __init__(self, leadership: Leadership, view: View, range_: str) -> None:
        self._leadership = leadership
        self._view = view
        self._range = range_
        self._settled: Optional[tuple[object, object]] = None

    def with_app(self, record: AppRecord) -> Optional[tuple[Compare, Put]]:
        """What belongs into the transaction that writes this record of an app, so that no generation of it is ever without.
        Raises InvalidInput where the range has too few addresses."""
        name = record.app.name
        found = self._allotted({**self._view.apps, name: record})
        problem = exhausted(found, self._range, name)
        if problem is not None:
            raise InvalidInput([problem])
        if found.record is self._view.addresses:
            return None
        return self._compare(), Put(SERVICE_ADDRESSES, encode(found.record))

    async def settle(self) -> None:
        """Give what is missing, and take back what nobody has any more: of an app that is gone, of one that was made by a version
        without addresses, after the range was changed. Raises what `Leadership.commit` does."""
        seen = self._view.apps, self._view.addresses
        if self._settled is not None and all(a is b for a, b in zip(seen, self._settled)):
            return
        found = self._allotted(self._view.apps)
        if found.without:
            _log.error(
                "services are without an address: the range has no more",
                range=self._range,
                services=" ".join(found.without),
            )
        if found.record is not self._view.addresses:
            put = Put(SERVICE_ADDRESSES, encode(found.record))
            if size_bytes([put]) > MAX_TRANSACTION_BYTES - RESERVED_BYTES:
                _log.error("the services are too many for the store to keep their addresses")
                self._settled = seen
                return
            await self._leadership.commit([self._compare()], [put])
        else:
            self._settled = seen

    def _allotted(self, apps: Mapping[str, AppRecord]) -> Allotted:
        wanted = (name for record in apps.values() for name in addressed(record.app))
        return addresses.allot(self._view.addresses, self._range, wanted)

    def _compare(self) -> Compare:
        return Compare(SERVICE_ADDRESSES, self._view.modified(SERVICE_ADDRESSES))


def exhausted(found: Allotted, range_: str, app: str) -> Optional[Problem]:
    """Where services of this app are without an address."""
    mine = [name for name in found.without if name.startswith(f"{app}/")]
    if not mine:
        return None
    return Problem(
        f"{', '.join(mine)}: no address is left in services.range, {range_}: "
        f"{addresses.room(range_)} services have one, and no more can",
        field="services",
        allowed="a larger services.range on every master, or fewer services with ports",
    )
