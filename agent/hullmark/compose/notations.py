"""Short and long forms of one thing, brought into one form so that they can be merged.

What is in neither form stays as it is: the translation says what is wrong with it.
"""

from __future__ import annotations

from typing import Any, Optional

from hullmark.document import ListValue, MapValue


def pairs(value: Any) -> Optional[MapValue]:
    """`- KEY=VALUE` and `- KEY` as a mapping; None where it is neither a mapping nor such a list."""
    if isinstance(value, MapValue):
        return value
    if not _all_text(value):
        return None
    out = MapValue(value.file, value.line)
    for index, item in enumerate(value):
        key, equals, text = item.partition("=")
        out.put(key, text if equals else None, value.lines[index], value.files[index])
    return out


def listed(value: Any, other: Any) -> Any:
    """A single entry as a list, where the other is a list."""
    if not isinstance(other, ListValue) or isinstance(value, (MapValue, ListValue)):
        return value
    out = ListValue(other.file, other.line)
    out.put(value, other.line)
    return out


def named(value: Any, condition: str) -> Any:
    """A list of names as a mapping, each with a condition, if there is one."""
    if not _all_text(value):
        return value
    out = MapValue(value.file, value.line)
    for index, name in enumerate(value):
        line, file = value.lines[index], value.files[index]
        item = None
        if condition:
            item = MapValue(file, line)
            item.put("condition", condition, line)
        out.put(name, item, line, file)
    return out


def hosts(base: Any, over: Any) -> tuple[Any, Any]:
    """`extra_hosts` of both as lists; the base without the hosts that `over` names."""
    base, over = _host_list(base), _host_list(over)
    if not (_all_text(base) and _all_text(over)):
        return base, over
    named_again = {_host(item) for item in over}
    kept = ListValue(base.file, base.line)
    for index, item in enumerate(base):
        if _host(item) not in named_again:
            kept.put(item, base.lines[index], base.files[index])
    return kept, over


def _host_list(value: Any) -> Any:
    """`HOST: ADDRESS` as `HOST=ADDRESS`; an address may be a list of them."""
    if not isinstance(value, MapValue):
        return value
    out = ListValue(value.file, value.line)
    for host, addresses in value.items():
        for address in addresses if isinstance(addresses, ListValue) else [addresses]:
            if not isinstance(address, str):
                return value
            out.put(f"{host}={address}", value.lines[host], value.files[host])
    return out


def _host(entry: str) -> str:
    return entry.partition("=")[0] if "=" in entry else entry.partition(":")[0]


def _all_text(value: Any) -> bool:
    return isinstance(value, ListValue) and all(isinstance(item, str) for item in value)
