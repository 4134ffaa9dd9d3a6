"""Marks: writes that change nothing else, sent one after the other while leadership moves, to see when they are accepted.

Each mark is sent again until its answer comes, as a client's change is, and its answer names the mark before it: where that is
one of ours, and neither the last one acknowledged nor one that was under way, a write was lost.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field
from typing import Callable, Optional

from hullmark.cli.client import Client, new_request_id
from hullmark.cli.drillchecks import later
from hullmark.cli.polling import UNREACHED
from hullmark.errors import Conflict
from hullmark.model.drill import DrillCheck, MarkAnswer, MarkRequest
from hullmark.model.wire import to_wire

PATH = "/v1/master/mark"
PAUSE_S = 0.02
MOVING = (*UNREACHED, Conflict)
"""What a change may meet while leadership moves: it is sent again."""


@dataclass
class Marks:
    """`clock` and `sleep` are for tests. The client must not repeat by itself, so that each try is seen."""

    client: Client
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    tries: int = 0
    accepted: list[tuple[float, float]] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    newest: Optional[MarkAnswer] = None
    trouble: str = ""
    _series: str = field(default_factory=new_request_id)
    _number: int = 0
    _last: str = ""
    _unknown: set[str] = field(default_factory=set)

    def one(self, deadline: float) -> Optional[MarkAnswer]:
        """Have one accepted; None where it is not until then."""
        self._number += 1
        request = MarkRequest(f"{self._series}.{self._number}")
        began = self.clock()
        while True:
            self.tries += 1
            try:
                text = self.client.change("POST", PATH, to_wire(request))
                answer = self.client.decoded(MarkAnswer, text)
            except MOVING as error:
                self.trouble = error.message
                if self.clock() >= deadline:
                    self._unknown.add(request.mark)
                    return None
                self.sleep(PAUSE_S)
                continue
            self._accept(request.mark, answer, began)
            return answer

    def during(self, lasts_s: float) -> None:
        """Marks for a while."""
        until = self.clock() + lasts_s
        while self.clock() < until and self.one(until) is not None:
            self.sleep(PAUSE_S)

    def until_epoch_after(self, epoch: str, deadline: float) -> Optional[float]:
        """When the first one was accepted in a later epoch, on the clock; None: not until `deadline`."""
        while True:
            answer = self.one(deadline)
            if answer is None:
                return None
            if later(answer.epoch, epoch):
                return self.accepted[-1][1]
            self.sleep(PAUSE_S)

    def _accept(self, mark: str, answer: MarkAnswer, began: float) -> None:
        ours = answer.before.startswith(self._series)
        if ours and answer.before not in {self._last, mark, *self._unknown}:
            self.lost.append(self._last)
        if self.newest is not None and answer.revision <= self.newest.revision:
            self.lost.append(mark)
        self._last, self.newest = mark, answer
        self.accepted.append((began, self.clock()))

    @property
    def usual_s(self) -> Optional[float]:
        """How long one takes, the median."""
        took = [ended - began for began, ended in self.accepted]
        return statistics.median(took) if took else None

    @property
    def gap_s(self) -> Optional[float]:
        """The longest time between two that were accepted."""
        ends = [ended for _, ended in self.accepted]
        return max((after - before for before, after in zip(ends, ends[1:])), default=None)

    def check(self) -> DrillCheck:
        detail = f"{len(self.accepted)} of {self.tries} tries accepted"
        if self.lost:
            detail += f"; missing afterwards: {len(self.lost)}"
        return DrillCheck("no acknowledged write was lost", not self.lost, detail, grave=True)
