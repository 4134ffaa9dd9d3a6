"""How the check of the host's proxy looks at it."""

from __future__ import annotations

from pathlib import Path

from hullmark.agentd.proxylook import SETTLED_S, ProxySights
from hullmark.core.checks import JUDGES, Seen
from hullmark.host.eye import Eye
from hullmark.model.control import Status, Trouble


def test_a_host_without_a_proxy(tmp_path: Path) -> None:
    sights = ProxySights(lambda: (tmp_path / "none", tmp_path / "run"), lambda: ())
    (reading,) = sights.look(Eye(), {})
    assert reading.trouble is Trouble.MISSING
    assert JUDGES["proxy.serving"](Seen((reading,))).status is Status.NOT_APPLICABLE


def test_one_that_does_not_answer_is_waited_for_as_long_as_a_reload_takes(tmp_path: Path) -> None:
    waited: list[float] = []
    told = ("changed by somebody else, and put back: haproxy.cfg",)
    sights = ProxySights(lambda: (tmp_path, tmp_path / "run"), lambda: told, waited.append)
    proxy, changes = sights.look(Eye(), {})
    assert sum(waited) == SETTLED_S
    assert (proxy.facts["up"], changes.text) == ("no", told[0])
    found = JUDGES["proxy.serving"](Seen((proxy, changes)))
    assert (found.status, "does not answer" in found.reason) == (Status.FAIL, True)
