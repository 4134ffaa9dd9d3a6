"""Containers from before their host had a proxy: who is told of them, and what is to be typed."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from hullmark.core.nameless import told
from hullmark.core.roster import Roster
from hullmark.core.serviceview import reaches
from hullmark.core.standing import Standing
from hullmark.core.why import Case, why
from hullmark.model.app import DeployMode, DeploySpec, Mount, MountKind, Placement
from hullmark.model.why import Verdict
from tests.unit.core.whyworld import BACK, whole, with_service, with_snapshot, with_status

OLD = "shop/web.1 on h3 was made before its host had a proxy, and knows no services of other hosts"
ANOTHER = "give shop/web another label in its Compose file, then `hullmark apply`"


def old() -> Case:
    """The one instance of `web`, which calls `api`."""
    return with_status(whole(), "id3", nameless=True)


def of_web(case: Case) -> str:
    (item,) = Roster.of(case.snapshot).placed("shop", "web")
    return told(case.snapshot, case.snapshot.apps["shop"].app, item)


def test_an_instance_that_knows_its_names_is_told_nothing_of() -> None:
    assert of_web(whole()) == ""


def test_everybody_who_looks_is_told() -> None:
    case = old()
    text = of_web(case)
    assert text.startswith(OLD)
    assert text.endswith("until it is made anew: `hullmark move shop/web.1`")
    views = Standing(case.snapshot, ()).instances("shop")
    assert [(view.name, view.note) for view in views if view.note] == [("shop/web.1", text)]
    (web,) = reaches(case.survey, "shop", "web")
    assert web.notes == (text,)
    (api,) = reaches(case.survey, "shop", "api")
    assert api.notes == ()
    for name in ("api", "web"):  # whom it would call, and itself
        (service,) = why(case, "shop", name).services
        assert text in service.hints
        assert service.verdict is Verdict.OK, "who calls from elsewhere gets there"


def test_what_a_service_of_another_app_uses_counts_too() -> None:
    web = with_service(old(), "web", uses=("bank/db",), container=alone(whole()))
    assert of_web(web).startswith(OLD)


def alone(case: Case) -> Any:
    container = case.snapshot.apps["shop"].app.services["web"].container
    return dataclasses.replace(container, networks=())


def test_who_calls_nobody_misses_nothing() -> None:
    case = with_service(old(), "web", container=alone(whole()))
    assert of_web(case) == ""
    assert (
        why(case, "shop", "api").services[0].hints == why(whole(), "shop", "api").services[0].hints
    )


@pytest.mark.parametrize("what", ["data", "global", "constraints", "one host"])
def test_what_can_not_move_is_changed(what: str) -> None:
    case = old()
    if what == "data":
        volume = Mount(MountKind.VOLUME, "/data", "data")
        web = case.snapshot.apps["shop"].app.services["web"].container
        container = dataclasses.replace(web, networks=BACK, mounts=(volume,))
        case = with_service(case, "web", container=container)
    elif what == "global":
        case = with_service(case, "web", deploy=DeploySpec(mode=DeployMode.GLOBAL))
    elif what == "constraints":
        deploy = DeploySpec(placement=Placement(("node.hostname == h3",)))
        case = with_service(case, "web", deploy=deploy)
    else:
        hosts = {key: one for key, one in case.snapshot.hosts.items() if key == "id3"}
        case = with_snapshot(case, hosts=hosts)
    assert of_web(case).endswith(ANOTHER)
