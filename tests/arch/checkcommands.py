"""Which programs a check may run on a host, with which words, and why that changes nothing there.

The agent may do much, so that its checks can look: what they never do is listed here by what they do. A probe says its program and the
words up to the first that differs from look to look in the source itself, as a list: `eye.run("status", ["auditctl", "-s"])`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

# program -> the words that its arguments begin with ("" where it has none, or they differ) -> why this only reads, or
# writes nothing but a canary. Keep it in order.
CHECK_COMMANDS: Mapping[str, Mapping[str, str]] = {
    "apt-config": {
        "": "prints a part of the configuration",
    },
    "apt-get": {
        "--simulate": "says what it would install, takes no lock, and writes no cache",
    },
    "auditctl": {
        "-l": "lists the rules",
        "-m": "writes one user message into the audit trail: our canary",
        "-s": "tells the state",
    },
    "busctl": {
        "--json=short call org.fedoraproject.FirewallD1": "getSettings2 of a zone, whose path differs: tells its saved settings",
        "--json=short call org.fedoraproject.FirewallD1 /org/fedoraproject/FirewallD1 org.fedoraproject.FirewallD1 "
        "getDefaultZone": "tells a name",
        "--json=short call org.fedoraproject.FirewallD1 /org/fedoraproject/FirewallD1 org.fedoraproject.FirewallD1 "
        "getServiceSettings2 s": "tells what a service is",
        "--json=short call org.fedoraproject.FirewallD1 /org/fedoraproject/FirewallD1 "
        "org.fedoraproject.FirewallD1.zone getActiveZones": "tells names",
        "--json=short call org.fedoraproject.FirewallD1 /org/fedoraproject/FirewallD1 "
        "org.fedoraproject.FirewallD1.zone getZoneSettings2 s": "tells a zone's settings",
        "--json=short call org.fedoraproject.FirewallD1 /org/fedoraproject/FirewallD1/config "
        "org.fedoraproject.FirewallD1.config getZoneByName s": "tells a path",
        "--json=short call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus "
        "GetConnectionUnixProcessID s org.fedoraproject.FirewallD1": "tells a process's number",
        "--json=short get-property org.fedoraproject.FirewallD1 /org/fedoraproject/FirewallD1 "
        "org.fedoraproject.FirewallD1 state": "tells the state",
    },
    "chronyc": {
        "-n -c": "asks for `tracking` and `sources`, which follow where the daemon is",
    },
    "fail2ban-regex": {
        "": "tries a filter on a line that is given, and reads and writes no log",
    },
    "ip6tables-restore-translate": {
        "-f /dev/stdin": "prints in nftables' words what it is given; does not load it",
    },
    "ip6tables-save": {
        "": "lists the rules",
    },
    "iptables-restore-translate": {
        "-f /dev/stdin": "prints in nftables' words what it is given; does not load it",
    },
    "iptables-save": {
        "": "lists the rules",
    },
    "journalctl": {
        "--disk-usage": "tells how much room the journal takes",
        "--quiet --output=json": "reads entries",
    },
    "nft": {
        "--check --debug=netlink -f -": "compiles rules and prints what it made of them; the kernel is asked whether it would take "
        "them, and keeps nothing",
        "--stateless list ruleset": "lists rules",
        "--stateless list table": "lists rules",
        "--stateless list table inet firewalld": "lists rules",
        "list tables": "lists names",
    },
    "ntpq": {
        "-n -c rv": "lists the daemon's variables",
    },
    "rsyslogd": {"-N1": "reads its configuration, says what is wrong in it, and ends"},
    "syslog-ng": {"--syntax-only": "reads its configuration, says what is wrong in it, and ends"},
    "syslog-ng-ctl": {"stats": "tells counters"},
    "systemctl": {
        "show": "lists properties of units",
    },
    "timedatectl": {
        "show": "lists properties",
    },
}

# Functions that run what a site's own file says: the site answers for it. (module, function) -> why.
BY_THE_SITE: Mapping[tuple[str, str], str] = {
    (
        "host/probes/generic.py",
        "_command",
    ): "the kind `command`, whose program only root may change",
    ("host/probes/generic.py", "_log_canary"): "`write_by` of the kind `log_canary`, the same",
}

# Where probes are.
PLACES = ("host/probes/*.py", "engine/probes.py")
# What a probe has no need of, as it has its eye: other ways to run, signal or remove something.
FORBIDDEN_IMPORTS = frozenset({"subprocess", "shutil", "signal", "multiprocessing", "pty"})
FORBIDDEN_CALLS = frozenset(
    [
        *(
            "system",
            "popen",
            "execv",
            "execve",
            "execvp",
            "spawnv",
            "spawnl",
            "posix_spawn",
            "fork",
        ),
        *("kill", "killpg", "unlink", "rename", "replace", "rmdir", "remove", "removedirs"),
        *("chmod", "chown", "truncate", "mkdir", "makedirs", "symlink", "link", "mount", "umount"),
        *("write_text", "write_bytes", "touch"),
    ]
)


def breaches(path: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and what is wrong, of one module of probes; `path` is relative to the package's folder."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module]
            for name in names:
                if (name or "").split(".")[0] in FORBIDDEN_IMPORTS:
                    yield node.lineno, f"a probe may not import {name}"
        elif isinstance(node, ast.Call) and _changes(node):
            yield node.lineno, f"a probe may not call {_called(node)}()"
    for function, call in _runs(tree, ""):
        if (path, function) not in BY_THE_SITE:
            for what in _run_breaches(call):
                yield call.lineno, what


def commands(tree: ast.Module) -> set[tuple[str, str]]:
    """(program, leading words) as CHECK_COMMANDS has them, of every run that it allows."""
    found = set()
    for _, call in _runs(tree, ""):
        words = _words(call)
        if words:
            found |= {(words[0], each) for each in _allowing(words)}
    return found


def modules(package: Path) -> Iterator[tuple[str, ast.Module]]:
    for place in PLACES:
        for path in sorted(package.glob(place)):
            yield path.relative_to(package).as_posix(), ast.parse(path.read_text(), str(path))


def _run_breaches(call: ast.Call) -> Iterator[str]:
    words = _words(call)
    if not words:
        yield "a program is run that the source doesn't say as a list with its name first"
    elif words[0] not in CHECK_COMMANDS:
        yield f"{words[0]} isn't listed in tests/arch/checkcommands.py"
    elif not _allowing(words):
        yield f"{' '.join(words)}: these words aren't listed in tests/arch/checkcommands.py"


def _allowing(words: list[str]) -> list[str]:
    """The entry that allows it, the one with the most words. One without words is for a program that is run with none, or
    only with such as differ."""
    said = words[1:]
    allowed = CHECK_COMMANDS.get(words[0], {})
    fitting = [each for each in allowed if said[: len(each.split())] == each.split()]
    if said:
        fitting = [each for each in fitting if each]
    return sorted(fitting, key=len)[-1:]


def _runs(node: ast.AST, function: str) -> Iterator[tuple[str, ast.Call]]:
    """Calls of a method `run`, each with the name of the function that it is in."""
    for child in ast.iter_child_nodes(node):
        inside = child.name if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)) else ""
        if isinstance(child, ast.Call) and _called(child) == "run":
            yield function, child
        yield from _runs(child, inside or function)


def _words(call: ast.Call) -> list[str]:
    """Program and words as far as they are said; empty where not even the program is."""
    argv = call.args[1] if len(call.args) > 1 else None
    for keyword in call.keywords:
        if keyword.arg == "argv":
            argv = keyword.value
    words: list[str] = []
    for each in _flat(argv) if argv is not None else ():
        if not (isinstance(each, ast.Constant) and isinstance(each.value, str)):
            break
        words.append(each.value)
    return words


def _flat(argv: ast.expr) -> Iterator[ast.expr]:
    """The items of a list, and of those that are written out within it."""
    for each in argv.elts if isinstance(argv, (ast.List, ast.Tuple)) else ():
        if isinstance(each, ast.Starred) and isinstance(each.value, (ast.List, ast.Tuple)):
            yield from _flat(each.value)
        else:
            yield each


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _changes(call: ast.Call) -> bool:
    """`text.replace(a, b)` is none: a name that strings have too counts only as a function of `os`."""
    name = _called(call)
    if name == "replace":
        owner = call.func.value if isinstance(call.func, ast.Attribute) else None
        return isinstance(owner, ast.Name) and owner.id == "os"
    return name in FORBIDDEN_CALLS
