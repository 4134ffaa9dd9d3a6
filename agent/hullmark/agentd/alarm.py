"""All that becomes of a control that is out: the outage that is kept, the alerts that are sent, what people on the host say of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Optional

from hullmark.agentd.asks import Asks
from hullmark.agentd.localincidents import LOCAL
from hullmark.agentd.outagekeeping import Keeper, Tell
from hullmark.agentd.problems import Problems
from hullmark.config import AgentConfig, load_framework, shipped_frameworks
from hullmark.errors import HullmarkError
from hullmark.host.alertchannels import channels
from hullmark.host.alerting import Alerting, Outcome
from hullmark.model.alert import Alert
from hullmark.model.audit import Entry
from hullmark.model.audit import Outcome as Recorded
from hullmark.model.control import Framework

FRAMEWORK = "framework.invalid"
UNSENT = "alerts.unsent"
"""With the channel behind it."""


class Alarm:
    """`start` comes first, once the state folder is this agent's; `close` last. `note` records in the audit log without waiting;
    `said` what a person said, and it is on the disk when that person is answered."""

    def __init__(
        self,
        config: AgentConfig,
        host: str,
        problems: Problems,
        *,
        note: Callable[[Entry], None],
        said: Callable[[Entry], None],
    ) -> None:
        folder = Path(config.state_dir)
        self._host, self._note, self._problems = host, note, problems
        self._alerting = Alerting(
            channels(config, host), told=self._told, ended=self._ended, trouble=self._trouble
        )
        self.keeper = Keeper(folder, note, self._alerting.send, host=host, said=said)
        self._asks = Asks(folder, self.keeper.local, lambda: self.keeper.enrolled)
        self.keeper.framework = self._framework(config)

    def start(self) -> None:
        self.keeper.load()

    def configure(self, config: AgentConfig) -> None:
        self.keeper.framework = self._framework(config)
        self._alerting.configure(channels(config, self._host))

    def serve(self, *, enrolled: bool, tell: Optional[Tell] = None) -> None:
        """Whether a cluster keeps this host's incidents, and by whom it is told what happens."""
        self.keeper.enrolled, self.keeper.tell = enrolled, tell

    def run(self, stopping: threading.Event) -> None:
        """Heed what people on the host say."""
        self._asks.run(stopping)

    def close(self) -> None:
        self._alerting.close()

    def _framework(self, config: AgentConfig) -> Optional[Framework]:
        try:
            found = load_framework(config.framework, shipped_frameworks())
        except HullmarkError as error:
            self._problems.set_error(FRAMEWORK, error)
            return None
        self._problems.clear(FRAMEWORK)
        return found

    def _told(self, outcome: Outcome) -> None:
        alert = outcome.alert
        fields = {
            "outage": alert.outage.outage_id,
            "channel": outcome.channel,
            "alert": alert.alert_id,
            "word": alert.word.value,
            "tries": str(outcome.tries),
        }
        recorded = Recorded.FAILURE if outcome.why else Recorded.SUCCESS
        subject = f"control {alert.outage.control_id}"
        self._note(
            Entry(
                "alert.sent",
                subject,
                outcome=recorded,
                origin=LOCAL,
                reason=outcome.why,
                fields=fields,
            )
        )

    def _ended(self, alert: Alert) -> None:
        self.keeper.sent(alert)

    def _trouble(self, channel: str, why: str) -> None:
        code = f"{UNSENT}.{channel}"
        if why:
            remedy = f"see alerts in agent.yaml, and what takes them: {channel}"
            self._problems.set(code, f"alerts are not delivered by {channel}: {why}", remedy)
        else:
            self._problems.clear(code)
