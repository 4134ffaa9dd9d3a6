"""Placement constraints and platforms: may this service run on that kind of host at all?

A constraint is `KEY == VALUE` or `KEY != VALUE`, as in Docker Swarm. A host that lacks a label
satisfies `!=` and fails `==`. `node.facts.*` are what the host says of itself.
"""

from __future__ import annotations

import re
from typing import Optional

from hullmark.model.host import HostFacts, HostRecord

LABEL = "node.labels."
_ARCHITECTURE_KEY = "node.platform.arch"
_FACTS = {
    "node.facts.os": "os",
    "node.facts.kernel": "kernel",
    "node.facts.engine": "engine",
}
"""Constraint keys to fields of `HostFacts`. Versions are compared as a whole: there is no "newer than"."""
_CONSTRAINT = re.compile(r"\s*(?P<key>[A-Za-z0-9._/-]+)\s*(?P<test>==|!=)\s*(?P<value>.*?)\s*")

# Kernel names of architectures to the names that images use (the Go project's).
_ARCHITECTURES = {
    "x86_64": "amd64",
    "x86-64": "amd64",
    "aarch64": "arm64",
    "armv7l": "arm",
    "armv6l": "arm",
    "armhf": "arm",
    "i386": "386",
    "i686": "386",
}


def architecture(name: str) -> str:
    """One name for an architecture that has several: the one that image references use."""
    lowered = name.lower()
    return _ARCHITECTURES.get(lowered, lowered)


def failing(
    constraints: tuple[str, ...], host: HostRecord, facts: Optional[HostFacts]
) -> Optional[str]:
    """The first constraint that the host doesn't satisfy. Without facts (the host has not been heard)
    what depends on them counts as satisfied."""
    for constraint in constraints:
        if not _holds(constraint, host, facts):
            return constraint
    return None


def value(key: str, host: HostRecord, facts: Optional[HostFacts]) -> Optional[str]:
    """What the host has under a key of a constraint or a preference: empty for a label that it lacks, None
    for a key that nobody knows, and for one that depends on facts where there are none."""
    if key == "node.id":
        return host.host_id
    if key == "node.hostname":
        return host.name
    if key == "node.platform.os":
        return "linux"
    if key == _ARCHITECTURE_KEY:
        return None if facts is None else architecture(facts.architecture)
    if key in _FACTS:
        return None if facts is None else str(getattr(facts, _FACTS[key]))
    if key.startswith(LABEL):
        return host.labels.get(key[len(LABEL) :], "")
    return None


def _holds(constraint: str, host: HostRecord, facts: Optional[HostFacts]) -> bool:
    match = _CONSTRAINT.fullmatch(constraint)
    if match is None:
        return False
    key, wanted = match["key"], match["value"]
    known = value(key, host, facts)
    if facts is None and (key == _ARCHITECTURE_KEY or key in _FACTS):
        return True
    if key == _ARCHITECTURE_KEY:
        wanted = architecture(wanted)
    return known is not None and (known == wanted) is (match["test"] == "==")


def platform_fits(platform: str, facts: HostFacts) -> bool:
    """Whether a host runs images of this platform, `os/architecture[/variant]` or one of the first two.
    The variant is left to the engine, which knows the processor better."""
    if not platform:
        return True
    parts = platform.lower().split("/")
    if parts[0] == "linux":
        parts = parts[1:]
    return not parts or architecture(parts[0]) == architecture(facts.architecture)
