"""Policy files: the host's own rules, which no master overrides. From YAML to `model.policy.Policy`, each rule with its file and line.

Files are read in lexical order; a rule of a later one replaces that of an earlier, as in all other configuration.
"""

from __future__ import annotations

import hashlib
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from hullmark.config import ownership, policyvalues
from hullmark.config.loading import drop_ins
from hullmark.document import MapValue, line_of, name_of, parse, problem_at, read_bytes
from hullmark.errors import InvalidInput, Problem
from hullmark.model.policy import REPORT, RULES, SCOPES, STOP, Exemption, Policy, Rule

POLICY_DIR = "/etc/hullmark/policy.d"
REMEDY = "mend what is named; hullmark config check policy FILE checks one file"
EMPTY = "is empty, as a file is that could not be written to its end"
WORDS = ("name", "description")
OF_THE_HOST = ("scope", "on_violation", "apps")
"""Keys that no exemption has."""
_GROUPS = tuple(sorted({key.partition(".")[0] for key in RULES if "." in key}))
_PATTERN = re.compile(r"[a-z0-9*?_-]{1,63}(/[a-zA-Z0-9*?._-]{1,63})?")


@dataclass
class _Reading:
    """What the files gave so far."""

    problems: list[Problem] = field(default_factory=list)
    given: dict[str, Rule] = field(default_factory=dict)
    exemptions: list[Exemption] = field(default_factory=list)
    single: dict[str, Rule] = field(default_factory=dict)
    """`scope` and `on_violation`."""


def load_policy_folder(folder: str = POLICY_DIR) -> Policy:
    """Of a folder that need not exist. Raises InvalidInput with every problem found, also for what others than root and this
    user may change."""
    problems: list[Problem] = []
    files = drop_ins(Path(folder), problems)
    problems += ownership.problems((Path(folder), *map(Path, files)))
    return _load(files, problems)


def load_policy(file: str) -> Policy:
    """One file, whoever it belongs to; `-` is standard input. Raises InvalidInput."""
    return _load([file], [])


def _load(files: Iterable[str], problems: list[Problem]) -> Policy:
    reading, digest, names = _Reading(problems), hashlib.sha256(), []
    for file in files:
        names.append(file)
        try:
            content = _content(file)
            if not content:
                raise InvalidInput(
                    [Problem(EMPTY, file=name_of(file), allowed="rules, or a comment")]
                )
            digest.update(f"{file}\0{len(content)}\0".encode() + content)
            _take_document(reading, parse(content, name_of(file)), name_of(file))
        except InvalidInput as error:
            reading.problems += error.problems
    if reading.problems:
        raise InvalidInput(reading.problems, remedy=REMEDY)
    return _policy(reading, tuple(names), digest.hexdigest())


def _policy(reading: _Reading, files: tuple[str, ...], digest: str) -> Policy:
    scope = reading.single.get("scope", Rule("scope", ""))
    on_violation = reading.single.get("on_violation", Rule("on_violation", REPORT))
    return Policy(
        scope=str(scope.value),
        on_violation=str(on_violation.value),
        given=reading.given,
        exemptions=tuple(reading.exemptions),
        files=files,
        digest=digest,
        scope_file=scope.file,
        scope_line=scope.line,
    )


def _content(file: str) -> bytes:
    if file != "-" and _is_link(Path(file)):
        raise InvalidInput([Problem("is a symbolic link", file=file, allowed="a regular file")])
    return read_bytes(file)


def _take_document(reading: _Reading, document: Any, file: str) -> None:
    if document is None:
        return
    if not isinstance(document, MapValue):
        problem = Problem("not a mapping", file=file, line=1, allowed="KEY: VALUE lines")
        raise InvalidInput([problem])
    rules = MapValue(document.file, document.line)
    for key, value in document.items():
        if key in WORDS:
            if not isinstance(value, str):
                reading.problems.append(problem_at(document, key, key, "bad value", "text"))
        elif key == "apps":
            _take_exemptions(reading, document)
        elif key in OF_THE_HOST:
            _take_single(reading, document, key)
        else:
            rules.put(key, value, document.lines[key], document.files[key])
    reading.given.update(_rules(reading, rules))


def _take_single(reading: _Reading, document: MapValue, key: str) -> None:
    allowed = SCOPES if key == "scope" else (REPORT, STOP)
    file, line = line_of(document, key)
    if document[key] in allowed:
        reading.single[key] = Rule(key, document[key], file, line or 0)
    else:
        problem = problem_at(document, key, key, "bad value", ", ".join(allowed))
        reading.problems.append(problem)


def _take_exemptions(reading: _Reading, document: MapValue) -> None:
    apps = document["apps"]
    if not isinstance(apps, MapValue):
        problem = problem_at(document, "apps", "apps", "not a mapping", "APP or APP/SERVICE: rules")
        reading.problems += [] if apps is None else [problem]
        return
    for pattern, rules in apps.items():
        where = f"apps.{pattern}"
        if not _PATTERN.fullmatch(pattern):
            problem = problem_at(
                apps, pattern, where, "no pattern", "APP or APP/SERVICE, with * and ?"
            )
            reading.problems.append(problem)
        elif not isinstance(rules, MapValue):
            problem = problem_at(apps, pattern, where, "not a mapping", "rules, KEY: VALUE lines")
            reading.problems.append(problem)
        else:
            given = _rules(reading, rules, f"{where}: ")
            reading.exemptions.append(Exemption(pattern, given))


def _rules(reading: _Reading, mapping: MapValue, where: str = "") -> dict[str, Rule]:
    found: dict[str, Rule] = {}
    for container, name, key in _keys(mapping):
        if key not in RULES:
            reading.problems.append(_unknown(container, name, key, where))
            continue
        if key in found:
            message = f"stands here and in line {found[key].line}"
            reading.problems.append(problem_at(container, name, where + key, message))
            continue
        file, line = line_of(container, name)
        try:
            value = policyvalues.read(key, RULES[key].form, container[name])
        except ValueError as error:
            item = getattr(error, "item", "")
            what = f"bad value {item[:80]!r}" if item else "bad value"
            problem = problem_at(container, name, where + key, what, str(error))
            reading.problems.append(problem)
            continue
        found[key] = Rule(key, value, file, line or 0)
    return found


def _keys(mapping: MapValue) -> Iterator[tuple[MapValue, str, str]]:
    """Where each dotted key stands, groups taken apart."""
    for name, value in mapping.items():
        if name not in _GROUPS:
            yield mapping, name, name
        elif isinstance(value, MapValue):
            for inside in value:
                yield value, inside, f"{name}.{inside}"
        elif value is not None:  # a group whose keys are all commented out
            yield mapping, name, name


def _unknown(mapping: MapValue, name: str, key: str, where: str) -> Problem:
    if key in _GROUPS:
        inside = ", ".join(each for each in RULES if each.startswith(f"{key}."))
        return problem_at(mapping, name, where + key, "not a mapping", inside)
    if where and key in (*OF_THE_HOST, *WORDS):
        return problem_at(mapping, name, where + key, "is the host's, and can't be an app's")
    known = (*RULES, *_GROUPS, *(() if where else (*OF_THE_HOST, *WORDS)))
    near = get_close_matches(key, known, n=1)
    hint = f"unknown key; did you mean {near[0]}?" if near else "unknown key"
    return problem_at(mapping, name, where + key, hint, "" if near else ", ".join(sorted(known)))


def _is_link(path: Path) -> bool:
    try:
        return stat.S_ISLNK(path.lstat().st_mode)
    except OSError:
        return False
