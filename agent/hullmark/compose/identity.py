"""What makes an entry of a list the same entry in another file (Compose Specification, "Merge").

Each function gives the key of one entry, or None where the entry can't be understood: it then is like
no other, and the translation says what is wrong with it.
"""

from __future__ import annotations

from typing import Any, Optional

from hullmark.document import MapValue


def exact(entry: Any) -> Optional[str]:
    """The entry as text."""
    return None if isinstance(entry, (MapValue, list)) or entry is None else str(entry)


def env_file(entry: Any) -> Optional[str]:
    return exact(entry.get("path")) if isinstance(entry, MapValue) else exact(entry)


def port(entry: Any) -> Optional[str]:
    """Host address, published port, target and protocol."""
    if isinstance(entry, MapValue):
        address, published = entry.get("host_ip", ""), entry.get("published", "")
        target, protocol = entry.get("target"), entry.get("protocol", "tcp")
    elif exact(entry) is None:
        return None
    else:
        rest, _, protocol = str(entry).partition("/")
        rest, _, target = rest.rpartition(":")
        address, _, published = rest.rpartition(":")
    if target is None:
        return None
    address = "" if address in ("0.0.0.0", None) else address
    return f"{address}:{published}:{target}/{protocol or 'tcp'}"


def mount(entry: Any) -> Optional[str]:
    """The path in the container, of `volumes`, `devices` and `tmpfs`."""
    if isinstance(entry, MapValue):
        target = entry.get("target")
    else:
        parts = (exact(entry) or "").split(":")
        target = parts[1] if len(parts) > 1 and parts[1].startswith("/") else parts[0]
    return _path(target)


def secret(entry: Any) -> Optional[str]:
    return _file(entry, "/run/secrets/")


def config(entry: Any) -> Optional[str]:
    return _file(entry, "/")


def subnet(entry: Any) -> Optional[str]:
    return exact(entry.get("subnet")) if isinstance(entry, MapValue) else None


def _file(entry: Any, folder: str) -> Optional[str]:
    if isinstance(entry, MapValue):
        target = entry.get("target", entry.get("source"))
    else:
        target = exact(entry)
    if not isinstance(target, str) or not target:
        return None
    return _path(target if target.startswith("/") else folder + target)


def _path(target: Any) -> Optional[str]:
    if not isinstance(target, str) or not target:
        return None
    return target.rstrip("/") or "/"
