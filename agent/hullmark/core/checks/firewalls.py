from __future__ import annotations

from collections.abc import Mapping

from hullmark.core.checks import firewalldzones, nftcompared, ufwcompared
from hullmark.core.checks.judge import Judge

JUDGES: Mapping[str, Judge] = {
    "firewalls.nftables": nftcompared.judge,
    "firewalls.ufw": ufwcompared.judge,
    "firewalls.firewalld_daemon": firewalldzones.judge_daemon,
    "firewalls.firewalld": firewalldzones.judge,
}
