"""The bytes that are signed where somebody vouches for an audit log: of a head by its daemon, of a seal by a master."""

from __future__ import annotations

import dataclasses

from hullmark.model.audit import Head, Seal
from hullmark.model.wire import canonical, to_wire


def of_head(head: Head) -> bytes:
    return canonical(to_wire(head))


def of_seal(seal: Seal) -> bytes:
    """Of all that the seal says but its signature."""
    return canonical(to_wire(dataclasses.replace(seal, signature="")))
