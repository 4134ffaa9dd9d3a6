"""Services and aliases with names that containers have for something else."""

from __future__ import annotations

import pytest

from hullmark.compose.takennames import IN_HOSTS_FILES, OF_PODMAN
from hullmark.core import hostnames
from tests.unit.compose.apps import build, web_warnings


def test_they_are_those_that_hosts_files_begin_with() -> None:
    written = {name for line in hostnames.LOOPBACK for name in line.split()[1:]}
    assert set(IN_HOSTS_FILES) == written
    assert OF_PODMAN == hostnames.OF_PODMAN


@pytest.mark.parametrize("name", [*IN_HOSTS_FILES, "LocalHost"])
def test_a_service(name: str) -> None:
    (found,) = build(f"services:\n  {name}: {{image: nginx, expose: [80]}}\n")[1]
    assert found == (
        f"compose.yaml:2: services.{name}: {name} means something else in every container:"
        f" callers need {name}.shop"
    )


def test_an_alias() -> None:
    (found,) = web_warnings(
        "networks:\n  back:\n    aliases: [db, localhost]", "networks: {back: {}}\n"
    )
    assert found == (
        "compose.yaml:5: services.web.networks.back: localhost means something else in every"
        " container: callers need web.shop"
    )


def test_a_link() -> None:
    text = """
        services:
          web: {image: nginx, links: ["db:ip6-loopback"]}
          db: {image: nginx}
    """
    (found,) = [one for one in build(text)[1] if "something else" in one]
    assert found.startswith("compose.yaml:4: services.db: ip6-loopback means something else")


def test_with_podman_the_host_has_names() -> None:
    (found,) = web_warnings(
        "networks: {back: {aliases: [host.docker.internal]}}", "networks: {back: {}}\n"
    )
    assert "host.docker.internal means something else in containers of Podman" in found


def test_other_names_are_quiet() -> None:
    aliases = "networks: {back: {aliases: [localhost.localdomain, db, local]}}"
    assert web_warnings(aliases, "networks: {back: {}}\n") == []
