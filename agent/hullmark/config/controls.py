"""Controls files: which checks make a control, from YAML to `model.control.ControlSpec`, each with its file and line.

What is shipped is read first, then the site's. A site's control replaces the shipped one of the same id whole, or says only
`enabled: false`. Two of the site's with one id are a mistake, and so are two that are shipped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path

from hullmark.config import controlreading, ownership
from hullmark.config.controlreading import Entry
from hullmark.config.loading import drop_ins
from hullmark.document import MapValue, name_of, parse, problem_at, read_bytes
from hullmark.errors import InvalidInput, Problem
from hullmark.launchers import shipped
from hullmark.model.control import ControlSpec

CONTROLS_DIR = "/etc/hullmark/controls.d"
SHIPPED = "controls.d"
REMEDY = "mend what is named; hullmark config check control FILE checks one file"
CONTROLS_MOST = 1000


@dataclass(frozen=True)
class Controls:
    """`specs` in the order of their ids, those that are switched off among them. `files` are those read, the shipped ones
    first; `digest` is of their names and content, and the same as long as they are."""

    specs: tuple[ControlSpec, ...]
    files: tuple[str, ...]
    digest: str


@dataclass
class _Reading:
    problems: list[Problem] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    content: list[bytes] = field(default_factory=list)


def shipped_controls() -> str:
    """The folder of those that come with Hullmark."""
    return str(shipped(SHIPPED))


def load_controls(shipped_dir: str, site_dir: str = CONTROLS_DIR) -> Controls:
    """Of two folders, of which the site's need not exist. Raises InvalidInput with every problem found, also for what others
    than root and this user may change in the site's."""
    reading = _Reading()
    ours = _shipped(reading, shipped_dir)
    files = drop_ins(Path(site_dir), reading.problems)
    reading.problems += ownership.problems((Path(site_dir), *map(Path, files)))
    return _merged(reading, ours, _entries(reading, files))


def load_controls_file(file: str, shipped_dir: str) -> Controls:
    """One of a site's files, whoever it belongs to, over what is shipped; `-` is standard input. Raises InvalidInput."""
    reading = _Reading()
    ours = _shipped(reading, shipped_dir)
    return _merged(reading, ours, _entries(reading, [file]))


def _shipped(reading: _Reading, folder: str) -> dict[str, Entry]:
    files = drop_ins(Path(folder), reading.problems)
    if not files:
        problem = Problem("no controls are there", file=folder, allowed="the package's *.yaml")
        reading.problems.append(problem)
    return _by_id(reading, _entries(reading, files))


def _merged(reading: _Reading, ours: dict[str, Entry], theirs: Sequence[Entry]) -> Controls:
    merged = dict(ours)
    for control_id, entry in _by_id(reading, theirs).items():
        merged[control_id] = _switched_off(reading, entry, ours) if entry.off else entry
    specs = [entry.spec for _, entry in sorted(merged.items()) if entry.spec is not None]
    if len(specs) > CONTROLS_MOST:
        reading.problems.append(Problem(f"{len(specs)} controls", allowed=f"{CONTROLS_MOST}"))
    if reading.problems:
        raise InvalidInput(reading.problems, remedy=REMEDY)
    digest = hashlib.sha256(b"".join(reading.content)).hexdigest()
    return Controls(tuple(specs), tuple(reading.files), digest)


def _switched_off(reading: _Reading, entry: Entry, ours: Mapping[str, Entry]) -> Entry:
    shipped_one = ours.get(entry.control_id)
    if shipped_one is not None:
        spec = shipped_one.spec and replace(
            shipped_one.spec, enabled=False, file=entry.file, line=entry.line
        )
        return replace(entry, spec=spec)
    near = get_close_matches(entry.control_id, list(ours), n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    message = f"no control {entry.control_id} is shipped that could be switched off{hint}"
    allowed = "" if near else "the id of a shipped control, or a whole control"
    reading.problems.append(
        Problem(message, file=entry.file, line=entry.line, field="enabled", allowed=allowed)
    )
    return entry


def _by_id(reading: _Reading, entries: Iterable[Entry]) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for entry in entries:
        before = found.setdefault(entry.control_id, entry)
        if before is not entry:
            message = f"{entry.control_id} stands here and in {before.file}:{before.line}"
            problem = Problem(message, file=entry.file, line=entry.line, field="id")
            reading.problems.append(problem)
    return found


def _entries(reading: _Reading, files: Iterable[str]) -> list[Entry]:
    found: list[Entry] = []
    for file in files:
        name = name_of(file)
        reading.files.append(name)
        try:
            content = _content(file)
            reading.content += (f"{name}\0{len(content)}\0".encode(), content)
            found += _document(reading, content, name)
        except InvalidInput as error:
            reading.problems += error.problems
    return found


def _content(file: str) -> bytes:
    if file != "-" and Path(file).is_symlink():
        raise InvalidInput([Problem("is a symbolic link", file=file, allowed="a regular file")])
    content = read_bytes(file)
    if not content.strip():
        message = "is empty, as a file is that could not be written to its end"
        raise InvalidInput([Problem(message, file=name_of(file), allowed="controls, or a comment")])
    return content


def _document(reading: _Reading, content: bytes, name: str) -> list[Entry]:
    document = parse(content, name)
    if document is None:  # comments only
        return []
    if not isinstance(document, MapValue):
        problem = Problem("not a mapping", file=name, line=1, allowed="controls: and a list")
        raise InvalidInput([problem])
    for key in document:
        if key != "controls":
            near = get_close_matches(key, ["controls"], n=1)
            hint = "unknown key; did you mean controls?" if near else "unknown key"
            problem = problem_at(document, key, key, hint, "" if near else "controls")
            reading.problems.append(problem)
    return controlreading.read(document, reading.problems)
