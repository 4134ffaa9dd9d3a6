"""A few rounds of chaos in every run of the tests. `make chaos` tries more, and keeps a ledger of what passed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.pair import Links
from tests.chaos.rounds import Bed
from tests.integration.namespaces import HostNetwork, enter_private_network

SEEDS = (33, 5, 13)
"""Proxies are killed and stopped, a host is rebooted, the leader and a link are cut off."""
KEPT = Path("build/chaos")


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    enter_private_network()
    with Bed(Path(tmp_path_factory.mktemp("chaos")) / "bed") as bed:
        yield bed


def test_cuts_are_healed_where_a_machine_was_booted_meanwhile() -> None:
    enter_private_network()
    with HostNetwork("one", "192.0.2.31") as one, HostNetwork("other", "192.0.2.32") as other:
        links = Links({"one": one, "other": other})
        links.cut_both("one", "other")
        assert [rules(machine).count("DROP") for machine in (one, other)] == [1, 1]
        one.renew()
        links.heal()
        assert [rules(machine).count("DROP") for machine in (one, other)] == [0, 0]


def rules(machine: HostNetwork) -> str:
    command = [*machine.inside, "iptables", "-S", "INPUT"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


@pytest.mark.parametrize("seed", SEEDS)
def test_a_round_breaks_no_rule(bed: Bed, seed: int) -> None:
    broken = bed.round(seed)
    print("; ".join(f"{one.name} ({one.target}): {one.proof}" for one in bed.faults))
    if broken:
        kept = KEPT / str(seed)
        kept.mkdir(parents=True, exist_ok=True)
        bed.keep(kept)
    assert not broken, "\n".join(map(str, broken))
