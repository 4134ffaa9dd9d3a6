"""`extends`: a service that begins as a copy of another one, in the same file or in another.

Relative paths of a service in another folder are rewritten, so that they start in the project's folder.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from hullmark.compose.merging import Merging, copied
from hullmark.document import ListValue, MapValue, problem_at
from hullmark.errors import InvalidInput, Problem

MAX_CHAIN = 32
MAX_FILES = 32
MAX_VALUES = 200_000
"""Values of all copies together: twice what one file may hold."""


@dataclass(frozen=True)
class Source:
    """A file with services. `path` is as people named it, and `folder` is where its paths start."""

    path: Path
    folder: Path
    services: MapValue


Read = Callable[[Path], MapValue]
_Chain = tuple[tuple[Path, str], ...]


class Extending:
    """Resolves `extends` for one project. `read` gives a file's document, or raises InvalidInput."""

    def __init__(self, folder: Path, read: Read, problems: list[Problem]) -> None:
        self._folder = folder
        self._read = read
        self._problems = problems
        self._sources: dict[Path, Optional[Source]] = {}
        self._done: dict[tuple[Path, str], MapValue] = {}
        self._left = MAX_VALUES

    def resolve(self, source: Source, earlier: MapValue) -> MapValue:
        """The services of a file, none with `extends`. `earlier` are those of the files before it,
        which may be extended too."""
        out = MapValue(source.services.file, source.services.line)
        for name, service in source.services.items():
            if isinstance(service, MapValue) and "extends" in service:
                resolved: Any = self._service(source, name, (), earlier)
            else:
                resolved = service
            out.put(name, resolved, source.services.lines[name], source.services.files[name])
        return out

    def _service(self, source: Source, name: str, chain: _Chain, earlier: MapValue) -> MapValue:
        """A service with all that it extends. What is wrong is noted, and left out."""
        place = (source.path, name)
        if place in self._done:
            return self._done[place]
        own = self._moved(copied(source.services[name], keep_tags=True), source)
        wanted = own.get("extends")
        base: Any = None
        if wanted is not None:
            chain = (*chain, place)
            base = self._base(source, own, chain, earlier)
        own.drop("extends")
        if isinstance(base, MapValue):
            merging = Merging(keep_tags=True)
            own = merging.mappings(base, own, ("services", name))
            self._problems += merging.problems
            self._count(own)
        self._done[place] = own
        return own

    def _base(self, source: Source, own: MapValue, chain: _Chain, earlier: MapValue) -> Any:
        field = f"services.{chain[-1][1]}.extends"

        def wrong(message: str, allowed: str = "") -> None:
            self._problems.append(problem_at(own, "extends", field, message, allowed))

        wanted = _wanted(own["extends"])
        if wanted is None:
            wrong("this does not name a service", "a service, or a mapping with service and file")
            return None
        name, file = wanted
        other = self._source(source, file, wrong) if file else source
        if other is None:
            return None
        if name not in other.services:
            if not file and name in earlier:
                return earlier[name]
            wrong(f"there is no service {name!r} in {other.path}")
            return None
        if (other.path, name) in chain:
            steps = [step for _, step in chain[chain.index((other.path, name)) :]]
            wrong("services extend each other: " + " -> ".join([*steps, name]))
            return None
        if len(chain) >= MAX_CHAIN:
            wrong("a chain of services that extend each other is too long", f"{MAX_CHAIN} of them")
            return None
        if not isinstance(other.services[name], MapValue):
            wrong(f"service {name!r} in {other.path} is no mapping")
            return None
        return copied(self._service(other, name, chain, earlier))

    def _source(self, source: Source, file: str, wrong: Callable[..., None]) -> Optional[Source]:
        path = Path(os.path.normpath(source.folder / file))
        if path in self._sources:
            return self._sources[path]
        if len(self._sources) >= MAX_FILES:
            wrong("too many files are extended", f"{MAX_FILES} of them")
            return None
        found: Optional[Source] = None
        try:
            services = self._read(path).get("services")
        except InvalidInput as error:
            self._problems += error.problems
        else:
            if isinstance(services, MapValue):
                found = Source(path, path.parent, services)
            else:
                wrong(f"there are no services in {path}")
        self._sources[path] = found
        return found

    def _moved(self, service: MapValue, source: Source) -> MapValue:
        """Paths that start in the source's folder as ones that start in the project's."""
        way = os.path.relpath(source.folder.absolute(), self._folder)
        if way != ".":
            _move_volumes(service.get("volumes"), way)
            _move_env_files(service, way)
        return service

    def _count(self, value: Any) -> None:
        self._left -= _weight(value)
        if self._left < 0:
            message = "services with `extends` become too large"
            raise InvalidInput([problem_at(value, None, "services", message)])


def _wanted(value: Any) -> Optional[tuple[str, str]]:
    """(service, file or nothing) of an `extends`; None where it is in no form."""
    if isinstance(value, str) and value:
        return value, ""
    if not isinstance(value, MapValue) or set(value) - {"service", "file"}:
        return None
    service, file = value.get("service"), value.get("file", "")
    if isinstance(service, str) and service and isinstance(file, str):
        return service, file
    return None


def _move_volumes(volumes: Any, way: str) -> None:
    for index, entry in enumerate(volumes if isinstance(volumes, ListValue) else []):
        if isinstance(entry, str) and entry.startswith("."):
            source, colon, rest = entry.partition(":")
            volumes[index] = _moved(source, way) + colon + rest
        elif isinstance(entry, MapValue) and entry.get("type") == "bind" and "source" in entry:
            entry["source"] = _moved(entry["source"], way)


def _move_env_files(service: MapValue, way: str) -> None:
    value: Any = service.get("env_file")
    if isinstance(value, str):
        service["env_file"] = _moved(value, way)
    for index, entry in enumerate(value if isinstance(value, ListValue) else []):
        if isinstance(entry, MapValue) and "path" in entry:
            entry["path"] = _moved(entry["path"], way)
        else:
            value[index] = _moved(entry, way)


def _moved(path: Any, way: str) -> Any:
    """A relative path further on its way; anything else as it is."""
    if not isinstance(path, str) or not path or path[0] in "/~":
        return path
    moved = os.path.normpath(f"{way}/{path}")
    return moved if moved.startswith(".") else f"./{moved}"


def _weight(value: Any) -> int:
    if isinstance(value, MapValue):
        return 1 + sum(_weight(item) for item in value.values())
    return 1 + sum(_weight(item) for item in value) if isinstance(value, ListValue) else 1
