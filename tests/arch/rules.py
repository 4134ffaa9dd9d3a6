"""What the rules of the house are. Changing a line here is a decision: say why in the commit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

ANY = "*"


@dataclass(frozen=True)
class Room:
    """`rooms`: which others it may import. `libraries`: which third-party packages (top-level names)."""

    rooms: frozenset[str] = frozenset()
    libraries: frozenset[str] = frozenset()


def room(rooms: str = "", libraries: str = "") -> Room:
    return Room(frozenset(rooms.split()), frozenset(libraries.split()))


# Every room, and what it may import beside itself, the standard library, `hullmark` and `hullmark.errors`.
ROOMS: Mapping[str, Room] = {
    "model": room(),
    "core": room("model"),
    "document": room("", "yaml"),
    "compose": room("document model"),
    "config": room("document model"),
    "pki": room("model", "cryptography"),
    "store": room("model", ANY),
    "engine": room("model", ANY),
    "host": room("model", ANY),
    "agentd": room("core engine host model config pki", ANY),
    "masterd": room("core store compose config host pki model", ANY),
    "footprint": room("model engine host", ANY),
    "evidence": room("model core pki", ANY),
    # engine: what checks a registry's credentials is what reads them. core: who verifies an audit log has neither daemon, and
    # what a chain is may not be said twice. host: who types a command is found out in one way.
    "cli": room("model core compose document config engine footprint evidence host", ANY),
}

# Rooms that come with the package of one daemon only (packaging/deb/debian/*.install). What is on every host may ask for them in a function, where
# it is known that they are there, and not when it is loaded.
APART = frozenset({"agentd", "engine", "masterd", "store"})

# Modules beside the rooms, which all rooms may import. They import no room and no library.
SHARED = frozenset({"hullmark", "hullmark.errors", "hullmark.launchers", "hullmark.log"})

# core: time and ids are arguments. What has an effect, or differs from one call to the next, stays out.
PURE = frozenset({"core", "model"})
IMPURE_MODULES = frozenset(
    [
        "asyncio",
        "concurrent",
        "ctypes",
        "curses",
        "fcntl",
        "fileinput",
        "ftplib",
        "getpass",
        "glob",
        "http",
        "imaplib",
        "io",
        "locale",
        "logging",
        "mmap",
        "multiprocessing",
        "os",
        "pathlib",
        "pwd",
        "random",
        "resource",
        "sched",
        "secrets",
        "select",
        "selectors",
        "shutil",
        "signal",
        "smtplib",
        "socket",
        "socketserver",
        "sqlite3",
        "ssl",
        "subprocess",
        "sys",
        "syslog",
        "tempfile",
        "threading",
        "time",
        "tty",
        "urllib",
        "uuid",
    ]
)
# `from X import Y` of a module that is otherwise allowed, and calls of methods.
IMPURE_CALLS = frozenset({"now", "utcnow", "today", "open", "input", "print"})

MAX_LINES = 400
# The only modules that may be longer.
LONG: Mapping[str, str] = {
    "footprint/snapshot.py": "it also runs alone, copied to a host where nothing of ours is installed",
}
FORBIDDEN_NAMES = frozenset(
    {"util", "utils", "helper", "helpers", "common", "base", "manager", "misc"}
)

# The only places that may catch Exception or BaseException: {"agentd/supervisor.py": "why"}.
BROAD_EXCEPTS: Mapping[str, str] = {
    "agentd/supervisor.py": "a fault in one of the agent's loops must not end the others",
}

# Rooms in which a call that changes the engine has to be inside `with ....passing(Deed(...))`: see `engine/protocol.py`, Gate.
GATED_ROOM = "engine"
# The connection itself, which offers those calls.
UNGATED = frozenset({"engine/connection.py"})
CHANGING_CALLS = frozenset({"post", "delete", "put", "patch"})
# Calls that name their method first: all but these change something.
METHOD_CALLS = frozenset({"call", "stream", "request"})
READING_METHODS = frozenset({"GET", "HEAD"})
# Called by name from a function that is itself inside the gate.
PASSED_ON: Mapping[tuple[str, str], str] = {
    (
        "engine/restarts.py",
        "change",
    ): "docker_api.set_restart_policy holds the gate, and says what came of it",
}
# Who may use the engines' own library at all.
ENGINE_LIBRARY = "docker"
