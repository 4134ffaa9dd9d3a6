"""Frameworks: which requirements a host's controls give evidence for. From YAML to `model.control.Framework`, by name.

A site's file of the same name replaces the shipped one whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Optional

from hullmark.config import checkvalues, ownership, values
from hullmark.config.controlreading import Fields, an_id
from hullmark.document import ListValue, MapValue, name_of, problem_at, read
from hullmark.errors import InvalidInput, NotFound, Problem
from hullmark.launchers import shipped
from hullmark.model.control import Framework, Requirement

FRAMEWORKS_DIR = "/etc/hullmark/frameworks"
SHIPPED = "frameworks"
REMEDY = "mend what is named; hullmark config check framework FILE checks one file"
COVERAGE = ("direct", "partial", "none")
SOURCES = ("audit", "inventory", "outages", "policy", "people", "ports", "change-control")
Reader = Callable[[Any], Any]


def shipped_frameworks() -> str:
    """The folder of those that come with Hullmark."""
    return str(shipped(SHIPPED))


def load_framework(
    name: str, shipped_dir: Optional[str] = None, site_dir: str = FRAMEWORKS_DIR
) -> Framework:
    """Raises NotFound where neither has a file of this name, InvalidInput with every problem found in it, also for what others
    than root and this user may change in the site's."""
    theirs, ours = Path(site_dir), Path(shipped_dir or shipped_frameworks())
    file = theirs / f"{name}.yaml"
    if file.exists() or file.is_symlink():
        problems = ownership.problems((theirs, file))
        if file.is_symlink():
            problems.append(Problem("is a symbolic link", file=str(file), allowed="a regular file"))
        if problems:
            raise InvalidInput(problems, remedy=REMEDY)
        return load_framework_file(str(file), name)
    file = ours / f"{name}.yaml"
    if not file.exists():
        found = ", ".join(framework_names(str(ours), site_dir))
        raise NotFound(f"no framework {name}: there is no {file}", remedy=f"there are: {found}")
    return load_framework_file(str(file), name)


def framework_names(shipped_dir: str, site_dir: str = FRAMEWORKS_DIR) -> tuple[str, ...]:
    found = {
        file.stem for folder in (shipped_dir, site_dir) for file in Path(folder).glob("*.yaml")
    }
    return tuple(sorted(found))


def load_framework_file(file: str, name: str = "") -> Framework:
    """Of a file, whoever it belongs to; `-` is standard input. `name`: the file's own, if not said. Raises InvalidInput."""
    document = read(file)
    if not isinstance(document, MapValue):
        allowed = "title: and requirements:"
        problem = Problem("not a mapping", file=name_of(file), line=1, allowed=allowed)
        raise InvalidInput([problem], remedy=REMEDY)
    problems: list[Problem] = []
    fields = Fields(document, "", problems)
    fields.only(("title", "requirements"))
    fields.need(("title", "requirements"))
    title = fields.get("title", checkvalues.text, "")
    requirements = _requirements(document, problems)
    if problems:
        raise InvalidInput(problems, remedy=REMEDY)
    return Framework(name or Path(file).stem, title, requirements)


def _requirement_id(value: Any) -> str:
    if isinstance(value, str) and 0 < len(value) <= 40 and value.isprintable() and " " not in value:
        return value
    raise ValueError(
        'text without spaces, such as 10.2.1 or "10.4": in quotes where it looks like a number'
    )


_names = checkvalues.several(an_id, "a list of functions or ids of controls")


def _functions(value: Any) -> tuple[str, ...]:
    return () if value == [] else _names(value)


def _sources(value: Any) -> tuple[str, ...]:
    if isinstance(value, list) and all(each in SOURCES for each in value):
        return tuple(value)
    raise ValueError(f"a list of some of: {', '.join(SOURCES)}")


_unseen = checkvalues.several(checkvalues.text, "a list of texts")
_REQUIREMENT: Mapping[str, Reader] = {
    "id": _requirement_id,
    "title": checkvalues.text,
    "coverage": values.choice(*COVERAGE),
    "functions": _functions,
    "sources": _sources,
    "covers": checkvalues.paragraph,
    "gaps": checkvalues.paragraph,
    "unseen": _unseen,
}


def _requirements(document: MapValue, problems: list[Problem]) -> tuple[Requirement, ...]:
    listed = document.get("requirements")
    if not isinstance(listed, ListValue) or not listed:
        if "requirements" in document:
            message = "no list of requirements"
            problems.append(
                problem_at(document, "requirements", "requirements", message, "- id: ...")
            )
        return ()
    found: dict[str, Requirement] = {}
    for number, item in enumerate(listed):
        where = f"requirements[{number}]"
        if not isinstance(item, MapValue):
            problems.append(problem_at(listed, number, where, "not a mapping", "id: ... and more"))
            continue
        requirement = _requirement(Fields(item, where, problems))
        if requirement.requirement_id in found:
            message = f"{requirement.requirement_id} stands here a second time"
            problems.append(problem_at(item, "id", f"{where}.id", message))
        elif requirement.requirement_id:
            found[requirement.requirement_id] = requirement
    return tuple(found.values())


def _requirement(fields: Fields) -> Requirement:
    fields.only(tuple(_REQUIREMENT))
    fields.need(("id", "title", "coverage"))
    found = {key: fields.get(key, reader) for key, reader in _REQUIREMENT.items()}
    coverage, functions, sources = found["coverage"], found["functions"], found["sources"]
    if coverage == "none" and functions:
        fields.problem("functions", "named, though the coverage is none", "partial or direct")
    if coverage in ("direct", "partial"):
        if not (functions or sources):
            fields.problem(None, f"is {coverage}, and nothing gives evidence", "functions, sources")
        fields.need(("covers",))
    if coverage in ("partial", "none"):
        fields.need(("gaps",))
    return Requirement(
        requirement_id=found["id"] or "",
        title=found["title"] or "",
        coverage=coverage or "none",
        functions=functions or (),
        sources=sources or (),
        covers=found["covers"] or "",
        gaps=found["gaps"] or "",
        unseen=found["unseen"] or (),
    )
