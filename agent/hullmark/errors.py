"""Every error that Hullmark raises on purpose, and the exit code it leads to.

    HullmarkError                      2  failed; the base, never raised itself
    ├── UsageError                    64  the command line is wrong
    ├── InvalidInput                   2  a file or a request is wrong; lists every problem found
    │   └── NotStarted                78  a daemon does not start with its configuration, policy or keys as they are
    ├── Refused                        2  a clear "no" from a master, an agent, a store or an engine
    │   ├── NotFound                   2  the named thing does not exist
    │   ├── Conflict                   2  it changed meanwhile, or clashes with something that exists
    │   ├── Forbidden                  2  the caller may not do this
    │   ├── PolicyRefused              2  the host's own policy forbids it
    │   ├── StaleEpoch                 2  an order, or a leader, from the past
    │   └── ImageUnavailable           2  a registry or an engine does not give an image
    ├── Unavailable                    3  no answer: whether it happened is unknown
    │   ├── StoreUnavailable           3
    │   │   └── OutcomeUnknown         3  a transaction was sent, and no answer came
    │   ├── MasterUnavailable          3
    │   ├── EngineUnavailable          3
    │   ├── ProxyUnavailable           3
    │   │   └── ProxyUnwritten         3  its files can't be written
    │   └── AuditUnavailable           3  the audit log can't be written, so nothing was begun
    └── BrokenState                    2  a file that Hullmark wrote can't be trusted any more

Errors of other libraries are translated at the boundary where they appear, with `raise ... from`.
Expected outcomes are return values, not errors. Exit codes 0 (ok) and 1 (degraded, or a difference
was found) are outcomes of commands, so no error carries them. 78 tells a service manager that starting again would
end the same way, until a person has mended a file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Optional

EXIT_OK = 0
EXIT_DEGRADED = 1
EXIT_FAILED = 2
EXIT_UNKNOWN = 3
EXIT_USAGE = 64  # EX_USAGE of sysexits.h
EXIT_CONFIG = 78  # EX_CONFIG


@dataclass(frozen=True)
class Problem:
    """One thing wrong with an input: where it is, what is wrong, and what is allowed instead.

    `file` and `line` (counted from 1) are known for files, `field` is a dotted path such as
    `services.web.ports[0]`. Empty or None means not known. A field is made of keys as the file has them,
    whatever characters they hold; as text it is always one line, and nothing in it moves a terminal's cursor.
    """

    message: str
    file: str = ""
    line: Optional[int] = None
    field: str = ""
    allowed: str = ""

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        parts = [part for part in (place, _visible(self.field), self.message) if part]
        text = ": ".join(parts)
        return f"{text} (allowed: {self.allowed})" if self.allowed else text


def _visible(text: str) -> str:
    """With escapes such as \\n for what can't be printed."""
    shown = (each if each.isprintable() else ascii(each)[1:-1] for each in text)
    return "".join(shown)


class HullmarkError(Exception):
    """The base of the tree. `remedy` says what to do next, in one line; it may be empty."""

    exit_code = EXIT_FAILED

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    @property
    def kind(self) -> str:
        """Of the reason, for a log that has each once. Sizes and counts in it differ from try to try."""
        words = "".join(one for one in self.message if not one.isdigit())
        return f"{type(self).__name__}: {words}"


class UsageError(HullmarkError):
    """The command line asks for something that can't be."""

    exit_code = EXIT_USAGE


class InvalidInput(HullmarkError):
    """A file or a request is wrong. `problems` has at least one entry, in the order found."""

    def __init__(self, problems: Iterable[Problem], *, remedy: str = "") -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems), remedy=remedy)


class NotStarted(InvalidInput):
    """A daemon does not start, because of files that a person has to mend. Nothing was begun."""

    exit_code = EXIT_CONFIG


class Refused(HullmarkError):
    """A clear "no": nothing was changed, and asking again the same way changes nothing."""


class NotFound(Refused):
    """The named thing does not exist."""


class Conflict(Refused):
    """It changed meanwhile, or clashes with something that exists."""


class Forbidden(Refused):
    """The caller is not known, or may not do this."""


class PolicyRefused(Refused):
    """The host's policy forbids it; the message names the rule, with its file and line."""


class StaleEpoch(Refused):
    """An order, or a leader's write, of an epoch that has passed."""


class ImageUnavailable(Refused):
    """An image can't be had; the message names the registry, the credential used and its age."""


class Unavailable(HullmarkError):
    """No answer came, so whether it happened is unknown. Asking again may help."""

    exit_code = EXIT_UNKNOWN

    @property
    def kind(self) -> str:
        """That somebody doesn't answer has many words, and is one reason."""
        return type(self).__name__


class StoreUnavailable(Unavailable):
    """The cluster's store does not answer. Nothing was written, unless it is an OutcomeUnknown."""


class OutcomeUnknown(StoreUnavailable):
    """A transaction was sent to the store, and no answer came: it may have happened, or may still happen."""


class MasterUnavailable(Unavailable):
    """No master answers."""


class EngineUnavailable(Unavailable):
    """The container engine does not answer."""


class ProxyUnavailable(Unavailable):
    """The host's proxy does not answer."""


class ProxyUnwritten(ProxyUnavailable):
    """The disk does not take the proxy's files. It may well run."""


class AuditUnavailable(Unavailable):
    """The audit log can't be written, so the action was not begun."""


class BrokenState(HullmarkError):
    """A file that Hullmark wrote is damaged, and acting on it could do harm."""


def by_name(name: str, message: str, remedy: str = "") -> HullmarkError:
    """An error as somebody else told it; a plain Refused where it is none that this version knows."""
    kind = globals().get(name)
    if not (isinstance(kind, type) and issubclass(kind, HullmarkError)):
        kind = Refused
    if issubclass(kind, InvalidInput):
        return InvalidInput([Problem(message)], remedy=remedy)
    return kind(message, remedy=remedy)


def as_document(error: HullmarkError) -> dict[str, Any]:
    """The form in which commands tell an error with `--output json`, on standard error."""
    problems = error.problems if isinstance(error, InvalidInput) else ()
    return {
        "schema": "hullmark.error/1",
        "error": type(error).__name__,
        "message": error.message,
        "remedy": error.remedy,
        "exit_code": error.exit_code,
        "problems": [
            {
                "message": problem.message,
                "file": problem.file,
                "line": problem.line,
                "field": problem.field,
                "allowed": problem.allowed,
            }
            for problem in problems
        ],
    }
