"""Which events come of the agent's own deeds."""

from __future__ import annotations

import pytest

from hullmark.core.byhand import Sign
from hullmark.core.owndeeds import Own, covers, repository

STOP = Own("container.stop", "shop.web.1.g1", "ab12", 100.0, 110.0)


def sign(action: str, at: float = 105.0, subject_id: str = "ab12", **fields: str) -> Sign:
    return Sign("container", action, subject_id, "shop.web.1.g1", at, fields)


def test_by_kind_container_and_time() -> None:
    assert covers(STOP, sign("kill"))
    assert covers(STOP, sign("stop", 111.0))
    assert not covers(STOP, sign("start"))
    assert not covers(STOP, sign("kill", subject_id="cd34"))
    assert not covers(STOP, sign("kill", 99.0))
    assert not covers(STOP, sign("kill", 112.5))
    assert not covers(STOP, Sign("volume", "destroy", "ab12", "ab12", 105.0))
    assert not covers(Own("mystery", "web", "ab12", 100.0), sign("kill"))


def test_one_that_goes_on_has_no_end() -> None:
    going = Own("container.stop", "shop.web.1.g1", "ab12", 100.0)
    assert covers(going, sign("stop", 9999.0))


def test_a_container_that_has_no_id_yet_goes_by_its_name() -> None:
    making = Own("container.create", "shop.web.1.g1", "", 100.0)
    assert covers(making, sign("create"))
    assert not covers(making, Sign("container", "create", "ab12", "other", 105.0))


def test_a_network_that_a_container_is_put_on_goes_by_the_container() -> None:
    """Podman doesn't tell of the network."""
    own = Own("network.connect", "shop_back", "ab12", 100.0, 110.0)
    assert covers(own, sign("connect"))
    assert not covers(own, sign("disconnect"))
    assert not covers(own, sign("connect", subject_id="cd34"))


def test_a_command_goes_by_its_own_id_where_the_engine_tells_it() -> None:
    running = Own("container.exec", "shop.web.1.g1", "ab12", 100.0, 110.0, exec_id="e1")
    assert covers(running, sign("exec_create", execID="e1"))
    assert not covers(running, sign("exec_create", execID="e2"))
    assert covers(running, sign("exec_create"))


def test_images_networks_and_volumes_go_by_name() -> None:
    pull = Own("image.pull", "docker.io/library/web:1@sha256:aa", "", 100.0)
    assert covers(pull, Sign("image", "pull", "sha256:1", "web", 105.0))
    assert not covers(pull, Sign("image", "pull", "sha256:1", "web2", 105.0))
    assert not covers(pull, Sign("image", "delete", "sha256:1", "web", 105.0))
    volume = Own("volume.create", "shop_data", "", 100.0)
    assert covers(volume, Sign("volume", "create", "", "shop_data", 105.0))
    assert not covers(volume, Sign("volume", "create", "", "other", 105.0))


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("web", "web"),
        ("docker.io/library/web:1", "web"),
        ("r:5000/team/web@sha256:aa", "r:5000/team/web"),
        ("r:5000/team/web:1", "r:5000/team/web"),
        ("", ""),
    ],
)
def test_repositories(reference: str, name: str) -> None:
    assert repository(reference) == name
