"""Questions to fail2ban's server over its socket, as its own client asks them: a Python program for each question costs far more than the
answer is worth.

The server answers with a pickle of plain values. What is read is plain values only: a pickle that names a class or function is none of
ours, and nothing of it is called.
"""

from __future__ import annotations

import io
import pickle
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hullmark.host.conversation import converse
from hullmark.host.eye import Eye
from hullmark.model.control import Reading, Trouble

SOCKET = "/var/run/fail2ban/fail2ban.sock"
CONFIGURATIONS = ("/etc/fail2ban/fail2ban.local", "/etc/fail2ban/fail2ban.conf")
END = b"<F2B_END_COMMAND>"
ANSWER_S = 8.0
ANSWER_MOST = 64 << 10
REFUSED = 255
_PROTOCOL = 2  # of pickle; the server reads all of them
_SAID_SOCKET = re.compile(r"^socket[ \t]*[=:][ \t]*(/\S+)[ \t]*$", re.MULTILINE)
_PAIR = 2


def socket_of(eye: Eye, given: Mapping[str, object]) -> str:
    """Where it listens: what a controls file says, or the first of fail2ban's own."""
    if given.get("socket"):
        return str(given["socket"])
    for path in CONFIGURATIONS:
        found = _SAID_SOCKET.findall(eye.file("configuration", path).text)
        if found:
            return str(found[-1])
    return SOCKET


def ask(eye: Eye, name: str, socket: str, *words: str, heading: str = "") -> Reading:
    """The answer below `heading`, a line for each value: `NAME:<tab>VALUE`, a list's items with spaces between. A code other than 0:
    the server refused, or was not there."""
    source = f"fail2ban: {' '.join(words)}"
    question = pickle.dumps(list(words), _PROTOCOL) + END
    told, answer = converse(
        eye, name, source, socket, question, end=END, most=ANSWER_MOST, timeout_s=ANSWER_S
    )
    if told.trouble in (Trouble.MISSING, Trouble.FAILED):
        said = f"Could not find server: {told.errors}"
        return Reading(name, source, errors=said, code=REFUSED, at=told.at)
    if told.trouble is not Trouble.NONE:
        return told
    try:
        code, value = _Plain(io.BytesIO(answer)).load()
        lines = list(_lines(value))
    except _UNREADABLE as error:
        said = f"an answer that is none: {type(error).__name__}"
        return Reading(name, source, errors=said, code=REFUSED, at=told.at)
    text = "\n".join([heading, *lines] if heading else lines)
    refused = 0 if code == 0 else REFUSED
    return Reading(name, source, text=text, code=refused, facts=told.facts, at=told.at)


# What a pickle that is none, or none of these, may raise.
_UNREADABLE = (
    *(pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError),
    *(AttributeError, ImportError, MemoryError, OverflowError, UnicodeError, RecursionError),
)


class _Plain(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"{module}.{name} is no plain value")

    def persistent_load(self, number: Any) -> Any:
        raise pickle.UnpicklingError("a value that is elsewhere")


def _lines(value: object) -> Iterator[str]:
    """Of a value, of pairs of a name and a value, or of such pairs in groups with a name."""
    if not isinstance(value, (list, tuple)):
        yield str(value)
        return
    for one in value:
        name, told = one if isinstance(one, (list, tuple)) and len(one) == _PAIR else ("", one)
        if _is_group(told):
            yield from (f"{inner}:\t{_shown(each)}" for inner, each in told)
        else:
            yield f"{name}:\t{_shown(told)}"


def _is_group(told: object) -> bool:
    return (
        isinstance(told, (list, tuple))
        and bool(told)
        and all(isinstance(one, (list, tuple)) and len(one) == _PAIR for one in told)
    )


def _shown(value: object) -> str:
    """Of what is deeper than this no answer has anything."""
    items: Sequence[object] = value if isinstance(value, (list, tuple)) else (value,)
    return " ".join("..." if isinstance(one, (list, tuple, dict)) else str(one) for one in items)
