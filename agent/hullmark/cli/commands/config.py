"""`hullmark config`"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Optional

import click

from hullmark.cli import show
from hullmark.cli.daemon import AGENT_FILE, MASTER_FILE
from hullmark.cli.options import Asked, offline
from hullmark.cli.table import table
from hullmark.cli.words import count, span
from hullmark.errors import InvalidInput, Problem, UsageError

STANDARD = {"agent": AGENT_FILE, "master": MASTER_FILE}
POLICY, CONTROL, FRAMEWORK = "policy", "control", "framework"
FOLDERS = {
    POLICY: "/etc/hullmark/policy.d",
    CONTROL: "/etc/hullmark/controls.d",
    FRAMEWORK: "/etc/hullmark/frameworks",
}
"""As `config` has them, which imports a YAML reader."""
STDIN = "-"
KINDS = (*STANDARD, *FOLDERS)
_BY_FOLDER = {
    **{f"{kind}.d": kind for kind in KINDS},
    "controls.d": CONTROL,
    "frameworks": FRAMEWORK,
}


@click.group(
    no_args_is_help=False,
    epilog="""\b
Example:
  hullmark config check agent
  hullmark config show master
""",
)
def command() -> None:
    """Check and show the configuration of the agent or the master on this machine."""


@command.command(
    short_help="Check it as the daemon does at its start.",
    epilog="""\b
Example:
  hullmark config check agent
  hullmark config check master ./master.yaml
  hullmark config check policy ./web.yaml
  hullmark config check control ./edr.yaml
  hullmark config check --kind agent /tmp/copy

