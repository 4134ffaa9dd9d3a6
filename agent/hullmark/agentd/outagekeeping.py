"""The host's outages: kept over restarts, recorded, and told to people.

    take(states) ── core/outages ──▶ outages.json ──▶ the audit log ──▶ alerts (core/outagealerts), by the alerting thread
                                         └──▶ incidents.json, while no cluster keeps the host's incidents

What is open is open after a start too, and nobody is alerted twice of it. An alert of which it is not known that it arrived, or was given
up, is sent again by the next start, with the same id.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Callable, Optional

from hullmark import log
from hullmark.agentd.keptfile import read_kept
from hullmark.agentd.localincidents import LOCAL, LocalIncidents
from hullmark.core import outagealerts, outages
from hullmark.core.outages import Outages, Told, Word
from hullmark.model.alert import Alert, AlertWord
from hullmark.model.audit import Entry, Outcome
from hullmark.model.control import ControlState, Framework, Status
from hullmark.model.outage import Alerted, Incident, Outage
from hullmark.model.wire import canonical, to_wire
from hullmark.pki.files import write_file

_log = log.get("outages")

FILE = "outages.json"
PASSES_S = 60.0
"""How old the last passes in the file may be: after a start they say since when at most a control was out."""

Tell = Callable[[str, str, str, Mapping[str, str]], None]
"""An event: kind, subject, message, fields."""


@dataclass(frozen=True)
class Kept:
    """outages.json."""

    form: int = 1
    known: Outages = field(default_factory=Outages)
    alerted: Mapping[str, Alerted] = field(default_factory=dict)


class Keeper:
    """May be used from any thread. `note` records in the audit log, `said` (where it is another way) what a person said, `send` takes an alert without waiting, `tell` an event for the
    cluster. `enrolled`: a cluster keeps this host's incidents."""

    def __init__(
        self,
        folder: Path,
        note: Callable[[Entry], None],
        send: Callable[[Alert], None],
        *,
        host: str,
        framework: Optional[Framework] = None,
        wall: Callable[[], float] = time.time,
        said: Optional[Callable[[Entry], None]] = None,
    ) -> None:
        self._file = folder / FILE
        self.local = LocalIncidents(folder, said or note, wall)
        self._note, self._send, self._wall = note, send, wall
        self._host = host
        self.framework = framework
        self.enrolled = False
        self.tell: Optional[Tell] = None
        self._lock = threading.RLock()
        self._kept = Kept()
        self._shown: tuple[Outage, ...] = ()
        self._unwritten = self._grouped = False
        self._written_at = 0.0
        self._late = log.Lasting(_log, "outages not written", "outages are written again")

    def load(self) -> None:
        """What an agent before this one left. Called once, by whoever holds the folder."""
        with self._lock:
            self.local.load()
            self._kept = read_kept(Kept, self._file) or Kept()
            self._shown = self._kept.known.newest()[: outages.KEPT_MOST]
            self._send_again()
            for outage in self._shown:
                if not outage.ended:
                    # The record of its beginning may have been lost with an agent that was killed.
                    self._note(_recorded(Word.LASTS, outage))

    # -- what the runner tells

    def take(self, states: Mapping[str, ControlState], now: float) -> Mapping[str, str]:
        """The open outage of each control that has one, by control, after these are the controls' states: all of them that
        the host has. Never raises."""
        with self._lock:
            known, told = outages.fold(
                self._kept.known,
                self._host,
                states,
                now,
                withdrawn=self._withdrawn(states),
            )
            told = tuple(replace(one, outage=self._with_requirements(one.outage)) for one in told)
            found = {**known.outages, **{one.outage.outage_id: one.outage for one in told}}
            known = replace(known, outages=found)
            if known.outages != self._kept.known.outages:
                self._shown = known.newest()[: outages.KEPT_MOST]
            self._unwritten |= bool(told)
            passes = known.tracks != self._kept.known.tracks
            self._kept = replace(self._kept, known=known)
            if (told or not self._grouped) and not self.enrolled:
                self.local.group(known.outages.values(), now)
                self._grouped = True
            alerts = self._due(now)
            if self._unwritten or (passes and now - self._written_at >= PASSES_S):
                self._write(now)
            for one in told:
                self._tell_of(one)
            for alert in alerts:
                self._send(alert)
            return {
                one.control_id: one.outage_id for one in known.outages.values() if not one.ended
            }

    def outages(self) -> tuple[Outage, ...]:
        """Those that last, and those that ended in the last seven days; the newest first, at most 100."""
        return self._shown

    def incidents(self) -> tuple[Incident, ...]:
        """The newest first. None of an enrolled host: its cluster keeps them."""
        if self.enrolled:
            return ()
        return self.local.all()

    def sent(self, alert: Alert) -> None:
        """It was delivered on every channel, or given up."""
        with self._lock:
            told = self._kept.alerted.get(alert.outage.outage_id)
            if told is None:
                return
            number = int(alert.alert_id.rpartition("-")[2])
            after = outagealerts.concluded(told, number)
            if after != told:
                self._put_alerted(alert.outage.outage_id, after)
                self._write(self._wall())

    # -- within

    def _withdrawn(self, states: Mapping[str, ControlState]) -> tuple[str, ...]:
        """Controls with an open outage that the host's owner took away or switched off. Where no control is known at all, their
        files could not be read."""
        if not states:
            return ()
        of = {one.control_id for one in self._kept.known.outages.values() if not one.ended}
        return tuple(
            name for name in sorted(of) if name not in states or _switched_off(states[name])
        )

    def _with_requirements(self, outage: Outage) -> Outage:
        if self.framework is None or outage.requirements:
            return outage
        of = self.framework.of_failure(outage.control_id, outage.function)
        return replace(outage, requirements=tuple(of))

    def _due(self, now: float) -> list[Alert]:
        found = []
        for name, outage in self._kept.known.outages.items():
            told = self._kept.alerted.get(name, Alerted())
            word = outagealerts.due(outage, told, now)
            if word is AlertWord.LASTS and not self.enrolled:
                word = None if name in self.local.acknowledged() else word
            if word is not None:
                told = outagealerts.after(told, word, now)
                self._put_alerted(name, told)
                found.append(self._alert(outage, told))
        return found

    def _alert(self, outage: Outage, told: Alerted) -> Alert:
        number = 0 if self.enrolled else self.local.numbers().get(outage.outage_id, 0)
        return outagealerts.made(outage, told, sender=self._host, incident=number)

    def _put_alerted(self, name: str, told: Alerted) -> None:
        known = self._kept.known.outages
        alerted = {key: one for key, one in self._kept.alerted.items() if key in known}
        self._kept = replace(self._kept, alerted={**alerted, name: told})
        self._unwritten = True

    def _send_again(self) -> None:
        for name, told in self._kept.alerted.items():
            outage = self._kept.known.outages.get(name)
            if told.waiting and outage is not None:
                self._send(self._alert(outage, told))

    def _tell_of(self, told: Told) -> None:
        entry = _recorded(told.word, told.outage)
        self._note(entry)
        if self.tell is not None:
            self.tell(entry.kind, entry.subject, entry.reason, entry.fields)

    # -- the files

    def _write(self, now: float) -> None:
        """What can't be written now is tried again with the next result."""
        try:
            write_file(self._file, canonical(to_wire(self._kept)), 0o600, durable=self._unwritten)
        except OSError as error:
            why = error.strerror or str(error)
            self._late.failed(why, why, file=self._file)
        else:
            self._late.done()
            self._unwritten, self._written_at = False, now


def _recorded(word: Word, outage: Outage) -> Entry:
    over = word in (Word.RECOVERED, Word.WITHDRAWN)
    return Entry(
        f"outage.{word.value}",
        f"control {outage.control_id}",
        outcome=Outcome.SUCCESS if over else Outcome.FAILURE,
        origin=LOCAL,
        reason=outage.reason,
        fields=outages.recorded(outage),
    )


def _switched_off(state: ControlState) -> bool:
    return state.status is Status.NOT_RUN and state.reason.startswith("switched off")
