"""One document over another (Compose Specification, "Merge and override").

Mappings are merged key by key, lists are appended, and other values are replaced. The table says where
it is otherwise. Every value keeps the file and line that it came from, and neither side is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Optional

from hullmark.compose import identity, notations
from hullmark.document import ListValue, MapValue, Tagged, line_of, problem_at
from hullmark.errors import Problem

RESET = "!reset"
OVERRIDE = "!override"
TAGS = (RESET, OVERRIDE)

Path = tuple[str, ...]
_Identity = Callable[[Any], Optional[str]]

_UNIQUE: Mapping[str, _Identity] = {
    "services.*.cap_add": identity.exact,
    "services.*.cap_drop": identity.exact,
    "services.*.configs": identity.config,
    "services.*.devices": identity.mount,
    "services.*.dns": identity.exact,
    "services.*.dns_opt": identity.exact,
    "services.*.dns_search": identity.exact,
    "services.*.env_file": identity.env_file,
    "services.*.expose": identity.exact,
    "services.*.group_add": identity.exact,
    "services.*.links": identity.exact,
    "services.*.networks": identity.exact,
    "services.*.networks.*.aliases": identity.exact,
    "services.*.ports": identity.port,
    "services.*.profiles": identity.exact,
    "services.*.secrets": identity.secret,
    "services.*.security_opt": identity.exact,
    "services.*.tmpfs": identity.mount,
    "services.*.volumes": identity.mount,
    "networks.*.ipam.config": identity.subnet,
}
"""Lists that hold an entry once: a later file's takes the place of an earlier one's."""

_PAIRS = frozenset(
    [
        "configs.*.labels",
        "networks.*.driver_opts",
        "networks.*.labels",
        "secrets.*.labels",
        "services.*.annotations",
        "services.*.build.args",
        "services.*.build.labels",
        "services.*.deploy.labels",
        "services.*.environment",
        "services.*.labels",
        "services.*.sysctls",
        "volumes.*.driver_opts",
        "volumes.*.labels",
    ]
)
"""`KEY=VALUE` lists, merged as the mappings that they stand for. A key without a value counts."""

_REPLACED = frozenset(
    ["services.*.command", "services.*.entrypoint", "services.*.healthcheck.test"]
)
_NAMED = frozenset(["services.*.depends_on", "services.*.networks"])
"""Lists of names, or mappings whose keys are these names."""
_LISTED = frozenset(
    ["services.*.dns", "services.*.dns_search", "services.*.env_file", "services.*.tmpfs"]
)
"""A list, or a single entry."""
_EITHER = frozenset(["services.*.build", "services.*.ulimits.*"])
"""A single value or a mapping, which takes the place of the other."""


class Merging:
    """Merges documents and collects what can't be merged. `keep_tags` leaves `!reset` and `!override`
    on the values, for a merge that comes later."""

    def __init__(self, *, keep_tags: bool = False) -> None:
        self.keep_tags = keep_tags
        self.problems: list[Problem] = []

    def mappings(self, base: MapValue, over: MapValue, path: Path = ()) -> MapValue:
        out = MapValue(over.file, over.line)
        for key, value in base.items():
            out.put(key, value, base.lines[key], base.files[key])
        for key, value in over.items():
            self._put(out, key, value, over, (*path, key))
        return out

    def _put(self, out: MapValue, key: str, value: Any, over: MapValue, path: Path) -> None:
        line, file = over.lines[key], over.files[key]
        if isinstance(value, Tagged):
            if self.keep_tags:
                out.put(key, value, line, file)
            elif value.tag == RESET:
                out.drop(key)
            else:
                out.put(key, copied(value.value), line, file)
        elif key not in out:
            out.put(key, value if self.keep_tags else copied(value), line, file)
        else:
            base = out[key]
            if isinstance(base, Tagged):
                base = None if base.tag == RESET else base.value
            merged = self._values(base, value, path, (out, over))
            if merged is not base:
                out.put(key, merged, line, file)

    def _values(self, base: Any, over: Any, path: Path, at: tuple[MapValue, MapValue]) -> Any:
        where = _pattern(path)
        if where in _REPLACED:
            return over
        if over is None:
            return None if _pattern(path[:-1]) in _PAIRS else base
        if base is None:
            return over if self.keep_tags else copied(over)
        if where == "services.*.logging" and _another_driver(base, over):
            return over
        base, over = _alike(base, over, where)
        if isinstance(base, MapValue) and isinstance(over, MapValue):
            return self.mappings(base, over, path)
        if isinstance(base, ListValue) and isinstance(over, ListValue):
            return _appended(base, over, where)
        if where not in _EITHER and (_is_container(base) or _is_container(over)):
            self._clash(base, over, path, at)
        return over

    def _clash(self, base: Any, over: Any, path: Path, at: tuple[MapValue, MapValue]) -> None:
        file, line = line_of(at[0], path[-1])
        message = f"{_kind(over)} here, but {_kind(base)} in {file}:{line}"
        allowed = "the same form in both, or !override"
        self.problems.append(problem_at(at[1], path[-1], ".".join(path), message, allowed))


def copied(value: Any, *, keep_tags: bool = False) -> Any:
    """A copy with all places. Without tags, what is `!reset` is gone, and `!override` has no meaning."""
    if isinstance(value, Tagged):
        if keep_tags:
            return Tagged(value.tag, copied(value.value, keep_tags=True))
        return None if value.tag == RESET else copied(value.value)
    if isinstance(value, MapValue):
        mapping = MapValue(value.file, value.line)
        for key, item in value.items():
            if keep_tags or not _is_reset(item):
                kept = copied(item, keep_tags=keep_tags)
                mapping.put(key, kept, value.lines[key], value.files[key])
        return mapping
    if isinstance(value, ListValue):
        items = ListValue(value.file, value.line)
        for index, item in enumerate(value):
            if keep_tags or not _is_reset(item):
                kept = copied(item, keep_tags=keep_tags)
                items.put(kept, value.lines[index], value.files[index])
        return items
    return value


def _pattern(path: Path) -> str:
    """The path with a star for what people name: a service, a network, a network of a service."""
    parts = list(path)
    if len(parts) > 1:
        parts[1] = "*"
    if len(parts) > 3 and parts[0] == "services" and parts[2] in ("networks", "ulimits"):
        parts[3] = "*"
    return ".".join(parts)


def _alike(base: Any, over: Any, where: str) -> tuple[Any, Any]:
    """Both in one form, where the table knows two."""
    if where in _PAIRS:
        pairs = notations.pairs(base), notations.pairs(over)
        return (base, over) if None in pairs else pairs
    if where in _LISTED:
        return notations.listed(base, over), notations.listed(over, base)
    if where == "services.*.extra_hosts":
        return notations.hosts(base, over)
    if where in _NAMED and isinstance(base, MapValue) != isinstance(over, MapValue):
        condition = "service_started" if where == "services.*.depends_on" else ""
        return notations.named(base, condition), notations.named(over, condition)
    return base, over


def _appended(base: ListValue, over: ListValue, where: str) -> ListValue:
    key_of = _UNIQUE.get(where)
    out = ListValue(over.file, over.line)
    places: dict[str, int] = {}
    for items in (base, over):
        for index, item in enumerate(items):
            key = key_of(item) if key_of else None
            if key is not None and key in places:
                out.replace(places[key], copied(item), items.lines[index], items.files[index])
            elif not _is_reset(item):
                if key is not None:
                    places[key] = len(out)
                out.put(copied(item), items.lines[index], items.files[index])
    return out


def _another_driver(base: Any, over: Any) -> bool:
    if not (isinstance(base, MapValue) and isinstance(over, MapValue)):
        return False
    return "driver" in base and "driver" in over and base["driver"] != over["driver"]


def _is_reset(value: Any) -> bool:
    return isinstance(value, Tagged) and value.tag == RESET


def _is_container(value: Any) -> bool:
    return isinstance(value, (MapValue, ListValue))


def _kind(value: Any) -> str:
    if isinstance(value, MapValue):
        return "a mapping"
    return "a list" if isinstance(value, ListValue) else "a single value"
