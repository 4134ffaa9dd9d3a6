"""What a host's proxy is to do, from what the leader and the agent know."""

from __future__ import annotations

from hullmark.model.proxy import ProxySight
from hullmark.model.proxyplan import ProxyPlan


def plan(sight: ProxySight) -> ProxyPlan:
    """The same sight gives the same plan, whatever the order of what is in it. What can't be written safely (a name or address that is none) is left out."""
    return ProxyPlan(host_id=sight.host_id)