\b
Exit codes: 0 valid, 2 not valid, 64 wrong usage.
""",
)
@click.argument("what", metavar="[KIND] [FILE]", nargs=-1)
@click.option("--kind", type=click.Choice(KINDS), help="What FILE is, if its name doesn't tell.")
@offline
def check(asked: Asked, what: tuple[str, ...], kind: Optional[str]) -> None:
    """Check FILE with its drop-ins (FILE's name with .d/*.yaml) as the daemon reads them at its start.

    KIND is agent, master, policy, control or framework. Without FILE: the standard
    place, and also that nobody else may write there. FILE may be a copy of the main
    file or of one drop-in, under any name: no network and no state folder is needed.
    """
    kind, file = _asked_for(what, kind)
    told, files = _check(kind, file)
    place = file or {**STANDARD, **FOLDERS}[kind]
    if asked.json:
        document = {"kind": kind, "file": place, "valid": True, "files": files}
        show.document("config-check", document)
    else:
        show.lines(told, *(f"{each}  valid" for each in files if each != place))


def _check(kind: str, file: Optional[str]) -> tuple[str, list[str]]:
    """What to say of it, and which files were read. Raises InvalidInput."""
    if kind in STANDARD:
        return _check_daemon(kind, file)
    if file is None:
        return _check_folder(kind)
    from hullmark import config  # imports a YAML reader

    if kind == POLICY:
        config.load_policy(file)
    elif kind == CONTROL:
        return f"{file}  valid, {_told_of_controls(file)}", [file]
    else:
        config.load_framework_file(file)
    return f"{file}  valid", [file]


def _told_of_controls(file: str) -> str:
    """How many a file has, and what becomes of those that are shipped. Raises InvalidInput."""
    from hullmark import config  # imports a YAML reader

    folder, name = config.shipped_controls(), "standard input" if file == STDIN else file
    shipped = {spec.control_id for spec in config.load_controls(folder, "/nonexistent").specs}
    specs = [spec for spec in config.load_controls_file(file, folder).specs if spec.file == name]
    off = [spec.control_id for spec in specs if not spec.enabled]
    replaced = [spec.control_id for spec in specs if spec.enabled and spec.control_id in shipped]
    more = [f"switched off: {', '.join(off)}"] if off else []
    more += [f"in place of what is shipped: {', '.join(replaced)}"] if replaced else []
    return "; ".join([count(len(specs), "control"), *more])


def _asked_for(what: tuple[str, ...], kind: Optional[str]) -> tuple[str, Optional[str]]:
    """Kind and file. Raises UsageError."""
    words = list(what)
    if kind is None and words and words[0] in KINDS:
        kind = words.pop(0)
    if len(words) > 1 and kind is None and not Path(words[0]).exists():
        raise UsageError(f"no kind {words[0]!r}", remedy=f"one of {', '.join(KINDS)}; {_SEE}")
    if len(words) > 1:
        raise UsageError(f"{' '.join(words)}: one file at a time", remedy=_SEE)
    file = words[0] if words else None
    if kind is None and file is not None:
        kind = _kind_of(Path(file))
    if kind is None:
        what_of = (
            "nothing is named" if file is None else f"{file}: its name doesn't tell what it is"
        )
        raise UsageError(what_of, remedy=f"name its kind: {', '.join(KINDS)}; {_SEE}")
    return kind, file


_SEE = "see hullmark config check --help"


def _kind_of(file: Path) -> Optional[str]:
    """By its name or its folder's, as they are below /etc/hullmark."""
    if file.stem in STANDARD and file.suffix == ".yaml":
        return file.stem
    return _BY_FOLDER.get(file.absolute().parent.name)


def _check_daemon(kind: str, file: Optional[str]) -> tuple[str, list[str]]:
    """What to say of it, and which files were read. Raises InvalidInput."""
    path = file or STANDARD[kind]
    at_its_place = path == STANDARD[kind]
    rows, files = _read(kind, path, owned=at_its_place)
    if at_its_place:
        values = {row["key"]: row["value"] for row in rows}
        files += _check_beside(values)
    if path == STDIN or Path(path).exists():
        return f"{path}  valid", files
    given = any(row["source"] != "default" for row in rows)
    return f"{path}  not there; " + ("its drop-ins are valid" if given else "all defaults"), files


def _check_beside(values: Mapping[str, Any]) -> list[str]:
    """The files that only an agent has, and reads from other folders. Raises InvalidInput with every problem found."""
    files: list[str] = []
    problems: list[Problem] = []
    beside = {
        "policy_dir": _policies,
        "registries_dir": _check_credentials,
        "controls.dir": _controls,
    }
    for key, read in beside.items():
        try:
            if key in values:
                files += read(values[key])
        except InvalidInput as error:
            problems += error.problems
    if problems:
        raise InvalidInput(problems, remedy="mend what is named")
    return files


def _check_credentials(folder: str) -> list[str]:
    """As a pull reads them, by what reads them, which comes with the agent. Raises InvalidInput."""
    try:
        from hullmark.engine import credentials  # in another package
    except ImportError:
        return []
    return credentials.check(Path(folder))


def _check_folder(kind: str) -> tuple[str, list[str]]:
    read, lacks = {
        POLICY: (_policies, "this host has no policy"),
        CONTROL: (_controls, "only the shipped controls are looked at"),
        FRAMEWORK: (_frameworks, "only the shipped frameworks are there"),
    }[kind]
    place = FOLDERS[kind]
    files = read(place)
    if not files and not Path(place).exists():
        return f"{place}  not there; {lacks}", files
    return f"{place}  valid, {count(len(files), 'file')}", files


def _policies(folder: str) -> list[str]:
    """The files. Raises InvalidInput."""
    from hullmark import config  # imports a YAML reader

    return list(config.load_policy_folder(folder).files)


def _controls(folder: str) -> list[str]:
    """The site's files. Raises InvalidInput."""
    from hullmark import config  # imports a YAML reader

    files = config.load_controls(config.shipped_controls(), folder).files
    return [file for file in files if Path(file).parent == Path(folder)]


def _frameworks(folder: str) -> list[str]:
    """The site's files. Raises InvalidInput."""
    from hullmark import config  # imports a YAML reader

    files = sorted(Path(folder).glob("*.yaml"))
    for file in files:
        config.load_framework(file.stem, site_dir=folder)
    return [str(file) for file in files]


@command.command(
    name="show",
    short_help="Show every key, its value, and where that is from.",
    epilog="""\b
Example:
  hullmark config show agent
  hullmark config show master ./master.yaml --output json
""",
)
@click.argument("kind", type=click.Choice(list(STANDARD)))
@click.argument("file", required=False)
@offline
def show_values(asked: Asked, kind: str, file: Optional[str]) -> None:
    """Show every key with its value, and the file and line that it comes from."""
    path = file or STANDARD[kind]
    rows, _ = _read(kind, path)
    if asked.json:
        show.document("config", {"kind": kind, "file": path, "keys": rows})
    else:
        show.lines(*_lines(rows))


def _read(kind: str, path: str, *, owned: bool = False) -> tuple[list[dict[str, Any]], list[str]]:
    """Every key, and the files that were read. Raises InvalidInput."""
    from hullmark import config  # imports a YAML reader

    try:
        load = {"agent": config.load_agent, "master": config.load_master}[kind]
        loaded: Any = load(path, owned=owned)
    except InvalidInput as error:
        raise InvalidInput(error.problems, remedy="mend what is named") from error
    return config.shown(loaded, kind), list(loaded.files)


def _lines(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield from table(("KEY", "VALUE", "FROM"), [_row(row) for row in rows])


def _row(row: Mapping[str, Any]) -> tuple[str, str, str]:
    value = row["value"]
    if isinstance(value, list):
        text = ", ".join(value)
    else:
        # All numbers with a fraction are times in seconds.
        text = span(value) if isinstance(value, float) else str(value)
    return str(row["key"]), text or '""', str(row["source"])
