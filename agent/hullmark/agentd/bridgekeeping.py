"""Podman's bridges keep the hardware address that they have when they are first seen (`host/bridgeaddress.py`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Callable

from hullmark import log
from hullmark.engine.protocol import Engine
from hullmark.errors import HullmarkError
from hullmark.host import bridgeaddress
from hullmark.model.proxy import Bridge

_log = log.get("bridges")


class BridgeKeeping:
    """One thread's."""

    def __init__(self, engine: Engine, keep: Callable[[str], None] = bridgeaddress.keep) -> None:
        self._engine = engine
        self._keep = keep
        self._kept: set[tuple[str, int]] = set()

    def follow(self, bridges: Iterable[Bridge]) -> None:
        """Once for each. One that fails takes only its callers' way for a while, when a container comes or goes."""
        here = {(one.interface, one.index) for one in bridges}
        self._kept &= here
        try:
            podman = bool(here - self._kept) and self._engine.info().name == "podman"
        except HullmarkError:
            return
        for name, index in sorted(here - self._kept):
            self._kept.add((name, index))
            try:
                if podman:
                    self._keep(name)
            except HullmarkError as error:
                _log.warning("its hardware address may change", bridge=name, why=error.message)
