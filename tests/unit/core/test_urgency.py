"""Which of several troubles the status names in `next`."""

from __future__ import annotations

import dataclasses

import pytest

from hullmark.core.overview import Finding, Outlook, host_views, outlook, ranked
from hullmark.core.pair import ASK_AGAIN
from hullmark.core.standing import Standing
from hullmark.core.urgency import Urgency, of_problem
from hullmark.core.why import Case
from hullmark.model.observed import HostProblem, Phase
from tests.unit.core.whyworld import HOSTS, whole, with_problem, with_snapshot, with_status

SILENT_AFTER_S = 5.0
INCIDENT: Finding = (1, "incident 7", "hullmark outages show 7")
REDUNDANCY: Finding = (1, "redundancy lost", "hullmark master invite NAME")
GLASS: Finding = (1, "break-glass is OPEN", "hullmark break-glass close 1")
LEADERLESS: Finding = (2, "no master leads", ASK_AGAIN)
NETWORK = "check the network between master and hosts"

ALERTS = HostProblem("alerts.unsent", "alerts are not delivered by syslog", "see alerts")
ENGINE = HostProblem("engine.unavailable", "docker does not answer", "start docker")
PROXY = HostProblem("proxy.missing", "has a proxy that does not run", "start the proxy")
DISK = HostProblem("disk.full", "no room", "df")


def seen(case: Case, *masters: Finding, behind: tuple[Finding, ...] = (REDUNDANCY,)) -> Outlook:
    """With an incident, break-glass and lost redundancy beside."""
    snapshot = case.snapshot
    views = host_views(snapshot, SILENT_AFTER_S)
    more = [*ranked(Urgency.CONTROLS, (GLASS,)), *ranked(Urgency.REDUNDANCY, behind)]
    apps = Standing(snapshot).summaries()
    return outlook(snapshot, views, apps, (INCIDENT,), masters=masters, behind=more)


def test_the_next_thing_to_type_is_about_the_worst() -> None:
    """One trouble after the other is added, each worse than all before."""
    case = with_problem(whole(), ALERTS, *HOSTS)
    assert seen(case, behind=()).next == GLASS[2]
    case = with_problem(case, DISK, "id2")
    assert seen(case, behind=()).next == "df"
    assert seen(case).next == REDUNDANCY[2]
    case = with_status(case, "id1", phase=Phase.FAILED, exit_code=1)
    assert seen(case).next == "hullmark ps shop", "h2 serves"
    case = with_problem(case, PROXY, "id3")
    assert seen(case).next == "start the proxy"
    away = with_problem(case, ENGINE, "id1")
    assert seen(away).next == "start docker"
    lost = with_snapshot(away, heard_s={**away.snapshot.heard_s, "id1": 60.0})
    assert seen(lost).next.endswith("(on h1)")
    down = with_status(case, "id2", phase=Phase.FAILED, exit_code=1)
    lost = with_snapshot(down, heard_s={**down.snapshot.heard_s, "id3": 60.0})
    assert seen(lost).next == "hullmark ps shop", "no instance of api serves"
    assert seen(lost, LEADERLESS).next == ASK_AGAIN


def test_notes_keep_their_order() -> None:
    case = with_problem(whole(), ALERTS, "id1")
    notes = seen(with_status(case, "id1", "id2", phase=Phase.FAILED, exit_code=1)).notes
    assert notes[:2] == (GLASS[1], REDUNDANCY[1])
    assert notes[2].startswith("host h1: alerts")
    assert notes[3].startswith("app shop failed")


@pytest.mark.parametrize("away", ["host", "engine"])
def test_what_makes_all_of_a_service_unseen_comes_before_the_app(away: str) -> None:
    """It may serve, and there is what mends it."""
    case = with_problem(whole(), ALERTS, *HOSTS)
    if away == "host":
        case = with_snapshot(case, heard_s={"id1": 60.0, "id2": 60.0, "id3": 1.0})
    else:
        case = with_problem(case, ENGINE, "id1", "id2")
    assert [app.state for app in Standing(case.snapshot).summaries()] != ["running"]
    assert seen(case).next == (NETWORK if away == "host" else "start docker")


def test_what_was_placed_nowhere_serves_nobody() -> None:
    case = with_problem(whole(), ALERTS, *HOSTS)
    orders = case.snapshot.assignments
    case = with_snapshot(case, assignments={"id3": orders["id3"]})
    apps = [
        dataclasses.replace(app, state="degraded") for app in Standing(case.snapshot).summaries()
    ]
    views = host_views(case.snapshot, SILENT_AFTER_S)
    assert outlook(case.snapshot, views, apps).next == "hullmark explain shop"
    lost = with_snapshot(case, heard_s=dict.fromkeys(HOSTS, 60.0))
    views = host_views(lost.snapshot, SILENT_AFTER_S)
    assert outlook(lost.snapshot, views, apps).next == NETWORK, "no host could take it"


@pytest.mark.parametrize(
    ("code", "urgency"),
    [
        ("engine.refuses", Urgency.ENGINES),
        ("proxy.failing", Urgency.PROXIES),
        ("proxy.unreached", Urgency.PROXIES),
        ("proxy.unrecorded", Urgency.RECORDS),
        ("audit.changed", Urgency.RECORDS),
        ("audit.unwritable", Urgency.OTHER),
        ("policy.invalid", Urgency.OTHER),
    ],
)
def test_problems_of_hosts(code: str, urgency: Urgency) -> None:
    assert of_problem(code) is urgency
