"""From files to a configuration: the main file, then its drop-ins in lexical order; a later value wins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Generic, Optional, TypeVar

from hullmark.config import crosschecks, ownership
from hullmark.config.keys import AGENT_KEYS, MASTER_KEYS, AgentConfig, Key, MasterConfig
from hullmark.document import MapValue, line_of, problem_at, read
from hullmark.errors import InvalidInput, Problem

C = TypeVar("C", AgentConfig, MasterConfig)

SHOWN_MAX = 60
AGENT_FILE = "/etc/hullmark/agent.yaml"
MASTER_FILE = "/etc/hullmark/master.yaml"


@dataclass(frozen=True)
class Loaded(Generic[C]):
    """A configuration, and for each dotted key where its value comes from: `FILE:LINE` or `default`. `files`: what was
    read, in that order."""

    config: C
    sources: Mapping[str, str]
    files: tuple[str, ...] = ()


def load_agent(path: str = AGENT_FILE, *, owned: bool = False) -> Loaded[AgentConfig]:
    """Raises InvalidInput with every problem found. A main file that doesn't exist is all defaults,
    if it is the standard one. `owned`: files that somebody else may change are a problem too, as for a daemon."""
    return _load(path, AGENT_FILE, AGENT_KEYS, AgentConfig, owned=owned)


def load_master(path: str = MASTER_FILE, *, owned: bool = False) -> Loaded[MasterConfig]:
    """As `load_agent`."""
    return _load(path, MASTER_FILE, MASTER_KEYS, MasterConfig, owned=owned)


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


def _load(path: str, standard: str, keys: Sequence[Key], cls: type[C], *, owned: bool) -> Loaded[C]:
    problems: list[Problem] = []
    files: list[str] = [] if path == standard and _is_missing(path) else [path]
    files += drop_ins(Path(path).with_suffix(".d"), problems)
    if owned:
        paths = (Path(path), *map(Path, files))
        problems += ownership.problems(paths, inside=Path(path).parent)
    found = _values(files, keys, problems)
    values = {key.name: found.get(key.name, (key.default, ""))[0] for key in keys}
    sources = {key.name: found.get(key.name, (None, "default"))[1] for key in keys}
    if keys is MASTER_KEYS and not problems:
        problems += crosschecks.master_problems(values, sources)
    if problems:
        raise InvalidInput(problems, remedy="mend what is named")
    config = cls(**{key.field: values[key.name] for key in keys})
    return Loaded(config, sources, tuple(files))


def _is_missing(path: str) -> bool:
    """Not so for a file that is there and can't be seen: reading it says why."""
    try:
        Path(path).stat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def drop_ins(folder: Path, problems: list[Problem]) -> list[str]:
    """The folder's `*.yaml` in lexical order. Hidden files are editors' and installers' drafts."""
    try:
        files = sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        problems.append(Problem((error.strerror or str(error)).lower(), file=str(folder)))
        return []
    visible = [file for file in files if not file.name.startswith(".")]
    for file in visible:
        if file.suffix == ".yml":
            problems.append(Problem("would not be read", file=str(file), allowed="NAME.yaml"))
    return [str(file) for file in visible if file.suffix == ".yaml"]


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
            problem = _set(mapping, name, known[dotted], found)
        elif not any(key.startswith(dotted + ".") for key in known):
            groups = {key.rpartition(".")[0] for key in known} - {""}
            near = get_close_matches(dotted, [*known, *sorted(groups)], n=1)
            hint = f"unknown key; did you mean {near[0]}?" if near else "unknown key"
            problem = problem_at(mapping, name, dotted, hint, ", ".join(sorted(known)))
        elif isinstance(value, MapValue):
            _take(value, dotted + ".", known, found, problems)
            continue
        elif value is None:  # a group whose keys are all commented out
            continue
        else:
            problem = problem_at(mapping, name, dotted, "not a mapping", "KEY: VALUE lines")
        if problem is not None:
            problems.append(problem)


def _set(
    mapping: MapValue, name: str, key: Key, found: dict[str, tuple[Any, str]]
) -> Optional[Problem]:
    """Take a key's value over, unless it is wrong or the same file has set the key already."""
    file, line = line_of(mapping, name)
    before = found[key.name][1] if key.name in found else ""
    if before.rpartition(":")[0] == file:
        return problem_at(mapping, name, key.name, f"stands here and in {before}")
    try:
        found[key.name] = key.read(mapping[name]), f"{file}:{line}"
    except ValueError as error:
        return problem_at(mapping, name, key.name, _bad(mapping[name]), str(error))
    return None


def _bad(value: Any) -> str:
    """No key of a configuration holds a secret, so a single value is shown."""
    if value is None or not isinstance(value, (str, int, float)):
        return "bad value"
    text = str(value)
    shown_text = text if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]}..."
    return f"bad value {shown_text!r}"
