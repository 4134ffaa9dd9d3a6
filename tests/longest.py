"""A plugin of pytest (`-p tests.longest`): files that take long come first, so that no worker is left alone with one at the end.

With xdist it needs `--no-loadscope-reorder`, without which the files with the most tests come first.
"""

from __future__ import annotations

import pytest

LONGEST = (
    "test_kill_nine",
    "test_silent_failures",
    "test_snapshots",
    "test_silent_auditd",
    "test_fleet_losses",
    "test_killed_deeds",
    "test_lifecycle",
    "test_pair_operating",
    "test_pair_ansible",
    "test_copies",
    "test_pair_cuts",
    "test_ansible",
    "test_unrecorded",
    "test_stale_orders",
    # of the unit suite, where every other waits more than it works
    "test_imports",
    "test_proxyrecords",
    "test_report",
    "test_electing",
    "test_hostile",
    "test_drill",
    "test_wire",
    "test_directories",
    "test_vouching_attacks",
)
"""By what they took when it was last measured, the longest first."""
_RANKS = {name: rank for rank, name in enumerate(LONGEST)}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _RANKS.get(item.path.stem, len(LONGEST)))
