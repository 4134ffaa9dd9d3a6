"""What becomes of alerts on their way, and that nobody waits for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from hullmark.host import alerting
from hullmark.host.alertchannels import Undelivered
from hullmark.host.alerting import Alerting, Outcome, Times
from hullmark.model.alert import Alert, AlertWord
from hullmark.model.outage import Outage

OUT = Outage("a1", "web1", "trail", "f", "Audit trail", 100.0, "stopped")
ALERT = Alert("a1-1", AlertWord.BEGAN, OUT, 100.0, "web1: stopped", "web1")
WAIT_S = 5.0
QUICK = Times(wait_s=0.001)


@dataclass
class Told:
    outcomes: list[Outcome] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    troubles: list[tuple[str, str]] = field(default_factory=list)

    def alerting(
        self, channels: Mapping[str, Callable[[Alert], None]], times: Times = QUICK
    ) -> Alerting:
        return Alerting(
            channels,
            told=self.outcomes.append,
            ended=lambda alert: self.ended.append(alert.alert_id),
            trouble=lambda *what: self.troubles.append(what),
            times=times,
        )

    def until(self, ended: int) -> None:
        deadline = time.monotonic() + WAIT_S
        while len(self.ended) < ended and time.monotonic() < deadline:
            time.sleep(0.002)
        assert len(self.ended) == ended


class Fails:
    """So many times, then it takes alerts."""

    def __init__(self, times: int, *, again: bool = True) -> None:
        self.left, self.again = times, again
        self.taken: list[str] = []

    def __call__(self, alert: Alert) -> None:
        if self.left:
            self.left -= 1
            raise Undelivered("it is away", again=self.again)
        self.taken.append(alert.alert_id)


def test_each_channel_gets_it_once_however_often_it_is_sent() -> None:
    one, other, told = Fails(0), Fails(0), Told()
    sending = told.alerting({"journal": one, "mail": other})
    sending.send(ALERT)
    sending.send(ALERT)
    told.until(1)
    sending.send(ALERT)
    sending.close()
    assert one.taken == other.taken == ["a1-1"]
    assert {(each.channel, each.why) for each in told.outcomes} == {("journal", ""), ("mail", "")}
    assert told.ended == ["a1-1"] * 2, "who sends one that has ended is told so"


def test_it_is_tried_again_until_it_is_delivered() -> None:
    away, told = Fails(3), Told()
    sending = told.alerting({"webhook": away})
    sending.send(ALERT)
    told.until(1)
    sending.close()
    (outcome,) = told.outcomes
    assert (outcome.why, outcome.tries) == ("", 4)
    assert told.troubles == [*[("webhook", "it is away")] * 3, ("webhook", "")]


def test_what_will_never_be_taken_is_given_up_at_once_and_the_next_one_goes() -> None:
    picky, told = Fails(1, again=False), Told()
    sending = told.alerting({"webhook": picky})
    sending.send(ALERT)
    sending.send(replace(ALERT, alert_id="a1-2"))
    told.until(2)
    sending.close()
    assert [(each.why, each.tries) for each in told.outcomes] == [("it is away", 1), ("", 1)]


def test_it_is_given_up_after_its_time() -> None:
    told = Told()
    sending = told.alerting({"webhook": Fails(10**9)}, Times(wait_s=0.001, given_up_s=0.02))
    sending.send(ALERT)
    told.until(1)
    sending.close()
    assert told.outcomes[0].why == "it is away"
    assert told.outcomes[0].tries > 1


def test_nobody_waits_and_too_many_are_given_up() -> None:
    began, gate, told = threading.Event(), threading.Event(), Told()

    def hangs(_alert: Alert) -> None:
        began.set()
        gate.wait(WAIT_S)

    sending = told.alerting({"mail": hangs})
    sending.send(ALERT)
    assert began.wait(WAIT_S)
    for number in range(alerting.QUEUE_MAX + 3):
        sending.send(replace(ALERT, alert_id=f"b-{number}"))
    assert [each.why for each in told.outcomes] == ["500 alerts wait already"] * 3
    gate.set()
    told.until(alerting.QUEUE_MAX + 4)
    sending.close()


def test_what_waits_at_the_end_is_told_to_nobody() -> None:
    told = Told()
    sending = told.alerting({"webhook": Fails(10**9)}, Times(wait_s=60.0))
    sending.send(ALERT)
    deadline = time.monotonic() + WAIT_S
    while not told.troubles and time.monotonic() < deadline:
        time.sleep(0.002)
    sending.close()
    assert (told.outcomes, told.ended) == ([], [])


def test_what_waits_goes_to_the_channels_of_a_new_configuration() -> None:
    told, good, journal = Told(), Fails(0), Fails(0)
    sending = told.alerting({"webhook": Fails(10**9), "mail": Fails(10**9)}, Times(wait_s=60.0))
    sending.send(ALERT)
    sending.configure({"webhook": good, "journal": journal})
    told.until(1)
    sending.close()
    assert good.taken == ["a1-1"]
    assert journal.taken == []


def test_without_a_channel_it_ends_at_once() -> None:
    told = Told()
    told.alerting({}).send(ALERT)
    assert (told.ended, told.outcomes) == (["a1-1"], [])
