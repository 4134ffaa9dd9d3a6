"""A host's programs and the processes that run them, for checks that ask whether a daemon is alive.

A process is one of a program where its executable, or the script that an interpreter was given, is the program's own file in the
system's folders: a name alone proves nothing. What runs in a container is not the host's: the kernel lists the number of such a
process once for each namespace that it is in.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Callable, NamedTuple, Optional

from hullmark.host.eye import Eye
from hullmark.model.control import Reading, Trouble

FOLDERS = frozenset(
    ("/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/lib/systemd", "/lib/systemd", "/usr/libexec")
)
_STATUS_MOST = 4096
_WORDS_MOST = 4096
_SHOWN_MOST = 300
_COMM_MOST = 15  # bytes of a process's name that the kernel keeps
_UNWELL = frozenset("TtZX")  # stopped, a zombie, dead
_INTERPRETERS = ("python", "perl", "ruby")


def installed(eye: Eye, name: str, programs: Sequence[str]) -> Reading:
    """The first of these that is there, its path the text; `MISSING` where none is. One with a / is a path of the host."""
    at = eye.wall()
    for program in programs:
        path = program if "/" in program else eye.program(program)
        if path and ("/" not in program or eye.at(path).is_file()):
            return Reading(name, path, text=path, at=at)
    return Reading(name, ", ".join(programs), trouble=Trouble.MISSING, at=at)


def alive(eye: Eye, programs: Sequence[str]) -> tuple[Reading, Reading]:
    """`program` and `processes`, which aren't looked for where no such program is."""
    program = installed(eye, "program", programs)
    if program.trouble is Trouble.MISSING:
        said = f"processes: {', '.join(programs)}"
        return program, Reading("processes", said, trouble=Trouble.MISSING, at=program.at)
    return program, running(eye, "processes", programs)


def running(eye: Eye, name: str, programs: Sequence[str], words: str = "") -> Reading:
    """The host's processes of these programs, one a line: its number, state, user, executable and command line, with tabs between.
    `words` have to be in the command line. Empty where none runs. A daemon that gives itself another name than its program's or
    an interpreter's is not found: most processes of a host are told apart by that alone, as this runs each few seconds. While those
    that were found a short time ago are all well, no others are looked for."""
    names = frozenset(Path(one).name for one in programs)
    comms = frozenset(one[:_COMM_MOST] for one in names)

    def is_one(found: _Process) -> bool:
        if found.state == "Z":
            return found.comm in comms
        return words in found.words and _is_of(names, found.executable, found.argv)

    def may_be(comm: str) -> bool:
        return comm in comms or comm.startswith(_INTERPRETERS)

    source, key = f"processes: {', '.join(programs)}", (str(eye.at("/")), names, words)
    known = _known.get(key)
    if known is not None and time.monotonic() < known.until:
        again = _still(eye, known.numbers, is_one)
        if again:
            return Reading(name, source, text=_lines(again), at=eye.wall())
    found = _listed(eye, name, source, is_one, may_be)
    numbers = tuple(int(line.partition("\t")[0]) for line in found.text.splitlines())
    _known[key] = _Known(numbers, time.monotonic() + KNOWN_S)
    return found


KNOWN_S = 60.0
"""For so long a daemon's processes are looked at alone: to go through all of a host's is work."""


class _Known(NamedTuple):
    numbers: tuple[int, ...]
    until: float  # of the clock that nobody sets


_known: dict[tuple[str, frozenset[str], str], _Known] = {}


def _still(eye: Eye, numbers: Sequence[int], is_one: Callable[[_Process], bool]) -> list[_Process]:
    """These, as they are now; none where one is gone, is another, or is not well: there may be others."""
    found = [_process(eye.at(f"/proc/{number}")) for number in numbers]
    well = [one for one in found if one is not None and one.state not in _UNWELL and is_one(one)]
    return well if len(well) == len(numbers) else []


