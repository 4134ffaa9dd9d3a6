"""A few rounds of chaos in every run of the tests. `make chaos` tries more, and keeps a ledger of what passed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.rounds import Bed
from tests.integration.namespaces import enter_private_network

SEEDS = (3, 5, 8)
KEPT = Path("build/chaos")


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    enter_private_network()
    with Bed(Path(tmp_path_factory.mktemp("chaos")) / "bed") as bed:
        yield bed


@pytest.mark.parametrize("seed", SEEDS)
def test_a_round_breaks_no_rule(bed: Bed, seed: int) -> None:
    broken = bed.round(seed)
    print("; ".join(f"{one.name} ({one.target}): {one.proof}" for one in bed.faults))
    if broken:
        kept = KEPT / str(seed)
        kept.mkdir(parents=True, exist_ok=True)
        bed.keep(kept)
    assert not broken, "\n".join(map(str, broken))
