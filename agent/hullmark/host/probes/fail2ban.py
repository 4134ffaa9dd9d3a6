from __future__ import annotations

from collections.abc import Mapping

from hullmark.host.eye import Probe

PROBES: Mapping[str, Probe] = {}
