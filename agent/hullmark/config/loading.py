"""From files to a configuration: the main file, then its drop-ins in lexical order; a later value wins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Generic, TypeVar

from hullmark.config.keys import AGENT_KEYS, MASTER_KEYS, AgentConfig, Key, MasterConfig
from hullmark.document import MapValue, line_of, problem_at, read
from hullmark.errors import InvalidInput, Problem

C = TypeVar("C", AgentConfig, MasterConfig)

AGENT_FILE = "/etc/hullmark/agent.yaml"
MASTER_FILE = "/etc/hullmark/master.yaml"


@dataclass(frozen=True)
class Loaded(Generic[C]):
    """A configuration, and for each dotted key where its value comes from: `FILE:LINE` or `default`."""

    config: C
    sources: Mapping[str, str]


def load_agent(path: str = AGENT_FILE) -> Loaded[AgentConfig]:
    """Raises InvalidInput with every problem found. A main file that doesn't exist is all defaults,
    if it is the standard one."""
    return _load(path, AGENT_FILE, AGENT_KEYS, AgentConfig)


def load_master(path: str = MASTER_FILE) -> Loaded[MasterConfig]:
    """As `load_agent`."""
    return _load(path, MASTER_FILE, MASTER_KEYS, MasterConfig)


def check(path: str, kind: str) -> None:
    """Validate one file by itself, drop-ins left out; `kind` is `agent` or `master`. Raises InvalidInput."""
    keys = AGENT_KEYS if kind == "agent" else MASTER_KEYS
    problems: list[Problem] = []
    _values([path], keys, problems)
    if problems:
        raise InvalidInput(problems)


def shown(loaded: Loaded[Any], kind: str) -> list[dict[str, Any]]:
    """Each key with its value, its source and its meaning, in order, as JSON values."""
    keys = AGENT_KEYS if kind == "agent" else MASTER_KEYS
    rows = []
    for key in keys:
        value = getattr(loaded.config, key.field)
        rows.append(
            {
                "key": key.name,
                "value": list(value) if isinstance(value, tuple) else value,
                "source": loaded.sources[key.name],
                "meaning": key.meaning,
            }
        )
    return rows


def _load(path: str, standard: str, keys: Sequence[Key], cls: type[C]) -> Loaded[C]:
    main = Path(path)
    drop_ins = main.with_suffix(".d")
    files = [] if path == standard and not main.exists() else [path]
    if drop_ins.is_dir():
        files += [str(file) for file in sorted(drop_ins.glob("*.yaml"))]
    problems: list[Problem] = []
    found = _values(files, keys, problems)
    if problems:
        raise InvalidInput(problems, remedy="mend the lines named; nothing was started")
    values = {key.field: key.default for key in keys}
    sources = {key.name: "default" for key in keys}
    for key in keys:
        if key.name in found:
            values[key.field], sources[key.name] = found[key.name]
    return Loaded(cls(**values), sources)


def _values(
    files: Sequence[str], keys: Sequence[Key], problems: list[Problem]
) -> dict[str, tuple[Any, str]]:
    """(value, source) by dotted key."""
    known = {key.name: key for key in keys}
    found: dict[str, tuple[Any, str]] = {}
    for file in files:
        try:
            document = read(file)
        except InvalidInput as error:
            problems += error.problems
            continue
        if document is None:
            continue
        if not isinstance(document, MapValue):
            problems.append(Problem("not a mapping", file=file, line=1, allowed="KEY: VALUE lines"))
            continue
        _take(document, "", known, found, problems)
    return found


def _take(
    mapping: MapValue,
    prefix: str,
    known: Mapping[str, Key],
    found: dict[str, tuple[Any, str]],
    problems: list[Problem],
) -> None:
    for name, value in mapping.items():
        dotted = prefix + name
        if dotted in known:
            try:
                file, line = line_of(mapping, name)
                found[dotted] = known[dotted].read(value), f"{file}:{line}"
            except ValueError as error:
                problems.append(problem_at(mapping, name, dotted, "bad value", str(error)))
        elif isinstance(value, MapValue) and any(key.startswith(dotted + ".") for key in known):
            _take(value, dotted + ".", known, found, problems)
        else:
            near = get_close_matches(dotted, known, n=1)
            hint = f"unknown key; did you mean {near[0]}?" if near else "unknown key"
            problems.append(problem_at(mapping, name, dotted, hint, ", ".join(sorted(known))))
