"""The host's own proxy, by which services reach each other."""

from __future__ import annotations

from collections.abc import Mapping

from hullmark.model.checkkinds.form import Kind
from hullmark.model.control import SELF_REPORT

KINDS: Mapping[str, Kind] = {
    "proxy.serving": Kind(
        "the proxy answers, was not started by itself since the look before, runs with the configuration in its files, and these are as the agent wrote them",
        level=SELF_REPORT,
        interval_s=5.0,
        timeout_s=15.0,
        not_exercised="no connection is made through it: what each service comes to, `hullmark services` shows",
    ),
}
