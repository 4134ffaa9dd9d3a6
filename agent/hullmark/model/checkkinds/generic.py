from __future__ import annotations

from collections.abc import Mapping

from hullmark.model.checkkinds.form import Kind

KINDS: Mapping[str, Kind] = {}
