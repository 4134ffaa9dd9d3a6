from __future__ import annotations

from collections.abc import Mapping

from hullmark.core.checks.judge import Judge

JUDGES: Mapping[str, Judge] = {}
