"""A master's alerts on their way: what came of each is recorded, and told to the term that leads."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from typing import Optional

from hullmark import log
from hullmark.config import MasterConfig, load_framework
from hullmark.errors import HullmarkError
from hullmark.host.alertchannels import channels
from hullmark.host.alerting import Alerting, Outcome
from hullmark.model.alert import Alert
from hullmark.model.control import Framework
from hullmark.model.event import Event

_log = log.get("alerts")


class MasterAlarm:
    """Used on the loop; the channels have threads of their own. `happened` records."""

    def __init__(
        self, config: MasterConfig, master: str, happened: Callable[[Event], None]
    ) -> None:
        self.ended: Callable[[Alert], None] = lambda _alert: None
        self._master, self._happened = master, happened
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._alerting = Alerting(
            channels(config, master),
            told=lambda outcome: self._soon(self._told, outcome),
            ended=lambda alert: self._soon(self._over, alert),
        )

    def send(self, alert: Alert) -> None:
        self._loop = asyncio.get_running_loop()
        self._alerting.send(alert)

    async def close(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self._alerting.close)

    def _soon(self, call: Callable[..., None], what: object) -> None:
        # A loop that has ended takes nothing any more; the next leader sends again what had not ended.
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call, what)

    def _told(self, outcome: Outcome) -> None:
        alert = outcome.alert
        fields = {
            "outage": alert.outage.outage_id,
            "incident": str(alert.incident),
            "channel": outcome.channel,
            "alert": alert.alert_id,
            "word": alert.word.value,
            "tries": str(outcome.tries),
            **({"failed": "yes"} if outcome.why else {}),
        }
        subject = f"incident {alert.incident}"
        event = Event(
            uuid.uuid4().hex,
            time.time(),
            "alert.sent",
            subject,
            self._master,
            outcome.why,
            fields=fields,
        )
        self._happened(event)

    def _over(self, alert: Alert) -> None:
        self.ended(alert)


def framework_of(config: MasterConfig) -> Optional[Framework]:
    """None where it can't be read, which is said in the log: outages are then recorded with what their hosts say."""
    try:
        return load_framework(config.framework)
    except HullmarkError as error:
        _log.error("framework not read", framework=config.framework, why=error.message)
        return None