def named(eye: Eye, name: str, process: str, executable: str = "") -> Reading:
    """The host's processes of this name, as `running` lists them, wherever their program is; of `executable` only where that is
    said. A name alone anybody may give to a process."""
    comm = process[:_COMM_MOST]

    def is_one(found: _Process) -> bool:
        if found.state == "Z":
            return found.comm == comm
        called = {found.comm, Path(found.executable).name}
        return bool(called & {comm, process}) and executable in ("", found.executable)

    return _listed(eye, name, f"processes: {executable or process}", is_one)


def _listed(
    eye: Eye,
    name: str,
    source: str,
    is_one: Callable[[_Process], bool],
    may_be: Optional[Callable[[str], bool]] = None,
) -> Reading:
    at = eye.wall()
    try:
        numbers = sorted(int(each) for each in os.listdir(eye.at("/proc")) if each.isdigit())
    except OSError as error:
        return Reading(name, source, errors=str(error), trouble=Trouble.FAILED, at=at)
    if may_be is not None:
        folder = str(eye.at("/proc"))
        numbers = [each for each in numbers if may_be(_comm(folder, each))]
    found = (_process(eye.at(f"/proc/{number}")) for number in numbers)
    return Reading(
        name, source, text=_lines(one for one in found if one is not None and is_one(one)), at=at
    )


def _lines(processes: Iterable[_Process]) -> str:
    return "\n".join(
        f"{one.number}\t{one.state}\t{one.user}\t{one.executable}\t{one.words[:_SHOWN_MOST]}"
        for one in processes
    )


def _comm(folder: str, number: int) -> str:
    """A process's name; empty where it is gone."""
    try:
        file = os.open(f"{folder}/{number}/comm", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(file, 64).decode("utf-8", "replace").rstrip("\n")
    except OSError:
        return ""
    finally:
        os.close(file)


class _Process(NamedTuple):
    number: int
    state: str  # as in /proc: R, S, D, T, t, Z and so on
    user: int
    executable: str  # empty where it has none: a zombie
    comm: str  # its name, of 15 bytes at most
    argv: tuple[str, ...]

    @property
    def words(self) -> str:
        return _on_one_line(" ".join(self.argv))


def _process(folder: Path) -> Optional[_Process]:
    """None where it is a container's, or gone."""
    try:
        fields = _fields((folder / "status").read_bytes()[:_STATUS_MOST])
        if len(fields.get("NSpid", "").split()) > 1:
            return None
        state, user, comm = fields["State"][:1], int(fields["Uid"].split()[0]), fields["Name"]
    except (OSError, KeyError, ValueError, IndexError):
        return None
    executable = "" if state == "Z" else _executable(folder)
    return _Process(int(folder.name), state, user, executable, comm, tuple(_words(folder)))


def _fields(status: bytes) -> dict[str, str]:
    lines = (line.partition(":") for line in status.decode("utf-8", "replace").splitlines())
    return {key: value.strip() for key, _, value in lines}


def _words(folder: Path) -> list[str]:
    with suppress(OSError), (folder / "cmdline").open("rb") as file:
        return file.read(_WORDS_MOST).decode("utf-8", "replace").rstrip("\0").split("\0")
    return []


def _executable(folder: Path) -> str:
    """Also that of a process whose file was replaced since it began, as an upgrade does. Empty where it can't be read."""
    with suppress(OSError):
        return _on_one_line(str((folder / "exe").readlink())).replace(" (deleted)", "")
    return ""


def _is_of(names: frozenset[str], executable: str, words: Sequence[str]) -> bool:
    if _is_systems(executable, names):
        return True
    interpreted = Path(executable).name.startswith(_INTERPRETERS)
    return interpreted and any(_is_systems(word, names) for word in words[1:4])


def _is_systems(path: str, names: frozenset[str]) -> bool:
    found = Path(path)
    return found.name in names and str(found.parent) in FOLDERS


def _on_one_line(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in text)
