"""The mark over three hosts: one that fails is emptied where that is asked for; where two fail, nothing moves and a person decides."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.cluster import wait_until
from tests.e2e.fleet_apps import apply, by_host, web
from tests.fleet import Fleet

CONTROL = """\
controls:
  - id: our-file
    function: site-file
    title: Our file
    remediation: write it again
    checks:
      - id: says
        kind: file_content
        path: {path}
        must_match: "^all is well$"
        interval: 1s
        timeout: 1s
"""
DRAIN_AFTER_S = 2
MARK = f"require: [site-file]\ndrain: true\ndrain_after: {DRAIN_AFTER_S}s\n"


class Marked:
    """The three hosts, each with a control on a file of its own."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.files = {name: fleet.folder / f"{name}-watched.txt" for name in fleet.hosts}
        self.site = {
            name: fleet.folder / f"{name}-controls" / "controls.d" / "10-own.yaml"
            for name in fleet.hosts
        }

    def begin(self) -> None:
        for name, file in self.files.items():
            file.write_text("all is well\n")
            self.site[name].write_text(CONTROL.format(path=file))
        file = self.fleet.folder / "mark.yaml"
        file.write_text(MARK)
        self.fleet.hullmark("mark", "set", str(file), "--ticket", "CHG-1")
        wait_until(lambda: self.fleet.look("mark", "status").returncode == 0, "all prove it")

    def end(self) -> None:
        for file in self.site.values():
            file.unlink()
        self.fleet.hullmark("mark", "clear")

    def fail(self, host: str) -> None:
        self.files[host].write_text("all is lost\n")
        wait_until(lambda: host in self.fleet.look("mark", "status").stdout, f"{host} fails")

    def count(self) -> dict[str, int]:
        return {host: len(slots) for host, slots in by_host(self.fleet, "shop").items()}


@pytest.fixture
def marked(fleet: Fleet) -> Iterator[Marked]:
    made = Marked(fleet)
    made.begin()
    yield made
    made.end()


def test_one_is_emptied_and_two_are_the_brake(marked: Marked) -> None:
    fleet = marked.fleet
    first, second, third = marked.files
    apply(fleet, "shop", web(3, deploy="      update_config: {monitor: 1s}\n"))
    assert marked.count() == {first: 1, second: 1, third: 1}

    marked.fail(first)
    wait_until(lambda: marked.count()[first] == 0, "it is emptied", 40.0)
    assert sum(marked.count().values()) == 3

    lives = fleet.lives("shop")
    marked.fail(second)
    status = wait_until(lambda: _braked(fleet.look("status").stdout), "the brake is on")
    assert "fails on 2 of 3 hosts that would do" in status
    fleet.hullmark("scale", "shop/web=5", "--no-wait")
    time.sleep(DRAIN_AFTER_S + 1.0)
    assert fleet.lives("shop") == lives, "nothing moves, and nothing is placed"
    told = fleet.run("explain", "shop").stdout
    assert 'control "site file" FAILS' in told
    assert ": a person decides" in told

    assert fleet.run("scale", "shop/web=5", "--override-mark").returncode == 2
    fleet.hullmark("scale", "shop/web=5", "--override-mark", "--ticket", "INC-1", "--wait")
    assert lives < fleet.lives("shop")
    assert len(fleet.running("shop")) == 5
    assert "by app shop" in fleet.run("mark", "status").stdout


def _braked(text: str) -> str:
    return text if "the mark's brake is on" in text else ""
