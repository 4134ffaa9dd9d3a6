"""A history that keeps all rules, and for each rule histories that break it, and it alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.checker import RULES, check
from tests.chaos.record import (
    Fault,
    Happening,
    History,
    Obeyed,
    Reign,
    Rest,
    Round,
    Running,
    Spec,
    Try,
    load,
    save,
)

KINDS = {"db": "keep", "lone": "stop", "web": "replace"}


def act(at_s: float, action: str, app: str, host: str, container: str, **more: Any) -> Happening:
    made: dict[str, Any] = {"service": "one", "slot": 1, "generation": 1, "epoch": (1, 1), **more}
    return Happening(at_s, host, action, container, app, **made)


def born(at_s: float, app: str, host: str, container: str, **more: Any) -> tuple[Happening, ...]:
    return tuple(act(at_s, action, app, host, container, **more) for action in ("create", "start"))


def gone(at_s: float, app: str, host: str, container: str, **more: Any) -> tuple[Happening, ...]:
    return tuple(act(at_s, action, app, host, container, **more) for action in ("die", "destroy"))


def done(request_id: str, app: str, sent_s: float, generation: int) -> Try:
    return Try(request_id, app, sent_s, sent_s + 0.1, "m1", "done", generation)


def spec(revision: int, app: str, generation: int, request_id: str, replicas: int = 1) -> Spec:
    return Spec(revision, app, generation, request_id, {"one": replicas}, {"one": generation})


GOOD = History(
    lost_after_s=10.0,
    kinds=KINDS,
    rounds=(Round(7, 100.0, 130.0),),
    faults=(Fault("kill", "m1", 101.0, 105.0, "its process ended"),),
    tries=(
        done("r1", "db", 1.0, 1),
        done("r2", "lone", 2.0, 1),
        done("r3", "web", 3.0, 1),
        done("r4", "job", 4.0, 1),
        Try("r5", "job", 101.0, 102.0, "m1", "unknown"),
        done("r5", "job", 103.0, 2),
        done("r6", "job", 110.0, 3),
    ),
    reigns=(
        Reign(2, (1, 1), "m1@a"),
        Reign(20, (1, 1), ""),
        Reign(22, (1, 2), "m2@b"),
    ),
    specs=(
        spec(3, "db", 1, "r1"),
        spec(4, "lone", 1, "r2"),
        spec(5, "web", 1, "r3"),
        spec(6, "job", 1, "r4"),
        spec(21, "job", 2, "r5"),
        spec(23, "job", 3, "r6"),
    ),
    obeyed=(
        Obeyed(5.0, "web1", (1, 1), "m1@a", 8),
        Obeyed(100.5, "web1", (1, 1), "m1@a", 19),
        Obeyed(104.0, "web1", (1, 2), "m2@b", 0),
        Obeyed(105.0, "web1", (1, 2), "m2@b", 23),
    ),
    happenings=(
        *born(6.0, "db", "web1", "c1"),
        *born(6.1, "lone", "web2", "c2"),
        *born(6.2, "web", "web3", "c3"),
        *born(6.3, "job", "web1", "c4"),
        *gone(103.5, "job", "web1", "c4"),
        *born(104.0, "job", "web1", "c5", generation=2, epoch=(1, 2)),
        *gone(111.0, "job", "web1", "c5", generation=2),
        *born(112.0, "job", "web1", "c6", generation=3, epoch=(1, 2)),
    ),
    rests=(
        Rest(
            125.0,
            True,
            "",
            (
                Running("web1", "c1", "db", "one", 1, 1),
                Running("web2", "c2", "lone", "one", 1, 1),
                Running("web3", "c3", "web", "one", 1, 1),
                Running("web1", "c6", "job", "one", 1, 3),
            ),
            {"db": 1, "lone": 1, "web": 1, "job": 3},
        ),
    ),
)

Change = Callable[[History], History]


def put(history: History, values: Mapping[str, Any]) -> History:
    return replace(history, **values)


def with_(**more: tuple[Any, ...]) -> Change:
    """The history, and more of something in it."""
    return lambda history: put(
        history, {key: (*getattr(history, key), *value) for key, value in more.items()}
    )


def without(part: str, which: Callable[[Any], bool]) -> Change:
    return lambda history: put(
        history, {part: tuple(one for one in getattr(history, part) if not which(one))}
    )


def changed(part: str, which: Callable[[Any], bool], **values: Any) -> Change:
    return lambda history: put(
        history,
        {
            part: tuple(
                replace(one, **values) if which(one) else one for one in getattr(history, part)
            )
        },
    )


def both(*changes: Change) -> Change:
    def all_of_them(history: History) -> History:
        for change in changes:
            history = change(history)
        return history

    return all_of_them


def cut(host: str, begin_s: float, end_s: float, **more: Any) -> Change:
    return with_(faults=(Fault("cut", host, begin_s, end_s, "dropped", (host,), **more),))


def rebooted(host: str, begin_s: float, end_s: float) -> Change:
    return with_(faults=(Fault("reboot", host, begin_s, end_s, "gone", (host,), (host,)),))


MOVED = (
    *born(112.0, "web", "web1", "c9", epoch=(1, 2)),
    *gone(121.0, "web", "web3", "c3"),
)
AT_REST_ON_WEB1 = changed(
    "rests",
    lambda one: True,
    running=tuple(
        replace(one, host="web1", container="c9") if one.app == "web" else one
        for one in GOOD.rests[0].running
    ),
)

ALLOWED: dict[str, Change] = {
    "nothing happens": lambda history: history,
    "a second answer to the same request": with_(tries=(done("r5", "job", 106.0, 2),)),
    "an unknown change that was done": both(
        with_(
            tries=(Try("r7", "late", 120.0, 121.0, "m2", "unknown"),),
            specs=(spec(30, "late", 1, "r7"),),
            happenings=born(122.0, "late", "web2", "c7", epoch=(1, 2)),
        ),
        changed(
            "rests",
            lambda one: True,
            running=(*GOOD.rests[0].running, Running("web2", "c7", "late", "one", 1, 1)),
            generations={**GOOD.rests[0].generations, "late": 1},
        ),
    ),
    "an unknown change that was not done": with_(
        tries=(Try("r7", "job", 120.0, 121.0, "m2", "unknown"),)
    ),
    "a replaceable one moves off a lost host": both(
        cut("web3", 101.0, 115.0), with_(happenings=MOVED), AT_REST_ON_WEB1
    ),
    "a lone one stops itself on a lost host": both(
        cut("web2", 101.0, 115.0),
        with_(
            happenings=(
                *gone(110.0, "lone", "web2", "c2"),
                *born(114.0, "lone", "web1", "c8", epoch=(1, 2)),
            )
        ),
    ),
    "a lone one stops itself where no master was there": both(
        cut("web2", 101.0, 115.0, control=True),
        with_(
            happenings=(
                *gone(110.0, "lone", "web2", "c2"),
                *born(114.0, "lone", "web2", "c8", epoch=(1, 2)),
            )
        ),
    ),
    "a lone one stops itself where nobody could lead, and whoever came back waited for the other": both(
        cut("web2", 101.0, 106.0, control=True, leaderless=True),
        with_(
            happenings=(
                *gone(111.0, "lone", "web2", "c2"),
                *born(113.0, "lone", "web2", "c8", epoch=(1, 2)),
            )
        ),
    ),
    "a lone one that stopped itself goes on": both(
        cut("web2", 101.0, 115.0, control=True),
        with_(
            happenings=(
                act(110.0, "die", "lone", "web2", "c2"),
                act(116.0, "start", "lone", "web2", "c2"),
            )
        ),
    ),
    "containers of a host that was rebooted": both(
        rebooted("web1", 101.0, 105.0),
        with_(happenings=(act(105.5, "start", "db", "web1", "c1", epoch=(1, 1)),)),
    ),
    "a removed app": with_(
        tries=(done("r8", "old", 90.0, 4), done("r9", "old", 110.0, 5)),
        specs=(
            spec(19, "old", 4, "r8"),
            Spec(40, "old", 5, "r9", {}, {}),
        ),
        happenings=(
            *born(91.0, "old", "web2", "c7", generation=4),
            *gone(111.0, "old", "web2", "c7", generation=4),
        ),
    ),
}

BROKEN: dict[str, tuple[str, Change]] = {
    "two leaders of one epoch in the store": (
        "one leader",
        with_(reigns=(Reign(25, (1, 2), "m1@c"),)),
    ),
    "an epoch that falls in the store": (
        "one leader",
        with_(reigns=(Reign(25, (1, 1), "m1@a"),)),
    ),
    "an agent that obeys another leader of the epoch": (
        "one leader",
        with_(obeyed=(Obeyed(106.0, "web2", (1, 2), "m1@c", 23),)),
    ),
    "an agent that obeys a term that nobody stored": (
        "one leader",
        with_(obeyed=(Obeyed(106.0, "web2", (1, 3), "m1@c", 23),)),
    ),
    "an agent whose epoch falls": (
        "agents never fall",
        with_(obeyed=(Obeyed(106.0, "web1", (1, 1), "m1@a", 99),)),
    ),
    "an agent whose orders get older": (
        "agents never fall",
        with_(obeyed=(Obeyed(106.0, "web1", (1, 2), "m2@b", 22),)),
    ),
    "a container made under a lower epoch": (
        "agents never fall",
        changed("happenings", lambda one: one.container == "c6", epoch=(1, 1)),
    ),
    "an acknowledged change that is not in the store": (
        "nothing lost",
        with_(tries=(done("r7", "gone", 120.0, 1),)),
    ),
    "an acknowledged change that is not served": (
        "nothing lost",
        with_(
            tries=(done("r7", "kept", 120.0, 2),),
            specs=(spec(30, "kept", 2, "r7"),),
        ),
    ),
    "a change carried out twice": (
        "nothing lost",
        with_(specs=(spec(22, "job", 3, "r5"),)),
    ),
    "a request that is answered differently": (
        "nothing lost",
        with_(tries=(done("r5", "job", 106.0, 3),)),
    ),
    "a generation that falls in the store": (
        "nothing lost",
        with_(specs=(spec(30, "job", 1, "r4"),)),
    ),
    "a later change with a lower generation": (
        "nothing reordered",
        both(
            changed(
                "tries", lambda one: one.outcome == "done" and one.request_id == "r5", generation=4
            ),
            changed("specs", lambda one: one.request_id == "r5", generation=4),
        ),
    ),
    "a container that is started again": (
        "restarted",
        with_(happenings=(act(107.0, "start", "db", "web1", "c1"),)),
    ),
    "a container that is started again on a host that was not broken": (
        "restarted",
        both(
            rebooted("web2", 101.0, 105.0),
            with_(happenings=(act(107.0, "start", "db", "web1", "c1"),)),
        ),
    ),
    "a lone one that is started again with no host lost": (
        "restarted",
        with_(
            happenings=(
                act(110.0, "die", "lone", "web2", "c2"),
                act(116.0, "start", "lone", "web2", "c2"),
            )
        ),
    ),
    "a container that dies": (
        "stopped",
        with_(happenings=gone(107.0, "web", "web3", "c3")),
    ),
    "a container that dies before its successor is asked for": (
        "stopped",
        changed(
            "happenings", lambda one: one.container == "c4" and one.action == "die", at_s=100.5
        ),
    ),
    "a kept one that dies on a lost host": (
        "stopped",
        both(cut("web1", 101.0, 115.0), with_(happenings=gone(112.0, "db", "web1", "c1"))),
    ),
    "a lone one that stops too soon": (
        "stopped",
        both(cut("web2", 101.0, 115.0), with_(happenings=gone(105.0, "lone", "web2", "c2"))),
    ),
    "a lone one that stops although its host was cut off shortly": (
        "stopped",
        both(cut("web2", 101.0, 105.0), with_(happenings=gone(104.0, "lone", "web2", "c2"))),
    ),
    "a lone one that stops although another master could lead": (
        "stopped",
        both(
            cut("web2", 101.0, 106.0, control=True),
            with_(happenings=gone(111.0, "lone", "web2", "c2")),
        ),
    ),
    "a lone one that stops although nobody could lead for a moment only": (
        "stopped",
        both(
            cut("web2", 101.0, 102.5, control=True, leaderless=True),
            with_(happenings=gone(111.0, "lone", "web2", "c2")),
        ),
    ),
    "a replaceable one that stops because no master was there": (
        "stopped",
        both(
            cut("web3", 101.0, 115.0, control=True),
            with_(happenings=gone(112.0, "web", "web3", "c3")),
        ),
    ),
    "a kept one that runs twice": (
        "doubled",
        both(
            cut("web1", 101.0, 115.0),
            with_(happenings=born(112.0, "db", "web2", "c9", epoch=(1, 2))),
        ),
    ),
    "a lone one that runs twice": (
        "doubled",
        both(
            cut("web2", 101.0, 115.0),
            with_(happenings=born(112.0, "lone", "web1", "c9", epoch=(1, 2))),
        ),
    ),
    "a replaceable one that runs twice with no host lost": (
        "doubled",
        with_(happenings=born(112.0, "web", "web1", "c9", epoch=(1, 2))),
    ),
    "a replaceable one that runs twice for long": (
        "doubled",
        both(
            cut("web3", 20.0, 40.0),
            with_(
                happenings=(
                    *born(35.0, "web", "web1", "c9"),
                    *gone(54.9, "web", "web3", "c3"),
                )
            ),
            changed("happenings", lambda one: one.container == "c3" and one.at_s > 50, at_s=56.0),
            AT_REST_ON_WEB1,
        ),
    ),
    "a container too few": (
        "converged",
        lambda history: replace(
            history, rests=(replace(history.rests[0], running=history.rests[0].running[1:]),)
        ),
    ),
    "a container too many": (
        "converged",
        lambda history: replace(
            history,
            rests=(
                replace(
                    history.rests[0],
                    running=(*history.rests[0].running, Running("web2", "x", "db", "one", 1, 1)),
                ),
            ),
        ),
    ),
    "an old container that stays": (
        "converged",
        lambda history: replace(
            history,
            rests=(
                replace(
                    history.rests[0],
                    running=tuple(
                        replace(one, generation=2) if one.app == "job" else one
                        for one in history.rests[0].running
                    ),
                ),
            ),
        ),
    ),
    "a round that comes to no rest": (
        "converged",
        lambda history: replace(
            history, rests=(replace(history.rests[0], settled=False, why="no leader"),)
        ),
    ),
    "a service that answers who may not call it": (
        "refused",
        lambda history: replace(
            history, rests=(replace(history.rests[0], intruders=("asked/stranger.1 on web1",)),)
        ),
    ),
    "a round without an end": ("converged", without("rests", lambda one: True)),
    "no round": ("something happened", without("rounds", lambda one: True)),
    "a round without a fault": ("something happened", without("faults", lambda one: True)),
    "a fault without a proof": (
        "something happened",
        changed("faults", lambda one: True, proof=""),
    ),
    "a fault that lasts too long": (
        "something happened",
        changed("faults", lambda one: True, lasted_s=19.5),
    ),
    "a round without an acknowledged change": (
        "something happened",
        changed("tries", lambda one: one.sent_s > 100, outcome="unknown"),
    ),
    "a round in which no engine did anything": (
        "something happened",
        without("happenings", lambda one: one.at_s > 100),
    ),
    "a round in which no agent was looked at": (
        "something happened",
        without("obeyed", lambda one: one.at_s > 100),
    ),
    "a history without terms": (
        "something happened",
        both(without("reigns", lambda one: True), without("obeyed", lambda one: one.at_s < 0)),
    ),
}


@pytest.mark.parametrize("change", ALLOWED.values(), ids=ALLOWED.keys())
def test_what_is_allowed(change: Change) -> None:
    assert check(change(GOOD)) == []


@pytest.mark.parametrize(("rule", "change"), BROKEN.values(), ids=BROKEN.keys())
def test_what_breaks_a_rule(rule: str, change: Change) -> None:
    assert rule in {violation.rule for violation in check(change(GOOD))}


def test_every_rule_is_broken_by_a_history() -> None:
    names = {rule.__name__.replace("_", " ") for rule in RULES}
    assert names == {rule for rule, _ in BROKEN.values()}


def test_a_history_is_read_as_it_was_written(tmp_path: Path) -> None:
    save(GOOD, tmp_path / "history.json")
    assert load(tmp_path / "history.json") == GOOD


def test_a_violation_names_what_broke_the_rule() -> None:
    _, change = BROKEN["a container that dies"]
    assert [str(one) for one in check(change(GOOD))] == [
        "stopped: web/one.1 g1 (c3 on web3) died at 107.0"
    ]
