"""Every kind of check: one module for each family of tools, each with its KINDS. The words of a kind are `family.what`; the generic ones,
from which a site makes checks of its own, are one word."""

from __future__ import annotations

from collections.abc import Mapping

from hullmark.model.checkkinds import (
    aide,
    audittrail,
    clamav,
    clocks,
    containers,
    engines,
    fail2ban,
    firewalls,
    forwarding,
    generic,
    journal,
    logfiles,
    proxy,
    syslogs,
    updates,
    watchedfiles,
)
from hullmark.model.checkkinds.form import Form, Kind, Parameter

_FAMILIES = (
    audittrail,
    syslogs,
    journal,
    logfiles,
    aide,
    clamav,
    fail2ban,
    clocks,
    updates,
    firewalls,
    engines,
    containers,
    generic,
    watchedfiles,
    forwarding,
    proxy,
)
KINDS: Mapping[str, Kind] = {
    name: kind for family in _FAMILIES for name, kind in family.KINDS.items()
}

__all__ = ["KINDS", "Form", "Kind", "Parameter"]
