"""How the check of the host's proxy looks at it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hullmark.agentd.proxylook import SETTLED_S, ProxySights
from hullmark.core.checks import JUDGES, Seen
from hullmark.engine.haproxy import Haproxy
from hullmark.host.eye import Eye
from hullmark.model.control import Status, Trouble
from hullmark.model.proxy import ProxyLook


def test_a_host_without_a_proxy(tmp_path: Path) -> None:
    sights = ProxySights(lambda: (tmp_path / "none", tmp_path / "run"), lambda: ())
    (reading,) = sights.look(Eye(), {})
    assert reading.trouble is Trouble.MISSING
    assert JUDGES["proxy.serving"](Seen((reading,))).status is Status.NOT_APPLICABLE


def test_one_that_does_not_answer_is_waited_for_as_long_as_a_reload_takes(tmp_path: Path) -> None:
    waited: list[float] = []
    told = ("changed by somebody else, and put back: haproxy.cfg",)
    places = tmp_path, tmp_path / "run"
    sights = ProxySights(lambda: places, lambda: told, waited.append, lambda: sum(waited))
    proxy, changes = sights.look(Eye(), {})
    assert sum(waited) == SETTLED_S
    assert (proxy.facts["up"], changes.text) == ("no", told[0])
    found = JUDGES["proxy.serving"](Seen((proxy, changes)))
    assert (found.status, "does not answer" in found.reason) == (Status.FAIL, True)


def test_one_that_takes_its_time_not_to_answer_is_not_waited_for_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A socket that nobody listens at any more is tried for a while at each look."""
    looks: list[float] = []

    def slow(haproxy: Haproxy) -> ProxyLook:
        looks.append(1.5)
        return ProxyLook(why="it does not answer")

    monkeypatch.setattr(Haproxy, "look", slow)
    places = tmp_path, tmp_path / "run"
    sights = ProxySights(lambda: places, lambda: (), lambda wait_s: None, lambda: sum(looks))
    proxy, _ = sights.look(Eye(), {})
    assert SETTLED_S <= sum(looks) < SETTLED_S + 1.5
    assert JUDGES["proxy.serving"](Seen((proxy,))).status is Status.FAIL
