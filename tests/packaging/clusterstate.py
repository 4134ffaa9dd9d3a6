"""How a cluster stands, apart from what controls found: a stock host has few of the tools that they look for."""

from __future__ import annotations

import json

from tests.hosts import Host


def all_is_well(master: Host) -> bool:
    """Nothing else is wrong, by the word of the master on this host. What it says is in the output of a test that fails."""
    done = master.run(["hullmark", "status", "--output", "json"], check=False)
    print(done.stdout, done.stderr)
    if done.returncode not in (0, 1):
        return False
    status = json.loads(done.stdout)
    notes = [note for note in status["notes"] if not note.startswith("incident ")]
    return not notes and status["known"] and status["hosts_ready"] == status["hosts_total"] > 0
